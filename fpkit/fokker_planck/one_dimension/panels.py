"""Adaptive Gauss panels of a line, on which exp(+-beta f) are polynomials to rounding, and running integrals
in logarithms.

A panel is accepted when the exponent B = beta (f - f0) changes by at most VARIATION on it and its last
Legendre coefficients are rounding; then exp(B), exp(-B) and their running integrals are polynomials of the
order of the rule to about 1e-14. A kink or a jump is closed in by halving until the panel that holds it is as
narrow as the numbers are fine. What the last coefficients are is kept as the error of the panel: it shows
truncation and the noise of f alike.
"""
from __future__ import annotations

from functools import cache, cached_property

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
NOISY = 1e-4                   # last coefficients that may be taken for the noise of f


@cache
def legendre(n=ORDER):
    """Matrix (n, n) from values at the Gauss nodes to Legendre coefficients on [-1, 1], to the last digit
    (the weights are not)."""
    V = np.polynomial.legendre.legvander(2 * gauss(n)[0] - 1, n - 1)
    inverse = np.linalg.inv(V)
    return inverse + inverse @ (np.eye(n) - V @ inverse)


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
    """

    def __init__(self, edges, B, log_r, error):
        self.edges, self.B, self.log_r, self.error = edges, B, log_r, error

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
        return Panels(self.edges[first:last + 1], self.B[first:last], self.log_r[first:last],
                      self.error[first:last])

    def rotated(self, first, period):
        """The ring opened at the left edge of panel `first`."""
        edges = np.concatenate([self.edges[first:-1], self.edges[:first + 1] + period])
        return Panels(edges, *(np.roll(a, -first, 0) for a in (self.B, self.log_r, self.error)))

    def mirrored(self):
        """The same line read from right to left."""
        return Panels(-self.edges[::-1], self.B[::-1, ::-1], self.log_r[::-1, ::-1], self.error[::-1])

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
        return Panels(edges, B, log_r, self.error[home])

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
        """Levels of B, ascending, and the largest error of a panel below each; each weighed by the panel's
        share among its neighbours."""
        weighed = self.error.copy()
        for p in np.flatnonzero(self.error > 1e-12):
            near = slice(max(0, p - 60), p + 61)  # a jump is closed in by some fifty halvings
            share = max(np.exp(t[p] - t[near].max())
                        for t in (self.mass.log_whole, self.resistance.log_whole))
            weighed[p] = min(weighed[p], 1.0) * share
        levels = self.B.min(1)
        order = np.argsort(levels)
        return levels[order], np.maximum.accumulate(weighed[order])

    @cached_property
    def inner_level(self):
        """The highest B between the first and the last minimum: what lies above it are outer walls."""
        low = self.B.min(1)
        first = int(np.argmax(np.append(np.diff(low) > 0, True)))
        last = len(low) - 1 - int(np.argmax(np.append(np.diff(low[::-1]) > 0, True)))
        return float(self.B[min(first, last):max(first, last) + 1].max())

    def relative_error(self, level=0.0):
        """Bound of the relative error of integrals of exp(+-B) over the panels that matter: between the
        minima, and up to `level`."""
        levels, worst = self._errors
        return worst[np.maximum(np.searchsorted(levels, np.maximum(level, self.inner_level + REMOTE)) - 1, 0)]


class Running:
    """Integral of exp(log_g) from the left end and from the right end of a line, as logarithms, at the nodes
    and at any point.

    Attributes
    ----------
    log_whole : ndarray (P,)
        Of each panel.
    left, right : ndarray (P + 1,)
        From the left end to each edge, and from each edge to the right end.
    """

    def __init__(self, panels, log_g):
        from .sturm_kernels import running_log_sums
        x, w = gauss(ORDER)
        top = log_g.max(1)
        self.top = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            self.g = np.exp(log_g - self.top[:, None])
            self.scale = self.top + np.log(panels.width)
            self.log_whole = self.scale + np.log(self.g @ w)
        P = len(panels)
        self.left, backwards = np.empty(P + 1), np.empty(P + 1)
        running_log_sums(self.log_whole, self.left)
        running_log_sums(np.ascontiguousarray(self.log_whole[::-1]), backwards)
        self.right = backwards[::-1].copy()

    @property
    def log_total(self):
        return float(self.left[-1])

    def _inside(self, backwards):
        C = cumulative(ORDER)
        C = C[::-1, ::-1] if backwards else C
        with np.errstate(divide="ignore"):
            return self.scale[:, None] + np.log(np.maximum(self.g @ C.T, 0.0))

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
            return self.scale[p] + np.log(np.maximum(total / 2, 0.0))

    def at_left(self, p, t):
        """log of the integral from the left end to the points t of panels p."""
        return np.logaddexp(self.left[p], self._partial(p, t, False))

    def at_right(self, p, t):
        """log of the integral from the points t of panels p to the right end."""
        return np.logaddexp(self.right[p + 1], self._partial(p, t, True))


def adaptive(function, edges, beta, f0):
    """Panels of a line and the walls in it.

    Parameters
    ----------
    function : callable
        Points (n,) -> (B, log_r), both (n,).
    edges : ndarray
        Increasing; edges to start from (the walls, and the points where f is less smooth).

    Returns
    -------
    list of Panels
        The parts between which f is a wall (infinite, or higher than HIGHEST).
    """
    low, high = np.asarray(edges[:-1], float), np.asarray(edges[1:], float)
    family = np.arange(low.size)                       # first of the parts of one panel
    finest = 4 * np.finfo(float).eps * max(np.abs(edges).max(), edges[-1] - edges[0])
    done, n_nodes = [], 0
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
        _check(B[:, :ORDER], points)
        # at an edge f may be no number, as sin(x)/x is not at 0
        B = np.where(np.isnan(B) | (-np.inf == B), np.nan, B)
        is_wall = B > HIGHEST
        has_wall = is_wall.any(1)
        B, log_r = np.where(is_wall, HIGHEST, B), np.where(is_wall, HIGHEST, log_r)
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
        accepted = ~has_wall & ((variation <= VARIATION) & (is_resolved | is_noise) | is_tiny)
        dropped = is_wall.all(1) | (has_wall & is_tiny)
        if accepted.any():
            done.append((low[accepted], high[accepted], B[accepted, :ORDER], log_r[accepted, :ORDER],
                         tail[accepted]))
        more = ~(accepted | dropped)
        parts = np.where(has_wall, 2, np.clip(np.ceil(variation / (0.8 * VARIATION)), 2, 8)).astype(int)[more]
        low, high, family = _subdivided(low[more], high[more], parts)
    if not done:
        return []
    order = np.argsort(np.concatenate([d[0] for d in done]))
    low, high, B, log_r, error = (np.concatenate([d[k] for d in done])[order] for k in range(5))
    starts = np.r_[0, np.flatnonzero(low[1:] != high[:-1]) + 1, low.size]
    return [Panels(np.append(low[i:j], high[j - 1]), B[i:j], log_r[i:j], error[i:j])
            for i, j in zip(starts[:-1], starts[1:])]


def _check(B, points):
    bad = np.isnan(B) | (-np.inf == B)
    if bad.any():
        raise ValueError(f"the potential is NaN or -inf at {points[bad][0]:.6g}, between cell centres; take "
                         "that place out with Grid(..., mask=...).")
    if B.min() < -HIGHEST:
        raise ValueError(f"the potential has a pole near {points.ravel()[B.argmin()]:.6g}: it falls without "
                         "bound; take that place out with Grid(..., mask=...).")


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
