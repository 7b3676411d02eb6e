"""Results as plain JSON: numbers, texts, lists and dictionaries, no NaN."""
from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain(a: Any) -> Any:
    """Anything as what strict JSON knows: arrays become lists, numbers that are not finite None."""
    if isinstance(a, dict):
        return {str(k): plain(v) for k, v in a.items()}
    if isinstance(a, np.ndarray):
        return plain(a.tolist())
    if isinstance(a, np.generic):
        return plain(a.item())
    if isinstance(a, (list, tuple)):
        return [plain(v) for v in a]
    if isinstance(a, float):
        return a if math.isfinite(a) else None
    return a if a is None or isinstance(a, (bool, int, str)) else str(a)
