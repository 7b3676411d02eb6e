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

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import (
    FUNCTION,
    flag,
    integer,
    integers_1d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
    unsigned,
)
from ...core.compilation.special import options
from ..dynamics.noise_kernels import BRANCH, CHOICE, PILOT, fill_noise, uniform_of, words_of
from ..dynamics.step_kernels import through, through_transpose
from ..dynamics.wall_kernels import NEAR, fold
from .target_kernels import all_distances, column, first_hit

BY_DISTANCE, BY_TABLE, BY_FUNCTION = range(3)                    # kinds of reaction coordinate
AT_SOURCE, AT_TARGET, LADDER_FULL, TOO_LONG = range(4)           # why a path stopped
PAIRS = 8                                                        # pairs of steps whose noise is drawn at once
FIRST_LADDER = 128
STREAMS = 2**26                                                  # branches of one repeat, at most
LOG_P, LOOP, REACTIVE, STEPS, DIRECT, FAILED = range(6)          # columns of the results
u32 = np.uint32


@numba.njit(**options)
def _put(x, X):
    """X (d, 1) = x (d,)."""
    for i in range(x.size):
        X[i, 0] = x[i]


@numba.njit(**options)
def _smallest(X, atoms, firsts, D, scratch):
    """Distance of X (d, 1) to the nearest of some walls."""
    all_distances(X, atoms, firsts, D, scratch)
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
def coordinate(X, kind, value, q, origin, inverse, shape, table, to_source, to_target, out):
    """Reaction coordinate of X (d, 1): d_A / (d_A + d_B) from the two distances, a table, or a block function
    with parameters q."""
    if kind == BY_TABLE:
        return _in_table(X, origin, inverse, shape, table)
    if kind == BY_FUNCTION:
        value(X, q, out)
        return out[0]
    return max(to_source, 0.0) / (max(to_source, 0.0) + max(to_target, 0.0) + 1e-300)


@numba.njit(**options)
def _begin(s, W, trajectory, purpose, seed):
    """Start the stream of a trajectory: generator s (4, 1) and its first noise W."""
    w = words_of(trajectory, purpose, 0, 0, seed)
    for k in range(4):
        s[k, 0] = u32(w[k])
    fill_noise(s, W, False)


@numba.njit(**options)
def _step(X, G, W, s, step, gradient, p, dt, sigma, root, is_full, walls, sign, wound):
    """One Euler-Maruyama step of one walker, the `step`-th of its stream."""
    d, at = X.shape[0], step % (2 * PAIRS)
    if at == 0 and step > 0:
        fill_noise(s, W, False)
    gradient(X, p, G)
    Z = W[at * d:at * d + d]
    if is_full:
        through_transpose(root, G)
        through(root, G, 0)
        through(root, Z, 0)
    for i in range(d):
        rate, spread = (dt, sigma) if is_full else (dt * root[i, i] * root[i, i], sigma * root[i, i])
        X[i, 0] += spread * np.float64(Z[i, 0]) - rate * G[i, 0]
    if walls.shape[1] > 0:
        fold(X, walls, sign, wound)


@numba.njit(**options)
def _arrived(o, X, b, a, atoms, firsts, root, scale, reach, is_isotropic, trajectory, step, seed):
    """Whether the step from o (d,) to X (d, 1) met the target; b (n_walls,), a (n_walls, 1) distances before
    and after."""
    near = False
    for w in range(b.size):
        near |= b[w] * a[w, 0] < reach
    if not near:
        return False
    y, after = np.empty(o.size), np.empty(b.size)
    column(X, 0, y)
    column(a, 0, after)
    return first_hit(o, y, b, after, atoms, firsts, root, scale, is_isotropic, trajectory, step, seed)[0] >= 0


