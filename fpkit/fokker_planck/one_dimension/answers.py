"""Continuum answers of a diffusion in one dimension: spectrum, first passage, exit and effective diffusion,
whatever the grid.

Each is an integral of positive functions on adaptive Gauss panels, or an eigenvalue of a chain that is exact
on any panels (`passage`, `spectrum`). Nothing is formed by subtraction and all is kept in
logarithms, so rates of 1e-60 or 1e-10000 come with their full relative accuracy. The grid gives the domain
(bounds, walls, mask) and the points where fields are drawn.

Where f or log M diverges at an end like a power of the distance (Bessel, square-root and Wright-Fisher
diffusions) that end carries its exact integrals (`panels.PowerLaw`); an integral that is infinite is refused
where the answer needs it. Passage times and committors also hold where f slides down by more theta than the
spectrum can follow, to the noise-free limit (`panels.Steep`).
"""
from __future__ import annotations

import math

import numpy as np

from ...core.networks import log_eigenvalues
from ...core.results import Estimate, Field
from ...potentials.regions.shapes import HalfSpace, Region
from ..results import PerAxis, QuasiStationary, Spectrum
from .panels import HIGHEST, NO_DIGITS
from .passage import log_committor_mass, log_splitting, mean_time, variance
from .pieces import lines, marked
from .spectrum import Modes, interpolated, log_cell_masses
from .tilted_ring import log_velocity_and_diffusion

QUADRATURE = "log-space quadrature in 1D"
ELEMENTS = "spectral elements in 1D"
# relative error that eigenvalues of a ring may have beside it: nearly double ones are the least sharp
RING = 3e-12
TOO_HIGH = (f"unresolved: wells lie beyond barriers, or at heights, of more than {HIGHEST:g} theta, more "
            "than the line can hold; raise theta, narrow the grid to one side, or ask `rate`")
SEPARATE = 30.0                 # by which the logarithm of crossings is below that of what happens in a well
TIE = 1e-9                      # relative distance of equal exit rates


# ----------------------------------------------------------------------------------------------------------
# numbers and errors
def _relative_error(D, logs, x=None, span=0.0, pieces=None):
    """Relative error of exp(logs): what the panels leave, and the rounding of beta f over the range that the
    answer spans.

    `x` are the points where the answer is taken, which may lie high on a wall; `span` is a range of beta f
    beside that of f; `pieces` those that the answer is made of, where they and not the lines count: beside
    poles."""
    level = 0.0
    if x is not None:
        with np.errstate(invalid="ignore"):
            level = np.clip(np.nan_to_num(D._space.exponent(np.asarray(x)[None]), nan=0.0), 0.0, NO_DIGITS)
    if pieces is None or not any(p.panels.is_steep or p.panels.powers != (None, None) for p in pieces):
        level, pieces = np.minimum(level, HIGHEST), [line.panels for line in lines(D)]
    panels = np.max([p.relative_error(level) for p in pieces], axis=0)
    size = np.where(np.isfinite(logs), np.abs(logs), 0.0)
    return 2 * panels + 2e-14 + 4 * np.finfo(float).eps * (D.beta * abs(D.f0) + 2 * size + span + 20)


def _estimate(D, log_value, method=QUADRATURE, x=None, span=0.0, pieces=None):
    """exp(log_value) as an Estimate; inf when it leaves the range of floats, and log10 still holds it."""
    with np.errstate(over="ignore"):
        value = float(np.exp(log_value))
    error = value * float(np.max(_relative_error(D, log_value, x, span, pieces)))
    return Estimate(value, error, method, log10=float(log_value) / math.log(10), inputs=D._inputs)


def _field(D, name, log_at, units, nowhere, pieces=None):
    """Field of exp(log_at(x)): NaN of log_at is outside the domain, +inf is where the answer is `nowhere` =
    (value, sentence)."""
    value, sentence = nowhere
    x = D.grid.centres[0]
    logs = log_at(x)
    with np.errstate(over="ignore"):
        values = np.where(logs == np.inf, value, np.exp(logs))
    log10 = np.where(logs == np.inf, math.log10(value) if value > 0 and value < math.inf else value,
                     logs / math.log(10))

    def rule(point):
        at = D.grid._wrapped(point)
        log = float(log_at(at)[0])
        if math.isnan(log):
            raise ValueError(f"{name} has no value at {at.tolist()}: it is outside the domain.")
        if log == math.inf:
            return Estimate(value, math.nan, QUADRATURE, log10=value, status=sentence, inputs=D._inputs)
        return _estimate(D, log, x=at, pieces=pieces)

    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(values), values * _relative_error(D, logs, x, pieces=pieces), np.nan)
    return Field(values, D.grid, name, error, units, D._inputs, rule, log10)


