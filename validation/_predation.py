"""Predator and prey as a branching process, beside the densities of `fpkit.learning.predator_prey`."""
import numpy as np

from fpkit.core import checks
from fpkit.learning.predator_prey import BOUNDS, HALF_DISTANCE, Predation, landscape


def predation_by_particles(n_capacity=2000, range=0.1, attack=1.0, theta=0.05, narrow=0.12, wide=0.6,
                           birth=1.0, efficiency=1.0, death=0.2, theta_v=0.05, t_end=200.0, dt=0.04, seed=1):
    """The same as a branching process: `n_capacity` is the number of prey that the place carries; mean field
    when it is large.

    Each prey diffuses in f, splits at rate birth (1 - N/n_capacity) (dies at that rate when negative) and is
    eaten at the rate attack sum_j K(x - y_j)/n_capacity; each predator diffuses, splits at the rate
    efficiency attack sum_i K(x_i - y)/n_capacity and dies at the rate death. Shares are means over the second
    half of the time.

    Returns
    -------
    Predation
    """
    rng = np.random.default_rng(seed)
    N = checks.whole("n_capacity", n_capacity, 10)
    r, c = checks.number("range", range, positive=True), checks.number("attack", attack, non_negative=True)
    V, saddle = landscape(theta, narrow, wide)
    low, high = BOUNDS
    bins, width = 500, (high - low) / 500
    centres = low + width * (np.arange(bins) + 0.5)
    kernel = np.exp(-((centres[:, None] - centres) ** 2) / (2 * r * r)) / (r * np.sqrt(2 * np.pi)) / N
    where = lambda z: np.clip(((z - low) / width).astype(int), 0, bins - 1)
    field = lambda z: (kernel @ np.bincount(where(z), minlength=bins))
    mirror = lambda z: np.clip(low + abs(z - low) - 2 * np.maximum(low + abs(z - low) - high, 0), low, high)
    x = np.where(rng.random(N) < 0.5, -HALF_DISTANCE + narrow * rng.normal(size=N),
                 HALF_DISTANCE + wide * rng.normal(size=N))
    x, y = mirror(x), rng.uniform(low, high, N // 10)
    late, n = [], round(t_end / dt)
    # the narrow well has curvature theta/narrow^2
    inner = max(1, int(np.ceil(dt / (0.1 * narrow**2 / theta * theta))))
    for k in np.arange(n):
        for _ in np.arange(inner):
            x = mirror(x - dt / inner * V.gradient(x[:, None])[:, 0]
                       + np.sqrt(2 * theta * dt / inner) * rng.normal(size=x.size))
        y = mirror(y + np.sqrt(2 * theta_v * dt) * rng.normal(size=y.size))
        net, eaten, food = birth * (1 - x.size / N), field(y)[where(x)], field(x)[where(y)]
        born = rng.random(x.size) < dt * max(net, 0.0)
        lost = rng.random(x.size) < 1 - np.exp(-dt * (c * eaten + max(-net, 0.0)))
        more, dead = rng.random(y.size) < 1 - np.exp(-dt * efficiency * c
                                                     * food), rng.random(y.size) < 1 - np.exp(-dt * death)
        x, y = np.concatenate([x[~lost], x[born & ~lost]]), np.concatenate([y[~dead], y[more & ~dead]])
        if x.size == 0:
            break
        if k >= n // 2:
            late.append(((x > saddle).mean(), x.size / N, y.size / N))
    share, prey, predators = np.mean(late, axis=0) if late else (np.nan, 0.0, 0.0)
    weights = np.exp(-V(centres[:, None]) / theta)
    return Predation(float(share), float(weights[centres > saddle].sum() / weights.sum()), float(prey),
                     float(predators), r, c)
