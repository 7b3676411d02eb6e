"""Recorded functions: every NumPy function means what NumPy means, and its derivatives are exact."""
import math
import pickle

import numpy as np
import pytest

import fpkit as fp
from fpkit.potentials.symbolic import block_source as sources, graph as tracing
from fpkit.potentials.symbolic.formula import Formula, formula_of
from fpkit.potentials.symbolic.graph import TraceError
from fpkit.potentials.symbolic.numpy_rules import Symbol
from fpkit.potentials.terms import Parts

# what can be called with one argument in (0.1, 0.9), then what needs another range or two arguments
UNARY = ["exp", "expm1", "exp2", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "square", "reciprocal",
         "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arctanh",
         "absolute", "fabs", "negative", "positive", "sign", "floor", "ceil", "rint", "trunc", "degrees",
         "radians", "deg2rad", "rad2deg"]
BINARY = ["add", "subtract", "multiply", "divide", "true_divide", "power", "float_power", "hypot", "arctan2",
          "maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2", "mod", "remainder", "fmod",
          "floor_divide", "copysign", "heaviside"]
OTHERS = {
    "arccosh": lambda x, y: np.arccosh(1.2 + x * y),
    "clip": lambda x, y: np.clip(x, 0.3, y) * x,
    "where": lambda x, y: np.where((x > y) & ~(x > 0.8) | (y < 0.2), x**2, y**3),
    "logical": lambda x, y: np.where(np.logical_and(x > 0.3, np.logical_not(y > 0.5)), x, y)
    + np.where(np.logical_xor(x > 0.4, y > 0.4), x * y, 1.0),
    "truth times value": lambda x, y: (x > 0.5) * x + (y <= x) * y**2 + ((x > 0.2) & (y > 0.2)) * 1.0,
    "select": lambda x, y: np.select([x < 0.3, x < 0.6], [x, x**2], y),
    "polyval": lambda x, y: np.polyval([1.0, -2.0, 3.0], x) * y,
    "powers": lambda x, y: x**7 + x**-3 + y**2.5 + x**y + 2.0**y + x**0.5 + np.power(y, 3) + x**100,
    "operators": lambda x, y: (1 + x) - (2 - y) * (3 / x) + -x % 0.7 + abs(y - x) + x // 0.3 + (+x),
    "reductions": lambda x, y: np.sum([x, y * y]) + np.prod([x, y]) + np.mean([x, y]) + np.dot(x, y),
    "isfinite": lambda x, y: np.where(np.isnan(x) | ~np.isfinite(y), 0.0, x * y),
    "special": lambda x, y: _erf(x) + _erfc(y) + _expit(x - 3 * y),
    "nested": lambda x, y: np.tanh(np.sin(x * np.exp(y)) / np.sqrt(1 + np.log1p(x * x))) + np.arctan(y / x),
}
POINTS = np.random.default_rng(3).uniform(0.1, 0.9, (40, 2))


def _scipy(name, x):
    import scipy.special
    return getattr(scipy.special, name)(x)


def _erf(x): return _scipy("erf", x)
def _erfc(x): return _scipy("erfc", x)
def _expit(x): return _scipy("expit", x)


def functions():
    for name in UNARY:
        yield name, lambda x, y, _f=getattr(np, name): _f(x * y + 0.05) * (1 + y)
    for name in BINARY:
        yield name, lambda x, y, _f=getattr(np, name): _f(x, y) + 0.5 * _f(y + 0.1, 2 * x)
    yield from OTHERS.items()


def interpreted(f, points):
    """Value of a recorded function by folding constants: no compilation, so the whole table stays fast."""
    formula = formula_of(f)
    return np.array([formula.apply(graph, [graph.constant(v) for v in p], {}).value for p in points
                     for graph in [tracing.Graph(Symbol)]])


def derivative(formula, kind, point):
    """Gradient or Hessian by evaluating the recorded derivative graph at one point."""
    f, xs = formula.record()
    outputs, values = sources.outputs(kind, f, xs), {}
    graph = tracing.Graph(Symbol)
    for i in sources.derivatives.live([*outputs.values(), *xs]):
        n = f.graph.nodes[i]
        values[i] = (graph.constant(n.value) if n.op == "constant"
                     else graph.constant(point[int(n.value[1:])]) if n.op == "variable"
                     else truth(n, values) if n.op in tracing.LOGIC else
                     (values[n.args[1].index] if values[n.args[0].index] else values[n.args[2].index])
                     if n.op == "where"
                     else graph.node(n.op, *(values[a.index] for a in n.args)))
    return np.array([values[n.index].value for n in outputs.values()])


