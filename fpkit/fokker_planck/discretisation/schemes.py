"""Space schemes by name: a rule for the conductance of an edge and a rule for the mass of a cell.

Conductances on an edge of length h with face area A, d = beta (f_b - f_a), B(d) = d/(e^d - 1):
scharfetter-gummel theta A/h e^{-beta f_a} B(d); sqra theta A/h e^{-beta (f_a + f_b)/2}; midpoint theta A/h
e^{-beta f_mid}; harmonic 2 theta A/h / (e^{beta f_a} + e^{beta f_b}); arithmetic theta A/h (e^{-beta f_a} +
e^{-beta f_b})/2; quadrature theta A / int exp(beta f) along the edge; face the mean of that over lines
through the face; committor (2D) lines weighted by the transverse hat. Masses: node volume * exp(-beta
f(x_i)); cell int exp(-beta f) over the cell; committor int hat_i exp(-beta f), the hat 1 at the node, 0 at
its neighbours, following int exp(beta f) between them.
"""
from __future__ import annotations

import numpy as np

from ...core import checks
from .chain import Chain
from .edge_integrals import hats, log_mean_resistance
from ..gibbs.quadrature import gauss

CONDUCTANCES = ("scharfetter-gummel", "sqra", "midpoint", "harmonic", "arithmetic", "quadrature", "face",
                "committor")
MASSES = ("node", "cell", "committor")
RECOMMENDED = {1: ("quadrature", "committor"), 2: ("committor", "committor"), 3: ("face", "cell")}
ALIASES = {"sg": "scharfetter-gummel"}
FACE_LINES = {2: 4, 3: 3}                 # Gauss lines through a face, on each of its axes


def names(ndim=2):
    """Names accepted as `scheme` in `ndim` dimensions: "recommended", a conductance (with node masses), or
    conductance/mass."""
    conductances = [c for c in CONDUCTANCES if ndim > 1 or c not in ("face", "committor")]
    conductances = [c for c in conductances if ndim < 3 or c != "committor"]
    masses = [m for m in MASSES if ndim < 3 or m != "committor"]
    return ["recommended", *conductances[:5], *(f"{c}/{m}" for c in conductances for m in masses)]


def parsed(scheme, ndim):
    """(conductance, mass) of a scheme; an unknown name is refused with the nearest one."""
    if scheme in ALIASES:
        scheme = ALIASES[scheme]
    scheme = checks.choice("scheme", scheme, names(ndim))
    if scheme == "recommended":
        return RECOMMENDED[ndim]
    conductance, _, mass = scheme.partition("/")
    return conductance, mass or "node"


def assemble(space, scheme, cell_log_mass):
    """Chain of a scheme.

    Parameters
    ----------
    space : Space
    scheme : str
    cell_log_mass : callable
        Gives log of int exp(-beta (f - f0)) over the cells (flat) when it is called.

    Returns
    -------
    Chain
        Raw logarithms, not clipped.
    """
    conductance, mass = parsed(scheme, space.grid.ndim)
    notes = {"scheme": f"{conductance}/{mass}"}
    if space.grid.ndim == 1 and (conductance, mass) == ("quadrature", "committor"):
        return _milestones(space, notes)
    if space.mobility.tensor is not None:
        from .tensor_stencil import tensor_edges
        if conductance in ("face", "committor"):
            conductance = "quadrature"
            notes["scheme"] = f"quadrature/{mass} on the stencil of the tensor"
        edges, log_cond = tensor_edges(space, conductance)
    elif conductance == "committor":
        from .committor_scheme import committor_plane
        log_mass, edges, log_cond = committor_plane(space)
    else:
        found = [axis_conductances(space, k, conductance) for k in range(space.grid.ndim)]
        edges, log_cond = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
    if mass == "committor" and conductance != "committor":
        from .committor_scheme import committor_plane
        log_mass = committor_plane(space)[0] if space.grid.ndim == 2 else _with_shift(_milestones(space.without_region(), {}))
    elif mass != "committor":
        log_mass = node_masses(space) if mass == "node" else np.array(cell_log_mass(), float).ravel()
    log_mass = np.where(space.states.ravel(), log_mass, -np.inf)
    log_ground = None
    if space.region is not None:
        from .absorbing_boundary import ground, outside_fractions
        log_ground = ground(space, conductance, notes)
        log_mass = log_mass + outside_fractions(space)
    return Chain.of(log_mass, edges, log_cond, log_ground, notes)


