"""Two or more landscapes, on one plane where the files show it: whose wells are whose, how their Gibbs
distributions overlap, and what one costs under the other."""
from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.calls import understood
from ...core.sharing import in_order
from ...core.views.tables import Tabular
from ..files.checked_hdf5 import LandscapeFormatError
from ..files.directions import read_directions
from ..report.findings import comparison_answers
from ..report.report import save_comparison
from ..surface.landscape import Landscape
from .analyse import LandscapeReport, analyse

__all__ = ["compare_landscapes", "LandscapeComparison"]


@dataclass(frozen=True, repr=False, eq=False)
class LandscapeComparison(Tabular):
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
    difference : str or None
        Why they are not compared cell by cell: planes that differ, or that nothing shows to be one. Then
        mean and overlap are NaN and nothing is matched.
    """
    reports: tuple
    names: tuple
    theta: np.ndarray
    mean: np.ndarray
    overlap: np.ndarray
    matches: tuple
    best_theta: np.ndarray
    difference: str | None = None

    def answers(self) -> list[str]:
        """The findings as plain sentences."""
        return comparison_answers(self)

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "theta": self.theta, "mean": self.mean,
                "overlap": self.overlap, "best_theta": self.best_theta, "difference": self.difference,
                "matches": [{str(a): b for a, b in m.items()} for m in self.matches],
                "answers": self.answers()}

    def save(self, folder: str | os.PathLike, pages: Sequence[tuple[str, str]] = (),
             svg: bool = False) -> Path:
        """Write index.html, report.json and the figure (PNG, with `svg` also SVG) to a folder; returns the
        path of the page. `pages` are (name, relative path) of the reports of the single landscapes."""
        return save_comparison(self, folder, pages, svg)

    def _columns(self):
        n = len(self.names)
        rows = [(t, i, j) for t in range(len(self.theta)) for i in range(n) for j in range(n)]
        return {"theta": [float(self.theta[t]) for t, _, _ in rows],
                "over": [self.names[i] for _, i, _ in rows],
                "of": [self.names[j] for *_, j in rows], "mean": np.ravel(self.mean),
                "overlap": np.ravel(self.overlap)}

    def __repr__(self):
        return "\n".join([f"{len(self.names)} landscapes "
                          f"{'on one plane' if self.difference is None else 'side by side'}: "
                          + ", ".join(self.names), *(f"- {a}" for a in self.answers())])


@understood
def compare_landscapes(reports: Sequence[LandscapeReport | Landscape | str | os.PathLike],
                       theta: ArrayLike | None = None, same_plane: bool = False,
                       executor: Executor | None = None) -> LandscapeComparison:
    """Compare analysed landscapes: cell by cell where their planes are shown to be the same, else side by
    side.

    Two files are on one plane when they have the same axes and the same stored directions, the same file of
    directions, or the same description of the plane with the same norm of the origin and the same metric.
    Equal axes alone, the default grid of a program, say nothing.

    Parameters
    ----------
    reports : sequence of LandscapeReport, Landscape or path
        The first one is the reference.
    theta : sequence of float, optional
        Temperatures, default those of the first report.
    same_plane : bool
        Your word that landscapes with the same axes are on one plane, where the files cannot show it.
    executor : concurrent.futures.Executor, optional
        Files that are not analysed yet go to its workers.

    Returns
    -------
    LandscapeComparison

    Examples
    --------
    >>> from fpkit.cli import demo_file
    >>> land = fp.read_landscape(demo_file())
    >>> both = fp.compare_landscapes([fp.analyse(land, theta=[0.01, 0.1], n_paths=2)] * 2)
    >>> bool((abs(both.overlap - 1) < 1e-12).all())
    True
    """
    reports = list(reports)
    to_do = [k for k, r in enumerate(reports) if not isinstance(r, LandscapeReport)]
    for k, found in zip(to_do, in_order(executor, analyse, [(reports[k],) for k in to_do])):
        reports[k] = found
    reports = tuple(reports)
    if len(reports) < 2:
        raise ValueError(f"a comparison takes two landscapes or more, got {len(reports)}.")
    lands = [r.landscape for r in reports]
    theta = reports[0].theta if theta is None else np.array(sorted(float(t) for t in np.atleast_1d(theta)))
    n = len(lands)
    mean, overlap = np.full((2, theta.size, n, n), np.nan)
    differences = [plane_difference(lands[0], b, same_plane) for b in lands[1:]]
    difference = next((f"{lands[0].name} and {b.name}: {d}" for b, d in zip(lands[1:], differences) if d),
                      None)
    if difference is not None:
        nothing = tuple({} for _ in reports[1:])
        return LandscapeComparison(reports, tuple(a.name for a in lands), theta, mean, overlap, nothing,
                                   np.full(n, np.nan), difference)
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


def plane_difference(a, b, is_told=False):
    """None where two landscapes are shown to lie on one plane; else a clause that says what differs, or that
    nothing shows it."""
    if a.shape != b.shape or not all(np.allclose(p, q, rtol=1e-9, atol=1e-12) for p,
                                     q in zip(a.axes, b.axes)):
        return f"they are sampled on other axes ({_axes(a)} and {_axes(b)})"
    if a.gram is not None and b.gram is not None and not np.allclose(a.gram, b.gram, rtol=1e-9):
        return "the Gram matrices of their directions differ"
    if None not in (a.origin_norm, b.origin_norm) and not np.isclose(a.origin_norm, b.origin_norm, rtol=1e-9):
        return "the parameter vectors at their origins have different lengths"
    if a is b or (a.path == b.path and not a.path.startswith("<")):
        return None
    stored = [_stored_directions(land) for land in (a, b)]
    if all(s is not None for s in stored):     # what the files show is stronger than anybody's word
        sizes = [np.shape(s)[-1] for s in stored]
        if sizes[0] != sizes[1]:
            return f"their networks have {sizes[0]} and {sizes[1]} parameters"
        same = all(np.allclose(p, q, rtol=1e-9, atol=1e-12) for p, q in zip(*stored))
        return None if same else "the directions stored in the files differ"
    if is_told:
        return None
    named = [land.meta.get("dir_file") for land in (a, b)]
    if all(named):
        return (None if named[0] == named[1] else "their directions came from different files "
                f"({str(named[0])[:80]} and {str(named[1])[:80]})")
    facts = [land.meta.get("directions") for land in (a, b)]
    if all(facts):
        return None if facts[0] == facts[1] else "the directions they were read with differ"
    planes = [(land.meta.get("meta") or {}).get("plane") for land in (a, b)]
    if all(planes):
        if planes[0] != planes[1]:
            return "the descriptions of their planes differ"
        if None not in (a.origin_norm, b.origin_norm):
            return None
    return ("equal axes alone do not show that they lie on one plane, and the files say no more "
            "(same_plane=True, --same-plane, where you know it)")


def _stored_directions(land):
    """Directions that a file of fpkit's own holds; None without."""
    if land.meta.get("format") != "fpkit-landscape":
        return None
    try:
        return read_directions(land.path).vectors
    except LandscapeFormatError:
        return None


def _axes(land):
    return ", ".join(f"{n} {a[0]:g} to {a[-1]:g} in {a.size}" for n, a in zip("xyz", land.axes))