@numba.njit(**options)
def _travel(X, s, W, at, trajectory, limit, gradient, p, dt, theta, root, is_full, is_isotropic, widest,
            walls, sources, source_firsts,
            targets, target_firsts, kind, value, q, origin, inverse, shape, table, seed, ladder, places,
            steps, score):
    """Run one path from X (d, 1) until source or target; (why it stopped, rungs in the ladder).

    at = [steps of the stream, steps of the path, rungs so far], kept so that the call can be repeated with a
    longer ladder; ladder (n,), places (n, d), steps (n,) get the coordinate, place and path step of every new
    maximum above `score`.
    """
    d = X.shape[0]
    scale = 2.0 * theta * dt
    sigma, reach = math.sqrt(scale), 0.5 * NEAR * scale * widest
    G, o, out, scratch = np.empty((d, 1)), np.empty(d), np.empty(1), np.empty(1)
    sign, wound = np.ones((d, 1)), np.zeros((d, 1))
    S, T = np.empty((source_firsts.size - 1, 1)), np.empty((target_firsts.size - 1, 1))
    b = np.empty(T.shape[0])
    _smallest(X, targets, target_firsts, T, scratch)
    while True:
        if at[2] == ladder.size:
            return LADDER_FULL, score
        if at[1] >= limit:
            return TOO_LONG, score
        column(T, 0, b)
        column(X, 0, o)
        _step(X, G, W, s, at[0], gradient, p, dt, sigma, root, is_full, walls, sign, wound)
        at[0] += 1
        at[1] += 1
        to_target = _smallest(X, targets, target_firsts, T, scratch)
        if _arrived(o, X, b, T, targets, target_firsts, root, scale, reach, is_isotropic, trajectory, at[0],
                    seed):
            return AT_TARGET, math.inf
        to_source = _smallest(X, sources, source_firsts, S, scratch)
        if to_source <= 0.0:
            return AT_SOURCE, score
        c = coordinate(X, kind, value, q, origin, inverse, shape, table, to_source, to_target, out)
        if c > score:
            score = c
            ladder[at[2]], steps[at[2]] = c, at[1]
            column(X, 0, places[at[2]])
            at[2] += 1


@numba.njit(**options)
def _loops(repeat, n_entries, limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic, widest,
           walls, sources, source_firsts,
           targets, target_firsts, kind, value, q, origin, inverse, shape, table, seed, entries, highest):
    """Loops source -> Sigma -> source of one long path; (mean steps to Sigma, mean steps back, steps made,
    direct arrivals, entries).

    entries (n_entries, d) gets the places where Sigma was first met in a loop. With an infinite level nothing
    is Sigma, and highest (n,) gets the largest coordinate of each excursion from the source instead (the
    pilot run). The first loop, which begins at x0 and not where loops begin, is not counted. An arrival at
    the target begins again at x0.
    """
    d, is_pilot = x0.size, level == math.inf
    scale = 2.0 * theta * dt
    sigma, reach = math.sqrt(scale), 0.5 * NEAR * scale * widest
    X, G, o, out, scratch = np.empty((d, 1)), np.empty((d, 1)), np.empty(d), np.empty(1), np.empty(1)
    W, s = np.empty((2 * PAIRS * d, 1), np.float32), np.empty((4, 1), np.uint32)
    sign, wound = np.ones((d, 1)), np.zeros((d, 1))
    S, T = np.empty((source_firsts.size - 1, 1)), np.empty((target_firsts.size - 1, 1))
    b, trajectory = np.empty(T.shape[0]), repeat * STREAMS
    _begin(s, W, trajectory, PILOT if is_pilot else BRANCH, seed)
    _put(x0, X)
    _smallest(X, targets, target_firsts, T, scratch)
    up, down, to_sigma, begun, k, met, closed, seen, direct = 0, 0, 0, 0, 0, -1, -1, 0, 0
    is_high, is_out, top = False, False, -math.inf
    while k < limit and (seen < highest.size if is_pilot else met < n_entries or is_high):
        column(T, 0, b)
        column(X, 0, o)
        _step(X, G, W, s, k, gradient, p, dt, sigma, root, is_full, walls, sign, wound)
        k += 1
        to_target = _smallest(X, targets, target_firsts, T, scratch)
        to_source = _smallest(X, sources, source_firsts, S, scratch)
        if _arrived(o, X, b, T, targets, target_firsts, root, scale, reach, is_isotropic, trajectory, k,
                    seed):
            direct += 1
            if is_pilot:
                highest[seen] = math.inf
                seen += 1
            _put(x0, X)
            _smallest(X, targets, target_firsts, T, scratch)
            is_high, is_out, begun, top = False, False, k, -math.inf
        elif to_source <= 0.0:
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
        else:
            is_out = True
            c = coordinate(X, kind, value, q, origin, inverse, shape, table, to_source, to_target, out)
            top = max(top, c)
            if c > level and not is_high and met < n_entries:
                is_high, to_sigma, begun = True, k - begun, k
                if closed >= 0:
                    column(X, 0, entries[met])
                    met += 1
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
def _repeat(repeat, n_replicas, limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic, widest,
            walls, sources, source_firsts,
            targets, target_firsts, kind, value, q, origin, inverse, shape, table, seed, result):
    """One repeat; result: log p, mean time of a loop, mean time of a reactive path, steps made, direct
    arrivals, failure."""
    d = x0.size
    entries = np.empty((n_replicas, d))
    up, down, made, direct, met = _loops(repeat, n_replicas, limit, level, x0, gradient, p, dt, theta, root,
                                         is_full, is_isotropic, widest, walls,
                                         sources, source_firsts, targets, target_firsts, kind, value, q,
                                         origin, inverse, shape, table, seed,
                                         entries, np.empty(0))
    result[LOOP], result[DIRECT], result[STEPS], result[FAILED] = (up + down) * dt, direct, made, 0.0
    if met < n_replicas:
        result[FAILED] = 1.0
        return
    ladder, steps = np.empty((n_replicas, FIRST_LADDER)), np.empty((n_replicas, FIRST_LADDER), np.int64)
    places, score = np.empty((n_replicas, FIRST_LADDER, d)), np.full(n_replicas, -math.inf)
    rungs, length, dead, alive = (np.zeros(n_replicas, np.int64), np.zeros(n_replicas, np.int64),
                                  np.arange(n_replicas), np.empty(n_replicas, np.int64))
    X, W, s, at = np.empty((d, 1)), np.empty((2 * PAIRS * d, 1),
                                             np.float32), np.empty((4, 1), np.uint32), np.zeros(3, np.int64)
    S, T, scratch, out = np.empty((source_firsts.size - 1, 1)), np.empty((target_firsts.size - 1,
                                                                          1)), np.empty(1), np.empty(1)
    branch, log_p, n_dead, n_alive, z = 0, 0.0, n_replicas, 0, -math.inf
    while True:
        for r in dead[:n_dead]:
            branch += 1
            # the first paths; the place on Sigma is their first rung, so that every score exceeds the level
            if n_alive == 0:
                _put(entries[r], X)
                score[r] = coordinate(X, kind, value, q, origin, inverse, shape, table,
                                      _smallest(X, sources, source_firsts, S, scratch),
                                      _smallest(X, targets, target_firsts, T, scratch), out)
                ladder[r, 0], steps[r, 0], at[1], at[2] = score[r], 0, 0, 1
                column(X, 0, places[r, 0])
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
                _put(places[r, k], X)
            at[0], before = 0, at[1]
            _begin(s, W, repeat * STREAMS + branch, BRANCH, seed)
            end = LADDER_FULL
            while end == LADDER_FULL:
                if at[2] == ladder.shape[1]:
                    m = ladder.shape[1]
                    wider, longer, more = np.empty((n_replicas, 2 * m)), np.empty((n_replicas, 2 * m),
                                                                                  np.int64), np.empty((n_replicas, 2 * m, d))
                    for i in range(n_replicas):
                        _copy(ladder, places, steps, i, wider, more, longer, i, m)
                    ladder, steps, places = wider, longer, more
                end, score[r] = _travel(X, s, W, at, repeat * STREAMS + branch, before + limit, gradient, p,
                                        dt, theta, root, is_full,
                                        is_isotropic, widest, walls, sources, source_firsts, targets,
                                        target_firsts, kind, value, q, origin,
                                        inverse, shape, table, seed, ladder[r], places[r], steps[r], score[r])
            made += at[1] - before
            rungs[r], length[r] = at[2], at[1]
            if end == TOO_LONG:
                result[FAILED], result[STEPS] = 1.0, made
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


