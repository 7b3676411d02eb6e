"""Direction files of tomgoldstein/loss-landscape: the metric of a plane that another program exported."""
from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .checked_hdf5 import open_checked

GROUPS = ("xdirection", "ydirection", "zdirection")
MAX_TENSORS = 5000
MAX_PARAMETERS = 250_000_000


@dataclass(frozen=True, repr=False, eq=False)
class Directions:
    """What a direction file tells about a plane.

    Attributes
    ----------
    path : str
    keys : tuple of tuple of str
        Names of the float tensors of each direction.
    gram : ndarray, shape (ndim, ndim)
        Inner products of the directions.
    n_params : int
    left_out : tuple of str
        Names of the integer and 0-d tensors (counters of BatchNorm): no directions of a weight space.
    """
    path: str
    keys: tuple
    gram: np.ndarray
    n_params: int
    left_out: tuple

    @property
    def ndim(self) -> int:
        return len(self.keys)

    @cached_property
    def vectors(self) -> list[np.ndarray]:
        """The directions, arrays of shape (n_params,), read when first asked for."""
        with open_checked(self.path) as file:
            return [np.concatenate([block for key in keys for block in file.blocks(key)])
                    for keys in self.keys]

    @property
    def norms(self) -> np.ndarray:
        """Lengths of the directions."""
        return np.sqrt(np.diag(self.gram))

    @property
    def cosine(self) -> float | None:
        """Cosine of the angle between the first two directions; None on a line."""
        return float(self.gram[0, 1] / (self.norms[0] * self.norms[1])) if self.ndim > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the facts."""
        return {"directions": self.ndim, "n_params": self.n_params, "norms": self.norms.tolist(),
                "cosine": self.cosine, "gram": self.gram.tolist(), "left_out": list(self.left_out)[:100]}

    def __repr__(self):
        angle = "" if self.cosine is None else f", cosine {self.cosine:.3g}"
        return (f"{self.ndim} directions in {self.n_params} parameters, norms "
                f"{', '.join(f'{n:.4g}' for n in self.norms)}{angle}; {len(self.left_out)} integer or 0-d "
                "tensors left out")


def read_directions(path: str | os.PathLike) -> Directions:
    """Directions and their Gram matrix from a direction file, or from a landscape of fpkit's own that stores
    its directions.

    Tensors are read piece by piece, so networks of any size fit. A real file of a network with BatchNorm has
    the norm 81538 with its counters of batches and 186.2 without them: they are left out.

    Returns
    -------
    Directions

    Raises
    ------
    LandscapeFormatError
        Whatever is wrong with the file.
    """
    with open_checked(path) as file:
        keys, left_out = _keys(file)
        sizes = [[file.numbers(key).size for key in group] for group in keys]
        if sizes.count(sizes[0]) < len(sizes) or not sum(sizes[0]):
            file.fail("ydirection" if sum(sizes[0]) else "xdirection",
                      "the directions do not hold the same float tensors")
        if sum(sizes[0]) > MAX_PARAMETERS:
            file.fail("xdirection", f"{sum(sizes[0])} parameters are more than the allowed {MAX_PARAMETERS}")
        gram = np.zeros((len(keys), len(keys)))
        with np.errstate(over="ignore", invalid="ignore"):
            for tensors in zip(*keys):
                for pieces in zip(*(file.blocks(key) for key in tensors)):
                    gram += [[(a * b).sum() for a in pieces] for b in pieces]
        if not np.isfinite(gram).all() or not (np.linalg.eigvalsh(gram) > 1e-14 * np.trace(gram)).all():
            file.fail("xdirection", "the directions are not finite and independent, so they span no plane")
        return Directions(file.path, keys, gram, sum(sizes[0]), left_out)


def _keys(file):
    """Names of the float tensors of each direction, in the order of the network, and those left out."""
    if file.has("fpkit/directions/x"):
        return tuple((f"fpkit/directions/{n}",) for n in "xyz" if file.has(f"fpkit/directions/{n}")), ()
    if not file.has("xdirection"):
        file.fail(None, "there are no directions in this file (groups xdirection, ydirection)")
    keys, left_out = [], []
    for group in (g for g in GROUPS if file.has(g)):
        names = sorted(file.names(group, MAX_TENSORS),
                       key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() and len(n) < 10 else 0, n))
        floats = [n for n in names if _is_float_tensor(file, f"{group}/{n}")]
        keys.append(tuple(f"{group}/{n}" for n in floats))
        left_out = left_out or [n for n in names if n not in set(floats)]
    return tuple(keys), tuple(left_out)


def _is_float_tensor(file, key):
    d = file.dataset(key)
    return d.dtype.kind == "f" and d.shape is not None and len(d.shape) > 0
