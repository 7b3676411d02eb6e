"""From a diffusion to the rates of its lines: the potential on the nodes and the line quadrature of the
edges."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ...core.compilation.kernels import PARALLEL_CELLS
from ...potentials.mobility import mobility_of
from ..discretisation.edge_integrals import log_mean_exp
from .split_operator import SplitOperator, positions

LARGEST_RATE = 1e200  # sums and products of rates and steps stay in range
NO_DRIVE = np.zeros((3, 0))
SIMPSON = np.array([1.0, 4.0, 1.0]) / 6


def assemble(diffusion, time=0.0, order=4):
    """Lines of `diffusion` at one time.

    The rate from a node i along an edge of length h is theta m exp(beta f_i) / (h int exp(beta f)), m the
    mobility: the flux that Scharfetter and Gummel take, with the integral done for f as it is, by Simpson
    where beta f changes by less than 1/4, else composite Gauss. On steep edges it is the upwind rate |f'|/h.
    With a force F the exponent along the edge is beta f - beta int F, F as a parabola through three points.
    Order 4 needs uniform axes and a constant diagonal mobility; elsewhere the same formulas are of order 2.
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
    f0 = float(f.min() if inside is None else f[inside].min())
    b = (f - f0) * (1 / theta)
    if inside is not None:
        b[~inside] = 0.0                   # these nodes have no edges
    process, work = diffusion.driven_process, []
    force = None if process is None else driving(process, grid.points)
    up, down, delta = [], [], []
    typical = np.array(mobility if is_constant else np.ones(grid.ndim), float)
    for axis in range(grid.ndim):
        lengths = np.diff(values.x[axis])
        is_ring = grid.periodic[axis]
        shape = [n - (1 if a == axis and not is_ring else 0) for a, n in enumerate(grid.shape)]
        drive = NO_DRIVE
        if force is not None:
            drive = _drive(process, force, grid, axis, values.x) / theta
            work.append(SIMPSON @ drive)
            if inside is not None:
                _close(work[-1].reshape(shape), inside.reshape(grid.shape), axis, is_ring)
        rates = values.edges(axis, 1 / theta, f0, b, theta / float(grid.h[axis]) if grid.is_uniform
                             else theta, drive)
        forth, back = (c.reshape(shape) for c in rates)
        if not grid.is_uniform:  # a rate is flux through the face over the width of the cell it leaves
            width = grid.widths[axis].reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
            forth /= np.take(width, np.arange(shape[axis]), axis)
            back /= np.roll(width, -1, axis)[(slice(None),) * axis + (slice(shape[axis]),)]
        if is_constant:
            factor = float(mobility[axis])
        else:
            factor = _edge_mobility(mobility, grid, axis, values.x)
            typical[axis] = float(np.max(factor))
        for field in (forth, back):
            if np.ndim(factor) or factor != 1.0:
                field *= factor
            if inside is not None:
                _close(field, inside.reshape(grid.shape), axis, is_ring)
            largest = field.max(initial=0.0)
            if np.isnan(largest):
                raise ValueError(f"the {'potential' if force is None else 'drift'} is NaN between "
                                 f"{int(np.isnan(field).sum())} pairs of cell "
                                 "centres; take these cells out with Grid(..., mask=...) or move the bounds.")
            if largest > LARGEST_RATE:
                np.minimum(field, LARGEST_RATE, out=field)
        up.append(rates[0])
        down.append(rates[1])
        # the correction of order 4 assumes equal edges and one mobility; on other lines it would only cost
        # positivity
        is_uniform_axis = np.ptp(lengths[:-1]) <= 1e-9 * lengths[0]
        delta.append(lengths**2 / (12 * theta * mobility[axis]) if order == 4 and is_constant
                     and is_uniform_axis
                     else np.zeros(lengths.size))
    return SplitOperator(grid, b, up, down, delta, None, theta, inside, f0, order, typical, work or None)


def driving(process, points):
    """The force F at points (..., ndim); D^-1 b for an equation with the drift b and a constant diagonal D,
    whose f is 0 and theta 1."""
    if process.equation is None:
        return process.force(points)
    return process.advection(points) / process.mobility.diagonal