ARGUMENTS = (numbers_1d, FUNCTION["gradient"], numbers_1d, number, number, numbers_2d, flag, flag, number,
             numbers_2d, numbers_2d, integers_1d,
             numbers_2d, integers_1d, integer, FUNCTION["value"], numbers_1d, numbers_1d, numbers_1d,
             integers_1d, numbers_1d, unsigned)


@kernel(types.void(integer, number, *ARGUMENTS, numbers_1d))
def excursions(limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic, widest, walls, sources,
               source_firsts, targets,
               target_firsts, kind, value, q, origin, inverse, shape, table, seed, highest):
    """highest (n,) = largest coordinates of n excursions from the source (infinite: arrived), for the choice
    of Sigma."""
    _loops(0, 0, limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic, widest, walls,
           sources, source_firsts, targets,
           target_firsts, kind, value, q, origin, inverse, shape, table, seed, np.empty((0, x0.size)),
           highest)


@kernel(types.void(integer, integer, integer, number, *ARGUMENTS, numbers_2d), parallel=True)
def repeats(first, n_replicas, limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic, widest,
            walls, sources, source_firsts,
            targets, target_firsts, kind, value, q, origin, inverse, shape, table, seed, results):
    """Independent repeats first, first + 1, ...: results (n, 6), columns LOG_P .. FAILED. `limit` bounds the
    steps of a path."""
    for k in prange(results.shape[0]):
        _repeat(first + k, n_replicas, limit, level, x0, gradient, p, dt, theta, root, is_full, is_isotropic,
                widest, walls, sources,
                source_firsts, targets, target_firsts, kind, value, q, origin, inverse, shape, table, seed,
                results[k])
