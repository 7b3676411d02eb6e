"""The findings of a landscape analysis in plain sentences with numbers, each with a mark of how far it can be
trusted."""
from __future__ import annotations

from typing import Any
import os
from dataclasses import dataclass

import numpy as np

FIRM, ROUGH, OPEN = "firm", "rough", "open"
ROUGH_RATE, DOUBTFUL_RATE = 0.1, 0.3             # decades of resolution error
MOST_PAIRS = 3
NEVER = 300.0                                    # decades of a time from which on a well counts as walled off
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Finding:
    """One sentence of the first page.

    Attributes
    ----------
    topic, sentence : str
    trust : {"firm", "rough", "open"}
        Firm: the samples resolve it. Rough: read it as a size. Open: the samples do not decide it.
    why : str
        What the mark rests on.
    """
    topic: str
    sentence: str
    trust: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


# ---- words for numbers ----

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


def power(log10):
    """'420', '3.4 × 10⁵', '10²⁴¹⁶': a positive number by its decimal logarithm."""
    if not np.isfinite(log10):
        return "0" if log10 < 0 else "infinity"
    if -3 <= log10 < 4:
        return number(10.0**log10) if log10 < 3 else f"{10.0**log10:.0f}"
    exponent = int(np.floor(log10 + 1e-9))
    if abs(exponent) >= 100:
        return "10" + str(round(log10)).translate(RAISED)
    return f"{10 ** (log10 - exponent):.2g} × 10{str(exponent).translate(RAISED)}"


def lasting(report, log10_time):
    """A time for people: in steps where learning rate and metric are known, else a plain time whose unit
    `unit_of_time` tells."""
    if log10_time == np.inf:
        return "for ever"
    if report.landscape.gram is not None and report.clock.step:
        return f"{power(log10_time - np.log10(report.clock.step))} steps"
    return f"t = {power(log10_time)}"


def unit_of_time(report):
    """The sentence that belongs behind times without a unit."""
    if report.landscape.gram is None:
        return " Times are in arbitrary units, since the file has no metric."
    return "" if report.clock.step else " Times are learning rate x steps."


# ---- the first page ----

def answers(report):
    """The sentences alone, the most important first."""
    return [f.sentence for f in findings(report)]


def findings(report):
    """All findings, the most important first."""
    found = [_wells(report), *_equilibrium(report), *_crossings(report), *_rates(report), *_start(report),
             *_horizon(report), *_risk(report), *_training(report)]
    return [f for f in found if f is not None]


def _wells(report):
    wells, thermo, thetas, first = report.wells, report.thermodynamics, report.theta, report.wells[0]
    doubts = [w for w in wells if "touches_edge" in w.flags or "touches_invalid" in w.flags
              or "within_noise" in w.flags]
    trust, why = (FIRM, "every minimum has samples on all sides") if not doubts else \
        (ROUGH, f"{_named(doubts)} {'lies' if len(doubts) == 1 else 'lie'} at the end of the data or within "
         "the noise of the loss")
    if len(wells) == 1:
        text = ("At every temperature considered there is one well: its lowest sample lies at "
                f"{place(first.x)} with a loss of {number(first.minimum, 4)}.")
    else:
        last = int(thermo.is_well[-1].sum())
        text = f"There are {len(wells)} wells at theta = {number(thetas[0])} (depth above 3 theta)"
        text += f" and {last} at theta = {number(thetas[-1])}" if thetas.size > 1 else ""
        text += f". The lowest, well 1, lies at {place(first.x)} with a loss of {number(first.minimum, 4)}"
        deep = [w for w in wells[1:] if np.isfinite(w.persistence)]
        if deep:
            w = max(deep, key=lambda w: w.persistence)
            text += (f"; the deepest of the others, well {w.number} at {place(w.x)}, has a way out "
                     f"{number(w.persistence)} above its loss of {number(w.minimum, 4)}")
        text += "."
    return Finding("wells", text, trust, why)


