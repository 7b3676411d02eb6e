"""Adaptive Gauss panels of a line, on which exp(+-beta f) are polynomials to rounding, and running integrals
in logarithms.

A panel is accepted when the exponent B = beta (f - f0) changes by at most VARIATION on it and its last
Legendre coefficients are rounding; then exp(B), exp(-B) and their running integrals are polynomials of the
order of the rule to about 1e-14. A kink or a jump is closed in by halving until the panel that holds it is as
narrow as the numbers are fine. What the last coefficients are is kept as the error of the panel: it shows
truncation and the noise of f alike.

Far above everything else, where f slides down by more theta than panels of that size can follow, a panel may
be steep: f is a monotone polynomial on it that changes by any number of theta. The integral of exp(g) is then
exp(g) h, with h' + g' h = 1 solved by collocation: of its solutions a polynomial of low degree picks the
smooth one, which varies as slowly as f does and needs no panel as narrow as theta/|f'|.
"""
from __future__ import annotations

import math
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from ..gibbs.quadrature import cumulative, gauss

ORDER = 20                     # Gauss points of a panel
VARIATION = 5.0                # of beta f on a panel: exp(B) is then a polynomial of degree 19 to 1e-16
HIGHEST = 1.5e5  # beta (f - f0) above which f is a wall: exp(-150000) is no mass and nothing crosses it
MOST_NODES = 12_000_000
NOISE = 8 * np.finfo(float).eps        # of a Legendre coefficient, in units of beta |f|
SMOOTH = 2e-14                 # smallest last coefficients that are asked for
BESIDE = 1e-12                 # where f is looked at beside the edges of a panel, in units of its width
REMOTE = 40.0                  # outer walls above the inner part by this much hold no mass
# beta (f - f0) on steep lines above which f is a wall: its digits say no more how steep it is
NO_DIGITS = 1e13
# least change of g on a steep panel, by its slope anywhere: exp(-20) of its ends meets the other
STEEP = 20.0
INTEGRABLE = -1 + 1e-6         # powers above it have a finite integral
AT_A_POLE = 200.0              # -beta (f - f0) where it is infinite, on a panel as narrow as can be
NOISY = 1e-4                   # last coefficients that may be taken for the noise of f


@cache
def legendre(n=ORDER):
    """Matrix (n, n) from values at the Gauss nodes to Legendre coefficients on [-1, 1], to the last digit
    (the weights are not)."""
    V = np.polynomial.legendre.legvander(2 * gauss(n)[0] - 1, n - 1)
    inverse = np.linalg.inv(V)
    return inverse + inverse @ (np.eye(n) - V @ inverse)


@cache
def _derivative():
    """Matrix (n, n) from values at the Gauss nodes of [0, 1] to the derivative there."""
    from numpy.polynomial.legendre import legder, legval, legvander
    x = 2 * gauss(ORDER)[0] - 1
    slopes = np.array([legval(x, legder(row)) for row in np.eye(ORDER)]).T
    return 2 * slopes @ np.linalg.inv(legvander(x, ORDER - 1))


@cache
def _ends():
    """Legendre polynomials (n, 2) at both edges of a panel."""
    return np.polynomial.legendre.legvander(np.array([-1.0, 1.0]), ORDER - 1).T.copy()


@cache
def _beside():
    """Legendre polynomials (n, 2) at the points beside the two edges of a panel where f is looked at too."""
    return np.polynomial.legendre.legvander(np.array([2 * BESIDE - 1, 1 - 2 * BESIDE]), ORDER - 1).T.copy()


