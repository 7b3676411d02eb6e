"""Evaluators of potentials that are never compiled: plain Python functions of many points, and their sums."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pieces import FIRST_STEP, described


class BlackBox:
    """value(points, **parameters) and its gradient; what is missing is made by central differences."""

    def __init__(self, value: Callable, gradient: Callable | None, batched: bool,
                 params: dict[str, float]) -> None:
        self._value = value if batched else _PointByPoint(value)
        self._gradient = gradient if batched or gradient is None else _PointByPoint(gradient)
        self.params = params
        self.described = "\n".join(described(f) for f in (value, gradient) if f is not None)

    @property
    def functions(self) -> tuple:
        """What it calls."""
        return self._value, self._gradient

    def with_params(self, changes: dict[str, float]) -> BlackBox:
        other = object.__new__(BlackBox)
        other.__dict__.update(self.__dict__, params={**self.params, **changes})
        return other

    def evaluated(self, kind: str, points: np.ndarray) -> np.ndarray:
        """The value (n,), gradient (n, d) or Hessian (n, d, d) at points (n, d)."""
        n, d = points.shape
        if kind == "value":
            return self._asked(self._value, points, (n,), "value")
        if kind == "gradient":
            if self._gradient is not None:
                return self._asked(self._gradient, points, (n, d), "gradient")
            return _differences(lambda y: self._asked(self._value, y, (len(y),), "value"), points)
        H = _differences(lambda y: self.evaluated("gradient", y), points)
        return 0.5 * (H + np.swapaxes(H, -1, -2))

    def _asked(self, function, points, shape, name):
        out = np.asarray(function(points.copy(), **self.params), float)
        if out.shape != shape:
            raise ValueError(f"the black box's {name} returned shape {out.shape} for {len(points)} points of "
                             f"{points.shape[1]} coordinates, expected {shape}; a function of one point "
                             "needs batched=False.")
        return out


class BlackBoxSum:
    """sum_k weight_k V_k, evaluated term by term."""

    def __init__(self, terms: list[tuple[Any, float]], text: str) -> None:
        self._terms = terms
        self.described = text + "\n" + "\n".join(V.source for V, _ in terms)

    @property
    def functions(self) -> tuple:
        """The terms with their weights."""
        return tuple(self._terms)

    def with_params(self, changes: dict[str, float]) -> BlackBoxSum:
        other = object.__new__(BlackBoxSum)
        mine = lambda V: {k: v for k, v in changes.items() if k in V.params}
        other.__dict__.update(self.__dict__, _terms=[(V.with_params(**mine(V)), w) for V, w in self._terms])
        return other

    def evaluated(self, kind: str, points: np.ndarray) -> np.ndarray:
        call = {"value": lambda V: V(points), "gradient": lambda V: V.gradient(points),
                "hessian": lambda V: V.hessian(points)}[kind]
        return sum(w * call(V) for V, w in self._terms)


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
