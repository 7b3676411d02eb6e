"""Checks at the border of the package. Each failure is one sentence: what was given, what was expected, what
helps."""
from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from .text import printable


def number(name: str, value: Any, positive: bool = False, non_negative: bool = False,
           hint: str = '') -> float:
    """`value` as a finite float; bool, text, arrays and NaN are refused."""
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)) or value is None:
            raise TypeError
        value = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {shown(value)}.{_tail(hint)}") from None
    except OverflowError:                              # a whole number beyond the range of floats
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}.{_tail(hint)}")
    if positive and value <= 0:
        raise ValueError(f"{name} must be positive, got {value:g}.{_tail(hint)}")
    if non_negative and value < 0:
        raise ValueError(f"{name} must not be negative, got {value:g}.{_tail(hint)}")
    return value


def whole(name: str, value: Any, least: int = 0, hint: str = '') -> int:
    """`value` as an int that is at least `least`."""
    is_whole = isinstance(value, (numbers.Integral, np.integer)) or (isinstance(value, numbers.Real)
                                                                     and float(value).is_integer())
    if isinstance(value, (bool, np.bool_)) or not is_whole:
        raise TypeError(f"{name} must be a whole number, got {shown(value)}.{_tail(hint)}")
    value = int(value)
    if value >= 2**63:
        raise ValueError(f"{name} must be below 2^63, got {shown(value)}.{_tail(hint)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.{_tail(hint)}")
    return value


def choice(name: str, value: Any, known: Iterable) -> Any:
    """`value` if it is one of `known`; otherwise a sentence with the nearest spelling."""
    known = list(known)
    if value in known:
        return value
    near = difflib.get_close_matches(str(value), [k for k in known if isinstance(k, str)], 1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} {value!r} is unknown; known are {', '.join(map(str, known))}.{guess}")


def points(name: str, x: Any, ndim: int) -> np.ndarray:
    """`x` as a float array (..., ndim), finite."""
    try:
        x = np.asarray(x, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be numbers of shape (..., {ndim}), got {shown(x)}.") from None
    if x.ndim == 0 or x.shape[-1] != ndim:
        raise ValueError(f"{name} must have shape (..., {ndim}), got {x.shape}: the last index counts the "
                         "coordinates.")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(x)).sum())} values that are not finite; remove "
                         "them first.")
    return x


def shown(value: Any, limit: int = 60) -> str:
    """Short text of what was given, for messages."""
    if isinstance(value, np.ndarray) and value.size > 6:
        text = f"array of shape {value.shape}"
    else:
        try:
            text = printable(" ".join(repr(value).split()))
        except Exception:                              # an int of 5000 digits, a repr that fails
            text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _tail(hint):
    return f" {hint}" if hint else ""