class Panels:
    """Neighbouring panels of a line, from left to right.

    Attributes
    ----------
    edges : ndarray (P + 1,)
    B : ndarray (P, n)
        beta (f - f0) at the Gauss nodes.
    log_r : ndarray (P, n)
        log of the resistance exp(beta (f - f0)) / (theta M).
    error : ndarray (P,)
        Of B and log M on the panel.
    powers : (PowerLaw or None, PowerLaw or None)
        Of the first and the last panel, where B or log M diverge at the end of the line.
    """

    def __init__(self, edges, B, log_r, error, powers=(None, None), is_steep=False):
        self.edges, self.B, self.log_r, self.error = edges, B, log_r, error
        self.powers, self.is_steep = powers, is_steep

    def __len__(self):
        return self.B.shape[0]

    @property
    def width(self):
        return np.diff(self.edges)

    @property
    def nodes(self):
        return self.edges[:-1, None] + self.width[:, None] * gauss(ORDER)[0]

    def part(self, first, last):
        """Panels first to last - 1."""
        powers = (self.powers[0] if first == 0 else None), (self.powers[1] if last == len(self) else None)
        return Panels(self.edges[first:last + 1], self.B[first:last], self.log_r[first:last],
                      self.error[first:last], powers, self.is_steep)

    def rotated(self, first, period):
        """The ring opened at the left edge of panel `first`."""
        edges = np.concatenate([self.edges[first:-1], self.edges[:first + 1] + period])
        return Panels(edges, *(np.roll(a, -first, 0) for a in (self.B, self.log_r, self.error)),
                      is_steep=self.is_steep)

    def mirrored(self):
        """The same line read from right to left."""
        return Panels(-self.edges[::-1], self.B[::-1, ::-1], self.log_r[::-1, ::-1], self.error[::-1],
                      self.powers[::-1], self.is_steep)

    def cut_at(self, points, function):
        """The same line with edges at these points too; `function` gives (B, log_r) at points."""
        points = np.setdiff1d(points, self.edges)
        points = points[(points > self.edges[0]) & (points < self.edges[-1])]
        if not points.size:
            return self
        edges = np.union1d(self.edges, points)
        home = np.searchsorted(self.edges, edges[:-1], side="right") - 1
        new = np.isin(edges[:-1], points) | np.isin(edges[1:], points)
        B, log_r = self.B[home], self.log_r[home]
        x = edges[:-1][new, None] + np.diff(edges)[new, None] * gauss(ORDER)[0]
        b, r = function(x.ravel())
        B[new], log_r[new] = b.reshape(x.shape), r.reshape(x.shape)
        return Panels(edges, B, log_r, self.error[home], self.powers, self.is_steep)

    def refined_at_ends(self, function):
        """The same line with panels at both ends that are not steep: what a wall holds back, or a region
        takes, changes there within a few theta."""
        panels, which = self, np.array([True])
        while which.any():
            which = np.zeros(len(panels), bool)
            which[[0, -1]] = np.ptp(panels.B[[0, -1]], axis=1) > VARIATION
            which &= panels.width > _finest(panels.edges)
            panels = panels.halved(which, function) if which.any() else panels
        return panels

    def with_sharp_jumps(self):
        """The same line with each jump of f, closed in to a panel as narrow as the numbers are fine, at its
        left or right end: that panel takes the lowest value, and no time is spent inside the jump."""
        jumps = np.flatnonzero((np.ptp(self.B, axis=1) > VARIATION) & (self.width <= _finest(self.edges)))
        if not jumps.size:
            return self
        B, log_r, lowest = self.B.copy(), self.log_r.copy(), self.B[jumps].argmin(1)
        B[jumps], log_r[jumps] = (a[jumps, lowest][:, None] for a in (self.B, self.log_r))
        return Panels(self.edges, B, log_r, self.error, self.powers)

    def halved(self, which, function):
        """The panels `which` (bool) cut in two."""
        middle = (self.edges[:-1] + self.edges[1:])[which] / 2
        return self.cut_at(middle, function)

    def place(self, x):
        """Panel of each point, and the point on its scale [-1, 1]."""
        p = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self) - 1)
        return p, np.clip(2 * (x - self.edges[p]) / (self.edges[p + 1] - self.edges[p]) - 1, -1.0, 1.0)

    @cached_property
    def mass(self):
        """Running integral of exp(-B)."""
        return Running(self, -self.B)

    @cached_property
    def resistance(self):
        """Running integral of exp(B) / (theta M)."""
        return Running(self, self.log_r)

    @cached_property
    def _errors(self):
        """For each pair of ends that absorb: levels of B, ascending, and the largest error of a panel below
        each; each weighed by the panel's share among its neighbours."""
        return {}

    def _weighed(self, absorbs):
        if absorbs not in self._errors:
            weighed, terms = self.error.copy(), self._terms(absorbs)
            for p in np.flatnonzero(self.error > 1e-12):
                near = slice(max(0, p - 60), p + 61)  # a jump is closed in by some fifty halvings
                share = max(np.exp(t[p] - t[near].max()) for t in terms)
                weighed[p] = min(weighed[p], 1.0) * share
            for p, law in ((0, self.powers[0]), (len(self) - 1, self.powers[1])):
                if law is not None:
                    near = slice(max(0, p - 60), p + 61)
                    weighed[p] = max(min(e, 1.0) * np.exp(t[p] - t[near].max())
                                     for e, t in zip(law.errors, terms))
            levels = self.B.min(1)
            order = np.argsort(levels)
            self._errors[absorbs] = levels[order], np.maximum.accumulate(weighed[order])
        return self._errors[absorbs]

    def _terms(self, absorbs):
        """log of what each panel adds to integrals (P,) by its mass and by its resistance.

        Beside a pole one of the two may diverge where it does not matter: mass beside an absorbing end counts
        times the resistance up to it, resistance times the mass behind it where an end reflects.
        """
        m, r = self.mass, self.resistance
        if self.powers == (None, None):
            return m.log_whole, r.log_whole
        if absorbs == (False, True):
            return m.log_whole + r.right[:-1], r.log_whole + m.left[1:]
        if absorbs == (True, False):
            return m.log_whole + r.left[1:], r.log_whole + m.right[:-1]
        if absorbs == (True, True):
            return m.log_whole + np.minimum(r.left[1:], r.right[:-1]), r.log_whole
        return m.log_whole, r.log_whole + np.minimum(m.left[1:], m.right[:-1])

    @cached_property
    def inner_level(self):
        """The highest B between the first and the last minimum: what lies above it are outer walls."""
        low = self.B.min(1)
        first = int(np.argmax(np.append(np.diff(low) > 0, True)))
        last = len(low) - 1 - int(np.argmax(np.append(np.diff(low[::-1]) > 0, True)))
        return float(self.B[min(first, last):max(first, last) + 1].max())

    def relative_error(self, level=0.0, absorbs=(False, False)):
        """Bound of the relative error of integrals of exp(+-B) over the panels that matter: between the
        minima, and up to `level`; `absorbs`: whether the left and the right end absorb."""
        levels, worst = self._weighed(absorbs)
        return worst[np.maximum(np.searchsorted(levels, np.maximum(level, self.inner_level + REMOTE)) - 1, 0)]


