"""The catalogue as the validations use it: entries by name, with dimensions that fit a grid."""
from __future__ import annotations

import numpy as np

# f has a jump in some derivative: quadrature is not exponentially accurate there, so it answers for its
# stated error
ROUGH = {"flat_bottomed"}
# one of each dimension a grid can have, beside what the catalogue gives by default
MORE = {"ornstein_uhlenbeck_2d": ("ornstein_uhlenbeck", {"d": 2, "A": [[1.0, 0.6], [0.6, 1.5]]}),
        "quartic_chain_2d": ("quartic_chain", {"d": 2}), "quartic_chain_3d": ("quartic_chain", {"d": 3}),
        "quartic_chain_10d": ("quartic_chain", {"d": 10}),
        "coupled_double_well_3d": ("coupled_double_well", {"d": 3}),
        "ornstein_uhlenbeck_3d": ("ornstein_uhlenbeck", {"d": 3})}


def entry(name):
    """The catalogue potential of this name; `NAME_2d` and the like where an entry exists in several
    dimensions."""
    import fpkit as fp

    base, parameters = MORE.get(name, (name, {}))
    return fp.catalogue.get(base, **parameters)


def names():
    """All names, those of the catalogue first."""
    import fpkit as fp

    return [*fp.catalogue.names(), *MORE]


def is_smooth(name):
    """Whether f is infinitely often differentiable."""
    return MORE.get(name, (name, {}))[0] not in ROUGH


def start_in_a_well(V, theta):
    """Centre and width of a Gaussian start in the first minimum, off every symmetry axis, so that the slowest
    mode is excited.

    It is narrower than the Gibbs density of the stiffest direction: else its L2(1/pi) distance does not exist
    in the continuum and on a grid is made by cells far out that hold nothing. """
    x = np.asarray(V.minima[0].x, float)
    spread = np.sqrt(theta / np.linalg.eigvalsh(V.hessian(x)).max())
    middle = np.array([(low + high) / 2 for low, high in V.box])
    return x + spread * np.where(middle >= x, 1, -1), 0.7 * float(spread)


def chain_marginal(V, theta, grid, n_nodes=200, reach=3.2):
    """Exact probabilities of the cells of a 1D grid for the first coordinate of the quartic chain, by its
    transfer operator.

    f = sum_i (x_i^2 - 1)^2 + (coupling/2) sum_i (x_{i+1} - x_i)^2: the other coordinates are integrated one
    after the other by Gauss-Legendre quadrature on [-reach, reach], beyond which exp(-f/theta) is below
    rounding.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    x, w = reach * nodes, reach * weights
    coupling = V.params["coupling"]
    own = lambda y: np.exp(-((y * y - 1) ** 2) / theta)
    link = lambda a, b: np.exp(-0.5 * coupling * (a[:, None] - b) ** 2 / theta)
    rest = np.ones(n_nodes)  # what the coordinates to the right integrate to, as a function of x_i
    kernel = link(x, x)
    for _ in range(V.ndim - 2):
        rest = kernel @ (w * own(x) * rest)
        rest /= rest.max()
    local, share = np.polynomial.legendre.leggauss(12)
    edges = grid.edges[0]
    points = (edges[:-1, None] + np.diff(edges)[:, None] * (local + 1) / 2)
    density = own(points.ravel()) * (link(points.ravel(), x) @ (w * own(x) * rest))
    cells = (density.reshape(points.shape) * share).sum(1) * np.diff(edges)
    total = (w * own(x) * (kernel @ (w * own(x) * rest))).sum()
    return cells / (2 * total)