def node_masses(space):
    """log of volume * exp(-beta (f - f0)) at the cell centres."""
    return np.log(space.grid.volumes).ravel() - space.B


def axis_conductances(space, axis, conductance):
    """Edges (n, 2) between states along one axis, and log conductances."""
    e = space.pairs(axis)
    edges = np.stack([e.a, e.b], axis=1)
    if conductance == "face" and space.grid.ndim == 3 and space.exponent.is_compiled and space.mobility.diagonal is not None:
        return edges, np.log(space.theta * space.mobility.diagonal[axis] * e.area
                             / e.length) + _face_means(space, e)
    return edges, log_conductance(space, conductance, axis, e.start, e.step, e.length, e.area, space.B[e.a],
                                  space.B[e.b], e.across)


def log_conductance(space, conductance, axis, start, step, length, area, Ba, Bb, across=None):
    """log of the conductance of segments along an axis (or of any direction, axis None and mobility left
    out).

    Parameters
    ----------
    start, step : ndarray (ndim, n); length, area, Ba, Bb : ndarray (n,)
        Ba, Bb are beta (f - f0) at the two ends.
    across : ndarray (ndim, n), optional
        Widths of the face, for the rule "face".
    """
    scale = np.log(space.theta * area / length)
    if conductance in ("quadrature", "committor") or conductance == "face" and across is None:
        return scale - log_mean_resistance(space, start, step, axis)
    if conductance == "face":
        return scale + _face_mean(space, axis, start, step, across)
    if axis is not None:
        scale = scale + space.mobility.log_along(axis, start + step / 2)
    return scale + log_weight(space, conductance, start, step, Ba, Bb)


def log_weight(space, conductance, start, step, Ba, Bb):
    """log of the mean of exp(-beta (f - f0)) on an edge, by the two end values or by its middle."""
    d = Bb - Ba
    if conductance == "scharfetter-gummel":
        return log_bernoulli(d) - Ba
    if conductance == "sqra":
        return -(Ba + Bb) / 2
    if conductance == "midpoint":
        return -space.exponent(start + step / 2)
    if conductance == "harmonic":
        return np.log(2) - np.logaddexp(Ba, Bb)
    return np.logaddexp(-Ba, -Bb) - np.log(2)


def log_bernoulli(d):
    """log of d / (exp(d) - 1), for any d."""
    size = np.maximum(np.abs(d), 1e-9)
    return np.where(np.abs(d) < 1e-5, -d / 2 - d * d / 24, np.log(size) - np.log(-np.expm1(-size))
                    - np.maximum(d, 0))


def _face_mean(space, axis, start, step, across):
    """log of the mean over lines through the face of 1 / mean of exp(beta (f - f0)) / M on the line."""
    d = space.grid.ndim
    if d == 1:
        return -log_mean_resistance(space, start, step, axis)
    x, w = gauss(FACE_LINES[d])
    others = [k for k in range(d) if k != axis]
    total = np.full(start.shape[1], -np.inf)
    for index in np.ndindex(*(x.size,) * len(others)):
        at, weight = start.copy(), 1.0
        for k, i in zip(others, index):
            at[k] += (x[i] - 0.5) * across[k]
            weight *= w[i]
        total = np.logaddexp(total, np.log(weight) - log_mean_resistance(space, at, step, axis))
    return total