class PowerLaw(NamedTuple):
    """The panel at an end of a line where exp(-B) and the resistance go like powers of the distance.

    Attributes
    ----------
    width : float
    mass, resistance : float
        The powers; an integral is finite above -1.
    B, log_r : ndarray (n,)
        At the Gauss nodes, from the end inwards; constants with the exact integral where that is finite.
    errors : (float, float)
        Of the logarithms of the two integrals.
    """
    width: float
    mass: float
    resistance: float
    B: np.ndarray
    log_r: np.ndarray
    errors: tuple


def power_law(function, end, other):
    """`PowerLaw` at one end of a line, or None where f and log M are tame there.

    B = s log d + c_0 + c_1 d + c_2 d^2 is fitted at four distances d, as near as the digits of d allow, and
    log r alike.
    """
    length, sign = abs(other - end), math.copysign(1.0, other - end)
    first = 30 if abs(end) < 1e-12 * length else 10
    d = length * 2.0 ** -(first + np.array([0.0, 3.0, 6.0, 9.0]))
    d = np.abs((end + sign * d) - end)
    with np.errstate(all="ignore"):
        values = np.array(function(end + sign * d))
    if not np.isfinite(values).all() or np.abs(values).max() > HIGHEST:
        return None
    slopes = np.diff(values, axis=1) / np.diff(np.log(d))
    size = np.abs(slopes)
    is_singular = (size[:, 1:] > 0.5 * size[:, :-1]).all(1) & (size[:, -1] > 1e-5)
    if not is_singular.any():
        return None
    basis = np.column_stack([np.log(d / length), np.ones(4), d / length, (d / length) ** 2])
    fit = np.linalg.solve(basis, values.T)                 # (4, 2)
    width, t = length * 2.0 ** -(first + 14), gauss(ORDER)[0]
    u = width * t / length
    at = [fit[0, k] * np.log(u) + fit[1, k] + fit[2, k] * u for k in (0, 1)]
    powers = -fit[0, 0], fit[0, 1]
    # of what the fit takes off the last slope, and the digits of d
    doubt = 1e-5 * np.abs(fit[0] - slopes[:, -1]) + (4e-14 + 1e-15 * abs(end) / d[-1]) * np.abs(fit[0])
    # where one integral is infinite it counts times the other: Gauss takes whole powers only
    both = powers[0] + powers[1] + 1
    is_whole = both > -0.5 and abs(both - round(both)) < 1e-6
    for k, sense in ((0, -1.0), (1, 1.0)):
        if powers[k] > INTEGRABLE:
            end_of_panel, bend = width / length, fit[2:, k] * (width / length) ** np.array([1, 2])
            edge = fit[0, k] * math.log(end_of_panel) + fit[1, k] + bend[0]
            at[k] = np.full(ORDER, edge - sense * math.log1p(powers[k]) - bend[0] / (2 + powers[k]))
            doubt[k] = doubt[k] * (1 + 1 / (1 + powers[k])) + bend[0] ** 2 + abs(bend[1])
        elif not is_whole:
            doubt[k] = 0.3
    return PowerLaw(width, *powers, *at, tuple(doubt))


