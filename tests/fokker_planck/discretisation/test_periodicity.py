import numpy as np
import pytest

import fpkit as fp

CORNER = "where(x - s < a, (x - s)/a, (1 + s - x)/(1 - a))"       # a tent of period 1 that starts at s


@pytest.mark.parametrize("seed", range(10))
def test_a_corner_on_the_wall_of_a_ring_is_a_corner_like_any_other(seed):
    rng = np.random.default_rng(seed)
    a, theta, n = rng.uniform(0.15, 0.85), rng.uniform(0.1, 1.0), 20
    shift = int(rng.integers(1, n)) / n
    tent = fp.Potential(CORNER, a=a, s=0.0)
    moved = fp.Potential(f"where(x < {shift!r}, where(x + 1 - {shift!r} < a, (x + 1 - {shift!r})/a, "
                         f"({shift!r} - x)/(1 - a)), {CORNER})", a=a, s=shift)
    D, E = (fp.FokkerPlanck(V, theta, fp.Grid([(0, 1)], n, periodic=True)) for V in (tent, moved))
    np.testing.assert_allclose(E.gibbs.values, np.roll(D.gibbs.values, round(shift * n)), rtol=1e-10)
    assert float(E.effective_diffusion()) == pytest.approx(float(D.effective_diffusion()), rel=1e-9)
    # Lifson and Jackson: a tent of height 1 has the mean of exp(+-u/theta) for u uniform on (0, 1)
    plus, minus = theta * np.expm1(1 / theta), -theta * np.expm1(-1 / theta)
    assert float(D.effective_diffusion()) == pytest.approx(theta / (plus * minus), rel=1e-8)


@pytest.mark.parametrize("text", ["x**2", "cosh(x)", "x**4 - x**2"])
def test_a_smooth_formula_whose_slope_jumps_at_the_wall_has_the_wrong_period(text):
    with pytest.raises(ValueError, match="slope jumps"):
        fp.FokkerPlanck(fp.Potential(text), 0.3, fp.Grid([(-1, 1)], 20, periodic=True))
    with pytest.raises(ValueError, match="jumps by"):
        fp.FokkerPlanck(fp.Potential("abs(x) + x"), 0.3, fp.Grid([(-1, 1)], 20, periodic=True))
