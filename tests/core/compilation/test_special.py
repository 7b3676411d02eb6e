"""The vectorising functions: accuracy in units of the last place, limits, and that loops over them are vector
code."""
import math

import numpy as np
import pytest
from numba import config

from fpkit.core.compilation import load, special

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
needs_compiler = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="looks at compiled code")

# function, ranges, bound of the error in units of the last place
ACCURACY = [
    ("exp", [(-745, 709), (-1, 1), (-1e-9, 1e-9)], 1.5),
    ("log", [(0, 10), (0.9, 1.1), (1e-300, 1e-290), (1e200, 1e300)], 1.2),
    ("log1p", [(-0.5, 0.5), (-1e-9, 1e-9), (0, 100)], 1.6), ("sin", [(-10, 10), (-1.6e6, 1.6e6)], 2.5),
    ("cos", [(-10, 10), (-1.6e6, 1.6e6)], 2.5),
    ("tanh", [(-3, 3), (-25, 25), (-1e-5, 1e-5)], 1.8),
]


def block(expression):
    return load("value", "def value(X, p, out):\n    for j in range(X.shape[1]):\n        x = load(X, (0, "
                f"j), 0, 2)\n        store(out, (j,), {expression}, 1, 2)\n")


def evaluated(expression, x):
    x = np.atleast_2d(np.asarray(x, float))
    out = np.empty(x.shape[1])
    block(expression)(x, np.zeros(1), out)
    return out


@pytest.mark.parametrize("name, ranges, bound", ACCURACY, ids=[a[0] for a in ACCURACY])
def test_the_error_is_at_most_two_units_of_the_last_place(name, ranges, bound):
    mp = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    with mp.workprec(120):
        for low, high in ranges:
            x = rng.uniform(low, high, 200)
            for got, v in zip(evaluated(f"{name}(x)", x), x):
                exact = getattr(mp, name)(mp.mpf(float(v)))
                unit = max(np.spacing(abs(float(exact))), 5e-324)
                assert abs(mp.mpf(float(got)) - exact) <= bound * unit, (name, v)


LIMITS = [
    ("exp", [-np.inf, -800, 0, 709.7, 710, 800, np.inf, np.nan],
     [0, 0, 1, math.exp(709.7), np.inf, np.inf, np.inf, np.nan]),
    ("exp", [-740.0, -744.0], [math.exp(-740.0), math.exp(-744.0)]),
    ("log", [0, -1, np.inf, np.nan, 5e-324, 1], [-np.inf, np.nan, np.inf, np.nan, math.log(5e-324), 0]),
    ("log1p", [-1, -2, np.inf, 0, 1e-300, np.nan], [-np.inf, np.nan, np.inf, 0, 1e-300, np.nan]),
    ("tanh", [-np.inf, np.inf, 0, -0.0, 1e-300, 800, np.nan], [-1, 1, 0, -0.0, 1e-300, 1, np.nan]),
    ("sin", [0, -0.0, 1e-300, np.inf, 1e16, np.nan], [0, -0.0, 1e-300, np.nan, np.nan, np.nan]),
    ("cos", [0, np.inf, np.nan], [1, np.nan, np.nan]),
]


@pytest.mark.parametrize("name, x, exact", LIMITS, ids=range(len(LIMITS)))
def test_the_limits_are_those_of_the_mathematics(name, x, exact):
    got = evaluated(f"{name}(x)", x)
    assert got == pytest.approx(exact, rel=4e-16, abs=1e-323, nan_ok=True)
    if name in ("exp", "log"):
        assert np.array_equal(np.isfinite(got), np.isfinite(exact))


@pytest.mark.parametrize("name", ["sqrt", "sinh", "cosh", "expm1", "arctan", "arcsin", "arccos", "arcsinh",
                                  "arctanh", "floor", "ceil", "rint"])
def test_scalar_functions_follow_numpy_beyond_their_domain_too(name):
    x = np.array([-np.inf, -2.0, -1.0, -0.5, -0.0, 0.0, 0.3, 1.0, 2.0, 800.0, np.inf, np.nan])
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x)
    assert evaluated(f"{name}(x)", x) == pytest.approx(exact, rel=1e-14, nan_ok=True)


def test_power_of_a_positive_base():
    x = np.random.default_rng(0).uniform(0, 20, 500)
    assert evaluated("power(x, 2.5)", x) == pytest.approx(x**2.5, rel=4e-15)
    assert evaluated("power(x, 0.5)", [0.0, np.inf]).tolist() == [0.0, np.inf]
    assert np.isnan(evaluated("power(x, 0.5)", [-1.0]))


def test_the_short_exponential_has_single_precision():
    X = np.linspace(-80, 80, 999, dtype=np.float32)[None]
    out = np.empty_like(X)
    load("gradient_single", "def gradient_single(X, p, out):\n    for j in range(X.shape[1]):\n        "
         "out[0, j] = exp_single(X[0, j])\n")(X, np.zeros(1), out)
    # the argument itself is rounded to 1e-7 of 80
    assert out[0] == pytest.approx(np.exp(X[0].astype(float)), rel=3e-6)


def assembly_of(function):
    (text,) = function.inspect_asm().values()
    return text


@needs_compiler
@pytest.mark.skipif(config.CPU_NAME not in (None, ""),
                    reason="a named processor may have no vector registers")
@pytest.mark.parametrize("name", ["exp", "log", "log1p", "sin", "cos", "tanh"])
def test_a_lane_loop_becomes_vector_code(name):
    import llvmlite.binding as llvm
    if not llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this processor has no AVX2")
    from numba import njit, types

    from fpkit.core.compilation.lanes import load as read, store
    f = getattr(special, name)

    def loop(X, out):
        for j in range(X.shape[1]):
            store(out, (j,), f(read(X, (0, j), 0, 2)), 1, 2)
    compiled = njit(types.void(types.Array(types.float64, 2, "C"), types.Array(types.float64, 1, "C")),
                    **special.options)(loop)
    text = assembly_of(compiled)
    assert text.count("ymm") + text.count("zmm") > 30 and f"call\t{name}" not in text
