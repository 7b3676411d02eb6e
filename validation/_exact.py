"""Exact values to compare with, by means that share no code with what is judged (NumPy and SciPy only)."""
from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre

# Gauss points a panel and axis; the rules of the package are lower and not adaptive
POINTS = {1: 10, 2: 8, 3: 6}
LEVELS = {1: 16, 2: 8, 3: 4}  # most halvings of a cell; reached only at kinks and in the cold
CHUNK = 400_000                                    # points evaluated at once


def cell_probabilities(V, theta, grid, tolerance=1e-16):
    """Integrals of exp(-f/theta) over the cells of a grid, normalised to sum one; shape grid.shape.

    Every cell is cut into 2^level panels an axis until its contribution changes by less than `tolerance` of
    the total, with 6 to 10-point Gauss-Legendre on each panel: exponentially accurate for smooth f, and where
    f has kinks the remaining change is returned as the error.

    Returns
    -------
    probabilities : ndarray, shape grid.shape
    error : float
        Sum of the last changes of the cells that had not settled (0 when all had), relative to the total.
    """
    starts = [np.asarray(e[:-1]) for e in grid.edges]
    widths = [np.diff(e) for e in grid.edges]
    cells = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1).reshape(-1,
                                                                                                  grid.ndim)
    keep = np.asarray(grid.inside).ravel()
    f0 = float(np.nanmin(V(grid.points)))
    value = np.zeros(len(cells))
    active, change = np.flatnonzero(keep), None
    for level in range(LEVELS[grid.ndim] + 1):
        new = panels(V, theta, f0, starts, widths, cells[active], 2**level)
        change = np.abs(new - value[active])
        value[active] = new
        if level:
            unsettled = change > tolerance * value.sum()
            active, change = active[unsettled], change[unsettled]
            if active.size == 0:
                break
    total = value.sum()
    return (value / total).reshape(grid.shape), float(change.sum() / total)


def panels(V, theta, f0, starts, widths, cells, n_panels):
    """Integral of exp(-(f - f0)/theta) over each of the listed cells, shape (len(cells),)."""
    nodes, weights = legendre.leggauss(POINTS[cells.shape[1]])
    nodes = ((np.arange(n_panels)[:, None] + (nodes + 1) / 2) / n_panels).ravel()
    weights = np.tile(weights / (2 * n_panels), n_panels)
    d = cells.shape[1]
    unit = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d)
    weight = np.ones(1)
    for _ in range(d):
        weight = np.multiply.outer(weight, weights).ravel()
    out = np.empty(len(cells))
    step = max(1, CHUNK // len(unit))
    for first in range(0, len(cells), step):
        some = cells[first:first + step]
        low = np.stack([starts[k][some[:, k]] for k in range(d)], -1)
        wide = np.stack([widths[k][some[:, k]] for k in range(d)], -1)
        values = np.exp(-(V(low[:, None, :] + wide[:, None, :] * unit) - f0) / theta)
        out[first:first + step] = (values @ weight) * wide.prod(-1)
    return out


def gauss_cells(grid, mean, covariance):
    """Probabilities of the cells of a one-dimensional grid under a normal law, by the error function."""
    from scipy.special import erf

    edge = np.asarray(grid.edges[0])
    return np.diff(0.5 * erf((edge - mean) / np.sqrt(2 * covariance)))


def relative_entropy(p, exact):
    """sum p log(p / exact) over cells, both as probabilities; 0 log 0 = 0."""
    some = p > 0
    return float((p[some] * np.log(p[some] / exact[some]) - p[some] + exact[some]).sum() + exact[~some].sum())


def l2_distance(p, exact):
    """The distance sqrt(sum (p - exact)^2 / exact), the norm in which the generator is symmetric."""
    some = exact > 0
    return float(np.sqrt((((p - exact)[some]) ** 2 / exact[some]).sum()))


def lowest_gap(generator, stationary):
    """Spectral gap of a reversible generator (rows sum to zero): lowest positive eigenvalue of -L, by shifted
    Lanczos.

    L is made symmetric by the square roots of its stationary weights; cells that hold less than 1e-60 of the
    heaviest one are left out: they change the gap by less than rounding, and their rates span hundreds of
    decades.
    """
    import scipy.sparse as sparse
    from scipy.sparse.linalg import eigsh

    p = np.asarray(stationary, float).ravel()
    some = np.flatnonzero(p > 1e-60 * p.max())
    root = np.sqrt(p[some])
    L = generator.tocsr()[some][:, some]
    S = sparse.diags(root) @ L @ sparse.diags(1 / root)
    S = -(S + S.T) / 2
    scale = abs(S.diagonal()).max()
    values = np.sort(eigsh(S.tocsc(), k=4, sigma=-1e-9 * scale, which="LM", return_eigenvectors=False))
    return float(values[1]), float(values[2])
