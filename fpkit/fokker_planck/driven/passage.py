"""Passage of driven diffusions: mean times, both committors, reactive flux and rate, exit and
quasi-stationary state, as sums of positive numbers.

With q the committor of B before A and q- that of the time-reversed process, the flux from A to B is
sum p q- k_B = sum p k_A- q over the states beside the regions, and the rate is the flux over sum p q- [1]_.

References
----------
.. [1] P. Metzner, C. Schuette, E. Vanden-Eijnden, Multiscale Model. Simul. 7, 1192 (2009).
"""
from __future__ import annotations

from functools import cached_property

import numpy as np

from ..boundary_values.first_passage import UNREACHABLE, LogField
from .chain import DrivenChain
from .stationary import _Level

__all__ = ["UNREACHABLE", "Between", "Survival", "log_passage_time"]

MOST_ROUNDS, SETTLED = 4000, 1e-14


def _log(values):
    with np.errstate(divide="ignore"):
        return np.log(values)


def _field(D, chain, values, in_region, smooth):
    """`LogField` of values at the states and logs in the regions."""
    log, at = np.full(D.grid.n_cells, np.nan), np.zeros(D.grid.n_cells, bool)
    log[chain.ids], at[chain.ids] = values, smooth
    for where, value in in_region:
        log[where.ravel()] = value
    return LogField(D, log.reshape(D.grid.shape), at.reshape(D.grid.shape))


def log_passage_time(D, target, reactivity=None):
    """log of the mean time to a region as `LogField`.

    With resetting at a rate r: tau = a (1 + r a(reset)/phi(reset)), a = (r - L)^-1 1, phi = (r - L)^-1 k.
    """
    if D.killing_rate is not None:
        raise ValueError("paths are killed and need not reach the target; ask for the committor, or leave "
                         "`killing` out.")
    if D.absorbing is not None:
        raise ValueError(f"paths are absorbed in {D.absorbing!r} and need not reach {target!r}; ask for the "
                         "committor between the two.")
    chain = DrivenChain(D, [target], reactivity)
    reached = chain.reaches(0)
    inside = [(chain.in_region[0], -np.inf if reactivity is None else np.nan)]
    if D.resetting is not None:
        r, start = D.resetting[0], D.reset_probabilities[chain.ids]
        right = np.stack([np.ones(chain.n), chain.killing(0)])
        a, phi = chain.factors(extra=np.full(chain.n, r)).solve(right)
        back = float(start @ a) / (float(start @ phi) + 1 - float(start.sum()))  # in the target: arrived
        tau = _log(a) + np.log1p(r * back)
        return _field(D, chain, tau, inside, np.isfinite(tau))
    tau = np.where(reached, _log(chain.factors().solve(np.ones(chain.n))), np.inf)
    return _field(D, chain, tau, inside, reached & np.isfinite(tau))


class Between:
    """Two regions A and B, what leads from one to the other, and what came from it."""

    def __init__(self, D, source, target):
        self.D, self.chain = D, DrivenChain(D, [source, target])
        self.factors = self.chain.factors()

    @cached_property
    def forward(self):
        """Probabilities (2, n) of reaching A first, and B first."""
        return self.factors.solve(np.stack([self.chain.killing(0), self.chain.killing(1)]))

    @cached_property
    def p(self):
        """Stationary probabilities (n_cells,)."""
        D = self.D
        level = D._remember(("driven level",), lambda: _Level(D))
        out = np.zeros(D.grid.n_cells)
        out[level.chain.ids] = level.p
        return out

    @cached_property
    def backward(self):
        """Probability times that of having come from A last, and from B last (2, n)."""
        c = self.chain
        return self.factors.solve_transposed(np.stack([c.inflow(0, self.p), c.inflow(1, self.p)]))

    def committor(self):
        values = _log(self.forward[1])
        inside = [(self.chain.in_region[0], -np.inf), (self.chain.in_region[1], 0.0)]
        return _field(self.D, self.chain, values, inside, np.isfinite(values))

    def backward_committor(self):
        """log of the probability of having been in A after B."""
        mine, others = self.backward
        with np.errstate(invalid="ignore"):
            values = _log(mine) - _log(mine + others)
        inside = [(self.chain.in_region[0], 0.0), (self.chain.in_region[1], -np.inf)]
        return _field(self.D, self.chain, values, inside, np.isfinite(values))

    def fluxes(self):
        """The flux out of A and the flux into B: equal."""
        c = self.chain
        return float(c.inflow(0, self.p) @ self.forward[1]), float(self.backward[0] @ c.killing(1))

    def log_flux(self):
        with np.errstate(divide="ignore"):
            return float(np.log(max(self.fluxes())))

    def log_rate(self):
        """log of the flux over the time spent coming from A."""
        time = self.backward[0].sum() + self.p[self.chain.in_region[0].ravel()].sum()
        with np.errstate(divide="ignore"):
            return self.log_flux() - float(np.log(time))


class Survival:
    """The quasi-stationary state outside a region: the slowest mode of the killed chain, by inverse iteration
    with positive vectors.

    Attributes
    ----------
    rate : float
        sum of nu times the killing: a sum of positive numbers.
    nu : ndarray (n,)
    """

    def __init__(self, D, target, reactivity=None):
        self.D, chain = D, DrivenChain(D, [target], reactivity)
        self.chain = chain
        if not chain.reaches(0).all():
            self.rate = 0.0
            return
        factors, kill = chain.factors(), chain.killing(0)
        for k in range(1, len(chain.log_killings)):
            kill = kill + chain.killing(k)
        nu, rate = np.full(chain.n, 1.0 / chain.n), np.inf
        for _ in range(MOST_ROUNDS):
            nu = factors.solve_transposed(nu)
            nu /= nu.sum()
            before, rate = rate, float(nu @ kill)
            if abs(rate - before) <= SETTLED * rate:
                break
        self.nu, self.rate = nu, rate

    @property
    def log_rate(self):
        return float(np.log(self.rate)) if self.rate > 0 else -np.inf

    def density(self):
        grid, p = self.D.grid, np.zeros(self.D.grid.n_cells)
        p[self.chain.ids] = self.nu
        return p.reshape(grid.shape) / grid.volumes

    def exits(self):
        """Points of the boundary (n, ndim) and the probabilities of leaving there."""
        c, space = self.chain, self.D._space
        cut = c.cuts[0]
        flow = self.nu[cut.i] * c.killing_of(cut)
        start = space.centres(c.ids[cut.i])
        end = np.where(cut.j >= 0, space.centres(np.maximum(cut.j, 0)), start)
        for k, (low, high) in enumerate(self.D.grid.bounds):
            if self.D.grid.periodic[k]:
                end[k] -= (high - low) * np.rint((end[k] - start[k]) / (high - low))
        s = np.nan_to_num(c.regions[0].crossing(start.T, end.T), nan=0.0)
        return (start + s * (end - start)).T, flow / flow.sum()
