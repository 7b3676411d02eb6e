"""How fast a space scheme converges on a potential of one's own: errors on a sequence of grids, their order,
the finest error."""
from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import checks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.interruption import whole_results
from ..core.results import ResolutionWarning
from ..core.views.tables import Tabular
from .averages import gibbs_mean
from .fokker_planck import FokkerPlanck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..potentials.potential import Potential

QUANTITIES = ("transient", "stationary", "mean energy", "gap")
LEAST_GAP = 1e-7  # of the largest rate: below, eigenvalues of the assembled matrix are rounding
MAX_CELLS = 600_000                # of the reference grid


@dataclass(frozen=True, repr=False)
class RefinementTable(Tabular):
    """Errors of space schemes on grids refined by two.

    Attributes
    ----------
    quantity : str
    shapes : list of tuple
    errors : dict
        Scheme -> errors, one a grid: L1 of cell probabilities, or relative for a number.
    orders : dict
        Scheme -> slope of log error over log h between successive grids.
    reference : str
    """
    quantity: str
    shapes: list
    errors: dict
    orders: dict
    reference: str
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def finest(self) -> dict[str, float]:
        """Scheme -> error on the finest grid."""
        return {s: e[-1] for s, e in self.errors.items()}

    def _columns(self):
        return {"shape": ["x".join(map(str, s)) for s in self.shapes],
                **{f"error of {name}": values for name, values in self.errors.items()}}

    def to_dict(self) -> dict[str, Any]:
        clean = lambda a: [float(x) if np.isfinite(x) else None for x in a]
        return {"quantity": self.quantity, "reference": self.reference,
                "shapes": [list(s) for s in self.shapes],
                "errors": {s: clean(e) for s, e in self.errors.items()},
                "orders": {s: clean(e) for s, e in self.orders.items()}, **self.inputs}

    def __repr__(self):
        sizes = ["x".join(map(str, s)) for s in self.shapes]
        width = max(8, *(len(s) for s in sizes), *(9 for _ in sizes))
        first = max(len("scheme"), *(len(s) for s in self.errors))
        lines = [f"{self.quantity}, error against {self.reference}", f"{'scheme':{first}}  "
                 + "  ".join(f"{s:>{width}}" for s in sizes) + "   order"]
        for s, e in self.errors.items():
            orders = ", ".join("-" if not np.isfinite(o) else f"{o:.2f}" for o in self.orders[s])
            lines.append(f"{s:{first}}  " + "  ".join(f"{x:{width}.1e}" for x in e) + f"   {orders}")
        return "\n".join(lines)


@understood
def refinement_table(V: Potential, theta: float, grid: Grid, quantity: str = "transient",
                     schemes: str | Sequence[str] = ("recommended",), n_grids: int = 3,
                     t: float | None = None, start: tuple | None = None,
                     mobility: Any = None) -> RefinementTable:
    """Errors of space schemes on `n_grids` grids, the finest about as fine as `grid`.

    Parameters
    ----------
    V : Potential
    theta : float
    grid : Grid
        Bounds, periodic axes and mask, and the finest number of cells (rounded so that it can be halved).
    quantity : {"transient", "stationary", "mean energy", "gap"}
        "transient": cell probabilities at time t against the order-4 evolution on twice as many cells, L1.
        "stationary": the chain's own stationary probabilities against the exact ones, L1. "mean energy": of
        the chain's stationary state, against the exact mean, relative to theta. "gap": lowest nonzero
        eigenvalue, relative, against the extrapolation of the recommended scheme.
    schemes : str or sequence of str
    n_grids : int
    t : float, optional
        Time of the transient; default: the time in which the start spreads to twice its variance.
    start : (mean, std), optional
        Gaussian start of the transient; default: beside the lowest cell, a twelfth of the box wide.

    Returns
    -------
    RefinementTable

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2 + 0.3*x")
    >>> grid = fp.Grid([(-2, 2)], shape=64)
    >>> table = fp.refinement_table(V, 0.2, grid, "gap", ["recommended", "scharfetter-gummel"])
    >>> bool(abs(table.orders["scharfetter-gummel"][-1] - 2) < 0.1)
    True
    """
    quantity = checks.choice("quantity", quantity, QUANTITIES)
    n_grids = checks.whole("n_grids", n_grids, 2)
    schemes = [schemes] if isinstance(schemes, str) else list(schemes)
    grids = _grids(grid, n_grids)
    make = lambda g, s: FokkerPlanck(V, theta, g, mobility, s)
    for s in schemes:
        make(grids[0], s)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        rule = {"transient": _transient, "stationary": _stationary, "mean energy": _mean_energy,
                "gap": _gap}[quantity]
        errors, reference, inputs = rule(make, grids, schemes, t, start)
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = {s: np.log2(np.array(e[:-1]) / np.array(e[1:])) for s, e in errors.items()}
    return RefinementTable(quantity, [g.shape for g in grids[:n_grids]], errors, orders, reference,
                           {"theta": float(theta) if not callable(theta) else None, "potential": repr(V),
                            **inputs})


