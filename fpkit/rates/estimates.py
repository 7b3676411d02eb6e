"""Rates as Estimates that carry the verdict of the guard."""
from __future__ import annotations

import math

import numpy as np

from ..core.results import Estimate
from .guard import REFUSE


class RateEstimate(Estimate):
    """An Estimate of a rate that carries the verdict of its guard (`guard`); refused numbers are NaN with the
    reason in `status`."""

    @property
    def guard(self):
        return self.inputs["guard"]

    def to_dict(self):
        return {**super().to_dict(), "relative_error": self.relative_error
                if math.isfinite(self.relative_error) else None, "guard": self.guard.to_dict()}


def rate_estimate(log_rate, relative_error, method, guard, inputs):
    """A RateEstimate from the natural logarithm of the rate; a refused one has no value."""
    inputs = {**inputs, "guard": guard, "relative_error": float(relative_error)}
    if guard.action == REFUSE:
        return RateEstimate(math.nan, math.nan, method, log10=math.nan, status=guard.sentence,
                            inputs={**inputs, "relative_error": math.nan})
    value = math.exp(log_rate) if log_rate < 709 else math.inf
    return RateEstimate(value, value * relative_error, method, log10=log_rate / math.log(10), inputs=inputs)


def definition_error(height):
    """How far two definitions of the rate differ at a barrier of `height` theta: of the order of height
    exp(-height)."""
    return float(height * np.exp(-height))