def _named(wells):
    return ("well " if len(wells) == 1
            else "wells ") + ", ".join(str(w.number) for w in wells[:5]) + (" and others" if len(wells) > 5
                                                                            else "")


def _equilibrium(report):
    wells, thermo, thetas = report.wells, report.thermodynamics, report.theta
    if len(wells) == 1:
        return []
    thin = bool((thermo.lowest_cell[-1] > 0.25).any())
    edge = float(thermo.edge_mass[-1])
    trust, why = (FIRM, "sums over the samples, and no cell holds a quarter of a well at the warm "
                  "end") if not thin and edge < 0.01 else (ROUGH, "one cell holds a quarter of a well or more"
                                                           if thin else "the border of the box holds "
                                                           f"{percent(edge)} at the warm end")
    low, high = (int(np.argmax(thermo.occupation[i])) for i in (0, -1))
    named = sorted(range(len(wells)), key=lambda k: -thermo.occupation[-1, k])[:3]
    share = ", ".join(f"well {k + 1} {percent(thermo.occupation[-1, k])}" for k in named)
    if thetas.size == 1:
        text = f"In equilibrium at theta = {number(thetas[0])}: {share}."
    elif low == high:
        text = (f"In equilibrium well {low + 1} holds the most probability at all temperatures considered: "
                f"{percent(thermo.occupation[0, low])} at theta = {number(thetas[0])}; at theta = "
                f"{number(thetas[-1])} the largest shares are {share}.")
    else:
        text = (f"In equilibrium most probability lies in well {low + 1} when "
                f"cold ({percent(thermo.occupation[0, low])} at theta = {number(thetas[0])}) and in well "
                f"{high + 1} when warm (at theta = {number(thetas[-1])}: {share}).")
    if thermo.across is not None:
        k = int(np.argmax(thermo.across[-1]))
        text += (f" With the curvature across the {_kind(report)}, which the file holds, well {k + 1} "
                 f"has the most at theta = {number(thetas[-1])}: {percent(thermo.across[-1, k])} instead of "
                 f"{percent(thermo.occupation[-1, k])}.")
    return [Finding("occupation", text, trust, why)]


def _kind(report):
    return {1: "line", 2: "plane", 3: "box"}[report.landscape.ndim]


def _crossings(report):
    found = []
    for c in [c for c in report.crossovers if c.occupation > 1e-3][:3]:
        found.append(Finding("crossover", f"Wells {c.deeper} and {c.wider} are equally occupied at "
                             f"theta = {number(c.theta, 4)}: below it the deeper well {c.deeper} holds "
                             f"more, above it the wider well {c.wider}.", FIRM if c.is_resolved else ROUGH,
                             "the samples resolve both wells there" if c.is_resolved
                             else "one cell holds a quarter of a well there, so the temperature is rough"))
    return found


def rate_trust(error):
    """(mark, reason) of a rate by its resolution error in decades."""
    if not np.isfinite(error):
        return OPEN, "it could not be repeated on a finer grid"
    factor = power(error)
    if error < ROUGH_RATE:
        return FIRM, f"within a factor {factor} when cells are added between the samples"
    return (ROUGH if error < DOUBTFUL_RATE
            else OPEN), f"it moves by up to a factor {factor} when cells are added between the samples"


