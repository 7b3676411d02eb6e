"""The covariance of single samples' gradients within a plane, point by point, beside the loss.

With the directions D of the plane, sample i has the slopes s_i = D grad l_i in its coordinates, and

    C = <s s'> - <s><s'>

over the samples is what SGD adds to the slope of the loss: a minibatch of B samples drawn with replacement
has the covariance C/B. It is stored in /fpkit/noise/xx, xy, yy, ... and enters the diffusion in coordinates
as lr G^-1 C G^-1 / (2 B), G = D D' (S. Mandt, M. D. Hoffman, D. M. Blei, JMLR 18 (2017), section 3).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import checks
from .evaluation import values_of
from .models import ModelLoss
from .planes import Plane

__all__ = ["LossWithNoise", "noise_names"]


def noise_names(ndim: int) -> dict[tuple[int, int], str]:
    """Names of the entries of the covariance: "xx", "xy", "yy"."""
    return {(i, j): "xyz"[i] + "xyz"[j] for i in range(ndim) for j in range(i, ndim)}


class LossWithNoise:
    """A loss that also tells noise_xx, noise_xy, ...: the covariance of its samples' slopes in the plane.

    Parameters
    ----------
    loss : callable
    noise : True or callable
        True: of the samples that a model was given. ``noise(vector)``: gradients (n, n_params) of single
        samples, all that minibatches are drawn from.
    plane : Plane
    """

    def __init__(self, loss: Callable, noise: Any, plane: Plane) -> None:
        if noise is True and not isinstance(loss, ModelLoss):
            raise ValueError("noise=True measures the gradients of a model's samples, and the loss is a "
                             "function; give noise=gradients, a function of the parameter vector that "
                             "returns the gradients (n, n_params) of single samples.")
        if noise is not True and not callable(noise):
            raise TypeError(f"noise must be True or a function of the parameter vector, got "
                            f"{checks.shown(noise)}.")
        if noise is True:
            loss.check_slopes()
        self.loss, self.noise, self.directions = loss, noise, plane.directions

    def __call__(self, vector: np.ndarray) -> dict[str, float]:
        found = values_of(self.loss(vector))
        if self.noise is True:
            slopes = self.loss.slopes(vector, self.directions)
        else:
            gradients = np.asarray(self.noise(vector), float)
            n_params = self.directions.shape[1]
            if gradients.ndim != 2 or gradients.shape[1] != n_params or len(gradients) < 2:
                raise ValueError(f"noise gave gradients of shape {gradients.shape}, expected (n, {n_params}) "
                                 "for at least two single samples.")
            slopes = gradients @ self.directions.T
        away = slopes - slopes.mean(0)
        C = away.T @ away / len(away)
        return found | {f"noise_{name}": float(C[at]) for at, name in noise_names(len(C)).items()}
