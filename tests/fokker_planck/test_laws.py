"""Calibration as a law: random problems in the plane whose answers are known from one dimension, by another
kind of calculation. No miss, the stated error in the median a few times the true one, and never idle."""
import functools
import math

import numpy as np
import pytest

import fpkit as fp

N_PROBLEMS = 10
KINDS = ("mfpt", "committor", "capacity", "rate", "gap", "exit rate")


@functools.cache
def rotated(seed):
    """(D, regions, point, line, its regions, its point, log of the mass across): a double well across a
    harmonic valley, turned by a random angle, so that no boundary follows the grid."""
    rng = np.random.default_rng(seed)
    a, tilt, k, angle, theta = (rng.uniform(*ends) for ends in ((0.7, 1.3), (-0.2, 0.2), (2.0, 5.0),
                                                                (0.2, 1.3), (0.15, 0.35)))
    c, s = math.cos(angle), math.sin(angle)
    u, v = f"({c}*x + {s}*y)", f"({c}*y - {s}*x)"
    V = fp.Potential(f"{a}*({u}**2 - 1)**2 + {tilt}*{u} + {k / 2}*{v}**2")
    n = int(rng.integers(36, 52))
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.7, 2.7)] * 2, (n, n)))
    line = fp.FokkerPlanck(fp.Potential(f"{a}*(x**2 - 1)**2 + {tilt}*x"), theta, fp.Grid([(-3.5, 3.5)], 200))
    ends = -rng.uniform(0.75, 1.05), rng.uniform(0.75, 1.05)
    regions = fp.HalfSpace([-c, -s], -ends[0]), fp.HalfSpace([c, s], ends[1])
    at = rng.uniform(-0.6, 0.4)
    point = at * np.array([c, s]) + rng.uniform(-0.2, 0.2) * np.array([-s, c])
    own = fp.HalfSpace([-1], -ends[0]), fp.HalfSpace([1], ends[1])
    return D, regions, point, line, own, [at], 0.5 * math.log(2 * math.pi * theta / k)


@functools.cache
def radial(seed):
    """The same for a radial well: discs and rings, and a line with the entropy of its circles."""
    rng = np.random.default_rng(1000 + seed)
    a, theta, inner, outer = (rng.uniform(*ends) for ends in ((0.5, 1.5), (0.3, 0.8), (0.35, 0.6),
                                                              (1.4, 1.8)))
    n = int(rng.integers(36, 52))
    V = fp.Potential(f"{a}*((x**2 + y**2) - 1)**2")
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.0, 2.0)] * 2, (n, n)))
    line = fp.FokkerPlanck(fp.Potential(f"{a}*(x**2 - 1)**2 - {theta}*log(x)"), theta,
                           fp.Grid([(0, 2.0)], 200))
    regions = fp.Ball([0, 0], inner), ~fp.Ball([0, 0], outer)
    r, angle = rng.uniform(inner + 0.2, outer - 0.2), rng.uniform(0, 2 * math.pi)
    own = fp.HalfSpace([-1], -inner), fp.HalfSpace([1], outer)
    return (D, regions, [r * math.cos(angle), r * math.sin(angle)], line, own, [r], math.log(2 * math.pi))


@functools.cache
def answers(kind, refine):
    """(stated over true errors) of every problem with this question."""
    found = []
    for make in (rotated, radial):
        for seed in range(N_PROBLEMS):
            D, (A, B), point, line, (a, b), at, log_across = make(seed)
            if kind == "mfpt":
                pair = D.mfpt(B, refine=refine).at(point), line.mfpt(b).at(at)
            elif kind == "committor":
                pair = D.committor(A, B, refine=refine).at(point), line.committor(a, b).at(at)
            elif kind == "capacity":
                pair = D.capacity(A, B, refine=refine), line.capacity(a, b) * math.exp(log_across)
            elif kind == "rate":
                pair = D.rate(A, B, refine=refine), line.rate(a, b)
            elif kind == "exit rate":
                pair = D.exit_rate(B, refine=refine), line.exit_rate(b)
            elif make is radial:
                continue
            else:
                pair = D.spectrum(2, refine=refine)[1], line.spectrum(2)[1]
            estimate, truth = pair
            assert estimate.status == "ok"
            found.append(estimate.error / max(abs(float(estimate) - float(truth)), 1e-9 * float(truth)))
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refine", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_stated_error_is_missed_and_none_is_idle(kind, refine):
    ratio = answers(kind, refine)
    assert ratio.min() >= 1
    # measured: 8 to 13 on the given grid, 3.6 to 4.4 in the limit; half of an error bar fails here
    assert (2.8 if refine else 7.0) < np.median(ratio) < 20


@pytest.mark.parametrize("kind", ["mfpt", "committor"])
def test_limits_of_refined_grids_state_errors_that_are_kept_and_not_idle(kind):
    """The chain's limit on random lines against the exact answer there."""
    points = np.linspace(-0.8, 0.3, 6)[:, None]
    ratio = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a, tilt, wave, theta = (rng.uniform(*ends) for ends in ((0.7, 1.3), (-0.2, 0.2), (0.5, 3.0),
                                                                (0.15, 0.4)))
        V = fp.Potential(f"{a}*(x**2 - 1)**2 + {tilt}*x + cos({wave}*x)/10")
        D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.2, 2.3)], int(rng.integers(24, 60))))
        sets = [fp.HalfSpace([s], rng.uniform(0.85, 1.05)) for s in (-1, 1)]
        ask = functools.partial(D.mfpt, sets[1]) if kind == "mfpt" else functools.partial(D.committor, *sets)
        limit, truth = ask(exact=False, refine=True), ask()
        ratio += [limit.at(p).error / abs(limit.at(p).value - truth.at(p).value) for p in points]
    assert min(ratio) >= 1
    # measured over three sets of problems: 4.7 to 5.5; half of the error bar gives 3.0 to 3.4
    assert 3.9 < np.median(ratio) < 12
