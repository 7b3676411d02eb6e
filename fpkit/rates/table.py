"""The table of rates: rows theta, columns methods, every number an Estimate judged against the best of its
row."""
from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import files
from ..core.results import Estimate, with_error
from .guard import Guard, RateEstimate, Reason

NO_EVIDENCE = 0.3  # relative error beyond which a number neither supports nor contradicts
DISAGREES = 1.0  # stated errors (their sum) beyond which two bounds contradict each other
# never the reference of a row if anything else is there
FORMULAS = ("eyring-kramers", "next-order", "resummed", "integral", "network")
WIDTH, COLUMN = 118, 19  # characters of a line and of a column of the printed table
MARKS = "abcdefghijklmnopqrstuvwxyz"  # of the notes under it


@dataclass(frozen=True, repr=False)
class ArrheniusFit:
    """log k = log A - E/theta, fitted to one method of a table.

    Attributes
    ----------
    barrier : Estimate
        E, in the units of f; its error is the change when a term linear in theta is fitted too, and the
        spread of the data.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"method": self.method, "barrier": self.barrier.to_dict(),
                "prefactor": self.prefactor.to_dict(), "residuals": self.residuals.tolist()}

    def __repr__(self) -> str:
        return (f"Arrhenius fit of {self.method}: barrier "
                f"{with_error(self.barrier.value, self.barrier.error)}, prefactor "
                f"{with_error(self.prefactor.value, self.prefactor.error)}")


@dataclass(frozen=True, repr=False)
class RatesTable:
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
        fit, spread = _least_squares(np.stack([np.ones_like(x), -1 / x], 1), y, noise)
        change = np.abs(spread)
        if len(set(x)) >= 3:  # the prefactor's own slope with theta, which a straight line takes for barrier
            wider, more = _least_squares(np.stack([np.ones_like(x), -1 / x, x], 1), y, noise)
            change = np.abs(wider[:2] - fit) + more[:2]
        residuals = self.log10[:, j] * math.log(10) - (fit[0] - fit[1] / self.theta)
        value = math.exp(fit[0]) if abs(fit[0]) < 700 else math.inf
        return ArrheniusFit(Estimate(fit[1], float(change[1]), "Arrhenius fit"),
                            Estimate(value, value * float(np.expm1(min(change[0], 50.0))), "Arrhenius fit",
                                     log10=fit[0] / math.log(10)), self.best_method, residuals)

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
    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"theta": self.theta.tolist(), "methods": list(self.methods), "quantities": self.quantities,
                "barrier": _finite(self.barrier),
                "cells": {m: [c.to_dict() for c in self.cells[m]] for m in self.methods},
                "references": list(self.references), "relative_errors": _finite(self.relative_errors),
                "difference": _finite(self.difference), "agreement": _finite(self.agreement),
                "agrees": self.agrees.tolist(), "definition": self.definition.tolist(),
                "guards": [g.to_dict() for g in self.guards], "arrhenius": None if self.arrhenius is None
                else self.arrhenius.to_dict(), "slope": _finite(self.slope),
                "slope_at_zero": self.slope_at_zero.to_dict(), "inputs": dict(self.inputs)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an HDF5 file, whole or not at all; `RatesTable.load` reads it back."""
        import h5py

        with files.replacing(path) as temporary, h5py.File(temporary, "w") as f:
            f.attrs["fpkit"] = "rates table"
            f.attrs["table"] = json.dumps(
                {"methods": self.methods, "quantities": self.quantities, "inputs": self.inputs,
                 "guards": [g.to_dict() for g in self.guards],
                 "cells": {m: [[c.method, c.status] for c in self.cells[m]] for m in self.methods}})
            f.attrs["barrier"] = self.barrier
            f["theta"], f["definition"] = self.theta, self.definition
            for name in ("value", "error", "log10", "relative_error"):
                f[name] = self._numbers(attrgetter(name))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RatesTable:
        """The table in an HDF5 file that `save` wrote."""
        import h5py

        with h5py.File(path, "r") as f:
            if f.attrs.get("fpkit") != "rates table":
                raise ValueError(f"{path} holds no rates table; RatesTable.save writes one.")
            text = json.loads(f.attrs["table"])
            arrays = {name: f[name][()] for name in ("value", "error", "log10", "relative_error")}
            theta, definition, barrier = f["theta"][()], f["definition"][()], float(f.attrs["barrier"])
        guards = tuple(Guard(tuple(Reason(**r) for r in g["reasons"])) for g in text["guards"])
        cells = {}
        for j, m in enumerate(text["methods"]):
            kind = RateEstimate if m in FORMULAS else Estimate
            cells[m] = tuple(kind(arrays["value"][k, j], arrays["error"][k, j], method, arrays["log10"][k, j],
                                  status, {"relative_error": arrays["relative_error"][k, j],
                                           **({"guard": guards[k]} if kind is RateEstimate else {})}) for k,
                             (method, status) in enumerate(text["cells"][m]))
        return cls(theta, tuple(text["methods"]), cells, text["quantities"], barrier, guards, definition,
                   text["inputs"])

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
