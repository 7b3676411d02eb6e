"""Eigenvalues and eigenfunctions of -L on a line or a ring, each with full relative accuracy; see
`sturm_kernels`."""
from __future__ import annotations

from functools import cached_property

import numpy as np

from ..gibbs.quadrature import cumulative, gauss
from .panels import ORDER, Running, legendre
from .sturm_kernels import FLAT, bisect, n_below, ring_arcs, ring_fill, ring_matrix, sweep

TERMS = 6                      # of the power series in lambda of a panel
PHASE = 0.1                    # largest lambda R m of a panel: the seventh term is then below 1e-15
MOST_PANELS = 400_000
LONGEST = 690.0                # log of a power of a time
SAME = 1e-6                    # distance of a null vector of a ring from what inverse iteration finds
# relative distance below which eigenvalues count as equal when their functions are made orthogonal
CLUSTER = 1e-8


class Chain:
    """A line as panels with their power series in lambda: springs R and masses mL, mR at their ends."""

    def __init__(self, panels):
        x, w = gauss(ORDER)
        C = cumulative(ORDER)
        self.panels = panels
        top, least = panels.log_r.max(1), panels.B.min(1)
        r, m = np.exp(panels.log_r - top[:, None]), np.exp(least[:, None] - panels.B)
        log_time = 2 * np.log(panels.width) + top - least      # of the panel: no large exponent is left in it
        if abs(log_time.max()) > LONGEST / TERMS:
            raise ValueError(f"times of this potential are about 10^{log_time.max() / np.log(10):.0f}, and "
                             "their powers leave the range of floats; measure f and theta, or lengths, in "
                             "other units.")
        time = np.exp(log_time)
        P = len(panels)
        self._powers = powers = time[:, None] ** np.arange(TERMS)
        self.rho, self.left, self.right = (np.zeros((P, TERMS)) for _ in range(3))
        # most panels need few terms: lambda is at most PHASE over the longest time of a panel
        self._rows = [np.flatnonzero((PHASE * time / time.max()) ** k > 1e-18) for k in range(TERMS)]
        self._hats = []
        for D, masses in ((C, self.right), (C[::-1, ::-1], self.left)):
            D = np.ascontiguousarray(D.T)
            b, hats = r @ D, []
            for k, rows in enumerate(self._rows):
                hats.append(b)
                inner = m[rows] * b
                masses[rows, k] = inner @ w
                if k + 1 < TERMS:
                    some = np.isin(rows, self._rows[k + 1], assume_unique=True)
                    flux = r[rows[some]] * (inner[some] @ D)
                    self.rho[rows[some], k + 1] = flux @ w
                    b = flux @ D
            masses *= powers * time[:, None]
            self._hats.append(hats)
        self.R0 = r @ w
        self.rho[:, 0] = self.R0
        self.rho *= powers / self.R0[:, None]
        self.log_R = top + np.log(panels.width) + np.log(self.R0)
        self.ratio = np.r_[1.0, np.exp(np.clip(np.diff(self.log_R), -690, 690))]
        self.time = self.R0 * (m @ w) * time

    @property
    def series(self):
        return self.ratio, self.rho, self.left, self.right

    def mirrored(self):
        """The series of the line read from right to left."""
        turn = lambda a: np.ascontiguousarray(a[::-1])
        return np.r_[1.0, 1 / self.ratio[:0:-1]], turn(self.rho), turn(self.right), turn(self.left)

    def log_resistance(self, lam):
        """log R of each panel at an eigenvalue."""
        return self.log_R + np.log(self._growth(lam))

    def _growth(self, lam):
        return sum((-lam) ** k * self.rho[:, k] for k in range(TERMS))

    def inside(self, lam, psi):
        """psi at the Gauss nodes (P, n) from its values at the edges (P + 1,)."""
        out, factors = np.zeros(self.panels.B.shape), self._powers * (-lam) ** np.arange(TERMS)
        for hats, ends in zip(self._hats, (psi[1:], psi[:-1])):
            for k in range(TERMS if lam > 0 else 1):
                rows = self._rows[k]
                out[rows] += (ends * factors[:, k])[rows, None] * hats[k]
        return out / (self.R0 * self._growth(lam))[:, None]