def _rates(report):
    """Leaving times of the fullest wells, at the temperature of the SGD noise or of the density, and at the
    coldest one."""
    several = [r for r in report.rates if len(r.wells) > 1 and r.network is not None]
    sgd, motion = report.clock.theta, report.dynamics
    wanted = [t for t in (sgd, None if motion is None else motion.theta, report.theta[0]) if t is not None]
    chosen = []
    for t in wanted:
        chosen += [r for r in several if np.isclose(r.theta, t, rtol=1e-6) and r not in chosen]
    found = []
    for r in chosen[:2]:
        leaving, errors = [], []
        share = {w: p for w, p in zip(r.wells, np.exp(r.network.log_mass - r.network.log_mass.max()))}
        for w in sorted(sorted(r.wells, key=lambda w: -share[w])[:MOST_PAIRS]):
            a = r.wells.index(w)
            rates = r.log10_rate[a]
            if not np.isfinite(rates).any():
                continue
            b = int(np.argmax(rates))
            leaving.append(f"well {w} after {lasting(report, -float(r.network.log_exit[a]) / np.log(10))}, "
                           f"mostly to well {r.wells[b]}")
            errors.append(r.log10_rate_error[a, b])
        if not leaving:
            continue
        is_sgd = sgd is not None and np.isclose(r.theta, sgd, rtol=1e-6)
        text = (f"At theta = {number(r.theta)}{' (that of the SGD noise)' if is_sgd else ''} noise leaves "
                f"{'; '.join(leaving)} (means).")
        text += unit_of_time(report) if not found else ""
        slow = r.log10_modes[r.log10_modes > -NEVER]
        if slow.size and slow.size == r.log10_modes.size:
            text += f" The slowest relaxation on the surface takes {lasting(report, -slow[0])}."
        elif slow.size:
            text += (f" The slowest relaxation takes {lasting(report, -slow[0])}, apart from wells behind "
                     "walls that this noise does not cross.")
        text += _eyring_sentence(r)
        found.append(Finding("rates", text,
                             *rate_trust(max(errors) if np.isfinite(errors).all() else np.nan)))
    return found


def _eyring_sentence(r):
    compared = r.log10_eyring - r.log10_rate
    usable = compared[np.isfinite(compared)]
    if usable.size:
        k = usable[int(np.argmax(np.abs(usable)))]
        return (f" The Eyring-Kramers formula, where it can be used, gives rates up to {power(abs(k))} times "
                f"too {'large' if k > 0 else 'small'}.")
    return (" The Eyring-Kramers formula does not apply to these wells."
            if any("refused" in v for row in r.verdict for v in row) else "")


def _start(report):
    motion = report.dynamics
    if motion is None:
        return [Finding("start", "No density, no rates and no paths: the samples are not evenly spaced.",
                        OPEN, "the dynamics needs even spacing")]
    found = []
    home = report.basins[report.landscape.index(motion.start)] + 1
    arrived = np.flatnonzero(motion.distance < 0.01)
    text = (f"Started at {place(motion.start)}, {report.start_rule}, in the basin of well {home}, the "
            f"density at theta = {number(motion.theta)} ")
    if len(report.wells) > 1:
        most = sorted(range(len(report.wells)), key=lambda k: -motion.equilibrium[k])[:3]
        goal = ", ".join(f"well {k + 1} {percent(motion.equilibrium[k])}" for k in most
                         if motion.equilibrium[k] > 1e-6)
        text += f"tends to {goal}"
        text += (f", and is within 1 % of that after {lasting(report, np.log10(motion.times[arrived[0]]))}"
                 if arrived.size else f"; by {lasting(report, np.log10(motion.times[-1]))} it is still "
                 f"{percent(motion.distance[-1])} away")
    else:
        text += (f"is within 1 % of equilibrium after {lasting(report, np.log10(motion.times[arrived[0]]))}"
                 if arrived.size else f"is still {percent(motion.distance[-1])} away from equilibrium by "
                 f"{lasting(report, np.log10(motion.times[-1]))}")
    text += "."
    trust, why = FIRM, "density of the cells, mass kept to rounding"
    rates, both = report.rates_at(motion.theta), report.agreement
    if both is not None and np.isfinite(both.largest):
        why = f"density and network of wells agree within {number(both.largest, 2)} of a probability"
        trust = FIRM if both.largest < 0.02 else ROUGH
    if rates is not None and len(rates.wells) > 1 and np.isfinite(rates.log10_mfpt_from_start).any():
        goals = [f"of well {w} {lasting(report, t)}" for w, t in zip(rates.wells, rates.log10_mfpt_from_start)
                 if -np.inf < t < NEVER and w != home]
        if goals:
            text += f" The mean time from there to the bottom {', '.join(goals[:4])}."
    found.append(Finding("start", text, trust, why))
    paths = motion.paths
    if paths is not None:
        gap, z = paths.deviation
        loss_gap = abs(paths.mean_loss[-1] - paths.expected_loss[-1])
        text = f"{paths.n_paths} paths beside it, up to {lasting(report, np.log10(paths.times[-1]))}: "
        if len(report.wells) > 1:
            ends = sorted(range(len(report.wells)), key=lambda k: -paths.occupation[-1, k])[:3]
            text += "they end in " + ", ".join(f"well {k + 1} ({percent(paths.occupation[-1, k])})"
                                               for k in ends if paths.occupation[-1, k] > 0)
            text += (f"; the shares of the wells differ from the density's by at most {gap:.3f} ({z:.1f} "
                     "standard errors); ")
        text += ("their mean loss is "
                 f"{number(paths.mean_loss[-1], 4)} +- {number(paths.mean_loss_error[-1], 2)}, the density's "
                 f"{number(paths.expected_loss[-1], 4)}.")
        is_off = (len(report.wells) > 1 and z > 4 and gap > 0.02) or loss_gap > 4 * paths.mean_loss_error[-1]
        if is_off:
            text += " The difference is more than chance: the samples are too coarse for the two to agree."
        found.append(Finding("paths", text, ROUGH if is_off else FIRM,
                             "paths on a spline against a density on the cells: two independent programs"))
    return found


