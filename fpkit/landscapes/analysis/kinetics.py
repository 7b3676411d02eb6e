"""Rates between the wells of a landscape at each temperature, slow modes and first-passage times, with their
resolution errors."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, splu

from ...core.logarithms import log_sum
from ...core.networks import connected_parts
from ...core.sharing import finished
from ..surface import kernels
from ..surface.cells import neighbour_table, offsets
from ..surface.harmonic import eyring_kramers, harmonic_free_energy, quadratic_fit
from ..surface.resampling import can_be_thinned, nearest, refined, sharpened, thinned
from ..surface.wells import WELL_FACTOR, belongs_to
from .network import ELIMINATED, LEFT_OUT, LOG10, reduced
from .sampled_chain import SampledDiffusion
from .thermodynamics import thermodynamics

ABOVE = 50.0  # theta above the highest pass in use: cells up there carry shares of 1e-20
PASSES = 3.0  # theta above the lowest pass between two wells: up to there others add to the formula's rate
CORE = 1.0  # theta above its lowest sample: up to there the cells of a well are its core
NO_ORDER = 0.2  # decades of a rate from samples to every second one, from which on no order is seen
SAFETY = 2.0  # over the step to the smooth refinement, 4/3 of which is the error of a scheme of order 2
MIXED = 2.5                          # decades from leaving a core to relaxing within it: then it is one node
MOST_WELLS = 24                      # in the network; beyond, the deepest
SMOOTH = "smooth"                    # two cells a sample, by the smooth rule of `refined`
SHARP = "sharp"                      # the samples, pits and ridges narrower: see `sharpened`
COARSE = "coarse"                    # every second sample: where there are too many for a finer grid
LEVELS = (1, 2, SMOOTH, 4)           # cells per sample and axis
# work of one elimination in units of 0.1 ns, and cells: on the samples, and on a finer grid
WORK, WORK_REFINED, CELLS_REFINED = 1e11, 2.2e9, 60_000
N_MODES = 6
MANY_IN_SPACE = 30_000               # cells of a box whose rates are computed at a few temperatures
MODE_CELLS, MODE_CELLS_REFINED = 60_000, 12_000      # of the sparse factorisation
LANCZOS = 1e-10                      # of an eigenvector's residual; the eigenvalue has the square of it
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
    log10_mfpt_from_start, log10_mfpt_from_start_error : ndarray (n,)
        From the start to each core, and the decades by which it may be wrong.
    log10_exit, log10_exit_error : ndarray (n,)
        Rate at which a core is left for any other, the sum of its rates, and the decades by which it may be
        wrong.
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
    log10_mfpt_from_start_error: np.ndarray
    log10_exit: np.ndarray
    log10_exit_error: np.ndarray
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
                    "log10_mfpt", "log10_mfpt_from_start", "log10_mfpt_from_start_error", "log10_exit",
                    "log10_exit_error", "first", "log10_modes", "log10_modes_error", "modes_method",
                    "status")} | {"sequence": {str(k): v for k, v in self.sequence.items()}}


def kinetics(land, wells, basins, thetas, start, mobility, main=None, executor=None, told=lambda *_: None):
    """`Rates` at each temperature, each announced by `told(k, n, "temperature")`; an empty tuple where the
    axes are not evenly spaced or have fewer than three samples.

    On large boxes (`MANY_IN_SPACE`), only at the first, the last and two between, and at the temperature
    `main`
    of the density; on large surfaces (`MODE_CELLS_REFINED`) the modes of the chain at the first, the last and
    the main one, elsewhere those of the network.
    """
    if not land.is_uniform or min(land.shape) < 3:
        return ()
    n, fine = len(thetas), {}
    main = None if main is None else int(np.argmin(np.abs(np.log(np.asarray(thetas) / main))))
    ends = {0, n - 1} | ({main} if main is not None else set())
    chosen = (sorted(ends | {n // 3, 2 * n // 3}) if land.ndim == 3 and land.n_valid > MANY_IN_SPACE
              else range(n))
    jobs = [(float(thetas[k]), MODE_CELLS if k in ends else MODE_CELLS_REFINED) for k in chosen]
    found = {}
    for k, rates in finished(executor, at_temperature, jobs, (land, wells, basins, start, mobility, fine)):
        found[k] = rates
        told(len(found), len(jobs), "temperature")
    return tuple(found[k] for k in sorted(found))


def at_temperature(land, wells, basins, start, mobility, fine, theta, mode_cells):
    """`Rates` at one temperature, here or in a worker; `fine` keeps refined surfaces for the next one."""
    chosen = sorted((w for w in wells if w.persistence > WELL_FACTOR * theta),
                    key=lambda w: -w.persistence)[:MOST_WELLS]
    chosen = sorted(chosen, key=lambda w: w.number)
    numbers, n = tuple(w.number for w in chosen), len(chosen)
    home = merged(wells, basins, numbers)
    barrier, passes = direct_passes(land, chosen, home, PASSES * theta)
    log10_eyring, verdict = _eyring(land, chosen, home, passes, theta, mobility)
    found = {}
    # without transitions, two refinements for the modes are enough
    for level in LEVELS if n > 1 else LEVELS[:3]:
        most = WORK if level == 1 else WORK_REFINED
        cells = np.inf if level == 1 else CELLS_REFINED if n > 1 else MODE_CELLS_REFINED
        if level != 1 and (found[1][1] != LEFT_OUT).sum() * (4 if level == 4 else 2) ** land.ndim > 2 * cells:
            break                                        # not made only to be counted
        solved = _solved(land, chosen, home, theta, start, mobility, level, fine, most, cells)
        if solved is None:
            break
        found[level] = solved
    nothing = np.full((n, n), np.nan)
    if 1 not in found:
        return Rates(theta, numbers, nothing, nothing, {}, barrier, log10_eyring,
                     verdict, nothing, *[nothing[:, 0]] * 5, np.empty(0), np.empty(0), (),
                     "too many cells for an elimination; coarsen the surface (every=2)")
    thin = lambda: (_solved(land, chosen, home, theta, start, mobility, COARSE, fine, WORK, np.inf)
                    if can_be_thinned(land) else None)
    if (n > 1 or len(found) == 1) and (solved := thin()) is not None:
        found[COARSE] = solved
    if (solved := _solved(land, chosen, home, theta, start, mobility, SHARP, fine, WORK, np.inf)) is not None:
        found[SHARP] = solved
    nets = {level: _of_wells(net, place, n) for level, (_, _, net, place) in found.items()}
    sequence = {level: net.log_rate / LOG10 for level, net in nets.items()}
    network, whole, place = nets[1], *found[1][2:]
    first = np.eye(n)[place] if place < n else whole.without(place)[1]
    from_start = {level: np.array([net.log_mfpt(b)[at] for b in range(n)]) / LOG10
                  for level, (_, _, net, at) in found.items()}
    # every second sample has the start elsewhere
    here = {k: v for k, v in from_start.items() if k != COARSE} if len(from_start) > 2 else from_start
    exits = {level: net.log_exit / LOG10 for level, net in nets.items()}
    times = np.stack([network.log_mfpt(b) for b in range(n)], axis=1) / LOG10
    modes = _modes(found, nets, mode_cells, thin)
    said = from_start[1]
    inner, fastest = modes[0][n - 1] if modes[0].size >= n else -np.inf, exits[1].max()
    if n > 1 and fastest > -np.inf and inner - fastest < MIXED:
        said = np.array([_from_cell(land, theta, mobility, found[1][1], start, b) for b in range(n)])
    return Rates(theta, numbers, sequence[1], _refinement_error(sequence), sequence, barrier, log10_eyring,
                 verdict, times, said, _refinement_error(here), exits[1],
                 _refinement_error(exits), first, *modes, "ok", network)


def merged(wells, basins, numbers):
    """Basins of the wells with these numbers (places in `numbers`, -1 outside): shallower ones belong to the
    well beside them."""
    of = np.full(len(wells) + 1, -1)
    for k, w in enumerate(wells):
        up = belongs_to(wells, w, numbers)
        of[k] = -1 if up is None else numbers.index(up)
    return of[basins]


def direct_passes(land, wells, home, within=0.0):
    """(barriers (n, n) above the minimum of the first, {(a, b): places [iy, ix] of its passes, the lowest
    first}) between basins that touch: the lowest cell of each part of their common border that lies no more
    than `within` above the lowest of all."""
    n = len(wells)
    height, found = np.full((n, n), np.inf), {}
    flat, loss = home.ravel(), land.loss.ravel()
    table = neighbour_table(land.shape, offsets(land.ndim), land.wraps)
    here, k = np.nonzero((table >= 0) & (flat[:, None] >= 0) & (flat[table] >= 0)
                         & (flat[table] != flat[:, None]))
    there = table[here, k]
    higher = np.where(loss[there] > loss[here], there, here)
    pairs = flat[here] * n + flat[there]
    for pair in np.unique(pairs):
        a, b = divmod(int(pair), n)
        border = np.unique(higher[pairs == pair])
        height[a, b] = loss[border].min()
        border = border[loss[border] <= height[a, b] + within]
        near = table[border]
        at = np.searchsorted(border, near).clip(max=border.size - 1)
        i, k = np.nonzero(border[at] == near)
        part = connected_parts(border.size, np.stack([i, at[i, k]], axis=1))
        lowest = [min(border[part == p], key=lambda c: loss[c]) for p in np.unique(part)]
        found[a, b] = [tuple(int(v) for v in np.unravel_index(c, land.shape))
                       for c in sorted(lowest, key=lambda c: loss[c])]
    height = np.minimum(height, height.T)
    return height - np.array([w.minimum for w in wells])[:, None], found


def _eyring(land, wells, home, passes, theta, mobility):
    n = len(wells)
    log10_rate, verdict = np.full((n, n), np.nan), [[""] * n for _ in range(n)]
    free_energy = thermodynamics(land, wells, home, [theta], with_means=False).free_energy[0]
    minima = [quadratic_fit(land, w.index) for w in wells]
    for (a, b), cells in passes.items():
        over = [eyring_kramers(minima[a], quadratic_fit(land, cell), theta, mobility) for cell in cells]
        log_rate = log_sum([rate for rate, _ in over])
        said = max((s for _, s in over), key=lambda s: ("ok", "rough", "refused").index(s.split(":")[0]))
        if np.isfinite(log_rate):
            off = (harmonic_free_energy(minima[a][0], theta)[0] - free_energy[a]) / theta
            if abs(off) > NOT_QUADRATIC:
                said = (f"{said + ',' if said != 'ok' else 'rough:'} a well that holds "
                        f"{np.exp(min(off, 700)):.2g} times its quadratic weight")
        log10_rate[a, b], verdict[a][b] = log_rate / LOG10, said
    return log10_rate, verdict


def _solved(land, wells, home, theta, start, mobility, level, fine, most, cells):
    """(chain, groups, network of the kept nodes, place of the start among them: the last one unless it lies
    in a core) on the grid of a level; None where that has too many cells, or the wells are not on it.

    `fine` keeps what the temperatures share: the surface of each level, its edges and their order by height.
    """
    chain = None
    if level not in fine:
        surface = (land if level == 1 else thinned(land, 2) if level == COARSE
                   else sharpened(land) if level == SHARP
                   else refined(land, 2, is_smooth=True) if level == SMOOTH else refined(land, level))
        chain = SampledDiffusion(surface, theta, mobility, highest=np.inf)
        rising = np.argsort(surface.loss.T.ravel()[chain.edges].max(axis=1), kind="stable")
        fine[level] = surface, fine[1][1] if level == SHARP else chain.edges, rising
    surface, edges, rising = fine[level]
    loss = surface.loss.T.ravel()
    factor = {COARSE: 0, SHARP: 1, SMOOTH: 2}.get(level, level)
    labels = (nearest(home, factor, land.wraps) if factor
              else home[(slice(None, None, 2),) * land.ndim]).T.ravel()
    valid = surface.valid.T.ravel()
    groups = np.where(valid, ELIMINATED, LEFT_OUT)
    for k, w in enumerate(wells):
        its = np.flatnonzero((labels == k) & valid)
        if not its.size:
            return None
        groups[its[loss[its] <= w.minimum + CORE * theta]] = k
        groups[its[np.argmin(loss[its])]] = k
    place = _place_of(surface, start)
    if factor and (place is None or groups[_flat(place, surface)] == LEFT_OUT):
        place = tuple(factor * i for i in land.index(start))     # beside a hole: the sample it was nearest to
    begin, n = -1 if place is None else _flat(place, surface), len(wells)
    if begin < 0 or groups[begin] == LEFT_OUT:
        return None
    place = groups[begin]
    if place < 0:
        place = groups[begin] = n
        n += 1
    top = _highest_pass(edges, rising, groups, loss)
    groups[(groups == ELIMINATED) & (loss > top + ABOVE * theta)] = LEFT_OUT
    if (groups != LEFT_OUT).sum() > cells:
        return None
    chain = chain or SampledDiffusion(surface, theta, mobility, highest=np.inf)
    network = reduced(chain, groups, n, most)
    return None if network is None else (chain.chain, groups, network, int(place))


def _from_cell(land, theta, mobility, groups, start, b):
    """log10 of the mean time from the cell of the start to core b, nothing else kept: exact where the network
    takes every core as one node, in which no time passes."""
    begin = _flat(land.index(start), land)
    if groups[begin] == b:
        return -np.inf
    groups = np.where(groups == LEFT_OUT, LEFT_OUT, np.where(groups == b, 0, ELIMINATED))
    groups[begin] = 1
    network = reduced(SampledDiffusion(land, theta, mobility, highest=np.inf), groups, 2, WORK)
    return np.nan if network is None else network.log_mfpt(0)[1] / LOG10


def _place_of(surface, point):
    """[iy, ix] of the sample nearest to a point; None where the grid ends before it."""
    try:
        return surface.index(point)
    except ValueError:
        return None


def _flat(index, land):
    """Place of the cell [iy, ix] in the order of the chain, which is that of the axes."""
    return int(np.ravel_multi_index(tuple(int(i) for i in index)[::-1], land.shape[::-1]))


def _highest_pass(edges, rising, groups, loss):
    """Lowest level below which the kept cells are as connected as on the whole surface (at least the highest
    kept cell). `rising`: order of the edges by their higher end."""
    last = kernels.last_union(edges, rising, groups, int(groups.max()) + 1)
    highest = float(loss[groups >= 0].max())
    return highest if last < 0 else max(highest, float(loss[edges[rising[last]]].max()))


def _of_wells(network, place, n_wells):
    """The network of the wells alone, the start eliminated."""
    return network if place < n_wells else network.without(place)[0]


def _refinement_error(sequence):
    """Decades by which the samples' own value may be wrong, from the values on finer grids.

    Linear refinement holds the loss down to the samples and adds what lies between them: its last step and
    its distance from the samples. On it the errors of chain and interpolation may cancel, so the smooth one
    is asked too: of order 2, its step is 3/4 of the error. What no surface through the samples shows, a ridge
    between them, shows where every second sample is left out, a third of that step is the error, all of it
    where it is a large one (`NO_ORDER`), and where ridges are sharper.
    """
    linear = [sequence[k] for k in sorted(k for k in sequence if isinstance(k, int))]
    if not sequence.keys() - {1, SHARP}:
        return np.full_like(sequence[1], np.nan)
    with np.errstate(invalid="ignore"):
        coarse = np.abs(sequence[1] - sequence[COARSE]) if COARSE in sequence else 0 * linear[0]
        if len(linear) + (SMOOTH in sequence) == 1:
            return coarse                                    # three times the error of a scheme of order 2
        error = np.where(coarse > NO_ORDER, coarse, coarse / 3)
        if len(linear) > 1:
            error = np.fmax(error, np.abs(linear[-1] - linear[-2]) + np.abs(linear[-1] - linear[0]))
        if SMOOTH in sequence:
            error = np.fmax(error, SAFETY * np.abs(sequence[SMOOTH] - sequence[1]))
        return error + (np.abs(sequence[SHARP] - sequence[1]) if SHARP in sequence else 0.0)


def _modes(found, nets, mode_cells, thin):
    """(log10 of the slowest eigenvalues, their errors in decades, where each comes from).

    Where the finer grids have too many cells for their eigenvalues, every second sample (`thin`) tells the
    error."""
    series = {}
    for level, (cells, groups, whole, place) in found.items():
        network = nets[level]
        reached = whole.part(place)[:network.size]
        slow = network.only(reached).log_eigenvalues() / LOG10 if reached.any() else np.empty(0)
        slow = slow[np.isfinite(slow)]
        chain = _chain_modes(cells, groups, mode_cells if level == 1 else MODE_CELLS_REFINED, place,
                             slow) if level not in (4, SHARP) else None
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
    if from_chain.any() and not np.isfinite(errors[from_chain]).any() and (coarser := thin()) is not None:
        cells, groups, _, place = coarser
        chain = _chain_modes(cells, groups, MODE_CELLS_REFINED, place, slow)
        n = 0 if chain is None else min(chain.size, values.size)
        errors[:n] = np.where(from_chain[:n], np.abs(values[:n] - chain[:n]), np.nan) if n else errors[:n]
    kept = np.isfinite(values)
    return values[kept], errors[kept], tuple("chain" if c else "network" for c in from_chain[kept])


def _chain_modes(chain, groups, most, place, slow):
    """log10 of the slowest eigenvalues of the part that holds the start; None where there are too many cells,
    or modes below what doubles resolve."""
    used = np.flatnonzero(groups != LEFT_OUT)
    if used.size > most:
        return None
    S, _ = chain.symmetric_generator(used)
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
        # positive definite: no pivoting, and an ordering for symmetric matrices
        factors = splu((diags(np.full(n, 1e-13 * scale)) - S).tocsc(), permc_spec="MMD_AT_PLUS_A",
                       diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        inverse = LinearOperator((n, n), factors.solve, dtype=float)
        values = np.sort(eigsh(S, k=k, sigma=0, which="LM", return_eigenvectors=False, v0=np.ones(n),
                               maxiter=200, tol=LANCZOS, OPinv=inverse))[1:]
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
