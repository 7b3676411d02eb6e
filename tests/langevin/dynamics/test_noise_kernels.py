"""Streams of random numbers: known answers, moments, independence. Fixed seeds; the chance of an accident is
beside each limit."""
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from fpkit.langevin.dynamics import noise_kernels as noise
from fpkit.langevin.dynamics.schedule import key_of

KEY = 0x0123456789ABCDEF


def states(n, purpose=noise.PATH, key=KEY, first=0):
    s = np.empty((4, n), np.uint32)
    noise.seed_states(s, np.arange(first, first + n), purpose, key)
    return s


def normals(n, m, **which):
    out = np.empty((m, n), np.float32)
    noise.draw_noise(states(n, **which), out, False)
    return out


def test_philox_gives_its_published_answers():
    one = np.uint64(0xFFFFFFFF)
    zero = np.uint64(0)
    with np.errstate(over="ignore"):
        first = tuple(int(w) for w in noise.philox(*[zero] * 6))
        last = tuple(int(w) for w in noise.philox(*[one] * 6))
    assert first == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert last == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


def test_xoshiro_follows_its_definition():
    def step(s):
        rotated = lambda x, k: ((x << k) | (x >> (32 - k))) & 0xFFFFFFFF
        word = (rotated((s[0] + s[3]) & 0xFFFFFFFF, 7) + s[0]) & 0xFFFFFFFF
        t = (s[1] << 9) & 0xFFFFFFFF
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 11)
        return word
    s = states(3)
    plain = [[int(v) for v in s[:, j]] for j in range(3)]
    out = np.empty((5, 3), np.float32)
    noise.draw_uniforms(s, out)
    words = np.array([[step(plain[j]) for j in range(3)] for _ in range(5)])
    assert np.array_equal(out, ((words >> 9) + 0.5).astype(np.float32) * np.float32(2.0**-23))
    assert np.array_equal(s.T, np.array(plain))


def test_normals_follow_box_muller_in_exact_arithmetic():
    n, s = 400, states(400)
    words = np.empty((2, n), np.uint64)
    for j in range(n):
        a, b, c, d = (int(v) for v in s[:, j])
        for k in range(2):
            rotated = lambda x, r: ((x << r) | (x >> (32 - r))) & 0xFFFFFFFF
            words[k, j] = (rotated((a + d) & 0xFFFFFFFF, 7) + a) & 0xFFFFFFFF
            t = (b << 9) & 0xFFFFFFFF
            c ^= a
            d ^= b
            b ^= c
            a ^= d
            c ^= t
            d = rotated(d, 11)
    u = ((words[0] >> np.uint64(1)) | np.uint64(1)).astype(float) * 2.0**-31
    angle = words[1].astype(np.uint32).view(np.int32) * (np.pi / 2 / 2**31)
    r = np.sqrt(-2 * np.log(u))
    cosine = np.where(words[1] & np.uint64(1), -1.0, 1.0) * np.cos(angle)
    found = normals(n, 2)
    assert abs(found[0] - r * np.sin(angle)).max() < 2e-5 and abs(found[1] - r * cosine).max() < 2e-5


def test_a_million_normals_have_the_moments_and_the_law_of_gauss():
    z = normals(1000, 1000).ravel().astype(float)  # every limit is 4.5 sigma: 7e-6 each by accident
    n = z.size
    assert abs(z.mean()) < 4.5 / n**0.5
    assert abs(z.var() - 1) < 4.5 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 4.5 * (15 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 4.5 * (96 / n) ** 0.5
    assert stats.kstest(z, "norm").statistic < 2.5 / n**0.5     # 7e-6 by accident
    assert abs(z).max() < 6.6


def test_streams_of_different_trajectories_steps_and_purposes_are_uncorrelated():
    z = normals(64, 20000).astype(float)
    limit = 5 / 20000**0.5                                       # 2016 pairs at 5 sigma: 1e-3 by accident
    assert abs(np.corrcoef(z.T) - np.eye(64)).max() < limit
    for lag in (1, 2, 3, 7):
        assert abs((z[lag:] * z[:-lag]).mean()) < 5 / z[lag:].size**0.5
    other = normals(64, 20000, purpose=noise.MEMORY).astype(float)
    assert abs((z * other).mean()) < 5 / z.size**0.5


def test_a_stream_belongs_to_its_trajectory():
    assert np.array_equal(normals(100, 8)[:, 40:50], normals(10, 8, first=40))
    assert not np.array_equal(normals(10, 8), normals(10, 8, key=KEY + 1))


def test_the_three_point_law_has_mean_zero_and_variance_one():
    s, out = states(1000), np.empty((1000, 1000), np.float32)
    noise.draw_noise(s, out, True)
    z = out.astype(float)
    assert len(np.unique(out)) == 3
    assert abs(z.mean()) < 4.5 / 1000 and abs((z**2).mean() - 1) < 4.5 * (1.98 / 1e6) ** 0.5


def test_uniforms_are_uniform():
    s, out = states(1000), np.empty((1000, 1000), np.float32)
    noise.draw_uniforms(s, out)
    assert out.min() > 0 and out.max() < 1
    assert stats.kstest(out.ravel().astype(float), "uniform").statistic < 2.5e-3   # 7e-6 by accident


def test_every_kind_of_seed_makes_a_key():
    keys = [key_of(s)[1] for s in (0, 1, -1, 2**70, np.int64(5), np.random.SeedSequence(7))]
    assert len(set(keys)) == len(keys) and key_of(5)[1] == key_of(np.int64(5))[1]
    drawn, key = key_of(None)
    assert key_of(drawn)[1] == key
    for bad in (1.5, "1", True):
        with pytest.raises(TypeError, match="seed must be a whole number"):
            key_of(bad)


def test_noise_is_the_same_without_compilation():
    code = ("import numpy as np; from fpkit.langevin.dynamics import noise_kernels as k; s = np.empty((4, "
            "5), "
            "np.uint32); k.seed_states(s, np.arange(5), 0, 77);"
            "o = np.empty((4, 5), np.float32); k.draw_noise(s, o, False); u = np.empty((2, 5), np.float32); "
            "k.draw_uniforms(s, u);"
            "print(o.astype(float).tolist(), u.astype(float).tolist(), s.tolist())")
    plain = subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
                           capture_output=True, text=True, check=True)
    o, u, s = (np.array(v) for v in eval(plain.stdout.replace("] [", "], ["))) if plain.stdout else (None,
                                                                                                     ) * 3
    mine, out, uniform = states(5, key=77), np.empty((4, 5), np.float32), np.empty((2, 5), np.float32)
    noise.draw_noise(mine, out, False)
    noise.draw_uniforms(mine, uniform)
    assert np.array_equal(mine, s) and np.array_equal(uniform, u) and abs(out - o).max() < 1e-6
