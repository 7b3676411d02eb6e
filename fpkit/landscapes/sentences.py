"""The findings of a landscape analysis in plain sentences with numbers."""
from __future__ import annotations

import os

import numpy as np


def number(value, digits=3):
    return f"{value:.{digits}g}"


def percent(p):
    """'12 %', '0.3 %', 'less than 1e-6': a probability for people."""
    if p <= 0 or p < 1e-6:
        return "less than 1e-6"
    if p > 1 - 1e-6:
        return "practically all"
    if p < 1e-3:
        return f"{p:.1e}"
    return f"{100 * p:.2g} %" if p < 0.995 else f"{100 * p:.4g} %"


def place(point):
    return "(" + ", ".join(f"{v:.4g}" for v in point) + ")"


def answers(report):
    """The findings, the most important first; each a sentence or two."""
    wells, thermo, thetas = report.wells, report.thermodynamics, report.theta
    said = []
    first = wells[0]
    many = len(wells)
    if many == 1:
        said.append(f"At every temperature considered there is one well: its lowest sample lies at {place(first.x)} with a loss of {number(first.minimum, 4)}.")
    else:
        said.append(f"There are {many} wells at theta = {number(thetas[0])} (depth above 3 theta) and {int(thermo.is_well[-1].sum())} at "
                    f"theta = {number(thetas[-1])}. The lowest, well 1, lies at {place(first.x)} with a loss of {number(first.minimum, 4)}.")
    named = sorted(range(many), key=lambda k: -thermo.occupation[-1, k])[:3]
    if many > 1:
        low, high = (int(np.argmax(thermo.occupation[i])) for i in (0, -1))
        share = ", ".join(f"well {k + 1} {percent(thermo.occupation[-1, k])}" for k in named)
        if low == high:
            said.append(f"In equilibrium well {low + 1} holds the most probability at all temperatures considered: {percent(thermo.occupation[0, low])} at theta = "
                        f"{number(thetas[0])}; at theta = {number(thetas[-1])} the largest shares are {share}.")
        else:
            said.append(f"In equilibrium most probability lies in well {low + 1} when cold ({percent(thermo.occupation[0, low])} at theta = {number(thetas[0])}) and in "
                        f"well {high + 1} when warm (at theta = {number(thetas[-1])}: {share}).")
    for c in [c for c in report.crossovers if c.occupation > 1e-3][:3]:
        trust = "" if c.is_resolved else " The samples hardly resolve the wells there."
        said.append(f"Wells {c.deeper} and {c.wider} are equally occupied at theta = {number(c.theta, 4)}: below it the deeper well {c.deeper} holds more, "
                    f"above it the wider well {c.wider}.{trust}")
    means = thermo.mean_loss
    if "test_loss" in means and "train_loss" in means:
        test, train = means["test_loss"], means["train_loss"]
        if np.isfinite(test).all():
            k = int(np.argmin(test))
            said.append(f"The Gibbs mean of the test loss goes from {number(test[0])} at theta = {number(thetas[0])} to {number(test[-1])} at "
                        f"{number(thetas[-1])}, least at {number(thetas[k])} ({number(test[k])}); the training loss from {number(train[0])} to {number(train[-1])}.")
    said += _motion(report)
    return said


def _motion(report):
    motion = report.dynamics
    if motion is None:
        return ["No density and no paths: the samples are not evenly spaced."]
    said = []
    home = report.basins[report.landscape.index(motion.start)] + 1
    unit = motion.time_unit if report.landscape.gram is not None else "arbitrary time units"
    arrived = np.flatnonzero(motion.distance < 0.01)
    text = f"Started at {place(motion.start)}, {report.start_rule}, in the basin of well {home}, the density at theta = {number(motion.theta)} "
    if len(report.wells) > 1:
        most = sorted(range(len(report.wells)), key=lambda k: -motion.equilibrium[k])[:3]
        goal = ", ".join(f"well {k + 1} {percent(motion.equilibrium[k])}" for k in most if motion.equilibrium[k] > 1e-6)
        text += f"tends to {goal}"
        text += f", and is within 1 % of that after t = {number(motion.times[arrived[0]])}" if arrived.size else \
            f"; by t = {number(motion.times[-1])} it is still {percent(motion.distance[-1])} away"
    else:
        text += f"is within 1 % of equilibrium after t = {number(motion.times[arrived[0]])}" if arrived.size else \
            f"is still {percent(motion.distance[-1])} away from equilibrium by t = {number(motion.times[-1])}"
    said.append(text + f" ({unit}).")
    paths = motion.paths
    if paths is not None:
        gap, z = paths.deviation
        loss_gap = abs(paths.mean_loss[-1] - paths.expected_loss[-1])
        text = f"{paths.n_paths} paths beside it, up to t = {number(paths.times[-1])}: "
        if len(report.wells) > 1:
            text += f"the shares of the wells differ from the density's by at most {gap:.3f} ({z:.1f} standard errors); "
        text += f"their mean loss is {number(paths.mean_loss[-1], 4)} +- {number(paths.mean_loss_error[-1], 2)}, the density's {number(paths.expected_loss[-1], 4)}."
        if (len(report.wells) > 1 and z > 4 and gap > 0.02) or loss_gap > 4 * paths.mean_loss_error[-1]:
            text += " The difference is more than chance: the samples are too coarse for the two to agree."
        said.append(text)
    return said


def as_text(report):
    """The report as a table for a terminal."""
    land, thermo = report.landscape, report.thermodynamics
    shown = sorted({0, len(report.theta) // 2, len(report.theta) - 1})
    lines = [f"{os.path.basename(land.path)}: {land.key}, {' x '.join(str(n) for n in land.shape[::-1])} samples; "
             + ", ".join(f"{n} {k}" for k, n in land.counts.items() if n)]
    head = "well  point" + " " * 17 + "loss        depth       cells  " + "".join(f"p({number(report.theta[i])})".ljust(13) for i in shown) + "flags"
    lines.append(head)
    for k, w in enumerate(report.wells[:12]):
        depth = "-" if np.isinf(w.persistence) else number(w.persistence, 4)
        row = "".join(f"{thermo.occupation[i, k]:<13.4g}" for i in shown)
        lines.append(f"{w.number:<6d}{place(w.x):<22s}{number(w.minimum, 5):<12s}{depth:<12s}{w.n_cells:<7d}{row}{' '.join(w.flags)}".rstrip())
    if len(report.wells) > 12:
        lines.append(f"... {len(report.wells) - 12} more")
    lines += [f"- {a}" for a in answers(report)]
    lines.append("caveats: " + ", ".join(report.flags))
    return "\n".join(lines)
