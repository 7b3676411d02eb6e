"""Sums, multiples, tilts and confinement of potentials.

Recorded parts are merged into one formula and stay exact and fast; sampled and compiled parts keep their own
block functions and are added up. Numbers that come in (the 2 of 2*V, a tilt) are hidden run-time parameters,
named "#0", "#1", ..: a sweep over tilts compiles once.

Equal parameter names with equal values are one shared parameter; equal names with different values are
refused.
"""
import numbers

import numpy as np

from ..core import checks
from .symbolic.formula import Formula


def _fresh(values):
    k = len(values)
    while f"#{k}" in values:
        k += 1
    return f"#{k}"


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
                                 f"{value:g} in the other; rename it in one, "
                                 "or give both the same value to share it.")
            renaming[name] = name
        result[renaming[name]] = value
    return renaming, result


def _combined(terms, extra, extra_values, text):
    """Potential sum_k weight_k V_k + extra. terms: (V, weight or None); extra: rule(xs, values) or None over
    extra_values."""
    from .black_box import BlackBox
    from .potential import Potential
    if any(V.is_black_box for V, _ in terms):
        return BlackBox.combined(terms, extra, extra_values, text)
    ndim, values, rules, pieces = terms[0][0].ndim, {}, [], []
    for V, weight in terms:
        renaming, values = _renamed(V._values, values)
        name = None
        if weight is not None:
            name = _fresh(values)
            values[name] = weight
        if V._formula is not None:
            rules.append((V._formula, renaming, name))
        for own, piece in V._pieces:
            own = renaming.get(own)
            if own is not None and name is not None:  # weight of a weight: their product as one more number
                product = _fresh(values)
                values[product] = values[own] * weight
                pieces.append((product, piece))
            else:
                pieces.append((own or name, piece))
    pieces, values = _merged(pieces, values)
    renaming, values = _renamed(extra_values, values)
    extra_names = dict(renaming)

    def rule(xs, given):
        total = 0.0
        for formula, renaming, weight in rules:
            f = formula.apply(xs[0].graph, xs, {name: given[renaming[name]] for name in formula.defaults})
            total = f + total if weight is None else given[weight] * f + total
        if extra is not None:
            total = total + extra(xs, {name: given[extra_names[name]] for name in extra_values})
        return total
    result = object.__new__(Potential)
    formula = Formula(rule, ndim, values, text) if rules or extra is not None else None
    result._start(ndim, formula, values, pieces, text)
    result.bounds = _common_bounds([V.bounds for V, _ in terms])
    result.domain = _common_domain([V.domain for V, _ in terms if V.domain is not None])
    return result


def _merged(pieces, values):
    """The same piece twice becomes one piece with the sum of the weights."""
    weights = {}
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


def _common_bounds(boxes):
    boxes = [b for b in boxes if b is not None]
    if not boxes:
        return None
    low, high = np.max(np.array(boxes)[..., 0], 0), np.min(np.array(boxes)[..., 1], 0)
    if (low >= high).any():
        raise ValueError("the boxes of the two sampled potentials do not overlap: "
                         f"{', '.join(map(str, boxes))}.")
    return [(float(a), float(b)) for a, b in zip(low, high)]


def _common_domain(domains):
    if len(domains) < 2:
        return domains[0] if domains else None
    return _Everywhere(domains)


class _Everywhere:
    """True where all domains are."""

    def __init__(self, domains):
        self.domains = domains

    def __call__(self, points):
        return np.logical_and.reduce([d(points) for d in self.domains])


def _is_number(a):
    return isinstance(a, numbers.Real) and not isinstance(a,
                                                          bool) or isinstance(a,
                                                                              np.ndarray) and a.ndim == 0 and a.dtype.kind in "fiu"


def _short(V):
    return V._text if len(V._text) <= 40 else V._text[:37] + "..."


def add(V, other):
    from .potential import Potential
    if isinstance(other, Potential):
        _same_dimension(V, other)
        return _combined([(V, None), (other, None)], None, {}, f"{_short(V)} + {_short(other)}")
    if _is_number(other):
        constant = checks.number("the constant", other)
        return _combined([(V, None)], lambda xs, v: v["#c"] + 0.0, {"#c": constant},
                         f"{_short(V)} + {constant:g}")
    raise TypeError(f"a potential can be added to a potential or a number, got {checks.shown(other)}; wrap a "
                    "function first: Potential(f).")


def subtract(V, other):
    from .potential import Potential
    if isinstance(other, Potential):
        _same_dimension(V, other)
        return _combined([(V, None), (other, -1.0)], None, {}, f"{_short(V)} - ({_short(other)})")
    if _is_number(other):
        return add(V, -other)
    raise TypeError(f"a potential or a number can be subtracted from a potential, got {checks.shown(other)}.")


def scale(V, factor):
    from .potential import Potential
    if isinstance(factor, Potential):
        raise TypeError("the product of two potentials is not defined; write one function of the coordinates "
                        "instead.")
    if not _is_number(factor):
        raise TypeError(f"a potential can be multiplied by a number, got {checks.shown(factor)}.")
    factor = checks.number("the factor", factor)
    return _combined([(V, factor)], None, {}, f"{factor:g}*({_short(V)})")


def divide(V, divisor):
    if not _is_number(divisor):
        raise TypeError(f"a potential can be divided by a number, got {checks.shown(divisor)}.")
    divisor = checks.number("the divisor", divisor)
    if divisor == 0:
        raise ValueError("a potential cannot be divided by zero.")
    return scale(V, 1.0 / divisor)


def tilt(V, slope):
    slope = _vector("slope", slope, V.ndim)
    rule = lambda xs, v: sum((v[f"#s{i}"] * x for i, x in enumerate(xs)), 0.0)
    return _combined([(V, None)], rule, {f"#s{i}": s for i, s in enumerate(slope)},
                     f"{_short(V)} + {slope.tolist()}.x")


def confine(V, stiffness, centre=None):
    stiffness = checks.number("stiffness", stiffness, non_negative=True)
    centre = np.zeros(V.ndim) if centre is None else _vector("centre", centre, V.ndim)
    rule = lambda xs, v: 0.5 * v["#k"] * sum(((x - v[f"#c{i}"]) ** 2 for i, x in enumerate(xs)), 0.0)
    values = {"#k": stiffness} | {f"#c{i}": c for i, c in enumerate(centre)}
    return _combined([(V, None)], rule, values, f"{_short(V)} + {stiffness:g}/2 |x - {centre.tolist()}|^2")


def _vector(name, value, ndim):
    value = checks.points(name, np.atleast_1d(value), ndim)
    if value.shape != (ndim,):
        raise ValueError(f"{name} must have shape ({ndim},), got {value.shape}.")
    return value


def _same_dimension(V, W):
    if V.ndim != W.ndim:
        raise ValueError(f"potentials of {V.ndim} and {W.ndim} coordinates cannot be added; both need the "
                         "same dimension (name unused coordinates in the function).")
