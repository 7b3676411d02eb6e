"""A rectangular grid of cells in one to three dimensions: bounds, faces, periodic axes and a mask."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .calls import understood

MAX_CELLS = 2**31


class Grid:
    """Cells of a box in one, two or three dimensions.

    Parameters
    ----------
    bounds : sequence of (low, high)
        One pair an axis, in the units of the coordinates.
    shape : sequence of int
        Number of cells along each axis, at least 2.
    periodic : bool or sequence of bool
        Whether opposite walls are the same wall, for all axes or one by one. A wall that is not periodic
        reflects.
    mask : callable, region or boolean array, optional
        True inside the domain, from which cells with their centre outside are removed with their faces (no
        flux). An array of shape `shape` is a mask of cells: the domain is exactly their union. A rule
        ``mask(points)`` for points (..., ndim), or a region, is a wall that may cut cells: Gibbs masses and
        probabilities follow it, chains and `evolve` know it by the cells.

    Attributes
    ----------
    edges, centres, widths : tuple of ndarray
        Faces (n + 1,), cell centres (n,) and cell widths (n,) of each axis.
    volumes : ndarray, shape `shape`
    inside : ndarray of bool, shape `shape`

    Examples
    --------
    >>> grid = Grid([(-2, 2), (0, 1)], shape=(4, 2))
    >>> grid.centres[0]
    array([-1.5, -0.5,  0.5,  1.5])
    >>> float(grid.volumes.sum())
    4.0
    """

    @understood
    def __init__(self, bounds: ArrayLike, shape: int | Sequence[int], periodic: bool | Sequence[bool] = False,
                 mask: Any = None) -> None:
        try:
            pairs = [(float(low), float(high)) for low, high in bounds]
        except (TypeError, ValueError, OverflowError):
            raise ValueError("bounds must be one (low, high) pair an axis, got "
                             f"{checks.shown(bounds)}.") from None
        counts = [shape] if np.isscalar(shape) else list(shape)
        if len(counts) != len(pairs):
            raise ValueError(f"shape {tuple(counts)} has {len(counts)} axes and bounds have {len(pairs)}; "
                             "give one number of cells an axis.")
        counts = [checks.whole(f"shape[{k}]", n, 2) for k, n in enumerate(counts)]
        for k, (low, high) in enumerate(pairs):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise ValueError(f"bounds of axis {k} must be finite with low < high, got ({low:g}, "
                                 f"{high:g}).")
        if np.prod([float(n) for n in counts]) > MAX_CELLS:
            raise ValueError(f"a grid of {tuple(counts)} has more than {MAX_CELLS:.1e} cells; coarsen it.")
        # the last edge is the bound itself and not its sum to rounding: a region may begin exactly there
        edges = [np.append(low + (high - low) * np.arange(n) / n, high) for (low, high),
                 n in zip(pairs, counts)]
        self._set(edges, periodic, mask, True)

    @classmethod
    def of_file(cls, edges: list, periodic: list[bool], inside: np.ndarray, is_uniform: Any) -> Grid:
        """The grid of which a file holds these facts."""
        mask = None if inside.all() else inside
        return (cls([(e[0], e[-1]) for e in edges], inside.shape, periodic, mask) if is_uniform
                else cls.from_edges(edges, periodic, mask))

    @classmethod
    def from_edges(cls, edges: Sequence[ArrayLike], periodic: bool | Sequence[bool] = False,
                   mask: Any = None) -> Grid:
        """Grid with given cell faces, one increasing array an axis; the widths may differ.

        Examples
        --------
        >>> Grid.from_edges([[0, 1, 3, 7]]).widths[0]
        array([1., 2., 4.])
        """
        arrays = []
        for k, e in enumerate(edges):
            e = np.array(e, float)
            if e.ndim != 1 or e.size < 3 or not np.isfinite(e).all() or not (np.diff(e) > 0).all():
                raise ValueError(f"edges of axis {k} must be at least three finite increasing numbers, got "
                                 f"{checks.shown(e)}.")
            arrays.append(e)
        self = object.__new__(cls)
        widths = [np.diff(e) for e in arrays]
        self._set(arrays, periodic, mask, all(np.allclose(w, w[0], rtol=1e-12, atol=0) for w in widths))
        return self

    def _set(self, edges, periodic, mask, is_uniform):
        if not 1 <= len(edges) <= 3:
            raise ValueError(f"a grid has one to three axes, got {len(edges)}; in higher dimension use paths "
                             "(fpkit.simulate, fpkit.sample).")
        self.ndim = len(edges)
        self.edges = tuple(edges)
        self.widths = tuple(np.diff(e) for e in edges)
        self.centres = tuple((e[1:] + e[:-1]) / 2 for e in edges)
        self.shape = tuple(w.size for w in self.widths)
        self.n_cells = int(np.prod(self.shape))
        self.bounds = tuple((float(e[0]), float(e[-1])) for e in edges)
        self.is_uniform = bool(is_uniform)
        flags = [periodic] * self.ndim if isinstance(periodic, (bool, np.bool_)) else list(periodic)
        if len(flags) != self.ndim or not all(isinstance(p, (bool, np.bool_)) for p in flags):
            raise ValueError(f"periodic must be True, False or one of them an axis ({self.ndim}), got "
                             f"{checks.shown(periodic)}.")
        self.periodic = tuple(bool(p) for p in flags)
        self.mask = mask
        self._inside = None
        if mask is not None:
            self._decided()                 # a mask of the wrong shape is found here and not later

    @property
    def h(self) -> np.ndarray:
        """Mean cell width of each axis, shape (ndim,)."""
        return np.array([(high - low) / n for (low, high), n in zip(self.bounds, self.shape)])

    @property
    def volumes(self) -> np.ndarray:
        """Cell volumes, shape `shape`."""
        v = self.widths[0]
        for w in self.widths[1:]:
            v = np.multiply.outer(v, w)
        return v.copy()

    @property
    def points(self) -> np.ndarray:
        """Cell centres, shape (*shape, ndim)."""
        points = np.empty(self.shape + (self.ndim,))
        for k, c in enumerate(self.centres):
            points[..., k] = c.reshape([-1 if a == k else 1 for a in range(self.ndim)])
        return points

    @property
    def inside(self) -> np.ndarray:
        """Cells of the domain, bool of shape `shape`."""
        return self._decided()

    def _decided(self):
        if self._inside is None:
            if self.mask is None:
                inside = np.ones(self.shape, bool)
            else:
                rule = getattr(self.mask, "contains", self.mask)
                inside = np.asarray(rule(self.points) if callable(rule) else rule)
                if inside.shape != self.shape:
                    raise ValueError(f"the mask gave shape {inside.shape}, expected {self.shape}: one truth "
                                     "value a cell.")
                inside = inside.astype(bool)
                if not inside.any():
                    raise ValueError("the mask leaves no cell inside; check its sign (True means inside) or "
                                     "refine the grid.")
            inside.setflags(write=False)
            self._inside = inside
        return self._inside

    def along(self, axes: Sequence[int]) -> Grid:
        """The grid of some of the axes, without a mask."""
        periodic = [self.periodic[k] for k in axes]
        if self.is_uniform:
            return Grid([self.bounds[k] for k in axes], [self.shape[k] for k in axes], periodic)
        return Grid.from_edges([self.edges[k] for k in axes], periodic)

    def refined(self, factor: int = 2) -> Grid:
        """The same domain with every cell cut into `factor` parts along each axis (an array mask is
        repeated)."""
        factor = checks.whole("factor", factor, 1)
        edges = [np.concatenate([(e[:-1, None] + np.diff(e)[:, None] * np.arange(factor) / factor).ravel(),
                                 e[-1:]]) for e in self.edges]
        mask = self.mask
        if self.has_array_mask:
            mask = np.asarray(mask)
            for axis in range(self.ndim):
                mask = np.repeat(mask, factor, axis)
        if self.is_uniform:
            return Grid(self.bounds, [n * factor for n in self.shape], self.periodic, mask)
        return Grid.from_edges(edges, self.periodic, mask)

    def coarsened(self, share: float = 1.0) -> Grid | None:
        """The same domain with half the cells along each axis (rounded up); None for an array mask on an odd
        number of cells.

        An array mask keeps a block of cells of which at least this `share` is inside.
        """
        mask = self.mask
        if self.has_array_mask:
            if any(n % 2 for n in self.shape):
                return None
            split = [m for n in self.shape for m in (n // 2, 2)]
            parts = tuple(range(1, 2 * self.ndim, 2))
            mask = np.asarray(mask, float).reshape(split).mean(axis=parts) >= share
        if self.is_uniform:
            return Grid(self.bounds, [(n + 1) // 2 for n in self.shape], self.periodic, mask)
        return Grid.from_edges([e[::2] if e.size % 2 else np.append(e[::2], e[-1]) for e in self.edges],
                               self.periodic, mask)

    @property
    def has_array_mask(self) -> bool:
        """True when the mask is an array of cells, not a rule for points."""
        return self.mask is not None and not callable(self.mask) and not hasattr(self.mask, "contains")

    def is_cut(self, region: Any) -> np.ndarray:
        """Cells with corners on both sides of the boundary of a region, or of one that it is made of, or with
        a boundary inside, as an array of truth values; corners on it count as neither where the region knows
        its distance."""
        parts = [getattr(region, name) for name in ("first", "second", "of") if hasattr(region, name)]
        if parts:
            return np.logical_or.reduce([self.is_cut(part) for part in parts])
        corners = np.stack(np.meshgrid(*self.edges, indexing="ij"), -1)
        flat = corners.reshape(-1, self.ndim)
        if getattr(region, "has_distance", False):
            distance = region.signed_distance(flat)
            side = np.sign(np.where(np.abs(distance) < 1e-9 * self.h.min(), 0.0, distance))
        else:
            side = np.where(region.contains(flat), -1.0, 1.0)
        low = high = side.reshape(corners.shape[:-1])
        for axis in range(self.ndim):
            low, high = (rule(np.delete(s, 0, axis), np.delete(s, -1, axis))
                         for rule, s in ((np.minimum, low), (np.maximum, high)))
        cut = low * high < 0
        if getattr(region, "has_distance", False) and region.is_distance_exact:
            least = np.min(np.broadcast_arrays(*np.ix_(*self.widths)), axis=0)
            cut |= np.abs(region.signed_distance(self.points)) < (1 - 1e-9) * least / 2
            low, high = (getattr(region, k, getattr(region, "centre", None)) for k in ("low", "high"))
            if low is not None and (np.isfinite(low) & np.isfinite(high)).all():
                for p in (low, high):              # a region smaller than a cell may lie in its corner
                    if all(a <= v <= b for v, (a, b) in zip(p, self.bounds)):
                        at = self.locate(p)
                        cut[at] |= all(h - v < w[k] for v, h, w, k in zip(low, high, self.widths, at)) and (
                            getattr(region, "radius", 0.0) < least[at])
        return cut

    def locate(self, point: ArrayLike) -> tuple[int, ...]:
        """Index of the cell that holds `point`; ValueError when it is outside the box."""
        x = self._wrapped(point)
        return tuple(int(min(np.searchsorted(e, v, side="right") - 1, n - 1)) for e, v,
                     n in zip(self.edges, x, self.shape))

    def _wrapped(self, point):
        x = checks.points("point", np.atleast_1d(point), self.ndim)
        if x.shape != (self.ndim,):
            raise ValueError(f"one point of shape ({self.ndim},) was expected, got {x.shape}.")
        x = x.copy()
        for k, (low, high) in enumerate(self.bounds):
            if self.periodic[k]:
                x[k] = low + (x[k] - low) % (high - low)
            elif not low <= x[k] <= high:
                raise ValueError(f"the point {x.tolist()} is outside the grid: axis {k} covers {low:g} to "
                                 f"{high:g}.")
        return x

    def interpolation(self, point: ArrayLike) -> tuple[np.ndarray, np.ndarray, Callable]:
        """Weights (2^ndim,), indices (2^ndim, ndim) of multilinear interpolation between cell centres, and an
        error rule.

        Beyond the last centre the outermost two are extrapolated. The rule maps the array of values to the
        size of the interpolation's own error, from the second differences around the point.
        """
        x = self._wrapped(point)
        pairs, bends = [], []
        for k, (c, n) in enumerate(zip(self.centres, self.shape)):
            if self.periodic[k]:
                period = self.bounds[k][1] - self.bounds[k][0]
                ring = np.r_[c[-1] - period, c, c[0] + period]
                i = int(np.searchsorted(ring, x[k], side="right") - 1)
                i = min(max(i, 0), n)
                s = (x[k] - ring[i]) / (ring[i + 1] - ring[i])
                pairs.append((((i - 1) % n, 1 - s), (i % n, s)))
            else:
                i = min(max(int(np.searchsorted(c, x[k], side="right") - 1), 0), n - 2)
                s = (x[k] - c[i]) / (c[i + 1] - c[i])
                pairs.append(((i, 1 - s), (i + 1, s)))
            # the last: a cell average is not the value at the centre
            bends.append(abs(s * (1 - s)) / 2 + 1 / 24)
        indices, weights = [], []
        for corner in np.ndindex(*(2,) * self.ndim):
            indices.append([pairs[k][b][0] for k, b in enumerate(corner)])
            weights.append(np.prod([pairs[k][b][1] for k, b in enumerate(corner)]))
        indices, weights = np.array(indices), np.array(weights)

        def curvature(values):
            total, home = 0.0, indices[int(np.argmax(weights))]
            for k, n in enumerate(self.shape):
                if n < 3:
                    continue
                largest = 0.0
                for i, _ in pairs[k]:                   # the larger of the second differences at both ends
                    i = i if self.periodic[k] else min(max(i, 1), n - 2)
                    line = [values[tuple(home[:k]) + ((i + step) % n,) + tuple(home[k + 1:])]
                            for step in (-1, 0, 1)]
                    bend = abs(line[0] - 2 * line[1] + line[2])
                    largest = max(largest, bend) if np.isfinite(bend) else largest
                # 1.5: cross terms and the change of the curvature between them
                total += 1.5 * bends[k] * largest
            return float(total)
        return weights, indices, curvature

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Grid) and self.shape == other.shape and self.periodic == other.periodic
                and all(np.array_equal(a, b) for a, b in zip(self.edges, other.edges))
                and np.array_equal(self.inside, other.inside))

    __hash__ = None

    def __repr__(self) -> str:
        axes = " x ".join(f"[{low:g}, {high:g}]{' periodic' if p else ''}" for (low, high),
                          p in zip(self.bounds, self.periodic))
        holes = "" if self.mask is None else f", {int(self.inside.sum())} of {self.n_cells} cells inside"
        holes = holes.replace(",", ", mask of cells:", 1) if self.has_array_mask else holes
        kind = "" if self.is_uniform else ", non-uniform"
        return f"Grid {'x'.join(map(str, self.shape))} on {axes}{kind}{holes}"
