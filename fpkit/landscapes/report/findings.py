"""The findings of a landscape analysis in plain sentences with numbers, each with a mark of how far it can be
trusted."""
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..surface.wells import belongs_to

FIRM, ROUGH, OPEN = "firm", "rough", "open"
ROUNDING = 1e-13                     # of a coordinate
ALIKE = 0.97                         # of the largest share, rate: wells and ways that do not differ
SHARE_DOUBT = 0.02                   # error of a share from which on it is rough
BETWEEN = 0.03                       # held by cells beside another well: shares are open by half of it
LEVEL = 0.9                          # of the largest share: less is never called alike
THIN = 0.25  # share of a well in one cell from which on it is not resolved
ROUGH_RATE, DOUBTFUL_RATE = 0.1, 0.3             # decades of resolution error
MOST_PAIRS = 3
CHANGED = 0.1                        # of a depth, on a finer surface, from which on it is rough
NOTICED = 2.0                        # standard errors between paths and density that are no agreement
NEARLY = 1.05                        # a factor that a sentence calls the same
NEVER_SAID = 30.0                                # decades of a time that a sentence calls never
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


def loss_of(report, value, least=4):
    """A loss with the digits that tell the wells and their depths apart."""
    f = report.landscape.loss[report.landscape.valid]
    scale = max([w.persistence for w in report.wells if np.isfinite(w.persistence)]
                or [report.landscape.height(0.5)])
    size = float(np.abs(f).max()) if not scale else abs(value)
    digits = int(np.ceil(np.log10(size / scale))) + 3 if scale > 0 and size > scale else least
    return number(value, min(max(least, digits), 15))


def with_error(value, error):
    """'3.04812 ± 0.00007': as many digits as the error leaves, two of it."""
    if not (np.isfinite(error) and error > 0):
        return number(value, 4)
    places = max(0, 1 - int(np.floor(np.log10(error))))
    if places > 12 or abs(value) >= 1e6:
        return f"{number(value, 4)} ± {number(error, 2)}"
    return f"{value:.{places}f} ± {error:.{places}f}"


def like(value, error):
    """A number with the digits that `with_error` gives its partner."""
    return with_error(value, error).split(" ± ")[0]


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
    return "(" + ", ".join(f"{v if abs(v) > ROUNDING else 0.0:.4g}" for v in point) + ")"


