"""The table of rates: rows theta, columns methods, every number an Estimate judged against the best of its
row."""
from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import hdf5
from ..core.results import Estimate, with_error
from ..core.views.pictures import curves
from ..core.views.tables import Tabular, estimate_columns
from .guard import Guard, RateEstimate, Reason

NO_EVIDENCE = 0.3  # relative error beyond which a number neither supports nor contradicts
# the terms beyond the one linear in theta were up to a tenth of it from 3 theta up, over 40 random wells
BEYOND = 1.5
DISAGREES = 1.0  # stated errors (their sum) beyond which two bounds contradict each other
# never the reference of a row if anything else is there
FORMULAS = ("eyring-kramers", "next-order", "resummed", "integral", "network")
KIND = "fpkit rates table"
NUMBERS = ("value", "error", "log10", "relative_error")          # arrays (theta, method) of a saved table
WIDTH, COLUMN = 118, 19  # characters of a line and of a column of the printed table
MARKS = "abcdefghijklmnopqrstuvwxyz"  # of the notes under it


@dataclass(frozen=True, repr=False)
class ArrheniusFit(Tabular):
    """log k = log A - E/theta, fitted to one method of a table.

    Attributes
    ----------
    barrier : Estimate
        E, in the units of f; its error is 1.5 times the change when a term linear in theta is fitted too, and
        the spread of the data. With two temperatures it is NaN, and `status` says why.
    prefactor : Estimate
        A, in 1/time.
    method : str
        The column that was fitted.
    residuals : ndarray (n_theta,)
        log k minus the fit; NaN where the method has no number.
    """

    barrier: Estimate
    prefactor: Estimate
    method: str
    residuals: np.ndarray

    def log_rate(self, theta: ArrayLike) -> np.ndarray:
        """The fitted log k at theta."""
        return self.prefactor.log10 * math.log(10) - self.barrier.value / np.asarray(theta, float)

    def _columns(self):
        return estimate_columns([("barrier", self.barrier), ("prefactor", self.prefactor)])

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"method": self.method, "barrier": self.barrier.to_dict(),
                "prefactor": self.prefactor.to_dict(), "residuals": self.residuals.tolist()}

    def __repr__(self) -> str:
        if self.barrier.status != "ok":
            return (f"Arrhenius line of {self.method}: barrier {self.barrier.value:.4g}, prefactor "
                    f"{self.prefactor.value:.4g} ({self.barrier.status})")
        return (f"Arrhenius fit of {self.method}: barrier "
                f"{with_error(self.barrier.value, self.barrier.error)}, prefactor "
                f"{with_error(self.prefactor.value, self.prefactor.error)}")


