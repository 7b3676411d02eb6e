"""The Gaussian that a well is turned into, and the curvature it starts from."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .losses import Loss

DENSE_UP_TO = 3000              # parameters; above it only the stiff directions are found
N_LANCZOS = 80                  # products with the Hessian, each two gradients
N_TRACE = 8                     # random vectors for the trace
BATCH = 64


@dataclass(frozen=True)
class Gaussian:
    """Precisions along orthonormal directions, and one precision for all that is orthogonal to them.

    A place is x = centre + S y with y of unit variance. With all d directions y are the coordinates along
    them, else y lives in the original axes and S is the symmetric root of the covariance.

    Attributes
    ----------
    centre : ndarray (d,)
    precisions : ndarray (k,)
    vectors : ndarray (d, k) or None
        None: the axes themselves.
    rest : float or None
        Precision across the k directions; None when k = d.
    """
    centre: np.ndarray
    precisions: np.ndarray
    vectors: np.ndarray | None = None
    rest: float | None = None

    @property
    def log_z(self) -> float:
        """log int exp(-(x - centre) A (x - centre)/2) dx."""
        d, k = self.centre.size, self.precisions.size
        logs = np.log(self.precisions).sum() + (0.0 if self.rest is None else (d - k) * np.log(self.rest))
        return float(0.5 * (d * np.log(2 * np.pi) - logs))

    def _scaled(self, y, across, along):
        """S y or its inverse, S symmetric: `along` the k directions, `across` them."""
        if self.vectors is None:
            return y * along
        return y * across + ((y @ self.vectors) * (along - across)) @ self.vectors.T

    def place(self, y: np.ndarray) -> np.ndarray:
        """Points x of whitened coordinates y (n, d)."""
        scale = 1 / np.sqrt(self.precisions)
        if self.rest is None:
            z = y * scale
            return self.centre + (z if self.vectors is None else z @ self.vectors.T)
        return self.centre + self._scaled(y, 1 / np.sqrt(self.rest), scale)

    def pull(self, g: np.ndarray) -> np.ndarray:
        """Gradient by y of a gradient by x."""
        scale = 1 / np.sqrt(self.precisions)
        if self.rest is None:
            return (g if self.vectors is None else g @ self.vectors) * scale
        return self._scaled(g, 1 / np.sqrt(self.rest), scale)

    def whitened(self, x: np.ndarray) -> np.ndarray:
        """Coordinates y of points x (n, d)."""
        root, z = np.sqrt(self.precisions), x - self.centre
        if self.rest is None:
            return (z if self.vectors is None else z @ self.vectors) * root
        return self._scaled(z, np.sqrt(self.rest), root)

    def features(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Coordinates along the k directions (n, k), and the squared length across them (n,) or None."""
        if self.rest is None:
            return y, None
        c = y @ self.vectors
        return c, np.maximum((y * y).sum(-1) - (c * c).sum(-1), 0.0)

    def refitted(self, mean: np.ndarray, variances: np.ndarray, across: float | None) -> Gaussian:
        """The Gaussian with another mean (in y, (d,)) and with precisions divided by variances along and
        across."""
        rest = None if self.rest is None else self.rest / across
        return replace(self, centre=self.place(mean[None])[0], precisions=self.precisions / variances,
                       rest=rest)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds; the directions are kept once, elsewhere."""
        return {"centre": self.centre, "precisions": self.precisions,
                "rest": np.array(np.nan if self.rest is None else self.rest)}


@dataclass(frozen=True)
class Curvature:
    """Eigenvalues of the Hessian at a point, all of them or the outer ones.

    Attributes
    ----------
    values : ndarray (k,)
    vectors : ndarray (d, k) or None
        None: the axes.
    mean_rest : float or None
        Mean eigenvalue of what is orthogonal to them; None when k = d.
    """
    values: np.ndarray
    vectors: np.ndarray | None
    mean_rest: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all eigenvalues are known."""
        return self.mean_rest is None


def dense_curvature(loss: Loss, x0: np.ndarray) -> Curvature:
    """All eigenvalues, by 2 d gradients."""
    d = x0.size
    H, step = np.empty((d, d)), _step(loss, x0)
    for i in range(0, d, BATCH):
        rows = np.arange(min(BATCH, d - i))
        X = np.repeat(x0[None], 2 * rows.size, axis=0)
        X[rows, i + rows] += step
        X[rows.size + rows, i + rows] -= step
        G = loss(X)[1]
        H[i:i + rows.size] = (G[:rows.size] - G[rows.size:]) / (2 * step)
    if not np.isfinite(H).all():
        raise ValueError("the gradient beside x0 is not finite, so there is no curvature to start from; give "
                         "a point inside the domain of the loss, or hessian=None.")
    return Curvature(*np.linalg.eigh(0.5 * (H + H.T)))


def lanczos_curvature(loss: Loss, x0: np.ndarray, seed: int) -> Curvature:
    """The outer eigenvalues by Lanczos iteration, the mean of the rest from the trace (Hutchinson's)."""
    d, rng = x0.size, np.random.default_rng([seed, 11])
    n = min(N_LANCZOS, d)
    q = rng.normal(size=d)
    Q, alpha, beta = [q / np.linalg.norm(q)], [], []
    for k in range(n):
        w = _product(loss, x0, Q[k][None])[0]
        alpha.append(float(w @ Q[k]))
        basis = np.array(Q)
        for _ in range(2):                                   # twice is enough to stay orthogonal
            w = w - basis.T @ (basis @ w)
        beta.append(float(np.linalg.norm(w)))
        if beta[-1] <= 1e-10 * max(map(abs, alpha)) or k == n - 1:
            break
        Q.append(w / beta[-1])
    values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
    good = beta[-1] * np.abs(vectors[-1]) <= 0.02 * np.abs(values).max()
    values, vectors = values[good], np.array(Q).T @ vectors[:, good]
    signs = rng.choice([-1.0, 1.0], size=(N_TRACE, d))
    across = signs - (signs @ vectors) @ vectors.T
    rest = (across * _product(loss, x0, across)).sum() / N_TRACE
    return Curvature(values, vectors, float(rest) / max(d - values.size, 1))


def _product(loss, x0, V):
    """Hessian times rows of V (n, d), by central differences."""
    h = _step(loss, x0) * np.sqrt(x0.size) / np.linalg.norm(V, axis=1, keepdims=True)
    G = loss(np.concatenate([x0 + h * V, x0 - h * V]))[1]
    return (G[:len(V)] - G[len(V):]) / (2 * h)


def _step(loss, x0):
    return (1e-2 if loss.is_single else 1e-4) * max(1e-3, min(1.0, float(np.abs(x0).mean()) or 1.0))