def _face_means(space, e):
    """`_face_mean` for all edges of one axis by a kernel, mobility left out."""
    from . import face_kernels
    from .edge_integrals import ABOVE_RIM, MAX_PIECES, STEP
    from .coefficients import spacings
    grid, exponent = space.grid, space.exponent
    lines = np.stack([np.concatenate(part) for part in (grid.centres, grid.widths,
                                                        [spacings(grid, k) for k in range(grid.ndim)])])
    out = np.empty(e.a.size)
    if out.size:
        x, w = gauss(4)
        face_kernels.face_means(lines, np.array(grid.shape), e.axis, exponent.potential.block("value"),
                                exponent.potential.p, exponent.beta, exponent.f0,
                                np.ascontiguousarray(e.a), x.copy(), w.copy(),
                                np.stack(gauss(FACE_LINES[grid.ndim])), STEP, ABOVE_RIM, MAX_PIECES,
                                space.rim, out)
    return out


def _milestones(space, notes):
    """The exact chain of visits to the nodes in one dimension: stationary mass, committors, capacities and
    mean passage times between nodes are those of the continuum, on any mesh and at any temperature.
    """
    grid, n = space.grid, space.grid.n_cells
    e, states, theta = space.axis_edges[0], space.states, space.theta
    if space.region is not None:
        from .absorbing_boundary import check_selection
        check_selection(space)
    both = states[e.a] & states[e.b]
    centre = grid.centres[0]
    log_mass, log_ground = np.full(n, -np.inf), np.full(n, -np.inf)
    R, left, right = hats(space, e.start[:, both], e.step[:, both])
    a, b = e.a[both], e.b[both]
    np.logaddexp.at(log_mass, a, left)
    np.logaddexp.at(log_mass, b, right)
    log_cond = np.log(theta) - R
    for i, step in _walls(space, absorbing=False):
        _, left, right = hats(space, centre[None, i], step[None])
        np.logaddexp.at(log_mass, i, np.logaddexp(left, right))
    if space.region is not None:
        for i, step in line_cuts(space):
            R, left, _ = hats(space, centre[None, i], step[None])
            np.logaddexp.at(log_mass, i, left)
            np.logaddexp.at(log_ground, i, np.log(theta) - R)
    log_mass = np.where(states, log_mass, -np.inf)
    return Chain.of(log_mass, np.stack([a, b], axis=1), log_cond, log_ground, notes)


def _walls(space, absorbing):
    """1D: (states, steps to the wall or the edge of the domain beside them) on either side, where the region
    reaches the wall or where it does not."""
    e, n = space.axis_edges[0], space.grid.n_cells
    linked = np.zeros((2, n), bool)                      # has an inside neighbour before, after it
    linked[1, e.a] = linked[0, e.b] = True
    for side in (0, 1):
        i = np.flatnonzero(space.states & ~linked[side])
        wall = space.grid.edges[0][i + side]
        is_in = np.zeros(i.size, bool) if space.region is None else space.region.contains(wall[:, None])
        if (is_in == absorbing).any():
            yield i[is_in == absorbing], (wall - space.grid.centres[0][i])[is_in == absorbing]


def line_cuts(space):
    """1D: (states, steps to the boundary of the region beside them), for each direction, where an edge or the
    way to a wall meets it."""
    e, centre = space.axis_edges[0], space.grid.centres[0]
    for i, step in _walls(space, absorbing=True):
        yield i, _crossing(space.region, centre[i], step)
    for here, there, sign in ((e.a, e.b, 1.0), (e.b, e.a, -1.0)):
        pick = space.states[here] & space.absorbed[there]
        if pick.any():
            yield here[pick], _crossing(space.region, centre[here[pick]], sign * e.length[pick])


def _crossing(region, start, step):
    """Steps shortened to the boundary of the region."""
    s = region.crossing(start[:, None], (start + step)[:, None])
    return step * np.clip(np.nan_to_num(s, nan=1.0), 1e-12, 1.0)


def _with_shift(chain):
    return chain.log_mass + chain.shift