def _on_lines(parts, of_piece, of_region):
    """Function x -> log value: `of_piece(piece)` gives a function of points or a number, `of_region[label]` a
    number; NaN off the lines."""
    pieces = [(part.line, [(p, of_piece(p)) for p in part.pieces], part.within) for part in parts]

    def log_at(x):
        x = np.asarray(x, float)
        out = np.full(x.shape, np.nan)
        for line, own, within in pieces:
            y, on = line.own(x)
            for piece, value in own:
                here = on & (y >= piece.panels.edges[0]) & (y <= piece.panels.edges[-1])
                if here.any():
                    out[here] = value(y[here]) if callable(value) else value
            for low, high, label, _ in within:
                out[on & (y >= low) & (y <= high)] = of_region[label]
        return out
    return log_at


def _high_and_low(D, cut, solved):
    """`solved(parts)` of the marked lines `cut(is_steep)`: with steep panels where f lies so high above
    everything else that it would count as a wall."""
    x = np.concatenate([D.grid.centres[0], D.grid.edges[0]])[None]
    with np.errstate(invalid="ignore"):
        level = np.abs(D._space.exponent(x))
    if (level[np.isfinite(level)] > HIGHEST).any():
        try:
            return solved(cut(True))
        except ValueError:                       # too rough: what lies high is a wall after all
            pass
    return solved(cut(False))


def _with_absorbing(D, region):
    return region if D.absorbing is None else region | D.absorbing


def _no_leak(D, what):
    if D.absorbing is not None:
        raise ValueError(f"{what} needs paths that are never lost, and here they are absorbed in "
                         f"{D.absorbing!r}; leave `absorbing` out or ask for the committor.")


# ----------------------------------------------------------------------------------------------------------
# first passage
def _passage(D, target, of_piece, name, units):
    _no_leak(D, f"the {name}")

    def solved(parts):
        pieces = [piece for piece in _pieces(parts) if any(piece.absorbs)]
        for piece in pieces:
            piece.refuse_infinite()
        return _on_lines(parts, lambda piece: of_piece(piece) if any(piece.absorbs) else np.inf,
                         {"target": -np.inf}), pieces
    log_at, pieces = _high_and_low(D, lambda is_steep: marked(D, {"target": target}, is_steep), solved)
    return _field(D, name, log_at, units, (math.inf, "the target cannot be reached from here; mind the mask "
                                           "and the walls of the potential"), pieces)


def mfpt(D, target: Region) -> Field:
    """Mean first passage time to a region; infinite where it cannot be reached.

    tau(x) = (1/theta) int_x^b exp(beta f(y))/M int_a^y exp(-beta f(z)) dz dy with a reflecting end a, Green's
    function with two absorbing ones.
    """
    return _passage(D, target, mean_time, "mfpt", "time")


def mfpt_variance(D, target: Region) -> Field:
    """Variance of the first passage time: it solves L v = -2 theta M (tau')^2, v = 0 on the target."""
    return _passage(D, target, variance, "mfpt variance", "time^2")


def _between(D, source, target, is_steep=False):
    """The lines cut at source and target; what absorbs elsewhere counts as the source, since paths there
    never reach the target."""
    if D.absorbing is not None:
        marked(D, {"source": source, "target": target}, is_steep)
    return marked(D, {"source": _with_absorbing(D, source), "target": target}, is_steep)


def committor(D, source: Region, target: Region) -> Field:
    """q(x) = int_a^x exp(beta f)/M over int_a^b between a point a of the source and b of the target."""
    def of_piece(piece):
        ends = {piece.left, piece.right} - {None}
        if not ends:
            return np.inf
        if len(ends) == 1:
            return 0.0 if ends == {"target"} else -np.inf
        return log_splitting(piece)[0 if piece.right == "target" else 1]

    log_at, pieces = _high_and_low(
        D, lambda is_steep: _between(D, source, target, is_steep),
        lambda parts: (_on_lines(parts, of_piece, {"source": -np.inf, "target": 0.0}), _pieces(parts)))
    return _field(D, "committor", log_at, "",
                  (math.nan, "neither source nor target can be reached from here"),
                  pieces)


def _pieces(parts):
    return [piece for part in parts for piece in part.pieces]


