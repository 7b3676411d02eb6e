"""Curvature and gradient noise at a hypothesis: the largest eigenvalue, the spectrum, harmonic entropy, and
the temperature of minibatch noise."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.results import Estimate
from ..core.views.tables import Tabular
from .problem import LearningProblem


def largest_curvature(problem: LearningProblem, x: ArrayLike, n_iterations: int = 60, tol: float = 1e-6,
                      seed: int = 0) -> Estimate:
    """Largest eigenvalue of the Hessian of the training risk at x by Lanczos iteration, as an Estimate.

    The value is a lower bound that converges from below; `error` is the residual |Hv - lambda v| of its
    vector, within which an eigenvalue lies. Gradient steps above 2/lambda leave the well.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> from fpkit.learning.curvature import largest_curvature
    >>> problem = ModularAddition(modulus=5, width=4)
    >>> found = largest_curvature(problem, problem.start())
    >>> exact = np.linalg.eigvalsh(problem.hessian(problem.start()))[-1]
    >>> bool(abs(found - exact) <= found.error)
    True
    """
    x = checks.points("x", x, problem.n_params)
    n = min(checks.whole("n_iterations", n_iterations, 1), problem.n_params)
    q = np.random.default_rng(seed).normal(size=problem.n_params)
    Q, alpha, beta = [q / np.linalg.norm(q)], [], []
    for k in range(n):
        w = problem.hessian_vector(x, Q[k])
        alpha.append(float(w @ Q[k]))
        for _ in range(2):                                   # twice is enough to stay orthogonal
            for other in Q:
                w = w - (w @ other) * other
        beta.append(float(np.linalg.norm(w)))
        T = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
        values, vectors = np.linalg.eigh(T)
        if beta[-1] * abs(vectors[-1, -1]) <= tol * abs(values[-1]):
            break
        Q.append(w / beta[-1])
    return Estimate(values[-1], beta[-1] * abs(vectors[-1, -1]) + 1e-12 * abs(values[-1]),
                    f"Lanczos, {len(alpha)} products")


@dataclass(frozen=True, repr=False)
class Spectrum(Tabular):
    """Eigenvalues of the Hessian of the training risk at one hypothesis.

    Attributes
    ----------
    x : ndarray, shape (n_params,)
    risk : float
        Training risk there.
    eigenvalues : ndarray, shape (n_params,), ascending
    gradient_norm : float
        How far from a stationary point it is.
    """
    x: np.ndarray
    risk: float
    eigenvalues: np.ndarray
    gradient_norm: float

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.eigenvalues.sum())

    def harmonic_entropy(self, l2: float) -> float:
        """-(1/2) sum log(lambda + l2), in nats: log of the harmonic volume up to what only theta and the
        dimension decide.

        It is the width of the well around this point, not the size of the zero-risk set. Eigenvalues below
        zero, which a point that is not quite stationary has, count as zero.
        """
        l2 = checks.number("l2", l2, positive=True)
        return float(-0.5 * np.log(np.maximum(self.eigenvalues, 0.0) + l2).sum())

    def free_energy(self, theta: float, l2: float) -> float:
        """Harmonic F = f + (l2/2)|x|^2 - theta (entropy + (d/2) log(2 pi theta)) of the well, in the units of
        f."""
        theta = checks.number("theta", theta, positive=True)
        d = len(self.eigenvalues)
        return self.risk + 0.5 * l2 * float(self.x @ self.x) - theta * (self.harmonic_entropy(l2)
                                                                        + 0.5 * d * np.log(2 * np.pi * theta))

    def __repr__(self) -> str:
        e = self.eigenvalues
        return (f"spectrum at risk {self.risk:.3g}: trace {self.trace:.4g}, largest {e[-1]:.4g}, smallest "
                f"{e[0]:.3g}, {int((e > 1e-3 * e[-1]).sum())} of {len(e)} above a thousandth of the largest, "
                f"|gradient| {self.gradient_norm:.2g}")


def spectrum(problem: LearningProblem, x: ArrayLike) -> Spectrum:
    """Full Hessian spectrum of the training risk at x: `n_params` gradients and one symmetric
    eigenproblem."""
    x = checks.points("x", x, problem.n_params)
    return Spectrum(x.copy(), float(problem.loss(x)), np.linalg.eigvalsh(problem.hessian(x)),
                    float(np.linalg.norm(problem.gradient(x))))


def noise_temperature(problem: LearningProblem, x: ArrayLike, batch: int, learning_rate: float) -> Estimate:
    """Mean temperature of minibatch noise at x, (lr/2) tr Cov(g_B)/d, as an Estimate (exact for this sample;
    no error).

    Cov(g_B) = Cov(g)/B (N - B)/(N - 1) for batches without repetition.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> from fpkit.learning.curvature import noise_temperature
    >>> problem = ModularAddition(modulus=5, width=4)
    >>> float(noise_temperature(problem, problem.start(), batch=problem.n_train, learning_rate=0.1))
    0.0
    """
    N, B = problem.n_train, checks.whole("batch", batch, 1)
    if B > N:
        raise ValueError(f"a batch of {B} is larger than the training sample of {N}.")
    rate = checks.number("learning_rate", learning_rate, positive=True)
    G = problem.member_gradients(x)
    spread = ((G - G.mean(0)) ** 2).sum() / N
    return Estimate(0.5 * rate * spread / B * (N - B) / max(N - 1, 1) / problem.n_params, 0.0,
                    "covariance of the minibatch gradient")
