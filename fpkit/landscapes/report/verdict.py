"""The verdict of a landscape report: one paragraph in plain words, before any table."""
from __future__ import annotations

import numpy as np

from ..surface.harmonic import curvatures
from .findings import (
    FIRM,
    NEVER_SAID,
    OPEN,
    cells_mark,
    findings,
    fullest,
    hole_mark,
    is_same,
    lasting,
    listed,
    loss_of,
    noise_mark,
    number,
    percent,
    place,
    with_its_shallow,
    worst,
)

# one line for each term of the page
GLOSSARY = {
    "well": "a hollow of the surface: to leave it the loss must rise by more than 3 theta",
    "theta": "temperature, the strength of the noise in units of the loss; for SGD about lr x (variance of a "
             "minibatch gradient)/2",
    "occupation": "share of the time that noise of that strength spends in a well after a long time",
    "free energy": "E - theta S: a well is preferred for a low loss and for its width",
    "width exp(S)": "area (length, volume) of the plane in which the noise moves while it is in the well",
    "pass": "the lowest way from one well to another; its height is the barrier",
    "density, paths": "the same diffusion computed twice: as probability of the cells, and as single runs",
    "Eyring-Kramers": "a formula for leaving times from the curvatures at well and pass alone",
    "slice": "the plane shows two directions of very many; what the others do is not seen",
}


def verdict(report) -> str:
    """The paragraph."""
    land, wells = report.landscape, report.wells
    found = findings(report)
    if land.noise.is_dominant:
        return found[0].sentence + " Do not read wells, barriers or times into the picture."
    k, theta, of = _reference(report)
    said = [_noise(report, theta), *(f.sentence for f in found if f.topic == "outliers"),
            _solutions(report, theta), _holes(report, k), _preferred(report, k, theta, of), _test(report)]
    marks = [f.trust for f in found]
    if OPEN in marks:
        topics = sorted({f.topic for f in found if f.trust == OPEN})
        said.append(f"Not settled by these samples: {', '.join(topics)}.")
    elif set(marks) == {FIRM}:
        said.append("The samples resolve all that is said here.")
    else:
        rough = sorted({f.topic for f in found if f.trust != FIRM})
        said.append(f"Read as sizes rather than numbers: {', '.join(rough)}.")
    if len(wells) > 1 or land.gram is None:
        said.append("All of it is about this slice of parameter space"
                    + ("." if land.gram is not None else ", and without a metric in the file times have no "
                       "unit."))
    return " ".join(s for s in said if s)


def _noise(report, theta):
    sigma = report.landscape.noise.sigma
    if not sigma > 0.1 * theta:
        return ""
    return (f"The losses carry noise of {number(sigma, 2)} a sample, or structure of that size finer than "
            f"the samples, {'more than' if sigma > theta else number(sigma / theta, 2) + ' of'} the "
            f"temperature {number(theta)} looked at: evaluate them on more data, or on a finer grid.")


def _holes(report, k):
    """What samples without a loss leave open."""
    trust, why = hole_mark(report, k)
    return "" if trust == FIRM else why[0].upper() + why[1:] + ": what lies there is not known."


