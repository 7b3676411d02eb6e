"""Small networks that learn addition modulo p: they memorise early and generalise late ("grokking").

`ModularAddition` has one hidden layer with a quadratic activation. With the rows U[a], V[b] of two
embeddings,

    out(a, b) = (U[a] + V[b])^2 W,    loss = |out(a, b) - e_{(a + b) mod p}|^2 / 2, averaged over a sample,

where e_c is the one-hot vector. All p^2 pairs exist; a share of them, drawn by a seed, is the training sample
and the rest the test sample. The model is that of A. Gromov, "Grokking modular arithmetic", arXiv:2301.02679
(2023), here with the embeddings as first layer. `ModularAdditionReLU` has one shared embedding and a ReLU
layer instead.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .problem import LearningProblem, OneHotError, relu, views
from .training import TrainingRun, train  # noqa: F401  (also found here)


class _Pairs(OneHotError, LearningProblem):
    """The p^2 pairs and their split; member a p + b is the pair (a, b)."""

    def __post_init__(self):
        checks.whole("modulus", self.modulus, 2)
        checks.whole("width", self.width, 1)
        checks.whole("seed", self.seed, 0)
        fraction = checks.number("fraction", self.fraction)
        p, n = self.modulus, round(fraction * self.modulus**2)
        if not 0 < n < p**2:
            raise ValueError("fraction must leave at least one pair in each sample (strictly between 0 and "
                             f"1), got {fraction:g}.")
        chosen = np.zeros(p**2, bool)
        chosen[np.random.default_rng(self.seed).permutation(p**2)[:n]] = True
        chosen.setflags(write=False)
        first, second = np.divmod(np.arange(p**2), p)
        one_hot = np.eye(p)
        for name, value in (("is_train", chosen.reshape(p, p)),
                            ("_index", {"train": np.flatnonzero(chosen), "test": np.flatnonzero(~chosen)}),
                            ("_pairs", (first, second)), ("_labels", (first + second) % p),
                            ("_cost", float(self.width)),
                            ("_onto", (one_hot[first].T.copy(), one_hot[second].T.copy()))):
            object.__setattr__(self, name, value)

    @cached_property
    def _kept(self):
        return {name: self._gather(index) for name, index in self._index.items()}

    def _gathered(self, members):
        """For the pairs of `members`: a, b, and the matrices (p, n) that sum over the pairs with a given a,
        and b."""
        for name, index in self._index.items():
            if members is index:
                return self._kept[name]
        return self._gather(members)

    def _gather(self, members):
        return (*(pair[members] for pair in self._pairs), *(onto[:, members].copy() for onto in self._onto))

    def __repr__(self) -> str:
        return (f"a + b mod {self.modulus}: {self.n_train} training and {self.n_test} test pairs, "
                f"{self.width} {self._unit} units, {self.n_params} parameters, seed {self.seed}")


@dataclass(frozen=True, repr=False)
class ModularAddition(_Pairs):
    """The learning problem a + b mod p with a quadratic hidden layer.

    Parameters
    ----------
    modulus : int
        p; there are p^2 pairs and p classes.
    width : int
        Number of hidden units; ``n_params = 3 * modulus * width``.
    fraction : float
        Share of the pairs in the training sample, strictly between 0 and 1.
    seed : int
        Decides the split and, with `start`, the initial parameters.

    Attributes
    ----------
    is_train : ndarray of bool, shape (modulus, modulus)
        True where the pair (a, b) is in the training sample.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> problem = ModularAddition(modulus=7, width=5, fraction=0.6, seed=1)
    >>> problem.n_params, int(problem.is_train.sum())
    (105, 29)
    >>> problem
    a + b mod 7: 29 training and 20 test pairs, 5 hidden units, 105 parameters, seed 1
    """
    modulus: int = 23
    width: int = 64
    fraction: float = 0.6
    seed: int = 0
    is_train: np.ndarray = field(init=False, compare=False)
    _unit = "hidden"

    @property
    def n_params(self) -> int:
        """Length of a parameter vector."""
        return 3 * self.modulus * self.width

    def layers(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views U (..., p, width), V (..., p, width), W (..., width, p) into parameter vectors (...,
        n_params)."""
        p, w = self.modulus, self.width
        return views(x, (p, w), (p, w), (w, p))

    def start(self, scale: float = 1.0, seed: int | None = None) -> np.ndarray:
        """Random initial parameters: U, V ~ scale/2 N(0, 1), W ~ scale/sqrt(width) N(0, 1); `seed` in place
        of the problem's own gives another start of the same sample."""
        x = np.random.default_rng([self.seed if seed is None else seed, 1]).normal(size=self.n_params) * scale
        U, V, W = self.layers(x)
        U *= 0.5
        V *= 0.5
        W /= np.sqrt(self.width)
        return x

    def embedding(self, x: np.ndarray) -> np.ndarray:
        """The rows of U, one per residue: (modulus, width)."""
        return self.layers(x)[0]

    def _outputs(self, X, members):
        U, V, W = self.layers(X)
        a, b, onto_a, onto_b = self._gathered(members)
        hidden = U[:, a] + V[:, b]
        square = hidden * hidden

        def back(slope):
            g = np.empty((len(X), self.n_params), slope.dtype)
            gU, gV, gW = self.layers(g)
            gW[:] = square.transpose(0, 2, 1) @ slope
            inner = slope @ W.transpose(0, 2, 1)
            inner *= hidden
            inner *= 2.0
            gU[:], gV[:] = onto_a @ inner, onto_b @ inner
            return g
        return square @ W, back


