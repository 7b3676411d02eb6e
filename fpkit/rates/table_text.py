"""A rates table as text that fits a screen."""
from __future__ import annotations

import math

import numpy as np

WIDTH = 118
COLUMN = 19
MARKS = "abcdefghijklmnopqrstuvwxyz"


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
    return f"{value}({e.relative_error:.0e}){sign}" if math.isfinite(e.relative_error) else f"{value}(?){sign}"


def _shortened(text, limit=220):
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
