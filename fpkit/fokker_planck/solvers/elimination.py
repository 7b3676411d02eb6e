"""Solves with graph Laplacians by elimination without subtraction (GTH, star-mesh [1]_) along a nested
dissection of the grid [2]_.

(K + ground) v = b with K v_i = sum_j c_ij (v_i - v_j): the input is only c >= 0 and ground >= 0, the diagonal
is never formed and nothing is subtracted, so that the factors, and the solution for b >= 0, have full
relative accuracy entry by entry, however small a conductance is. N^1.5 operations in two dimensions.

References
----------
.. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985).
.. [2] A. George, SIAM J. Numer. Anal. 10, 345 (1973).
"""
from __future__ import annotations

import numpy as np

from ...core.compilation.special import LN2_HIGH, LN2_LOW
from ...core.interruption import stop_if_pressed

ROWS = 8                                   # solved together between two looks for Ctrl-C
LEAF = 40                                  # nodes that are not halved any more
DOUBLES = 1300.0                           # log of the ratio of two conductances that doubles hold at once
WIDE_WORK = 13.0                           # work with mantissas and exponents over that in doubles
SURE = 1e-290                              # results below it may have lost terms to underflow


class Ordering:
    """Order of elimination and fronts of a graph on cells: depends on which conductances there are and not on
    their values.

    Parameters
    ----------
    X : int ndarray (d, n)
        Cell indices of the nodes.
    I, J : int ndarray (n_edges,)
    n_kept : int
        Number of further nodes n, n + 1, ... that edges may lead to and that are not eliminated: the border
        of one more front, without pivots.
    """

    def __init__(self, X, I, J, n_kept=0):
        from scipy.sparse import csr_matrix

        from .elimination_kernels import borders, dissect
        X = np.ascontiguousarray(X, np.int64)
        n = self.n = X.shape[1]
        inner = (n > I) & (n > J)
        a, b = I[inner], J[inner]
        graph = csr_matrix((np.ones(2 * a.size, np.int8), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
        room = 4 * n + 8
        order, start, stop, parent = np.empty(n, np.int64), *(np.empty(room, np.int64) for _ in range(3))
        count = dissect(X, graph.indptr.astype(np.int64), graph.indices.astype(np.int64), LEAF, order, start,
                        stop, parent, np.empty(2 * n, np.int64))
        # parents come before children, and a child's pivots before its parent's: by the end of the pivots,
        # the deeper first where it is the same
        rank = np.lexsort((-np.arange(count), stop[:count]))
        place = np.empty(count, np.int64)
        place[rank] = np.arange(count)
        last = count
        self.tree = np.full((4, count + (n_kept > 0)), -1)
        self.start, self.stop, first_child, next_child = self.tree
        self.start[:last], self.stop[:last] = start[rank], stop[rank]
        above = self.above = np.where(parent[rank] < 0, -1, place[parent[rank]])
        if n_kept:
            self.start[last] = self.stop[last] = n
            above[above < 0] = last
            count += 1
        for t in range(last):
            if above[t] >= 0:
                next_child[t], first_child[above[t]] = first_child[above[t]], t
        self.order = order
        self.position = np.arange(n + n_kept)
        self.position[order] = np.arange(n)
        a, b = self.position[I], self.position[J]
        entry = csr_matrix((np.arange(1, 2 * I.size + 1), (np.r_[a, b], np.r_[b, a])),
                           shape=(n + n_kept,) * 2)
        entry.sort_indices()
        self.indptr, self.indices = entry.indptr.astype(np.int64), entry.indices.astype(np.int64)
        self.edge = (entry.data - 1) % max(I.size, 1)
        self.leads_on = entry.data <= I.size   # the row is the first cell of the edge
        del entry                              # memory for what follows
        self.ptr, room = np.zeros(count + 1, np.int64), 16 * n + 64
        while True:
            self.border = np.empty(room, np.int64)
            used = borders(self.indptr, self.indices, self.tree, self.ptr, self.border)
            if used >= 0:
                break
            room *= 2
        self.border = self.border[:used].copy()
        if n_kept:
            self.border = np.r_[self.border[:self.ptr[last]], np.arange(n, n + n_kept)]
            self.ptr[count] = self.ptr[last] + n_kept
        n_border = np.diff(self.ptr)
        self.every_front = np.arange(self.start.size)
        n_pivots = self.stop - self.start
        self.largest = int((n_border + n_pivots).max())
        self.base = np.r_[0, np.cumsum(n_pivots * (n_border + n_pivots))]  # of each front in the factors
        self.stack = _depth(first_child, next_child, n_border)
        self.cost = float((n_pivots * (n_border + n_pivots).astype(float) ** 2).sum())

    def fronts(self, nodes):
        """The fronts that hold some nodes and all above them, ascending."""
        is_met = np.zeros(self.stop.size, bool)
        is_met[np.searchsorted(self.stop, self.position[nodes], side="right")] = True
        for t in range(is_met.size):
            if is_met[t] and self.above[t] >= 0:
                is_met[self.above[t]] = True
        return np.flatnonzero(is_met)


def _depth(first_child, next_child, n_border):
    """Room for the matrices that eliminated fronts leave behind."""
    top, most, at = 0, 1, np.zeros(n_border.size, np.int64)
    for t in range(n_border.size):
        c = first_child[t]
        while c >= 0:
            top = min(top, at[c])
            c = next_child[c]
        at[t] = top
        top += int(n_border[t]) ** 2
        most = max(most, top)
    return most


class Elimination:
    """Factors of K + ground for conductances c (n_edges,) and ground (n,), in the order of an `Ordering`."""

    def __init__(self, ordering, c, ground):
        from .elimination_kernels import eliminate
        o = self.ordering = ordering
        stop_if_pressed()
        self.pivot, self.L = np.empty(o.n), np.zeros(o.base[-1])
        eliminate(o.indptr, o.indices, np.ascontiguousarray(c)[o.edge], o.tree, o.ptr, o.border,
                  np.ascontiguousarray(ground[o.order]), self.pivot, self.L, np.empty(o.stack), o.largest,
                  1.0)

    def solve_signed(self, b):
        """The same for b (p, n) of both signs: two solves of positive data."""
        return _signed(self.solve, b)

    def solve(self, b):
        """v with (K + ground) v = b for b >= 0 of shape (n,) or (p, n)."""
        o = self.ordering
        R = np.ascontiguousarray(np.take(b, o.order, axis=-1), float)
        self.substitute(o.every_front, R if R.ndim == 2 else R[None])
        out = np.empty_like(R)
        out[..., o.order] = R
        return out

    def substitute(self, fronts, R):
        from .elimination_kernels import substitute
        o = self.ordering
        for k in range(0, len(R), ROWS):
            stop_if_pressed()
            substitute(fronts, o.base, o.tree, o.ptr, o.border, self.pivot, self.L, self.L, R[k:k + ROWS],
                       o.largest)

    def near(self, nodes):
        """A function that solves for b (p, n_nodes) of both signs, given and wanted at some nodes only."""
        o = self.ordering
        fronts, at = o.fronts(nodes), o.position[nodes]
        filled = np.concatenate([np.arange(o.start[t], o.stop[t]) for t in fronts])
        room = np.zeros((0, o.n))

        def solve(b):
            nonlocal room
            if len(room) < len(b):
                room = np.zeros((len(b), o.n))
            R = room[:len(b)]
            R[:, filled] = 0.0
            R[:, at] = b
            self.substitute(fronts, R)
            return R[:, at]
        return lambda b: _signed(solve, b)


def reduced_network(X, I, J, log_c, log_mass, n_kept, most=np.inf):
    """Logarithms of capacities (n_kept, n_kept) and masses (n_kept,) that the kept nodes of a reversible
    chain have when all others are eliminated: exact, to rounding, for conductances of any range. None where
    that takes more work than `most`.

    Parameters
    ----------
    X : int ndarray (d, n)
        Cell indices of the nodes to eliminate.
    I, J, log_c : ndarray (n_edges,)
        Edges, no pair twice, and log of their conductances; kept nodes are n, n + 1, ...
    log_mass : ndarray (n + n_kept,)
    most : float
        In the units of `Ordering.cost`, about 0.1 ns; mantissas and exponents take 13 times the work.

    Notes
    -----
    In doubles first. An underflow cannot change a sum of positive terms by more than the smallest double, so
    the result stands if no conductance left the range of doubles and every result lies well inside it;
    otherwise the elimination is repeated with mantissas and exponents.
    """
    from .elimination_kernels import eliminate
    n = X.shape[1]
    o = Ordering(X, I, J, n_kept)
    if o.cost > most:
        return None
    logs, masses = log_c[o.edge], log_mass.copy()
    masses[:n] = masses[o.order]
    triangle = np.triu_indices(n_kept, 1)
    middle, heaviest = (log_c.max() + log_c.min()) / 2, masses.max()
    if log_c.max() - log_c.min() < DOUBLES:
        stack, m = np.empty(o.stack), np.exp(masses - heaviest)
        eliminate(o.indptr, o.indices, np.exp(logs - middle), o.tree, o.ptr, o.border, m, np.empty(m.size),
                  np.empty(0), stack, o.largest, 0.0)
        c, m = stack[:n_kept**2].reshape(n_kept, n_kept)[triangle], m[n:]
        if c.min(initial=1.0) > SURE and m.min() > SURE:
            return _symmetric(np.log(c) + middle, n_kept), np.log(m) + heaviest
    from .wide_kernels import eliminate_wide
    if WIDE_WORK * o.cost > most:
        return None
    c, m, stack = split(logs), split(masses), np.empty((2, o.stack))
    eliminate_wide(o.indptr, o.indices, c, o.tree, o.ptr, o.border, m, stack, o.largest)
    c, m = stack[:, :n_kept**2].reshape(2, n_kept, n_kept)[:, triangle[0], triangle[1]], m[:, n:]
    with np.errstate(divide="ignore"):
        c, m = (np.where(a[0] > 0, np.log(a[0]) + a[1] * np.log(2), -np.inf) for a in (c, m))
    return _symmetric(c, n_kept), m


def split(logs):
    """Mantissas and exponents (2, n) of the numbers with these logarithms, value m 2^e; zero for -inf."""
    e = np.floor(np.where(np.isfinite(logs), logs, 0.0) / np.log(2))
    with np.errstate(under="ignore"):
        return np.array([np.exp(logs - e * LN2_HIGH - e * LN2_LOW), np.where(np.isfinite(logs), e, -1e15)])


def _symmetric(values, n):
    """The matrix with these values above and below a diagonal of -inf."""
    full = np.full((n, n), -np.inf)
    full[np.triu_indices(n, 1)] = values
    return np.maximum(full, full.T)


def _signed(solve, b):
    both = solve(np.concatenate([np.maximum(b, 0.0), np.maximum(-b, 0.0)]))
    return both[:len(b)] - both[len(b):]
