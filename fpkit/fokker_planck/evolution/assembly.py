"""From a diffusion to its lines: the potential on the nodes and the line quadrature of the conductances."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ...core.compilation.kernels import PARALLEL_CELLS
from ...potentials.mobility import mobility_of
from .split_operator import CLIP, SplitOperator, positions


def assemble(diffusion, time=0.0, order=4):
    """Lines of `diffusion` at one time.

    c_e = theta A m / int exp(beta f) along the edge (A face, m mobility): Simpson where beta f changes by
    less than 1/4, else composite Gauss. Order 4 needs uniform axes and a constant diagonal mobility;
    elsewhere the same formulas are of order 2.
    """
    grid, potential = diffusion.grid, diffusion.potential
    theta = temperature(diffusion.theta, time)
    mobility, is_constant = axis_mobility(diffusion)
    values = _BlackBox(potential, grid) if potential.is_black_box else _Compiled(potential, grid, time)
    known = diffusion.energies
    if known is None:
        f = values.nodes()
    else:
        values.f, f = known, known.ravel()
    inside = domain(diffusion)
    if inside is None and not np.isfinite(f).all():
        inside = domain(diffusion.diffusion)                   # f = inf is a wall; NaN is refused there
    if inside is not None:
        f = np.where(inside, f, np.inf)
    f0 = float(f.min())
    W = (f - f0) * (-1 / theta)
    high = W < -CLIP
    if high.any():                         # the slope keeps its sign, so that nothing gets stuck up there
        W[high] = -softened(-W[high])
    np.exp(W, out=W)
    if inside is not None:
        W[~inside] = 1.0                   # any positive number: these nodes have no edges
    mean_volume = float(grid.volumes.mean()) if not grid.is_uniform else float(np.prod(grid.h))
    C, delta, typical = [], [], np.array(mobility if is_constant else np.ones(grid.ndim), float)
    for axis in range(grid.ndim):
        lengths = np.diff(values.x[axis])
        is_ring = grid.periodic[axis]
        scale = theta if not grid.is_uniform else theta / float(grid.h[axis])
        c = values.edges(axis, 1 / theta, f0, W, scale)
        shape = [n - (1 if a == axis and not is_ring else 0) for a, n in enumerate(grid.shape)]
        field = c.reshape(shape)
        if not grid.is_uniform:
            for a, w in enumerate(grid.widths):
                if a != axis:
                    field *= w.reshape([-1 if b == a else 1 for b in range(grid.ndim)])
            field /= mean_volume
        if is_constant:
            if mobility[axis] != 1.0:
                field *= mobility[axis]
        else:
            on_edges = _edge_mobility(mobility, grid, axis, values.x)
            field *= on_edges
            typical[axis] = float(np.max(on_edges))
        if inside is not None:
            _close(field, inside.reshape(grid.shape), axis, is_ring)
        C.append(c)
        # the correction of order 4 assumes equal edges and one mobility; on other lines it would only cost
        # positivity
        is_uniform_axis = np.ptp(lengths[:-1]) <= 1e-9 * lengths[0]
        delta.append(lengths**2 / (12 * theta * mobility[axis]) if order == 4 and is_constant
                     and is_uniform_axis
                     else np.zeros(lengths.size))
    if inside is not None:
        W[~inside] = 0.0
    return SplitOperator(grid, W, C, delta, None, theta, inside, f0, order, typical)


def temperature(theta, time):
    """theta at one moment, positive."""
    if not callable(theta):
        return float(theta)
    return checks.number(f"theta({time:g})", theta(time), positive=True,
                         hint="Annealing may approach zero but not reach it; the limit is "
                         "`fpkit.gradient_flow`.")


def softened(b):
    """beta (f - f0) that rises logarithmically above CLIP, so that exp(+-b) and their products stay in
    range."""
    return np.where(b > CLIP, CLIP + np.log1p(np.minimum(np.maximum(b, CLIP), 1e30) - CLIP), b)


def space_order(lines):
    """4 when every axis carries the order-4 mass and nothing is absorbed, else 2."""
    return 4 if lines.is_split and lines.killing is None and all((d > 0).all() for d in lines.delta) else 2


def domain(diffusion):
    """Cells of the domain as a flat bool array, or None when all are."""
    inside = diffusion.grid.inside if diffusion.inside is None else diffusion.inside
    inside = np.asarray(inside, bool).ravel()
    return None if inside.all() else inside


def axis_mobility(diffusion):
    """Mobility of each axis: (numbers (ndim,), True), or (function of points, False). A full tensor is
    refused here."""
    M = mobility_of(diffusion.mobility, diffusion.grid.ndim)
    if M.is_full:
        raise ValueError("a mobility with off-diagonal entries does not split into lines.")
    return (M.diagonal, True) if M.is_constant else (M, False)


def _edge_mobility(mobility, grid, axis, x):
    """The mobility along `axis` at the middle of its edges."""
    is_ring = grid.periodic[axis]
    lines = [x[a][:-1] for a in range(grid.ndim)]
    middle = (x[axis][1:] + x[axis][:-1]) / 2
    lines[axis] = middle if is_ring else middle[:-1]
    return mobility.at(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1))[..., axis]


def _close(field, inside, axis, is_ring):
    """Conductance 0 on every edge that touches the outside."""
    after = np.roll(inside, -1, axis)
    both = inside & after
    if not is_ring:
        both = both[tuple(slice(None, -1) if a == axis else slice(None) for a in range(inside.ndim))]
    field[~both] = 0.0


class _Compiled:
    """Values and edge integrals of a potential with a compiled block function."""

    def __init__(self, potential, grid, time):
        self.value, self.p = potential.block("value"), potential.p
        if potential.is_time_dependent:
            self.p = np.array(potential.p)
            self.p[potential.time_index] = time
        self.grid, self.x = grid, positions(grid)
        self.joined, self.shape = np.concatenate(self.x), np.array(grid.shape)
        self.is_parallel = grid.n_cells >= PARALLEL_CELLS

    def nodes(self):
        from . import assembly_kernels as kernels
        f = np.empty(self.grid.n_cells)
        (kernels.node_values_parallel if self.is_parallel else kernels.node_values)(self.joined, self.shape,
                                                                                    self.value, self.p, f)
        return f

    def edges(self, axis, beta, f0, W, scale):
        from . import assembly_kernels as kernels
        is_ring = self.grid.periodic[axis]
        n = self.grid.shape[axis]
        c = np.empty(self.grid.n_cells // n * (n if is_ring else n - 1))
        kernel = kernels.edge_conductances_parallel if self.is_parallel else kernels.edge_conductances
        kernel(self.joined, self.shape, axis, is_ring, self.value, self.p, beta, f0, CLIP, W, scale, c)
        return c


class _BlackBox:
    """The same for a potential that is only a Python function: three values an edge, a parabola between
    them."""

    def __init__(self, potential, grid):
        self.potential, self.grid, self.x = potential, grid, positions(grid)

    def nodes(self):
        self.f = np.asarray(self.potential(self.grid.points), float)
        return self.f.ravel()

    def edges(self, axis, beta, f0, W, scale):
        grid, is_ring = self.grid, self.grid.periodic[axis]
        x = self.x[axis]
        n = grid.shape[axis] - (0 if is_ring else 1)
        lines = list(grid.centres)
        lines[axis] = ((x[1:] + x[:-1]) / 2)[:n]
        middle = np.asarray(self.potential(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)), float)
        a = np.take(self.f, np.arange(n), axis)
        b = np.take(np.roll(self.f, -1, axis), np.arange(n), axis)
        known = np.isfinite(a) & np.isfinite(b)
        middle = np.where(known & np.isfinite(middle), middle, np.where(known, (a + b) / 2, f0))
        a, b = np.where(known, a, f0), np.where(known, b, f0)
        steep = float(beta * np.max(np.maximum(np.abs(a - middle), np.abs(b - middle)))) if n else 0.0
        pieces = int(min(max(1, np.ceil(steep / 2)), 64))
        nodes, weights = np.polynomial.legendre.leggauss(4)
        highest = np.maximum(np.maximum(a, b), middle)
        mean = np.zeros_like(a)
        for s in range(pieces):
            for z, w in zip(nodes, weights):
                y = (s + (1 + z) / 2) / pieces
                f = a * (1 - y) * (1 - 2 * y) + middle * 4 * y * (1 - y) + b * y * (2 * y - 1)
                mean += w / (2 * pieces) * np.exp(beta * (f - highest))
        lengths = np.diff(x)[:n].reshape([-1 if k == axis else 1 for k in range(grid.ndim)])
        return (scale * np.exp(-softened(beta * (highest - f0))) / (mean * lengths)).ravel()
