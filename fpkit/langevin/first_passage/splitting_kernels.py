"""Adaptive multilevel splitting [1]_, one repeat a thread: Euler-Maruyama paths one by one, with the Brownian
bridge at the target.

A repeat first runs loops source -> Sigma -> source and keeps the places at which Sigma = {coordinate > level}
is first met. From each of N such places a replica runs until it returns to the source or arrives; its score
is the largest coordinate on its path (infinite at the target). Then, again and again, all replicas with the
lowest score die; each is replaced by a copy of a survivor up to the first step at which that one's coordinate
was strictly greater, which goes on from there with a stream of its own. A path is kept as its *ladder*, the
steps at which the coordinate rose to a new maximum: only they can be such first passages.

.. [1] F. Cerou, A. Guyader, Stoch. Anal. Appl. 25, 417 (2007); discrete time and ties: C.-E. Brehier et al.,
Ann. Appl. Probab. 26, 3559 (2016).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import (
    FUNCTION,
    integer,
    integers_1d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
    unsigned,
)
from ...core.compilation.special import bare, options
from ..dynamics.noise_kernels import BRANCH, CHOICE, PILOT, fill_noise, uniform_of, words_of
from .target_kernels import (
    Moves,
    all_distances,
    column,
    hit_of_lane,
    list_near,
    make_step,
    reach_of,
    step_of_lane,
    step_t,
    targets_t,
)

BY_DISTANCE, BY_TABLE, BY_FUNCTION = range(3)                    # kinds of reaction coordinate
AT_SOURCE, AT_TARGET, LADDER_FULL, TOO_LONG, STOPPED = range(5)  # why a path ended
PAIRS = 8                                                        # pairs of steps whose noise is drawn at once
FIRST_LADDER = 128
STREAMS = 2**26                                                  # branches of one repeat, at most
LOG_P, LOOP, REACTIVE, STEPS, DIRECT, FAILED = range(6)          # columns of the results
LOST, INTERRUPTED = 1.0, 2.0                                     # values of FAILED
u32 = np.uint32


class Coordinate(NamedTuple):
    """A reaction coordinate: its kind, the parameters of a block function, and a table of values (flat, C
    order) on the nodes origin + k / inverse."""
    kind: int
    parameters: np.ndarray
    origin: np.ndarray
    inverse: np.ndarray
    shape: np.ndarray
    table: np.ndarray


class Setting(NamedTuple):
    """The start, parameters of the potential, walls of the box, the steps that one path may make, the seed,
    and stop (1,): paths end soon after it is set to 1."""
    x0: np.ndarray
    p: np.ndarray
    box: np.ndarray
    limit: int
    seed: int
    stop: np.ndarray


class Problem(NamedTuple):
    """What all paths share."""
    setting: Setting
    step: tuple
    sources: tuple
    targets: tuple
    coordinate: Coordinate


class Walker(NamedTuple):
    """Arrays of one path: place X and the one before O, a root, gradient G (d + rows, 1), normals W of 2
    PAIRS steps, generator s (4, 1), distances to source S and target T, those before the step B (n_walls, 1),
    places and coordinates after the last 2 PAIRS steps, and working space."""
    X: np.ndarray
    O: np.ndarray
    R: np.ndarray
    o: np.ndarray
    y: np.ndarray
    root: np.ndarray
    G: np.ndarray
    W: np.ndarray
    s: np.ndarray
    S: np.ndarray
    T: np.ndarray
    B: np.ndarray
    sign: np.ndarray
    wound: np.ndarray
    scratch: np.ndarray
    value: np.ndarray
    near: np.ndarray
    places: np.ndarray
    coordinates: np.ndarray


coordinate_t = types.NamedTuple((integer, numbers_1d, numbers_1d, numbers_1d, integers_1d, numbers_1d),
                                Coordinate)
setting_t = types.NamedTuple((numbers_1d, numbers_1d, numbers_2d, integer, unsigned, integers_1d), Setting)


@numba.njit(**options)
def _walker(problem):
    """Empty arrays for one path."""
    d, n, m = problem.setting.x0.size, problem.sources.first.size - 1, problem.targets.first.size - 1
    return Walker(np.empty((d, 1)), np.empty((d, 1)), np.empty((d, 1)), np.empty(d), np.empty(d),
                  np.zeros((d, d)), np.empty((d + problem.step.rows, 1)),
                  np.empty((2 * PAIRS * d, 1), np.float32), np.empty((4, 1), np.uint32),
                  np.empty((n, 1)), np.empty((m, 1)), np.empty((m, 1)), np.ones((d, 1)), np.zeros((d, 1)),
                  np.empty(1), np.empty(1), np.zeros(1, np.int64), np.empty((2 * PAIRS, d)),
                  np.empty(2 * PAIRS))


@numba.njit(**options)
def _put(x, X):
    """X (d, 1) = x (d,)."""
    for i in range(x.size):
        X[i, 0] = x[i]


@numba.njit(**bare)
def _copy_row(places, row, others, to):
    """others[to] = places[row]."""
    for i in range(places.shape[1]):
        others[to, i] = places[row, i]


@numba.njit(**options)
def _smallest(X, walls, D, scratch):
    """Distance of X (d, 1) to the nearest of some walls."""
    all_distances(X, walls, D, scratch)
    nearest = D[0, 0]
    for w in range(1, D.shape[0]):
        nearest = min(nearest, D[w, 0])
    return nearest


@numba.njit(**options)
def _in_table(X, origin, inverse, shape, values):
    """Multilinear interpolation of values (flat, C order) on the nodes origin + k / inverse; constant beyond
    the outer ones."""
    d, total = shape.size, 0.0
    for corner in range(1 << d):
        weight, at = 1.0, 0
        for k in range(d):
            t = min(max((X[k, 0] - origin[k]) * inverse[k], 0.0), shape[k] - 1.0)
            i = min(int(t), shape[k] - 2)
            upper = (corner >> k) & 1
            weight *= t - i if upper else 1.0 - (t - i)
            at = at * shape[k] + i + upper
        total += weight * values[at]
    return total


@numba.njit(**options)
def coordinate(X, value, about, to_source, to_target, out):
    """Reaction coordinate of X (d, 1): d_A / (d_A + d_B) from the two distances, a table, or a block
    function."""
    if about.kind == BY_TABLE:
        return _in_table(X, about.origin, about.inverse, about.shape, about.table)
    if about.kind == BY_FUNCTION:
        value(X, about.parameters, out)
        return out[0]
    return max(to_source, 0.0) / (max(to_source, 0.0) + max(to_target, 0.0) + 1e-300)


@numba.njit(**options)
def _begin(walker, trajectory, purpose, seed):
    """Start the stream of a trajectory and draw its first noise."""
    w = words_of(trajectory, purpose, 0, 0, seed)
    for k in range(4):
        walker.s[k, 0] = u32(w[k])
    fill_noise(walker.s, walker.W, False)


@numba.njit(**options)
def _stretch(walker, k, most, is_out, trajectory, gradient, value, problem):
    """Make the steps k, k + 1, ... of a stream, up to `most` and until its next noise is due, the target is
    met or the source is entered; (steps made, how many of them before the path was out of the source, whether
    it met the target, whether it came back to the source). walker.places and walker.coordinates hold the
    steps between."""
    box, step, targets, about = problem.setting.box, problem.step, problem.targets, problem.coordinate
    X, O, before, after = walker.X, walker.O, walker.B, walker.T
    d, at, made, inside, hit, is_back = X.shape[0], k % (2 * PAIRS), 0, 0, -1, False
    R = walker.R if box.shape[1] > 0 else X
    if at == 0 and k > 0:
        fill_noise(walker.s, walker.W, False)
    while made < min(most, 2 * PAIRS - at) and hit < 0 and not is_back:
        for w in range(after.shape[0]):
            before[w, 0] = after[w, 0]
        gradient(X, problem.setting.p, walker.G)
        make_step(X, O, R, walker.G, walker.W, (at + made) * d, step, box, walker.sign, walker.wound)
        to_target = _smallest(X, targets, after, walker.scratch)
        reach = reach_of(step, walker.G)
        if list_near(O, R, before, after, box, reach, walker.near) > 0:
            own = step_of_lane(step, walker.G, 0, reach, walker.root)
            hit, _ = hit_of_lane(Moves(O, X, R, before, after), 0, targets, own, box, trajectory,
                                 k + made + 1, problem.setting.seed, walker.o, walker.y)
        to_source = _smallest(X, problem.sources, walker.S, walker.scratch)
        if to_source > 0.0:
            is_out = True
            column(X, 0, walker.places[made])
            walker.coordinates[made] = coordinate(X, value, about, to_source, to_target, walker.value)
        is_back = is_out and to_source <= 0.0
        made += 1
        inside = inside if is_out else made
    return made, inside, hit >= 0, is_back


@numba.njit(**options)
def _travel(walker, at, trajectory, limit, gradient, value, problem, ladder, places, steps, score):
    """Run one path from its place until source or target; (why it stopped, its largest coordinate).

    at = [steps of the stream, steps of the path, rungs so far], kept so that the call can be repeated with a
    longer ladder; ladder (n,), places (n, d), steps (n,) get the coordinate, place and path step of every new
    maximum above `score`.
    """
    _smallest(walker.X, problem.targets, walker.T, walker.scratch)
    while True:
        if at[2] + 2 * PAIRS > ladder.size:
            return LADDER_FULL, score
        if at[1] >= limit:
            return TOO_LONG, score
        if problem.setting.stop[0] != 0:
            return STOPPED, score
        made, _, is_hit, is_back = _stretch(walker, at[0], limit - at[1], True, trajectory, gradient, value,
                                            problem)
        for m in range(made - 1 if is_hit or is_back else made):
            if walker.coordinates[m] > score:
                score = walker.coordinates[m]
                ladder[at[2]], steps[at[2]] = score, at[1] + m + 1
                _copy_row(walker.places, m, places, at[2])
                at[2] += 1
        at[0] += made
        at[1] += made
        if is_hit:
            return AT_TARGET, math.inf
        if is_back:
            return AT_SOURCE, score


@numba.njit(**options)
def _loops(repeat, n_entries, level, gradient, value, problem, entries, highest):
    """Loops source -> Sigma -> source of one long path; (mean steps to Sigma, mean steps back, steps made,
    direct arrivals, entries).

    entries (n_entries, d) gets the places where Sigma was first met in a loop. With an infinite level nothing
    is Sigma, and highest (n,) gets the largest coordinate of each excursion from the source instead (the
    pilot run). The first loop, which begins at x0 and not where loops begin, is not counted. An arrival at
    the target begins again at x0.
    """
    is_pilot, trajectory = level == math.inf, repeat * STREAMS
    walker = _walker(problem)
    _begin(walker, trajectory, PILOT if is_pilot else BRANCH, problem.setting.seed)
    _put(problem.setting.x0, walker.X)
    _smallest(walker.X, problem.targets, walker.T, walker.scratch)
    up, down, to_sigma, begun, k, met, closed, seen, direct = 0, 0, 0, 0, 0, -1, -1, 0, 0
    is_high, is_out, top = False, False, -math.inf
    while k < problem.setting.limit and problem.setting.stop[0] == 0 and (seen < highest.size if is_pilot
                                                                          else met < n_entries or is_high):
        made, inside, is_hit, is_back = _stretch(walker, k, problem.setting.limit - k, is_out, trajectory,
                                                 gradient, value, problem)
        for m in range(inside, made - 1 if is_hit or is_back else made):
            is_out, top = True, max(top, walker.coordinates[m])
            if walker.coordinates[m] > level and not is_high and met < n_entries:
                is_high, to_sigma, begun = True, k + m + 1 - begun, k + m + 1
                if closed >= 0:
                    _copy_row(walker.places, m, entries, met)
                    met += 1
        k += made
        if is_hit:
            direct += 1
            if is_pilot:
                highest[seen] = math.inf
                seen += 1
            _put(problem.setting.x0, walker.X)
            _smallest(walker.X, problem.targets, walker.T, walker.scratch)
            is_high, is_out, begun, top = False, False, k, -math.inf
        elif is_back:
            if is_out and is_pilot:
                highest[seen] = top
                seen += 1
            if is_high:                          # a loop is closed; met and closed are 0 after the first
                closed += 1
                if closed > 0:
                    up, down = up + to_sigma, down + k - begun
                begun = k
                met = max(met, 0)
            is_high, is_out, top = False, False, -math.inf
    n = max(closed, 1)
    return up / n, down / n, k, direct, met


@numba.njit(**options)
def _copy(ladder, places, steps, of, wider, more, longer, to, n):
    """Copy the first n rungs of the path `of` to the path `to` of (other) ladders."""
    for k in range(n):
        wider[to, k], longer[to, k] = ladder[of, k], steps[of, k]
        for i in range(places.shape[2]):
            more[to, k, i] = places[of, k, i]


@numba.njit(**options)
def _longer(ladder, places, steps):
    """The same ladders with room for twice as many rungs."""
    n, m, d = places.shape
    wider, longer, more = np.empty((n, 2 * m)), np.empty((n, 2 * m), np.int64), np.empty((n, 2 * m, d))
    for i in range(n):
        _copy(ladder, places, steps, i, wider, more, longer, i, m)
    return wider, more, longer


@kernel(types.void(integer, integer, number, FUNCTION["gradient"], FUNCTION["value"], setting_t, step_t,
                   targets_t, targets_t, coordinate_t, numbers_1d, numbers_1d), nogil=True)
def splitting_repeat(repeat, n_replicas, level, gradient, value, setting, step, sources, targets, about,
                     result, highest):
    """One repeat; result (6,), columns LOG_P .. FAILED: log p, mean time of a loop, mean time of a reactive
    path, steps made, direct arrivals, failure.

    Without replicas and with an infinite level it is the pilot run, for the choice of Sigma: highest (n,) =
    largest coordinates of n excursions from the source (infinite: arrived). One kernel for both, and threads
    outside of it: each further level around this code is compiled as long as this one.
    """
    problem = Problem(setting, step, sources, targets, about)
    d, dt, seed = problem.setting.x0.size, problem.step.dt, problem.setting.seed
    entries = np.empty((n_replicas, d))
    up, down, made, direct, met = _loops(repeat, n_replicas, level, gradient, value, problem, entries,
                                         highest)
    if n_replicas == 0:
        return
    result[LOOP], result[DIRECT], result[STEPS], result[FAILED] = (up + down) * dt, direct, made, 0.0
    if met < n_replicas or problem.setting.stop[0] != 0:
        result[FAILED] = LOST if problem.setting.stop[0] == 0 else INTERRUPTED
        return
    ladder, steps = np.empty((n_replicas, FIRST_LADDER)), np.empty((n_replicas, FIRST_LADDER), np.int64)
    places, score = np.empty((n_replicas, FIRST_LADDER, d)), np.full(n_replicas, -math.inf)
    rungs, length = np.zeros(n_replicas, np.int64), np.zeros(n_replicas, np.int64)
    dead, alive, at = np.arange(n_replicas), np.empty(n_replicas, np.int64), np.zeros(3, np.int64)
    walker = _walker(problem)
    branch, log_p, n_dead, n_alive, z = 0, 0.0, n_replicas, 0, -math.inf
    while True:
        for r in dead[:n_dead]:
            branch += 1
            # the first paths; the place on Sigma is their first rung, so that every score exceeds the level
            if n_alive == 0:
                _put(entries[r], walker.X)
                score[r] = coordinate(walker.X, value, problem.coordinate,
                                      _smallest(walker.X, problem.sources, walker.S, walker.scratch),
                                      _smallest(walker.X, problem.targets, walker.T, walker.scratch),
                                      walker.value)
                ladder[r, 0], steps[r, 0], at[1], at[2] = score[r], 0, 0, 1
                column(walker.X, 0, places[r, 0])
            else:
                parent = alive[min(int(uniform_of(repeat, CHOICE, 0, branch, seed) * n_alive), n_alive - 1)]
                k = 0
                while k < rungs[parent] and not ladder[parent, k] > z:
                    k += 1
                n = min(k + 1, rungs[parent])
                _copy(ladder, places, steps, parent, ladder, places, steps, r, n)
                if k == rungs[parent]:           # it exceeded z by arriving: so does the copy
                    rungs[r], length[r], score[r] = n, length[parent], score[parent]
                    continue
                at[1], at[2], score[r] = steps[r, k], n, ladder[r, k]
                _put(places[r, k], walker.X)
            at[0], before = 0, at[1]
            _begin(walker, repeat * STREAMS + branch, BRANCH, seed)
            end = LADDER_FULL
            while end == LADDER_FULL:
                if at[2] + 2 * PAIRS > ladder.shape[1]:
                    ladder, places, steps = _longer(ladder, places, steps)
                end, score[r] = _travel(walker, at, repeat * STREAMS + branch, before + problem.setting.limit,
                                        gradient, value,
                                        problem, ladder[r], places[r], steps[r], score[r])
            made += at[1] - before
            rungs[r], length[r] = at[2], at[1]
            if end in (TOO_LONG, STOPPED):
                result[FAILED], result[STEPS] = LOST if end == TOO_LONG else INTERRUPTED, made
                return
        z = score.min()
        if z == math.inf:
            break
        n_dead, n_alive = 0, 0
        for r in range(n_replicas):
            if score[r] <= z:
                dead[n_dead], n_dead = r, n_dead + 1
            else:
                alive[n_alive], n_alive = r, n_alive + 1
        if n_alive == 0:                         # extinct
            log_p = -math.inf
            break
        log_p += math.log1p(-n_dead / n_replicas)
    result[LOG_P], result[REACTIVE], result[STEPS] = log_p, (up + length.sum() / n_replicas) * dt, made