def listed(names):
    """'1', '1 and 2', '1, 2 and 3'."""
    names = [str(n) for n in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def is_same(one, other):
    """Two temperatures are one; they may be of any size."""
    return bool(np.isclose(one, other, rtol=1e-6, atol=0.0))


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
    if log10_time > NEVER_SAID:
        return "practically never"
    if report.landscape.gram is not None and report.clock.step:
        return f"{power(log10_time - np.log10(report.clock.step))} steps"
    return f"t = {power(log10_time)}"


def _after(report, log10_time):
    """'after 420 steps', or 'practically never'."""
    said = lasting(report, log10_time)
    return said if said == "practically never" else f"after {said}"


def unit_of_time(report):
    """The sentence that belongs behind times without a unit."""
    if report.landscape.gram is None:
        return " Times are in arbitrary units, since the file has no metric."
    return "" if report.clock.step else " Times are learning rate x steps."


# ---- what a sentence may claim ----

ORDER = (FIRM, ROUGH, OPEN)


def worst(*marks):
    """The lowest of marks (trust, why), the first of these."""
    return max(marks, key=lambda m: ORDER.index(m[0]))


def noise_mark(report, theta):
    """What the noise of the loss leaves of numbers at a temperature."""
    noise = report.landscape.noise
    if noise.is_dominant:
        return OPEN, "the surface is noise"
    if noise.sigma > theta:
        return OPEN, f"the noise of the loss ({number(noise.sigma, 2)}) is above theta = {number(theta)}"
    if noise.sigma > 0.1 * theta:
        return ROUGH, f"the noise of the loss is {number(noise.sigma / theta, 2)} of theta = {number(theta)}"
    return (FIRM, "no noise is seen in the loss" if not noise.sigma
            else "the noise of the loss is small beside theta")


def cells_mark(report, thetas, wells):
    """Whether the samples hold the Gibbs distribution of some wells (places) at temperatures (places)."""
    thermo = report.thermodynamics
    between = (thermo.occupation * thermo.seam_share).sum(axis=1)
    for i in thetas:
        thin = [k for k in wells if thermo.lowest_cell[i, k] > THIN and thermo.occupation[i, k] > 1e-6]
        if thin:
            return ROUGH, (f"at theta = {number(report.theta[i])} one cell holds more than a quarter of "
                           f"{_named([report.wells[k] for k in thin])}")
        marks = [border_mark(report, i), hole_mark(report, i, has_ways=False)]
        doubt = [thermo.occupation[i, k] * (1 - thermo.occupation[i, k]) * thermo.free_energy_error[i, k]
                 / report.theta[i] for k in wells]
        if max(doubt, default=0.0) > SHARE_DOUBT:
            marks.append((ROUGH, f"a share may be another by {percent(max(doubt))} at theta = "
                                 f"{number(report.theta[i])}: the samples are coarse"))
        if between[i] > BETWEEN:
            marks.append((ROUGH, f"the cells between the wells hold {percent(between[i])} at theta = "
                                 f"{number(report.theta[i])}"))
        if worst(*marks)[0] != FIRM:
            return worst(*marks)
    return FIRM, "sums over the samples; no cell holds a quarter of a well, nothing lies on the border"


def hole_mark(report, i, has_ways=True):
    """What samples without a loss leave open of the wells, and of the ways between them, at the i-th
    temperature."""
    held = report.thermodynamics.hole_mass[i]
    if has_ways and report.cut_off:
        return OPEN, "samples without a loss cut off " + _named([report.wells[n - 1] for n in report.cut_off])
    return (FIRM, "nothing lies beside a hole") if held <= 0.01 else (
        ROUGH if held < 0.5 else OPEN, f"{percent(held)} of the probability lie beside samples without a "
        f"loss at theta = {number(report.theta[i])}")


def border_mark(report, i):
    """Whether the box cuts off what belongs to the wells, at the i-th temperature."""
    held = report.thermodynamics.edge_mass[i]
    return (FIRM, "nothing lies on the border") if held <= 0.01 else (
        ROUGH, f"the border of the box holds {percent(held)} at theta = {number(report.theta[i])}")


def fullest(report, i):
    """Places of the wells that hold the most at the i-th temperature: several where they hold alike, or
    differ by no more than the cells between them hold."""
    share, seam = report.thermodynamics.occupation[i], report.thermodynamics.seam_share[i]
    doubt = share * seam / 2
    doubt = doubt + doubt[np.argmax(share)]
    near = (share + doubt >= ALIKE * share.max()) & (share >= LEVEL * share.max())
    return [int(k) for k in np.flatnonzero(near)]


def agreement_mark(report):
    """Density, network of wells and paths against each other: none may contradict another."""
    motion, both = report.dynamics, report.agreement
    marks = [(FIRM, "density of the cells, mass kept to rounding")]
    if both is not None and np.isfinite(both.largest):
        said = f"density and network of wells agree within {number(both.largest, 2)} of a probability"
        marks.append((FIRM, said) if both.largest < 0.02 else (ROUGH, said))
        marks = marks[::-1]
    if motion.paths is not None and motion.paths.is_off:
        marks.append((ROUGH, "paths and density differ by more than chance"))
    if motion.is_coarse:
        marks.append((ROUGH, "the density is that of a coarser surface"))
    return worst(*marks)


# ---- the first page ----

def answers(report):
    """The sentences alone, the most important first."""
    return [f.sentence for f in findings(report)]


def findings(report):
    """All findings, the most important first."""
    found = [_noise(report), _outliers(report), _wells(report), *_equilibrium(report), *_crossings(report),
             *_rates(report), *_whole_space(report), *_sgd(report), *_start(report), *_horizon(report),
             *_risk(report), *_training(report)]
    found = [f for f in found if f is not None]
    if report.landscape.noise.is_dominant:
        found = [f if f.topic == "noise" else Finding(f.topic, f.sentence, OPEN, "the surface is noise")
                 for f in found]
    return found


def _whole_space(report):
    """The known solutions in the space of all parameters beside this plane, or why that is not known."""
    if len(report.solutions) < 2:
        return
    if not report.whole_space:
        yield Finding("whole space", "How the known solutions compare in the space of all parameters is not "
                      "known: the exporter was not given the model (export_landscape(..., whole_space=("
                      "loss_and_gradient, theta)), or fpkit.compare_solutions).", OPEN,
                      "a plane sees two of the directions of a well")
        return
    for a, b in dict.fromkeys(w.pair for w in report.whole_space):
        rows = [w for w in report.whole_space if w.pair == (a, b)]
        told = [w for w in rows if np.isfinite(w.nats)]
        for w in told[:1] + told[1:][-1:]:                         # the coldest and the hottest
            plane = (f"on this plane {number(w.plane)}" if np.isfinite(w.plane)
                     else "while the plane has no two wells for them")
            best = b if w.nats > 0 else a
            said = {"agree": f"; both prefer {best}", "disagree": f"; they disagree, the whole space prefers "
                    f"{best}"}.get(w.agreement, "")
            why = "the walks up and down agree" if w.status == "ok" else w.status
            yield Finding("whole space", f"In the space of all parameters F of {a} minus F of {b} is "
                          f"{with_error(w.nats, w.error)} theta at theta = {number(w.theta)}, {plane}{said}.",
                          FIRM if w.status == "ok" else OPEN, why)
        refused = [w for w in rows if not np.isfinite(w.nats)]
        if refused:
            at = ", ".join(number(w.theta) for w in refused)
            yield Finding("whole space", f"In the space of all parameters F of {a} minus F of {b} is refused "
                          f"at theta = {at}.", OPEN, refused[0].status)


def _sgd(report):
    """How far SGD with its own noise is from Gibbs on this plane."""
    state = report.sgd
    if state is None:
        return
    if state.status != "ok":
        yield Finding("SGD noise", f"What SGD settles to on this plane is not known: {state.status}.", OPEN,
                      "the file holds the covariance of the gradients")
        return
    d, ep = state.distance, state.entropy_production
    mark = (FIRM, "the stationary state by elimination, with errors from finer grids")
    if not d.error < 0.2 * float(d):
        mark = (ROUGH, f"the stationary state is known within {number(d.error, 2)}")
    if not d.error < min(float(d), 0.5):
        mark = (OPEN, "the grids disagree about the stationary state by as much")
    steps = state.lr / (1 - state.momentum)
    turns = ("whether probability turns is not resolved" if not float(ep) > ep.error
             else f"probability turns: it produces {with_error(float(ep) * steps, ep.error * steps)} of "
                  "entropy a step")
    yield Finding("SGD noise", f"With the gradient noise measured on this plane (learning rate "
                  f"{number(state.lr)}, batch {number(state.batch)}) SGD settles to a state whose distance "
                  f"from the nearest Gibbs density, that of theta = {number(state.theta)}, is "
                  f"{with_error(float(d), d.error)} (0: the same, 1: apart); {turns}.", *worst(
                      mark, border_of_state(state)))
    for e in state.escapes:
        ratio, error = e.ratio
        if not error < ratio:
            yield Finding("SGD noise", f"How the measured noise changes the time out of well {e.well} is not "
                          "resolved.", OPEN, "the grids disagree about the times")
            continue
        mark = (FIRM, "both times on the same grids") if error < 0.2 * ratio else (
            ROUGH, f"the ratio is known within {number(error, 2)}")
        yield Finding("SGD noise", f"Out of well {e.well} into the core of another it takes "
                      f"{power(np.log10(float(e.time) / steps))} steps with the measured noise, "
                      f"{with_error(ratio, error)} of the time that noise of one temperature needs.", *mark)


def border_of_state(state):
    """Whether the box cuts off what SGD settles to."""
    p = state.density * state.grid.volumes
    inner = p[tuple(slice(1, -1) for _ in p.shape)].sum()
    return (FIRM, "nothing lies on the border") if 1 - inner <= 0.01 else (
        ROUGH, f"the border of the box holds {percent(float(1 - inner))} of it")


def _noise(report):
    land, noise = report.landscape, report.landscape.noise
    if not noise.sigma:
        return None
    n = len(land.merge_tree())
    if noise.is_dominant:
        return Finding("noise", "This surface is noise at the spacing of its samples: neighbours are hardly "
                       f"more alike than any two (rank correlation {number(noise.correlation, 2)}), and "
                       f"{_minima(n, land)}. It says nothing about wells, barriers or times; evaluate the "
                       "loss on more data, on the same minibatch everywhere, or on a finer grid.", FIRM,
                       f"noise of {number(noise.sigma, 2)} by {noise.source}")
    return Finding("noise", f"The loss carries noise of {number(noise.sigma, 2)} a sample (by "
                   f"{noise.source}), or structure of that size finer than the samples; {_minima(n, land)}, "
                   f"and those less than {number(noise.depth, 2)} deep are taken as noise.", ROUGH,
                   "white noise looks alike in differences of every order, a resolved surface does not")


def _outliers(report):
    """Samples that stand out alone."""
    land, off = report.landscape, report.landscape.outliers
    n = int(np.count_nonzero(off))
    if not n:
        return None
    far = np.unravel_index(int(np.argmax(np.abs(off))), land.shape)
    size = f"{number(abs(off[far]), 2)} {'above' if off[far] > 0 else 'below'} what those around it say"
    where = place(land.point(far))
    text = (f"One sample of {land.n_valid}, at {where}, stands out alone: it lies {size}" if n == 1 else
            f"{n} of {land.n_valid} samples stand out alone: the farthest, at {where}, lies {size}")
    return Finding("outliers", f"{text}. An evaluation that failed, or a pit or spike narrower than the "
                   "samples: evaluate the loss there once more.", ROUGH,
                   "the samples around are what they predict of each other, but for these")


def _minima(n, land):
    return f"{n} of {land.n_valid} samples {'is a minimum' if n == 1 else 'are minima'}"


def _wells(report):
    wells, thermo, thetas, first = report.wells, report.thermodynamics, report.theta, report.wells[0]
    seen = report.seen_again
    doubts = [w for w in wells if {"touches_edge", "touches_invalid", "within_noise"} & set(w.flags)
              or report.landscape.outliers[w.index]]
    mark = (FIRM, "every minimum has samples on all sides") if not doubts else (
        ROUGH, f"{_named(doubts)} {'lies' if len(doubts) == 1 else 'lie'} at the end of the data, within the "
        "noise of the loss or in a sample that stands out alone")
    if seen.count != len(wells):
        mark = worst(mark, (OPEN, f"{seen.how} has {seen.count} of them: the samples are too coarse to "
                            "count them"))
    elif not seen.change < CHANGED:
        mark = worst(mark, (ROUGH, "too few samples to lay a surface through" if np.isinf(seen.change)
                            else "between the samples a depth may be another by "
                            + (f"{100 * seen.change:.2g} %" if seen.change < 1 else "more than itself")))
    if report.landscape.noise.sigma:
        mark = worst(mark, (ROUGH, "losses and depths carry the noise of the loss"))
    mark = worst(mark, hole_mark(report, thetas.size - 1))
    if len(wells) == 1:
        text = ("At every temperature considered there is one well: its lowest sample lies at "
                f"{place(first.x)} with a loss of {loss_of(report, first.minimum)}{_floor(first)}.")
    else:
        last = int(thermo.is_well[-1].sum())
        text = f"There are {len(wells)} wells at theta = {number(thetas[0])} (depth above 3 theta)"
        if thetas.size > 1:
            near = min(max(1e-6, seen.change), CHANGED)
            limit = [w for w in wells if abs(w.persistence / (3 * thetas[-1]) - 1) < near]
            text += f" and {last} at theta = {number(thetas[-1])}"
            if limit:
                text += f", where {_named(limit)} {'is' if len(limit) == 1 else 'are'} at that limit"
        text += (f". The lowest sample, of well 1, lies at {place(first.x)} with a loss of "
                 f"{loss_of(report, first.minimum)}{_floor(first)}")
        deep = [w for w in wells[1:] if np.isfinite(w.persistence)]
        if deep:
            w = max(deep, key=lambda w: w.persistence)
            text += (f"; the deepest of the others, well {w.number} at {place(w.x)}, has a way out "
                     f"{number(w.persistence)} above its loss of {loss_of(report, w.minimum)}")
        text += "."
    return Finding("wells", text, *mark)


def _floor(well):
    return ", as low as those around it: the floor is flat" if "flat_floor" in well.flags else ""


def _named(wells):
    return ("well " if len(wells) == 1
            else "wells ") + ", ".join(str(w.number) for w in wells[:5]) + (" and others" if len(wells) > 5
                                                                            else "")


def _equilibrium(report):
    wells, thermo, thetas = report.wells, report.thermodynamics, report.theta
    if len(wells) == 1:
        return []
    low, high = fullest(report, 0), fullest(report, -1)
    held = lambda places, i: (f"{'about ' if len(places) > 1 else ''}"
                              f"{percent(thermo.occupation[i, list(places)].mean())}"
                              f"{' each' if len(places) > 1 else ''}")
    wells_of = lambda places: (f"well{'s' if len(places) > 1 else ''} "
                               f"{listed([k + 1 for k in places[:6]])}{' alike' if len(places) > 1 else ''}")
    named = sorted(range(len(wells)), key=lambda k: -thermo.occupation[-1, k])[:3]
    alike = [f"{wells_of(high)}, {held(high, -1)}"] if len(high) > 1 else []
    share = ", ".join(alike + [f"well {k + 1} {percent(thermo.occupation[-1, k])}" for k in named
                               if not alike or k not in high])
    if thetas.size == 1:
        text = f"In equilibrium at theta = {number(thetas[0])}: {share}."
    elif low == high:
        text = (f"In equilibrium {wells_of(low)} hold{'s' if len(low) == 1 else ''} the most probability at "
                f"the coldest and at the warmest temperature considered: {held(low, 0)} at theta = "
                f"{number(thetas[0])}; at theta = {number(thetas[-1])} the largest shares are {share}.")
    else:
        text = (f"In equilibrium most probability lies in {wells_of(low)} when cold ({held(low, 0)} at theta "
                f"= {number(thetas[0])}) and in {wells_of(high)} when warm (at theta = {number(thetas[-1])}: "
                f"{share}).")
    mark = worst(cells_mark(report, (0, thetas.size - 1), {*low, *named}), noise_mark(report, thetas[0]),
                 noise_mark(report, thetas[-1]))
    if report.dynamics is not None and report.dynamics.paths is not None and report.dynamics.paths.is_off:
        mark = worst(mark, (ROUGH, "paths and density differ by more than chance, so the cells are coarse"))
    if thermo.across is not None:
        k = int(np.argmax(thermo.across[-1]))
        text += (f" With the curvature across the {_kind(report)}, which the file holds, well {k + 1} "
                 f"has the most at theta = {number(thetas[-1])}: {percent(thermo.across[-1, k])} instead of "
                 f"{percent(thermo.occupation[-1, k])}.")
    return [Finding("occupation", text, *mark)]


def _kind(report):
    return {1: "line", 2: "plane", 3: "box"}[report.landscape.ndim]


def _crossings(report):
    found = []
    for c in [c for c in report.crossovers if c.occupation > 1e-3][:3]:
        mark = ((FIRM, "the samples resolve both wells there, and "
                 "the difference of their free energies changes sign by more than its error") if c.is_resolved
                else (OPEN, "it rests on pits as narrow as the samples") if c.error >= c.theta
                else (ROUGH, "the temperature is known to no better than a tenth") if c.error >= 0.1 * c.theta
                else (ROUGH, "one cell holds a quarter of a well there"))
        found.append(Finding("crossover", f"Wells {c.deeper} and {c.wider} are equally occupied at theta "
                             f"= {with_error(c.theta, c.error)}: below it the deeper well {c.deeper} holds "
                             f"more, above it the wider well {c.wider}.",
                             *worst(mark, noise_mark(report, c.theta),
                                    hole_mark(report, _index(report, c.theta), has_ways=False))))
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
        chosen += [r for r in several if is_same(r.theta, t) and r not in chosen]
    found = []
    for r in chosen[:2]:
        leaving, errors = [], []
        share = {w: p for w, p in zip(r.wells, np.exp(r.network.log_mass - r.network.log_mass.max()))}
        for w in sorted(sorted(r.wells, key=lambda w: -share[w])[:MOST_PAIRS]):
            a = r.wells.index(w)
            rates = r.log10_rate[a]
            if not np.isfinite(rates).any():
                continue
            leaving.append(f"well {w}{with_its_shallow(report, r, w)} "
                           f"{_after(report, -float(r.log10_exit[a]))}{_goal(r, a)}")
            errors.append(float(r.log10_exit_error[a]))
        if not leaving:
            continue
        is_sgd = sgd is not None and is_same(r.theta, sgd)
        text = (f"At theta = {number(r.theta)}{' (that of the SGD noise)' if is_sgd else ''} noise leaves "
                f"{'; '.join(leaving)} (means).")
        text += unit_of_time(report) if not found else ""
        slow = r.log10_modes[r.log10_modes > -NEVER]
        errors += [float(r.log10_modes_error[r.log10_modes > -NEVER][0])] if slow.size else []
        if slow.size and slow.size == r.log10_modes.size:
            text += (f" The slowest relaxation on the surface takes {lasting(report, -slow[0])}." if -slow[0]
                     < NEVER_SAID else " The slowest relaxation on the surface practically never ends.")
        elif slow.size:
            text += (" The slowest relaxation "
                     f"{'takes ' if -slow[0] < NEVER_SAID else 'ends '}{lasting(report, -slow[0])}, apart "
                     "from wells behind walls that this noise does not cross.")
        text += _eyring_sentence(r, report.landscape.noise.sigma > 0)
        mark = worst(rate_trust(max(errors) if np.isfinite(errors).all() else np.nan),
                     noise_mark(report, r.theta), border_mark(report, _index(report, r.theta)),
                     hole_mark(report, _index(report, r.theta)))
        if motion is not None and is_same(r.theta, motion.theta):
            mark = worst(mark, agreement_mark(report))
        found.append(Finding("rates", text, *mark))
    return found


def with_its_shallow(report, r, number):
    """' (with 3)': the wells of the page that belong to a well at the temperature of some rates."""
    share = report.thermodynamics.occupation[_index(report, r.theta)]
    inside = [w.number for w, p in zip(report.wells, share)
              if w.number != number and p > 1e-3 and belongs_to(report.wells, w, r.wells) == number]
    return f" (with {listed(inside[:4])})" if inside else ""


def _index(report, theta):
    return int(np.argmin(np.abs(report.theta - theta)))


def _goal(r, a):
    """Where a well is left to, when there is a choice: the ways that take most, alike ones together."""
    rates = r.log10_rate[a]
    ways = np.flatnonzero(rates >= rates.max() + np.log10(ALIKE))
    if len(r.wells) < 3 or -float(r.log10_exit[a]) > NEVER_SAID:
        return ""
    named = listed([r.wells[b] for b in ways[:4]])
    return (f", mostly to well {named}" if len(ways) == 1 else f", to wells {named} alike")


def _eyring_sentence(r, is_noisy):
    compared = r.log10_eyring - r.log10_rate
    at = np.isfinite(compared)
    usable, error = compared[at], np.nan_to_num(r.log10_rate_error[at])
    if usable.size:
        if np.abs(usable).max() < np.log10(NEARLY):
            return (" The Eyring-Kramers formula, where it can be used, gives the same within "
                    f"{percent(NEARLY - 1)}.")
        if is_noisy:
            return " Whether the Eyring-Kramers formula holds is hidden by the noise in the curvatures."
        # a formula is not blamed for what the samples do not resolve
        most = int(np.argmax(np.abs(usable) - error))
        if abs(usable[most]) - error[most] < np.log10(NEARLY):
            return (" The Eyring-Kramers formula, where it can be used, differs from these rates by no more "
                    "than their own error.")
        return (" The Eyring-Kramers formula, where it can be used, gives rates up to "
                f"{power(abs(usable[most]))} times too {'large' if usable[most] > 0 else 'small'}.")
    return (" The Eyring-Kramers formula does not apply to these wells."
            if any("refused" in v for row in r.verdict for v in row) else "")


def reached(times, distance, goal=0.01):
    """Time at which a distance falls below the goal for good, between two times by its decay like exp(-t);
    None where it does not."""
    above = np.flatnonzero(~(np.asarray(distance) < goal))
    k = above[-1] + 1 if above.size else 0
    if k == len(times):
        return None
    if k == 0 or not distance[k] > 0:
        return float(times[k])
    share = np.log(distance[k - 1] / goal) / np.log(distance[k - 1] / distance[k])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


def _start(report):
    motion = report.dynamics
    if motion is None:
        return [Finding("start", "No density, no rates and no paths: the samples are not evenly spaced.",
                        OPEN, "the dynamics needs even spacing")]
    found = []
    home = report.basins[report.landscape.index(motion.start)] + 1
    arrival = reached(motion.times, motion.distance)
    after = None if arrival is None else f"after {lasting(report, np.log10(arrival))}"
    still = f"{percent(motion.distance[-1])} away"
    last = f"by {lasting(report, np.log10(motion.times[-1]))}"
    text = (f"Started at {place(motion.start)}, {report.start_rule}, in the basin of well {home}, the "
            f"density at theta = {number(motion.theta)} ")
    if len(report.wells) > 1:
        most = sorted(range(len(report.wells)), key=lambda k: -motion.equilibrium[k])[:3]
        goal = ", ".join(f"well {k + 1} {percent(motion.equilibrium[k])}" for k in most
                         if motion.equilibrium[k] > 1e-6)
        text += f"tends to {goal}"
        text += f", and is within 1 % of that {after}" if after else f"; {last} it is still {still}"
    else:
        text += (f"is within 1 % of equilibrium {after}" if after
                 else f"is still {still} from equilibrium {last}")
    text += "."
    rates = report.rates_at(motion.theta)
    k = _index(report, motion.theta)
    if rates is not None and is_same(rates.theta, motion.theta) and rates.log10_modes_error.size:
        slowest = rate_trust(float(rates.log10_modes_error[0]))
    else:
        slowest = ROUGH, "the time scale of the surface is not known"
    mark = worst(agreement_mark(report), slowest, noise_mark(report, motion.theta), hole_mark(report, k),
                 cells_mark(report, (k,), range(len(report.wells))))
    if rates is not None and len(rates.wells) > 1 and np.isfinite(rates.log10_mfpt_from_start).any():
        goals = [(f"of well {w} {lasting(report, t)}", error) for w, t, error
                 in zip(rates.wells, rates.log10_mfpt_from_start, rates.log10_mfpt_from_start_error)
                 if -np.inf < t < NEVER_SAID and w != home][:4]
        if goals:
            text += f" The mean time from there to the bottom {', '.join(said for said, _ in goals)}."
            mark = worst(mark, rate_trust(max(error for _, error in goals)))
    found.append(Finding("start", text, *mark))
    if motion.paths is not None:
        found.append(_paths(report, motion.paths, worst(mark, noise_mark(report, motion.theta))))
    return found


def _paths(report, paths, mark):
    """The paths beside the density, and whether they differ by more than chance: the more paths, the smaller
    the difference that is seen."""
    gap, _ = paths.deviation
    error = paths.mean_loss_error[-1]
    text = f"{paths.n_paths} paths beside it, up to {lasting(report, np.log10(paths.times[-1]))}: "
    if len(report.wells) > 1:
        ends = sorted(range(len(report.wells)), key=lambda k: -paths.occupation[-1, k])[:3]
        text += "they end in " + ", ".join(f"well {k + 1} ({percent(paths.occupation[-1, k])})" for k in ends
                                           if paths.occupation[-1, k] > 0)
        text += f"; the shares of the wells differ from the density's by at most {gap:.3f}; "
    text += (f"their mean loss is {with_error(paths.mean_loss[-1], error)}, the density's "
             f"{like(paths.expected_loss[-1], error)}.")
    if paths.is_off:
        text += (f" The difference is more than chance (probability {percent(paths.chance)}): "
                 + ("the density is that of a coarser surface." if report.dynamics.is_coarse else
                    "between the samples the surface is another one for the paths than for the cells, so the "
                    "samples are too coarse for this temperature."))
        mark = worst(mark, (ROUGH, "two independent programs that differ"))
    elif not paths.is_compared.any():
        mark = worst(mark, (ROUGH, "they end before they have crossed two cells"))
    elif abs(paths.mean_loss[-1] - paths.expected_loss[-1]) > NOTICED * error:
        mark = worst(mark, (ROUGH, f"the mean losses are more than {NOTICED:g} standard errors apart; more "
                                   "paths would settle it"))
    elif mark[0] == FIRM:
        mark = FIRM, "paths on a spline against a density on the cells: two independent programs agree"
    return Finding("paths", text, *mark)


def _horizon(report):
    """What has happened after the number of steps that was asked for, at the temperature of the SGD or of the
    density."""
    clock, motion = report.clock, report.dynamics
    if clock.n_steps is None or motion is None:
        return []
    theta = clock.theta or motion.theta
    if report.landscape.gram is None:
        return [Finding("horizon", f"What {number(clock.n_steps, 4)} steps do is not known: without the Gram "
                        "matrix of the directions the file does not say how far a step goes.", OPEN,
                        "times are in arbitrary units")]
    r = report.rates_at(theta)
    if r is None or r.network is None or len(r.wells) < 2 or not np.isfinite(r.first).all():
        return []
    p = r.network.occupation(r.first, [np.log(clock.n_steps * clock.step)])[0]
    named = sorted(range(len(r.wells)), key=lambda k: -p[k])[:3]
    text = (f"After {number(clock.n_steps, 4)} steps at theta = {number(r.theta)} the run is in "
            + ", ".join(f"well {r.wells[k]} with probability {percent(p[k])}" for k in named if p[k] > 1e-6)
            + ".")
    mark = worst(rate_trust(float(np.max(r.log10_exit_error[named]))), noise_mark(report, r.theta),
                 border_mark(report, _index(report, r.theta)), hole_mark(report, _index(report, r.theta)),
                 agreement_mark(report))
    both = report.agreement
    if both is None or not is_same(r.theta, motion.theta) or not clock.n_steps * clock.step >= both.from_time:
        mark = worst(mark, (ROUGH, "the run is too short to have settled within the wells"))
    return [Finding("horizon", text, *mark)]


def _risk(report):
    risk = report.risk
    if risk is None:
        return []
    known = np.isfinite(risk.test)
    low, high = np.flatnonzero(known)[[0, -1]]
    test = lambda k: (with_error(risk.test[k], risk.test_error[k]) if risk.test_error[k]
                      else number(risk.test[k]))
    best = int(np.nanargmin(risk.test))
    text = (f"The Gibbs mean of the test loss is {test(low)} at theta "
            f"= {number(risk.theta[low])} and {test(high)} at {number(risk.theta[high])}; that "
            f"of the training loss {number(risk.train[low])} and {number(risk.train[high])}, so the gap goes "
            f"from {number(risk.gap[low])} to {number(risk.gap[high])}. ")
    if low == high:
        text = (f"The Gibbs mean of the test loss is {test(low)} at theta = "
                f"{number(risk.theta[low])}, that of the training loss {number(risk.train[low])}.")
    elif not (np.nanmax(risk.test - risk.test_error) > risk.test[best] + risk.test_error[best]):
        text += "The test loss changes by no more than its noise."
    elif risk.is_at_end:
        text += ("The test loss is least at the "
                 f"{'coldest' if risk.best_theta == risk.theta[0] else 'warmest'} temperature considered, so "
                 "its minimum may lie beyond.")
    else:
        text += f"The test loss is least at theta = {number(risk.best_theta)} ({number(risk.best_test)})."
    mark = worst((FIRM if known.all() else ROUGH,
                  f"sums over the samples; it speaks of this {_kind(report)}, not of the whole network"),
                 cells_mark(report, (0, report.theta.size - 1), range(len(report.wells))),
                 noise_mark(report, report.theta[0]))
    if report.dynamics is not None and report.dynamics.paths is not None and report.dynamics.paths.is_off:
        mark = worst(mark, (ROUGH, "paths and density differ by more than chance, so the cells are coarse"))
    return [Finding("test loss", text, *mark)]


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
    mark = ((ROUGH, "few checkpoints, on a projection") if t.n_points < 50
            else (FIRM, f"{t.n_points} checkpoints, on a projection"))
    wells = _wells(report)
    return [Finding("training path", text, *worst(mark, (wells.trust, wells.why) if kept else mark))]


def comparison_answers(both):
    """The findings of a comparison: of landscapes on one plane, else of each beside the others."""
    names, theta, said = both.names, both.theta, []
    if both.difference is not None:
        said = ["Side by side, not compared cell by cell. "
                f"{both.difference[0].upper() + both.difference[1:]}."]
        return said + [f"{r.landscape.name}: {_beside(r)}" for r in both.reports]
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


def _beside(report):
    """One landscape in a sentence, for a comparison side by side."""
    wells, thermo, k = report.wells, report.thermodynamics, len(report.theta) // 2
    if report.landscape.noise.is_dominant:
        return "noise."
    return (f"{len(wells)} well{'s' if len(wells) > 1 else ''}, the lowest "
            f"loss {number(wells[0].minimum, 4)}; at theta = {number(report.theta[k])} the mean loss is "
            f"{number((thermo.occupation[k] * thermo.energy[k]).sum(), 4)}.")


# ---- the terminal ----

def as_text(report):
    """The report as a table for a terminal."""
    land, thermo = report.landscape, report.thermodynamics
    shown = sorted({0, len(report.theta) // 2, len(report.theta) - 1})
    lines = [*textwrap.wrap(report.verdict(), 110), ""]
    lines += [f"{land.file}: {land.key}, {' x '.join(str(n) for n in land.shape[::-1])} "
             "samples; " + ", ".join(f"{n} {k}" for k, n in land.counts.items() if n)]
    head = ("well  point" + " " * 17 + "loss        depth       cells  "
            + "".join(f"p({number(report.theta[i])})".ljust(13) for i in shown) + "flags")
    lines.append(head)
    for k, w in enumerate(report.wells[:12]):
        depth = "-" if np.isinf(w.persistence) else number(w.persistence, 4)
        row = "".join(f"{thermo.occupation[i, k]:<13.4g}" for i in shown)
        lines.append(f"{w.number:<6d}{place(w.x):<22s}{loss_of(report, w.minimum, 5):<12s}{depth:<12s}"
                     f"{w.n_cells:<7d}{row}{' '.join(w.flags)}".rstrip())
    if len(report.wells) > 12:
        lines.append(f"... {len(report.wells) - 12} more")
    lines += [f"- [{f.trust}] {f.sentence}" for f in findings(report)]
    lines.append("caveats: " + ", ".join(report.flags))
    return "\n".join(lines)
