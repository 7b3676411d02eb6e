"""From what a user gives to the process that paths follow, and what their steps go down along."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ...potentials.diffusion import Diffusion
from ...potentials.mobility import mobility_of
from ...potentials.potential import Potential
from ...potentials.vector_field import VectorField


def process_of(potential, theta, mobility, force) -> Diffusion | None:
    """The process of a call ``(potential, theta, ..., mobility=, force=)``, or the `Diffusion` in place of
    the potential; None where it is a gradient with a mobility that needs nothing of a Diffusion."""
    if isinstance(potential, Diffusion):
        process = potential
        if force is not None:
            raise TypeError("the force is part of the process; leave out force=.")
    elif force is not None or (isinstance(potential, Potential) and mobility is not None
                               and mobility_of(mobility, potential.ndim).is_tensor):
        process = Diffusion(potential, theta, mobility, force)
    else:
        return None
    is_more = not process.is_gradient or process.mobility.is_tensor
    return process if is_more or isinstance(potential, Diffusion) else None


def arguments_of(potential, theta, mobility=None, force=None):
    """(what an `Ensemble` takes first, potential, theta, mobility) of a public call, checked.

    The first is the `Diffusion` where it is more than a potential, a temperature and a mobility.
    """
    if isinstance(potential, Diffusion):
        for name, value in (("theta", theta), ("mobility", mobility), ("force", force)):
            if value is not None:
                raise TypeError(f"{name} is part of the process; leave out {name}= or give a Potential.")
        process = potential
    else:
        if not isinstance(potential, Potential):
            raise TypeError(f"potential must be a Potential or a Diffusion, got {checks.shown(potential)}; "
                            "make one with fp.Potential(...).")
        if theta is None:
            raise TypeError("theta is missing: the temperature, in the units of the potential.")
        process = process_of(potential, theta, mobility, force)
        if process is None:
            return potential, potential, theta, mobility
    M = None if process.mobility.is_unit else process.mobility
    if process.is_gradient and not process.mobility.is_tensor:
        return process.potential, process.potential, process.theta, M
    return process, process.potential, process.theta, M


def source_of(ensemble):
    """Text of what paths follow, for the inputs of results."""
    process = ensemble.process
    return ensemble.potential.source if process is None or process.is_gradient else repr(process)


def needed(**arguments):
    """Refuse arguments that were left out."""
    for name, value in arguments.items():
        if value is None:
            raise TypeError(f"{name} is missing.")


def stepped_along(potential, M, process):
    """(field, is_drift, n_rows): what block "gradient" a step goes down along, whether it is minus the whole
    drift, and the rows of M(x) below it. The field is None where only ``process.drift`` knows it."""
    if process is None or process.is_gradient and M.is_constant:
        return potential, False, 0
    if M.is_constant and not M.is_degenerate:
        return process.slope, False, 0
    drift = process.drift_field
    if drift is None:
        return None, True, 0
    if M.is_constant:
        return drift.transformed(-np.eye(potential.ndim)), True, 0
    parts = [(V, ("value",)) for V in _lower(M.parts)]
    return VectorField(drift.ndim, [*drift.sources, *parts], _DriftAndNoise(drift.rule, len(parts)),
                       "drift and noise", drift.values), True, len(parts)


def _lower(parts):
    """The entries of M(x) that its root needs: one, the diagonal, or the lower triangle row by row."""
    return list(parts[np.tril_indices(len(parts))]) if parts.ndim == 2 else list(parts.ravel())


class _DriftAndNoise:
    """Minus the drift, then the values of the last sources."""

    def __init__(self, rule, n_parts):
        self.rule, self.n_parts = rule, n_parts

    def __call__(self, jets, values):
        return [*(-a for a in self.rule(jets[:-self.n_parts], values)),
                *(jet.value for jet in jets[-self.n_parts:])]
