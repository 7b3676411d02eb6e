"""Free energies in the space of all parameters that came with a landscape, beside those of its plane."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class WholeSpace:
    """One difference of free energies in the whole space beside the plane's, in nats.

    Attributes
    ----------
    theta : float
    pair : tuple of str
    nats, error : float
        (F_a - F_b)/theta in the whole space, NaN where it was refused.
    plane : float
        The same on the plane; NaN where the two share a well there, or one has none.
    status : str
        "ok", or why the sign is not decided.
    """
    theta: float
    pair: tuple[str, str]
    nats: float
    error: float
    plane: float
    status: str

    @property
    def agreement(self) -> str:
        """"agree", "disagree", or "open" where one of the two does not decide."""
        if self.status != "ok" or not math.isfinite(self.plane):
            return "open"
        return "agree" if self.nats * self.plane > 0 else "disagree"

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "agreement": self.agreement}


def beside_the_plane(summary: Any, solutions: list[tuple[str, np.ndarray, int]],
                     free_energies: Callable[[float], np.ndarray]) -> tuple[WholeSpace, ...]:
    """The rows of a summary (of `SolutionComparison`, or foreign text of a file) whose solutions the plane
    knows."""
    rows = summary.get("rows") if isinstance(summary, dict) else None
    wells, found = {name: well for name, _, well in solutions}, []
    for row in rows[:100] if isinstance(rows, list) else ():
        try:
            theta, (a, b), status = float(row["theta"]), row["pair"], str(row["status"])[:300]
            nats, error = (math.nan if row[name] is None else float(row[name]) for name in ("nats", "error"))
            k, n = wells[a], wells[b]
        except (TypeError, ValueError, LookupError):
            continue                                     # foreign text
        if not 0 < theta < math.inf:
            continue
        plane = math.nan
        if k and n and k != n:
            F = free_energies(theta)
            plane = float(F[k - 1] - F[n - 1]) / theta
        found.append(WholeSpace(theta, (a, b), nats, error, plane, status))
    return tuple(found)
