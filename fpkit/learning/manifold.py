"""How much of the space of hypotheses fits a sample: the evidence by thermodynamic integration, and its cut
by each example.

With the prior x ~ N(0, prior^2) and the sum of losses H_n(x) = sum_{l<=n} L(z_l, x),

    Z_n(beta) = E exp(-beta H_n(x)),      -log Z_n(beta) = int_0^beta <H_n>_b db,

where <.>_b is the mean under the prior times exp(-b H_n). Z_n is the share of the prior's volume that fits
the n examples to an accuracy of about 1/sqrt(beta): log Z_n is the entropy of the (thickened) zero-risk set
relative to the prior's.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.quadrature import simpson
from ..core.results import Estimate
from ..langevin.dynamics.ensemble import Ensemble
from ..potentials.potential import Potential
from .problem import LearningProblem

WANTED_ACCEPTANCE = 0.6


def log_evidence(problem: LearningProblem, beta: float, n_examples: int | None = None, prior: float = 1.0,
                 n_levels: int = 33, n_steps: int = 200, n_paths: int = 256, seed: int = 1) -> Estimate:
    """log Z_n(beta) of the first `n_examples` members of the training sample, by thermodynamic integration,
    as an Estimate.

    Walkers drawn from the prior follow a ladder of b from 0 to beta, equal in log(1 + b/b0), with
    Metropolis-adjusted Langevin steps (`fpkit.simulate`, "mala": exact at any step). Between two levels they
    are resampled by their weights exp(-(b' - b) H), which keeps separate parts of the zero-risk set in
    proportion, and whose mean gives a second estimate of the same number (population annealing). The integral
    is Simpson's; `error` adds two standard errors of the means over the walkers, the difference to Simpson's
    rule with every second level, and the difference to the second estimate.

    Parameters
    ----------
    problem : LearningProblem
    beta : float
        Per unit of the SUM of losses.
    n_examples : int, optional
        Default: the whole training sample. The members are taken in their order.
    prior : float
        Standard deviation of each parameter.
    n_levels : int
        1 + a multiple of 4.
    n_steps, n_paths, seed
        Steps at each level (the first half lets the walkers settle), walkers, seed.

    Examples
    --------
    >>> from fpkit.learning.factorisation import MatrixFactorisation
    >>> from fpkit.learning.manifold import log_evidence
    >>> problem = MatrixFactorisation(rows=2, columns=2, n_examples=2)
    >>> found, exact = log_evidence(problem, beta=20.0), problem.log_evidence(20.0)[-1]
    >>> bool(abs(found - exact) < found.error)
    True
    """
    beta, prior = checks.number("beta", beta, positive=True), checks.number("prior", prior, positive=True)
    n_levels = checks.whole("n_levels", n_levels, 5)
    if (n_levels - 1) % 4:
        raise ValueError("n_levels must be 1 + a multiple of 4 (for the error of Simpson's rule), got "
                         f"{n_levels}.")
    members = problem._index["train"][:n_examples]
    n = len(members)
    d = problem.n_params
    total = lambda X: problem._each(X, lambda Y: problem._losses(Y, members), members).sum(-1)
    slope = lambda X: n * problem._each(X, lambda Y: problem._gradient(Y, members), members)
    b0 = 0.1
    u = np.linspace(0.0, np.log1p(beta / b0), n_levels)
    levels = b0 * np.expm1(u)
    rng = np.random.default_rng([seed, 17])
    X = prior * rng.normal(size=(n_paths, d))
    H = total(X)
    means, errors, stepwise = [float(H.mean())], [float(H.std(ddof=1) / np.sqrt(n_paths))], 0.0
    dt = 0.05 * prior**2
    for k, b in enumerate(levels[1:], 1):
        log_w = -(b - levels[k - 1]) * H  # to the next level: reweight, and resample so that no mode is lost
        largest = log_w.max()
        w = np.exp(log_w - largest)
        stepwise += largest + np.log(w.mean())
        X = X[np.searchsorted(np.cumsum(w) / w.sum(),
                              (np.arange(n_paths) + rng.random()) / n_paths).clip(max=n_paths - 1)]
        V = Potential.black_box(lambda Y, b=b: b * total(Y) + 0.5 * (Y * Y).sum(-1) / prior**2,
                                lambda Y, b=b: b * slope(Y) + Y / prior**2, d)
        sums, count = np.zeros(n_paths), 0
        for part in range(10):
            ensemble = Ensemble(V, 1.0, X, dt, scheme="mala", seed=seed + 1000 * k + part)
            for _ in range(max(1, n_steps // 50)):
                ensemble.advance(5)
                if part >= 5:
                    H = total(ensemble.x)
                    sums += H
                    count += 1
            X = ensemble.x
            acceptance = ensemble.accepted.mean() / ensemble.step
            if part < 5:  # the step is settled before anything is counted
                dt *= np.exp(np.clip(acceptance - WANTED_ACCEPTANCE, -0.5, 0.3) * 2)
        walker = sums / count
        means.append(float(walker.mean()))
        errors.append(float(walker.std(ddof=1) / np.sqrt(n_paths)))
    weight = levels + b0                                         # db = (b + b0) du
    f, h = np.array(means) * weight, u[1] - u[0]
    rule = simpson(n_levels) * h / 3
    fine, coarse = float(rule @ f), float(simpson(n_levels // 2 + 1) * (2 * h) / 3 @ f[::2])
    noise = float(np.sqrt(rule**2 @ (np.array(errors) * weight) ** 2))
    return Estimate(-fine, 2 * noise + abs(fine - coarse) + abs(fine + stepwise), "thermodynamic integration",
                    status="ok",
                    inputs={"beta": beta, "n_examples": n, "prior": prior, "n_levels": n_levels,
                            "n_steps": n_steps, "n_paths": n_paths, "seed": seed, "stepwise": stepwise})


def cuts(log_z: ArrayLike) -> np.ndarray:
    """Nats of volume that each example removes: -(log Z_n - log Z_{n-1})."""
    return -np.diff(np.asarray(log_z, float))
