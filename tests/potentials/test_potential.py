"""The face of a potential: shapes, parameters, block functions, compiled and black-box potentials."""
import copy
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit

import fpkit as fp
from fpkit.core.compilation import SIGNATURES

MUELLER = np.array([[-200, -100, -170, 15], [-1, -1, -6.5, 0.7], [0, 0, 11, 0.6], [-10, -10, -6.5, 0.7],
                    [1, 0, -0.5, -1], [0, 0.5, 1.5, 1]])


def mueller_brown(x, y, scale=0.05):
    return scale * sum(A * np.exp(a * (x - u) ** 2 + b * (x - u) * (y - v) + c * (y - v) ** 2) for A, a, b, c,
                       u, v in MUELLER.T)


def chain(x, k=0.5):
    return np.sum((x**2 - 1) ** 2) + 0.5 * k * np.sum((x[1:] - x[:-1]) ** 2)


V1, V2 = fp.Potential("(x**2 - 1)**2"), fp.Potential(mueller_brown)


# shapes
@pytest.mark.parametrize("shape", [(), (1,), (5,), (0,), (3, 4), (2, 0, 3)])
def test_points_of_any_shape(shape):
    x = np.random.default_rng(0).uniform(-1, 1, shape + (2,))
    assert np.shape(V2(x)) == shape
    assert V2.gradient(x).shape == shape + (2,) and V2.hessian(x).shape == shape + (2, 2)
    if V2(x).size:
        i = (0,) * len(shape)
        assert np.asarray(V2(x))[i] == V2(x[i]) and np.array_equal(V2.gradient(x)[i], V2.gradient(x[i]))


def test_one_coordinate_may_be_a_plain_number():
    assert isinstance(V1(0.5), float) and V1(0.5) == V1([0.5]) == V1([[0.5]])[0]
    assert V1.gradient(0.5).shape == (1,) and V1.hessian(0.5).shape == (1, 1)
    assert V1(np.zeros((7, 1))).shape == (7,)


@pytest.mark.parametrize("V, x, words", [
    (V2, 0.5, r"shape \(\.\.\., 2\)"),
    (V2, np.zeros((2, 3)), "last index counts the coordinates"),
    (V2, "ab", "numbers"), (V2, [[1, 2], [3]], "numbers"), (V2, None, "shape|numbers"),
])
def test_points_of_a_wrong_shape_get_one_sentence(V, x, words):
    for call in (V, V.gradient, V.hessian):
        with pytest.raises((TypeError, ValueError), match=words):
            call(x)


def test_points_may_be_read_only_strided_or_whole_numbers():
    x = np.asfortranarray(np.random.default_rng(0).uniform(-1, 1, (6, 4)))[::2, 1:3]
    expected = V2(np.ascontiguousarray(x))
    frozen = x.copy()
    frozen.setflags(write=False)
    assert np.array_equal(V2(x), expected) and np.array_equal(V2(frozen), expected)
    assert V2(np.broadcast_to([0.0, 1.0], (3, 2))).shape == (3,) and V2([0, 1]) == V2([0.0, 1.0])


def test_points_are_not_changed():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 5)).T
    before = x.copy()
    V2(x), V2.gradient(x), V2.hessian(x)
    assert np.array_equal(x, before)


def test_a_nan_coordinate_gives_nan():
    assert np.isnan(V2([np.nan, 0.0])) and np.isnan(V2.gradient([np.nan, 0.0])).any()
    W = fp.GridPotential([np.arange(6.0)], np.arange(6.0) ** 2)
    assert np.isnan(W(np.nan)) and W(100.0) == pytest.approx(1e4) and not W(1e300) < 1e299


# parameters
def test_a_new_parameter_changes_the_numbers_and_shares_the_code():
    W = V2.with_params(scale=1.0)
    assert W.params == {"scale": 1.0} and V2.params == {"scale": 0.05}
    assert W([0.1, 0.2]) == pytest.approx(20 * V2([0.1, 0.2]), rel=1e-15)
    assert W.block("value") is V2.block("value") and W.source == V2.source and W.digest != V2.digest