def _log_capacity(D, source, target, parts):
    """log of cap exp(beta f0): resistances in parallel; and the pieces that they are of. Where a barrier is
    so high that it counts as a wall, its resistance is taken on steep panels."""
    for cut in (lambda: parts, lambda: _between(D, source, target, is_steep=True)):
        try:
            pieces = _pieces(cut())
            gates = [-p.resolved(lambda piece: piece.panels.resistance).log_total for p in pieces
                     if {p.left, p.right} == {"source", "target"}]
        except ValueError:                       # too rough: what lies high is a wall after all
            continue
        if gates:
            return np.logaddexp.reduce(gates), pieces
    return -np.inf, _pieces(parts)


def _log_partition(D):
    """log of Z exp(beta f0)."""
    return np.logaddexp.reduce([line.panels.mass.log_total for line in lines(D)])


def capacity(D, source: Region, target: Region) -> Estimate:
    _no_leak(D, "the capacity")
    parts = _between(D, source, target)
    log_capacity, pieces = _log_capacity(D, source, target, parts)
    return _estimate(D, log_capacity - D.beta * D.f0, pieces=pieces)


def reactive_flux(D, source: Region, target: Region) -> Estimate:
    _no_leak(D, "the reactive flux")
    parts = _between(D, source, target)
    for piece in _pieces(marked(D, {})):
        piece.refuse_infinite()
    log_capacity, pieces = _log_capacity(D, source, target, parts)
    return _estimate(D, log_capacity - _log_partition(D), pieces=pieces)


def rate(D, source: Region, target: Region) -> Estimate:
    _no_leak(D, "the rate")
    parts = _between(D, source, target)
    logs = []
    for part in parts:
        for p in part.pieces:
            ends = {p.left, p.right} - {None}
            if ends == {"source"}:
                logs.append(p.panels.mass.log_total)
            elif ends == {"source", "target"}:
                logs.append(log_committor_mass(p, of_right=p.right == "source"))
        logs += [panels.mass.log_total for _, _, label, panels in part.within
                 if label == "source" and panels is not None]
    if not logs:
        raise ValueError("the source is a point without room beside it: no time is spent coming from it; "
                         "enlarge it.")
    for piece in _pieces(marked(D, {})):
        piece.refuse_infinite()
    log_capacity, pieces = _log_capacity(D, source, target, parts)
    return _estimate(D, log_capacity - np.logaddexp.reduce(logs), pieces=pieces)


# ----------------------------------------------------------------------------------------------------------
# spectrum
def spectrum(D, k: int) -> Spectrum:
    """The k lowest eigenvalues of -L over all parts of the domain."""
    regions = {} if D.absorbing is None else {"absorbing region": D.absorbing}
    found, parts = [], marked(D, regions)
    for part in parts:
        if part.line.is_ring and not part.within:
            found += _modes(part.line, part.line.panels, k, True, True, True)
        for piece in part.pieces:
            piece.refuse_infinite()
            found += _modes(part.line, piece.panels, k, False, piece.left is None, piece.right is None)
    if not found:
        raise ValueError("the absorbing region covers the whole domain; nothing is left to diffuse.")
    found.sort(key=lambda item: item[0])
    logs = np.array([log for log, _, _, _ in found])
    known, inner = _over_high_barriers(D, parts), logs[logs > -np.inf]
    if known.size and not known[-1] < inner.min(initial=np.inf) - SEPARATE:
        known[1:] = np.nan
    is_lost = np.isnan(known[-1:]).any()
    logs[:known.size] = known
    found, logs = found[:k], logs[:k]
    values = np.array([modes.values[i] for _, modes, i, _ in found])
    values[:known.size] = np.exp(logs[:known.size])
    rings = RING * np.array([modes.is_ring for _, modes, _, _ in found])
    relative = _relative_error(D, logs, pieces=_pieces(parts) or None) + rings
    functions = np.full((len(found), *D.grid.shape), np.nan)
    functions[:min(known.size, 1)] = np.where(D.inside, 1.0, np.nan)
    for i, (_, modes, j, line) in enumerate(found[known.size:], known.size):
        functions[i] = _eigenfunction(D, modes, j, line, not regions)
    if is_lost:                              # all but what belongs to the first part alone
        for a in (values, logs, relative):
            a[1:] = np.nan
    errors = np.where(values == 0, 0.0, values * relative)
    inputs = {**D._inputs, "reason": TOO_HIGH} if is_lost else D._inputs
    return Spectrum(values, errors, logs / math.log(10), functions, D.grid, ELEMENTS, inputs, relative)


