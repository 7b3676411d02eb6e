"""What an evolution needs to know of a diffusion: its lines, exact cell masses and functionals, also at other
times and on other grids."""
from __future__ import annotations

import numpy as np

from ...core.logarithms import dot
from .assembly import assemble, axis_mobility, temperature
from .reconstruction import chunks


class Problem:
    """A diffusion (FokkerPlanck, or any object with its chain), at any time when theta or f move."""

    def __init__(self, diffusion, parent=None):
        self.diffusion, self.parent = diffusion, parent
        self.grid, self.potential, self.theta = diffusion.grid, diffusion.potential, diffusion.theta
        self.mobility = getattr(diffusion, "mobility", None)
        self.absorbing = getattr(diffusion, "absorbing", None)
        self.is_moving = callable(self.theta) or bool(getattr(self.potential, "is_time_dependent", False))
        self._frozen = None, None
        self._of_masses = self._wait = None

    @property
    def inside(self):
        """Cells of the domain; None when neither a mask nor the potential's domain can exclude any."""
        if self.grid.mask is None and not callable(getattr(self.potential, "domain",
                                                           None)) and hasattr(self.diffusion, "absorbing"):
            return None
        return self.diffusion.inside

    @property
    def energies(self):
        """f at the cell centres, if the diffusion holds it already and f does not move; else None."""
        return None if getattr(self.potential, "is_time_dependent",
                               False) else self.diffusion.__dict__.get("_energies", (None,))[0]

    @property
    def is_split(self):
        """True when the chain is our own of order 4: the recommended scheme, nothing absorbed, a mobility
        without off-diagonal entries."""
        if getattr(self.diffusion, "scheme", "recommended") != "recommended" or self.absorbing is not None:
            return False
        try:
            axis_mobility(self)
        except ValueError:
            return False
        return True

    @property
    def can_coarsen(self):
        return hasattr(self.diffusion, "absorbing")  # ours, and not a chain that exists on one grid only

    def on(self, grid):
        """The same diffusion on another grid; half as many cells an axis take over the masses of this one."""
        D = self.diffusion
        return Problem(type(D)(D.potential, D.theta, grid, D.mobility, D.scheme, D.absorbing), self)

    def frozen(self, time):
        """The diffusion at one moment."""
        if not self.is_moving:
            return self.diffusion
        if self._frozen[0] != time:
            self._frozen = time, self.diffusion.at(time)
        return self._frozen[1]

    def lines(self, order, time=0.0):
        if self.is_split:
            lines = assemble(self, time, order)
            if self._of_masses is None or self.is_moving:
                self._quick(lines, time)
            return lines
        from .chain_operator import chain_lines
        return chain_lines(self.frozen(time), order)

    def theta_at(self, time):
        """Temperature at one moment; it may not reach zero."""
        return temperature(self.theta, time)

    def _quick(self, lines, time):
        """Masses in one compiled pass, where that is good enough for the sum and nothing better is there
        already."""
        self._wait = time, lines
        self._of_masses = None

    def _masses(self, time):
        """(log masses (N,), f0, relative errors (N,) or None) at one moment."""
        if self._of_masses is not None and (not self.is_moving or self._of_masses[0] == time):
            return self._of_masses[1]
        found = None
        if self.parent is not None and not self.is_moving and all(n == 2 * m for n,
                                                                  m in zip(self.parent.grid.shape,
                                                                           self.grid.shape)):
            logs, f0, _ = self.parent._masses(time)
            top = logs.max()
            with np.errstate(divide="ignore"):
                logs = np.log(joined(np.exp(logs - top), self.parent.grid.shape)).ravel() + top
            found = np.where(np.asarray(self.diffusion.inside).ravel(), logs, -np.inf), f0, None
        elif self._wait is not None and self._wait[0] == time and "_cell_masses" not in self.diffusion.__dict__:
            found = self._quick_masses(self._wait[1], time)
        if found is None:
            frozen = self.frozen(time)
            found = np.asarray(frozen.cell_log_mass, float).ravel(), float(frozen.f0), None
        self._of_masses = time, found
        return found

    def _quick_masses(self, lines, time):
        from ..gibbs.cell_masses import spline_knots
        from ..gibbs.cut_cells import domain_rule
        from ..gibbs.quick_masses import SUM_ERROR, is_smooth, quick_masses
        V = self.potential
        if (V.is_black_box or spline_knots(V) is not None or not is_smooth(V)
                or domain_rule(V, self.grid) is not None):               # walls that cut cells
            return None
        p = V.p
        if getattr(V, "is_time_dependent", False):
            p = np.array(p)
            p[V.time_index] = time
        inside = lines.W > 0
        B = -np.log(np.where(inside, lines.W, 1.0)) if lines.inside is not None else -np.log(lines.W)
        logs, error = quick_masses(V, p, 1 / lines.theta, self.grid, lines.f0, B, float(lines.W.sum()))
        if lines.inside is not None:
            logs[~inside], error[~inside] = -np.inf, 0.0
        wrong = sum(dot(lines.W[part], error[part].astype(float)) for part in chunks(logs.size))
        if not wrong <= SUM_ERROR[self.grid.ndim] * float(lines.W.sum()):
            return None
        return logs, lines.f0, error

    def is_rough(self, P):
        """True, once, when the quick masses are not good enough where the density P lives; the next ones are
        exact."""
        error = None if self._of_masses is None else self._of_masses[1][2]
        from ..gibbs.quick_masses import LOCAL_ERROR
        if error is None or not sum(dot(P[part], error[part].astype(float))
                                    for part in chunks(P.size)) > LOCAL_ERROR[self.grid.ndim]:
            return False
        self._of_masses = self._wait = None
        return True

    def log_mass(self, time):
        """log of int exp(-beta (f - f0)) over the cells (N,), -inf outside."""
        return self._masses(time)[0]

    def f0(self, time):
        return self._masses(time)[1]

    def reading_log_mass(self, time):
        """The same, of the part of each cell that is not absorbed."""
        logs = self.log_mass(time)
        if self.absorbing is None:
            return logs
        from ..discretisation.absorbing_boundary import outside_fractions
        space = self.frozen(time)._space
        return np.where(space.states.ravel(), logs + outside_fractions(space), -np.inf)

    # functionals
    # ----------------------------------------------------------------------------------------------------
    def equilibrium(self, time, reading, masses):
        """Exact cell probabilities of the equilibrium, each connected part with its own mass."""
        return reading.scaled(reading.G, masses)

    def functionals(self, P, time, reading, masses):
        """Free energy, relative entropy and total variation distance to the equilibrium."""
        log_mass, f0, theta = self.log_mass(time), self.f0(time), self.theta_at(time)
        Q = self.equilibrium(time, reading, masses)
        gap = entropy = own = 0.0
        with np.errstate(divide="ignore"):
            for part in chunks(P.size):
                at = P[part] > 0
                p, q = P[part][at], Q[part][at]
                logs = np.log(p)
                gap += float(np.abs(P[part] - Q[part]).sum())
                entropy += float((p * (logs - np.log(q))).sum())  # inf where Q underflows and P does not
                own += float((p * (logs - log_mass[part][at])).sum())
        return f0 * float(P.sum()) + theta * own, (max(entropy, 0.0) if self.absorbing is None
                                                   else entropy), 0.5 * gap

    def resolution(self, lines):
        """|sum D / sum G - 1|: how far the nodes' sum of exp(-beta f) is from its integral over the domain;
        NaN when f moves."""
        if self.is_moving or not self.is_split:
            return np.nan
        logs = self.log_mass(0.0)
        top = logs.max()
        volumes = self.grid.volumes.ravel() if not self.grid.is_uniform else float(np.prod(self.grid.h))
        shift = (self.f0(0.0) - lines.f0) / lines.theta - top
        total = sum(float(np.exp(logs[part] - top).sum()) for part in chunks(logs.size))
        nodes = float(lines.W.sum()) * volumes if self.grid.is_uniform else dot(lines.W, volumes)
        return abs(nodes / total * np.exp(min(max(shift, -700), 700)) - 1)

    def theta_text(self, times):
        return [self.theta_at(t) for t in times] if callable(self.theta) else float(self.theta)

    def provenance(self):
        """What made the chain, as plain data."""
        V, D = self.potential, self.diffusion
        from ... import __version__
        mobility, params = self.mobility, getattr(V, "params", None)
        return {"version": __version__, "potential": str(getattr(V, "source", V)),
                "digest": str(getattr(V, "digest", "")),
                "params": {k: float(v) for k, v in params.items()} if isinstance(params, dict) else {},
                "theta": repr(D.theta) if callable(D.theta) else float(D.theta),
                "scheme": str(getattr(D, "scheme", "recommended")),
                "mobility": None if mobility is None else repr(mobility) if callable(mobility)
                else np.asarray(mobility).tolist(),
                "absorbing": None if self.absorbing is None else repr(self.absorbing),
                "shape": list(self.grid.shape), "bounds": [list(b) for b in self.grid.bounds],
                "periodic": list(self.grid.periodic)}


def joined(values, shape):
    """Sums over blocks of two cells along each axis; values of size prod(shape)."""
    split = [m for n in shape for m in (n // 2, 2)]
    return np.reshape(values, split).sum(axis=tuple(range(1, 2 * len(shape), 2)))