def truth(n, values):
    a = [values[x.index] for x in n.args]
    if n.op in ("&", "|", "~"):
        return bool(a[0] and a[1] if n.op == "&" else a[0] or a[1] if n.op == "|" else not a[0])
    return bool(tracing._COMPARE[n.op](a[0].value, a[1].value))


@pytest.mark.parametrize("name, f", list(functions()), ids=lambda a: a if isinstance(a, str) else "")
def test_gradient_and_hessian_are_the_derivatives(name, f):
    formula = formula_of(f)
    h = 1e-5
    for point in POINTS[:4]:
        g, H = derivative(formula, "gradient", point), derivative(formula, "hessian", point).reshape(2, 2)
        for k in range(2):
            e = np.eye(2)[k] * h
            up, down = (float(f(*(point + s * e))) for s in (1, -1))
            # a step of floor, mod, ..: the derivative is that of one piece
            if abs(up - down) < 1e-2 * max(1, abs(up)):
                assert g[k] == pytest.approx((up - down) / (2 * h), rel=2e-7, abs=2e-7), name
            up, down = (derivative(formula, "gradient", point + s * e) for s in (1, -1))
            if abs(up - down).max() < 1e-2 * max(1, abs(up).max()):
                assert H[k] == pytest.approx((up - down) / (2 * h), rel=2e-7, abs=2e-6), name


def test_values_are_those_of_numpy_for_every_function():
    table = list(functions())
    # one potential of all functions, weighted by a parameter each: one compilation instead of seventy
    names = [f"w{k}" for k in range(len(table))]

    def rule(xs, values):
        return sum(values[n] * xs[0].graph.wrap(_scalar(f(*xs))) for n, (_, f) in zip(names, table))
    V = object.__new__(fp.Potential)
    zeros = dict.fromkeys(names, 0.0)
    V._start(Parts(2, Formula(rule, 2, zeros, "all"), zeros, (), "all"))
    for n, (name, f) in zip(names, table):
        exact = np.array([float(f(*p)) for p in POINTS])
        assert V.with_params(**{n: 1.0})(POINTS) == pytest.approx(exact, rel=3e-15, abs=3e-15), name


def _scalar(a):
    return tracing.Graph.node(a.graph, "where", a, 1.0, 0.0) if getattr(a, "op", None) in tracing.LOGIC else a


def test_derivatives_agree_with_many_digits():
    mp = pytest.importorskip("mpmath")
    M = mp.mpf
    cases = [
        (lambda x, y: np.sin(1.5 * x) * np.cos(y) + x**3 / (1 + y * y), lambda x,
         y: mp.sin(M(1.5) * x) * mp.cos(y) + x**3 / (1 + y * y)),
        (lambda x, y: np.logaddexp(0, 3 * x) - np.tanh(x * y), lambda x, y: mp.log(1 + mp.exp(3 * x))
         - mp.tanh(x * y)),
        (lambda x, y: np.where(x > 0, np.sqrt(abs(x) + y * y), x**2 + 1), lambda x, y: mp.sqrt(x + y * y)
         if x > 0 else x**2 + 1),
        (lambda x, y: (x * x + y * y + 0.1) ** 2.5 + np.hypot(x, y), lambda x,
         y: (x * x + y * y + M(0.1)) ** M(2.5) + mp.sqrt(x * x + y * y)),
    ]
    with mp.workdps(40):
        for f, exact in cases:
            V = fp.Potential(f)
            for point in np.random.default_rng(0).uniform(-1.5, 1.5, (4, 2)):
                p = tuple(map(M, map(float, point)))
                pairs = [(V(point), exact(*p))] + [(V.gradient(point)[i],
                                                    mp.diff(exact, p,
                                                            tuple(np.eye(2, dtype=int)[i].tolist())))
                                                            for i in range(2)]
                pairs += [(V.hessian(point)[i, j],
                           mp.diff(exact, p,
                                   tuple((np.eye(2, dtype=int)[i] + np.eye(2, dtype=int)[j]).tolist())))
                                   for i in range(2) for j in range(2)]
                assert max(abs(float(got) - float(r)) / max(1, abs(float(r))) for got, r in pairs) < 2e-14