def _grids(grid, n_grids):
    """n_grids grids and one finer, each with twice the cells of the one before along every axis."""
    base = [max(3, round(n / 2 ** (n_grids - 1))) for n in grid.shape]
    largest = np.prod(base, dtype=float) * 2.0 ** (grid.ndim * n_grids)
    if largest > MAX_CELLS:
        raise ValueError(f"the reference grid would have {largest:.2g} cells; give a coarser grid or fewer "
                         "of them.")
    if not grid.is_uniform:
        raise ValueError("refinement_table works on uniform grids; give Grid(bounds, shape).")
    mask = grid.mask
    if mask is not None and not callable(mask) and not hasattr(mask, "contains"):
        raise ValueError("a mask given as an array cannot be refined; give it as a function of points or a "
                         "region.")
    return [Grid(grid.bounds, [n * 2**k for n in base], grid.periodic, mask) for k in range(n_grids + 1)]


@whole_results()
def _transient(make, grids, schemes, t, start):
    finest = grids[-1]
    D = make(finest, "recommended")
    extent = np.array([high - low for low, high in finest.bounds])
    if start is None:
        low = finest.points.reshape(-1, finest.ndim)[np.argmax(D.cell_log_mass)]
        centre = np.array([np.mean(b) for b in finest.bounds])
        start = low + np.where(low < centre, 0.15, -0.15) * extent, float(extent.min() / 12)
    t = float(np.min(np.atleast_1d(start[1])) ** 2
              / (2 * D._frozen_theta)) if t is None else checks.number("t", t, positive=True)
    run = lambda D: np.asarray(D.evolve(start, [t], tol=1e-9, progress=False).densities)[-1] * D.grid.volumes
    exact = run(D)
    errors = {s: [] for s in schemes}
    for g in grids[:-1]:
        joined = _joined(exact, g.shape)
        for s in schemes:
            errors[s].append(float(np.abs(run(make(g, s)) - joined).sum()))
    return (errors, f"order-4 evolution on {'x'.join(map(str, finest.shape))}",
            {"t": t, "start": [np.asarray(a).tolist() for a in start]})


def _joined(p, shape):
    split = [m for n, k in zip(p.shape, shape) for m in (k, n // k)]
    return p.reshape(split).sum(axis=tuple(range(1, 2 * len(shape), 2)))


def _chain_probabilities(D):
    m = np.exp(D.chain.in_range().log_mass)
    return m / m.sum()


def _stationary(make, grids, schemes, t, start):
    errors = {s: [] for s in schemes}
    for g in grids[:-1]:
        exact = None
        for s in schemes:
            D = make(g, s)
            exact = (D.gibbs.values * g.volumes).ravel() if exact is None else exact
            errors[s].append(float(np.abs(_chain_probabilities(D) - exact).sum()))
    return errors, "exact cell probabilities", {}


def _mean_energy(make, grids, schemes, t, start):
    D = make(grids[-2], "recommended")
    exact = gibbs_mean(D._frozen_potential, D._frozen_theta, grids[-2])
    errors = {s: [abs(float(_chain_probabilities(D) @ np.where(D.inside, D._energies[0], 0.0).ravel())
                      - exact) / D._frozen_theta
                  for D in (make(g, s) for g in grids[:-1])] for s in schemes}
    return errors, f"the exact mean energy {float(exact):.6g}", {}


def _gap(make, grids, schemes, t, start):
    last = [spectral_gap(make(g, "recommended")) for g in grids[-2:]]
    exact = last[1] + (last[1] - last[0]) / 3
    errors = {s: [abs(spectral_gap(make(g, s)) / exact - 1) for g in grids[:-1]] for s in schemes}
    return errors, f"the extrapolated gap {exact:.8g}", {}


def spectral_gap(diffusion):
    """Lowest nonzero eigenvalue of -Q by shift-invert Lanczos; refused where it is rounding."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import eigsh
    chain = diffusion.chain.in_range()  # of the scheme itself: `generator` has the masses of the cells
    Q, log_mass = chain.generator(), chain.log_mass
    states = np.flatnonzero(np.isfinite(log_mass) & (log_mass > -500))
    s = np.exp(log_mass[states] / 2)
    S = diags(s) @ Q[states][:, states] @ diags(1 / s)
    S = ((S + S.T) / 2).tocsc()
    heavy = log_mass[states] > -60
    scale = float(np.abs(S.diagonal()[heavy]).max())
    rng = np.random.default_rng(0)
    values = np.sort(-eigsh(S, k=2, sigma=scale * 1e-9, which="LM", v0=s + 1e-3 * rng.standard_normal(s.size),
                            return_eigenvectors=False))
    if values[1] < LEAST_GAP * scale:
        raise ValueError(f"the gap, about {values[1]:.1g}, is below {LEAST_GAP:g} of the fastest rate: "
                         "eigenvalues of the assembled matrix are "
                         "rounding there; raise theta or choose another quantity.")
    return float(values[1])
