"""Random streams in lanes: Philox4x32-10 gives the states, xoshiro128++ the words, Box-Muller the normals.

Every trajectory owns one stream for each purpose. Its 128-bit state is Philox(counter = (trajectory,
purpose), key = seed) [1]_; Philox is a bijection for each seed, so no two streams of one seed share a state,
and the numbers depend on nothing but seed, trajectory and purpose: not on threads, lanes, chunks or the
number of paths. The stream runs on by xoshiro128++ [2]_.

The normals have float32 accuracy: |z| <= 6.56 and a variance wrong by less than 1e-6 (the polynomials' error:
r^2 9e-7, sine
1.2e-6, cosine 5e-8), far below what one time step does to a path.

.. [1] J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
.. [2] D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", ACM Trans. Math. Software 47,
36 (2021).
"""
import math

import numba
import numpy as np
from numba import types

from ...core.compilation import flag, helper, integer, integers_1d, kernel, singles_2d, unsigned
from ...core.compilation.lanes import load, store
from ...core.compilation.special import bits_of_single, options, single_of, to_float

u32, u64, f32 = np.uint32, np.uint64, np.float32

# What a stream is used for. A number once given to a purpose is never given to another: switching one on must
# not shift another.
PATH, MEMORY, ACCEPTANCE, BRIDGE, VELOCITY, START, CHOICE, EXIT, BRANCH, PILOT, WALKER, SOURCE = range(12)

words_t = types.Array(types.uint32, 2, "C")
words_3d = types.Array(types.uint32, 3, "C")
singles_3d = types.Array(types.float32, 3, "C")


