"""Standard errors and correlation times of time averages, from groups of independent walkers and from batches
of time."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

# batches of time kept; when they are full, neighbours are joined and the next ones are twice as long
N_BATCHES = 64
MANY = 16                # as many independent groups make batches of time unnecessary
LEVEL = 0.99865          # one-sided: 99.73 % two-sided, three standard errors of a normal law


class BatchMeans:
    """Sums of `n_quantities` over time for each group of walkers, in at most `N_BATCHES` batches of equal
    length.

    The length doubles by joining neighbours when all are full, so that neither the number of snapshots need
    be known nor does it matter in which portions they come: the batches depend on the snapshots alone.
    """

    def __init__(self, sizes, n_quantities):
        self.sizes = np.asarray(sizes, np.int64)
        shape = (self.sizes.size, n_quantities)
        self.table = np.zeros((N_BATCHES, *shape))
        self.open, self.squares = np.zeros(shape), np.zeros(shape)
        self.length, self.n_full, self.n_open = 1, 0, 0

    @property
    def n_saved(self):
        """Snapshots so far."""
        return self.n_full * self.length + self.n_open

    def add(self, sums, squares):
        """Take the sums (n_snapshots, n_groups, n_quantities) over the walkers of each group, and those of
        squares."""
        self.squares = _added(self.squares, squares)
        begin = 0
        while begin < len(sums):
            end = min(len(sums), begin + self.length - self.n_open)
            self.open = _added(self.open, sums[begin:end])
            self.n_open += end - begin
            begin = end
            if self.n_open == self.length:
                self.table[self.n_full] = self.open
                self.open = np.zeros_like(self.open)
                self.n_open = 0
                self.n_full += 1
                if self.n_full == N_BATCHES:
                    half = N_BATCHES // 2
                    self.table[:half] = self.table[0::2] + self.table[1::2]
                    self.table[half:] = 0
                    self.n_full, self.length = half, 2 * self.length

    def state(self):
        """Everything, as arrays."""
        return {"table": self.table.copy(), "open": self.open, "squares": self.squares, "sizes": self.sizes,
                "counters": np.array([self.length, self.n_full, self.n_open])}

    def restore(self, state):
        """Go on from `state`."""
        if state["table"].shape != self.table.shape or not np.array_equal(state["sizes"], self.sizes):
            raise ValueError("the saved statistics have another shape; they belong to another run.")
        self.table, self.open, self.squares = (np.array(state[name], float)
                                               for name in ("table", "open", "squares"))
        self.length, self.n_full, self.n_open = (int(n) for n in state["counters"])

    def averages(self):
        """One `Average` a quantity."""
        return [self._average(q) for q in range(self.open.shape[1])]

    def _average(self, q):
        n, saved = self.sizes.sum(), self.n_saved
        table = self.table[: self.n_full, :, q]
        totals = table.sum(0) + self.open[:, q]
        mean = totals.sum() / (n * saved)
        variance = max(self.squares[:, q].sum() / (n * saved) - mean**2, 0.0)
        weights = self.sizes / n
        drift = 0.0
        if self.sizes.size >= MANY:
            error, dof, length = *_spread(totals / (self.sizes * saved), weights), saved
            half = self.n_full // 2
            if half:
                change = (table[half: 2 * half].sum(0) - table[:half].sum(0)) / (self.sizes * half
                                                                                 * self.length)
                size = _spread(change, weights)[0]
                drift = float(weights @ change / size) if size > 0 else 0.0
        else:
            joined = 1  # batches as long as possible, but at least 20 pieces of groups and time together
            while self.n_full // (2 * joined) * self.sizes.size >= 20:
                joined *= 2
            n_pieces = self.n_full // joined
            length = joined * self.length
            pieces = table[: n_pieces * joined].reshape(n_pieces, joined, -1).sum(1) / (self.sizes * length)
            error, dof = _spread(pieces.ravel(), np.tile(weights / max(n_pieces, 1), n_pieces))
            error *= np.sqrt(n_pieces * length / saved)
        scale = mean**2 + variance
        if variance <= 1e-14 * scale:       # nothing moves: rounding of the sums of squares
            variance = 0.0
        inefficiency = max(n * saved * error**2 / variance,
                           1.0) if variance > 0 and np.isfinite(error) else 1.0
        return Average(mean, error, dof, variance, inefficiency, n * saved / inefficiency, length, drift)


@dataclass(frozen=True)
class Average:
    """A time average: mean, its standard error and degrees of freedom, the variance of one sample, the
    statistical inefficiency (samples worth one independent one), the effective number, the snapshots of one
    independent piece, and the change from the first to the second half in its standard errors."""
    mean: float
    standard_error: float
    dof: int
    variance: float
    inefficiency: float
    n_effective: float
    length: int
    drift: float

    @property
    def bound(self):
        """Half width of the interval that misses the expectation once in 370 times."""
        return self.standard_error * bound_factor(self.dof)


def bound_factor(dof):
    """Quantile of Student's law that three standard errors have for a normal law."""
    return float(stdtrit(dof, LEVEL)) if dof > 0 else np.inf


def _added(start, rows):
    """start + rows[0] + rows[1] + ... strictly in this order: a plain sum would pair them differently for
    every number of rows."""
    return np.add.accumulate(np.concatenate([start[None], rows]), axis=0)[-1].copy()


def _spread(means, weights):
    """Standard error of sum(weights * means) for independent means, and its degrees of freedom."""
    pieces = means.size
    if pieces < 2:
        return np.inf, 0
    deviation = means - weights @ means / weights.sum()
    return float(np.sqrt(pieces / (pieces - 1) * (weights**2 @ deviation**2))), pieces - 1
