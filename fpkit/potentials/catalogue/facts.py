"""What a catalogue potential knows about itself: minima, saddles and barriers that follow its parameters."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ..potential import Potential
from ..stationary.critical import CriticalPoint, CriticalPoints, barriers_between, in_order
from ..stationary.descent import Surface
from ..stationary.newton import polish


@dataclass(frozen=True)
class Entry:
    """How a catalogue potential answers for its current parameters; each function gets the potential or its
    parameters p."""

    made_by: Callable                            # the catalogue function
    positive: str                                # names of the parameters that must be positive
    box: object  # V -> [(low, high)] * ndim, a box that holds all that matters
    temperatures: object                         # p -> tuple of theta
    facts: object                                # V -> Facts
    periodic_axes: tuple = ()
    start: object = None                         # V -> point, for models with a natural start
    goal: object = None                          # V -> Region, for models with a natural goal
    # arguments of the catalogue function that are no parameters of f
    fixed: dict = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Facts:
    """Stationary points for one set of parameters; None where they are not known, with the reason in
    `note`."""

    minima: tuple | None
    saddles: tuple | None
    barriers: dict | None
    complete: bool = True
    note: str = ""


class CataloguePotential(Potential):
    """A potential whose minima, saddles and barriers are known.

    Attributes
    ----------
    name : str
    minima, saddles : CriticalPoints or None
        Lowest first, ties from left to right. Saddles are those of index 1; `between` counts in `minima`.
        None if unknown for the current parameters, and then `facts_note` says why.
    barriers : dict or None
        ``barriers[i, j]``: lowest saddle on the way from minimum i to minimum j, minus f at minimum i.
    facts_complete : bool
        Whether `minima` lists all of them. If not, `facts_note` says which are listed.
    box : tuple of (low, high)
        A box for grids: at its walls f is high, or the model has its wall there.
    periodic_axes : tuple of bool
        Axes on which the potential repeats itself with the width of the box.
    temperatures : tuple of float
        Temperatures at which the potential is interesting.
    start : ndarray or None
    goal : Region or None
        Where the grokking models begin and where they have arrived.

    All of these answer for the current parameters: ``V.with_params(...)`` has its own.
    """

    def __init__(self, entry: Entry, function: Callable, ndim: int | None = None, **params: float) -> None:
        _check(entry, params)
        super().__init__(function, ndim, **params)
        self._entry = entry
        self._known = None  # (parameters, Facts), so that old facts never outlive their parameters

    def with_params(self, **changes: float) -> CataloguePotential:
        """The same potential, and its facts, for other parameter values; nothing is compiled."""
        _check(self._entry, changes)
        return super().with_params(**changes)

    def __reduce__(self):
        return _remade, (self._entry.made_by, self._entry.fixed, self.params)

    @property
    def name(self) -> str:
        return self._entry.made_by.__name__

    @property
    def facts(self) -> Facts:
        key = tuple(self.params.items())
        if self._known is None or self._known[0] != key:
            self._known = (key, self._entry.facts(self))
        return self._known[1]

    @property
    def minima(self) -> CriticalPoints | None:
        return self.facts.minima

    @property
    def saddles(self) -> CriticalPoints | None:
        return self.facts.saddles

    @property
    def barriers(self) -> dict | None:
        return self.facts.barriers

    @property
    def facts_complete(self) -> bool:
        return self.facts.complete

    @property
    def facts_note(self) -> str:
        return self.facts.note

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        return tuple((float(low), float(high)) for low, high in self._entry.box(self))

    @property
    def periodic_axes(self) -> tuple[bool, ...]:
        return tuple(self._entry.periodic_axes) or (False,) * self.ndim

    @property
    def temperatures(self) -> tuple[float, ...]:
        return tuple(float(theta) for theta in self._entry.temperatures(self.params))

    @property
    def start(self) -> np.ndarray | None:
        return None if self._entry.start is None else np.array(self._entry.start(self), float)

    @property
    def goal(self) -> Any:
        return None if self._entry.goal is None else self._entry.goal(self)


def _remade(made_by, fixed, params):
    """A pickled catalogue potential: made again by its function, since facts are functions and not data."""
    return made_by(**fixed).with_params(**params)


def _check(entry, params):
    for name, value in params.items():
        checks.number(name, value, positive=name in entry.positive.split())


def known(V: CataloguePotential, minima: ArrayLike, saddles: ArrayLike = (), between: Sequence = (),
          degenerate: Sequence[int] = (), complete: bool = True, note: str = '') -> Facts:
    """Facts from the places of the minima and saddles (exact, or good starts for Newton) and the minima each
    saddle joins.

    Each place is polished to rounding and its index is checked; if one is not what it was said to be, the
    facts are unknown rather than wrong. `between` counts in `minima` as given; `degenerate` lists the numbers
    of degenerate minima.
    """
    span = np.array([high - low for low, high in V.box])
    surface = Surface(V)
    x = np.array([*minima, *saddles], float).reshape(-1, V.ndim)
    flat = np.zeros(len(x), bool)
    flat[list(degenerate)] = True
    if not flat.all():
        x[~flat] = polish(surface, x[~flat], span)
    value, gradient, w = V(x), V.gradient(x), np.linalg.eigvalsh(V.hessian(x))
    index = [int((row < -1e-8 * np.abs(row).max()).sum()) for row in w]
    wanted = [0] * len(minima) + [1] * len(saddles)
    small = np.abs(gradient * span).max(1) <= 1e-10 * max(1.0, float(np.abs(w).max()) * span.max() ** 2)
    singular = np.abs(w).min(1) <= 1e-10 * np.abs(w).max(1)
    if index != wanted or not small.all() or (singular & ~flat).any():
        return Facts(None, None, None, False, f"{V.name} has another number of wells for these parameters; "
                     "ask critical_points(V).")
    points = [CriticalPoint(x[k], float(value[k]), w[k], index[k], degenerate=bool(flat[k]))
              for k in range(len(x))]
    order = in_order(points[:len(minima)], span)
    rank = {old: new for new, old in enumerate(order)}
    wells = CriticalPoints(points[k] for k in order)
    gates = [replace(s, between=tuple(sorted((rank[i], rank[j])))) for s,
             (i, j) in zip(points[len(minima):], between)]
    gates = CriticalPoints(gates[k] for k in in_order(gates, span))
    return Facts(wells, gates, barriers_between(wells, gates), complete, note)


def on_a_line(V: CataloguePotential, x: ArrayLike) -> Facts:
    """Facts of a one-dimensional potential from all its stationary points in ascending order: minima and
    maxima alternate."""
    x = np.asarray(x, float)
    if len(x) % 2 == 0:
        return Facts(None, None, None, False, f"{V.name} is degenerate for these parameters.")
    joins = [(k, k + 1) for k in range(len(x) // 2)]
    return known(V, x[::2, None], x[1::2, None], joins)


def sign_changes(slope: Callable, low: float, high: float, n: int) -> np.ndarray:
    """All zeros of `slope` between low and high that n equal pieces can tell apart, by bisection to
    rounding."""
    x = np.linspace(low, high, n + 1)
    s = slope(x)
    exact = x[s == 0]
    k = np.flatnonzero(s[:-1] * s[1:] < 0)
    a, b, left = x[k], x[k + 1], s[k]
    for _ in range(80):
        m = 0.5 * (a + b)
        same = slope(m) * left > 0
        a, b = np.where(same, m, a), np.where(same, b, m)
    return np.sort(np.concatenate([exact, 0.5 * (a + b)]))