@numba.njit(error_model="numpy")
def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10 on 32-bit words held in uint64."""
    mask, s32 = u64(0xFFFFFFFF), u64(32)
    for _ in range(10):
        p0, p1 = c0 * u64(0xD2511F53), c2 * u64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> s32) ^ c1 ^ k0, p1 & mask, (p0 >> s32) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + u64(0x9E3779B9)) & mask, (k1 + u64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


@numba.njit(error_model="numpy")
def words_of(trajectory, purpose, part, counter, seed):
    """Four random words. `trajectory` and `counter` (a step) below 2^48, `part` (a wall) below 2^24."""
    i, n, k = u64(trajectory), u64(counter), u64(seed)
    mask, s32 = u64(0xFFFFFFFF), u64(32)
    return philox(i & mask, (i >> s32) | ((n >> s32) << u64(16)), u64(purpose) | (u64(part) << u64(8)),
                  n & mask, k & mask, k >> s32)


@numba.njit(error_model="numpy")
def uniform_of(trajectory, purpose, part, counter, seed):
    """One uniform number in (0, 1) by counter alone: for rare draws, which need no state."""
    return (float(words_of(trajectory, purpose, part, counter, seed)[0]) + 0.5) * 2.3283064365386963e-10


@kernel(types.void(words_t, integers_1d, integer, unsigned))
def seed_states(states, trajectories, purpose, seed):
    """states (4, n) of xoshiro128++ for the trajectories (n,)."""
    for j in range(states.shape[1]):
        w = words_of(trajectories[j], purpose, 0, 0, seed)
        for q in range(4):
            states[q, j] = u32(w[q])


@helper
def _rotated(x, k):
    return u32(u32(x << u32(k)) | u32(x >> u32(32 - k)))


@helper
def _next(a, b, c, d):
    """One step of xoshiro128++. Each shift and xor keeps its own u32(): Numba widens to 64 bits otherwise."""
    word = u32(_rotated(u32(a + d), 7) + a)
    t = u32(b << u32(9))
    c = u32(c ^ a)
    d = u32(d ^ b)
    b = u32(b ^ c)
    a = u32(a ^ d)
    c = u32(c ^ t)
    return word, a, b, c, _rotated(d, 11)


@numba.njit(**options)
def fill_normals(s, out):
    """Fill out (m, lanes) float32, m even, with independent normals; s (4, lanes) moves on by m words a
    lane."""
    for k in range(0, out.shape[0], 2):
        for j in range(out.shape[1]):
            a, b = load(s, (0, j), 0, 6), load(s, (1, j), 1, 6)
            c, d = load(s, (2, j), 2, 6), load(s, (3, j), 3, 6)
            w1, a, b, c, d = _next(a, b, c, d)
            w2, a, b, c, d = _next(a, b, c, d)
            store(s, (0, j), a, 0, 6)
            store(s, (1, j), b, 1, 6)
            store(s, (2, j), c, 2, 6)
            store(s, (3, j), d, 3, 6)
            # radius: an odd 31-bit integer u, log(u 2^-31) = (e - 31) log 2 + log(1 + m), m in [sqrt(1/2) -
            # 1, sqrt(2) - 1]
            v = to_float(u32(u32(w1 >> u32(1)) | u32(1)))
            e = u32(u32(bits_of_single(v) - u32(0x3F3504F3)) >> u32(23))
            m = single_of(u32(bits_of_single(v) - u32(e << u32(23)))) - f32(1)
            p = f32(0.11931194)
            p = p * m - f32(0.18680964)
            p = p * m + f32(0.20491795)
            p = p * m - f32(0.2490827)
            p = p * m + f32(0.33314671)
            p = p * m - f32(0.50001145)
            p = p * m + f32(1.000001)
            r = math.sqrt(max(f32(-2) * (p * m + (to_float(e) - f32(31)) * f32(0.6931471805599453)), f32(0)))
            # angle: half a turn from the signed word, whose low bit is the sign of the cosine
            x = to_float(w2) * f32(1 / 2147483648.0)
            y = x * x
            sine = f32(-0.00437078161)
            sine = sine * y + f32(0.0795003052)
            sine = sine * y - f32(0.6459258346)
            sine = sine * y + f32(1.5707951348)
            sine = sine * x
            cosine = f32(0.00085815958)
            cosine = cosine * y - f32(0.02081056620)
            cosine = cosine * y + f32(0.2536507068)
            cosine = cosine * y - f32(1.2336982071)
            cosine = cosine * y + f32(0.9999999532)
            store(out, (k, j), f32(r * sine), 4, 6)
            store(out, (k + 1, j), single_of(u32(bits_of_single(f32(r * cosine)) ^ u32(w2 << u32(31)))), 5, 6)


THREE_POINT = f32(1.7253410434353986)                # sqrt(256 / 86): unit variance with P(+-a) = 43/256 each


@numba.njit(**options)
def fill_three_points(s, out):
    """Fill out (m, lanes), m even, with {-a, 0, a}: mean 0, variance 1, kurtosis 2.98. Two values from one
    word's bytes."""
    for k in range(0, out.shape[0], 2):
        for j in range(out.shape[1]):
            a, b = load(s, (0, j), 0, 6), load(s, (1, j), 1, 6)
            c, d = load(s, (2, j), 2, 6), load(s, (3, j), 3, 6)
            w, a, b, c, d = _next(a, b, c, d)
            store(s, (0, j), a, 0, 6)
            store(s, (1, j), b, 1, 6)
            store(s, (2, j), c, 2, 6)
            store(s, (3, j), d, 3, 6)
            first, second = u32(u32(w >> u32(16)) & u32(255)), u32(w >> u32(24))
            store(out, (k, j), THREE_POINT if first < u32(43)
                  else (-THREE_POINT if first > u32(212) else f32(0)), 4, 6)
            store(out, (k + 1, j), THREE_POINT if second < u32(43)
                  else (-THREE_POINT if second > u32(212) else f32(0)), 5, 6)


@numba.njit(**options)
def fill_noise(s, out, is_three_point):
    """Normals, or the three-point law."""
    if is_three_point:
        fill_three_points(s, out)
    else:
        fill_normals(s, out)


@numba.njit(**options)
def fill_uniforms(s, out):
    """Fill out (m, lanes) float32 with uniforms in (0, 1), multiples of 2^-24."""
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            a, b = load(s, (0, j), 0, 5), load(s, (1, j), 1, 5)
            c, d = load(s, (2, j), 2, 5), load(s, (3, j), 3, 5)
            w, a, b, c, d = _next(a, b, c, d)
            store(s, (0, j), a, 0, 5)
            store(s, (1, j), b, 1, 5)
            store(s, (2, j), c, 2, 5)
            store(s, (3, j), d, 3, 5)
            store(out, (k, j), (to_float(u32(w >> u32(9))) + f32(0.5)) * f32(1.1920928955078125e-07), 4, 5)


@kernel(types.void(words_t, singles_2d, flag))
def draw_noise(states, out, is_three_point):
    """The next m (even) numbers of every trajectory: states (4, n), out (m, n)."""
    fill_noise(states, out, is_three_point)


@kernel(types.void(words_t, singles_2d))
def draw_uniforms(states, out):
    """The next m uniforms of every trajectory: states (4, n), out (m, n)."""
    fill_uniforms(states, out)
