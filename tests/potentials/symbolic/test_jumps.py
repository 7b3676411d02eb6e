"""Jumps of recorded functions against random functions made with one and without; paths refuse the former."""
import numpy as np
import pytest

import fpkit as fp

STEP = fp.Potential("where(x>0.5,1.0,0)")
LEFT = fp.HalfSpace([-1], -0.3)
ENDS = fp.HalfSpace([1], 1.0)
JUMPS = ["where(x>0.5,1.0,0)", "where(abs(x-.5)<.001,1,0)+x**2", "where(x>2,1e6,0)+x**2", "where(x>1e-9,1,0)",
         "where(x>0,x,y)", "where((x-1)**2+(y-1)**2<.01,1,0)+x**2", lambda x: np.where(x > 0.5, np.inf, 0.0),
         lambda x: np.floor(x) + x**2, lambda x: np.sign(x) + x**2, lambda x: (x > 1) * 2.0 + x**2,
         lambda x: np.mod(x, 1.0), lambda x: np.heaviside(x - 3, 0.5) + x**2 / 5,
         lambda x, y: np.arctan2(y, x)]
KINKS = ["abs(x)", "maximum(x,0)**2+minimum(x,1)", "where(abs(x)<1,x**2/2,abs(x)-.5)",
         "where(x>0,x*y,0)+y**2", "where(x<1,x**4,1+4*(x-1))", "where(abs(x)<1e3,x**2,1e9)",
         "where(x>1,.33333*x,.333335)", lambda x: np.sign(x) * x**3 + x**4, lambda x: np.cbrt(x) + x * x,
         lambda x: np.abs(np.mod(x, 1) - 0.5), lambda x: np.cos(2 * np.pi * np.mod(x, 1)),
         lambda x, y: np.cos(3 * np.arctan2(y, x)) + x * x + y * y,
         lambda x: np.where(x > 0, x - np.log(x), np.inf),
         lambda x: np.where(x == 0, 1.0, np.sin(x) / x) + x * x]


@pytest.mark.parametrize("functions, is_jump", [(JUMPS, True), (KINKS, False)])
def test_jumps_are_told_from_kinks_poles_and_seams(functions, is_jump):
    for f in functions:
        V = fp.Potential(f)
        for start, theta in ((0.2, 0.5), (1.3, 0.5), (0.01, 2.0)):
            assert (V.jump_of(np.full((1, V.ndim), start), theta) is not None) == is_jump, f


def test_random_functions_in_random_units_with_a_jump_and_without():
    rng = np.random.default_rng(11)
    for _ in range(60):
        d, unit, theta = rng.integers(1, 4), 10 ** rng.uniform(-9, 3), 10 ** rng.uniform(-9, 3)
        place, jump = rng.normal(size=d) * unit, rng.uniform(0.1, 5) * theta * rng.choice([-1, 1])
        normal, slopes, is_round = rng.normal(size=d), rng.normal(size=2), rng.random() < 0.4

        def f(x, size, place=place, normal=normal, slopes=slopes, unit=unit, theta=theta, is_round=is_round):
            away = [(x[i] - place[i]) / unit for i in range(len(place))]
            g = sum(a * a for a in away) - 0.1 if is_round else sum(a * n for a, n in zip(away, normal))
            bend = np.where(g > 0, slopes[0] * g, slopes[1] * g * g)
            return theta * (sum(a * a for a in away) + bend) + np.where(g > 0, size, 0.0)
        for size in (0.0, jump):
            V = fp.Potential(lambda x, size=size: f(x, size), ndim=int(d))
            assert (V.jump_of(rng.normal(size=(1, d)) * unit, theta) is None) == (size == 0.0)


def test_what_steps_along_the_gradient_refuses_a_jump_within_the_walls():
    walls = [(0.0, 1.0)]
    for call in (lambda: fp.exit_time(STEP, 0.5, [0.0], ENDS, 0.001),
                 lambda: fp.sample(STEP, 0.5, [0.2], 0.01, 100, 5, "leimkuhler-matthews", walls=walls),
                 lambda: fp.simulate(STEP, 0.5, [0.2], 0.01, 10, walls=walls),
                 lambda: fp.fleming_viot(STEP, 0.5, ENDS, [0.3], 1e-3, 10, 1.0),
                 lambda: fp.multilevel_splitting(STEP, 0.5, LEFT, ENDS, 1e-3, 10, 4, x0=[0.2])):
        with pytest.raises(ValueError, match=r"f jumps between .* near x = \[0.5\].*FokkerPlanck"):
            call()
    fp.simulate(STEP, 0.5, [0.2], 0.01, 10, walls=[(0.0, 0.4)])


def test_metropolis_steps_pass_a_jump_rightly():
    run = fp.sample(STEP, 0.5, [0.2], 0.02, 20_000, 20, "mala", walls=[(0, 1)])
    assert abs(run.energy - np.exp(-2) / (1 + np.exp(-2))) < run.energy.error


def test_a_gradient_flow_says_when_it_passes_a_jump():
    V = fp.Potential("(x-1)**2 + where(x>0.5,1.0,0)")
    assert "f jumps near x = [0.5" in fp.gradient_flow(V, [0.0], 3.0).status
    assert fp.gradient_flow(V, [2.0], 3.0).status == "ok"
