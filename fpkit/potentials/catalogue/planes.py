"""Catalogue potentials in the plane."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ..regions.shapes import HalfSpace
from .facts import CataloguePotential, Entry, known

# A, a, b, c, x0, y0 of the four terms (Mueller and Brown 1979)
MUELLER_BROWN = ((-200.0, -1.0, 0.0, -10.0, 1.0, 0.0), (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
                 (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5), (15.0, 0.7, 0.6, 0.7, -1.0, 1.0))


def mueller_brown(scale: float = 0.05) -> CataloguePotential:
    """Three wells along a bent valley, oblique to the axes: the classical test of path searches.

    f(x, y) = scale sum_k A_k exp(a_k (x - x_k)^2 + b_k (x - x_k)(y - y_k) + c_k (y - y_k)^2),
    A = (-200, -100, -170, 15), a = (-1, -1, -6.5, 0.7), b = (0, 0, 11, 0.6), c = (-10, -10, -6.5, 0.7),
    x_k = (1, 0, -0.5, -1), y_k = (0, 0.5, 1.5, 1)

    Minima near (-0.558, 1.442), (0.623, 0.028) and (-0.050, 0.467) with the values -146.700, -108.167 and
    -80.768 times `scale`, saddles near (-0.822, 0.624) and (0.212, 0.293); found by Newton to rounding. (K.
    Mueller, L. D. Brown, Theor. Chim. Acta 53, 75 (1979).)

    Parameters
    ----------
    scale : float
        Positive. 1 for the original; with 0.05, theta = 1 is a temperature of interest.

    Examples
    --------
    >>> V = fp.catalogue.mueller_brown(scale=1.0)
    >>> [round(m.value, 3) for m in V.minima]
    [-146.7, -108.167, -80.768]
    """

    def f(x, y, scale=0.05):
        total = 0.0
        for A, a, b, c, u, v in MUELLER_BROWN:
            total = total + A * np.exp(a * (x - u) ** 2 + b * (x - u) * (y - v) + c * (y - v) ** 2)
        return scale * total

    entry = Entry(mueller_brown, "scale", lambda V: [(-1.7, 1.3), (-0.5, 2.2)],
                  lambda p: (10 * p["scale"], 20 * p["scale"]),
                  lambda V: known(V, [[-0.558, 1.442], [0.623, 0.028], [-0.050, 0.467]],
                                  [[-0.822, 0.624], [0.212, 0.293]], [(0, 2), (1, 2)]))
    return CataloguePotential(entry, f, scale=scale)


def three_hole(scale: float = 1.0) -> CataloguePotential:
    """Two deep wells and a shallow one above them: a short way with a high barrier, and a detour through the
    third well.

    f(x, y) = scale (3 exp(-x^2 - (y - 1/3)^2) - 3 exp(-x^2 - (y - 5/3)^2) - 5 exp(-(x - 1)^2 - y^2) - 5
    exp(-(x + 1)^2 - y^2) + x^4/5 + (y - 1/3)^4/5)

    At high temperature paths take the short way, at low temperature the detour. (S. Park, M. K. Sener, D. Lu,
    K. Schulten, J. Chem. Phys. 119, 1313 (2003); P. Metzner, C. Schuette, E. Vanden-Eijnden, J. Chem. Phys.
    125, 084110 (2006).) Stationary points by Newton.

    Parameters
    ----------
    scale : float
        Positive.

    Examples
    --------
    >>> V = fp.catalogue.three_hole()
    >>> [s.between for s in V.saddles], bool(V.barriers[0, 1] < V(np.array([0.0, -0.31])) - V.minima[0].value)
    ([(0, 2), (1, 2), (0, 1)], True)
    """

    def f(x, y, scale=1.0):
        s, t = x * x, (y - 1 / 3) ** 2
        return scale * (3 * np.exp(-s - t) - 3 * np.exp(-s - (y - 5 / 3) ** 2) - 5
                        * np.exp(-(x - 1) ** 2 - y * y)
                        - 5 * np.exp(-(x + 1) ** 2 - y * y) + 0.2 * s * s + 0.2 * t * t)

    entry = Entry(three_hole, "scale", lambda V: [(-2.0, 2.0), (-1.5, 2.5)],
                  lambda p: (0.15 * p["scale"], 0.3 * p["scale"], 0.6 * p["scale"]),
                  lambda V: known(V, [[-1.048, -0.042], [1.048, -0.042], [0.0, 1.537]],
                                  [[-0.617, 1.103], [0.617, 1.103], [0.0, -0.316]],
                                  [(0, 2), (1, 2), (0, 1)]))
    return CataloguePotential(entry, f, scale=scale)


def wide_and_narrow(barrier: float = 1.0, narrow: float = 25.0, wide: float = 1.0) -> CataloguePotential:
    """Two equally deep wells, one narrow and one wide across the way: entropy alone prefers the wide one.

    f(x, y) = barrier (x^2 - 1)^2 + (1/2) k(x) y^2,  k(x) = sqrt(narrow wide) (wide/narrow)^(x/2)

    Minima at (-1, 0) with curvature `narrow` across and (1, 0) with `wide`, both of value 0; saddle at (0, 0)
    of height `barrier`. The marginal of x is exactly exp(-barrier (x^2 - 1)^2/theta) / sqrt(k(x)): masses in
    the ratio sqrt(narrow/wide) when cold.

    Parameters
    ----------
    barrier, narrow, wide : float
        Positive.

    Examples
    --------
    >>> V = fp.catalogue.wide_and_narrow()
    >>> [m.eigenvalues.round(12).tolist() for m in V.minima]
    [[8.0, 25.0], [1.0, 8.0]]
    """

    def f(x, y, barrier=1.0, narrow=25.0, wide=1.0):
        mean, ratio = np.sqrt(narrow * wide), np.log(wide / narrow)
        return barrier * (x * x - 1) ** 2 + 0.5 * mean * np.exp(0.5 * x * ratio) * y * y

    def box(V):
        soft, stiff = sorted([V.params["narrow"], V.params["wide"]])
        # k at the wide end of the box
        return [(-1.8, 1.8), _across(soft * (soft / stiff) ** 0.4, V.params["barrier"])]

    entry = Entry(wide_and_narrow, "barrier narrow wide", box,
                  lambda p: (0.1 * p["barrier"], 0.2 * p["barrier"]),
                  lambda V: known(V, [[-1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]], [(0, 1)]))
    return CataloguePotential(entry, f, barrier=barrier, narrow=narrow, wide=wide)


def narrow_gate(barrier: float = 0.5, stiffness: float = 1.0, narrowing: float = 50.0,
                length: float = 0.3) -> CataloguePotential:
    """Two roomy chambers joined by a narrow pass: the barrier is low in energy and high in free energy.

    f(x, y) = barrier (x^2 - 1)^2 + (stiffness/2) (1 + narrowing exp(-x^2/(2 length^2))) y^2

    Minima at (-1, 0) and (1, 0) with value 0, saddle at (0, 0) of height `barrier` and curvature stiffness (1
    + narrowing) across. The free energy of x is barrier (x^2 - 1)^2 + (theta/2) log(1 + narrowing exp(-x^2/(2
    length^2))) + const.

    Parameters
    ----------
    barrier, stiffness, length : float
        Positive.
    narrowing : float
        Not negative.

    Examples
    --------
    >>> fp.catalogue.narrow_gate().saddles[0].eigenvalues
    array([-2., 51.])
    """

    def f(x, y, barrier=0.5, stiffness=1.0, narrowing=50.0, length=0.3):
        u = x / length
        return barrier * (x * x - 1) ** 2 + 0.5 * stiffness * (1 + narrowing * np.exp(-0.5 * u * u)) * y * y

    entry = Entry(narrow_gate, "barrier stiffness length",
                  lambda V: [(-2.0, 2.0), _across(V.params["stiffness"], V.params["barrier"])],
                  lambda p: (0.1 * p["barrier"], 0.2 * p["barrier"], 0.4 * p["barrier"]),
                  lambda V: known(V, [[-1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]], [(0, 1)]))
    return CataloguePotential(entry, f, barrier=barrier, stiffness=stiffness, narrowing=narrowing,
                              length=length)


def ring(barrier: float = 1.0, radius: float = 1.0, tilt: float = 0.0) -> CataloguePotential:
    """A round valley: a whole circle of minima, and with a tilt one minimum and one saddle opposite to it.

    f(x, y) = barrier (r^2/radius^2 - 1)^2 + tilt x,  r^2 = x^2 + y^2

    Without tilt the circle r = radius has value 0; its leftmost point stands for it, marked `degenerate`, and
    the top at the centre has height `barrier` (index 2, hence no saddle in the list). With a small tilt all
    stationary points lie on the x axis, at the roots of 4 barrier (u^3 - u) + tilt radius = 0, u = x/radius.

    Parameters
    ----------
    barrier, radius : float
        Positive.
    tilt : float

    Examples
    --------
    >>> fp.catalogue.ring().minima[0].degenerate
    True
    >>> V = fp.catalogue.ring(tilt=0.1)
    >>> len(V.minima), [s.between for s in V.saddles]
    (1, [(0, 0)])
    """

    def f(x, y, barrier=1.0, radius=1.0, tilt=0.0):
        return barrier * ((x * x + y * y) / radius**2 - 1) ** 2 + tilt * x

    def facts(V):
        b, r, tilt = V.params["barrier"], V.params["radius"], V.params["tilt"]
        if tilt == 0:
            return known(V, [[-r, 0.0]], degenerate=[0], note="the minimum stands for the whole circle.")
        q, edge = tilt * r / (4 * b), 2 / np.sqrt(27)
        if abs(q) >= edge:  # so steep that only one stationary point is left
            u = -np.sign(q) * 2 / np.sqrt(3) * np.cosh(np.arccosh(abs(q) / edge) / 3)
            return known(V, [[r * u, 0.0]])
        u = np.sort(2 / np.sqrt(3) * np.cos((np.arccos(-q / edge) - 2 * np.pi * np.arange(3)) / 3))
        low, high = (u[0], u[2]) if tilt > 0 else (u[2], u[0])
        return known(V, [[r * low, 0.0]], [[r * high, 0.0]], [(0, 0)])

    def box(V):
        far = 1.8 * V.params["radius"]
        return [(-far, far), (-far, far)]

    entry = Entry(ring, "barrier radius", box,
                  lambda p: (0.05 * p["barrier"], 0.1 * p["barrier"], 0.2 * p["barrier"]), facts)
    return CataloguePotential(entry, f, barrier=barrier, radius=radius, tilt=tilt)


def grokking_drift(g: float = 1.0, w0: float = 0.3, kappa: float = 0.0,
                   length: float = 4.0) -> CataloguePotential:
    """Model A of grokking: a quick drift down to the floor of a ravine (memorising), then a slow walk along
    it (generalising).

    f(x, y) = g^2 w^2 (sqrt(1 + y^2/(g^2 w^4)) - 1),  w(x) = w0 exp(kappa x)

    The floor y = 0 has curvature 1/w^2 and value 0 for every x, far away the slope is g. With a reflecting
    wall at x = 0, `start` at (0, length) and the goal {x >= length}: t_mem = length/g, and with kappa = 0
    t_grok = length^2/(2 theta); a floor that widens (kappa > 0) drives the walk by entropy, with Z(x)
    proportional to w(x). The minimum (0, 0) stands for the whole floor.

    Parameters
    ----------
    g, w0, length : float
        Positive. `length` is no parameter of f: it sets the box, the start and the goal.
    kappa : float

    Examples
    --------
    >>> V = fp.catalogue.grokking_drift()
    >>> V.start.tolist(), V.goal, V.temperatures
    ([0.0, 4.0], HalfSpace([1, 0], 4), (0.01,))
    """
    checks.number("length", length, positive=True)

    def f(x, y, g=1.0, w0=0.3, kappa=0.0):
        # The form y^2/w^2 / (1 + sqrt) does not cancel near the floor, where everything slow happens.
        u = y * y / (w0 * w0 * np.exp(2 * kappa * x))
        return u / (1 + np.sqrt(1 + u / (g * g * w0 * w0 * np.exp(2 * kappa * x))))

    entry = Entry(grokking_drift, "g w0", lambda V: [(0.0, length), (-1.25 * length, 1.25 * length)],
                  lambda p: (0.01,),
                  lambda V: known(V, [[0.0, 0.0]], degenerate=[0],
                                  note="the minimum stands for the whole floor y = 0."),
                  start=lambda V: [0.0, length], goal=lambda V: HalfSpace([1.0, 0.0], length),
                  fixed={"length": length})
    return CataloguePotential(entry, f, g=g, w0=w0, kappa=kappa)


def _across(stiffness, barrier):
    """Bounds (-far, far) at which (1/2) stiffness y^2 is 4 barrier, rounded up to a tenth."""
    far = float(np.ceil(10 * np.sqrt(8 * barrier / stiffness)) / 10)
    return (-far, far)