def _over_high_barriers(D, parts):
    """Logarithms of the eigenvalues, zeros first, of the chain of wells that barriers above HIGHEST part,
    where these would count as walls; nothing without such barriers. NaN where a well lies above HIGHEST
    itself, or the barriers cannot be integrated. What is left out is smaller than the answer by the
    barrier."""
    x = np.concatenate([D.grid.centres[0], D.grid.edges[0]])
    with np.errstate(invalid="ignore"):
        level = D._space.exponent(x[None])
    if D.absorbing is not None or not (np.isfinite(level) & (level > HIGHEST)).any():
        return np.zeros(0)
    low = [part.line for part in parts]
    try:
        wide = lines(D, is_steep=True)
    except ValueError:
        return np.r_[-np.inf, np.nan]
    logs, places = [], [line.panels.nodes.ravel()[line.panels.B.argmin()] for line in low]
    for line in wide:
        own = [i for i in np.argsort(places) if line.own(np.array([places[i]]))[1][0]]
        ends = [low[i].panels.edges[[0, -1]] for i in own]
        if _hidden_wells(line.panels, ends) or (line.is_ring and len(own) > 1) or not own:
            return np.r_[-np.inf, np.nan]
        log_c, log_m = np.full((len(own), len(own)), -np.inf), [low[i].panels.mass.log_total for i in own]
        for k, (i, j) in enumerate(zip(own[:-1], own[1:])):
            gate = HalfSpace([-1], -places[i]), HalfSpace([1], places[j])
            log_c[k, k + 1] = log_c[k + 1, k] = _log_capacity(D, *gate, _between(D, *gate))[0]
        logs += [-np.inf, *log_eigenvalues(log_c, np.array(log_m))] if len(own) > 1 else [-np.inf]
    return np.sort(logs) if len(low) > len(wide) else np.zeros(0)


def _hidden_wells(panels, known):
    """Whether f has a minimum, deeper than theta, outside the `known` (low, high)."""
    low, high, middle = panels.B.min(1), panels.B.max(1), panels.nodes.mean(1)
    near = 1e-9 * (panels.edges[-1] - panels.edges[0])
    is_known = np.logical_or.reduce([(middle > a - near) & (middle < b + near) for a, b in known])
    padded = np.pad(low, 1, constant_values=np.inf)
    for k in np.flatnonzero((low <= padded[:-2]) & (low < padded[2:]) & ~is_known):
        lower = np.flatnonzero(low < low[k])
        before, after = lower[lower < k], lower[lower > k]
        rims = [high[before[-1]:k + 1].max()] if before.size else []
        rims += [high[k:after[0] + 1].max()] if after.size else []
        if min(rims, default=np.inf) > low[k] + 1:
            return True
    return False


def _modes(line, panels, k, is_ring, is_free_left, is_free_right):
    modes = Modes(panels, k, is_ring, is_free_left, is_free_right, line.function)
    return [(log, modes, i, line) for i, log in enumerate(modes.log)]


def _eigenfunction(D, modes, i, line, is_conservative):
    """Eigenfunction at the cell centres, its square of Gibbs mean 1 over the whole domain; NaN where floats
    cannot hold it."""
    if modes.functions[i] is None:
        return np.full(D.grid.shape, np.nan)
    nodes = modes.nodes(modes.functions[i], i)
    weights = modes.weights
    size = (weights * nodes ** 2).sum()
    share = math.exp(modes.panels.mass.log_total - _log_partition(D))
    if share == 0:
        return np.full(D.grid.shape, np.nan)
    sign = np.sign(nodes.ravel()[np.argmax(weights * nodes ** 2)])
    x, out = D.grid.centres[0], np.full(D.grid.shape, np.nan)
    for other in lines(D):
        _, on = other.own(x)
        out[on] = 0.0
    low, high = modes.panels.edges[[0, -1]]
    y = np.where(x < low, x + (line.domain[1] - line.domain[0]), x) if line.domain[2] else x
    on = (y >= low) & (y <= high)
    out[on] = sign / math.sqrt(size * share) * interpolated(modes.panels, nodes, y[on])
    return out


def _outside(D, target):
    """Modes of the pieces outside a region from which it can be reached, as (log rate, modes, piece, line),
    the slowest first."""
    if D.absorbing is not None:
        marked(D, {"target": target})
    found, is_cut_off = [], False
    for part in marked(D, {"target": _with_absorbing(D, target)}):
        is_cut_off |= bool(part.pieces)
        for piece in part.pieces:
            if not any(piece.absorbs):
                continue
            piece.refuse_infinite()
            modes = Modes(piece.panels, 1, False, piece.left is None, piece.right is None, part.line.function)
            found.append((float(modes.log[0]), modes, piece, part.line))
    if not found and is_cut_off:
        raise ValueError("from nowhere outside it the target can be reached: a mask or infinite f lies "
                         f"between, or f rises by more than {HIGHEST:g} theta, which counts as a wall here; "
                         "raise theta, or ask `rate` or `fpkit.eyring_kramers` for the logarithm.")
    if not found:
        raise ValueError("the target covers the whole domain; nothing is left outside it.")
    return sorted(found, key=lambda item: item[0])


