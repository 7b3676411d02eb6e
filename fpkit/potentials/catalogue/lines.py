"""Catalogue potentials in one dimension."""
from __future__ import annotations

import numpy as np

from ...core import checks
from .facts import CataloguePotential, Entry, known, on_a_line, sign_changes


def double_well(barrier: float = 1.0, distance: float = 1.0) -> CataloguePotential:
    """Two equal wells, the standard of the field.

    f(x) = barrier ((x/distance)^2 - 1)^2

    Minima at -distance and distance with value 0 and curvature 8 barrier/distance^2; between them, at 0, the
    top of height `barrier` and curvature -4 barrier/distance^2. With barrier = distance = 1 and theta = 0.1
    the mean first-passage time from -1 to 1 is 25527.09136429 (RATES constants of this project; formula of
    Kramers 1940).

    Parameters
    ----------
    barrier, distance : float
        Positive.

    Examples
    --------
    >>> V = fp.catalogue.double_well(barrier=2.0)
    >>> V.barriers[0, 1], [m.x.tolist() for m in V.minima]
    (2.0, [[-1.0], [1.0]])
    """

    def f(x, barrier=1.0, distance=1.0):
        u = x / distance
        return barrier * (u * u - 1) ** 2

    entry = Entry(double_well, "barrier distance",
                  lambda V: [(-2 * V.params["distance"], 2 * V.params["distance"])],
                  lambda p: (0.05 * p["barrier"], 0.1 * p["barrier"], 0.2 * p["barrier"]),
                  lambda V: on_a_line(V, [-V.params["distance"], 0.0, V.params["distance"]]))
    return CataloguePotential(entry, f, barrier=barrier, distance=distance)


def tilted_double_well(barrier: float = 1.0, tilt: float = 0.3) -> CataloguePotential:
    """Two wells of different depth: the deeper one is the state of equilibrium, the other one metastable.

    f(x) = barrier (x^2 - 1)^2 + tilt x

    Stationary points are the three real roots of 4 barrier (x^3 - x) + tilt = 0, in the trigonometric form of
    Viete; from |tilt| = 8 barrier/(3 sqrt 3) on there is one well only. (barrier, tilt) = (1, 0.3) and (1.3,
    -0.2) at theta = 0.008 are the hard cases of this project, with spectral gaps of 1e-39 and 1e-60.

    Parameters
    ----------
    barrier : float
        Positive: the barrier without tilt.
    tilt : float

    Examples
    --------
    >>> V = fp.catalogue.tilted_double_well()
    >>> [m.x.round(6).tolist() for m in V.minima]
    [[-1.035579], [0.96015]]
    """

    def f(x, barrier=1.0, tilt=0.3):
        return barrier * (x * x - 1) ** 2 + tilt * x

    def facts(V):
        q = V.params["tilt"] / (4 * V.params["barrier"])              # x^3 - x + q = 0
        edge = 2 / np.sqrt(27)
        if abs(q) >= edge:
            x = -np.sign(q) * 2 / np.sqrt(3) * np.cosh(np.arccosh(abs(q) / edge) / 3)
            return on_a_line(V, [x])
        angle = np.arccos(-q / edge) / 3
        return on_a_line(V, np.sort(2 / np.sqrt(3) * np.cos(angle - 2 * np.pi * np.arange(3) / 3)))

    entry = Entry(tilted_double_well, "barrier", lambda V: [(-2.0, 2.0)],
                  lambda p: (0.05 * p["barrier"], 0.1 * p["barrier"], 0.2 * p["barrier"]), facts)
    return CataloguePotential(entry, f, barrier=barrier, tilt=tilt)


def triple_well(barrier: float = 1.0, tilt: float = 0.0) -> CataloguePotential:
    """Three wells in a row: leaving the left one for the right one means passing through the middle one.

    f(x) = (27/4) barrier x^2 (x^2 - 1)^2 + tilt x

    Without tilt: minima at -1, 0, 1 with value 0, tops at -1/sqrt 3 and 1/sqrt 3 of height `barrier`.

    Parameters
    ----------
    barrier : float
        Positive: both barriers without tilt.
    tilt : float

    Examples
    --------
    >>> V = fp.catalogue.triple_well()
    >>> len(V.minima), [s.between for s in V.saddles]
    (3, [(0, 1), (1, 2)])
    """

    def f(x, barrier=1.0, tilt=0.0):
        s = x * x
        return 6.75 * barrier * s * (s - 1) ** 2 + tilt * x

    def facts(V):
        p = V.params

        def slope(x):
            return 6.75 * p["barrier"] * 2 * x * (x * x - 1) * (3 * x * x - 1) + p["tilt"]

        far = 2.0 + (abs(p["tilt"]) / p["barrier"]) ** 0.2
        return on_a_line(V, sign_changes(slope, -far, far, 4001))

    entry = Entry(triple_well, "barrier", lambda V: [(-1.6, 1.6)],
                  lambda p: (0.1 * p["barrier"], 0.2 * p["barrier"]), facts)
    return CataloguePotential(entry, f, barrier=barrier, tilt=tilt)


