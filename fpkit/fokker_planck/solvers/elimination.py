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

LEAF = 40                                  # nodes that are not halved any more


class Ordering:
    """Order of elimination and fronts of a graph on cells: depends on which conductances there are and not on
    their values.

    Parameters
    ----------
    X : int ndarray (d, n)
        Cell indices of the nodes.
    I, J : int ndarray (n_edges,)
    """

    def __init__(self, X, I, J):
        from scipy.sparse import csr_matrix

        from .elimination_kernels import borders, dissect
        X = np.ascontiguousarray(X, np.int64)
        n = self.n = X.shape[1]
        graph = csr_matrix((np.ones(2 * I.size, np.int8), (np.r_[I, J], np.r_[J, I])), shape=(n, n))
        room = 4 * n + 8
        order, start, stop, parent = np.empty(n, np.int64), *(np.empty(room, np.int64) for _ in range(3))
        count = dissect(X, graph.indptr.astype(np.int64), graph.indices.astype(np.int64), LEAF, order, start,
                        stop, parent, np.empty(2 * n, np.int64))
        # parents come before children, and a child's pivots before its parent's: by the end of the pivots,
        # the deeper first where it is the same
        rank = np.lexsort((-np.arange(count), stop[:count]))
        place = np.empty(count, np.int64)
        place[rank] = np.arange(count)
        self.tree = np.full((4, count), -1)
        self.start, self.stop, first_child, next_child = self.tree
        self.start[:], self.stop[:] = start[rank], stop[rank]
        above = self.above = np.where(parent[rank] < 0, -1, place[parent[rank]])
        for t in range(count):
            if above[t] >= 0:
                next_child[t], first_child[above[t]] = first_child[above[t]], t
        self.order = order
        self.position = np.empty(n, np.int64)
        self.position[order] = np.arange(n)
        a, b = self.position[I], self.position[J]
        self.entry = csr_matrix((np.arange(1, 2 * I.size + 1), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
        self.entry.sort_indices()
        self.indptr, self.indices = self.entry.indptr.astype(np.int64), self.entry.indices.astype(np.int64)
        self.edge = (self.entry.data - 1) % max(I.size, 1)
        self.ptr, room = np.zeros(count + 1, np.int64), 16 * n + 64
        while True:
            self.border = np.empty(room, np.int64)
            used = borders(self.indptr, self.indices, self.tree, self.ptr, self.border)
            if used >= 0:
                break
            room *= 2
        self.border = self.border[:used].copy()
        n_border = np.diff(self.ptr)
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
        self.pivot, self.L = np.empty(o.n), np.zeros(o.base[-1])
        eliminate(o.indptr, o.indices, np.ascontiguousarray(c)[o.edge], o.tree, o.ptr, o.border,
                  np.ascontiguousarray(ground[o.order]), self.pivot, self.L, np.empty(o.stack), o.largest)

    def solve_signed(self, b):
        """The same for b (p, n) of both signs: two solves of positive data."""
        return _signed(self.solve, b)

    def solve(self, b):
        """v with (K + ground) v = b for b >= 0 of shape (n,) or (p, n)."""
        o = self.ordering
        R = np.ascontiguousarray(np.atleast_2d(b)[:, o.order], float)
        self.substitute(np.arange(o.start.size), R)
        out = np.empty_like(R)
        out[:, o.order] = R
        return out.reshape(np.shape(b))

    def substitute(self, fronts, R):
        from .elimination_kernels import substitute
        o = self.ordering
        substitute(fronts, o.base, o.tree, o.ptr, o.border, self.pivot, self.L, R, o.largest)

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


def _signed(solve, b):
    both = solve(np.concatenate([np.maximum(b, 0.0), np.maximum(-b, 0.0)]))
    return both[:len(b)] - both[len(b):]
