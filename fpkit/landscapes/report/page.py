"""The pages of a landscape report and of a comparison as HTML. Everything from a file goes through jinja2's
escaping."""
from __future__ import annotations

import json
import math
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ... import __version__
from ...core.plain_json import plain
from ...core.text import printable
from .findings import loss_of, number, percent, place, power
from .verdict import GLOSSARY

CAPTIONS = {
    "landscape": "The surface. Numbers: wells, the lowest is 1. Crosses: passes over which a well joins a "
    "lower one. Star: start. White: where the paths are at the end, and the first steps of two of them.",
    "disconnectivity": "How high the loss must rise to get from one well to another. A well counts while its "
    "depth exceeds 3 theta: the dotted lines are the coldest and the warmest of the temperatures.",
    "density": "How the density spreads from the start, and what it tends to; below, the share of each well "
    "over time, by the density, by paths, and by the network of wells.",
    "occupation": "What a change of temperature does to occupation and free energy. Dashed: temperatures at "
    "which two wells are equally occupied.",
    "rates": "How fast noise leaves the wells. The band is how far a rate moves when cells are added between "
    "the samples.",
    "sgd": "What SGD settles to with the gradient noise measured on this plane: its density, its difference "
    "from the nearest Gibbs density, and the current that stays (lines, thicker where it is faster).",
    "risk": "What temperature costs: the mean training and test loss when the cells are weighed by the Gibbs "
    "distribution of the analysed loss.",
}
WIDE = ("density", "sgd")
MOST_WELLS, MOST_RATES = 30, 60