class Running:
    """Integral of exp(log_g) from the left end and from the right end of a line, as logarithms, at the nodes
    and at any point.

    Attributes
    ----------
    log_whole : ndarray (P,)
        Of each panel.
    left, right : ndarray (P + 1,)
        From the left end to each edge, and from each edge to the right end.
    unresolved : ndarray of bool (P,)
        Panels on which log_g is no polynomial; steep lines only.
    """

    def __init__(self, panels, log_g):
        from .sturm_kernels import running_log_sums
        x, w = gauss(ORDER)
        self.steep = Steep(panels, log_g) if panels.is_steep else None
        top = log_g.max(1)
        self.top = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            self.g = np.exp(log_g - self.top[:, None])
            self.scale = self.top + np.log(panels.width)
            self.log_whole = self.scale + np.log(self.g @ w)
        if self.steep:
            self.log_whole[self.steep.rows] = self.steep.whole
        P = len(panels)
        self.left, backwards = np.empty(P + 1), np.empty(P + 1)
        running_log_sums(self.log_whole, self.left)
        running_log_sums(np.ascontiguousarray(self.log_whole[::-1]), backwards)
        self.right = backwards[::-1].copy()

    @property
    def unresolved(self):
        return self.steep.unresolved

    @property
    def log_total(self):
        return float(self.left[-1])

    def _inside(self, backwards):
        C = cumulative(ORDER)
        C = C[::-1, ::-1] if backwards else C
        with np.errstate(divide="ignore"):
            inside = self.scale[:, None] + np.log(np.maximum(self.g @ C.T, 0.0))
        if self.steep:
            inside[self.steep.rows] = self.steep.nodes(backwards)
        return inside

    @cached_property
    def nodes_left(self):
        """From the left end to the nodes (P, n)."""
        return np.logaddexp(self.left[:-1, None], self._inside(False))

    @cached_property
    def nodes_right(self):
        """From the nodes to the right end (P, n)."""
        return np.logaddexp(self.right[1:, None], self._inside(True))

    @cached_property
    def _coefficients(self):
        return self.g @ legendre().T

    def _partial(self, p, t, backwards):
        """Share of panel p on its own scale: the integral from its left edge to t, or from t to its right
        edge."""
        n = ORDER
        before, P = np.ones_like(t), t
        a = self._coefficients[p]
        # int_-1^t P_k = (P_{k+1} - P_{k-1})/(2k + 1), and minus that from t to 1; halved: the panel is [0, 1]
        total = a[:, 0] * ((1 - t) if backwards else (1 + t))
        for k in range(1, n):
            after = ((2 * k + 1) * t * P - k * before) / (k + 1)
            total += a[:, k] * ((before - after) if backwards else (after - before)) / (2 * k + 1)
            before, P = P, after
        with np.errstate(divide="ignore"):
            part = self.scale[p] + np.log(np.maximum(total / 2, 0.0))
        return part if self.steep is None else self.steep.partial(p, t, backwards, part)

    def at_left(self, p, t):
        """log of the integral from the left end to the points t of panels p."""
        return np.logaddexp(self.left[p], self._partial(p, t, False))

    def at_right(self, p, t):
        """log of the integral from the points t of panels p to the right end."""
        return np.logaddexp(self.right[p + 1], self._partial(p, t, True))