class Modes:
    """Lowest eigenvalues of -L on a piece of a line between walls or absorbing ends, or on a ring.

    Attributes
    ----------
    bases, factors : ndarray (k,)
        Eigenvalues exp(base) * factor; base -inf for 0.
    """

    def __init__(self, panels, k, is_ring, is_free_left, is_free_right, function):
        self.is_ring, self.free = is_ring, (is_free_left, is_free_right)
        if is_ring:
            panels = _opened(panels, function)
        n_zero = 1 if is_ring or (is_free_left and is_free_right) else 0
        panels = panels.with_sharp_jumps()
        while True:
            chain = Chain(panels)
            top = np.log(PHASE / chain.time.max())
            if len(panels) > 2 and n_below(top, 1.0, is_ring, *self.free, *self._series(chain)) >= k:
                break
            finer = panels.halved(chain.time > 0.25 * chain.time.max(), function)
            if len(finer) == len(panels) or len(finer) > MOST_PANELS:
                raise ValueError(f"{k} eigenvalues are not resolved: time scales of the potential inside "
                                 f"{chain.time.argmax()} of {len(panels)} panels are as long as those asked "
                                 "for; ask for fewer of them, or for exact=False.")
            panels = finer
        self.chain, self.panels = chain, panels
        self.bases, self.factors = np.full(k, -np.inf), np.ones(k)
        if k > n_zero:
            # no nonzero eigenvalue is below 1/(4 R m) of the whole line
            low = min(-np.log(8.0) - panels.resistance.log_total - panels.mass.log_total, top - 1.0)
            bases, factors = np.empty(k - n_zero), np.empty(k - n_zero)
            bisect(n_zero, low, top, is_ring, *self.free, *self._series(chain), bases, factors)
            self.bases[n_zero:], self.factors[n_zero:] = bases, factors
            if is_ring:
                _ = self.functions               # finding them takes the eigenvalues to the last digits

    def _series(self, chain):
        return (chain.log_R, *chain.series[1:]) if self.is_ring else chain.series

    @property
    def log(self):
        return self.bases + np.log(self.factors)

    @property
    def values(self):
        return np.exp(self.bases) * self.factors

    @cached_property
    def functions(self):
        """Eigenfunctions at the edges of the panels, one (P + 1,) a mode, orthogonal where eigenvalues are
        equal. None for one whose values leave the range of floats: at a barrier of 1500 theta those of its
        own mode do."""
        logs, out, i = self.log, [], 0
        while i < len(logs):
            j = i + 1
            while j < len(logs) and logs[j] - logs[i] < CLUSTER:
                j += 1
            out += self._cluster(i, j)
            i = j
        return out

    def _cluster(self, i, j):
        """Orthogonal eigenfunctions of the modes i to j - 1, whose eigenvalues are equal to rounding."""
        P = len(self.panels)
        if self.bases[i] == -np.inf:
            return [np.ones(P + 1)]
        if not self.is_ring:
            return self._orthogonal(self._candidates(i), i, j - i)
        if self.values[i] * self.chain.left[:, 0].min() < FLAT:
            return self._orthogonal(self._ring_candidates(i, 0), i, j - i)
        symmetric, scale, shift = self._by_inverse_iteration(i, j - i)
        self.factors[i:j] = np.exp(self.bases[i] - self.bases[i:j]) * self.factors[i] * (1 + shift)
        # small values behind a barrier are right only in null vectors, large ones in both
        heavy = int(np.abs(symmetric[:, 0]).argmax())
        for turn in (heavy, heavy + 1, 0):
            psi = self._orthogonal(self._ring_candidates(i, turn % len(self.panels)), i, j - i)
            if all(f is not None for f in psi):
                own = np.array(psi)[:, :-1].T / scale[:, None]
                off = np.linalg.norm(own - symmetric @ (symmetric.T @ own), axis=0)
                if (off / np.linalg.norm(own, axis=0)).max() < SAME:
                    return psi
        psi = symmetric.T * scale
        return self._orthogonal((self._normalised(np.append(f, f[0]), i) for f in psi), i, j - i)

    def _orthogonal(self, candidates, i, n):
        """The first n of the candidates that are not combinations of those before, orthonormal; None for what
        is missing."""
        found = []
        for psi in candidates:
            nodes = self.nodes(psi, i)
            for _ in range(2):
                for other, its_nodes in found:
                    part = (self.weights * nodes * its_nodes).sum()
                    psi, nodes = psi - part * other, nodes - part * its_nodes
            size = (self.weights * nodes ** 2).sum()
            if size > 1e-4:
                found.append((psi / np.sqrt(size), nodes / np.sqrt(size)))
            if len(found) == n:
                break
        return [psi for psi, _ in found] + [None] * (n - len(found))

    def _candidates(self, i):
        """Normalised solutions for the eigenvalue, each from another node where both halves are joined: the
        best first."""
        base, x = self.bases[i], self.factors[i]
        P, c = len(self.panels), self.chain
        a, b = np.empty((4, P)), np.empty((4, P))
        sweep(base, x, self.free[0], *c.series, a)
        sweep(base, x, self.free[1], *c.mirrored(), b)
        sign, log = b[2, ::-1], b[3, ::-1]  # psi_j / psi_{j+1} of the sweep from the right
        # what is left of the balance at node j when both sweeps meet there, in units of lambda times its mass
        with np.errstate(invalid="ignore", over="ignore"):
            # log of z/(1 + z) of the mirrored sweep, nodes 1..P
            right = np.where(np.isinf(b[3]), 0.0, b[1] - b[3])[::-1]
            sign_right = (b[0] * b[2])[::-1]
            top = np.maximum(a[1], right)
            rest = np.abs(a[0] * np.exp(a[1] - top) + sign_right * np.exp(right - top))
            mass = c.left[:, 0] + np.r_[0.0, c.right[:-1, 0] * c.ratio[1:]]
            flow = top + np.log(np.maximum(rest, 1e-30)) - np.log(mass)
        if not self.free[0]:
            flow[0] = np.inf
        tried = np.zeros(P, bool)
        for _ in range(min(P, 24)):
            node = int(np.argmin(np.where(tried, np.inf, flow)))
            ups, downs = np.zeros(P + 1), np.ones(P + 1)
            ups[node + 1:], downs[node + 1:] = np.cumsum(-log[node:]), np.cumprod(sign[node:])
            if node:
                ups[:node] = np.cumsum(-a[3, :node][::-1])[::-1]
                downs[:node] = np.cumprod(a[2, :node][::-1])[::-1]
            psi = downs * np.exp(np.nan_to_num(ups - ups.max(), neginf=-745.0))
            if not self.free[0]:
                psi[0] = 0.0
            if not self.free[1]:
                psi[P] = 0.0
            psi = self._normalised(psi, i)
            if psi is not None:
                tried |= np.abs(psi[:-1]) > 0.1 * np.abs(psi).max()
                yield psi
            tried[node] = True

    @cached_property
    def weights(self):
        """Quadrature weights of m at the nodes (P, n), the whole mass being 1."""
        p = self.panels
        return np.exp(-p.B - p.mass.log_total + np.log(p.width)[:, None]) * gauss(ORDER)[1]

    def nodes(self, psi, i):
        return self.chain.inside(self.values[i], psi)

    def _normalised(self, psi, i):
        if not np.isfinite(psi).all() or not psi.any():
            return None
        psi = psi / np.abs(psi).max()
        size = (self.weights * self.nodes(psi, i) ** 2).sum()
        return psi / np.sqrt(size) if size > 0 else None

    def _by_inverse_iteration(self, i, n):
        """sqrt(m) psi (P, n) of the modes from i on, 1/sqrt(m) at the nodes, and the relative changes that
        their Rayleigh-Ritz values make."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu
        c, lam, P = self.chain, self.values[i], len(self.panels)
        d, e, ahead, behind = (np.empty(P) for _ in range(4))
        ring_matrix(lam, *self._series(c), d, e, ahead, behind)
        here, there = np.arange(P), np.roll(np.arange(P), -1)
        matrix = coo_matrix((np.concatenate([d - 1e-9 * lam, e, e]),
                             (np.concatenate([here, here, there]), np.concatenate([here, there, here]))))
        solve = splu(matrix.tocsc()).solve
        v = np.random.default_rng(0).normal(size=(P, n))
        for _ in range(4):
            v = np.linalg.qr(solve(v))[0]
        flow = np.roll(v, -1, 0) * behind[:, None] - v * ahead[:, None]
        shift, turn = np.linalg.eigh(flow.T @ flow - lam * (v.T @ v))
        # R m at a node over R: m itself, in units of its largest
        log_m = -2 * np.log(ahead) - c.log_resistance(lam)
        return v @ turn, np.exp(-0.5 * (log_m - log_m.max())), shift / lam

    def _ring_candidates(self, i, turn):
        """Null vectors of the 2 x 2 matrix of `_ring_count`, carried along both arcs of the ring opened
        `turn` nodes on."""
        P = len(self.panels)
        there, back = np.empty((12, P + 1)), np.empty((12, P + 1))
        ring_arcs(self.bases[i], self.factors[i], *(np.ascontiguousarray(np.roll(a, -turn, 0))
                                                    for a in self._series(self.chain)), there, back)
        quality = np.minimum(there[7, 1:P], back[7, 1:P])
        good = 1 + np.flatnonzero(quality > quality.max() - 1.1)
        # far from node 0, else both null vectors are nearly the same
        c = int(good[np.abs(good - P / 2).argmin()])
        top = max(there[[1, 3, 5], c].max(), back[[1, 3, 5], c].max())
        m0, mc, b = (there[k, c] * np.exp(there[k + 1, c] - top) + back[k, c] * np.exp(back[k + 1, c] - top)
                     for k in (0, 2, 4))
        # both rows of [[b - m0, -b], [-b, b - mc]] give it; the one that cancels less gives it better
        is_first = abs(b - m0) * (abs(b) + abs(mc)) >= abs(b - mc) * (abs(b) + abs(m0))
        null = (b, b - m0) if is_first else (b - mc, b)
        # the last two: the matrix of a double eigenvalue vanishes
        for ends in (null, (1.0, 0.0), (0.0, 1.0)):
            psi = np.empty(P + 1)
            psi[0] = psi[P] = ends[0]
            psi[c] = ends[1]
            ring_fill(c, there, back, psi)
            psi = np.roll(psi[:-1], turn)
            psi = self._normalised(np.append(psi, psi[0]), i)
            if psi is not None:
                yield psi


def _opened(panels, function):
    """The ring opened where a panel holds most mass, at a place that no symmetry of the ring maps to an edge:
    the arcs of `_ring_count` then resonate between nodes."""
    k = int(panels.mass.log_whole.argmax())
    panels = panels.cut_at(np.array([panels.edges[k] + 0.382 * panels.width[k]]), function)
    return panels.rotated(k + 1, panels.edges[-1] - panels.edges[0])


def interpolated(panels, values, x):
    """Function with these values at the Gauss nodes (P, n) at points x."""
    p, t = panels.place(x)
    return np.einsum("ik,ik->i", np.polynomial.legendre.legvander(t, ORDER - 1), values[p] @ legendre().T)


def log_cell_masses(panels, function, edges, values):
    """log of int v m over the cells between `edges`, v >= 0 the function with these values at the Gauss nodes
    (P, n); -inf off the line."""
    fine = panels.cut_at(edges, function)
    v = np.maximum(interpolated(panels, values, fine.nodes.ravel()), 0).reshape(fine.B.shape)
    whole = Running(fine, np.log(v) - fine.B).log_whole
    middle = (fine.edges[1:] + fine.edges[:-1]) / 2
    cell = np.searchsorted(edges, middle) - 1
    out = np.full(len(edges) - 1, -np.inf)
    ok = (cell >= 0) & (cell < len(out))
    np.logaddexp.at(out, cell[ok], whole[ok])
    return out
