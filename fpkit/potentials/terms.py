"""Sums, multiples, tilts and confinement of the parts of potentials.

Recorded parts are merged into one formula and stay exact and fast; sampled and compiled parts keep their own
block functions and are added up. Numbers that come in (the 2 of 2*V, a tilt) are hidden run-time parameters,
named "#0", "#1", ..: a sweep over tilts compiles once.

Equal parameter names with equal values are one shared parameter; equal names with different values are
refused.
"""
from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np

from ..core import checks
from .symbolic.formula import Formula


class Parts(NamedTuple):
    """What a potential is made of: a formula, and pieces (name of its weight or None, piece) with block
    functions of their own; `values` of the parameters in the order of p."""

    ndim: int
    formula: Formula | None
    values: dict[str, float]
    pieces: tuple
    text: str


def weighted_sum(weighted: list[tuple[Parts, float | None]], extra: Formula | None, text: str) -> Parts:
    """Parts of sum_k weight_k f_k + extra; None is the weight 1 that needs no parameter."""
    ndim, values, rules, pieces = weighted[0][0].ndim, {}, [], []
    for parts, weight in weighted:
        renaming, values = _renamed(parts.values, values)
        name = None
        if weight is not None:
            name = _fresh(values)
            values[name] = weight
        if parts.formula is not None:
            rules.append((parts.formula, renaming, name))
        for own, piece in parts.pieces:
            own = renaming.get(own)
            if own is not None and name is not None:  # weight of a weight: their product as one more number
                product = _fresh(values)
                values[product] = values[own] * weight
                pieces.append((product, piece))
            else:
                pieces.append((own or name, piece))
    pieces, values = _merged(pieces, values)
    if extra is not None:
        extra_names, values = _renamed(extra.defaults, values)

    def rule(xs, given):
        total = 0.0
        for formula, renaming, weight in rules:
            f = formula.apply(xs[0].graph, xs, {name: given[renaming[name]] for name in formula.defaults})
            total = f + total if weight is None else given[weight] * f + total
        if extra is not None:
            total = total + extra.rule(xs, {name: given[extra_names[name]] for name in extra.defaults})
        return total
    formula = Formula(rule, ndim, values, text) if rules or extra is not None else None
    return Parts(ndim, formula, values, tuple(pieces), text)


def shared(parameters: list[dict[str, float]]) -> dict[str, float]:
    """The parameters of several potentials together."""
    values: dict[str, float] = {}
    for more in parameters:
        _, values = _renamed(more, values)
    return values


def _renamed(values, taken):
    """Names under which the values of a second potential live beside those taken; clashes of visible names
    are refused."""
    renaming, result = {}, dict(taken)
    for name, value in values.items():
        if name.startswith("#"):
            renaming[name] = _fresh(result)
        else:
            if name in result and result[name] != value:
                raise ValueError(f"both potentials have a parameter {name!r}, {result[name]:g} in one and "
                                 f"{value:g} in the other; rename it in one, or give both the same value to "
                                 "share it.")
            renaming[name] = name
        result[renaming[name]] = value
    return renaming, result


def _fresh(values):
    k = len(values)
    while f"#{k}" in values:
        k += 1
    return f"#{k}"


def _merged(pieces, values):
    """The same piece twice becomes one piece with the sum of the weights."""
    weights: dict[int, tuple] = {}
    for name, piece in pieces:
        weights.setdefault(id(piece), (piece, []))[1].append(name)
    result = []
    for piece, names in weights.values():
        if len(names) > 1:
            name = _fresh(values)
            values[name] = sum(1.0 if n is None else values[n] for n in names)
            names = [name]
        result.append((names[0], piece))
    return result, values


def common_bounds(boxes: list) -> list[tuple[float, float]] | None:
    """The box in which all potentials mean something; None stands for everywhere."""
    boxes = [b for b in boxes if b is not None]
    if not boxes:
        return None
    low, high = np.max(np.array(boxes)[..., 0], 0), np.min(np.array(boxes)[..., 1], 0)
    if (low >= high).any():
        raise ValueError("the boxes of the two sampled potentials do not overlap: "
                         f"{', '.join(map(str, boxes))}.")
    return [(float(a), float(b)) for a, b in zip(low, high)]


def common_domain(domains: list) -> Any:
    """True where all domains are; None for none."""
    if len(domains) < 2:
        return domains[0] if domains else None
    return _Everywhere(domains)


class _Everywhere:
    def __init__(self, domains):
        self.domains = domains

    def __call__(self, points):
        return np.logical_and.reduce([d(points) for d in self.domains])


def is_number(a: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.ndim == 0 and a.dtype.kind in "fiu"
    return isinstance(a, numbers.Real) and not isinstance(a, bool)


def same_dimension(first: int, second: int) -> None:
    if first != second:
        raise ValueError(f"potentials of {first} and {second} coordinates cannot be added; both need the "
                         "same dimension (name unused coordinates in the function).")


def tilt(slope: Any, ndim: int) -> tuple:
    """Rule, values and text of slope . x."""
    slope = _vector("slope", slope, ndim)

    def rule(xs, v):
        return sum((v[f"#s{i}"] * x for i, x in enumerate(xs)), 0.0)
    return rule, {f"#s{i}": s for i, s in enumerate(slope)}, f"{slope.tolist()}.x"


def confinement(stiffness: float, centre: Any, ndim: int) -> tuple:
    """Rule, values and text of stiffness/2 |x - centre|^2."""
    stiffness = checks.number("stiffness", stiffness, non_negative=True)
    centre = np.zeros(ndim) if centre is None else _vector("centre", centre, ndim)

    def rule(xs, v):
        return 0.5 * v["#k"] * sum(((x - v[f"#c{i}"]) ** 2 for i, x in enumerate(xs)), 0.0)
    values = {"#k": stiffness} | {f"#c{i}": c for i, c in enumerate(centre)}
    return rule, values, f"{stiffness:g}/2 |x - {centre.tolist()}|^2"


def _vector(name, value, ndim):
    value = checks.points(name, np.atleast_1d(value), ndim)
    if value.shape != (ndim,):
        raise ValueError(f"{name} must have shape ({ndim},), got {value.shape}.")
    return value
