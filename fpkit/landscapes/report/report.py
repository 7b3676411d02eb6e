"""The report of a landscape analysis on disk: index.html, report.json, report.h5 and the figures.

report.json, stable keys (numbers that are not finite are null, nothing else is left out; log10_rate null
means that there is no such transition, a mean first-passage time null that the place is out of reach):

- fpkit, format ("fpkit-landscape-report"), format_version; verdict: the whole in one paragraph; units: of
  each kind of number. Losses, temperatures, barriers and free energies are in the unit of the file's losses;
  places in coefficients of the plane's directions; times in learning rate x steps (arbitrary without a gram
  matrix; divide by clock.time_per_step for steps), rates in one over that, both as decimal logarithms, their
  errors in decades; occupations are probabilities; width is in coordinates to the power of the number of axes
- noise: {sigma, correlation, source, is_dominant}; solutions: list of {name, point, well (0: outside)}
- whole_space: list of {theta, pair, nats, error, plane, status, agreement}
- landscape: file, key, surfaces, shape [ny, nx], cells {valid, unfinished, diverged}, x, y {low, high,
  samples, spacing}, minimum {value, index [iy, ix], point}, maximum, components, minima {neighbours_8,
  neighbours_4}, periodic, gram, trajectory, meta, warnings
- temperatures: theta, rule
- clock: lr, momentum, n_steps, time_per_step, sgd_theta
- wells: list of {number, index, point, minimum, saddle_index, saddle_point, saddle, joins, persistence,
  n_cells, flags}
- thermodynamics: theta, and by [temperature][well] occupation, energy, free_energy, entropy, width, harmonic,
  harmonic_error, is_well, lowest_cell, edge_share, free_energy_error, seam_share (beside another well),
  across (null without log det H_perp); edge_mass, hole_mass (beside samples without a loss), mean
  {dataset: [..]}
- crossovers: list of {deeper, wider, theta, error, occupation, is_resolved}
- rates: one entry a temperature {theta, wells, by [from][to] log10_rate, log10_rate_error, barrier,
  log10_eyring, verdict, log10_mfpt; sequence {cells per sample and axis: log10_rate}, log10_mfpt_from_start,
  log10_mfpt_from_start_error, log10_exit, log10_exit_error, first, log10_modes, log10_modes_error,
  modes_method, status}
- start: point, rule
- dynamics: null, or theta, rule, time_unit, mobility, times, occupation [time][well], mean_loss, distance,
  mass, equilibrium, remarks, paths {n_paths, dt, n_steps, scheme, acceptance, seed, times, occupation,
  occupation_error, expected, chance (of as large a difference), mean_loss, mean_loss_error, expected_loss}
- agreement: null, or wells, times, network, density [time][well], from_time, largest
- risk: null, or theta, train, test, gap, best_theta, best_test, is_at_end, test_error (of its noise)
- training: null, or n_points, n_inside, wells, dwell, occupation, theta, exponent, exponent_error, word,
  loss_gap, residual, lags, displacement
- sgd: null (no gradient noise in the file), or {status} where it is not "ok", else status, lr, momentum,
  batch, theta (of the nearest Gibbs density), noise_theta, anisotropy, distance, noise_distance,
  entropy_production (each {value, error}), occupation [well], gibbs_occupation, escapes [{well, time,
  gibbs_time}]
- findings: list of {topic, sentence, trust ("firm", "rough", "open"), why}; answers: the sentences alone
- caveats [{name, sentence, wells}], warnings

report.json of a comparison: names; theta; mean [temperature][i][j], of loss j over the Gibbs distribution of
landscape i; overlap [temperature][i][j] of these distributions; best_theta [j]; difference: null, or why they
are not compared cell by cell (mean and overlap are null then); matches [j - 1] {well of the first: of j};
answers.

report.h5 holds the arrays: loss, basins [iy, ix], x, y; theta, occupation, free_energy, energy, entropy;
density, gibbs, times, paths_end; and report.json as the text `json`.
"""
from __future__ import annotations

import base64
import gc
import json
from pathlib import Path

from ... import __version__
from ...core.files import replacing
from ...core.hdf5 import written
from ...core.plain_json import plain
from .page import CAPTIONS, WIDE, comparison_html, html
from .progress import stages

FORMAT_VERSION = "1.5"
LARGE = 50_000                       # samples of a surface whose figures are not left to the garbage


def as_dict(report):
    """The report as a plain dictionary that is strict JSON; the keys are listed at the top of this module."""
    motion = report.dynamics
    kept = lambda a: None if a is None else a.to_dict()
    out = {"fpkit": __version__, "format": "fpkit-landscape-report", "format_version": FORMAT_VERSION,
           "verdict": report.verdict(), "units": _units(report), "noise": report.landscape.noise.__dict__,
           "solutions": [{"name": name, "point": point, "well": well} for name,
                         point, well in report.solutions], "landscape": report.landscape.to_dict(),
           "temperatures": {"theta": report.theta, "rule": report.theta_rule},
           "whole_space": [w.to_dict() for w in report.whole_space],
           "clock": report.clock.to_dict(), "wells": [w.to_dict() for w in report.wells],
           "thermodynamics": report.thermodynamics.to_dict(),
           "crossovers": [c.to_dict() for c in report.crossovers],
           "rates": [r.to_dict() for r in report.rates], "start": {"point": report.start,
                                                                   "rule": report.start_rule},
           "dynamics": None if motion is None else _motion(motion, report.seed),
           "agreement": kept(report.agreement), "risk": kept(report.risk), "training": kept(report.training),
           "sgd": kept(report.sgd),
           "findings": [f.to_dict() for f in report.findings()], "answers": report.answers(),
           "caveats": [c.to_dict() for c in report.caveats], "warnings": list(report.warnings)}
    return plain(out)


