"""Numbers along time, lag or frequency, each with its error."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..results import Estimate, with_error
from .pictures import curves
from .tables import Tabular


@dataclass(frozen=True, repr=False)
class Series(Tabular):
    """A quantity over time (or lag, or frequency).

    Attributes
    ----------
    times : ndarray (n,)
        Times, lags or frequencies, as `axis` says.
    values, errors : ndarray (n,)
        The quantity, and bounds that the true errors keep.
    name : str
    axis : {"time", "lag", "frequency"}
    method : str
    inputs : dict
        What made it.
    """
    times: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    name: str
    axis: str = "time"
    method: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, k: int) -> Estimate:
        """Entry k as an Estimate."""
        return Estimate(float(self.values[k]), float(self.errors[k]), f"{self.name}, {self.method}",
                        inputs={**self.inputs, self.axis: float(self.times[k])})

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values, dtype)

    def _columns(self):
        return {self.axis: self.times, "value": self.values, "error": self.errors}

    def _labelled(self):
        return ({"value": ((self.axis,), self.values), "error": ((self.axis,), self.errors)},
                {self.axis: ((self.axis,), self.times)})

    def _picture(self):
        return curves([(self.times, self.values)])

    def __repr__(self) -> str:
        rows = range(len(self)) if len(self) <= 12 else [*range(6), *range(len(self) - 5, len(self))]
        shown = "\n".join(f"{self.times[k]:12.6g}  {with_error(self.values[k], self.errors[k])}"
                          for k in rows)
        return f"{self.name} over {self.axis} ({self.method})\n{shown}"
