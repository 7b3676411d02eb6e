"""The report of a landscape analysis on disk: index.html, report.json and the figures.

report.json, stable keys (numbers that are not finite are null, nothing else is left out):

- fpkit, format ("fpkit-landscape-report"), format_version
- landscape: file, key, surfaces, shape [ny, nx], cells {valid, unfinished, diverged}, x, y {low, high, samples, spacing}, minimum {value,
  index [iy, ix], point}, maximum, components, minima {neighbours_8, neighbours_4}, gram, trajectory, meta, warnings
- temperatures: theta, rule
- wells: list of {number, index, point, minimum, saddle_index, saddle_point, saddle, joins, persistence, n_cells, flags}
- thermodynamics: theta, and by [temperature][well] occupation, energy, free_energy, entropy, is_well, lowest_cell; edge_mass, mean {dataset: [..]}
- crossovers: list of {deeper, wider, theta, occupation, is_resolved}
- start: point, rule
- dynamics: null, or theta, rule, time_unit, mobility, times, occupation [time][well], mean_loss, distance, mass, equilibrium, remarks, paths {n_paths,
  dt, n_steps, scheme, acceptance, seed, times, occupation, occupation_error, expected, mean_loss, mean_loss_error, expected_loss}
- answers, caveats [{name, sentence, wells}], warnings
"""
from __future__ import annotations

import base64
import json
import math
import os
from pathlib import Path

import numpy as np

from ..core.files import replacing
from .sentences import answers, number, percent, place

FORMAT_VERSION = "1.0"
CAPTIONS = {
    "landscape": "The surface. Numbers: wells, the lowest is 1. Crosses: passes over which a well joins a lower one. Star: start. White: where the paths are at the end, "
                 "and the first steps of two of them.",
    "density": "How the density spreads from the start, and what it tends to.",
    "occupation": "What a change of temperature does.",
}


def as_dict(report):
    """The report as a plain dictionary that is strict JSON; the keys are listed at the top of this module."""
    from .. import __version__

    motion = report.dynamics
    out = {"fpkit": __version__, "format": "fpkit-landscape-report", "format_version": FORMAT_VERSION, "landscape": report.landscape.to_dict(),
           "temperatures": {"theta": report.theta, "rule": report.theta_rule}, "wells": [w.to_dict() for w in report.wells],
           "thermodynamics": report.thermodynamics.to_dict(), "crossovers": [c.to_dict() for c in report.crossovers],
           "start": {"point": report.start, "rule": report.start_rule}, "dynamics": None if motion is None else _motion(motion, report.seed),
           "answers": answers(report), "caveats": [c.to_dict() for c in report.caveats], "warnings": list(report.warnings)}
    return plain(out)


def _motion(motion, seed):
    out = {name: getattr(motion, name) for name in ("theta", "time_unit", "mobility", "times", "occupation", "mean_loss", "distance", "mass", "equilibrium")}
    out |= {"rule": motion.theta_rule, "remarks": list(motion.remarks), "paths": None}
    if motion.paths is not None:
        out["paths"] = {"seed": seed} | {name: getattr(motion.paths, name) for name in (
            "n_paths", "dt", "n_steps", "scheme", "acceptance", "times", "occupation", "occupation_error", "expected", "mean_loss", "mean_loss_error",
            "expected_loss")}
    return out


def plain(a):
    """Anything as what strict JSON knows: arrays become lists, numbers that are not finite None."""
    if isinstance(a, dict):
        return {str(k): plain(v) for k, v in a.items()}
    if isinstance(a, np.ndarray):
        return plain(a.tolist())
    if isinstance(a, np.generic):
        return plain(a.item())
    if isinstance(a, (list, tuple)):
        return [plain(v) for v in a]
    if isinstance(a, float):
        return a if math.isfinite(a) else None
    return a if a is None or isinstance(a, (bool, int, str)) else str(a)


