"""Committors, capacities, passage times and quasi-stationary states of one chain, by sums of positive numbers
only."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...core.logarithms import log_sum
from ..discretisation.edge_integrals import hats
from ..discretisation.line_scheme import line_cuts
from ..gibbs.region_masses import region_masses
from .killed_chain import KilledChain

UNREACHABLE = "unreachable"
UNCERTAIN = 40.0                   # log of how much longer than a cut time a time must be to be known


@dataclass(frozen=True)
class LogField:
    """A positive function on the cells of one grid, in logarithms, and where it is smooth.

    Attributes
    ----------
    log : ndarray, shape grid.shape
        NaN outside the domain, +inf where a passage never happens, -inf where the value is 0.
    smooth : bool ndarray
        States, outside the regions, where the value is finite.
    """
    diffusion: object
    log: np.ndarray
    smooth: np.ndarray
    others: dict = field(default_factory=dict)


class CommittorSolution:
    """Two regions A and B and what passes between them on one chain.

    Attributes
    ----------
    q_source, q_target : ndarray (n,)
        Probabilities of reaching A before B, and B before A, from each state, each with full relative
        accuracy.
    """

    def __init__(self, diffusion, source, target):
        self.diffusion = diffusion
        self.out = KilledChain(diffusion, [source, target])
        out = self.out
        self.q_source, self.q_target = out.committors(out.factors())

    def values(self):
        """Committor of the target as `LogField`."""
        D, out = self.diffusion, self.out
        log = np.full(D.grid.n_cells, np.nan)
        with np.errstate(divide="ignore"):
            log[out.ids] = np.where(out.reaches_boundary, np.log(self.q_target), np.nan)
        log[out.in_region[0].ravel()], log[out.in_region[1].ravel()] = -np.inf, 0.0
        smooth = np.zeros(D.grid.n_cells, bool)
        smooth[out.ids[out.reaches_boundary]] = True
        return LogField(D, log.reshape(D.grid.shape), smooth.reshape(D.grid.shape),
                        {"q_source": self.q_source})

    @property
    def is_reachable(self):
        return bool((self.out.reaches(0) & self.out.reaches(1)).any())

    @property
    def log_capacity(self):
        """log of the flow of the target's committor into the source, in units of int exp(-beta (f - f0))."""
        out = self.out
        if not self.is_reachable:
            return -np.inf
        flows = [self._flow(0, self.q_target), self._flow(1, self.q_source)]
        with np.errstate(divide="ignore"):
            return float(np.log(max(flows))) + out.shift

    def _flow(self, k, q):
        """Flow of q into region k: through the edges that lead to the cells it cuts, whose rows all other
        cells agree with."""
        out = self.out
        beside = out.killings[k] > 0
        if out.rows is None or (beside & (out.killings[1 - k] > 0)).any():
            return float(out.killings[k] @ q)
        if out.is_on_cells:                                    # the form with the indicator of those cells
            return -out.laplacian.form(beside.astype(float), q)
        into, away = beside[out.I] & ~beside[out.J], beside[out.J] & ~beside[out.I]
        return float(out.c[into] @ (q[out.J] - q[out.I])[into] + out.c[away] @ (q[out.I] - q[out.J])[away])

    def log_source_mass(self):
        """log of int (probability of reaching A before B) exp(-beta (f - f0)).

        Between A and the nodes beside it the probability follows the hats of the rows of the chain: exact in
        one dimension, and where f is separable and the boundary lies along an axis.
        """
        D, out = self.diffusion, self.out
        if D.grid.ndim == 1 and out.chain.notes.get("scheme") == "quadrature/committor":
            return log_sum(np.concatenate([_up_to_the_nodes(D, out.regions[0]), out.log_m
                                           + _log(self.q_source)]))
        held = D._chain_masses[out.in_region[0].ravel()]
        kept = out.log_outside(0)
        if out.rows is None:
            # of cells with their centre outside A
            sliver = np.where(kept < 0, out.log_m + _log(-np.expm1(kept)) - kept, -np.inf)
            return log_sum(np.concatenate([held, sliver, out.log_m + _log(self.q_source)]))
        # a cell beside A counts whole, less what its hat takes away from it; a cell beside B counts what its
        # hat keeps
        hat, whole = np.exp(out.rows.log_mass_factor), out.log_m - out._log_open
        beside_a, beside_b = (np.isfinite(g) for g in out.log_killings[:2])
        share = np.where(beside_a, np.maximum(1 - hat * self.q_target, self.q_source),
                         np.where(beside_b, hat, 1.0) * self.q_source)
        return log_sum(np.concatenate([held, whole + _log(share)]))


def _log(values):
    with np.errstate(divide="ignore"):
        return np.log(values)


def _up_to_the_nodes(diffusion, region):
    """1D: logs of the masses of a region by cells, and of the hats of its boundary that end at the nodes
    beside it."""
    space = diffusion._space.with_region(region)
    parts = region_masses(space.without_region(), region)
    beside = [hats(space, space.grid.centres[0][None, i], step[None])[2] for i, step in line_cuts(space)]
    return np.concatenate([diffusion._cell_masses.log_mass[parts.whole], parts.masses.log_mass, *beside])


def passage_time(diffusion, target):
    """log tau as `LogField`: (K + ground) tau = m."""
    if diffusion.absorbing is not None:
        raise ValueError(f"paths are absorbed in {diffusion.absorbing!r} and need not reach {target!r}; ask "
                         "for the committor between the two.")
    out = KilledChain(diffusion, [target])
    reached = out.reaches(0)
    top = out.log_m.max()
    with np.errstate(divide="ignore"):
        tau = np.log(out.passage_time(out.factors(), top)) + top - out.shift
    if out.is_cut:  # times as short as those inside wells whose conductances were cut are not known
        tau[tau < top - out.largest + UNCERTAIN] = np.nan
    log = np.full(diffusion.grid.n_cells, np.nan)
    log[out.ids] = np.where(reached, tau, np.inf)
    log[out.in_region[0].ravel()] = -np.inf
    smooth = np.zeros(diffusion.grid.n_cells, bool)
    smooth[out.ids[reached & ~np.isnan(tau)]] = True
    return LogField(diffusion, log.reshape(diffusion.grid.shape), smooth.reshape(diffusion.grid.shape))