ARRAYS = {
    "sums": lambda x: np.sum((x**2 - 1) ** 2) + 0.5 * np.sum((x[1:] - x[:-1]) ** 2),
    "methods": lambda x: (x**2).sum() + x.prod() + x.mean() + x.max() - x.min() + x.dot(x),
    "dot": lambda x: np.dot(x, np.array([1.0, 2.0, 3.0])) + np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 2]]) @ x
    @ x,
    "norm": lambda x: np.linalg.norm(x) + np.linalg.norm(x, 1) + np.linalg.norm(x, np.inf)
    + np.linalg.norm(x[:2]) ** 3,
    "rolls": lambda x: np.sum(np.roll(x, 1) * x) + np.sum(np.diff(x) ** 2) + np.sum(np.cumsum(x))
    + np.sum(np.outer(x, x)),
    "in place": lambda x: _in_place(x),
    "variance": lambda x: np.var(x) + np.std(x) + np.einsum("i,i", x, x)
    + np.stack([x, x * x]).sum(axis=0)[1],
    "loops": lambda x: sum(np.cos(v) for v in x) + sum(x[i] * x[i + 1] for i in range(len(x) - 1)) + x[-1],
    "lists": lambda x: np.exp(np.array([x[0], x[1] * x[2]])).sum() + np.where(x > 0.5, x, x**2).sum()
    + np.sum(np.abs(x), axis=0),
}


def _in_place(x):
    y = x * 1.0
    y += x**2
    y *= 2.0
    return np.sum(y)


@pytest.mark.parametrize("name", ARRAYS)
def test_functions_of_one_array_trace(name):
    f = ARRAYS[name]
    formula = formula_of(f, 3)
    for x in np.random.default_rng(1).uniform(0.1, 0.9, (3, 3)):
        graph = tracing.Graph(Symbol)
        assert formula.apply(graph, [graph.constant(v) for v in x],
                             {}).value == pytest.approx(f(x), rel=1e-13)
        g = derivative(formula, "gradient", x)
        numeric = [(f(x + e) - f(x - e)) / 2e-6 for e in 1e-6 * np.eye(3)]
        assert g == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def test_a_branch_not_taken_never_poisons_the_derivatives():
    V = fp.Potential(lambda x: np.where(x > 0, np.sqrt(abs(x)) ** 3 + 3 * np.log(abs(x) + (x <= 0)), x**2))
    assert V.gradient([0.0]) == 0.0 and V.gradient([-2.0]) == -4.0
    W = fp.Potential(lambda x: 5.0 * np.where(x > 0, x * np.sqrt(np.where(x > 0, x, 0.0)), 0.0))
    assert np.array_equal(W.gradient([[0.0], [-1.0]]),
                          [[0.0], [0.0]]) and W.gradient([4.0])[0] == pytest.approx(15.0)


def test_many_nested_choices_stay_small():
    def staircase(x):
        f = x
        for k in range(30):
            f = np.where(x > k, f * 1.5, np.sin(f))
        return f
    formula = formula_of(staircase)
    f, xs = formula.record()
    assert len(sources.loop(f, xs, "hessian")) < 20_000


def test_the_derivative_at_a_kink_is_one_of_its_sides():
    V = fp.Potential(lambda x, y: abs(x) + np.maximum(y, 0.0))
    assert np.array_equal(V.gradient([0.0, 0.0]), [0.0, 1.0])


def test_nan_comes_through_choices_and_maxima():
    V = fp.Potential(lambda x, y: np.maximum(x, y) + np.minimum(y, x))
    assert np.isnan(V([np.nan, 1.0])) and np.isnan(V([1.0, np.nan]))


def test_common_parts_are_computed_once():
    f, xs = formula_of(lambda x, y: np.exp(x * y) + np.exp(y * x) ** 2).record()
    text = "\n".join(sources.loop(f, xs, "hessian"))
    assert text.count("exp(") == 1