class Steep:
    """Integrals of exp(g) over the panels of a line on which g is monotone and steep, as logarithms.

    Attributes
    ----------
    rows : int ndarray (S,)
    unresolved : ndarray of bool (P,)
        Where g or h is no polynomial.
    """

    def __init__(self, panels, log_g):
        with np.errstate(invalid="ignore"):
            change = np.ptp(log_g, axis=1)
        self.coefficients = log_g @ legendre().T
        tail = np.abs(self.coefficients[:, -3:]).max(1)
        coarse = np.ptp(panels.B, axis=1) > VARIATION
        rounding = 2 * NOISE * (np.abs(panels.B) + np.abs(log_g)).max(1)
        rounding += 10 * np.minimum(panels.error, NOISY)
        self.unresolved = coarse & ~(tail <= 1e-10 + rounding)
        rows = self.rows = np.flatnonzero(coarse & (change > 2 * VARIATION) & ~self.unresolved)
        slope = log_g[rows] @ _derivative().T
        self.unresolved[rows] = (np.abs(slope).min(1) < STEEP) | (np.ptp(np.sign(slope), axis=1) > 0)
        self.sign = np.sign(slope[:, :1])
        matrix = _derivative()[None] + slope[:, :, None] * np.eye(ORDER)
        h = np.abs(np.linalg.solve(matrix, np.ones((len(rows), ORDER, 1)))[:, :, 0])
        self.h = h @ legendre().T
        digits = 100 * rounding[rows] / np.abs(slope).min(1, initial=np.inf)
        self.unresolved[rows] |= ~(np.abs(self.h[:, -3:]).max(1) <= (1e-10 + digits) * h.min(1))
        self.place = np.full(len(panels), -1)
        self.place[rows] = np.arange(len(rows))
        self.log_width = np.log(panels.width[rows])[:, None]
        with np.errstate(all="ignore"):
            self.at = log_g[rows] + np.log(h) + self.log_width            # log of exp(g) |h| at the nodes
            self.ends = self.coefficients[rows] @ _ends() + np.log(np.abs(self.h @ _ends())) + self.log_width
        self.whole = self._between(self.ends[:, :1], self.ends[:, 1:])[:, 0]

    def _between(self, a, b, sign=None):
        """log of |exp(b) - exp(a)|, the larger one known by the sign of the slope."""
        sign = self.sign if sign is None else sign
        high, low = np.where(sign > 0, b, a), np.where(sign > 0, a, b)
        with np.errstate(all="ignore"):
            return high + np.log(np.maximum(-np.expm1(np.minimum(low - high, 0.0)), 0.0))

    def nodes(self, backwards):
        return self._between(*((self.at, self.ends[:, 1:]) if backwards else (self.ends[:, :1], self.at)))

    def partial(self, p, t, backwards, part):
        """`part` with the steep panels among p set right."""
        row = self.place[p]
        at = np.flatnonzero(row >= 0)
        if at.size:
            row = row[at]
            basis = np.polynomial.legendre.legvander(t[at], ORDER - 1)
            g, h = ((basis * c).sum(1) for c in (self.coefficients[self.rows[row]], self.h[row]))
            here = g + np.log(np.abs(h)) + self.log_width[row, 0]
            low, high = self.ends[row].T
            part = part.copy()
            part[at] = self._between(*((here, high) if backwards else (low, here)), self.sign[row, 0])
        return part


