"""Potentials that are never compiled: plain Python functions of many points."""
import numpy as np

from ..core import checks
from .pieces import FIRST_STEP, described
from .potential import Potential


class BlackBox(Potential):
    """Made by `Potential.black_box`, and by operators on one."""

    is_black_box = True

    def __init__(self, value, gradient, ndim, batched, parameters):
        if not callable(value) or not (gradient is None or callable(gradient)):
            raise TypeError("value and gradient of a black box must be functions of points (n, ndim).")
        if ndim is None:
            raise TypeError("Potential.black_box needs ndim, the number of coordinates.")
        ndim = checks.whole("ndim", ndim, 1)
        values = {name: checks.number(f"parameter {name}", v) for name, v in parameters.items()}
        self._value = value if batched else _PointByPoint(value)
        self._gradient = gradient if batched or gradient is None else _PointByPoint(gradient)
        self._start(ndim, None, values, [],
                    f"black box {getattr(value, '__name__', type(value).__name__)}(x[{ndim}])")
        self._described = "\n".join(described(f) for f in (value, gradient) if f is not None)

    @classmethod
    def combined(cls, terms, extra, extra_values, text):
        """sum_k weight_k V_k + extra, evaluated term by term."""
        from .terms import _common_bounds, _common_domain, _renamed
        values = {}
        for V, _ in terms:
            _, values = _renamed(V.params, values)
        rest = None
        if extra is not None:
            from .symbolic.formula import Formula
            rest = object.__new__(Potential)
            rest._start(terms[0][0].ndim, Formula(extra, terms[0][0].ndim, extra_values, text), extra_values,
                        [], text)
        self = object.__new__(cls)
        self._terms, self._rest = [(V, 1.0 if w is None else w) for V, w in terms], rest
        self._value, self._gradient = None, None
        self._start(terms[0][0].ndim, None, values, [], text)
        self._described = text + "\n" + "\n".join(V.source for V, _ in terms)
        self.bounds = _common_bounds([V.bounds for V, _ in terms])
        self.domain = _common_domain([V.domain for V, _ in terms if V.domain is not None])
        return self

    def with_params(self, **changes):
        other = super().with_params(**changes)
        if self._value is None:
            other._terms = [(V.with_params(**{k: v for k, v in changes.items() if k in V.params}), w) for V,
                            w in self._terms]
        return other

    def block(self, kind):
        raise ValueError("a black-box potential has no compiled functions; evaluate it with V(x) and "
                         "V.gradient(x).")

    @property
    def source(self):
        return f"# {self._text}\n{self._described}\n"

    def _direct(self, kind, points):
        n, d = points.shape
        if self._value is None:
            call = {"value": lambda V: V(points), "gradient": lambda V: V.gradient(points),
                    "hessian": lambda V: V.hessian(points)}[kind]
            total = sum(w * call(V) for V, w in self._terms)
            return total if self._rest is None else total + call(self._rest)
        if kind == "value":
            return self._asked(self._value, points, (n,), "value")
        if kind == "gradient":
            if self._gradient is not None:
                return self._asked(self._gradient, points, (n, d), "gradient")
            return self._differences(lambda y: self._asked(self._value, y, (n,), "value"), points)
        H = self._differences(lambda y: self._direct("gradient", y), points)
        return 0.5 * (H + np.swapaxes(H, -1, -2))

    def _asked(self, function, points, shape, name):
        out = np.asarray(function(points.copy(), **self.params), float)
        if out.shape != shape:
            raise ValueError(f"the black box's {name} returned shape {out.shape} for {len(points)} points of "
                             f"{self.ndim} coordinates, expected {shape}; "
                             "a function of one point needs batched=False.")
        return out

    @staticmethod
    def _differences(function, points):
        columns = []
        for k in range(points.shape[1]):
            up, down = points.copy(), points.copy()
            h = FIRST_STEP * np.maximum(1.0, np.abs(points[:, k]))
            up[:, k] += h
            down[:, k] -= h
            width = up[:, k] - down[:, k]
            change = function(up) - function(down)
            columns.append(change / width.reshape((-1,) + (1,) * (change.ndim - 1)))
        return np.stack(columns, axis=-1)


class _PointByPoint:
    def __init__(self, function):
        self.function = function

    def __call__(self, points, **parameters):
        return np.array([np.asarray(self.function(x, **parameters), float) for x in points])
