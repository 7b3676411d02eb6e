"""Planes through the parameter space of a network: where a landscape is exported."""
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ..adapters import sklearn_parameters
from ..files.directions import read_directions
from ..files.tensors import (
    NORMALISATIONS,
    Layout,
    flatten,
    is_list_of_tensors,
    normalise,
)

__all__ = ["Plane"]

SPOILED = 1e-3                       # of the largest eigenvalue: residual of eigenvectors in single precision
DEPENDENT = 1e-8  # of its own length: what a direction must keep after the part along the others is taken off


def inner(a, b):
    """Inner product in an order of summation that does not depend on the number of threads, as BLAS would."""
    return float((a * b).sum())


@dataclass(frozen=True, repr=False, eq=False)
class Plane:
    """The points w = origin + sum_k c_k d_k of parameter space, c the coordinates of a landscape: a line, a
    plane or a space.

    Make one with `Plane.random`, `through`, `line`, `pca`, `hessian` or `from_directions`. Unless told
    ``orthonormal=False`` the directions are orthonormal (Gram-Schmidt, the first one keeps its direction), so
    that coordinates are distances in parameter space and the metric is the identity; the map back to the
    directions that were given is kept.

    Attributes
    ----------
    origin : ndarray, shape (n_params,)
    directions : ndarray, shape (ndim, n_params)
        The d_k, one a row.
    given : ndarray, shape (ndim, ndim)
        The directions as they were given, as combinations of the d_k: g_k = sum_j given[k, j] d_j.
    kind : str
        How it was made, in words.
    points : ndarray, shape (n, ndim)
        Coordinates of the solutions or checkpoints that made the plane; empty otherwise.
    facts : dict
        What belongs to the kind: seed, normalisation, explained_variance_ratio, eigenvalues.

    Examples
    --------
    >>> import fpkit as fp
    >>> w = np.array([1.0, 2.0, 3.0, 4.0])
    >>> plane = fp.Plane.through(w, w + [3, 0, 0, 0], w + [3, 4, 0, 0])
    >>> plane.points, bool(np.allclose(plane.gram, np.eye(2)))
    (array([[0., 0.],
           [3., 0.],
           [3., 4.]]), True)
    >>> plane.at([3, 4])
    array([4., 6., 3., 4.])
    """
    origin: np.ndarray
    directions: np.ndarray
    given: np.ndarray
    kind: str
    points: np.ndarray
    facts: dict = field(default_factory=dict)

    # ---- ways to make one ----

    @classmethod
    def from_directions(cls, origin: Any, *directions: Any, orthonormal: bool = True, kind: str = "given "
                        "directions", points: ArrayLike | None = None, facts: dict | None = None) -> Plane:
        """Plane of one to three given directions.

        Parameters
        ----------
        origin : ndarray, shape (n_params,), or list or dict of tensors
        *directions : the same, one argument a direction; or one list or array of them; or one path
            Vectors or tensors; integer and 0-d tensors are left out. A path leads to a direction file of
            tomgoldstein/loss-landscape, or to a landscape that stores its directions.
        orthonormal : bool
            False keeps the directions, and coordinates are their coefficients.
        """
        origin, _ = parameter_vector("origin", origin)
        directions = _listed(directions)
        vectors = [parameter_vector(f"direction {k}", d, origin.size)[0] for k, d in enumerate(directions)]
        if not 1 <= len(vectors) <= 3:
            raise ValueError(f"a landscape has one to three directions, got {len(vectors)}.")
        basis, given = _gram_schmidt(vectors)
        if not orthonormal:
            basis, given = np.array(vectors), np.eye(len(vectors))
        else:
            points = None if points is None else np.asarray(points, float) @ given
        points = np.empty((0, len(vectors))) if points is None else np.asarray(points, float)
        for a in (origin, basis, given, points):
            a.setflags(write=False)
        return cls(origin, basis, given, kind, points, {**(facts or {}), "orthonormal": bool(orthonormal)})

    @classmethod
    def random(cls, origin: Any, layout: Layout | None = None,
               ndim: int = 2, normalisation: str | None = None, one_dimensional: str = "zero", seed: int = 0,
               orthonormal: bool = True) -> Plane:
        """Plane of random Gaussian directions, scaled against the weights.

        Parameters
        ----------
        origin : ndarray, list or dict of tensors, torch.nn.Module, or estimator of scikit-learn
            Tensors and models bring their own layout; a vector needs `layout` for a normalisation by filters.
        layout : Layout, optional
            From `fpkit.landscapes.files.tensors.flatten` or an adapter.
        ndim : {1, 2, 3}
        normalisation : {"filter", "layer", "weight", "dfilter", "dlayer", "none"}, optional
            See `fpkit.landscapes.files.tensors.normalise`. Default: "filter" when the tensors are known, else
            "layer" with the whole vector as one layer.
        one_dimensional : {"zero", "copy", "random"}
            What biases and other 1-D tensors become; "random" where there are no others.
        seed : int
        orthonormal : bool
            The default spans the same plane by orthonormal directions; ``plane.coordinates([a, b])`` leads
            from coefficients of the normalised directions to coordinates.
        """
        origin, found = parameter_vector("origin", origin)
        layout = layout or found
        if layout is None:
            if normalisation in ("filter", "dfilter"):
                raise ValueError(f"normalisation={normalisation!r} needs the tensors: give them as origin, "
                                 "or their layout (fpkit.landscapes.files.tensors.flatten returns it).")
            normalisation, one_dimensional = normalisation or "layer", "random"
            layout = flatten([origin])[1]
        normalisation = checks.choice("normalisation", normalisation or "filter", NORMALISATIONS)
        checks.choice("one_dimensional", one_dimensional, ("zero", "copy", "random"))
        if layout.n_params != origin.size:
            raise ValueError(f"the layout holds {layout.n_params} parameters and the origin {origin.size}.")
        if one_dimensional == "zero" and all(len(layout.shapes[k]) == 1 for k, _ in layout.slices()):
            one_dimensional = "random"
        rng = np.random.default_rng(checks.whole("seed", seed))
        vectors = [normalise(rng.standard_normal(origin.size), origin, layout, normalisation, one_dimensional)
                   for _ in range(checks.whole("ndim", ndim, 1))]
        facts = {"seed": int(seed), "normalisation": normalisation, "one_dimensional": one_dimensional}
        return cls.from_directions(origin, vectors, orthonormal=orthonormal, kind="random directions",
                                   facts=facts)

    @classmethod
    def through(cls, *solutions: Any, orthonormal: bool = True) -> Plane:
        """Line, plane or space through two, three or four solutions; the first is the origin.

        With ``orthonormal=False`` the others lie at (1, 0), (0, 1); by default at their distances, see
        `points`.
        """
        if not 2 <= len(solutions) <= 4:
            raise ValueError("a plane goes through two (a line) to four (a space) solutions, got "
                             f"{len(solutions)}.")
        origin, _ = parameter_vector("solution 0", solutions[0])
        vectors = [parameter_vector(f"solution {k}", s, origin.size)[0] - origin for k,
                   s in enumerate(solutions[1:], 1)]
        points = np.vstack([np.zeros(len(vectors)), np.eye(len(vectors))])
        return cls.from_directions(origin, vectors, orthonormal=orthonormal,
                                   kind=f"through {len(solutions)} solutions", points=points)

    @classmethod
    def line(cls, start: Any, end: Any, orthonormal: bool = True) -> Plane:
        """Line from one solution to another."""
        return cls.through(start, end, orthonormal=orthonormal)

    @classmethod
    def pca(cls, checkpoints: Any, origin: Any = None, ndim: int = 2, orthonormal: bool = True) -> Plane:
        """Plane of the principal components of checkpoints of one training.

        The components come from the Gram matrix of the checkpoints, n x n, never from a matrix of n_params x
        n_params.

        Parameters
        ----------
        checkpoints : ndarray, shape (n, n_params), or list of vectors or of lists of tensors
        origin : vector or tensors, optional
            Default: the last checkpoint.
        """
        rows = [parameter_vector(f"checkpoint {k}", c)[0] for k, c in enumerate(checkpoints)]
        ndim = checks.whole("ndim", ndim, 1)
        if len({r.size for r in rows}) > 1:
            raise ValueError("the checkpoints have different numbers of parameters: "
                             f"{sorted({r.size for r in rows})}.")
        if len(rows) <= ndim:
            raise ValueError(f"{ndim} principal components need at least {ndim + 1} checkpoints, got "
                             f"{len(rows)}.")
        origin = rows[-1] if origin is None else parameter_vector("origin", origin, rows[0].size)[0]
        centre = sum(rows) / len(rows)
        away = [r - centre for r in rows]
        K = np.array([[inner(a, b) for b in away] for a in away])
        powers, mixtures = np.linalg.eigh(K)
        powers, mixtures = powers[::-1], mixtures[:, ::-1]
        if not powers[ndim - 1] > 1e-12 * powers[0]:
            raise ValueError(f"the checkpoints span fewer than {ndim} dimensions; take others, or "
                             f"ndim={max(1, ndim - 1)}.")
        vectors = []
        for k in range(ndim):
            d = sum(m * a for m, a in zip(mixtures[:, k], away)) / np.sqrt(powers[k])
            # the first checkpoint at positive coordinates
            vectors.append(d if inner(d, rows[0] - origin) >= 0 else -d)
        total = powers[powers > 0].sum()
        facts = {"explained_variance_ratio": (powers[:ndim] / total).tolist(), "n_checkpoints": len(rows)}
        plane = cls.from_directions(origin, vectors, orthonormal=orthonormal,
                                    kind="principal components of checkpoints", facts=facts)
        points, _ = plane.project(rows)
        return cls(plane.origin, plane.directions, plane.given, plane.kind, points, plane.facts)

    @classmethod
    def hessian(cls, origin: Any, gradient: Callable | None = None, product: Callable | None = None,
                ndim: int = 2, which: str = "largest", step: float | None = None, seed: int = 0,
                tol: float = 1e-6, orthonormal: bool = True) -> Plane:
        """Plane of eigenvectors of the Hessian, by Lanczos iteration on products with vectors.

        Parameters
        ----------
        origin : vector or tensors
        gradient : callable, optional
            ``gradient(vector) -> (n_params,)``; products are then central differences (g(w + h v) - g(w - h
            v)) / 2h.
        product : callable, optional
            ``product(vector) -> H @ vector`` at the origin, when an exact one is at hand.
        which : {"largest", "smallest"}
            Algebraically; "smallest" finds the most negative curvature.
        step : float, optional
            h; default the cube root of the machine's epsilon times max(1, |w|).
        tol : float
            Relative accuracy of the eigenvalues.
        """
        from scipy.sparse.linalg import LinearOperator, eigsh

        origin, _ = parameter_vector("origin", origin)
        ndim = checks.whole("ndim", ndim, 1)
        kind = np.asarray((gradient or product)(origin)).dtype if callable(gradient
                                                                           or product) else np.dtype(float)
        eps = np.finfo(kind if kind.kind == "f" else float).eps
        which = {"largest": "LA", "smallest": "SA"}[checks.choice("which", which, ("largest", "smallest"))]
        if (gradient is None) == (product is None):
            raise ValueError("give either gradient or product, a function of a vector.")
        if product is None:
            h = step or np.cbrt(eps) * max(1.0, np.sqrt(inner(origin, origin)))

            def product(v):
                length = np.sqrt(inner(v, v)) or 1.0
                e = v * (h / length)
                return (np.asarray(gradient(origin + e), float) - np.asarray(gradient(origin - e),
                                                                             float)) * (length / (2 * h))
        if origin.size <= ndim + 1:
            H = np.array([product(e) for e in np.eye(origin.size)])
            values, vectors = np.linalg.eigh((H + H.T) / 2)
        else:
            start = np.random.default_rng(seed).standard_normal(origin.size)
            operator = LinearOperator((origin.size,) * 2,
                                      matvec=lambda v: np.asarray(product(np.ravel(v)), float), dtype=float)
            values, vectors = eigsh(operator, k=ndim, which=which, v0=start, tol=tol)
        order = np.argsort(values)[::-1 if which == "LA" else 1][:ndim]
        values, vectors = values[order], [vectors[:, k] for k in order]
        vectors = [v if v[np.abs(v).argmax()] > 0 else -v for v in vectors]
        residuals = [float(np.linalg.norm(product(v) - value * v)) for v, value in zip(vectors, values)]
        if eps > 1e-10 and max(residuals) > SPOILED * np.abs(values).max():
            raise ValueError(f"the {'gradient' if gradient is not None else 'product'} comes in {kind}, "
                             f"and its rounding spoils the eigenvectors (residual {max(residuals):.1g}, "
                             f"largest eigenvalue {np.abs(values).max():.2g}): compute it in float64 "
                             "(model.double()).")
        facts = {"eigenvalues": values.tolist(), "residuals": residuals, "seed": int(seed)}
        return cls.from_directions(origin, vectors, orthonormal=orthonormal,
                                   kind="eigenvectors of the Hessian", facts=facts)

    # ---- what it is ----

    @property
    def ndim(self) -> int:
        """1, 2 or 3."""
        return len(self.directions)

    @property
    def n_params(self) -> int:
        return self.origin.size

    @property
    def gram(self) -> np.ndarray:
        """Inner products of the directions, shape (ndim, ndim): |dw|^2 = dc.G.dc."""
        G = np.empty((self.ndim, self.ndim))
        for i in range(self.ndim):
            for j in range(i + 1):
                G[i, j] = G[j, i] = inner(self.directions[i], self.directions[j])
        return G

    def at(self, coordinates: ArrayLike) -> np.ndarray:
        """Parameter vector at the coordinates (ndim,); exactly the origin at zero."""
        vector = self.origin.copy()
        for c, d in zip(np.ravel(checks.points("coordinates", np.atleast_1d(coordinates), self.ndim)),
                        self.directions):
            vector += c * d
        return vector

    def project(self, vectors: Any) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of the nearest points of the plane, G^-1 D (v - origin), and how far the vectors are
        off it.

        Parameters
        ----------
        vectors : ndarray, shape (n, n_params), or list of vectors or of lists of tensors

        Returns
        -------
        coordinates : ndarray, shape (n, ndim)
        residuals : ndarray, shape (n,)
            |v - Pv| / |v|, with v measured from the origin; 0 for the origin itself.
        """
        G, found, residuals = self.gram, [], []
        for k, v in enumerate(vectors):
            v = parameter_vector(f"vector {k}", v, self.n_params)[0] - self.origin
            c = np.linalg.solve(G, [inner(d, v) for d in self.directions])
            off = v - sum(a * d for a, d in zip(c, self.directions))
            length = np.sqrt(inner(v, v))
            found.append(c)
            residuals.append(np.sqrt(inner(off, off)) / length if length > 0 else 0.0)
        return np.array(found).reshape(-1, self.ndim), np.array(residuals)

    def coordinates(self, coefficients: ArrayLike) -> np.ndarray:
        """Coordinates of the point with these coefficients (..., ndim) of the directions as given."""
        return np.asarray(coefficients, float) @ self.given

    def coefficients(self, coordinates: ArrayLike) -> np.ndarray:
        """Coefficients (..., ndim) of the directions as given, from coordinates."""
        return np.linalg.solve(self.given.T, np.asarray(coordinates, float)[..., None])[..., 0]

    def box(self, margin: float = 0.25) -> list[tuple[float, float]]:
        """Range (low, high) of each coordinate that holds the points the plane was made of, and a margin;
        else one given direction each way."""
        if len(self.points):
            low, high = self.points.min(axis=0), self.points.max(axis=0)
            room = margin * (high - low).max()
            return [(float(a - room), float(b + room)) for a, b in zip(low, high)]
        reach = np.sqrt((self.given**2).sum(axis=0))
        return [(-float(r), float(r)) for r in reach]

    def describe(self) -> dict[str, Any]:
        """What was done, as a dictionary for the file."""
        return {"kind": self.kind, **self.facts, "directions_as_given": self.given.tolist(),
                "points": self.points[:100].tolist()}

    def __repr__(self):
        noun = {1: "line", 2: "plane", 3: "space"}[self.ndim]
        return (f"{noun} in {self.n_params} parameters: {self.kind}, "
                f"{'orthonormal' if self.facts.get('orthonormal') else 'directions as given'}")


def _listed(directions):
    """The directions of one path, of one list or array of them, or as they are."""
    if len(directions) != 1:
        return directions
    (one,) = directions
    if isinstance(one, (str, bytes)) or hasattr(one, "__fspath__"):
        return read_directions(one).vectors
    if isinstance(one, (list, tuple)) or getattr(one, "ndim", 1) == 2:
        return one
    return directions


def parameter_vector(name, values, size=None):
    """A finite float vector of its own, and its layout when it came as tensors."""
    layout = None
    if hasattr(values, "named_parameters"):
        values = dict(values.named_parameters())             # a torch.nn.Module
    elif hasattr(values, "coefs_") or hasattr(values, "coef_") and hasattr(values, "predict"):
        values, layout, _ = sklearn_parameters(copy.deepcopy(values))    # it may reshape what it is given
    if is_list_of_tensors(values):
        values, layout = flatten(values)
    try:
        vector = np.array(values, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be a vector of parameters or a list of tensors, got "
                        f"{checks.shown(values)}.") from None
    if vector.ndim != 1 or (size is not None and vector.size != size):
        raise ValueError(f"{name} has shape {vector.shape}, expected {f'({size},)' if size else 'one axis'}: "
                         "all parameters in one vector.")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(vector)).sum())} values that are not finite.")
    return vector, layout


def _gram_schmidt(vectors):
    """Orthonormal rows and the lower triangular matrix that leads from them back to the vectors; two passes,
    so exact to rounding."""
    basis, given = [], np.zeros((len(vectors),) * 2)
    for k, v in enumerate(vectors):
        rest, length = v.copy(), np.sqrt(inner(v, v))
        for _ in range(2):
            for j, e in enumerate(basis):
                c = inner(e, rest)
                rest -= c * e
                given[k, j] += c
        given[k, k] = np.sqrt(inner(rest, rest))
        if not given[k, k] > DEPENDENT * length:
            what = "is zero" if length == 0 else f"lies in the span of the {k} before it"
            raise ValueError(f"direction {k} {what}; the directions of a plane must be independent.")
        basis.append(rest / given[k, k])
    return np.array(basis), given
