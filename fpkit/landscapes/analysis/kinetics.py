"""Rates between the wells of a landscape at each temperature, slow modes and first-passage times, with their
resolution errors."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, eigsh

from ..surface.cells import offsets
from ..surface.harmonic import eyring_kramers, harmonic_free_energy, quadratic_fit
from ..surface.resampling import nearest, refined
from ..surface.wells import WELL_FACTOR
from .network import ELIMINATED, LEFT_OUT, LOG10, reduced, work
from .sampled_chain import SampledDiffusion
from .thermodynamics import thermodynamics

ABOVE = 50.0  # theta above the highest pass in use: cells up there carry shares of 1e-20
CORE = 1.0  # theta above its lowest sample: up to there the cells of a well are its core
SAFETY = 2.0  # over the step to the smooth refinement, 4/3 of which is the error of a scheme of order 2
MOST_WELLS = 24                      # in the network; beyond, the deepest
SMOOTH = "smooth"                    # two cells a sample, by the smooth rule of `refined`
LEVELS = (1, 2, SMOOTH, 4)           # cells per sample and axis
# inner steps of one elimination, about 6 ns each: on the samples, and on a finer grid
WORK, WORK_REFINED = 2e9, 4e8
N_MODES = 6
MODE_CELLS, MODE_CELLS_REFINED = 60_000, 12_000      # of the sparse factorisation
LEAST_MODE = 1e-9  # of the largest rate of the chain: smaller eigenvalues come from the network
# |log| of exact over harmonic weight of a well from which on its quadratic form is no guide
NOT_QUADRATIC = 0.3


@dataclass(frozen=True, repr=False, eq=False)
class Rates:
    """Transitions between the wells that exist at one temperature; decimal logarithms, in 1/time and time.

    Attributes
    ----------
    theta : float
    wells : tuple of int
        Numbers of the wells, in the order of all arrays. Each has a core: the cells of its basin within theta
        of its lowest sample.
    log10_rate : ndarray (n, n)
        k_ab = capacity(a, b) / mass(a), direct transitions from core to core on the samples; -inf where there
        are none.
    log10_rate_error : ndarray (n, n)
        Decades by which it may be wrong, from refinement; NaN where it was not refined.
    sequence : dict of ndarray
        log10 of the rates with 1, 2 and 4 cells per sample and axis, linear between the samples, and with 2
        by the smooth rule ("smooth"), as far as they were computed.
    barrier : ndarray (n, n)
        Loss at the lowest direct pass between two basins above the minimum of the first; inf where they do
        not touch.
    log10_eyring : ndarray (n, n)
        Eyring-Kramers rate over that pass, NaN where it was refused.
    verdict : list of list of str
        Of Eyring-Kramers: "ok", "rough: ...", "refused: ...", "" where the basins do not touch.
    log10_mfpt : ndarray (n, n)
        Mean first-passage time from core a to core b; inf where it is out of reach.
    log10_mfpt_from_start : ndarray (n,)
    first : ndarray (n,)
        Probability that the start reaches the core of a first.
    log10_modes : ndarray
        Slowest relaxation rates (eigenvalues of -L but the zero one) of the part of the landscape that holds
        the start.
    log10_modes_error : ndarray
    modes_method : tuple of str
        "chain": the eigenvalue of all cells; "network": that of the wells, where the chain's is below what
        doubles resolve.
    status : str
        "ok", or why there is nothing.
    network : WellNetwork or None
        On the samples, the start eliminated.
    """
    theta: float
    wells: tuple
    log10_rate: np.ndarray
    log10_rate_error: np.ndarray
    sequence: dict
    barrier: np.ndarray
    log10_eyring: np.ndarray
    verdict: list
    log10_mfpt: np.ndarray
    log10_mfpt_from_start: np.ndarray
    first: np.ndarray
    log10_modes: np.ndarray
    log10_modes_error: np.ndarray
    modes_method: tuple
    status: str = "ok"
    network: object = None

    def pair(self, a: int, b: int) -> tuple[int, int] | None:
        """Places of two wells, given by number, or None where one does not exist at this temperature."""
        return (self.wells.index(a), self.wells.index(b)) if a in self.wells and b in self.wells else None

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name
                in ("theta", "wells", "log10_rate", "log10_rate_error", "barrier", "log10_eyring", "verdict",
                    "log10_mfpt", "log10_mfpt_from_start", "first", "log10_modes", "log10_modes_error",
                    "modes_method", "status")} | {"sequence": {str(k): v for k, v in self.sequence.items()}}


def kinetics(land, wells, basins, thetas, start, mobility):
    """`Rates` at each temperature; an empty tuple where the axes are not evenly spaced or have fewer than
    three samples."""
    if not land.is_uniform or min(land.shape) < 3:
        return ()
    fine = {1: land}
    return tuple(_at(land, wells, basins, float(theta), start, mobility, fine) for theta in thetas)


def _at(land, wells, basins, theta, start, mobility, fine):
    chosen = sorted((w for w in wells if w.persistence > WELL_FACTOR * theta),
                    key=lambda w: -w.persistence)[:MOST_WELLS]
    chosen = sorted(chosen, key=lambda w: w.number)
    numbers, n = tuple(w.number for w in chosen), len(chosen)
    home = merged(wells, basins, numbers)
    barrier, passes = direct_passes(land, chosen, home)
    log10_eyring, verdict = _eyring(land, chosen, home, passes, theta, mobility)
    found, status = {}, "ok"
    for level in LEVELS:
        problem = _problem(land, chosen, home, theta, start, mobility, level, fine)
        steps = work(problem[1], problem[0].edges, problem[0].grid.shape)
        if steps > (WORK if level == 1 else WORK_REFINED if n > 1 else WORK_REFINED / 10):
            status = status if level != 1 else "too many cells for an elimination; coarsen the surface"
            break
        found[level] = (*problem[:2], reduced(problem[0], problem[1], problem[2]), problem[3])
        if n < 2 and level == SMOOTH:
            break  # no transitions: two refinements for the modes are enough
    nothing = np.full((n, n), np.nan)
    if 1 not in found:
        return Rates(theta, numbers, nothing, nothing, {}, barrier, log10_eyring, verdict, nothing,
                     nothing[:, 0], nothing[:, 0], np.empty(0), np.empty(0), (), status)
    nets = {level: _of_wells(net, place, n) for level, (_, _, net, place) in found.items()}
    sequence = {level: net.log_rate / LOG10 for level, (net, _, _) in nets.items()}
    network, first, from_start = nets[1]
    times = np.stack([network.log_mfpt(b) for b in range(n)], axis=1) / LOG10
    modes = _modes(found, nets)
    return Rates(theta, numbers, sequence[1], _refinement_error(sequence), sequence, barrier, log10_eyring,
                 verdict, times, from_start / LOG10, first, *modes, status, network)


def merged(wells, basins, numbers):
    """Basins of the wells with these numbers (places in `numbers`, -1 outside): shallower ones belong to the
    well that they join."""
    of = np.full(len(wells) + 1, -1)
    for k, w in enumerate(wells):
        up = w
        while up.number not in numbers and up.joins is not None:
            up = wells[up.joins - 1]
        of[k] = numbers.index(up.number) if up.number in numbers else -1
    return of[basins]


def direct_passes(land, wells, home):
    """(barriers (n, n) above the minimum of the first, {(a, b): [iy, ix] of the lowest pass}) between basins
    that touch."""
    n = len(wells)
    height, cell = np.full((n, n), np.inf), {}
    for step in offsets(land.ndim):
        low = tuple(slice(max(0, -s), m - max(0, s)) for s, m in zip(step, land.shape))
        high = tuple(slice(max(0, s), m - max(0, -s)) for s, m in zip(step, land.shape))
        a, b = home[low], home[high]
        touching = np.nonzero((a != b) & (a >= 0) & (b >= 0))
        if not touching[0].size:
            continue
        top = np.maximum(land.loss[low][touching], land.loss[high][touching])
        for k in np.argsort(-top):                         # the lowest comes last and stays
            pair = int(a[touching][k]), int(b[touching][k])
            if top[k] <= height[pair]:
                height[pair] = top[k]
                here = np.array([t[k] for t in touching]) + np.array([s.start for s in low])
                other = here + step
                cell[pair] = tuple(int(i) for i in (here if land.loss[tuple(here)] == top[k] else other))
    height = np.minimum(height, height.T)
    return height - np.array([w.minimum for w in wells])[:, None], cell


def _eyring(land, wells, home, passes, theta, mobility):
    n = len(wells)
    log10_rate, verdict = np.full((n, n), np.nan), [[""] * n for _ in range(n)]
    free_energy = thermodynamics(land, wells, home, [theta], with_means=False).free_energy[0]
    minima = [quadratic_fit(land, w.index) for w in wells]
    for (a, b), cell in passes.items():
        log_rate, said = eyring_kramers(minima[a], quadratic_fit(land, cell), theta, mobility)
        if np.isfinite(log_rate):
            off = (harmonic_free_energy(minima[a][0], theta)[0] - free_energy[a]) / theta
            if abs(off) > NOT_QUADRATIC:
                said = (f"{said + ',' if said != 'ok' else 'rough:'} a well that holds "
                        f"{np.exp(min(off, 700)):.2g} times its quadratic weight")
        log10_rate[a, b], verdict[a][b] = log_rate / LOG10, said
    return log10_rate, verdict


def _problem(land, wells, home, theta, start, mobility, level, fine):
    """(chain, groups, number of kept nodes, place of the start among them: the last one unless it lies in a
    core)."""
    if level not in fine:
        fine[level] = refined(land, 2, is_smooth=True) if level == SMOOTH else refined(land, level)
    surface, level = fine[level], 2 if level == SMOOTH else level
    home = nearest(home, level) if level > 1 else home
    chain = SampledDiffusion(surface, theta, mobility, highest=np.inf)
    loss, groups = surface.loss.T.ravel(), np.full(surface.loss.size, ELIMINATED)
    groups[~surface.valid.T.ravel()] = LEFT_OUT
    labels = home.T.ravel()
    for k, w in enumerate(wells):
        core = (labels == k) & (loss <= w.minimum + CORE * theta)
        core[_flat([level * i for i in w.index], surface)] = True
        groups[core] = k
    begin, n = _flat(surface.index(start), surface), len(wells)
    place = groups[begin]
    if place < 0:
        place = groups[begin] = n
        n += 1
    top = _highest_pass(chain, groups, loss)
    with np.errstate(invalid="ignore"):
        groups[(groups == ELIMINATED) & (loss > top + ABOVE * theta)] = LEFT_OUT
    return chain, groups, n, int(place)


def _flat(index, land):
    """Place of the cell [iy, ix] in the order of the chain, which is that of the axes."""
    return int(np.ravel_multi_index(tuple(int(i) for i in index)[::-1], land.shape[::-1]))


def _highest_pass(chain, groups, loss):
    """Lowest level below which the kept cells are as connected as on the whole surface (at least the highest
    kept cell)."""
    kept = np.flatnonzero(groups >= 0)
    height = loss[chain.edges].max(axis=1)

    def parts(level):
        edges = chain.edges[height <= level]
        graph = coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(loss.size,) * 2)
        label = connected_components(graph, directed=False)[1][kept]
        # cells of one group are one node however they are connected
        graph = coo_matrix((np.ones(kept.size, np.int8), (groups[kept], label + groups.max() + 1)),
                           shape=(groups.max() + 2 + label.max(),) * 2)
        nodes = connected_components(graph, directed=False)[1][:groups.max() + 1]
        return len(set(nodes.tolist()))

    levels = np.unique(height)
    if not levels.size:
        return float(loss[kept].max())
    goal, low, high = parts(levels[-1]), 0, levels.size - 1
    while low < high:
        middle = (low + high) // 2
        if parts(levels[middle]) == goal:
            high = middle
        else:
            low = middle + 1
    return float(max(levels[low], loss[kept].max()))


def _of_wells(network, place, n_wells):
    """(network of the wells alone, probabilities of the first core from the start, log of the mean times from
    the start)."""
    n = network.size
    times = np.array([network.log_mfpt(b)[place] for b in range(n)])
    if place < n_wells:
        first = np.zeros(n)
        first[place] = 1.0
        return network, first, times
    rest, first = network.without(place)
    return rest, first, times[:-1]


def _refinement_error(sequence):
    """Decades by which the samples' own value may be wrong, from the values on finer grids.

    Linear refinement holds the loss down to the samples and adds what lies between them: its last step and
    its distance from the samples. On it the errors of chain and interpolation may cancel, so the smooth one
    is asked too: of order 2, its step is 3/4 of the error.
    """
    linear = [sequence[k] for k in sorted(k for k in sequence if k != SMOOTH)]
    if len(sequence) < 2:
        return np.full_like(sequence[1], np.nan)
    with np.errstate(invalid="ignore"):
        error = (np.abs(linear[-1] - linear[-2]) + np.abs(linear[-1] - linear[0]) if len(linear) > 1
                 else np.zeros_like(linear[0]))
        return np.fmax(error,
                       SAFETY * np.abs(sequence[SMOOTH] - sequence[1])) if SMOOTH in sequence else error


def _modes(found, nets):
    """(log10 of the slowest eigenvalues, their errors in decades, where each comes from)."""
    series = {}
    for level, (cells, groups, whole, place) in found.items():
        network = nets[level][0]
        reached = whole.part(place)[:network.size]
        slow = network.only(reached).log_eigenvalues() / LOG10 if reached.any() else np.empty(0)
        slow = slow[np.isfinite(slow)]
        chain = _chain_modes(cells, groups, level, place, slow) if level != 4 else None
        chain = np.full(0, np.nan) if chain is None else chain
        values = np.full(max(chain.size, slow.size), np.nan)
        values[:slow.size] = slow
        resolved = np.isfinite(chain)
        values[:chain.size][resolved] = chain[resolved]
        series[level] = values, np.r_[resolved, np.zeros(values.size - chain.size, bool)], slow
    values, from_chain, slow = series[1]
    errors = np.full(values.size, np.nan)
    # like is compared with like, unless chain and network agree on the samples
    for j in range(values.size):
        is_same = j < slow.size and abs(slow[j] - values[j]) < 0.01
        alike = {level: v[j] for level, (v, is_chain, _) in series.items() if j < v.size and np.isfinite(v[j])
                 and (is_chain[j] == from_chain[j] or is_same)}
        if len(alike) > 1 and 1 in alike:
            errors[j] = _refinement_error({level: np.array(v) for level, v in alike.items()})
    kept = np.isfinite(values)
    return values[kept], errors[kept], tuple("chain" if c else "network" for c in from_chain[kept])


def _chain_modes(chain, groups, level, place, slow):
    """log10 of the slowest eigenvalues of the part that holds the start; None where there are too many cells,
    or modes below what doubles resolve."""
    used = np.flatnonzero(groups != LEFT_OUT)
    if used.size > (MODE_CELLS if level == 1 else MODE_CELLS_REFINED):
        return None
    S, _ = chain.chain.symmetric_generator(used)
    part = connected_components(S, directed=False)[1]
    here = np.flatnonzero(part == part[np.flatnonzero(groups[used] == place)[0]])
    S = S[here][:, here]
    n = S.shape[0]
    scale = float(-S.diagonal().min()) if n else 0.0
    k = min(N_MODES + 1, n - 2)
    if k < 2 or not scale > 0:
        return np.empty(0)
    if slow.size and slow[0] < np.log10(LEAST_MODE * scale):
        return None                                     # Lanczos would look for copies of zero
    try:
        values = np.sort(eigsh(-S + diags(np.full(n, 1e-13 * scale)), k=k, sigma=0, which="LM",
                               return_eigenvectors=False, v0=np.ones(n), maxiter=200))[1:]
    except (ArpackError, RuntimeError):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > LEAST_MODE * scale, np.log10(np.maximum(values, 1e-300)), np.nan)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Occupation over time from the network of wells, beside that of the density of all cells.

    Attributes
    ----------
    wells : tuple of int
    times : ndarray (n_times,)
    network, density : ndarray (n_times, n_wells)
    from_time : float
        From then on the density has settled within the wells (five relaxation times of the slowest mode
        inside them).
    largest : float
        Largest difference of a probability after that.
    """
    wells: tuple
    times: np.ndarray
    network: np.ndarray
    density: np.ndarray
    from_time: float
    largest: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def agreement(rates, motion, wells):
    """`Agreement` of the rates at the temperature of the density with that density; None where there are not
    two wells."""
    if rates is None or motion is None or rates.network is None or len(rates.wells) < 2:
        return None
    if not np.isfinite(rates.first).all():
        return None
    every = merged(wells, np.arange(len(wells)), rates.wells)
    density = np.stack([motion.occupation[:, every == k].sum(axis=1) for k in range(len(rates.wells))],
                       axis=1)
    with np.errstate(divide="ignore"):
        network = rates.network.occupation(rates.first, np.log(motion.times))
    inner = rates.log10_modes[len(rates.wells) - 1:]
    settled = 5 / 10.0 ** inner[0] if inner.size else np.inf
    later = motion.times >= settled
    gap = np.abs(network - density)[later]
    return Agreement(rates.wells, motion.times, network, density, float(settled),
                     float(gap.max()) if gap.size else np.nan)