def sharp_and_wide(height: float = 1.0, ratio: float = 50.0) -> CataloguePotential:
    """A sharp well and a wide one, equally deep: the wide one holds sqrt(ratio) times the mass, whatever the
    temperature (if low).

    f(x) = height (x^2 - 1)^2 exp(-s x/sqrt(1 + x^2)),  s = log(ratio)/sqrt 2

    Minima at -1 (sharp, curvature 8 height sqrt(ratio)) and 1 (wide, 8 height/sqrt(ratio)) with value 0; one
    top between -1 and 0, from 4 x (1 + x^2)^(3/2) = s (x^2 - 1) by bisection. The case "curvature ratio 50"
    of this project's study of rates.

    Parameters
    ----------
    height : float
        Positive: f(0).
    ratio : float
        Positive: curvature of the left well over that of the right one.

    Examples
    --------
    >>> V = fp.catalogue.sharp_and_wide(ratio=4.0)
    >>> [m.eigenvalues.round(12).tolist() for m in V.minima]
    [[16.0], [4.0]]
    """

    def f(x, height=1.0, ratio=50.0):
        return height * (x * x - 1) ** 2 * np.exp(-np.log(ratio) / np.sqrt(2.0) * x / np.sqrt(1 + x * x))

    def facts(V):
        s = np.log(V.params["ratio"]) / np.sqrt(2.0)
        top = sign_changes(lambda x: 4 * x * (1 + x * x) ** 1.5 - s * (x * x - 1), -1.0, 1.0, 1001)
        return on_a_line(V, [-1.0, *top, 1.0])

    def box(V):
        # The wide side rises slowly: far enough for f > 4 height there, and as high on the sharp side.
        s = np.log(V.params["ratio"]) / np.sqrt(2.0)
        return [(-_outermost(s), _outermost(-s))]

    entry = Entry(sharp_and_wide, "height ratio", box,
                  lambda p: (0.05 * p["height"], 0.1 * p["height"], 0.2 * p["height"]), facts)
    return CataloguePotential(entry, f, height=height, ratio=ratio)


def _outermost(s, level=9.0):
    """The x > 1 where (x^2 - 1)^2 exp(s x/sqrt(1 + x^2)) = level, rounded up to a tenth."""
    x = np.linspace(1.0, 12.0, 2201)
    above = (x * x - 1) ** 2 * np.exp(s * x / np.sqrt(1 + x * x)) >= level
    return np.ceil(10 * x[np.argmax(above)]) / 10 if above.any() else 12.0


def rugged(barrier: float = 1.0, ripple: float = 0.05, wavenumber: float = 30.0) -> CataloguePotential:
    """A double well covered by ripples: many shallow minima that a temperature above the ripple does not
    feel.

    f(x) = barrier (x^2 - 1)^2 + ripple cos(wavenumber x)

    The rate over the smooth barrier falls by the factor I_0(ripple/theta)^2 (Zwanzig, PNAS 85, 2029 (1988)),
    while the curvatures at the lowest points, and with them Eyring-Kramers, say nothing. All stationary
    points by bisection.

    Parameters
    ----------
    barrier, wavenumber : float
        Positive.
    ripple : float

    Examples
    --------
    >>> V = fp.catalogue.rugged()
    >>> len(V.minima), len(V.saddles)
    (10, 9)
    """

    def f(x, barrier=1.0, ripple=0.05, wavenumber=30.0):
        return barrier * (x * x - 1) ** 2 + ripple * np.cos(wavenumber * x)

    def facts(V):
        b, e, q = V.params["barrier"], V.params["ripple"], V.params["wavenumber"]
        far = 1.0 + abs(e) * q / (8 * b)  # beyond it the smooth slope is larger than any ripple's
        # 64 pieces each half wave; odd, so that no point falls on 0
        n = 2 * int(64 * (far * q / np.pi + 16)) + 1
        return on_a_line(V, sign_changes(lambda x: 4 * b * x * (x * x - 1) - e * q * np.sin(q * x), -far, far,
                                         n))

    entry = Entry(rugged, "barrier wavenumber", lambda V: [(-2.0, 2.0)],
                  lambda p: (2 * abs(p["ripple"]), 4 * abs(p["ripple"])) if p["ripple"]
                  else (0.1 * p["barrier"],), facts)
    return CataloguePotential(entry, f, barrier=barrier, ripple=ripple, wavenumber=wavenumber)


