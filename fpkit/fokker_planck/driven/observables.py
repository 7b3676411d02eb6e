"""Correlations of an observable in the stationary process, over time and over frequencies.

C(t) = E g(X_0) g(X_t) - (E g)^2 = sum_j g_j (exp(t L*) s)_j with s = p (g - E g), and its Fourier transform
S(w) = int C(|t|) exp(i w t) dt = 2 Re sum_j g_j ((i w - L*)^-1 s)_j [1]_. On the grid and on grids of twice
and half the cells, extrapolated in h^2.

References
----------
.. [1] H. Risken, The Fokker-Planck Equation, Springer (1996), section 7.1.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core import checks
from ...core.results import Estimate, ResolutionWarning
from ...potentials.force import components_of
from ...potentials.vector_field import PointFunction
from ..evolution.stepping import StepControl
from .evolution import LEAST_CELLS, MOST_FINE, graph_of
from .passage_density import TOLERANCES, extrapolated
from .stationary import _Level

KINKED = 3.0           # over the errors of smooth problems: differences of grids may be small by chance
CLEAN = 0.05           # by how much all differences may miss the quarter of order 2 where nothing has a kink


@dataclass(frozen=True, repr=False)
class Correlation:
    """Autocorrelation or power spectrum of an observable in the stationary process.

    Attributes
    ----------
    at : ndarray (n,)
        Times, or angular frequencies.
    values, error : ndarray (n,)
        C(t) or S(w), and bounds of their errors.
    mean, variance : Estimate
        Of the observable.
    name : str
    inputs : dict
    """
    at: np.ndarray
    values: np.ndarray
    error: np.ndarray
    mean: Estimate
    variance: Estimate
    name: str
    inputs: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.name} at {self.at.size} points, variance {self.variance!r}"


def observed(observable: Any, grid) -> np.ndarray:
    """An observable, a formula, a function or a number, at the cell centres (n_cells,)."""
    points = grid.points.reshape(-1, grid.ndim)
    parts, _ = components_of(observable, grid.ndim, "observable")
    if isinstance(parts, PointFunction):
        values = np.asarray(observable(points), float)
    elif parts.shape == ():
        values = np.asarray(parts[()](points), float)
    else:
        raise ValueError("an observable has one value at each point; ask for its components one by one.")
    return np.broadcast_to(values, (len(points),)).astype(float)


class _Observed:
    """g, p and what follows of them on one grid."""

    def __init__(self, diffusion, observable):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            self.D, self.level = diffusion, _Level(diffusion)
        c, p = self.level.chain, self.level.p
        self.g = observed(observable, diffusion.grid)[c.ids]
        self.mean = float(p @ self.g)
        self.centred = self.g - self.mean
        self.start = p * self.centred
        self.variance = float(self.start @ self.centred)

    def correlations(self, times):
        """C (n,) and the error of the time steps."""
        out, size = np.empty((2, times.size)), max(float(np.abs(self.start).sum()), 1e-300)
        c, lines = self.level.chain, graph_of(self.level.chain)
        for row, tol in zip(out, TOLERANCES):
            steps, v, s = StepControl(lines, tol), np.zeros(self.D.grid.n_cells), 0.0
            v[c.ids] = self.start / size
            for k, t in enumerate(times):
                v, s = steps.advance(v, s, t), t
                row[k] = size * float(self.centred @ v[c.ids])
        return out[1], np.abs(out[1] - out[0])

    def spectrum(self, frequencies):
        from scipy.sparse import identity
        from scipy.sparse.linalg import splu
        c = self.level.chain
        Q = c.generator()[c.ids][:, c.ids].T.tocsc()
        values = np.empty(frequencies.size)
        for k, w in enumerate(frequencies):
            if w == 0:
                rest = np.delete(np.arange(c.n), int(self.level.p.argmax()))
                y = np.zeros(c.n)
                y[rest] = splu(-Q[rest][:, rest]).solve(self.start[rest])
            else:
                y = splu((1j * w * identity(c.n) - Q).tocsc()).solve(self.start.astype(complex)).real
            values[k] = 2 * float(self.centred @ y)
        return values


def _limit(coarse, base, fine):
    """`extrapolated`, for numbers of one process: unless all of them fall as h^2 the error does not believe
    in an order. Kinks lie elsewhere in the cells of each grid."""
    values, error = extrapolated(coarse, base, fine)
    if coarse is None or fine is None:
        return values, error
    last, first = np.abs(fine - base), np.abs(base - coarse)
    if (np.abs(last - first / 4) <= CLEAN * first + 1e-10 * np.abs(values)).all():
        return values, KINKED * error
    return values, KINKED * np.maximum(error, np.maximum(last, first / 4))


def correlation(diffusion, observable, at, is_spectrum: bool) -> Correlation:
    """`Correlation` over times, or over angular frequencies."""
    D = diffusion
    what = "frequencies" if is_spectrum else "times"
    at = np.atleast_1d(np.asarray(at, float))
    if at.ndim > 1 or not np.isfinite(at).all() or (at < 0).any() or not is_spectrum and (
            np.diff(at) <= 0).any():
        raise ValueError(f"{what} must be finite and not negative"
                         f"{'' if is_spectrum else ', and increase'}, got {checks.shown(at)}.")
    if D.absorbing is not None or D.killing_rate is not None or D.process.is_moving:
        raise ValueError("correlations belong to a stationary process: without absorption, killing and what "
                         "depends on the time.")
    if D.resetting is not None:
        raise ValueError("correlations are not known with resetting.")
    grids = [None, D.grid, None]
    if min(D.grid.shape) >= LEAST_CELLS:
        grids[0] = D.grid.coarsened()
    if D.grid.n_cells * 2**D.grid.ndim <= MOST_FINE:
        grids[2] = D.grid.refined(2)
    levels = [None if g is None else _Observed(D if g is D.grid else D.on(g), observable) for g in grids]
    late = np.zeros(at.size)
    if is_spectrum:
        found = [None if o is None else o.spectrum(at) for o in levels]
    else:
        pairs = [None if o is None else o.correlations(at) for o in levels]
        found = [None if pair is None else pair[0] for pair in pairs]
        late = max((pair for pair in pairs if pair is not None), key=lambda pair: pair[1].max())[1]
    both = lambda o, numbers: None if o is None else np.append(numbers, o.variance)
    values, error = _limit(*(both(o, numbers) for o, numbers in zip(levels, found)))
    number = lambda name, value, error: Estimate(float(value), float(error), f"stationary {name}",
                                                 inputs=D._inputs)
    variance = number("variance", values[-1], error[-1])
    mean = number("mean", *(a[0] for a in extrapolated(*(None if o is None else np.array([o.mean])
                                                         for o in levels))))
    values, error = values[:-1], error[:-1]
    # single values may cross the truth, their scale is known no better than the variance
    error = np.maximum(error, np.abs(values) * variance.error / max(variance.value, 1e-300))
    scale = np.abs(values).max(initial=0.0) if is_spectrum else variance.value
    return Correlation(at, values, error + late + 1e-10 * scale, mean, variance,
                       "power spectrum" if is_spectrum else "autocorrelation", D._inputs)