def _horizon(report):
    """What has happened after the number of steps that was asked for, at the temperature of the SGD or of the
    density."""
    clock, motion = report.clock, report.dynamics
    if clock.n_steps is None or motion is None:
        return []
    theta = clock.theta or motion.theta
    r = report.rates_at(theta)
    if r is None or r.network is None or len(r.wells) < 2 or not np.isfinite(r.first).all():
        return []
    p = r.network.occupation(r.first, [np.log(clock.n_steps * clock.step)])[0]
    named = sorted(range(len(r.wells)), key=lambda k: -p[k])[:3]
    text = (f"After {number(clock.n_steps, 4)} steps at theta = {number(r.theta)} the run is in "
            + ", ".join(f"well {r.wells[k]} with probability {percent(p[k])}" for k in named if p[k] > 1e-6)
            + ".")
    error = r.log10_rate_error[np.isfinite(r.log10_rate_error)]
    return [Finding("horizon", text, *rate_trust(float(error.max()) if error.size else np.nan))]


def _risk(report):
    risk = report.risk
    if risk is None:
        return []
    known = np.isfinite(risk.test)
    low, high = np.flatnonzero(known)[[0, -1]]
    text = (f"The Gibbs mean of the test loss is {number(risk.test[low])} at theta "
            f"= {number(risk.theta[low])} and {number(risk.test[high])} at {number(risk.theta[high])}; that "
            f"of the training loss {number(risk.train[low])} and {number(risk.train[high])}, so the gap goes "
            f"from {number(risk.gap[low])} to {number(risk.gap[high])}. ")
    if low == high:
        text = (f"The Gibbs mean of the test loss is {number(risk.test[low])} at theta = "
                f"{number(risk.theta[low])}, that of the training loss {number(risk.train[low])}.")
    elif risk.is_at_end:
        text += ("The test loss is least at the "
                 f"{'coldest' if risk.best_theta == risk.theta[0] else 'warmest'} temperature considered, so "
                 "its minimum may lie beyond.")
    else:
        text += f"The test loss is least at theta = {number(risk.best_theta)} ({number(risk.best_test)})."
    return [Finding("test loss", text, FIRM if known.all() else ROUGH,
                    f"sums over the samples; it speaks of this {_kind(report)}, not of the whole network")]


