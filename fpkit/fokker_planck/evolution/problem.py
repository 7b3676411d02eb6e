"""What an evolution needs to know of a diffusion: its lines, exact cell masses and functionals, also at other
times and on other grids."""
from __future__ import annotations

import numpy as np

from ... import __version__
from ...core.logarithms import chunks, dot, log_sum
from ..discretisation.absorbing_boundary import outside_fractions
from ..gibbs.quick_masses import LOCAL_ERROR, trusted_masses
from .assembly import assemble, axis_mobility, temperature
from .chain_operator import chain_lines
from .reconstruction import Reconstruction


class Problem:
    """A diffusion (`FokkerPlanck`, or another `ReversibleChain`), at any time when theta or f move."""

    def __init__(self, diffusion, parent=None):
        self.diffusion, self.parent = diffusion, parent
        self.grid, self.potential, self.theta = diffusion.grid, diffusion.potential, diffusion.theta
        self.mobility, self.absorbing = diffusion.mobility, diffusion.absorbing
        # a foreign chain exists on its own grid only, and stands still
        self.is_foreign = diffusion.nodes_are_cells
        self.is_moving = not self.is_foreign and (callable(self.theta) or self.potential.is_time_dependent)
        # with a force: lines of their own, and nothing that is known of the Gibbs density
        self.driven_process = None if self.is_foreign or diffusion.is_gradient else diffusion.frozen_process
        self._frozen = None, None
        self._of_masses = self._wait = None

    @property
    def inside(self):
        """Cells of the domain; None when neither a mask nor the potential's domain can exclude any."""
        if self.grid.mask is None and not self.is_foreign and not callable(self.potential.domain):
            return None
        return self.diffusion.inside

    @property
    def energies(self):
        """f at the cell centres, if the diffusion holds it already and f does not move; else None."""
        if self.is_foreign or self.potential.is_time_dependent:
            return None
        return self.diffusion.__dict__.get("_energies", (None,))[0]

    @property
    def is_split(self):
        """True when the chain is our own of order 4: the recommended scheme, nothing absorbed, a mobility
        without off-diagonal entries."""
        if self.diffusion.scheme != "recommended" or self.absorbing is not None:
            return False
        try:
            axis_mobility(self)
        except ValueError:
            return False
        return True

    def on(self, grid):
        """The same diffusion on another grid; half as many cells an axis take over the masses of this one."""
        return Problem(self.diffusion.on(grid), self)

    def frozen(self, time):
        """The diffusion at one moment."""
        if not self.is_moving:
            return self.diffusion
        if self._frozen[0] != time:
            self._frozen = time, self.diffusion.at(time)
        return self._frozen[1]

    def lines(self, order, time=0.0):
        if self.is_split:
            lines = assemble(self, time, order)
            if self._of_masses is None or self.is_moving:
                # masses come in one compiled pass, where that is good enough for the sum and nothing better
                # is there already
                self._wait, self._of_masses = (time, lines), None
            return lines
        return chain_lines(self.frozen(time), order)

    def theta_at(self, time):
        """Temperature at one moment; it may not reach zero."""
        return temperature(self.theta, time)

    def _masses(self, time):
        """(log masses (N,), f0, relative errors (N,) or None) at one moment."""
        if self._of_masses is not None and (not self.is_moving or self._of_masses[0] == time):
            return self._of_masses[1]
        found = None
        if self.parent is not None and not self.is_moving and all(
                n == 2 * m for n, m in zip(self.parent.grid.shape, self.grid.shape)):
            logs, f0, _ = self.parent._masses(time)
            top = logs.max()
            with np.errstate(divide="ignore"):
                logs = np.log(joined(np.exp(logs - top), self.parent.grid.shape)).ravel() + top
            found = np.where(np.asarray(self.diffusion.inside).ravel(), logs, -np.inf), f0, None
        elif (self._wait is not None and self._wait[0] == time
              and "_cell_masses" not in self.diffusion.__dict__):
            found = self._quick_masses(self._wait[1], time)
        if found is None:
            frozen = self.frozen(time)
            found = np.asarray(frozen.cell_log_mass, float).ravel(), float(frozen.f0), None
        self._of_masses = time, found
        return found

    def _quick_masses(self, lines, time):
        V = self.potential
        p = V.p
        if V.is_time_dependent:
            p = np.array(p)
            p[V.time_index] = time
        found = trusted_masses(V, p, 1 / lines.theta, self.grid, lines.f0, lines.b, lines.inside)
        return None if found is None else (found[0], lines.f0, found[1])

    def is_rough(self, P):
        """True, once, when the quick masses are not good enough where the density P lives; the next ones are
        exact."""
        error = None if self._of_masses is None else self._of_masses[1][2]
        return error is not None and sum(dot(P[part], error[part].astype(float))
                                         for part in chunks(P.size)) > LOCAL_ERROR[self.grid.ndim]

    def forget_quick_masses(self):
        """Masses that are asked for from now on are exact."""
        self._of_masses = self._wait = None

    def log_mass(self, time):
        """log of int exp(-beta (f - f0)) over the cells (N,), -inf outside."""
        return self._masses(time)[0]

    def mass_error(self, P, time):
        """What the stated errors of the cell masses do to the probabilities P, in L1."""
        error, more = self._masses(time)[2], 0.0
        if self.is_foreign or error is None and self.parent is not None:
            return 0.0
        if error is None:
            masses = self.frozen(time)._cell_masses
            error, more = masses.relative_error, masses.total_error
        return 2 * sum(dot(P[part], error[part].astype(float)) for part in chunks(P.size)) + more

    def f0(self, time):
        return self._masses(time)[1]

    def reading(self, lines, time, parts=None):
        """`Reconstruction` at one moment, by the exact masses of what is not absorbed of each cell."""
        logs = self.log_mass(time)
        if self.absorbing is not None:
            space = self.frozen(time)._space
            logs = np.where(space.states.ravel(), logs + outside_fractions(space), -np.inf)
        return Reconstruction(lines, logs - (self.f0(time) - lines.f0) / lines.theta, parts)

    # functionals
    # ----------------------------------------------------------------------------------------------------
    def equilibrium(self, time, reading, masses):
        """Exact cell probabilities of the equilibrium, each connected part with its own mass."""
        return reading.scaled(reading.G, masses)

    def functionals(self, P, time, reading, masses):
        """Free energy, relative entropy and total variation distance to the equilibrium; NaN with a force."""
        if self.driven_process is not None:
            return np.nan, np.nan, np.nan
        log_mass, f0, theta = self.log_mass(time), self.f0(time), self.theta_at(time)
        Q = self.equilibrium(time, reading, masses)
        gap = entropy = own = 0.0
        with np.errstate(divide="ignore"):
            for part in chunks(P.size):
                at = P[part] > 0
                p, q = P[part][at], Q[part][at]
                logs = np.log(p)
                gap += float(np.abs(P[part] - Q[part]).sum())
                entropy += float((p * (logs - np.log(q))).sum())  # inf where Q underflows and P does not
                own += float((p * (logs - log_mass[part][at])).sum())
        entropy = max(entropy, 0.0) if self.absorbing is None else entropy
        return f0 * float(P.sum()) + theta * own, entropy, 0.5 * gap

    def resolution(self, lines, reading):
        """log of sum D / sum G: of the nodes' sum of exp(-beta f) over its integral over the domain; 0 with a
        force, which may keep the density elsewhere."""
        if self.driven_process is not None:
            return 0.0
        nodes = np.log(lines.masses.sum() * float(self.grid.volumes.mean()))
        return float(nodes - log_sum(reading.log_mass))

    def theta_text(self, times):
        return [self.theta_at(t) for t in times] if callable(self.theta) else float(self.theta)

    def provenance(self):
        """What made the chain, as plain data."""
        V, D = self.potential, self.diffusion
        mobility = self.mobility
        made_of = {"potential": str(V), "digest": "", "params": {}} if self.is_foreign else {
            "potential": str(V.source), "digest": str(V.digest),
            "params": {k: float(v) for k, v in V.params.items()}}
        return {"version": __version__, **made_of,
                "theta": repr(D.theta) if callable(D.theta) else float(D.theta), "scheme": D.scheme,
                "mobility": None if mobility is None else repr(mobility) if callable(mobility)
                else np.asarray(mobility).tolist(),
                "absorbing": None if self.absorbing is None else repr(self.absorbing),
                "shape": list(self.grid.shape), "bounds": [list(b) for b in self.grid.bounds],
                "periodic": list(self.grid.periodic)}


def joined(values, shape):
    """Sums over blocks of two cells along each axis; values of size prod(shape)."""
    split = [m for n in shape for m in (n // 2, 2)]
    return np.reshape(values, split).sum(axis=tuple(range(1, 2 * len(shape), 2)))