def _reference(report):
    """(place, value, words) of the temperature the verdict speaks of: the optimiser's own, else the
    density's."""
    if report.clock.theta is not None:
        k = int(np.argmin(np.abs(report.theta - report.clock.theta)))
        if is_same(report.theta[k], report.clock.theta):
            return k, float(report.theta[k]), "the noise of the optimiser"
    theta = (report.dynamics.theta if report.dynamics is not None
             else float(report.theta[len(report.theta) // 2]))
    k = int(np.argmin(np.abs(report.theta - theta)))
    return k, float(report.theta[k]), "noise"


def _solutions(report, theta):
    wells, n = report.wells, len(report.wells)
    shown = wells[:3]
    flat = "; ".join(f"well {w.number} at {place(w.x)}, loss {loss_of(report, w.minimum)}, "
                     f"{flatness(report, w, theta)}" for w in shown)
    f = report.landscape.loss[report.landscape.valid]
    if not f.max() > f.min():
        return f"The surface is flat: every loss is {loss_of(report, f.min())}."
    if all("touches_edge" in w.flags for w in wells):
        return (f"The surface has no minimum inside the box: its lowest loss, "
                f"{loss_of(report, wells[0].minimum)}, lies on the border at {place(wells[0].x)}"
                + (", so the solution is further out." if n == 1 else
                   f", and the other {'well is' if n == 2 else f'{n - 1} wells are'} there too: the "
                   "solutions are further out."))
    if report.seen_again.count != n:
        return (f"The samples are too coarse to count the solutions: {n} hollow{'s' if n > 1 else ''} on the "
                f"grid, {report.seen_again.count} on {report.seen_again.how}; the lowest sample lies at "
                f"{place(wells[0].x)}, loss {loss_of(report, wells[0].minimum)}.")
    text = (f"The surface has one solution: {flat}." if n == 1
            else f"The surface has {n} solutions (wells): {flat}{'; and others' if n > 3 else ''}.")
    known = [(name, well) for name, _, well in report.solutions]
    if known:
        text += " Of the known solutions, " + ", ".join(
            f"{name} lies {'in well ' + str(well) if well else 'outside'}" for name, well in known) + "."
    return text


def flatness(report, well, theta):
    """How flat a well is: its curvatures where a quadratic fits, else its width at a temperature."""
    bends = None if "flat_floor" in well.flags else curvatures(report.landscape, well.index)
    if bends is not None:
        return f"curvature{'s' if bends.size > 1 else ''} about {', '.join(number(b, 2) for b in bends)}"
    k = int(np.argmin(np.abs(report.theta - theta)))
    width = report.thermodynamics.width[k, well.number - 1] ** (1 / report.landscape.ndim)
    return f"about {number(width, 2)} wide"


def _preferred(report, k, theta, of):
    thermo, wells = report.thermodynamics, report.wells
    if len(wells) == 1:
        return f"Noise of theta = {number(theta)} stays around it." if report.clock.theta is not None else ""
    best = int(np.argmax(thermo.occupation[k]))
    ties = fullest(report, k)
    trust = worst(cells_mark(report, (k,), ties), noise_mark(report, theta))[0]
    sure = {FIRM: "", "rough": " (roughly)", OPEN: " (not resolved)"}[trust]
    if len(ties) > 1:
        named = f"wells {listed([j + 1 for j in ties])}" if len(ties) < 7 else f"{len(ties)} wells"
        return (f"{of[0].upper() + of[1:]} of strength theta = {number(theta)} does not prefer one of {named}"
                f": about {percent(thermo.occupation[k, list(ties)].mean())} of the time in each in the long "
                f"run{sure}.")
    text = (f"{of[0].upper() + of[1:]} of strength theta = {number(theta)} prefers well {best + 1}: "
            f"{percent(thermo.occupation[k, best])} of the time in the long run{sure}.")
    rates = report.rates_at(theta)
    if rates is None or rates.network is None or best + 1 not in rates.wells or len(rates.wells) < 2:
        return text
    stay = -float(rates.network.log_exit[rates.wells.index(best + 1)]) / np.log(10)
    if best + 1 in report.cut_off or np.isposinf(stay):
        return text
    there = with_its_shallow(report, rates, best + 1)
    there = there and f" or in the shallower {there[len(' (with '):-1]}"
    return text + (f" It practically never leaves that well{there}." if stay > NEVER_SAID
                   else f" It stays there{there} for about {lasting(report, stay)} before it leaves.")


def _test(report):
    """Test loss of the two best wells, where their difference exceeds what its noise hides."""
    land, wells = report.landscape, report.wells
    test = land.test_loss
    if test is None or land.key == "test_loss" or test.shape != land.shape or len(wells) < 2:
        return ""
    a, b = (float(test[w.index]) for w in wells[:2])
    if not np.isfinite([a, b]).all():
        return ""
    error = 2 * np.sqrt(2) * report.test_noise
    if abs(a - b) <= error:
        return (f"The test losses of wells 1 and 2 ({number(a)}, {number(b)}) do not differ by more than "
                "their noise.")
    better = 1 if a < b else 2
    return f"On test data well {better} is better: {number(min(a, b))} against {number(max(a, b))}."