def flat_bottomed(barrier: float = 1.0, gate: float = 0.5, edge: float = 2.0,
                  stiffness: float = 20.0) -> CataloguePotential:
    """Two wells with perfectly flat floors: no curvature, so Eyring-Kramers has no answer and the free-energy
    form must give it.

    f(x) = barrier (1 - (x/gate)^2)^3 for |x| < gate,  0 for gate <= |x| <= edge,  stiffness (|x| - edge)^3
    beyond

    Twice continuously differentiable. The minima are the intervals [-edge, -gate] and [gate, edge]; each is
    represented by its middle, marked `degenerate`. The top at 0 has height `barrier` and curvature -6
    barrier/gate^2.

    Parameters
    ----------
    barrier, gate, edge, stiffness : float
        Positive, gate < edge.

    Examples
    --------
    >>> V = fp.catalogue.flat_bottomed()
    >>> [(m.x.tolist(), m.degenerate) for m in V.minima]
    [([-1.25], True), ([1.25], True)]
    """
    if checks.number("gate", gate) >= checks.number("edge", edge):
        raise ValueError(f"gate must be smaller than edge, got gate = {gate:g}, edge = {edge:g}; the flat "
                         "floors lie between them.")

    def f(x, barrier=1.0, gate=0.5, edge=2.0, stiffness=20.0):
        inside = np.maximum(1 - (x / gate) ** 2, 0.0)
        beyond = np.maximum(np.abs(x) - edge, 0.0)
        return barrier * inside * inside * inside + stiffness * beyond * beyond * beyond

    def facts(V):
        middle = 0.5 * (V.params["gate"] + V.params["edge"])
        return known(V, [[-middle], [middle]], [[0.0]], [(0, 1)], degenerate=[0, 1],
                     note="each minimum stands for a flat interval.")

    def box(V):
        far = V.params["edge"] + (8 * V.params["barrier"] / V.params["stiffness"]) ** (1 / 3)
        return [(-far, far)]

    entry = Entry(flat_bottomed, "barrier gate edge stiffness", box,
                  lambda p: (0.05 * p["barrier"], 0.1 * p["barrier"], 0.2 * p["barrier"]), facts)
    return CataloguePotential(entry, f, barrier=barrier, gate=gate, edge=edge, stiffness=stiffness)


def periodic_washboard(barrier: float = 1.0, period: float = 1.0) -> CataloguePotential:
    """A ring, or an endless row of equal wells: diffusion over many periods is slowed by 1/I_0(barrier/(2
    theta))^2.

    f(x) = (barrier/2) (1 - cos(2 pi x/period))

    One period is one well: the box is (-period/4, 3 period/4), periodic, with the minimum at 0 (value 0) and
    the top at period/2. The barrier ``barriers[0, 0]`` leads from the well round the ring into itself.
    (Lifson and Jackson, J. Chem. Phys. 36, 2410 (1962).)

    Parameters
    ----------
    barrier, period : float
        Positive.

    Examples
    --------
    >>> V = fp.catalogue.periodic_washboard()
    >>> V.barriers, V.periodic_axes
    ({(0, 0): 1.0}, (True,))
    """

    def f(x, barrier=1.0, period=1.0):
        return 0.5 * barrier * (1 - np.cos(2 * np.pi / period * x))

    entry = Entry(periodic_washboard, "barrier period",
                  lambda V: [(-0.25 * V.params["period"], 0.75 * V.params["period"])],
                  lambda p: (0.05 * p["barrier"], 0.1 * p["barrier"], 0.5 * p["barrier"]),
                  lambda V: known(V, [[0.0]], [[0.5 * V.params["period"]]], [(0, 0)]), periodic_axes=(True,))
    return CataloguePotential(entry, f, barrier=barrier, period=period)
