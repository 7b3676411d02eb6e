"""Two or more landscapes on one plane: whose wells are whose, how their Gibbs distributions overlap, and what
one costs under the other."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..report.findings import comparison_answers
from ..report.report import save_comparison
from ..surface.landscape import Landscape
from .analyse import LandscapeReport, analyse

__all__ = ["compare_landscapes", "LandscapeComparison"]


@dataclass(frozen=True, repr=False, eq=False)
class LandscapeComparison:
    """Landscapes on the same plane, the first one as reference.

    Attributes
    ----------
    reports : tuple of LandscapeReport
    names : tuple of str
    theta : ndarray (n_theta,)
        Those of the first report.
    mean : ndarray (n_theta, n, n)
        mean[t, i, j]: mean of loss j over the Gibbs distribution of landscape i.
    overlap : ndarray (n_theta, n, n)
        sum over cells of min(p_i, p_j): one where the two distributions are equal, zero where they do not
        meet.
    matches : tuple of dict
        For each landscape but the first: well number of the first -> well of the other whose basin holds its
        lowest cell.
    best_theta : ndarray (n,)
        Temperature of the first landscape's Gibbs distribution at which the mean of loss j is least.
    """
    reports: tuple
    names: tuple
    theta: np.ndarray
    mean: np.ndarray
    overlap: np.ndarray
    matches: tuple
    best_theta: np.ndarray

    def answers(self) -> list[str]:
        """The findings as plain sentences."""
        return comparison_answers(self)

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "theta": self.theta, "mean": self.mean, "overlap": self.overlap,
                "best_theta": self.best_theta, "matches": [{str(a): b for a, b in m.items()}
                                                           for m in self.matches], "answers": self.answers()}

    def save(self, folder: str | os.PathLike, pages: Sequence[tuple[str, str]] = ()) -> Path:
        """Write index.html, report.json and the figure to a folder; returns the path of the page. `pages` are
        (name, relative path) of the reports of the single landscapes."""
        return save_comparison(self, folder, pages)

    def __repr__(self):
        return "\n".join([f"{len(self.names)} landscapes on one plane: {', '.join(self.names)}",
                          *(f"- {a}" for a in self.answers())])


def compare_landscapes(reports: Sequence[LandscapeReport | Landscape | str | os.PathLike],
                       theta: ArrayLike | None = None) -> LandscapeComparison:
    """Compare analysed landscapes that have the same axes.

    Parameters
    ----------
    reports : sequence of LandscapeReport, Landscape or path
        The first one is the reference.
    theta : sequence of float, optional
        Temperatures, default those of the first report.

    Returns
    -------
    LandscapeComparison

    Raises
    ------
    ValueError
        When the axes differ.

    Examples
    --------
    >>> from fpkit.cli import demo_file
    >>> land = fp.read_landscape(demo_file())
    >>> both = fp.compare_landscapes([fp.analyse(land, theta=[0.01, 0.1], n_paths=2)] * 2)
    >>> bool((abs(both.overlap - 1) < 1e-12).all())
    True
    """
    reports = tuple(r if isinstance(r, LandscapeReport) else analyse(r) for r in reports)
    if len(reports) < 2:
        raise ValueError(f"a comparison takes two landscapes or more, got {len(reports)}.")
    lands = [r.landscape for r in reports]
    for r in lands[1:]:
        if not same_plane(lands[0], r):
            raise ValueError(f"{lands[0].name} and {r.name} are not on the same axes ({_axes(lands[0])} and "
                             f"{_axes(r)}), so they cannot be compared cell by cell.")
    theta = reports[0].theta if theta is None else np.array(sorted(float(t) for t in np.atleast_1d(theta)))
    n = len(lands)
    mean, overlap = np.full((theta.size, n, n), np.nan), np.empty((theta.size, n, n))
    for t, value in enumerate(theta):
        weights = [a.gibbs_weights(value) for a in lands]
        for i, w in enumerate(weights):
            for j, b in enumerate(lands):
                overlap[t, i, j] = np.minimum(w, weights[j]).sum()
                with suppress(ValueError):                 # weight on cells where the other has no value
                    mean[t, i, j] = lands[i].gibbs_mean(value, of=b.loss)
    matches = tuple({w.number: int(r.basins[w.index]) + 1 for w in reports[0].wells} for r in reports[1:])
    best = np.array([theta[int(np.nanargmin(mean[:, 0, j]))] if np.isfinite(mean[:, 0, j]).any() else np.nan
                     for j in range(n)])
    return LandscapeComparison(reports, tuple(a.name for a in lands), theta, mean, overlap, matches, best)


def same_plane(a, b):
    """Whether two landscapes are sampled at the same points."""
    return a.shape == b.shape and all(np.allclose(p, q, rtol=1e-9, atol=1e-12) for p,
                                      q in zip(a.axes, b.axes))


def _axes(land):
    return ", ".join(f"{n} {a[0]:g} to {a[-1]:g} in {a.size}" for n, a in zip("xyz", land.axes))