def exit_rate(D, target: Region) -> Estimate:
    found = _outside(D, target)
    return _estimate(D, found[0][0], ELEMENTS, pieces=[piece for _, _, piece, _ in found])


def quasi_stationary(D, target: Region) -> QuasiStationary:
    """From the slowest piece outside the target; of several equally slow ones, as the Gibbs density would be
    left on them."""
    found = _outside(D, target)
    slowest = [item for item in found if item[0] - found[0][0] < TIE]
    edges, period = D.grid.edges[0], D.grid.bounds[0][1] - D.grid.bounds[0][0]
    masses, points, flows = np.full(D.grid.shape, -np.inf), [], []
    for _, modes, piece, line in slowest:
        if modes.functions[0] is None:
            raise ValueError("the quasi-stationary state leaves the range of floats: it falls by more than "
                             "700 theta to the boundary; ask for exit_rate, or narrow the grid.")
        psi = np.abs(modes.functions[0])
        nodes = np.maximum(modes.nodes(psi, 0), 0.0)
        # what the Gibbs density becomes: its component along psi, (int psi m / int psi^2 m) psi
        scale = math.log(float((modes.weights * nodes).sum()) / float((modes.weights * nodes ** 2).sum()))
        with np.errstate(divide="ignore"):
            for lap in (0.0, period) if D.grid.periodic[0] else (0.0,):
                cells = log_cell_masses(modes.panels, line.function, edges + lap, nodes)
                masses = np.logaddexp(masses, scale + cells)
            log_r = modes.chain.log_resistance(modes.values[0])
            for end, label, psi_in, k in ((modes.panels.edges[0], piece.left, psi[1], 0),
                                          (modes.panels.edges[-1], piece.right, psi[-2], -1)):
                if label is not None:
                    points.append([float(line.wrapped(end))])
                    flows.append(scale + np.log(psi_in) - log_r[k])
    share = np.exp(masses - masses.max())
    share /= share.sum()
    flows = np.exp(np.array(flows) - max(flows))
    density = share / D.grid.volumes
    pieces = [piece for _, _, piece, _ in found]
    rate = _estimate(D, found[0][0], ELEMENTS, pieces=pieces)
    error = density * 10 * float(_relative_error(D, found[0][0], pieces=pieces))
    density = Field(density, D.grid, "quasi-stationary density", error, "1/volume", D._inputs)
    return QuasiStationary(rate, density, np.array(points), flows / flows.sum(), target, D._inputs)


def _ring(D, what):
    """The ring, or None where a wall or a mask cuts it."""
    _no_leak(D, f"the {what}")
    if not D.grid.periodic[0]:
        raise ValueError(f"the {what} at long times needs a periodic axis: between walls no path spreads for "
                         "ever; use Grid(..., periodic=True).")
    line = lines(D)[0]
    return line if line.is_ring else None


def effective_diffusion(D, force: float = 0.0) -> PerAxis:
    """Lifson and Jackson: theta L^2 / (int exp(beta f)/M int exp(-beta f)) over the period, 0 across a wall;
    with a force `tilted_ring`."""
    line = _ring(D, "effective diffusion")
    if line is None:
        return PerAxis([Estimate(0.0, 0.0, QUADRATURE, inputs=D._inputs)])
    if force == 0:
        panels = line.panels
        log_d = 2 * math.log(line.high - line.low) - panels.resistance.log_total - panels.mass.log_total
    else:
        log_d = log_velocity_and_diffusion(line, D.beta, force)[1]
    return PerAxis([_estimate(D, log_d, span=_tilt(D, line, force))])


def _tilt(D, line, force):
    return 2 * D.beta * abs(force) * (line.high - line.low)


def velocity(D, force: float) -> Estimate:
    """Mean velocity on a ring under a constant force."""
    line = _ring(D, "velocity")
    if line is None or force == 0:
        return Estimate(0.0, 0.0, QUADRATURE, inputs=D._inputs)
    v = _estimate(D, log_velocity_and_diffusion(line, D.beta, force)[0], span=_tilt(D, line, force))
    return v if force > 0 else Estimate(-v.value, v.error, v.method, log10=v.log10, inputs=v.inputs)
