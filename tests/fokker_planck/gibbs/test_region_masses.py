"""Probabilities of regions that are made of several shapes."""
import numpy as np
import pytest
from scipy.special import erf

import fpkit as fp


@pytest.mark.parametrize("seed", range(10))
def test_regions_made_of_shapes_are_exact_however_thin(seed):
    """Shells, slabs, frames, slivers and gaps that no sample of a cell shows; f = |x|^2/2, theta 1/2."""
    rng = np.random.default_rng(seed)
    N = lambda a, b: (erf(b) - erf(a)) / 2
    w, c = 10 ** rng.uniform(-6, -0.5), rng.uniform(-1.2, 1.2)
    cases = [(1, ~fp.Box([(c, c + w)]), 1 - N(c, c + w)),
             (1, fp.Ball([c], 1.0) & ~fp.Ball([c], 1 - w), N(c - 1, c - 1 + w) + N(c + 1 - w, c + 1)),
             (1, fp.Box([(c, c + w)]) | fp.Box([(c + 2 * w, c + 3 * w)]),
              N(c, c + w) + N(c + 2 * w, c + 3 * w)),
             (2, fp.Ball([0, 0], 1.0) & ~fp.Ball([0, 0], 1 - w / 2), np.exp(-1.0) * np.expm1(w - w * w / 4)),
             (2, fp.HalfSpace([0.6, 0.8], c) & ~fp.HalfSpace([0.6, 0.8], c + w), N(c, c + w)),
             (2, fp.Box([(-1, c + 1.5)] * 2) & ~fp.Box([(-1, c + 1.5 - w)] * 2),
              N(-1, c + 1.5) ** 2 - N(-1, c + 1.5 - w) ** 2),
             (3, fp.HalfSpace([0.6, 0.0, 0.8], c) & ~fp.HalfSpace([0.6, 0.0, 0.8], c + w), N(c, c + w))]
    for ndim, region, exact in cases:
        n = int(rng.integers(10, {1: 90, 2: 50, 3: 16}[ndim]))
        V = fp.Potential(" + ".join(f"{k}**2/2" for k in "xyz"[:ndim]))
        p = fp.FokkerPlanck(V, 0.5, fp.Grid([(-7, 7)] * ndim, (n,) * ndim)).probability(region)
        assert abs(p - exact) <= p.error + 4e-16 + 2e-14 * exact, (n, region)
        assert p.error <= 1e-5 * exact if ndim < 3 else p.error < 0.2 * exact
