"""Two small models of grokking, each solved three ways: paths, finite volumes, and the reduced motion along
the slow coordinate.

Model A (`ravine`): a quick drift down to the floor of a ravine, then a slow walk along it. Model B
(`chamber`): a roomy chamber before a narrow neck, entropy alone holds the walker and each training example
cuts the chamber. They are models: nothing in them is a network.

The reduced motion along x has the free energy -theta log Z(x), Z(x) = int exp(-f(x, y)/theta) dy, and with a
mirror at 0

    t(L) = (1/theta) int_0^L dx/Z(x) int_0^x Z(z) dz.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import checks
from ..core.grid import Grid
from ..core.interruption import whole_results
from ..core.results import Estimate
from ..core.views.tables import Tabular
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..langevin.dynamics.ensemble import Ensemble
from ..langevin.dynamics.walls import Walls
from ..langevin.first_passage.exit_time import exit_time
from ..potentials.catalogue.planes import grokking_drift
from ..potentials.catalogue.spaces import grokking_chamber
from ..potentials.potential import Potential
from ..potentials.regions import HalfSpace

CHAMBER_EXIT = 2.0


@whole_results()
def _path_time(potential, theta, x0, target, walls, dt, n_paths, seed):
    """Mean first-passage time by paths, an Estimate whose error is one standard error."""
    found = exit_time(potential, theta, x0, target, dt, n_paths=n_paths, seed=seed, walls=walls,
                      progress=False)
    return Estimate(float(found), float(found.standard_error), "paths")


def reduced_time(log_z, x, theta):
    """(1/theta) int dx/Z int Z over samples of log Z at the points x (trapezoidal rule), from a mirror at
    x[0] to x[-1]."""
    h = np.diff(x)
    log_trapezoid = np.logaddexp(log_z[1:], log_z[:-1]) + np.log(h / 2)
    inner = np.concatenate([[-np.inf], np.logaddexp.accumulate(log_trapezoid)])
    q = np.exp(inner - log_z)
    return float(((q[1:] + q[:-1]) / 2 * h).sum() / theta)


def _fv_time(potential, theta, edges, target, start):
    """Mean first-passage time by finite volumes on a grid with the given edges, from the start or the point
    of the grid next to it."""
    grid = Grid.from_edges(edges)
    start = np.clip(start, *np.transpose(grid.bounds))
    return float(FokkerPlanck(potential, theta, grid).mfpt(target).at(start))


@dataclass(frozen=True, repr=False)
class PassageTable(Tabular):
    """Rows of measured and exact passage times of a model.

    Attributes
    ----------
    model : str
    rows : list of dict
        One for each case; the entries depend on the model, times are Estimates or floats.
    inputs : dict
        What made them.
    """
    model: str
    rows: list[dict[str, Any]]
    inputs: dict[str, Any]

    def column(self, name: str) -> np.ndarray:
        """One entry of every row, as a float array."""
        return np.array([float(row[name]) for row in self.rows])

    def exponent(self, of: str, against: str) -> Estimate:
        """Power p of t ~ L^p by least squares of the logarithms, as an Estimate with the standard error that
        the rows' errors give."""
        x, t = np.log(self.column(against)), self.column(of)
        error = np.array([row[of].error if isinstance(row[of], Estimate) else 0.0 for row in self.rows]) / t
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        return Estimate(float(weights @ np.log(t)), float(np.sqrt((weights**2) @ error**2)),
                        "least squares of logarithms")

    def _columns(self):
        columns = {}
        for name in self.rows[0] if self.rows else ():
            values = [row[name] for row in self.rows]
            columns[name] = [float(v) if isinstance(v, float) else v for v in values]
            if any(isinstance(v, Estimate) for v in values):
                columns[f"{name}_error"] = [getattr(v, "error", float("nan")) for v in values]
        return columns

    def __repr__(self) -> str:
        keys = list(self.rows[0])
        lines = [[str(k) for k in keys]] + [[_cell(row[k]) for k in keys] for row in self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(keys))]
        return "\n".join([self.model] + ["  ".join(c.rjust(w) for c, w in zip(line, widths))
                                         for line in lines])

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary; its times are Estimates."""
        return {"model": self.model, "rows": [dict(row) for row in self.rows], **self.inputs}


def _cell(value):
    if isinstance(value, Estimate):
        return f"{float(value):.5g} +- {value.error:.2g}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


# ---- model A ----
def ravine(lengths: Sequence[float] = (1.0, 2.0, 4.0, 8.0), kappa: float = 0.0, g: float = 1.0,
           w0: float = 0.3, theta: float = 0.01, n_paths: int = 3000, dt: float | None = None, seed: int = 1,
           finite_volumes: bool = True) -> PassageTable:
    """Times of model A: to the floor of the ravine (memorising) and along it to x = L (generalising), from
    (0, L).

        f(x, y) = g^2 w^2 (sqrt(1 + y^2/(g^2 w^4)) - 1),    w(x) = w0 exp(kappa x)

    Far from the floor the slope is g: t_mem = L/g, a drift. On a floor of constant width t_grok = L^2/(2
    theta), a walk; on one that widens over many 1/kappa it is L/(kappa theta): an entropic force is again a
    drift. In steps of length dt the ratio k_grok/k_mem^2 is dt g^2/(2 theta), which is 1 only when drift and
    noise of one step are equal.

    Parameters
    ----------
    lengths : sequence of float
        L: distance to the floor and along it.
    kappa, g, w0, theta : float
    n_paths : int
        Paths for each length and time.
    dt : float, optional
        Default 0.2 w0^2, a tenth of the stability limit.
    seed : int
    finite_volumes : bool
        Also solve the two-dimensional problem.

    Returns
    -------
    PassageTable
        Columns ``length, t_mem, drift`` (L/g), ``t_grok, finite_volumes, reduced, walk`` (L^2/(2 theta)),
        ``steps_ratio`` (k_grok/k_mem^2 as measured) and ``ratio_formula`` (dt g^2/(2 theta)).

    Examples
    --------
    >>> from fpkit.learning.models import ravine
    >>> table = ravine(lengths=(0.5, 1.0), n_paths=100, finite_volumes=False)
    >>> bool(abs(table.exponent("t_mem", "length") - 1) < 0.1)
    True
    """
    n_paths = checks.whole("n_paths", n_paths, 2)
    g, w0, theta = (checks.number(n, v, positive=True) for n, v in (("g", g), ("w0", w0), ("theta", theta)))
    kappa = checks.number("kappa", kappa)
    dt = 0.2 * w0**2 if dt is None else checks.number("dt", dt, positive=True)
    rows = []
    for k, L in enumerate(lengths):
        L = checks.number("lengths", L, positive=True)
        V = grokking_drift(g=g, w0=w0, kappa=kappa, length=L)
        floor = _floor_edge(g, w0, theta)
        if floor >= L:
            raise ValueError(f"the start y = {L:g} lies within the floor of the ravine (|y| < {floor:.3g}); "
                             "give longer lengths.")
        mirror = Walls([(0.0, np.inf), (-np.inf, np.inf)], ["reflecting", "none"])
        t_mem = _path_time(V, theta, [0.0, L], HalfSpace([0.0, -1.0], -floor), mirror, min(dt, 0.01 * L / g),
                           n_paths, seed + 1000 * k)
        t_grok = _path_time(V, theta, [0.0, L], HalfSpace([1.0, 0.0], L), mirror, dt, n_paths,
                            seed + 1000 * k + 500)
        row = {"length": L, "t_mem": t_mem, "drift": (L - floor) / g, "t_grok": t_grok}
        if finite_volumes:
            y = _graded(4 * np.sqrt(theta) * w0 * np.exp(max(kappa, 0.0) * L), L + 30 * theta / g,
                        4 * theta / g)
            row["finite_volumes"] = _fv_time(V, theta, [np.linspace(0, L, 81), y], HalfSpace([1.0, 0.0], L),
                                             [0.0, L])
        row |= {"reduced": _ravine_reduced(V, L, theta),
                "walk": L * L / (2 * theta), "steps_ratio": float(t_grok) * dt / float(t_mem) ** 2,
                "ratio_formula": dt * g * g / (2 * theta)}
        rows.append(row)
    inputs = {"kappa": kappa, "g": g, "w0": w0, "theta": theta, "n_paths": n_paths, "dt": dt, "seed": seed}
    return PassageTable(f"model A (ravine): kappa {kappa:g}, theta {theta:g}, {n_paths} paths a time", rows,
                        inputs)


def ravine_story(length: float = 4.0, n_paths: int = 500, theta: float = 0.01, n_times: int = 60,
                 seed: int = 1) -> dict[str, Any]:
    """Mean way down and along in model A (kappa = 0) at logarithmically spaced times, for a picture of
    plateau and late arrival.

    Returns
    -------
    dict
        ``times``; ``down``, the mean of 1 - |y|/L; ``along``, the mean of the farthest x/L at these times;
        ``arrived``, the share of paths that have met x = L; ``t_mem`` = L/g and ``t_grok`` = L^2/(2 theta).
    """
    V = grokking_drift(length=length)
    dt = 0.2 * V.params["w0"] ** 2
    walls = Walls([(0.0, length), (-np.inf, np.inf)], [("reflecting", "absorbing"), "none"])
    ensemble = Ensemble(V, theta, [0.0, length], dt, seed=seed, n_paths=n_paths, walls=walls)
    t_grok = length**2 / (2 * theta)
    steps = np.unique(np.geomspace(5, 4 * t_grok / dt, n_times).astype(int))
    rows, farthest = [], np.zeros(n_paths)
    for step in steps:
        ensemble.advance(int(step) - ensemble.step)
        has_arrived = np.isfinite(ensemble.exit_time)
        farthest = np.where(has_arrived, length, np.maximum(farthest, ensemble.X[0]))
        rows.append((1 - abs(ensemble.X[1]).mean() / length, farthest.mean() / length, has_arrived.mean()))
    down, along, arrived = np.array(rows).T
    return {"times": steps * dt, "down": down, "along": along, "arrived": arrived,
            "t_mem": length / V.params["g"], "t_grok": t_grok}


def _floor_edge(g, w0, theta):
    """The y > 0 at which f(0, y) = 2 theta: from there down the loss is that of the floor in equilibrium."""
    s = g * w0 * w0
    return s * np.sqrt((1 + 2 * theta / (g * s)) ** 2 - 1)


def _graded(core, far, widest):
    """Edges over (-far, far): 40 equal cells in (-core, core), then growing by 8 % a cell, up to `widest`."""
    edges, width = [core], core / 20
    while edges[-1] < far:
        width = max(width, min(1.08 * width, widest))
        edges.append(edges[-1] + width)
    outer = np.array(edges)
    return np.concatenate([-outer[::-1], np.linspace(-core, core, 41)[1:-1], outer])


def _ravine_reduced(V, L, theta):
    """The reduced time of model A, Z by quadrature over y at 401 points of the floor."""
    x, u = np.linspace(0, L, 401), np.linspace(-1, 1, 8001)
    y = 60 * (abs(u) ** 3 * np.sign(u)) * max(1.0, theta / V.params["g"])            # dense at the floor
    f = V(np.stack(np.broadcast_arrays(x[:, None], y[None]), -1))
    log_z = np.log(np.trapezoid(np.exp(-f / theta), y, axis=1))
    return reduced_time(log_z, x, theta)


# ---- model B ----
def chamber(n_samples: Sequence[int] = (0, 2, 4, 6, 8, 10, 12), entropy: float = 5.0,
            per_sample: float = 0.5, m: int = 8, neck: float = 0.3, theta: float = 0.05,
            n_paths: int = 1000, seed: int = 1, finite_volumes: bool = True) -> PassageTable:
    """Times of model B: out of a chamber that each training example makes smaller, through a neck, without
    any barrier in f.

        f = sum_{i<=m} y_i^2/(2 w(x)^2),    log w = log neck + (S/m) h(x),
        h = (1 - tanh((x - 1)/.15))/2,   S = entropy - per_sample n

    Mirror at x = 0, start at the origin, exit at x = 2. log Z(x) = S h(x) + const, so log t grows by about
    one for every nat of S and levels off at the diffusion time 2^2/(2 theta) when S goes to 0.

    Parameters
    ----------
    n_samples : sequence of int
        Sizes n of the training sample.
    entropy, per_sample : float
        Nats of the empty chamber, and how many each example cuts.
    m, neck, theta, n_paths, seed
    finite_volumes : bool
        Also solve in (x, r = |y|), with f - theta (m - 1) log r.

    Returns
    -------
    PassageTable
        Columns ``n, entropy, t_grok, finite_volumes, reduced``.

    Examples
    --------
    >>> from fpkit.learning.models import chamber
    >>> table = chamber(n_samples=(10,), n_paths=50, finite_volumes=False)
    >>> round(table.rows[0]["reduced"], 2)                  # S = 0: pure diffusion, 2^2/(2 theta)
    40.0
    """
    n_paths = checks.whole("n_paths", n_paths, 2)
    m = checks.whole("m", m, 2)
    theta, neck = checks.number("theta", theta, positive=True), checks.number("neck", neck, positive=True)
    rows = []
    for k, n in enumerate(n_samples):
        n = checks.whole("n_samples", n, 0)
        S = checks.number("entropy", entropy) - checks.number("per_sample", per_sample) * n
        V = grokking_chamber(m=m, S=S, neck=neck)
        mirror = Walls([(0.0, np.inf)] + [(-np.inf, np.inf)] * m, ["reflecting"] + ["none"] * m)
        dt = 0.05 * neck**2 * np.exp(2 * min(S, 0.0) / m)
        target = HalfSpace([1.0] + [0.0] * m, CHAMBER_EXIT)
        row = {"n": n, "entropy": S, "t_grok": _path_time(V, theta, np.zeros(m + 1), target, mirror, dt,
                                                          n_paths, seed + 1000 * k)}
        if finite_volumes:
            radial = Potential("y**2*exp(-S/m*(1 - tanh((x - 1)/0.15)))/(2*neck**2) - theta*(m - 1)*log(y)",
                               S=S, m=float(m), neck=neck, theta=theta)
            widest = neck * np.exp(max(S, 0.0) / m) * np.sqrt(theta)
            row["finite_volumes"] = _fv_time(radial, theta,
                                             [np.linspace(0, CHAMBER_EXIT, 161),
                                              np.linspace(1e-3 * widest, (np.sqrt(m) + 6) * widest, 121)],
                                             HalfSpace([1.0, 0.0], CHAMBER_EXIT), [0.0, 0.0])
        x = np.linspace(0, CHAMBER_EXIT, 8001)
        row["reduced"] = reduced_time(S * (1 - np.tanh((x - 1) / 0.15)) / 2, x, theta)
        rows.append(row)
    inputs = {"entropy": entropy, "per_sample": per_sample, "m": m, "neck": neck, "theta": theta,
              "n_paths": n_paths, "seed": seed}
    return PassageTable(f"model B (chamber): {entropy:g} nats less {per_sample:g} a sample, theta {theta:g}, "
                        f"{n_paths} paths a time", rows, inputs)
