"""Rates as Estimates that carry the verdict of a guard: when an Eyring-Kramers number may be trusted."""
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.results import Estimate
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoint

WARN, REFUSE = "warn", "refuse"

LEAST_BARRIER = 3.0                              # theta: below it there is no rate to speak of
GOOD_BARRIER = 5.0                               # theta: below it the error is 10 % and more
SAME_HEIGHT = 3.0                                # theta: saddles and heights this close count as equal
FLAT = 1e-8                                      # |eigenvalue| below this times the largest counts as zero


@dataclass(frozen=True)
class Reason:
    """One condition that failed.

    Attributes
    ----------
    action : {"warn", "refuse"}
    code : str
        For programs: "low-barrier", "soft-saddle", "flat-saddle", "flat-well", "second-saddle",
        "equal-heights", "on-wall", "shallow-well", "low-friction".
    text : str
        One sentence with the numbers and the way out.
    """

    action: str
    code: str
    text: str


@dataclass(frozen=True)
class Guard:
    """The verdict on one number: every condition that failed, in the order of gravity.

    Attributes
    ----------
    reasons : tuple of Reason

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> fp.eyring_kramers(V, [-1], [0], theta=0.25).guard
    warn: low-barrier (the barrier is 4 theta: expect an error of 10 % and more)
    >>> fp.eyring_kramers(V, [-1], [0], theta=0.1).guard
    ok
    """

    reasons: tuple[Reason, ...] = ()

    @property
    def action(self) -> str:
        """"ok", "warn" or "refuse": the gravest of the reasons."""
        actions = {r.action for r in self.reasons}
        return REFUSE if REFUSE in actions else WARN if WARN in actions else "ok"

    @property
    def is_refused(self) -> bool:
        """Whether one of the reasons is a refusal."""
        return self.action == REFUSE

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all reasons."""
        return tuple(r.code for r in self.reasons)

    @property
    def sentence(self) -> str:
        """The gravest reason as a sentence, or "ok"."""
        for action in (REFUSE, WARN):
            for r in self.reasons:
                if r.action == action:
                    return r.text
        return "ok"

    def __add__(self, other: Guard) -> Guard:
        known = list(self.reasons)
        known += [r for r in other.reasons if r not in known]
        return Guard(tuple(sorted(known, key=lambda r: r.action != REFUSE)))

    def to_dict(self) -> dict[str, Any]:
        return {"action": self.action, "reasons": [{"action": r.action, "code": r.code, "text": r.text}
                                                   for r in self.reasons]}

    def __repr__(self) -> str:
        return "ok" if not self.reasons else "; ".join(f"{r.action}: {r.code} ({r.text})"
                                                       for r in self.reasons)


def refusal(code: str, text: str) -> Guard:
    """A guard with one reason to refuse."""
    return Guard((Reason(REFUSE, code, text),))


def caution(code: str, text: str) -> Guard:
    """A guard with one reason to warn."""
    return Guard((Reason(WARN, code, text),))


def barrier_reasons(barrier: float, theta: float) -> Iterator[Reason]:
    """The barrier in units of theta: below 3 there is no rate, below 5 the formula is rough."""
    height = barrier / theta
    if height < LEAST_BARRIER * (1 - 1e-9):
        yield Reason(REFUSE, "low-barrier", f"the barrier is {height:.3g} theta, below {LEAST_BARRIER:g} "
                     "there is no rate of escape: lower theta, or ask for the mfpt of the grid")
    elif height < GOOD_BARRIER * (1 - 1e-9):
        yield Reason(WARN, "low-barrier", f"the barrier is {height:.3g} theta: expect an error of 10 % and "
                     "more")


def wall_reasons(V: Potential, point: CriticalPoint, name: str) -> Iterator[Reason]:
    """A stationary point on the edge of the box or of the data has no Gaussian around it."""
    bounds = V.bounds
    if bounds is None:
        return
    for k, (low, high) in enumerate(bounds):
        if min(point.x[k] - low, high - point.x[k]) <= 1e-9 * (high - low):
            yield Reason(REFUSE, "on-wall", f"the {name} lies on the edge of the box (axis {k + 1}): half of "
                         "its Gaussian is missing, so take a larger box or the rate of the grid")


def well_reasons(well: CriticalPoint) -> Iterator[Reason]:
    """A well without curvature in some direction."""
    w = well.eigenvalues
    if well.corner:
        yield Reason(REFUSE, "corner-well", "the well is at a corner of f, where the gradient jumps: "
                     "Eyring-Kramers does not apply here, the rate of the grid does")
    elif well.degenerate or not w[0] > FLAT * abs(w[-1]):
        yield Reason(REFUSE, "flat-well",
                     "the well is flat (its Hessian is singular): Eyring-Kramers does not apply here, the "
                     "free-energy form does (fpkit.free_energy_rate, or the rate of the grid)")


class RateEstimate(Estimate):
    """An Estimate of a rate that carries the verdict of its guard; refused numbers are NaN with the reason in
    `status`."""

    @property
    def guard(self) -> Guard:
        """The verdict of the guard on this number."""
        return self.inputs["guard"]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON, with the relative error and the guard."""
        relative = self.relative_error if math.isfinite(self.relative_error) else None
        return {**super().to_dict(), "relative_error": relative, "guard": self.guard.to_dict()}


def rate_estimate(log_rate: float, relative_error: float, method: str, guard: Guard,
                  inputs: dict[str, Any]) -> RateEstimate:
    """A RateEstimate from the natural logarithm of the rate; a refused one has no value."""
    inputs = {**inputs, "guard": guard, "relative_error": float(relative_error)}
    if guard.action == REFUSE:
        return RateEstimate(math.nan, math.nan, method, log10=math.nan, status=guard.sentence,
                            inputs={**inputs, "relative_error": math.nan})
    value = math.exp(log_rate) if log_rate < 709 else math.inf
    return RateEstimate(value, value * relative_error, method, log10=log_rate / math.log(10), inputs=inputs)


def definition_error(height: float) -> float:
    """How far two definitions of the rate differ, relatively, at a barrier of `height` theta: height
    exp(-height), below one theta as at one (a lower barrier makes them differ no less)."""
    height = max(height, 1.0)
    return float(height * np.exp(-height))