def test_what_depends_on_parameters_alone_is_computed_before_the_loop():
    f, xs = formula_of(lambda x, a=2.0: np.exp(a) * x).record()
    lines = sources.loop(f, xs, "value")
    assert any("exp(" in line for line in lines[:lines.index("for j in range(X.shape[1]):")])


def branch(x):
    return x if x > 0 else -x


REFUSED = [
    (branch, {}, "numpy.where"),
    (lambda x, y: max(x, y), {}, "numpy.maximum"),
    (lambda x: math.exp(x), {}, "numpy.exp"),
    (lambda x: math.sqrt(x), {}, "numpy"),
    (lambda x: None, {}, "return"),
    (lambda x: np.array([x, x]), {}, "2 values.*one number"),
    (lambda x: x[0] ** 2, {}, "ndim"),
    (lambda x: x, {"ndim": 3}, "3 values.*one number"),
    (lambda x: np.sinc(x), {}, "cannot be recorded|no derivative rule"),
    (lambda x: np.nextafter(x, 1.0), {}, "nextafter.*no derivative rule"),
    (lambda x: np.nan * x, {}, None),
    (lambda x: np.nan, {}, "nan everywhere"),
    (lambda x: np.inf, {}, "inf everywhere"),
    (lambda x: "text", {}, "real number"),
    (lambda x: 1j * x, {}, "real number"),
    (lambda x: undefined_name * x, {}, "NameError.*undefined_name"),      # noqa: F821
    (lambda x: range(x), {}, "numpy"),
    (lambda x: np.linalg.eigvals(np.array([[x[0], x[1]], [x[1], x[0]]]))[0], {"ndim": 2}, "."),
    (lambda x, y: x, {"ndim": 3}, "2 coordinates"),
    (lambda a=1.0: a, {}, "no coordinate"),
    (lambda x: x, {"b": 1.0}, "no parameter"),
    (lambda *x: x[0], {}, "ndim"),
    (3.0, {}, "function or a string"),
    (np.ones(3), {}, "GridPotential"),
]


@pytest.mark.parametrize("f, options, words", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_recorded_gets_one_sentence(f, options, words):
    if words is None:  # NaN times x is a function of x: found when evaluated
        assert np.isnan(fp.Potential(f)([1.0]))
        return
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        fp.Potential(f, **options)
    text = str(caught.value)
    assert 15 < len(text) < 500 and "\n" not in text and "numba" not in text.lower()


def test_the_time_may_be_an_argument_without_a_default():
    V = fp.Potential(lambda x, t: x * np.cos(t))
    assert V.ndim == 1 and V.params == {"t": 0.0} and V.with_params(t=np.pi)([2.0]) == pytest.approx(-2.0)


def test_arrays_and_flags_as_defaults_are_constants():
    centres = np.array([[0.0, 1.0], [2.0, 3.0]])

    def wells(x, depth=1.0, centres=centres, soft=True):
        f = 0.0
        for c in centres:
            f = f - depth * np.exp(-np.sum((x - c) ** 2))
        return f if soft else abs(f)
    V = fp.Potential(wells, ndim=2)
    assert V.params == {"depth": 1.0} and V([0.0, 1.0]) == pytest.approx(-1 - math.exp(-8))


def test_a_recorded_function_travels_as_its_operations():
    V = fp.Potential(lambda x, y, a=0.5: np.maximum(x, y) ** 2.5 + a * np.logaddexp(x, y)
                     + np.where((x > 0) & (y < 1), x, 2 * y))
    W = pickle.loads(pickle.dumps(V))
    assert W.digest == V.digest and W.params == V.params
    assert np.array_equal(W.with_params(a=2.0).gradient([0.3, 0.7]),
                          V.with_params(a=2.0).gradient([0.3, 0.7]))


def test_a_sympy_expression_is_a_potential():
    sympy = pytest.importorskip("sympy")
    x, y, a = sympy.symbols("x y a", real=True)
    V = fp.Potential((x**2 - 1) ** 2 + a * sympy.sin(y), a=2.0)
    assert V.ndim == 2 and V([2.0, 1.0]) == pytest.approx(9 + 2 * math.sin(1.0)) and V.params == {"a": 2.0}


def test_trace_error_is_a_type_error():
    assert issubclass(TraceError, TypeError)
