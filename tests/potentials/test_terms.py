"""Sums, multiples, tilts and confinement: the arithmetic of functions, for every kind of potential."""
import itertools
import pickle

import numpy as np
import pytest

import fpkit as fp

AXES = [np.linspace(-2, 2, 21), np.linspace(-2, 2, 17)]
POINTS = np.random.default_rng(0).uniform(-1.5, 1.5, (7, 2))


def corner(x, a):
    return a * x[0] ** 2 + x[1] if x[1] > 0 else a * x[0] ** 2


def box(x, b=1.0):
    return b * (x**4).sum(axis=1)


def make(kind):
    if kind == "recorded":
        return fp.Potential(lambda x, y, a=0.5: (x**2 - 1) ** 2 + a * np.exp(y))
    if kind == "string":
        return fp.Potential("c*x*y + cos(t)*x", c=2.0)
    if kind == "samples":
        return fp.GridPotential(AXES, np.sin(AXES[0])[:, None] * AXES[1] ** 2)
    if kind == "compiled":
        return fp.Potential.compiled(corner, lambda x, a: (2 * a * x[0], 1.0 if x[1] > 0 else 0.0), ndim=2,
                                     a=0.5)
    return fp.Potential.black_box(box, lambda x, b=1.0: 4 * b * x**3, ndim=2, b=2.0)


KINDS = ["recorded", "string", "samples", "compiled", "black box"]
MADE = {kind: make(kind) for kind in KINDS}


