"""Predator and prey in a space of hypotheses: OUR OWN minimal reading of "a GAN is a predator and its prey".

The equations of the papers behind that sentence (arXiv:2412.10716, arXiv:2402.19035) are not known to us;
this is not their model and says nothing about a trained network. Prey u (discriminators, 2402.19035) and
predators v (generators) diffuse on a line, and a predator within range r eats:

    du/dt = theta div[e^{-f/theta} grad(u e^{f/theta})] + u (b (1 - int u) - c K*v)
    dv/dt = theta_v lap v + v (e c K*u - m),        K(x) = exp(-x^2/(2 r^2))/(r sqrt(2 pi))

f = -theta log of two equal Gaussians, one narrow and one wide: without predators the prey is that mixture.
The question: does predation move the prey to the wide well?
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import checks
from ..core.grid import Grid
from ..core.views.tables import Tabular
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..potentials.potential import Potential

BOUNDS, HALF_DISTANCE = (-2.0, 3.0), 0.6


@dataclass(frozen=True)
class Predation(Tabular):
    """Stationary (late mean) state of predators and prey.

    Attributes
    ----------
    share : float
        Share of the prey on the wide side of the saddle.
    undisturbed : float
        The same share without predators.
    prey, predators : float
        Total populations in units of the capacity; predators below 1e-6 have died out.
    range, attack : float
        r and c.
    """
    share: float
    undisturbed: float
    prey: float
    predators: float
    range: float
    attack: float


def landscape(theta: float = 0.05, narrow: float = 0.12, wide: float = 0.6) -> tuple[Potential, float]:
    """The potential f of the two wells, a `Potential` on a line, and the place of the saddle between them."""
    V = Potential("-theta*log(0.5*exp(-(x + d)**2/(2*narrow**2))/narrow + 0.5*exp(-(x - "
                  "d)**2/(2*wide**2))/wide + 1e-12)", theta=theta, narrow=narrow, wide=wide, d=HALF_DISTANCE)
    x = np.linspace(-HALF_DISTANCE, HALF_DISTANCE, 4001)
    return V, float(x[np.argmax(V(x[:, None]))])


def predation(range=0.1, attack=1.0, theta=0.05, narrow=0.12, wide=0.6, birth=1.0, efficiency=1.0, death=0.2,
              theta_v=0.05, t_end=400.0, dt=0.04, n_cells=160):
    """Late mean of the mean-field equations: exact exponentials of the diffusion, then the reaction, step by
    step (first order in dt).

    Parameters
    ----------
    range, attack : float
        r, in the units of x, and c.
    theta, theta_v, narrow, wide, birth, efficiency, death : float
        theta, theta_v, the widths of the wells, b, e and m.
    t_end, dt, n_cells
        Time (its second half is averaged), step, cells on [-2, 3].

    Returns
    -------
    Predation

    Examples
    --------
    >>> from fpkit.learning.predator_prey import predation
    >>> alone = predation(attack=0.0, t_end=40.0)
    >>> bool(abs(alone.share - alone.undisturbed) < 1e-9)
    True
    """
    from scipy.linalg import expm

    r, c = checks.number("range", range, positive=True), checks.number("attack", attack, non_negative=True)
    dt, t_end = checks.number("dt", dt, positive=True), checks.number("t_end", t_end, positive=True)
    V, saddle = landscape(theta, narrow, wide)
    grid = Grid([BOUNDS], (checks.whole("n_cells", n_cells, 10),))
    D = FokkerPlanck(V, theta, grid)
    x, h = grid.centres[0], float(grid.widths[0][0])
    step_u = expm(dt * D.generator.toarray().T)
    step_v = expm(dt * FokkerPlanck(Potential("0*x"), theta_v, grid).generator.toarray().T)
    K = np.exp(-((x[:, None] - x) ** 2) / (2 * r * r)) * h / (r * np.sqrt(2 * np.pi))
    weights = np.exp(D.log_mass)
    u = weights / weights.sum() / h
    is_wide = x > saddle
    undisturbed = float(u[is_wide].sum() * h)
    v = np.full(len(x), 0.1 / (BOUNDS[1] - BOUNDS[0]))
    late, n = [], round(t_end / dt)
    for k in np.arange(n):
        u, v = step_u @ u, step_v @ v
        growth = birth * (1 - u.sum() * h) - c * (K @ v), efficiency * c * (K @ u) - death
        u, v = u * np.exp(dt * growth[0]), v * np.exp(dt * growth[1])
        if k >= n // 2:
            late.append((u[is_wide].sum() / u.sum(), u.sum() * h, v.sum() * h))
    share, prey, predators = np.mean(late, axis=0)
    return Predation(float(share), undisturbed, float(prey), float(predators), r, c)
