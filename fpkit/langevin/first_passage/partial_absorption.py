"""Exit runs with targets that absorb in part: reflection with local time, and killing in proportion to it.

At the boundary of a target J.n = kappa u. The path is reflected there along M n; its push L (Skorokhod's
local time, dX = ... + M n/(n'Mn) dL) kills at the rate kappa/(theta n'Mn) for each unit of L [1]_. In a step
from the distance s to the unreflected distance t the lowest point m of the bridge has the law P(lowest < m) =
exp(-2 (s - m)(t - m)/v), v = 2 theta dt n'Mn, whatever the drift; then L = max(0, -m), and the path ends at
t + L: exact in law for a flat wall and a constant drift [2]_. Curved walls are taken as flat in a step, of
weak order 1.

.. [1] D. S. Grebenkov, Phys. Rev. Lett. 125, 078102 (2020).
.. [2] D. Lepingle, Math. Comput. Simul. 38, 119 (1995).
"""
from __future__ import annotations

import numpy as np

from ...core import checks
from .exit_numpy import WholeExitRun
from .target_kernels import SLOPE

SEEN = 40.0                      # exponents: exp(-SEEN) that a bridge goes so far is nothing


def reactivities(given, targets, scheme):
    """One reactivity (n_targets,) for each target, infinite where it absorbs at first contact; None for
    none."""
    if given is None:
        return None
    if scheme != "euler-maruyama" or not targets.has_distance:
        raise ValueError('reactivity needs scheme "euler-maruyama" and targets with a distance (balls, '
                         'half-spaces, boxes and their combinations).')
    names = list(targets.names) if targets.names is not None else list(range(len(targets.regions)))
    if isinstance(given, dict):
        if set(given) != set(names):
            raise ValueError(f"reactivity must name the targets {', '.join(map(str, names))}, got "
                             f"{checks.shown(list(given))}.")
        given = [given[name] for name in names]
    try:
        kappa = np.broadcast_to(np.asarray(given, float), (len(names),)).copy()
    except (TypeError, ValueError):
        raise ValueError(f"reactivity must be one number, or one for each of {len(names)} targets, got "
                         f"{checks.shown(given)}.") from None
    if not (kappa >= 0).all() or not (kappa > 0).any():
        raise ValueError(f"reactivity must not be negative, and positive for one target at least, got "
                         f"{checks.shown(given)}.")
    return kappa


class PartialExitRun(WholeExitRun):
    """`WholeExitRun` with reactivities (n_targets,) of the targets, in length per time."""

    def __init__(self, ensemble, targets, n_paths, max_steps, kappa, span=None):
        super().__init__(ensemble, targets, n_paths, max_steps, span)
        self.kappa = kappa

    def _distances(self, X):
        """(n_targets, n) signed distances."""
        return np.stack([r.signed_distance(X.T) for r in self.targets.regions])

    def _hits(self, O, Y, before, after, number):
        """Reflect what came near a target in the last step; (targets, fractions of the step, places) of what
        was absorbed there, -1 for the others. An absorbed path is left on the boundary."""
        e = self.ensemble
        walls, fractions = np.full(e.n_paths, -1), np.full(e.n_paths, 0.5)
        M = e.mobility.matrices(e.X.T)
        widest = (np.linalg.eigvalsh(M)[:, -1] if e.mobility.is_tensor or e.mobility.is_full
                  else np.diagonal(M, 0, 1, 2).max(axis=1))
        reach = SEEN * self.theta * self.dt * widest
        near = (before * after < reach) | (after <= 0)
        if not near.any():
            return walls, fractions, Y
        draws = np.random.Generator(np.random.Philox(key=[int(e.key), number])).random(
            (len(self.kappa), 3, int(self.n_paths)))[:, :, e.trajectories]
        for w, region in enumerate(self.targets.regions):
            j = np.flatnonzero(near[w] & (walls < 0))
            if not j.size:
                continue
            normal = self._normals(region, e.X[:, j].T)
            Mn = np.einsum("nij,nj->ni", M[j], normal)
            along = np.einsum("ni,ni->n", normal, Mn)                    # n'Mn
            variance = 2 * self.theta * self.dt * along
            s, t = before[w, j], after[w, j]
            lowest = (s + t - np.sqrt((s - t) ** 2 - 2 * variance * np.log1p(-draws[w, 0, j]))) / 2
            push = np.maximum(0.0, -lowest)
            e.X[:, j] += (push / along * Mn.T)
            still = region.signed_distance(e.X[:, j].T)                   # a curved wall: out of it
            e.X[:, j] -= np.minimum(still, 0.0) * normal.T
            if np.isinf(self.kappa[w]):
                killed = push > 0
            else:
                killed = draws[w, 1, j] < -np.expm1(-self.kappa[w] * push / (self.theta * along))
            k = j[killed]
            walls[k], fractions[k] = w, draws[w, 2, k]
            e.X[:, k] -= region.signed_distance(e.X[:, k].T) * normal[killed].T
        after[:] = self._distances(e.X)
        return walls, fractions, Y

    @staticmethod
    def _normals(region, points):
        """Unit normals (n, d) that point away from the region, by central differences of its distance."""
        h = SLOPE * np.maximum(1.0, abs(points))
        g = np.empty(points.shape)
        for i in range(points.shape[1]):
            ahead, behind = points.copy(), points.copy()
            ahead[:, i] += h[:, i]
            behind[:, i] -= h[:, i]
            g[:, i] = (region.signed_distance(ahead) - region.signed_distance(behind)) / (2 * h[:, i])
        return g / np.maximum(np.sqrt((g * g).sum(axis=1)), 1e-300)[:, None]
