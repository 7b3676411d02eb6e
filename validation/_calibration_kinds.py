"""What the random problems of the calibration are made of."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr


@dataclass(frozen=True)
class Answer:
    """One number beside what it says of itself: true, stated and reference errors, size, status."""

    true: float
    stated: float
    reference: float
    size: float
    status: str = "ok"


@dataclass(frozen=True)
class Problem:
    """A question with a known answer: `text` is enough to ask it again, `ask` gives `Answer`s."""

    kind: str
    text: str
    ask: Callable[[], list[Answer]]


def scalar(found, truth, reference=0.0):
    """Answer of an Estimate."""
    return Answer(abs(float(found) - truth), found.error, reference, abs(truth), found.status)


def logarithmic(found, log_truth, reference=0.0):
    """Answer of a positive Estimate whose logarithm is known: errors relative."""
    return Answer(abs(np.expm1(found.log10 * np.log(10) - log_truth)), found.relative_error, reference, 1.0,
                  found.status)


def rounded(x, digits=4):
    return float(f"{x:.{digits}g}")


def gauss_cells(edges, mean, variance):
    return np.diff(ndtr((edges - mean) / np.sqrt(variance)))


def l1(evolution, exact, reference):
    """Answers of an evolution against exact cell probabilities (n_times, ...)."""
    volumes = evolution.grid.volumes
    return [Answer(float(np.abs(u * volumes - p).sum()), float(e), float(r), 1.0, evolution.status) for u, p,
            e, r in zip(evolution.densities, exact, evolution.error, np.broadcast_to(reference, len(exact)))]