def _training(report):
    t = report.training
    if t is None:
        return []
    kept = [k for k in np.argsort(-t.dwell) if t.dwell[k] > 0.005][:3]
    where = ", ".join(f"{percent(t.dwell[k])} in the basin of well {k + 1} (equilibrium at theta = "
                      f"{number(t.theta)}: {percent(t.occupation[k])})" for k in kept)
    text = (f"The optimiser's path of {t.n_points} checkpoints spent {where}." if kept
            else f"None of the {t.n_points} checkpoints of the optimiser lies on the surface.")
    if np.isfinite(t.exponent):
        text += (f" Its mean square displacement grows with the lag to the power {number(t.exponent, 2)}: "
                 + {"drift": "a drift (2), not Brownian motion (1).",
                    "Brownian": "as Brownian motion (1) does, or slower.",
                    "between drift and Brownian": "between Brownian motion (1) and a drift (2)."}[t.word])
    if t.loss_gap is not None:
        text += (f" The checkpoints' own losses are {number(abs(t.loss_gap))} "
                 f"{'above' if t.loss_gap > 0 else 'below'} the surface (median), since they lie beside it.")
    trust, why = (ROUGH, "few checkpoints, on a "
                  "projection") if t.n_points < 50 else (FIRM, f"{t.n_points} checkpoints, on a projection")
    return [Finding("training path", text, trust, why)]


def comparison_answers(both):
    """The findings of a comparison of landscapes on one plane."""
    names, theta, said = both.names, both.theta, []
    cold, warm = 0, len(theta) - 1
    for j, name in enumerate(names[1:], start=1):
        pairs = ", ".join(f"{a} -> {b}" for a, b in list(both.matches[j - 1].items())[:8])
        said.append(f"Wells of {names[0]} -> wells of {name} that their lowest cells belong to: {pairs}.")
        said.append(f"Their Gibbs distributions share {percent(both.overlap[cold, 0, j])} "
                    f"at theta = {number(theta[cold])} and {percent(both.overlap[warm, 0, j])} at "
                    f"{number(theta[warm])}.")
        own, other = both.mean[:, 0, 0], both.mean[:, 0, j]
        if np.isfinite(other[[cold, warm]]).all():
            said.append(f"Under the Gibbs distribution of {names[0]}, the mean loss of {name} goes from "
                        f"{number(other[cold], 4)} to {number(other[warm], 4)} and its difference to the own "
                        f"loss from {number(other[cold] - own[cold])} to {number(other[warm] - own[warm])}; "
                        f"it is least at theta = {number(both.best_theta[j])}.")
    return said


# ---- the terminal ----

def as_text(report):
    """The report as a table for a terminal."""
    land, thermo = report.landscape, report.thermodynamics
    shown = sorted({0, len(report.theta) // 2, len(report.theta) - 1})
    lines = [f"{os.path.basename(land.path)}: {land.key}, {' x '.join(str(n) for n in land.shape[::-1])} "
             "samples; " + ", ".join(f"{n} {k}" for k, n in land.counts.items() if n)]
    head = ("well  point" + " " * 17 + "loss        depth       cells  "
            + "".join(f"p({number(report.theta[i])})".ljust(13) for i in shown) + "flags")
    lines.append(head)
    for k, w in enumerate(report.wells[:12]):
        depth = "-" if np.isinf(w.persistence) else number(w.persistence, 4)
        row = "".join(f"{thermo.occupation[i, k]:<13.4g}" for i in shown)
        lines.append(f"{w.number:<6d}{place(w.x):<22s}{number(w.minimum, 5):<12s}{depth:<12s}"
                     f"{w.n_cells:<7d}{row}{' '.join(w.flags)}".rstrip())
    if len(report.wells) > 12:
        lines.append(f"... {len(report.wells) - 12} more")
    lines += [f"- [{f.trust}] {f.sentence}" for f in findings(report)]
    lines.append("caveats: " + ", ".join(report.flags))
    return "\n".join(lines)