def test_the_parameter_array_is_a_copy():
    p = V2.p
    p[0] = 99.0
    assert V2.p[0] == 0.05 and p.dtype == np.float64 and p.flags.c_contiguous and V1.p.size >= 1


@pytest.mark.parametrize("changes, words", [({"b": 1.0}, "no parameter 'b'; it has scale"),
                                            ({"scale": "x"}, "must be a number"),
                                            ({"scale": math.nan}, "finite")])
def test_wrong_parameters_get_one_sentence(changes, words):
    with pytest.raises((TypeError, ValueError), match=words):
        V2.with_params(**changes)


def test_subclasses_keep_their_class_with_new_parameters():
    class Special(fp.Potential):
        pass
    V = Special("a*x**2", a=1.0)
    assert type(V.with_params(a=2.0)) is type(copy.copy(V)) is Special
    assert type(V + 1.0) is fp.Potential
    assert V.minima is None and V.bounds is None and V.domain is None


# block functions
@pytest.mark.parametrize("kind", ["value", "gradient", "hessian"])
def test_block_functions_fill_the_columns(kind):
    X = np.random.default_rng(0).uniform(-1, 1, (2, 130))
    out = np.full({"value": (130,), "gradient": (2, 130), "hessian": (2, 2, 130)}[kind], np.nan)
    V2.block(kind)(X, V2.p, out)
    expected = {"value": V2, "gradient": V2.gradient, "hessian": V2.hessian}[kind](X.T)
    assert np.array_equal(np.moveaxis(out, -1, 0), expected)


@pytest.mark.parametrize("V, scale", [(V2, 1.5), (fp.Potential(chain, ndim=4), 1.5),
                                      (fp.Potential(lambda x, y: abs(x) ** 2.5
                                                    + np.tanh(y) * np.arctan2(y, x)), 1.0),
                                      (fp.Potential("where(x > 0, sin(3*x), sqrt(1 + y*y)) + a*logaddexp(x, "
                                                    "y)", a=0.7), 2.0)], ids=range(4))
def test_the_single_precision_gradient_has_single_precision(V, scale):
    X = np.random.default_rng(0).uniform(-scale, scale, (V.ndim, 500))
    S, out = X.astype(np.float32), np.empty((V.ndim, 500), np.float32)
    V.block("gradient_single")(S, V.p, out)
    exact = V.gradient(S.astype(float).T).T
    assert V.has_single_gradient and abs(out - exact).max() < 3e-5 * max(1.0, abs(exact).max())


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'gradient'"):
        V1.block("gradeint")
    with pytest.raises(ValueError, match="no float32 gradient"):
        fp.GridPotential([np.arange(6.0)], np.zeros(6)).block("gradient_single")


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="looks at compiled code")
@pytest.mark.parametrize("V, kinds", [(V2, SIGNATURES),
                                      (fp.Potential(chain, ndim=10),
                                       ["value", "gradient", "gradient_single"])], ids=["2", "10"])
def test_lane_loops_become_vector_code(V, kinds):
    import llvmlite.binding as llvm
    if not llvm.get_host_cpu_features().get("avx2") or config.CPU_NAME:
        pytest.skip("this processor has no AVX2, or a plainer one was asked for")
    for kind in kinds:
        text = _assembly(V, kind)
        products = [line for line in text.splitlines() if "vmul" in line or "vfm" in line or "vfnm" in line]
        assert sum("ymm" in line or "zmm" in line for line in products) >= 10, kind


def _assembly(V, kind):
    """Assembly of the block function, compiled anew: one read from the cache has none."""
    from fpkit.core.compilation import blocks, special
    names = {**blocks._block_names()}
    exec(V._source(kind), names)
    (text,) = njit(SIGNATURES[kind], **special.options)(names[kind]).inspect_asm().values()
    return text