def save(report, folder):
    """Write index.html, report.json and the figures (PNG and SVG) to `folder`, made if missing. Returns the path of the page."""
    from ..plotting import landscapes as drawing
    from ..plotting.style import save as save_figure

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; give a folder for the report.")
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for name, draw in drawing.FIGURES.items():
        if name == "density" and report.dynamics is None:
            continue
        made = draw(report)
        for ending in (".png", ".svg"):
            save_figure(made, folder / (name + ending))
        data = base64.b64encode((folder / f"{name}.png").read_bytes()).decode("ascii")
        images.append({"name": name, "caption": CAPTIONS[name], "data": data})
    text = json.dumps(as_dict(report), indent=1, allow_nan=False, ensure_ascii=True)
    _write(folder / "report.json", text)
    page = folder / "index.html"
    _write(page, html(report, images))
    return page


def _write(path, text):
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def html(report, images=()):
    """The page as text. Everything from the file goes through jinja2's escaping."""
    import jinja2

    from .. import __version__

    land, thermo, motion = report.landscape, report.thermodynamics, report.dynamics
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    shown = sorted({0, (len(report.theta) - 1) // 3, 2 * (len(report.theta) - 1) // 3, len(report.theta) - 1})
    wells = []
    for k, w in enumerate(report.wells):
        wells.append({"number": w.number, "point": place(w.x), "minimum": number(w.minimum, 5), "cells": w.n_cells,
                      "depth": "" if math.isinf(w.persistence) else number(w.persistence, 4), "joins": w.joins,
                      "saddle": "" if w.saddle_x is None else f"{place(w.saddle_x)} at {number(w.saddle, 4)}", "flags": ", ".join(w.flags).replace("_", " "),
                      "occupation": [percent(thermo.occupation[i, k]) for i in shown],
                      "free_energy": [number(thermo.free_energy[i, k], 4) for i in shown], "energy": [number(thermo.energy[i, k], 4) for i in shown],
                      "width": [number(math.exp(min(thermo.entropy[i, k], 700)), 3) for i in shown], "is_well": [bool(thermo.is_well[i, k]) for i in shown],
                      "is_thin": [bool(thermo.lowest_cell[i, k] > 0.25) for i in shown]})
    facts = [("File", os.path.basename(land.path)), ("Analysed", land.key), ("Surfaces in the file", ", ".join(sorted(land.surfaces))),
             ("Samples", " x ".join(str(n) for n in land.shape[::-1]) + "; " + ", ".join(
                 f"{n} from {a[0]:g} to {a[-1]:g} (spacing {h:.4g})" for n, a, h in zip("xy", land.axes, land.spacing))),
             ("Cells", ", ".join(f"{n} {k}" for k, n in land.counts.items())), ("Loss", f"{number(np.nanmin(land.loss), 6)} to {number(np.nanmax(land.loss), 6)}"),
             ("Grid minima", f"{len(land.merge_tree(8))} with 8 neighbours, {len(land.merge_tree(4))} with 4"),
             ("Metric", "none" if land.gram is None else "Gram matrix " + "; ".join(", ".join(f"{v:.5g}" for v in row) for row in land.gram)),
             ("Temperatures", f"{len(report.theta)}, {number(report.theta[0])} to {number(report.theta[-1])}: {report.theta_rule}")]
    if motion is not None:
        facts.append(("Dynamics", f"theta = {number(motion.theta)}, {motion.theta_rule}; time in {motion.time_unit}"))
        if motion.paths is not None:
            p = motion.paths
            facts.append(("Paths", f"{p.n_paths}, {p.n_steps} Metropolis-adjusted Langevin steps of {number(p.dt)}, {percent(p.acceptance)} accepted, seed {report.seed}"))
    for key in ("dir_file",):
        if land.meta.get(key):
            facts.append(("Directions came from", _cut(land.meta[key])))
    for key, value in list(land.meta.get("attributes", {}).items())[:20]:
        facts.append((f"attribute {_cut(key, 60)}", _cut(value)))
    for key, value in list((land.meta.get("meta") or {}).items())[:30]:
        facts.append((_cut(key, 60), _cut(value)))
    remarks = [*report.warnings, *(motion.remarks if motion is not None else ())]
    return template.render(title=land.name, answers=answers(report), images=images, wells=wells[:30], n_more=max(0, len(wells) - 30),
                           temperatures=[number(report.theta[i]) for i in shown], caveats=report.caveats, facts=facts, remarks=remarks,
                           version=__version__)


def _cut(value, length=300):
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= length else text[:length] + f" ... ({len(text)} characters)"
