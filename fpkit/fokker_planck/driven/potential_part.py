"""A drift and a diffusion matrix in two dimensions as a potential and a force.

Selling's edges carry the potential exactly and the force with low order, so that as much as can be should be
potential. The current of a density p is J = a p - D grad p with a = b - div D; minus log p is the potential
phi that leaves the least of J, in the metric that p and D make:

    div[p D grad phi] = -div[p a],    p = exp(-phi),

solved by bilinear elements and a few rounds, each with the p of the last one. Whatever phi comes out, the
process dX = D (-grad phi + F) dt + div D dt + sqrt(2 D) dW with F = D^-1 a + grad phi is the one that was
given.

References
----------
H. Ge, H. Qian, Int. J. Mod. Phys. B 26, 1230012 (2012).
"""
from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import diags, kron
from scipy.sparse.linalg import splu

from ...core.grid import Grid
from ...potentials.diffusion import Diffusion
from ...potentials.grid_potential import GridPotential

ROUNDS = 4
LEAST_CELLS = 6
MOST_LEFT = 0.3              # measured: below, the split is better, 2 to 100 times; far above, worse
LOWEST = 25.0                # e-foldings below which cells count alike: they hold next to nothing
GAUSS = (0.5 - np.sqrt(1 / 12), 0.5 + np.sqrt(1 / 12))


def has_potential_part(diffusion: Any) -> bool:
    """Whether `with_potential_part` is for this `FokkerPlanck`."""
    grid, process = diffusion.grid, diffusion.frozen_process
    return (process.equation is not None and process.mobility.is_tensor and grid.ndim == 2
            and not any(grid.periodic) and min(grid.shape) >= LEAST_CELLS and bool(diffusion.inside.all()))


def with_potential_part(process: Diffusion, grid: Grid) -> Diffusion | None:
    """The same process with a potential split off its drift, for a grid of two axes without rings or masks;
    None where the force that is left dissipates more than the potential holds, and nothing would be gained.

    Examples
    --------
    >>> import fpkit as fp
    >>> X = fp.Diffusion.from_sde("(-x + y/8, -y - x/8)", [[1, 0.3], [0.3, 0.5]])
    >>> Y = with_potential_part(X, fp.Grid([(-3, 3)] * 2, (12, 12)))
    >>> bool(np.allclose(X.drift([1.0, 0.5]), Y.drift([1.0, 0.5])))
    True
    """
    axes = grid.edges
    step = [diags([-1 / np.diff(e), 1 / np.diff(e)], [0, 1], (e.size - 1, e.size)) for e in axes]
    slopes, points = [], []
    for s in GAUSS:
        for t in GAUSS:
            at = [diags([1 - u, u], [0, 1], (e.size - 1, e.size)) for u, e in zip((s, t), axes)]
            slopes.append([kron(step[0], at[1], "csr"), kron(at[0], step[1], "csr")])
            points.append(np.stack(np.meshgrid(*(e[:-1] + u * np.diff(e) for u, e in zip((s, t), axes)),
                                               indexing="ij"), -1).reshape(-1, 2))
    area = np.multiply.outer(*(np.diff(e) for e in axes)).ravel()
    a, D = [process.advection(x) for x in points], [process.diffusion(x) for x in points]
    phi = np.zeros(axes[0].size * axes[1].size)
    for _ in range(ROUNDS):
        stiff, load = 0.0, 0.0
        top = phi.min()
        for G, x, aq, Dq in zip(slopes, points, a, D):
            here = _bilinear(phi, axes, x)
            w = area * np.exp(-np.clip(here - top, 0.0, LOWEST))
            for i in range(2):
                load = load - G[i].T @ (w * aq[:, i])
                for j in range(2):
                    stiff = stiff + G[i].T @ diags(w * Dq[:, i, j]) @ G[j]
        known = np.arange(1, phi.size)                        # phi of one corner is 0
        phi = np.zeros(phi.size)
        phi[known] = splu(stiff.tocsc()[1:, 1:]).solve(load[1:])
    left = held = 0.0
    for G, x, aq, Dq in zip(slopes, points, a, D):
        w = area * np.exp(-np.clip(_bilinear(phi, axes, x) - phi.min(), 0.0, LOWEST))
        slope = np.stack([G[0] @ phi, G[1] @ phi], -1)
        rest = aq + np.einsum("nij,nj->ni", Dq, slope)
        left += w @ (rest * np.linalg.solve(Dq, rest[..., None])[..., 0]).sum(1)
        held += w @ np.einsum("ni,nij,nj->n", slope, Dq, slope)
    if left > MOST_LEFT * held:
        return None
    V = GridPotential(axes, process.theta * phi.reshape(axes[0].size, axes[1].size))
    return Diffusion(V, process.theta, process.mobility, _Rest(process, V))


def _bilinear(values, axes, points):
    """Values at the corners (flat) between them, at points (n, 2)."""
    table, at, share = values.reshape(axes[0].size, axes[1].size), [], []
    for e, x in zip(axes, points.T):
        k = np.clip(np.searchsorted(e, x, side="right") - 1, 0, e.size - 2)
        at.append(k)
        share.append((x - e[k]) / (e[k + 1] - e[k]))
    (i, j), (s, t) = at, share
    return ((1 - s) * ((1 - t) * table[i, j] + t * table[i, j + 1])
            + s * ((1 - t) * table[i + 1, j] + t * table[i + 1, j + 1]))


class _Rest:
    """The force M^-1 a + grad f that the potential leaves."""

    def __init__(self, process: Diffusion, potential: GridPotential) -> None:
        self.process, self.potential, self.__name__ = process, potential, "rest of the drift"

    def __call__(self, points: np.ndarray) -> np.ndarray:
        a, M = self.process.advection(points), self.process.mobility.matrices(points)
        return np.linalg.solve(M, a[..., None])[..., 0] + self.potential.gradient(points)
