"""The temperature of SGD: from the noise of its gradients, in a plane and over all parameters, and from
equipartition."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.results import Estimate
from ...core.views.tables import Tabular
from ..export.planes import Plane, inner

__all__ = ["SGDTemperature", "sgd_temperature", "equipartition_temperature"]

HEAD = 32                       # gradients kept in memory at once
BLOCKS = 20                     # of a trajectory, for the error of a time average of correlated values


@dataclass(frozen=True, repr=False, eq=False)
class SGDTemperature(Tabular):
    """Noise of SGD as a temperature, with time lr/(1 - momentum) a step.

    Attributes
    ----------
    theta : Estimate
        Temperature in the plane, trace(T)/ndim; over all parameters without a plane.
    tensor : ndarray (ndim, ndim) or None
        T in the orthonormal basis `basis` of the plane.
    basis : str
        "G^-1/2 D": symmetric square root of the Gram matrix applied to the directions.
    theta_noise : Estimate
        The same averaged over all parameters, lr tr Cov(g_B) / (2 d (1 - momentum)).
    anisotropy : float or None
        Largest over smallest eigenvalue of T.
    lr, momentum : float
    batch : int or None
    n_gradients : int
    source : str
    """
    theta: Estimate
    tensor: np.ndarray | None
    basis: str
    theta_noise: Estimate
    anisotropy: float | None
    lr: float
    momentum: float
    batch: int | None
    n_gradients: int
    source: str

    def entries(self) -> dict[str, Any]:
        """What a landscape file stores in /fpkit/temperature."""
        found = {"lr": self.lr, "momentum": self.momentum, "source": self.source, "basis": self.basis,
                 "theta_noise": float(self.theta_noise), "n_gradients": self.n_gradients}
        if self.tensor is not None:
            found |= {"tensor": self.tensor, "stderr": float(self.theta.error)}
        return found | ({} if self.batch is None else {"batch": self.batch})

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k,
                v in self.entries().items()} | {"theta": float(self.theta)}

    def __repr__(self):
        where = ("over all parameters" if self.tensor is None
                 else f"in the plane (anisotropy {self.anisotropy:.3g})")
        return (f"SGD temperature {float(self.theta):.4g} +- {self.theta.error:.1g} {where}; mean over all "
                f"parameters {float(self.theta_noise):.4g}")


def sgd_temperature(gradients: Iterable[ArrayLike], lr: float, plane: Plane | None = None,
                    momentum: float = 0.0, batch: int | None = None, n_data: int | None = None,
                    replacement: bool = True, injected: float = 0.0) -> SGDTemperature:
    """Temperature of SGD from the covariance of its gradients at one point.

    With the update w <- w - lr g_B and the time lr a step, the noise is that of the diffusion at temperature
    lr Cov(g_B)/2 [1]_; momentum replaces lr by lr/(1 - momentum) to leading order, and noise of variance s^2
    added to each update contributes s^2/(2 lr):

        T = (lr G^-1/2 D Cov(g_B) D' G^-1/2 + s^2/lr) / (2 (1 - momentum)),    theta = trace(T)/ndim,

    with D the directions of the plane and G = D D'. The raw tensor D Cov D' of directions that are not
    orthonormal is no temperature. SGD is not a Gibbs sampler: `anisotropy` tells how far one number is from
    the truth.

    Parameters
    ----------
    gradients : ndarray (n, n_params), or iterable of vectors
        At one point, without weight decay's part being noise: of single samples when `batch` is given, of
        minibatches otherwise. An iterable is read once and one vector is kept at a time.
    lr : float
        Learning rate.
    plane : Plane, optional
        Default: all parameters alone.
    momentum : float
    batch : int, optional
        Samples in a minibatch: Cov(g_B) = C/batch.
    n_data : int, optional
        Size of the data set, for minibatches drawn without replacement: times (n_data - batch)/(n_data - 1).
    replacement : bool
        Whether minibatches are drawn with replacement.
    injected : float
        s, the standard deviation of the noise that SGLD adds to each coordinate at each step.

    Returns
    -------
    SGDTemperature

    Examples
    --------
    >>> import fpkit as fp
    >>> g = np.random.default_rng(1).normal(size=(4000, 6))               # Cov = 1: theta = lr / (2 batch)
    >>> plane = fp.Plane.through(np.zeros(6), np.ones(6), np.arange(6.0))
    >>> found = fp.sgd_temperature(g, lr=0.1, plane=plane, batch=5)
    >>> abs(float(found.theta) - 0.01) < 3 * found.theta.error
    True

    References
    ----------
    .. [1] S. Mandt, M. D. Hoffman, D. M. Blei, "Stochastic gradient descent as approximate Bayesian
    inference", JMLR 18 (2017), section 3.
    """
    lr = checks.number("lr", lr, positive=True)
    momentum = checks.number("momentum", momentum, non_negative=True)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1, got {momentum:g}.")
    injected = checks.number("injected", injected, non_negative=True)
    share = _share(batch, n_data, replacement)
    if plane is not None and not isinstance(plane, Plane):
        raise TypeError(f"plane must be a fpkit.Plane, got {checks.shown(plane)}.")
    root = None if plane is None else _inverse_root(plane.gram)
    # away from the mean of a few: no cancellation when the noise is small beside the gradient, and squares
    # that spread little
    gradients = _checked(gradients, plane)
    head = list(islice(gradients, HEAD))
    centre = sum(head) / max(1, len(head))
    mean, inside, squares = np.zeros_like(centre), [], []
    for n, g in enumerate(chain(head, gradients), 1):
        away = g - centre
        mean += (away - mean) / n
        squares.append(inner(away, away))
        if plane is not None:
            inside.append([inner(d, away) for d in plane.directions])
    n = len(squares)
    if n < 2:
        raise ValueError(f"a covariance needs at least two gradients, got {n}.")
    scale = lr * share / (2 * (1 - momentum))
    added = injected**2 / (2 * lr * (1 - momentum))
    total = n / (n - 1) * (np.mean(squares) - inner(mean, mean))
    noise = _estimate(scale * total / mean.size + added,
                      scale * np.std(squares, ddof=1) / np.sqrt(n) / mean.size)
    if plane is None:
        return SGDTemperature(noise, None, "all parameters", noise, None, lr, momentum, batch, n,
                              "gradient noise")
    z = np.array(inside) @ root                          # coordinates in the orthonormal basis G^-1/2 D
    z = z - z.mean(axis=0)
    tensor = scale * (z.T @ z) / (n - 1) + added * np.eye(plane.ndim)
    powers = np.linalg.eigvalsh(tensor)
    lengths = (z**2).sum(axis=1) / plane.ndim
    theta = _estimate(np.trace(tensor) / plane.ndim, scale * lengths.std(ddof=1) / np.sqrt(n))
    return SGDTemperature(theta, tensor, "G^-1/2 D", noise, float(powers[-1] / powers[0]) if powers[0] > 0
                          else np.inf, lr, momentum, batch, n, "gradient noise")


def equipartition_temperature(positions: ArrayLike, gradients: ArrayLike) -> Estimate:
    """Temperature of a stationary run from <(w - <w>) . grad f> = theta d, an Estimate.

    It holds for the Gibbs density whatever f is, so agreement with `SGDTemperature.theta_noise` is a test of
    equilibrium. Positions are centred: without that the ratio to the noise was 0.65 to 1.60 in trials.

    Parameters
    ----------
    positions, gradients : ndarray, shape (n, n_params)
        Of one stationary run, in order of time; full gradients.

    Returns
    -------
    theta : Estimate
        With the error of 20 block means, for values that are correlated in time.
    """
    w, g = np.asarray(positions, float), np.asarray(gradients, float)
    if w.ndim != 2 or w.shape != g.shape or len(w) < 2 * BLOCKS:
        raise ValueError("positions and gradients must have one shape (n, n_params) with n of at least "
                         f"{2 * BLOCKS}, got {w.shape} and {g.shape}.")
    products = ((w - w.mean(axis=0)) * g).sum(axis=1) / w.shape[1]
    means = np.array([b.mean() for b in np.array_split(products, BLOCKS)])
    return Estimate(float(products.mean()), float(2 * means.std(ddof=1) / np.sqrt(BLOCKS)), "equipartition")


def _checked(gradients, plane):
    """The gradients one by one, as finite vectors of one length."""
    size = None if plane is None else plane.n_params
    for n, g in enumerate(gradients):
        g = np.asarray(g, float)
        size = g.size if size is None else size
        if g.shape != (size,):
            raise ValueError(f"gradient {n} has shape {g.shape}, expected ({size},): all parameters in one "
                             "vector.")
        if not np.isfinite(g).all():
            raise ValueError(f"gradient {n} is not finite.")
        yield g


def _share(batch, n_data, replacement):
    """Cov(g_B) over the covariance of the gradients given."""
    if batch is None:
        if n_data is not None or not replacement:
            raise ValueError("n_data and replacement=False concern gradients of single samples; give batch "
                             "as well.")
        return 1.0
    batch = checks.whole("batch", batch, 1)
    if replacement:
        return 1 / batch
    if n_data is None or checks.whole("n_data", n_data, 2) < batch:
        raise ValueError("minibatches without replacement need n_data, the size of the data set, at least "
                         "batch.")
    return (n_data - batch) / (n_data - 1) / batch


def _inverse_root(gram):
    powers, vectors = np.linalg.eigh(gram)
    return (vectors / np.sqrt(powers)) @ vectors.T


def _estimate(value, error):
    """Two standard errors, which the truth keeps in 95 of 100 cases."""
    return Estimate(float(value), float(2 * error), "gradient noise")