@dataclass(frozen=True, repr=False)
class ModularAdditionReLU(_Pairs):
    """The learning problem a + b mod p with one embedding E (p, depth) for both numbers and a ReLU layer.

        out(a, b) = relu([E_a, E_b] A + c) W,      loss = |out - e_{(a + b) mod p}|^2 / 2

    Parameters
    ----------
    modulus, width, fraction, seed
        As for `ModularAddition`.
    depth : int
        Number of coordinates of the embedding.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAdditionReLU
    >>> ModularAdditionReLU(modulus=7, width=5, depth=3)
    a + b mod 7: 29 training and 20 test pairs, 5 ReLU units, 91 parameters, seed 0
    """
    modulus: int = 23
    width: int = 64
    fraction: float = 0.6
    seed: int = 0
    depth: int = 24
    is_train: np.ndarray = field(init=False, compare=False)
    _unit = "ReLU"

    def __post_init__(self):
        checks.whole("depth", self.depth, 1)
        super().__post_init__()

    @property
    def n_params(self) -> int:
        """Length of a parameter vector."""
        return self.modulus * self.depth + (2 * self.depth + 1) * self.width + self.width * self.modulus

    def layers(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views E (..., p, depth), A (..., 2 depth, width), c (..., 1, width), W (..., width, p) into
        parameter vectors."""
        p, w, d = self.modulus, self.width, self.depth
        return views(x, (p, d), (2 * d, w), (1, w), (w, p))

    def start(self, scale: float = 1.0, seed: int | None = None) -> np.ndarray:
        """Random initial parameters: each layer N(0, 1)/sqrt(its inputs), the embedding N(0, 1)/sqrt(depth),
        c = 0."""
        x = np.random.default_rng([self.seed if seed is None else seed, 2]).normal(size=self.n_params) * scale
        E, A, c, W = self.layers(x)
        E /= np.sqrt(self.depth)
        A /= np.sqrt(2 * self.depth)
        c[:] = 0.0
        W /= np.sqrt(self.width)
        return x

    def embedding(self, x: np.ndarray) -> np.ndarray:
        """The rows of E, one per residue: (modulus, depth)."""
        return self.layers(x)[0]

    def _outputs(self, X, members):
        E, A, c, W = self.layers(X)
        a, b, onto_a, onto_b = self._gathered(members)
        inputs = np.concatenate([E[:, a], E[:, b]], axis=-1)
        hidden = relu(inputs @ A + c)

        def back(slope):
            g = np.empty((len(X), self.n_params), slope.dtype)
            gE, gA, gc, gW = self.layers(g)
            gW[:] = hidden.transpose(0, 2, 1) @ slope
            inner = slope @ W.transpose(0, 2, 1)
            inner *= hidden.real > 0
            gc[:] = inner.sum(1, keepdims=True)
            gA[:] = inputs.transpose(0, 2, 1) @ inner
            inner = inner @ A.transpose(0, 2, 1)
            gE[:] = onto_a @ inner[..., :self.depth] + onto_b @ inner[..., self.depth:]
            return g
        return hidden @ W, back


def frequency_share(embedding: np.ndarray) -> float:
    """Share of the Fourier power over residues that lies in each hidden unit's best frequency, in [0, 1].

    `embedding` has shape (modulus, width); the constant mode is left out. 1 means that every unit is one
    cosine of the residue, so that the residues lie on a circle.
    """
    power = np.abs(np.fft.rfft(embedding, axis=0))[1:] ** 2
    return float(power.max(0).sum() / power.sum())


@dataclass(frozen=True)
class Circle:
    """An embedding seen in the plane of its strongest frequency.

    Attributes
    ----------
    points : ndarray, shape (modulus, 2)
        Where each residue lies: the two coordinates of the best-fitting circle's plane.
    frequency : int
        k of the strongest mode; residue a lies at the angle 2 pi k a / p when the embedding is a circle.
    share : float
        `frequency_share`: the power in each unit's own best frequency.
    plane_share : float
        Share of the variance of the embedding that lies in this plane.
    roundness : float
        Standard deviation of the distances from the centre over their mean; 0 for a circle.
    """
    points: np.ndarray
    frequency: int
    share: float
    plane_share: float
    roundness: float


def circle(embedding: ArrayLike) -> Circle:
    """The embedding (modulus, width) projected on the plane of its strongest Fourier frequency.

    With c_k = (2/p) sum_a E_a exp(2 pi i k a / p), the plane of frequency k is spanned by the real and
    imaginary parts of c_k in the space of the units; k is the frequency with the largest power.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import circle
    >>> a = np.arange(11)
    >>> c = circle(np.cos(2 * np.pi * 3 * a[:, None] / 11 + np.arange(8)))
    >>> c.frequency, round(c.plane_share, 12), c.roundness < 1e-12
    (3, 1.0, True)
    """
    E = np.asarray(embedding, float)
    E = E - E.mean(0)
    modes = np.fft.rfft(E, axis=0)[1:]
    k = int((np.abs(modes) ** 2).sum(1).argmax()) + 1
    c = modes[k - 1]
    # the phase that makes the two axes orthogonal, then unit directions: a circle stays one
    c = c * np.exp(-0.5j * np.angle((c * c).sum()))
    axes = np.stack([c.real, -c.imag])
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    axes = axes / np.where(lengths > 0, lengths, 1.0)
    points = E @ axes.T
    spread = points.std(0)
    radii = np.hypot(*(points / np.where(spread > 0, spread, 1.0)).T)
    return Circle(points, k, frequency_share(E), float((points**2).sum() / (E**2).sum()),
                  float(radii.std() / radii.mean()))