def test_source_and_digest_tell_potentials_apart_and_nothing_else():
    assert V1.digest == fp.Potential("(x**2 - 1)**2").digest and len(V1.digest) == 64
    assert len({V1.digest, fp.Potential("(x**2 - 1)**2", ndim=2).digest, fp.Potential("(x**2 - 2)**2").digest,
                V2.digest}) == 4
    assert "(x**2 - 1)**2" in V1.source and "def value" in V1.source


def test_the_digest_is_the_same_in_every_process():
    code = "import fpkit as fp; print(fp.Potential('a*exp(x)*cos(y) + where(x > y, x, y)', a=2.0).digest)"
    seen = {subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[2],
                           env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                           text=True, check=True).stdout.strip() for seed in "12"}
    assert seen == {fp.Potential("a*exp(x)*cos(y) + where(x > y, x, y)", a=2.0).digest}


def test_a_potential_reads_like_a_table_row():
    assert repr(fp.Potential("x*y*a", a=0.5)) == "Potential x*y*a, 2 coordinates, a = 0.5"
    assert repr(V2) == "Potential mueller_brown(x, y), 2 coordinates, scale = 0.05"
    assert len(repr(fp.Potential("+".join(["x"] * 200)))) < 120 and repr(V1).endswith("1 coordinate")


def test_functions_of_many_coordinates():
    V = fp.Potential(chain, ndim=48)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 48))
    assert V(x) == pytest.approx([chain(v) for v in x], rel=1e-13)
    numeric = [(chain(x[0] + e) - chain(x[0] - e)) / 2e-6 for e in 1e-6 * np.eye(48)]
    assert V.gradient(x[0]) == pytest.approx(numeric, abs=1e-7)


# ------------------------------------------------------------------------------------------------- compiled
# and black boxes
def staircase(x, depth, rate):
    s = 0.0
    k = 0
    while k < 3 and x[0] > k:
        s += depth * (x[0] - k) ** 3
        k += 1
    return s + math.exp(rate * x[1])


def staircase_gradient(x, depth, rate):
    s = 0.0
    for k in range(3):
        if x[0] > k:
            s += 3 * depth * (x[0] - k) ** 2
    return s, rate * math.exp(rate * x[1])


def staircase_hessian(x, depth, rate):
    s = 0.0
    for k in range(3):
        if x[0] > k:
            s += 6 * depth * (x[0] - k)
    return np.array([[s, 0.0], [0.0, rate**2 * math.exp(rate * x[1])]])


TRACED = fp.Potential(lambda x, y, depth=1.0, rate=0.5: depth * sum(np.where(x > k, x - k, 0.0) ** 3
                                                                    for k in range(3)) + np.exp(rate * y))


@pytest.mark.parametrize("parts, bounds", [((), (1e-8, 2e-5)), ((staircase_gradient,), (1e-14, 1e-8)),
                                           ((staircase_gradient, staircase_hessian), (1e-14, 1e-14))],
                         ids=["differences", "gradient given", "all given"])
def test_a_compiled_potential_is_the_function_with_the_error_stated(parts, bounds):
    gradient, hessian = (*parts, None, None)[:2]
    V = fp.Potential.compiled(staircase, gradient, ndim=2, hessian=hessian, depth=1.0, rate=0.5)
    x = np.random.default_rng(0).uniform(-1, 2.9, (50, 2))
    assert V(x) == pytest.approx(TRACED(x), rel=1e-14) and V.params == {"depth": 1.0, "rate": 0.5}
    assert abs(V.gradient(x) - TRACED.gradient(x)).max() < bounds[0] * abs(TRACED(x)).max()
    assert abs(V.hessian(x) - TRACED.hessian(x)).max() < bounds[1] * abs(TRACED(x)).max()
    assert V.with_params(rate=1.0)(x) == pytest.approx(TRACED.with_params(rate=1.0)(x), rel=1e-14)
    assert np.array_equal(V.hessian(x), np.swapaxes(V.hessian(x), -1, -2))