def _units(report):
    """The unit of each kind of number."""
    land = report.landscape
    time = "arbitrary (the file has no metric)" if land.gram is None else "learning rate x steps"
    return {"loss": "that of the file's losses: minimum, saddle, persistence, theta, energy, free_energy, "
                    "barrier, mean_loss, noise sigma",
            "coordinate": "coefficients of the plane's directions: x, y, z, point, spacing, trajectory",
            "width": "coordinate to the power of the number of axes; entropy is its natural logarithm",
            "time": time, "rate": f"1/({time})", "log10": "decimal logarithms of times and rates",
            "log10_..._error": "decades", "occupation, edge_mass, lowest_cell, density [time][well]":
            "probabilities, 0 to 1", "accuracy": "per cent",
            "time_per_step": "time of one optimiser step, learning rate/(1 - momentum)"}


def _motion(motion, seed):
    out = {name: getattr(motion, name) for name in ("theta", "time_unit", "mobility", "times", "occupation",
                                                    "mean_loss", "distance", "mass", "equilibrium")}
    out |= {"rule": motion.theta_rule, "remarks": list(motion.remarks), "paths": None}
    if motion.paths is not None:
        out["paths"] = {"seed": seed} | {name: getattr(motion.paths, name)
                                         for name in ("n_paths", "dt", "n_steps", "scheme", "acceptance",
                                                      "times", "occupation", "occupation_error", "expected",
                                                      "chance",
                                                      "mean_loss", "mean_loss_error", "expected_loss")}
    return out


def save(report, folder, svg=False, progress=None):
    """Write index.html, report.json, report.h5 and the figures (PNG, with `svg` also SVG) to `folder`, made
    if missing. Returns the path of the page."""
    from ...plotting.drawing import figures_of

    folder = _made(folder)
    images = []
    drawn = figures_of(report)
    told = stages(progress, len(drawn), "report")
    for name, draw in drawn.items():
        told(f"figure of {name}")
        images.append({"name": name, "caption": CAPTIONS[name], "is_wide": name in WIDE,
                       "data": _drawn(draw(report), folder / name, svg)})
        if report.landscape.loss.size > LARGE:
            gc.collect()                                     # a figure is a knot of references
    told(None)
    text = _json(as_dict(report))
    _write(folder / "report.json", text)
    _write_arrays(report, folder / "report.h5", text)
    page = folder / "index.html"
    _write(page, html(report, images))
    return page


def save_comparison(both, folder, pages=(), svg=False):
    """Write the page, the JSON and the figure of a comparison; `pages` are (name, relative path) of the
    reports of the single landscapes."""
    from ...plotting.landscape_rates import comparison_figure
    from ...plotting.landscapes import surfaces_figure

    folder = _made(folder)
    surfaces = _drawn(surfaces_figure(both), folder / "surfaces", svg)
    image = None if both.difference is not None else _drawn(comparison_figure(both), folder / "comparison",
                                                            svg)
    _write(folder / "report.json", _json(plain({"format": "fpkit-landscape-comparison",
                                                "format_version": FORMAT_VERSION, **both.to_dict()})))
    page = folder / "index.html"
    _write(page, comparison_html(both, surfaces, image, pages))
    return page


def _made(folder):
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; give a folder for the report.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _drawn(figure, path, svg):
    """Write a figure as PNG, and as SVG when asked; the PNG as base64 text."""
    from ...plotting.landscape_style import written

    return base64.b64encode(written(figure, path, ("png", "svg") if svg else ("png",))).decode()


def _json(a):
    return json.dumps(a, indent=1, allow_nan=False, ensure_ascii=True)


def _write(path, text):
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def _write_arrays(report, path, text):
    thermo, motion, land = report.thermodynamics, report.dynamics, report.landscape
    arrays = {"loss": land.loss, "basins": report.basins, **dict(zip("xyz", land.axes)),
              "theta": report.theta}
    arrays |= {name: getattr(thermo, name) for name in ("occupation", "free_energy", "energy", "entropy")}
    if motion is not None:
        arrays |= {"density": motion.density, "gibbs": motion.gibbs, "times": motion.times}
        if motion.paths is not None:
            arrays["paths_end"] = motion.paths.ends
    with written(path) as file:
        file.attrs["format"], file.attrs["format_version"] = "fpkit-landscape-report", FORMAT_VERSION
        for name, values in arrays.items():
            is_large = values.ndim > 0 and values.size > 1000
            file.create_dataset(name, data=values, compression="gzip" if is_large else None)
        file["json"] = text
