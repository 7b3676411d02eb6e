"""The density of the chain of samples from any height: implicit steps on its rates, no weight exp(-f/theta)
inside.

p' = K p, with K_ba the rate from a to b, which is finite wherever a and b are: the descent from thousands of
theta above the wells is a matter of time steps and not of the range of doubles. One backward Euler step
against two of half the length gives the error, their extrapolation the result [1]_.

.. [1] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer (1996), section IV.9.
"""
from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, identity
from scipy.sparse.linalg import splu

TOLERANCE = 2e-3                     # half the L1 norm of the difference of one step and two
LEAST_STEP = 1e-12                   # of the first one: below, the step is taken as it is


def propagated(chain, start, times, gibbs, near, until=0.0):
    """Probabilities (n_times, n_cells) of the cells at rising times, from those at time zero; fewer times
    when half the L1 distance to `gibbs` has come below `near`, but those up to `until`.

    Parameters
    ----------
    chain : SampledDiffusion
        Of unbounded height.
    start, gibbs : ndarray (n_cells,)
    times : ndarray (n_times,)
    """
    a, b, forth, back = chain.rates()
    n = start.size
    off = coo_matrix((np.r_[forth, back], (np.r_[b, a], np.r_[a, b])), shape=(n, n)).tocsc()
    K = off - coo_matrix((np.asarray(off.sum(axis=0)).ravel(), (np.arange(n),) * 2), shape=(n, n)).tocsc()
    unit, factors, found = identity(n, format="csc"), {}, []

    def euler(p, dt):
        if dt not in factors:
            # columns of I - dt K sum to one: diagonally dominant, no pivoting
            factors[dt] = splu(unit - dt * K, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                               options={"SymmetricMode": True})
        return factors[dt].solve(p)

    now, p, dt, least = 0.0, np.asarray(start, float), times[0] / 4, LEAST_STEP * times[0]
    while len(found) < len(times):
        whole, halves = euler(p, dt), euler(euler(p, dt / 2), dt / 2)
        error = 0.5 * np.abs(whole - halves).sum()
        if error > TOLERANCE and dt > least:
            dt /= 2
            continue
        after = np.maximum(2 * halves - whole, 0.0)
        after /= after.sum()
        while len(found) < len(times) and times[len(found)] <= now + dt:
            time = times[len(found)]
            s = (time - now) / dt
            found.append((1 - s) * p + s * after)
            if time >= until and 0.5 * np.abs(found[-1] - gibbs).sum() < near:
                return np.array(found)
        now, p = now + dt, after
        if error < TOLERANCE / 4:
            dt *= 2
            factors = {step: lu for step, lu in factors.items() if step >= dt / 2}
    return np.array(found)