def adaptive(function, edges, beta, f0, is_steep=False):
    """Panels of a line and the walls in it.

    Parameters
    ----------
    function : callable
        Points (n,) -> (B, log_r), both (n,).
    edges : ndarray
        Increasing; edges to start from (the walls, and the points where f is less smooth).
    is_steep : bool
        Whether panels may be steep, and only infinite f a wall.

    Returns
    -------
    list of Panels
        The parts between which f is a wall (infinite, or higher than HIGHEST).
    """
    low, high = np.asarray(edges[:-1], float), np.asarray(edges[1:], float)
    family = np.arange(low.size)                       # first of the parts of one panel
    finest = _finest(edges)
    done, n_nodes, highest = [], 0, NO_DIGITS if is_steep else HIGHEST
    while low.size:
        n_nodes += low.size * ORDER
        if n_nodes > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} points would be needed to integrate exp(f/theta) on "
                             f"[{edges[0]:g}, {edges[-1]:g}]: f is rough "
                             "or spans too many theta; narrow the grid, or ask for exact=False.")
        width = high - low
        points = np.column_stack([low[:, None] + width[:, None] * gauss(ORDER)[0], low + BESIDE * width,
                                  high - BESIDE * width])
        B, log_r = (a.reshape(points.shape) for a in function(points.ravel()))
        _check(B[:, :ORDER], points, highest)
        # at an edge f may be no number, as sin(x)/x is not at 0
        B = np.where(np.isnan(B) | np.isneginf(B), np.nan, B)
        is_wall = highest < B
        has_wall = is_wall.any(1)
        B, log_r = np.where(is_wall, highest, B), np.where(is_wall, highest, log_r)
        variation = np.nanmax(B, axis=1) - np.nanmin(B, axis=1)
        tail, middle, miss = _resolution(B, B - log_r)
        rounding = NOISE * (np.abs(B[:, :ORDER] + beta * f0).max(1)
                            + np.abs(B[:, :ORDER]).max(1)) + 2e-16 * np.abs(points).max(1) * variation / width
        # f hides nothing between the last nodes and the edges when its polynomial meets it there
        is_resolved = (tail <= SMOOTH + rounding) & (miss <= 100 * (SMOOTH + rounding))
        # a kink or a jump spoils one part of a panel, noise all of them, and its coefficients do not decay
        is_noise = ~is_resolved & (tail < NOISY) & (middle < 8 * tail) & (miss < 100 * tail)
        members = np.diff(np.append(family, low.size))
        is_noise = np.repeat(np.minimum.reduceat(is_noise, family) & (members > 1), members)
        is_tiny = width <= finest
        is_short = variation <= VARIATION
        if is_steep:
            slopes = np.stack([a[:, :ORDER] @ _derivative().T for a in (B, log_r)])
            least, most = np.abs(slopes).min((0, 2)), np.abs(slopes).max((0, 2))
            is_short |= (least > STEEP) & (most < 2 * least)
        accepted = ~has_wall & (is_short & (is_resolved | is_noise) | is_tiny)
        dropped = is_wall.all(1) | (has_wall & is_tiny)
        if accepted.any():
            b, r = (np.where(np.isfinite(a), a, -AT_A_POLE)
                    for a in (B[accepted, :ORDER], log_r[accepted, :ORDER]))
            done.append((low[accepted], high[accepted], b, r, np.nan_to_num(tail[accepted], nan=1.0)))
        more = ~(accepted | dropped)
        parts = np.where(has_wall | is_steep, 2, np.clip(np.ceil(variation / (0.8 * VARIATION)), 2, 8))
        parts = parts.astype(int)[more]
        low, high, family = _subdivided(low[more], high[more], parts)
    if not done:
        return []
    order = np.argsort(np.concatenate([d[0] for d in done]))
    low, high, B, log_r, error = (np.concatenate([d[k] for d in done])[order] for k in range(5))
    starts = np.r_[0, np.flatnonzero(low[1:] != high[:-1]) + 1, low.size]
    return [Panels(np.append(low[i:j], high[j - 1]), B[i:j], log_r[i:j], error[i:j], is_steep=is_steep)
            for i, j in zip(starts[:-1], starts[1:])]


def _finest(edges):
    """Width of a panel as narrow as the numbers are fine."""
    return 4 * np.finfo(float).eps * max(np.abs(edges).max(), edges[-1] - edges[0])


def _check(B, points, highest):
    bad = np.isnan(B)
    if bad.any():
        raise ValueError(f"the potential is NaN at {points[:, :ORDER][bad][0]:.6g}, between cell "
                         "centres; take that place out with Grid(..., mask=...).")
    B = np.where(np.isneginf(B), 0.0, B)                   # a pole: closed in, and judged by its power law
    if B.min() < -highest:
        place = points[np.unravel_index(B.argmin(), B.shape)]
        raise ValueError(f"near {place:.6g} f falls by more than {highest:g} theta below its smallest value "
                         "at the cell centres: a pole, or wells far narrower than a cell; take a pole out "
                         "with Grid(..., mask=...), else refine the grid or raise theta.")


def _resolution(*exponents):
    """Largest of the last Legendre coefficients, largest in the middle, and how far the polynomial is from
    the values at the two ends."""
    tail = middle = miss = 0.0
    for values in exponents:
        c = values[:, :ORDER] @ legendre().T
        ends = c @ _beside()
        tail = np.maximum(tail, np.abs(c[:, -3:]).max(1))
        middle = np.maximum(middle, np.abs(c[:, 6:12]).max(1))
        miss = np.maximum(miss, np.nan_to_num(np.abs(ends - values[:, ORDER:])).max(1))
    return tail, middle, miss


def _subdivided(low, high, parts):
    """Panels cut into `parts` equal ones, and the first part of each; neighbours share their edge to the last
    bit."""
    family = np.cumsum(parts) - parts
    k = np.arange(parts.sum()) - np.repeat(family, parts)
    low, high, n = (np.repeat(a, parts) for a in (low, high, parts))
    ends = np.where(k + 1 == n, high, low + (high - low) * ((k + 1) / n))
    return low + (high - low) * (k / n), ends, family
