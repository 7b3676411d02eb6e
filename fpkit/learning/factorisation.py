"""Matrix factorisation from single entries: a learning problem whose zero-risk manifold is known exactly.

A hypothesis is a pair U (rows, rank), V (columns, rank); each example is one entry of a target matrix T and

    L(z, x) = (U_i . V_j - T_ij)^2/2.

With rank 1 the observed entries are the edges of a graph between rows and columns. An edge that joins two
parts of it is one new equation and takes one dimension from the zero-risk manifold; an edge inside a part
only repeats what is known (the target has rank 1). Its dimension is therefore rows + columns - edges of a
spanning forest, whatever the order of the examples.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import checks
from .problem import HalfSquaredError, LearningProblem, views


@dataclass(frozen=True, repr=False)
class MatrixFactorisation(HalfSquaredError, LearningProblem):
    """Learn a matrix of low rank from some of its entries.

    Parameters
    ----------
    rows, columns, rank : int
    n_examples : int
        Entries of the training sample; the others are the test sample.
    order : {"path", "random"}
        Order in which entries are observed: "path" walks down the two diagonals (0,0), (1,0), (1,1), (2,1),
        ... first, so that the first rows + columns - 1 entries are independent, then takes the rest; "random"
        by the seed.
    seed : int
        Decides the target, the random order and the start.

    Examples
    --------
    >>> from fpkit.learning.factorisation import MatrixFactorisation
    >>> problem = MatrixFactorisation(rows=4, columns=4, n_examples=5)
    >>> problem.n_params, problem.zero_risk_dimension()
    (8, 3)
    """
    rows: int = 5
    columns: int = 5
    rank: int = 1
    n_examples: int = 5
    order: str = "path"
    seed: int = 0

    def __post_init__(self):
        for name in ("rows", "columns", "rank"):
            checks.whole(name, getattr(self, name), 1)
        total = self.rows * self.columns
        n = checks.whole("n_examples", self.n_examples, 1)
        if n >= total:
            raise ValueError(f"n_examples must leave an entry for the test sample, got {n} of {total}.")
        rng = np.random.default_rng([checks.whole("seed", self.seed, 0), 11])
        sign = lambda shape: rng.choice([-1.0, 1.0], shape) * (0.7 + 0.6 * rng.random(shape))
        target = sign((self.rows, self.rank)) @ sign((self.rank, self.columns))
        if checks.choice("order", self.order, ("path", "random")) == "random":
            listed = [tuple(divmod(int(k), self.columns)) for k in rng.permutation(total)]
        else:
            steps = [(k // 2 + k % 2, k // 2) for k in range(2 * max(self.rows, self.columns))]
            path = [(i, j) for i, j in steps if i < self.rows and j < self.columns]
            listed = path + [(i, j) for i in range(self.rows)
                             for j in range(self.columns) if (i, j) not in path]
        i, j = np.array(listed).T
        for name, value in (("_entries", (i, j)), ("_targets", target[i, j][:, None]),
                            ("_cost", float(self.rank)),
                            ("_index", {"train": np.arange(n), "test": np.arange(n, total)})):
            object.__setattr__(self, name, value)

    @property
    def n_params(self) -> int:
        """Length of a parameter vector."""
        return (self.rows + self.columns) * self.rank

    def layers(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views U (..., rows, rank) and V (..., columns, rank) into parameter vectors."""
        return views(x, (self.rows, self.rank), (self.columns, self.rank))

    def start(self, scale: float = 1.0, seed: int | None = None) -> np.ndarray:
        """Random initial parameters, scale * N(0, 1)."""
        rng = np.random.default_rng([self.seed if seed is None else seed, 13])
        return scale * rng.normal(size=self.n_params)

    def _outputs(self, X, members):
        U, V = self.layers(X)
        i, j = (e[members] for e in self._entries)

        def back(slope):
            g = np.zeros((len(X), self.n_params), slope.dtype)
            gU, gV = self.layers(g)
            np.add.at(gU, (slice(None), i), slope * V[:, j])
            np.add.at(gV, (slice(None), j), slope * U[:, i])
            return g
        return (U[:, i] * V[:, j]).sum(-1, keepdims=True), back

    def independent_examples(self) -> int:
        """Number of independent equations among the training entries: edges of a spanning forest (rank 1)."""
        if self.rank != 1:
            raise ValueError(f"the zero-risk manifold is known exactly for rank 1, got rank {self.rank}.")
        part = list(range(self.rows + self.columns))

        def root(k):
            while part[k] != k:
                k = part[k]
            return k
        found = 0
        for i, j in zip(*(e[:self.n_examples] for e in self._entries)):
            a, b = root(int(i)), root(self.rows + int(j))
            found += a != b
            part[a] = b
        return found

    def zero_risk_dimension(self) -> int:
        """Exact dimension of the zero-risk manifold (rank 1)."""
        return self.n_params - self.independent_examples()

    def log_evidence(self, beta: float, n_points: int = 400) -> np.ndarray:
        """log Z_n(beta) = log E exp(-beta sum_l L(z_l, x)) over the prior x ~ N(0, 1), by exact summation
        along the path of entries.

        exp(log Z_n) is the share of the prior's volume that fits the first n entries to an accuracy of
        1/sqrt(beta). For rank 1, order "path" and at most rows + columns - 1 entries, where each entry
        couples the next coordinate to the one before: n one-dimensional integrals by the trapezoidal rule in
        a transfer matrix (1e-8 with 400 points at beta = 100).

        Returns
        -------
        ndarray, shape (n_examples + 1,)
            For 0, 1, ... n_examples entries.
        """
        beta = checks.number("beta", beta, non_negative=True)
        if self.rank != 1 or self.order != "path" or self.n_examples > self.independent_examples():
            raise ValueError('log_evidence is exact for rank 1, order "path" and at most rows + columns - 1 '
                             "entries; use `log_evidence` of fpkit.learning.manifold for others.")
        from scipy.special import logsumexp

        # a uniform grid in each coordinate resolves the ridges exp(-beta (u v - t)^2/2) of width
        # 1/(sqrt(beta) |u|); trapezoidal sums of smooth functions that vanish at the ends converge faster
        # than any power
        x = np.linspace(-6.5, 6.5, n_points | 1)
        log_w = np.log(x[1] - x[0]) - 0.5 * x * x - 0.5 * np.log(2 * np.pi)
        found, state = [0.0], log_w.copy()
        product = np.outer(x, x)
        for t in self._targets[:self.n_examples, 0]:
            state = logsumexp(state[:, None] - 0.5 * beta * (product - t) ** 2, axis=0) + log_w
            found.append(float(logsumexp(state)))
        return np.array(found)

    def __repr__(self) -> str:
        return (f"{self.rows} x {self.columns} matrix of rank {self.rank}: {self.n_train} training and "
                f"{self.n_test} test entries, {self.n_params} parameters, seed {self.seed}")