def same(V, value, gradient, hessian=None, tolerance=1e-12):
    assert V(POINTS) == pytest.approx(value, rel=tolerance, abs=tolerance)
    assert V.gradient(POINTS) == pytest.approx(gradient, rel=tolerance, abs=tolerance)
    if hessian is not None:
        assert V.hessian(POINTS) == pytest.approx(hessian, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("first, second", list(itertools.combinations(KINDS, 2)))
def test_combinations_are_the_combinations_of_the_functions(first, second):
    V, W = MADE[first], MADE[second]
    total = (2 * V - W / 4).tilted([1.0, -2.0]) + 3.0
    same(total, 2 * V(POINTS) - W(POINTS) / 4 + POINTS @ [1.0, -2.0] + 3,
         2 * V.gradient(POINTS) - W.gradient(POINTS) / 4 + [1.0, -2.0])
    assert total.is_black_box == ("black box" in (first, second))


@pytest.mark.parametrize("kind", KINDS)
def test_the_hessian_of_a_sum_is_the_sum_of_hessians(kind):
    V = MADE[kind]
    total = (-V).confined(3.0, [0.5, -0.5])
    d = POINTS - [0.5, -0.5]
    same(total, -V(POINTS) + 1.5 * (d**2).sum(1), -V.gradient(POINTS) + 3 * d, -V.hessian(POINTS)
         + 3 * np.eye(2), 1e-7 if kind in ("compiled", "black box") else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_multiples_of_multiples(kind):
    V = MADE[kind]
    same(3 * (2 * V + 1) - V * 5.0, V(POINTS) + 3, V.gradient(POINTS), tolerance=1e-11)


def test_numbers_from_the_left():
    V = MADE["recorded"]
    same(1.0 - V, 1 - V(POINTS), -V.gradient(POINTS))
    same(np.float64(2.0) * V, 2 * V(POINTS), 2 * V.gradient(POINTS))
    same(+V, V(POINTS), V.gradient(POINTS))


def test_two_landscapes_of_one_dimension_add():
    other = fp.GridPotential(AXES, np.cos(AXES[0])[:, None] + AXES[1])
    same(MADE["samples"] + other * 2.0, MADE["samples"](POINTS) + 2 * other(POINTS),
         MADE["samples"].gradient(POINTS) + 2 * other.gradient(POINTS))


def test_the_same_landscape_twice_is_one_with_the_sum_of_the_weights():
    V = MADE["samples"] + 2 * MADE["samples"]
    assert len(V._parts.pieces) == 1 and V.p.size < 1.1 * MADE["samples"].p.size


def test_a_sum_of_recorded_potentials_is_one_recorded_potential():
    V = MADE["recorded"] + 2 * MADE["string"]
    assert V.has_single_gradient and not V._parts.pieces and type(V) is fp.Potential
    assert not (V + MADE["samples"]).has_single_gradient


def test_a_sweep_over_tilts_compiles_once():
    V = fp.Potential("(x**2 - 1)**2")
    tilts = [V.tilted([s]) for s in (0.1, 0.2, 0.3)]
    assert len({W.block("gradient") for W in tilts}) == 1
    assert [float(W.gradient([1.0])[0]) for W in tilts] == [0.1, 0.2, 0.3]
    assert len({W.digest for W in tilts}) == 3


def test_parameters_stay_parameters_in_a_sum():
    V = MADE["recorded"] + 3 * MADE["compiled"] + MADE["string"] + MADE["samples"]
    assert V.params == {"a": 0.5, "c": 2.0, "t": 0.0}
    W = V.with_params(a=2.0, t=1.0)
    expected = sum(w * MADE[k].with_params(**p)(POINTS) for k, w, p in
                   (("recorded", 1, {"a": 2.0}), ("compiled", 3, {"a": 2.0}), ("string", 1, {"t": 1.0}),
                    ("samples", 1, {})))
    assert W(POINTS) == pytest.approx(expected, rel=1e-13)
    p = V.p
    p[V.time_index] = 1.0
    out = np.empty(len(POINTS))
    V.block("value")(np.ascontiguousarray(POINTS.T), p, out)
    assert out == pytest.approx(V.with_params(t=1.0)(POINTS))


def test_parameters_of_black_boxes_in_a_sum():
    V = 2 * MADE["black box"] + MADE["recorded"]
    assert V.params == {"b": 2.0, "a": 0.5}
    W = V.with_params(b=1.0, a=1.0)
    assert W(POINTS) == pytest.approx(2 * MADE["black box"].with_params(b=1.0)(POINTS)
                                      + MADE["recorded"].with_params(a=1.0)(POINTS))


def test_equal_names_are_shared_when_equal_and_refused_otherwise():
    V, W = fp.Potential("a*x**2", a=1.0), fp.Potential("a*cos(x)", a=1.0)
    assert (V + W).with_params(a=3.0)([0.0]) == 3.0
    with pytest.raises(ValueError, match="both potentials have a parameter 'a', 1 in one and 2 in the other; "
                       "rename"):
        V + W.with_params(a=2.0)


def test_the_box_and_the_domain_of_samples_are_inherited():
    V = MADE["samples"] + MADE["recorded"]
    assert V.bounds == [(-2.0, 2.0), (-2.0, 2.0)] and V.domain is None
    values = np.zeros((21, 17))
    values[3, 4] = np.nan
    W = 2 * fp.GridPotential(AXES, values) + fp.GridPotential([AXES[0][5:], AXES[1]], values[5:])
    assert W.bounds == [(-1.0, 2.0), (-2.0, 2.0)] and W.domain is not None
    far = fp.GridPotential([AXES[0] + 10, AXES[1]], values)
    with pytest.raises(ValueError, match="do not overlap"):
        far + W


def test_sums_travel_to_other_processes():
    for V in (MADE["recorded"] + 2 * MADE["samples"], MADE["string"].tilted([1, 2]),
              (2 * MADE["samples"]).confined(1.0)):
        W = pickle.loads(pickle.dumps(V))
        assert W.digest == V.digest and np.array_equal(W(POINTS), V(POINTS))


@pytest.mark.parametrize("call, words", [
    (lambda V: V + fp.Potential("x"), "2 and 1 coordinates.*same dimension"),
    (lambda V: V + "x", "added to a potential or a number"),
    (lambda V: V + (lambda x, y: x), "wrap a function first"),
    (lambda V: V * V, "product of two potentials"),
    (lambda V: V * [1, 2], "multiplied by a number"),
    (lambda V: V * True, "multiplied by a number"),
    (lambda V: V * np.nan, "finite"),
    (lambda V: V / 0, "divided by zero"),
    (lambda V: V / V, "divided by a number"),
    (lambda V: V - "x", "subtracted"),
    (lambda V: V + np.inf, "finite"),
    (lambda V: V.tilted([1.0]), "slope must have shape"),
    (lambda V: V.tilted([1.0, np.nan]), "slope holds 1 values that are not finite"),
    (lambda V: V.tilted([[1.0, 2.0]]), r"slope must have shape \(2,\)"),
    (lambda V: V.confined(-1.0), "stiffness must not be negative"),
    (lambda V: V.confined(1.0, [0.0]), "centre must have shape"),
])
def test_wrong_arithmetic_gets_one_sentence(call, words):
    for kind in ("recorded", "samples", "black box"):
        with pytest.raises((TypeError, ValueError), match=words):
            call(MADE[kind])