def _template(name):
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True,
                                     finalize=lambda a: printable(a, "\n\t") if isinstance(a, str) else a)
    return environment.from_string(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def html(report, images=()):
    """The page of one landscape as text."""
    shown = sorted({0, (len(report.theta) - 1) // 3, 2 * (len(report.theta) - 1) // 3, len(report.theta) - 1})
    wells = [_well(report, k, shown) for k in range(len(report.wells))]
    motion, land = report.dynamics, report.landscape
    kind = {1: "line", 2: "plane", 3: "box"}[land.ndim]
    under = (f"Loss landscape on a {kind} of parameter space: its wells, how they share probability at a "
             "temperature, and how fast noise moves between them.")
    return _template("report.html").render(title=land.name, under=under, findings=report.findings(),
                                           verdict=report.verdict(), glossary=GLOSSARY, images=images,
                                           wells=wells[:MOST_WELLS], n_more=max(0, len(wells) - MOST_WELLS),
                                           temperatures=[number(report.theta[i]) for i in shown],
                                           rates=_rates(report), unit=_unit(report), modes=_modes(report),
                                           n_modes=min(4, max((r.log10_modes.size for r in report.rates),
                                                              default=0)),
                                           caveats=report.caveats, facts=_facts(report),
                                           remarks=[*report.warnings, *(motion.remarks if motion is not None
                                                                        else ())], version=__version__)


def _well(report, k, shown):
    w, thermo = report.wells[k], report.thermodynamics
    cells = lambda a, digits=4: [number(a[i, k], digits) for i in shown]
    harmonic = ["-" if not np.isfinite(thermo.harmonic[i, k]) else number(thermo.harmonic[i, k], 4)
                + (f" ± {number(thermo.harmonic_error[i, k], 2)}" if np.isfinite(thermo.harmonic_error[i, k])
                   else "") for i in shown]
    return {"number": w.number, "point": place(w.x), "minimum": loss_of(report, w.minimum, 5),
            "cells": w.n_cells, "depth": "" if math.isinf(w.persistence) else number(w.persistence, 4),
            "joins": w.joins, "saddle": "" if w.saddle_x is None else f"{place(w.saddle_x)} "
            f"at {loss_of(report, w.saddle)}", "flags": ", ".join(w.flags).replace("_", " "),
            "occupation": [percent(thermo.occupation[i, k]) for i in shown],
            "free_energy": cells(thermo.free_energy),
            "energy": cells(thermo.energy), "entropy": cells(thermo.entropy),
            "harmonic": harmonic, "width": [number(thermo.width[i, k]) for i in shown],
            "edge": [percent(thermo.edge_share[i, k]) for i in shown],
            "is_well": [bool(thermo.is_well[i, k]) for i in shown],
            "is_thin": [bool(thermo.lowest_cell[i, k] > 0.25) for i in shown]}


def _shift(report):
    """log10 of the time of a step where it is known, by which rates become rates a step."""
    known = report.clock.step is not None and report.landscape.gram is not None
    return np.log10(report.clock.step) if known else 0.0


def _unit(report):
    if report.landscape.gram is None:
        return "per arbitrary unit of time (the file has no metric)"
    return "per step" if report.clock.step is not None else "per unit of learning rate x steps"


def _rates(report):
    """Rows of the table of rates: a third of the temperatures at most, the pairs whose basins touch or that
    have a rate."""
    several = [r for r in report.rates if len(r.wells) > 1 and r.sequence]
    kept = [several[i] for i in sorted({0, (len(several) - 1) // 2, len(several) - 1})] if several else []
    shift, rows = _shift(report), []
    for r in kept:
        pairs = [(a, b) for a in range(len(r.wells)) for b in range(len(r.wells)) if a != b
                 and np.isfinite(r.log10_rate[a, b]) and r.verdict[a][b]]
        pairs = sorted(pairs, key=lambda p: -r.log10_rate[p])[:MOST_RATES // len(kept)]
        for n, (a, b) in enumerate(sorted(pairs)):
            error, eyring = r.log10_rate_error[a, b], r.log10_eyring[a, b]
            rows.append({"is_first": n == 0, "theta": number(r.theta), "a": r.wells[a], "b": r.wells[b],
                         "rate": f"{r.log10_rate[a, b] + shift:.2f}", "error": f"± {number(error, 2)}"
                         if np.isfinite(error) else "unknown", "barrier": number(r.barrier[a, b] / r.theta),
                         "eyring": f"{eyring + shift:.2f}" if np.isfinite(eyring) else "-",
                         "time": power(r.log10_mfpt[a, b] - shift),
                         "verdict": r.verdict[a][b].replace("ok", "")})
    return rows


def _modes(report):
    shift, rows = _shift(report), []
    for r in report.rates:
        cells = []
        for j in range(min(4, max(q.log10_modes.size for q in report.rates))):
            if j >= r.log10_modes.size:
                cells.append("-")
                continue
            error = r.log10_modes_error[j]
            cells.append(f"{r.log10_modes[j] + shift:.3f}" + (f" ± {number(error, 2)}"
                                                              if np.isfinite(error) else "")
                         + (" (n)" if r.modes_method[j] == "network" else ""))
        rows.append({"theta": number(r.theta), "cells": cells})
    return rows


def _facts(report):
    land, motion = report.landscape, report.dynamics
    facts = [("File", land.file),
             ("Analysed", land.key), ("Surfaces in the file", ", ".join(sorted(land.surfaces))),
             ("Samples", " x ".join(str(n) for n in land.shape[::-1])
              + "; " + ", ".join(f"{n} from {a[0]:g} to {a[-1]:g} (spacing {h:.4g})" for n, a,
                                 h in zip("xyz", land.axes, land.spacing))),
             ("Cells", ", ".join(f"{n} {k}" for k, n in land.counts.items())),
             ("Loss", f"{number(np.nanmin(land.loss), 6)} to {number(np.nanmax(land.loss), 6)}"),
             ("Grid minima", f"{len(land.merge_tree(8))} with 8 neighbours, {len(land.merge_tree(4))} "
              "with 4"), ("Metric", "none" if land.gram is None else "Gram matrix "
                           + "; ".join(", ".join(f"{v:.5g}" for v in row) for row in land.gram)),
             ("Temperatures", f"{len(report.theta)}, {number(report.theta[0])} to "
              f"{number(report.theta[-1])}: {report.theta_rule}")]
    if report.clock.lr is not None:
        facts.append(("Optimiser", f"learning rate {number(report.clock.lr)}, momentum "
                      f"{number(report.clock.momentum)}: a step takes the time {number(report.clock.step)}"))
    if motion is not None:
        facts.append(("Dynamics",
                      f"theta = {number(motion.theta)}, {motion.theta_rule}; time in {motion.time_unit}"))
        if motion.paths is not None:
            p = motion.paths
            facts.append(("Paths", f"{p.n_paths}, {p.n_steps} Metropolis-adjusted Langevin steps of "
                          f"{number(p.dt)}, {percent(p.acceptance)} accepted, seed {report.seed}"))
    if land.meta.get("dir_file"):
        facts.append(("Directions came from", _cut(land.meta["dir_file"])))
    for key, value in list(land.meta.get("attributes", {}).items())[:20]:
        facts.append((f"attribute {_cut(key, 60)}", _cut(value)))
    for key, value in list((land.meta.get("meta") or {}).items())[:30]:
        facts.append((_cut(key, 60), _cut(value)))
    return facts


def comparison_html(both, surfaces, image, pages=()):
    """The page of a comparison as text."""
    cell = lambda v, digits=4: number(v, digits) if np.isfinite(v) else "-"
    n = len(both.names)
    rows = [[number(t), *(cell(both.mean[k, 0, j]) for j in range(n)),
             *(percent(both.overlap[k, 0, j]) for j in range(1, n))] for k, t in enumerate(both.theta)]
    return _template("comparison.html").render(title=" and ".join(both.names) if n < 4 else f"{n} landscapes",
                                               answers=both.answers(), surfaces=surfaces, image=image,
                                               names=list(both.names), rows=rows,
                                               pages=[(name, _link(page)) for name, page in pages],
                                               version=__version__)


def _link(page):
    """A path as an address: no character of it is read as a scheme (javascript:) or a host (//)."""
    quoted = quote(page, safe="/")
    return "/" + quoted.lstrip("/") if quoted.startswith("/") else quoted


def _cut(value, length=300):
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= length else text[:length] + f" ... ({len(text)} characters)"