def test_a_compiled_potential_of_a_decorated_function_travels():
    V = fp.Potential.compiled(njit(staircase), ndim=2, depth=1.0, rate=0.5)
    assert pickle.loads(pickle.dumps(V))([0.5, 0.5]) == V([0.5, 0.5])


@pytest.mark.parametrize("call, words", [
    (lambda: fp.Potential.compiled(staircase), "needs ndim"),
    (lambda: fp.Potential.compiled(staircase, ndim=2), "cannot be compiled or called.*black_box"),
    (lambda: fp.Potential.compiled(lambda x: x, ndim=2), r"shape \(2,\) for one point, expected \(\)"),
    (lambda: fp.Potential.compiled(lambda x: x[0], lambda x: x[0], ndim=2),
     r"gradient function returned shape \(\)"),
    (lambda: fp.Potential.compiled(3.0, ndim=2), "must be a function"),
    (lambda: fp.Potential.compiled(lambda x: undefined(x), ndim=2),                       # noqa: F821
     "cannot be compiled or called"),
    (lambda: fp.Potential.black_box(lambda x: x[:, 0]), "needs ndim"),
    (lambda: fp.Potential.black_box(3.0, ndim=1), "must be functions"),
    (lambda: fp.Potential.black_box(lambda x: 1.0, ndim=2)(np.zeros((3, 2))),
     "expected \\(3,\\).*batched=False"),
    (lambda: fp.Potential.black_box(lambda x: x[:, 0], lambda x: x[:, 0], ndim=2).gradient(np.zeros((3, 2))),
     "gradient returned shape"),
    (lambda: fp.Potential.black_box(lambda x: x[:, 0], ndim=2).block("value"), "black-box.*V.gradient"),
    (lambda: fp.Potential(V1), "already"),
    (lambda: fp.Potential("x", ndim=0), "at least 1"),
    (lambda: fp.Potential("x", ndim=1.5), "whole number"),
    (lambda: fp.Potential(lambda x, a="text": x, a=math.inf), "finite"),
])
def test_wrong_potentials_get_one_sentence(call, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and 15 < len(text) < 500 and "numba" not in text.lower()


def network(w, scale=1.0):
    return scale * float(np.tanh(w) @ w) if w[0] > -10 else 0.0


def test_a_black_box_of_one_point_or_of_many():
    one = fp.Potential.black_box(network, ndim=3, batched=False, scale=2.0)
    many = fp.Potential.black_box(lambda x, scale=1.0: scale * (np.tanh(x) * x).sum(1), lambda x,
                                  scale=1.0: scale * (np.tanh(x) + x / np.cosh(x) ** 2), ndim=3, scale=2.0)
    x = np.random.default_rng(0).uniform(-1, 1, (4, 5, 3))
    assert one(x) == pytest.approx(many(x), rel=1e-14) and one(x).shape == (4, 5)
    assert one.gradient(x) == pytest.approx(many.gradient(x), abs=1e-9)
    assert many.hessian(x).shape == (4, 5, 3, 3) and one.hessian(x[0]) == pytest.approx(many.hessian(x[0]),
                                                                                        abs=2e-5)
    assert one.with_params(scale=1.0)(x) == pytest.approx(many(x) / 2)
    assert one.is_black_box and not one.has_single_gradient
    assert pickle.loads(pickle.dumps(one)).digest == one.digest


def test_a_ufunc_is_a_potential():
    assert fp.Potential(np.cos)([0.0]) == 1.0


def test_the_time_is_no_constant():
    with pytest.raises(ValueError, match="t is the time"):
        fp.Potential("x**2/2 - t*log(x)", t=0.5)
    assert fp.Potential("(x - t)**2", t=0.0).is_time_dependent