@dataclass(frozen=True, repr=False)
class RatesTable(Tabular):
    """One-way rates from a source to a target: rows theta, columns methods.

    Attributes
    ----------
    theta : ndarray (n_theta,)
    methods : tuple of str
    cells : dict
        Method -> tuple of Estimates, one a theta; a method that refused has the value NaN and the reason in
        `status`.
    quantities : dict
        Method -> exactly what was computed.
    barrier : float
        f at the highest saddle on the lowest way, minus f at the source; NaN if there is none.
    guards : tuple of Guard
        Verdict of the Eyring-Kramers guard, one a theta.
    definition : ndarray (n_theta,)
        Relative size by which two exact definitions of the rate differ at this theta (of the order of beta
        barrier exp(-beta barrier)); it is part of the yardstick of `agreement`.
    inputs : dict
    status : str
        "ok", or that the calculation was stopped.

    Examples
    --------
    >>> V, methods = fp.catalogue.double_well(), ["free-energy", "eyring-kramers"]
    >>> table = fp.compare_rates(V, [-1], [1], theta=[0.2, 0.1], methods=methods)
    >>> table["eyring-kramers"][1].value / table["free-energy"][1].value - 1 < 0.05
    True
    """

    theta: np.ndarray
    methods: tuple[str, ...]
    cells: dict[str, tuple[Estimate, ...]]
    quantities: dict[str, str]
    barrier: float
    guards: tuple[Guard, ...]
    definition: np.ndarray
    inputs: dict[str, Any] = field(default_factory=dict)
    status: str = "ok"

    def __getitem__(self, method: str) -> tuple[Estimate, ...]:
        """The column of a method: a tuple of Estimates."""
        if method not in self.cells:
            raise KeyError(f"the table has no method {method!r}; it has {', '.join(self.methods)}.")
        return self.cells[method]

    # ---- as arrays ----
    @cached_property
    def log10(self) -> np.ndarray:
        """Decimal logarithms (n_theta, n_methods); NaN where a method refused."""
        return self._numbers(lambda cell: cell.log10 if cell.status == "ok" else np.nan)

    @cached_property
    def relative_errors(self) -> np.ndarray:
        """Stated relative errors (n_theta, n_methods); NaN where a method refused."""
        return self._numbers(lambda cell: cell.relative_error if cell.status == "ok" else np.nan)

    def _numbers(self, number: Callable[[Estimate], float]) -> np.ndarray:
        rows = [[number(self.cells[m][k]) for m in self.methods] for k in range(len(self.theta))]
        return np.array(rows, float)

    @property
    def evidence(self) -> np.ndarray:
        """Which numbers count: those with a relative error of at most 0.3 (n_theta, n_methods)."""
        return self.relative_errors <= NO_EVIDENCE

    @cached_property
    def references(self) -> tuple[str | None, ...]:
        """The method each row is measured against: a stated error within ten times the smallest, the first
        column that has it, formulas last; None in a row without evidence."""
        chosen = []
        for errors, good in zip(self.relative_errors, self.evidence):
            ranks = [(self.methods[k] in FORMULAS, errors[k], k) for k in np.flatnonzero(good)]
            if not ranks:
                chosen.append(None)
                continue
            kind, least, _ = min(ranks)
            chosen.append(self.methods[min(k for f, e, k in ranks if f == kind and e <= 10 * least)])
        return tuple(chosen)

    @cached_property
    def difference(self) -> np.ndarray:
        """k/k_reference - 1 of every number (n_theta, n_methods)."""
        found = np.full(self.log10.shape, np.nan)
        for k, name in enumerate(self.references):
            if name is not None:
                with np.errstate(over="ignore"):
                    found[k] = np.expm1((self.log10[k] - self.log10[k, self.methods.index(name)])
                                        * math.log(10))
        return found

    @cached_property
    def agreement(self) -> np.ndarray:
        """log(k/k_reference) in units of the sum of the stated errors and `definition` (n_theta, n_methods);
        NaN without evidence."""
        found = np.full(self.log10.shape, np.nan)
        for k, name in enumerate(self.references):
            if name is None:
                continue
            j = self.methods.index(name)
            unit = self.relative_errors[k] + self.relative_errors[k, j] + self.definition[k] + 1e-14
            found[k] = (self.log10[k] - self.log10[k, j]) * math.log(10) / unit
            found[k, j] = 0.0
        return np.where(self.evidence, found, np.nan)

    @property
    def agrees(self) -> np.ndarray:
        """Whether all evidence of each row agrees within the stated errors (n_theta,)."""
        return np.array([bool((np.abs(row[np.isfinite(row)]) <= DISAGREES).all()) for row in self.agreement])

    # ---- readings ----
    @cached_property
    def best_method(self) -> str | None:
        """The reference of most rows."""
        names = [r for r in self.references if r is not None]
        return max(dict.fromkeys(names), key=names.count) if names else None

    @cached_property
    def arrhenius(self) -> ArrheniusFit | None:
        """The Arrhenius fit of the references (`ArrheniusFit`), or None with fewer than two rows of
        evidence."""
        if self.best_method is None:
            return None
        j = self.methods.index(self.best_method)
        use = np.isfinite(self.log10[:, j]) & self.evidence[:, j]
        if len(set(self.theta[use])) < 2:
            return None
        x, y = self.theta[use], self.log10[use, j] * math.log(10)
        noise = np.maximum(self.relative_errors[use, j], 1e-15)
        fit, _ = _least_squares(np.stack([np.ones_like(x), -1 / x], 1), y, noise)
        if len(set(x)) >= 3:  # the prefactor's own slope with theta, which a straight line takes for barrier
            wider, more = _least_squares(np.stack([np.ones_like(x), -1 / x, x], 1), y, noise)
            change, status = BEYOND * np.abs(wider[:2] - fit) + more[:2], "ok"
        else:
            change = np.full(2, math.nan)
            status = ("two temperatures give a slope and no error: how the prefactor depends on theta is not "
                      "seen; give a third")
        residuals = self.log10[:, j] * math.log(10) - (fit[0] - fit[1] / self.theta)
        value = math.exp(fit[0]) if abs(fit[0]) < 700 else math.inf
        return ArrheniusFit(Estimate(fit[1], float(change[1]), "Arrhenius fit", status=status),
                            Estimate(value, value * float(np.expm1(np.minimum(change[0], 50.0))),
                                     "Arrhenius fit", log10=fit[0] / math.log(10), status=status),
                            self.best_method, residuals)

    @cached_property
    def slope(self) -> np.ndarray:
        """(k_EK/k - 1)/theta, one a theta: bounded where Eyring-Kramers holds; NaN where one of the two is
        missing or no evidence."""
        if "eyring-kramers" not in self.methods:
            return np.full(len(self.theta), np.nan)
        e = self.methods.index("eyring-kramers")
        is_measured = np.array([r is not None and r not in FORMULAS for r in self.references])
        measured = is_measured & self.evidence[:, e]
        return np.where(measured, self.difference[:, e] / self.theta, np.nan)

    @cached_property
    def slope_at_zero(self) -> Estimate:
        """The limit of `slope` for theta -> 0 from its three coldest rows, as an Estimate: the coefficient c
        of k = k_EK (1 - c theta).

        NaN with the reason in `status` with fewer than three.
        """
        use = np.flatnonzero(np.isfinite(self.slope))
        use = use[np.argsort(self.theta[use])][:3]
        if len(use) < 3:
            return Estimate(math.nan, math.nan, "measured slope", status="three temperatures with a measured "
                            "rate and an Eyring-Kramers rate are needed")
        x, y = self.theta[use], self.slope[use]
        line, parabola = np.polyfit(x, y, 1)[-1], np.polyfit(x, y, 2)[-1]
        j = [self.methods.index(self.references[k]) for k in use]
        noise = max(self.relative_errors[k, i] / self.theta[k] for k, i in zip(use, j))
        return Estimate(line, abs(line - parabola) + 3 * noise, "measured slope")

    # ---- in and out ----
    def _columns(self):
        cells = [(k, m, self.cells[m][k]) for k in range(len(self.theta)) for m in self.methods]
        return {"theta": [float(self.theta[k]) for k, _, _ in cells], "method": [m for _, m, _ in cells],
                "rate": [c.value for *_, c in cells], "error": [c.error for *_, c in cells],
                "log10": [c.log10 for *_, c in cells],
                "difference": self.difference.ravel().tolist(), "status": [c.status for *_, c in cells]}

    def _labelled(self):
        arrays = {name: (("theta", "method"), self._numbers(attrgetter(name))) for name in NUMBERS}
        arrays["difference"] = (("theta", "method"), self.difference)
        return arrays, {"theta": (("theta",), self.theta), "method": (("method",), list(self.methods))}

    def _picture(self):
        order = np.argsort(1 / self.theta)
        return curves([(1 / self.theta[order], column[order]) for column in self.log10.T])

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"theta": self.theta.tolist(), "methods": list(self.methods), "quantities": self.quantities,
                "barrier": _finite(self.barrier),
                "cells": {m: [c.to_dict() for c in self.cells[m]] for m in self.methods},
                "references": list(self.references), "relative_errors": _finite(self.relative_errors),
                "difference": _finite(self.difference), "agreement": _finite(self.agreement),
                "agrees": self.agrees.tolist(), "definition": self.definition.tolist(),
                "guards": [g.to_dict() for g in self.guards],
                "arrhenius": None if self.arrhenius is None else self.arrhenius.to_dict(),
                "slope": _finite(self.slope), "slope_at_zero": self.slope_at_zero.to_dict(),
                "inputs": dict(self.inputs), "status": self.status}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an HDF5 file, whole or not at all; `RatesTable.load` reads it back."""
        text = {"methods": self.methods, "quantities": self.quantities, "inputs": self.inputs,
                "status": self.status, "guards": [g.to_dict() for g in self.guards],
                "cells": {m: [[c.method, c.status] for c in self.cells[m]] for m in self.methods}}
        arrays = {name: self._numbers(attrgetter(name)) for name in NUMBERS}
        arrays |= {"theta": self.theta, "definition": self.definition, "barrier": np.array(self.barrier)}
        hdf5.save_state(path, "", arrays, KIND, facts=text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RatesTable:
        """The table in an HDF5 file that `save` wrote."""
        arrays = hdf5.load_state(path, None, KIND)
        with hdf5.understood(path, KIND):
            text = hdf5.facts_of(arrays, methods=list, guards=list, cells=dict, inputs=dict)
            shape = (arrays["theta"].size, len(text["methods"]))
            wanted = {**dict.fromkeys(NUMBERS, shape), "definition": shape[:1]}
            if any(arrays[name].shape != wanted[name] for name in wanted):
                raise ValueError(f"arrays of another shape than {shape}")
            guards = tuple(Guard(tuple(Reason(**r) for r in g["reasons"])) for g in text["guards"])
            value, error, log10, relative = (arrays[name] for name in NUMBERS)
            cells = {}
            for j, m in enumerate(text["methods"]):
                kind = RateEstimate if m in FORMULAS else Estimate
                cells[m] = tuple(kind(value[k, j], error[k, j], method, log10[k, j], status,
                                      {"relative_error": relative[k, j],
                                       **({"guard": guards[k]} if kind is RateEstimate else {})}) for k,
                                 (method, status) in enumerate(text["cells"][m]))
            return cls(arrays["theta"], tuple(text["methods"]), cells, text["quantities"],
                       float(arrays["barrier"]), guards, arrays["definition"], text["inputs"],
                       str(text.get("status", "ok")))

    def __repr__(self) -> str:
        return table_text(self)


def _least_squares(design, y, noise):
    """Coefficients of the weighted fit and the larger of their errors from the noise and from the scatter."""
    w = 1 / noise
    q, r = np.linalg.qr(design * w[:, None])
    coefficients = np.linalg.solve(r, q.T @ (y * w))
    inverse = np.linalg.inv(r)
    scatter = float((((y - design @ coefficients) * w) ** 2).sum() / max(len(y) - design.shape[1], 1))
    return coefficients, np.sqrt((inverse ** 2).sum(1) * max(scatter, 1.0))


def _finite(a):
    """Numbers and nested lists for JSON, None in place of what is not finite."""
    if np.ndim(a) == 0:
        return float(a) if np.isfinite(a) else None
    return [_finite(v) for v in a]


def table_text(table):
    """Rows theta, columns methods as value(error), then the readings and the reasons of refusals."""
    ek = f", barrier {table.barrier:.6g}" if math.isfinite(table.barrier) else ""
    lines = [f"Rates {table.inputs.get('source', '?')} -> {table.inputs.get('target', '?')} in 1/time, "
             f"relative error in brackets{ek}"]
    notes = {}
    per_block = max(1, (WIDTH - 18) // COLUMN)
    for start in range(0, len(table.methods), per_block):
        block = table.methods[start:start + per_block]
        lines.append(f"{'theta':>9} {'b/theta':>7} " + "".join(f"{m:>{COLUMN}}" for m in block))
        for k, theta in enumerate(table.theta):
            height = f"{table.barrier / theta:>7.3g}" if math.isfinite(table.barrier) else f"{'-':>7}"
            lines.append(f"{theta:>9.4g} {height} " + "".join(f"{_cell(table, k, m, notes):>{COLUMN}}"
                                                              for m in block))
        lines.append("")
    lines.pop()
    lines.append("! contradicts the row's reference (*) beyond both stated errors;  ~ relative error above "
                 "0.3, no evidence")
    if table.arrhenius is not None:
        lines.append(repr(table.arrhenius))
    if np.isfinite(table.slope).any():
        slopes = "  ".join(f"{v:+.3g}" if np.isfinite(v) else "-" for v in table.slope)
        limit = table.slope_at_zero
        lines.append(f"(Eyring-Kramers/rate - 1)/theta: {slopes}"
                     + (f"; limit {limit.value:+.3g} +- {limit.error:.2g}" if limit.status == "ok" else ""))
    verdicts = {}
    for theta, guard in zip(table.theta, table.guards):
        for r in guard.reasons:
            verdicts.setdefault((r.action, r.code), {}).setdefault(float(theta), r.text)
    for (action, _), found in verdicts.items():
        lines.append(f"guard: {action} at theta = {', '.join(f'{t:.4g}' for t in found)}: "
                     f"{next(iter(found.values()))}")
    if table.status != "ok":
        lines.append(table.status)
    for text, mark in notes.items():
        lines.append(f"[{mark}] {text}")
    return "\n".join(lines)


def _cell(table, k, method, notes):
    e = table.cells[method][k]
    if e.status != "ok":
        mark = notes.setdefault(_shortened(e.status), MARKS[min(len(notes), len(MARKS) - 1)])
        return f"- [{mark}]"
    value = f"{e.value:.4e}" if 0 < e.value < math.inf else f"10^{e.log10:.3f}"
    sign = "*" if table.references[k] == method else " "
    if not table.evidence[k][table.methods.index(method)]:
        sign = "~"
    elif abs(table.agreement[k][table.methods.index(method)]) > 1:
        sign = "!"
    error = f"{e.relative_error:.0e}" if math.isfinite(e.relative_error) else "?"
    return f"{value}({error}){sign}"


def _shortened(text, limit=220):
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
