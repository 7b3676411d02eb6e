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
from .absorbing_boundary import ground, outside_fractions
from .chain import Chain, NeighbourChain
from .committor_scheme import committor_plane
from .edge_integrals import log_mean_resistance
from .edge_rules import axis_conductances, neighbour_links, node_masses
from .line_scheme import exact_line_chain
from .tensor_stencil import tensor_edges

CONDUCTANCES = ("scharfetter-gummel", "sqra", "midpoint", "harmonic", "arithmetic", "quadrature", "face",
                "committor")
MASSES = ("node", "cell", "committor")
RECOMMENDED = {1: ("quadrature", "committor"), 2: ("committor", "committor"), 3: ("face", "cell")}
STEEP, STEEPEST = 6.0, 1e4  # theta across a cell where its mass counts as off the centre, and at most
ALIASES = {"sg": "scharfetter-gummel"}


def names(ndim: int = 2) -> list[str]:
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
    space : Coefficients
    scheme : str
    cell_log_mass : callable
        Gives log of int exp(-beta (f - f0)) over the cells (flat) when it is called.

    Returns
    -------
    Chain
        Raw logarithms, not clipped.
    """
    d = space.grid.ndim
    conductance, mass = parsed(scheme, d)
    notes = {"scheme": f"{conductance}/{mass}"}
    if d == 1 and (conductance, mass) == ("quadrature", "committor"):
        return exact_line_chain(space, notes)
    log_mass = None
    if space.mobility.is_full:
        if conductance in ("face", "committor"):
            conductance = "quadrature"
            notes["scheme"] = f"quadrature/{mass} on the stencil of the tensor"
        edges, log_cond = tensor_edges(space, conductance)
    elif conductance == "committor":
        log_mass, edges, log_cond = committor_plane(space)
    elif d == 3:
        links = neighbour_links(space, conductance)
    else:
        edges, log_cond = (np.concatenate(part) for part in zip(*(axis_conductances(space, k, conductance)
                                                                  for k in range(d))))
    if mass == "node":
        log_mass = node_masses(space)
    elif mass == "cell":
        log_mass = np.array(cell_log_mass(), float).ravel()
    elif d == 1:
        line = exact_line_chain(space.without_region(), {})
        log_mass = line.log_mass + line.shift
    elif log_mass is None:
        log_mass = committor_plane(space)[0]
    log_mass = np.where(space.states.ravel(), log_mass, -np.inf)
    log_ground = None
    if space.region is not None:
        log_ground = ground(space, conductance)
        log_mass = log_mass + outside_fractions(space)
    if d == 3 and not space.mobility.is_full:
        return NeighbourChain(log_mass, links, space.grid.shape, log_ground, notes)
    return Chain.of(log_mass, edges, log_cond, log_ground, notes)


def generator_chain(space, chain, cell_log_mass):
    """The chain of the exported generator: conductances of `chain`, Gibbs masses of the cells.

    Where f changes by many theta in a cell its mass lies at its lower face, and a way that starts at the
    centre would make a trap of it. There the resistance is that of the line between the means of
    exp(-beta f) along the edge in the two cells; the correction sets in around `STEEP` and leaves the order 2
    as it is.
    """
    a, b = chain.edges.T
    start, step = space.centres(a), _displacement(space.grid, a, b)
    steep, shift = np.zeros(a.size, bool), []
    for centre in (start, start + step):
        with np.errstate(invalid="ignore"):
            s = space.exponent(centre + step / 2) - space.exponent(centre - step / 2)
        s = np.clip(np.nan_to_num(s, nan=0.0), -STEEPEST, STEEPEST)
        steep |= np.abs(s) > STEEP / 4
        s = np.where(np.abs(s) > STEEP / 4, s, STEEP / 4)
        weight = 1 / (1 + (STEEP / s) ** 6)
        shift.append(weight * (1 / s - 0.5 / np.tanh(s / 2)))                           # in units of the edge
    log_cond = chain.log_cond + chain.shift
    if steep.any():
        start, step, (low, high) = start[:, steep], step[:, steep], (t[steep] for t in shift)
        length = 1 + high - low
        log_cond[steep] += (log_mean_resistance(space, start, step, None) - np.log(length)
                            - log_mean_resistance(space, start + low * step, length * step, None))
    return chain.with_masses(cell_log_mass, log_cond)


def _displacement(grid, a, b):
    """Vectors (ndim, n) between the centres of cells, the shorter way around a ring."""
    step = []
    for k, (i, j) in enumerate(zip(*(np.unravel_index(flat, grid.shape) for flat in (a, b)))):
        d = grid.centres[k][j] - grid.centres[k][i]
        period = grid.bounds[k][1] - grid.bounds[k][0]
        step.append(d - period * np.rint(d / period) if grid.periodic[k] else d)
    return np.stack(step)
