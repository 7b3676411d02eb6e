"""Results as plain JSON: numbers, texts, lists and dictionaries, no NaN."""
from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Result(Protocol):
    """What a result knows of itself."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""


def plain(a: Any) -> Any:
    """Anything as what strict JSON knows: results by their `to_dict`, arrays as lists, numbers that are not
    finite as None."""
    if isinstance(a, Result):
        return plain(a.to_dict())
    if isinstance(a, dict):
        return {str(k): plain(v) for k, v in a.items()}
    if hasattr(a, "tolist"):  # arrays and scalars of NumPy, which `fpkit --help` does without
        return plain(a.tolist())
    if isinstance(a, (list, tuple)):
        return [plain(v) for v in a]
    if isinstance(a, float):
        return float(a) if math.isfinite(a) else None
    return a if a is None or isinstance(a, (bool, int, str)) else str(a)
