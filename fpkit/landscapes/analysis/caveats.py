"""What the numbers of a landscape analysis do not say: one machine-readable name and one sentence for each
doubt that applies."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

DOUBTFUL = float(np.log10(2))        # decades of a rate's resolution error above which it is called doubtful
ISOTROPIC = 1.5  # largest over smallest temperature of the noise in the plane that still counts as one
EDGE_MASS = 0.01                     # Gibbs probability on the border above which the box cuts wells off


@dataclass(frozen=True)
class Caveat:
    """A doubt about a result: `name` for programs, `sentence` for people, the numbers of the `wells` it
    concerns."""
    name: str
    sentence: str
    wells: tuple = ()

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "sentence": self.sentence, "wells": list(self.wells)}


def caveats(land, wells, thermo, thin_limit, rates=()):
    """The caveats that apply to an analysed landscape, the most general first."""
    found = []
    add = lambda name, sentence, which=(): found.append(Caveat(name, sentence, tuple(which)))
    n_params = land.meta.get("attributes", {}).get("n_params")
    ignored = (f"the other {int(n_params) - land.ndim}" if isinstance(n_params, (int, float))
               and n_params > land.ndim else "all other")
    kind = "line" if land.ndim == 1 else "plane"
    if not (isinstance(n_params, (int, float)) and n_params <= land.ndim):
        more = ("" if thermo.across is None else " What the curvature across it adds, in the harmonic "
                "approximation, is given beside them.")
        add("slice_not_marginal", f"This is a slice: {ignored} directions of parameter space are held fixed, "
            f"and their entropy can exceed every difference inside the {kind}. Occupations and free energies "
            f"are those of the slice.{more}")
    if len(wells) > 1:
        add("slice_saddle", f"A barrier inside the {kind} bounds the barrier of the network from above: a "
            "lower way round may lead outside.")
    spread = _noise_spread(land)
    if spread is None:
        add("anisotropic_noise", "A Gibbs distribution at one temperature is a model of SGD, whose noise "
            "differs from direction to direction.")
    elif spread > ISOTROPIC:
        add("anisotropic_noise",
            f"The noise of SGD that was measured in this {kind} is {spread:.2g} times stronger in one "
            "direction than in another; a Gibbs distribution at one temperature is a model of it.")
    if land.gram is None:
        add("no_metric", "The file holds no Gram matrix of its directions: one unit of x counts as long as "
            "one unit of y, and times are in arbitrary units. Occupations do not depend on it.")
    if land.gram is None or _is_normalised(land):
        add("gauge_dependent", "Widths, entropies and times are in units of the directions; another "
            "normalisation or a rescaling of the layers changes them without changing the network.")
    if not land.is_uniform:
        add("uneven_grid", "The samples are not evenly spaced; cell volumes are taken into account, and "
            "there is no dynamics.")
    thin = (thermo.lowest_cell > thin_limit) & (thermo.occupation > 1e-3)
    coarse = [r.theta for r in rates
              if (r.log10_rate_error[np.isfinite(r.log10_rate_error)] > DOUBTFUL).any()]
    if thin.any() or coarse:
        which, parts = [], []
        if thin.any():
            which = [w.number for w, t in zip(wells, thin.any(axis=0)) if t]
            top = thermo.theta[np.flatnonzero(thin.any(axis=1)).max()]
            parts.append(f"Up to theta = {top:.3g}, one cell holds more than {thin_limit:.0%} of "
                         f"{_named(which)}: its width is below the spacing of the samples, and free energies "
                         "there are qualitative.")
        if coarse:
            parts.append(f"Up to theta = {max(coarse):.3g}, some rates move by more than a factor "
                         f"{10**DOUBTFUL:.0f} when cells are added between the samples: there only their "
                         "order of magnitude is meant.")
        add("under_resolved", " ".join(parts), which)
    edge_wells = [w.number for w in wells if "touches_edge" in w.flags]
    much = thermo.edge_mass > EDGE_MASS
    if edge_wells or much.any():
        parts = []
        if edge_wells:
            parts.append(f"{_named(edge_wells).capitalize()} "
                         f"{'has its' if len(edge_wells) == 1 else 'have their'} lowest cell on the border, "
                         "so the true minimum may lie outside.")
        if much.any():
            parts.append(f"The border holds {thermo.edge_mass[-1]:.2g} "
                         f"of the probability at theta = {thermo.theta[-1]:.3g} (more than 1 % from theta = "
                         f"{thermo.theta[np.flatnonzero(much).min()]:.3g} on): the box cuts the distribution "
                         "off.")
        add("box_truncation", " ".join(parts), edge_wells)
    beside = [w.number for w in wells if "touches_invalid" in w.flags]
    if beside:
        add("beside_invalid", f"{_named(beside).capitalize()} {'lies' if len(beside) == 1 else 'lie'} beside "
            "cells without a loss, so the true minimum may be among those.", beside)
    noisy = [w.number for w in wells if "within_noise" in w.flags]
    if noisy:
        add("loss_noise", f"The depth of {_named(noisy)} is below three standard errors of the loss.", noisy)
    if land.axis_order_assumed:
        add("axis_order_assumed", "The stored matrix is square and the file does not name its index order; x "
            "and y may be exchanged.")
    if land.unfinished.any():
        add("unfinished", f"{land.n_unfinished} of {land.loss.size} cells were never computed; minima and "
            "passes among them are unknown.")
    hints = str(land.meta.get("dir_file") or "") + str(land.meta.get("name_hints") or "")
    mode = _named_anywhere(land.meta.get("meta"), ("batchnorm", "batchnorm_mode", "batch_norm"))
    if isinstance(mode, str) and mode.lower() not in ("none", "no", ""):
        add("batchnorm_mode", f"The loss was taken with batch normalisation in the mode {mode[:40]!r}; with "
            "other statistics the surface is another one.")
    elif "bn" in hints.lower() and "ignore" in hints.lower():
        add("batchnorm_mode", "The directions leave biases and batch normalisation out, and the file does "
            "not say in which mode the loss was taken.")
    decay = _weight_decay(land.meta.get("meta"))
    if decay:
        add("weight_decay_missing", f"Training used weight decay ({decay:g}) and the sampled loss does not "
            "contain it; it belongs into the potential.")
    return tuple(found)


def _is_normalised(land):
    """Whether the directions were scaled filter by filter or layer by layer, by the file's own word or its
    name."""
    told = land.meta.get("meta") or {}
    plane = told.get("plane") if isinstance(told.get("plane"), dict) else {}
    words = [*(land.meta.get("name_hints") or {}).values(), told.get("normalisation"),
             plane.get("normalisation")]
    return any(isinstance(w, str) and w.lower() in ("filter", "dfilter", "layer", "dlayer") for w in words)


def _named(numbers):
    return (f"well {numbers[0]}" if len(numbers) == 1 else "wells " + ", ".join(str(n) for n in numbers[:6])
            + (" and others" if len(numbers) > 6 else ""))


def _noise_spread(land):
    """Largest over smallest eigenvalue of the tensor of the SGD noise in the plane; None where it was not
    measured."""
    tensor = (land.temperature or {}).get("tensor")
    if tensor is None:
        return None
    values = np.linalg.eigvalsh(np.atleast_2d(np.asarray(tensor, float)))
    return float(values[-1] / values[0]) if np.isfinite(values).all() and values[0] > 0 else np.inf


def _named_anywhere(meta, names, depth=0):
    """The first entry with one of these names anywhere in the description of the file; None when there is
    none."""
    if not isinstance(meta, dict) or depth > 4:
        return None
    for key, value in meta.items():
        if str(key).lower() in names:
            return value
        inner = _named_anywhere(value, names, depth + 1)
        if inner is not None:
            return inner
    return None


def _weight_decay(meta):
    """A positive weight decay named anywhere in the description of the file, unless the loss has it; else
    0.0."""
    value = _named_anywhere(meta, ("weight_decay",))
    has_it = _named_anywhere(meta, ("loss_has_weight_decay",)) is True
    return float(value) if isinstance(value, (int, float)) and value > 0 and not has_it else 0.0