def _drive(process, force, grid, axis, x):
    """Force along the edges of an axis times their lengths (3, n_edges), at both ends and in the middle."""
    m = grid.shape[axis] - (0 if grid.periodic[axis] else 1)
    along = force[..., axis]
    middle = driving(process, _middles(grid, axis, x))[..., axis]
    ends = (np.take(np.roll(along, -k, axis), np.arange(m), axis) for k in (0, 1))
    lengths = np.diff(x[axis])[:m].reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
    first, last = (end * lengths for end in ends)
    return np.stack([first.ravel(), (middle * lengths).ravel(), last.ravel()])


def temperature(theta, time):
    """theta at one moment, positive."""
    if not callable(theta):
        return float(theta)
    return checks.number(f"theta({time:g})", theta(time), positive=True,
                         hint="Annealing may approach zero but not reach it; the limit is "
                         "`fpkit.gradient_flow`.")


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
    return mobility.at(_middles(grid, axis, x))[..., axis]


def _middles(grid, axis, x):
    """Points (..., ndim) in the middle of the edges along an axis."""
    lines = [x[a][:-1] for a in range(grid.ndim)]
    middle = (x[axis][1:] + x[axis][:-1]) / 2
    lines[axis] = middle if grid.periodic[axis] else middle[:-1]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)


def _close(field, inside, axis, is_ring):
    """Rate 0 on every edge that touches the outside."""
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

    def edges(self, axis, beta, f0, b, scale, drive):
        from . import assembly_kernels as kernels
        is_ring = self.grid.periodic[axis]
        n = self.grid.shape[axis]
        up, down = np.empty((2, self.grid.n_cells // n * (n if is_ring else n - 1)))
        kernel = kernels.edge_rates_parallel if self.is_parallel else kernels.edge_rates
        kernel(self.joined, self.shape, axis, is_ring, self.value, self.p, (beta, f0, scale), b, drive,
               up, down)
        return up, down


class _BlackBox:
    """The same for a potential that is only a Python function: three values an edge, a parabola between
    them."""

    def __init__(self, potential, grid):
        self.potential, self.grid, self.x = potential, grid, positions(grid)

    def nodes(self):
        self.f = np.asarray(self.potential(self.grid.points), float)
        return self.f.ravel()

    def edges(self, axis, beta, f0, b, scale, drive):
        grid, is_ring = self.grid, self.grid.periodic[axis]
        x, b = self.x[axis], b.reshape(grid.shape)
        n = grid.shape[axis] - (0 if is_ring else 1)
        lines = list(grid.centres)
        lines[axis] = ((x[1:] + x[:-1]) / 2)[:n]
        middle = np.asarray(self.potential(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)), float)
        left, right = (np.take(np.roll(b, -k, axis), np.arange(n), axis).ravel() for k in (0, 1))
        middle = (beta * (middle - f0)).ravel()
        middle = np.where(np.isfinite(middle), middle, (left + right) / 2)
        work = lambda s: 0.0
        if drive.size:
            slope, bend = -3 * drive[0] + 4 * drive[1] - drive[2], 2 * drive[0] - 4 * drive[1] + 2 * drive[2]
            work = lambda s: s * (drive[0] + s * (slope / 2 + s * bend / 3))
            middle, right = middle - work(0.5), right - work(1.0)
        steep = float(np.maximum(np.abs(left - middle), np.abs(right - middle)).max(initial=0.0))
        parabola = lambda s: np.stack([left * (1 - y) * (1 - 2 * y) + middle * 4 * y * (1 - y)
                                       + right * y * (2 * y - 1) for y in s])
        logs = log_mean_exp(parabola, int(min(max(1, np.ceil(steep / 2)), 64)))
        lengths = np.diff(x)[:n].reshape([-1 if k == axis else 1 for k in range(grid.ndim)])
        lengths = np.broadcast_to(lengths, [n if k == axis else m for k, m in enumerate(grid.shape)]).ravel()
        return scale / lengths * np.exp(left - logs), scale / lengths * np.exp(right - logs)
