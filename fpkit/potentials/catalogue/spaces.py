"""Catalogue potentials in any number of dimensions."""
from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ..regions.shapes import HalfSpace
from ..stationary.descent import STATIONARY, TRAPPED, Surface, descend
from .facts import CataloguePotential, Entry, Facts, known

MAX_ALL_PATTERNS = 5  # up to 2^5 wells of a chain are listed, beyond it the 2 d lowest


def coupled_double_well(d: int = 2, stiffness: float = 2.0, coupling: float = 0.3, stiffness_z: float = 1.5,
                        coupling_z: float = 0.2) -> CataloguePotential:
    """A double well whose way turns through the other coordinates: not separable, with everything in closed
    form.

    f(x, y) = (x^2 - 1)^2 + stiffness y^2 + coupling x y;  with d = 3 also + stiffness_z z^2 + coupling_z y z

    (The problems P2 and P3 of this project's comparison with other packages.) The least value over y and z at
    fixed x is (x^2 - 1)^2 - c x^2 with c = coupling^2/(4 s), s = stiffness - coupling_z^2/(4 stiffness_z) [s
    = stiffness if d = 2]: minima at x = -+sqrt(1 + c/2) with value -c - c^2/4, saddle at the origin with
    value 1.

    Parameters
    ----------
    d : {2, 3}
    stiffness, stiffness_z : float
        Positive.
    coupling, coupling_z : float

    Examples
    --------
    >>> V = fp.catalogue.coupled_double_well()
    >>> round(V.minima[0].value, 12), round(V.barriers[0, 1], 12)
    (-0.011281640625, 1.011281640625)
    """
    d = checks.choice("d", d, (2, 3))

    def plane(x, y, stiffness=2.0, coupling=0.3):
        return (x * x - 1) ** 2 + stiffness * y * y + coupling * x * y

    def space(x, y, z, stiffness=2.0, coupling=0.3, stiffness_z=1.5, coupling_z=0.2):
        return plane(x, y, stiffness, coupling) + stiffness_z * z * z + coupling_z * y * z

    def facts(V):
        p = V.params
        lean = p["coupling_z"] / (2 * p["stiffness_z"]) if d == 3 else 0.0            # z = -lean y
        s = p["stiffness"] - (p["coupling_z"] * lean / 2 if d == 3 else 0.0)
        if s <= 0:
            return Facts(None, None, None, False, "the couplings outweigh the stiffness: f has no lower "
                         "bound.")
        c = p["coupling"] ** 2 / (4 * s)
        x = np.sqrt(1 + c / 2)
        right = np.array([x, -p["coupling"] * x / (2 * s), lean * p["coupling"] * x / (2 * s)])[:d]
        return known(V, [-right, right], [np.zeros(d)], [(0, 1)])

    entry = Entry(coupled_double_well, "stiffness stiffness_z", lambda V: [(-2.5, 2.5)] * d,
                  lambda p: (0.1, 0.2), facts, fixed={"d": d})
    if d == 2:
        return CataloguePotential(entry, plane, stiffness=stiffness, coupling=coupling)
    return CataloguePotential(entry, space, stiffness=stiffness, coupling=coupling, stiffness_z=stiffness_z,
                              coupling_z=coupling_z)


def quartic_chain(d: int = 10, coupling: float = 0.5) -> CataloguePotential:
    """A row of bistable elements that pull at their neighbours: a wall between left and right wanders through
    it.

    f(x) = sum_i (x_i^2 - 1)^2 + (coupling/2) sum_i (x_{i+1} - x_i)^2

    Minima at -(1, ..., 1) and (1, ..., 1) with value 0. With weak coupling every pattern of signs has its
    minimum (2^d of them), and every pattern with one zero its saddle; they are followed from coupling 0 by
    Newton. Up to d = 5 all are listed; beyond, the 2 d with at most one wall and the 2 d saddles of a wall
    that enters at an end and walks through the chain: the lowest way between the two ground states. (N.
    Berglund, B. Fernandez, B. Gentz, Nonlinearity 20, 2551 (2007).)

    Parameters
    ----------
    d : int
        Number of elements, at least 2.
    coupling : float
        Not negative.

    Examples
    --------
    >>> V = fp.catalogue.quartic_chain(d=3)
    >>> len(V.minima), len(V.saddles), V.minima[0].x.tolist()
    (8, 12, [-1.0, -1.0, -1.0])
    """
    d = checks.whole("d", d, 2, hint="One element is `double_well`.")
    checks.number("coupling", coupling, non_negative=True)

    def f(x, coupling=0.5):
        step = x[1:] - x[:-1]
        return np.sum((x * x - 1) ** 2) + 0.5 * coupling * np.sum(step * step)

    entry = Entry(quartic_chain, "", lambda V: [(-2.0, 2.0)] * d, lambda p: (0.2, 0.5),
                  lambda V: _chain_facts(V, d), fixed={"d": d})
    return CataloguePotential(entry, f, ndim=d, coupling=coupling)


def _chain_facts(V, d):
    if d <= MAX_ALL_PATTERNS:
        wells = [np.array(s) for s in itertools.product([-1.0, 1.0], repeat=d)]
        gates = [(k, w) for w in wells for k in range(d) if w[k] < 0]  # element k on its way up
    else:
        walls = [np.where(np.arange(d) < k, 1.0, -1.0) for k in range(d)]
        wells = walls + [-w for w in walls]
        gates = [(k, w) for k, w in enumerate(walls)] + [(k, -w) for k, w in enumerate(walls)]
    number = {tuple(w): j for j, w in enumerate(wells)}
    tops, between = [], []
    for k, w in gates:
        top, other = w.copy(), w.copy()
        top[k], other[k] = 0.0, -w[k]
        tops.append(top)
        between.append((number[tuple(w)], number[tuple(other)]))
    followed = _followed(np.array([*wells, *tops]), V.params["coupling"])
    is_complete = d <= MAX_ALL_PATTERNS
    note = "" if is_complete else (f"listed are the {2 * d} minima with at most one wall; the others, with "
                                   "more walls, lie higher.")
    facts = known(V, followed[:len(wells)], followed[len(wells):], between, complete=is_complete, note=note)
    if facts.minima is not None and not _joins_hold(V, facts):
        facts = Facts(None, None, None, False, "the coupling is too strong for one minimum to each pattern "
                      "of signs; ask critical_points(V).")
    return facts


def _followed(x, coupling, n_stages=20):
    """Stationary points of the chain followed from coupling 0 (patterns of -1, 0, 1) to `coupling` by
    Newton."""
    n, d = x.shape
    pull = 2 * np.eye(d) - np.eye(d, k=1) - np.eye(d, k=-1)
    pull[0, 0] = pull[-1, -1] = 1.0
    for stage in range(1, n_stages + 1):
        c = coupling * stage / n_stages
        for _ in range(8):
            g = 4 * x * (x * x - 1) + c * x @ pull
            h = c * pull + np.einsum("ni,ij->nij", 12 * x * x - 4, np.eye(d))
            x = x - np.clip(np.linalg.solve(h, g[:, :, None])[:, :, 0], -0.3, 0.3)
    return x


def _joins_hold(V, facts):
    """Whether the minima are distinct, and descent from each saddle ends in the two minima that it is said to
    join."""
    wells = np.array([m.x for m in facts.minima])
    tops = np.array([s.x for s in facts.saddles])
    if min(np.abs(wells[i] - wells[j]).max() for i in range(len(wells)) for j in range(i)) < 1e-3:
        return False
    unstable = np.linalg.eigh(V.hessian(tops))[1][:, :, 0]
    ends = descend(Surface(V), np.concatenate([tops - 0.01 * unstable, tops + 0.01 * unstable]),
                   np.full(V.ndim, 4.0))
    if not np.isin(ends.status, (TRAPPED, STATIONARY)).all():
        return False
    nearest = np.abs(ends.points[:, None] - wells).max(2)
    sides = np.sort(nearest.argmin(1).reshape(2, -1).T, axis=1)
    joined = [tuple(s) for s in sides.tolist()]
    return nearest.min(1).max() < 1e-6 and joined == [s.between for s in facts.saddles]


def ornstein_uhlenbeck(k: float = 1.0, d: int = 1, A: ArrayLike | None = None) -> CataloguePotential:
    """One parabolic well: the process of Ornstein and Uhlenbeck, Gaussian at all times.

    f(x) = (k/2) |x|^2, or with a matrix f(x) = (1/2) x . A x

    Minimum at the origin. The Gibbs density is the Gaussian of covariance theta A^-1; from x0 the mean is
    exp(-A t) x0 and the covariance theta A^-1 (1 - exp(-2 A t)). (G. E. Uhlenbeck, L. S. Ornstein, Phys. Rev.
    36, 823 (1930).)

    Parameters
    ----------
    k : float
        Positive; ignored if A is given.
    d : int
        Number of dimensions; that of A if A is given.
    A : array_like, shape (d, d), optional
        Symmetric and positive definite. Its entries become the parameters A_0_0, A_0_1, ... (upper triangle).

    Examples
    --------
    >>> fp.catalogue.ornstein_uhlenbeck(A=[[2, 1], [1, 2]]).minima[0].eigenvalues.round(12)
    array([1., 3.])
    """
    if A is None:
        d = checks.whole("d", d, 1)

        def isotropic(x, k=1.0):
            return 0.5 * k * np.sum(x * x)

        entry = Entry(ornstein_uhlenbeck, "k", lambda V: [_reach(V.params["k"])] * d, lambda p: (0.1, 1.0),
                      lambda V: known(V, [np.zeros(d)]), fixed={"d": d})
        return CataloguePotential(entry, isotropic, ndim=d, k=k)

    A = np.array(A, float)
    is_square = A.ndim == 2 and A.shape[0] == A.shape[1] and np.isfinite(A).all()
    if not is_square or not np.allclose(A, A.T, rtol=1e-12, atol=0):
        raise ValueError(f"A must be a finite symmetric matrix, got {checks.shown(A)}.")
    if np.linalg.eigvalsh(A)[0] <= 0:
        raise ValueError("A must be positive definite, its smallest eigenvalue is "
                         f"{np.linalg.eigvalsh(A)[0]:g}; else nothing confines the process.")
    d = len(A)
    pairs = [(i, j) for i in range(d) for j in range(i, d)]

    def quadratic(x, **entries):
        return sum((0.5 if i == j else 1.0) * entries[f"A_{i}_{j}"] * x[i] * x[j] for i, j in pairs)

    def box(V):
        matrix = np.zeros((d, d))
        for i, j in pairs:
            matrix[i, j] = matrix[j, i] = V.params[f"A_{i}_{j}"]
        return [_reach(1 / s) for s in np.diag(np.linalg.inv(matrix))]

    entry = Entry(ornstein_uhlenbeck, "k", box, lambda p: (0.1, 1.0), lambda V: known(V, [np.zeros(d)]),
                  fixed={"A": A.tolist()})
    return CataloguePotential(entry, quadratic, ndim=d, **{f"A_{i}_{j}": A[i, j] for i, j in pairs})


def _reach(k):
    """Bounds at which k x^2/2 = 18: beyond 18 theta nothing is left at theta = 1."""
    far = 6.0 / np.sqrt(abs(k))
    return (-far, far)


def grokking_chamber(m: int = 8, S: float = 5.0, neck: float = 0.3,
                     sharpness: float = 0.15) -> CataloguePotential:
    """Model B of grokking: a wide chamber before a narrow neck, without any barrier in f. Entropy alone holds
    the walker.

    f(x, y_1 ... y_m) = sum_i y_i^2/(2 w^2),  log w(x) = log neck + (S/m) h(x),  h(x) = (1 - tanh((x -
    1)/sharpness))/2

    The chamber x < 1 has S nats more than the neck: log Z(x) = S h(x) + const, whatever theta. With a
    reflecting wall at x = 0, `start` at the origin and the goal {x >= 2}, the time is (1/theta) int_0^2 dx/Z
    int_0^x Z: 2189 at S = 5, theta = 0.05, and 40 at S = 0. The minimum at the origin stands for the whole
    line y = 0.

    Parameters
    ----------
    m : int
        Number of transverse coordinates; ndim = m + 1.
    S : float
        Entropy of the chamber over the neck, in nats.
    neck, sharpness : float
        Positive.

    Examples
    --------
    >>> V = fp.catalogue.grokking_chamber(m=2)
    >>> V.ndim, V.goal, V.temperatures
    (3, HalfSpace([1, 0, 0], 2), (0.05,))
    """
    m = checks.whole("m", m, 1)
    checks.number("S", S)

    def f(x, S=5.0, neck=0.3, sharpness=0.15):
        h = 0.5 * (1 - np.tanh((x[0] - 1) / sharpness))
        return 0.5 * np.sum(x[1:] ** 2) * np.exp(-2 * S / m * h) / neck**2

    def box(V):
        widest = V.params["neck"] * np.exp(max(V.params["S"], 0.0) / m)
        return [(0.0, 2.0)] + [(-6 * np.sqrt(0.05) * widest, 6 * np.sqrt(0.05) * widest)] * m

    entry = Entry(grokking_chamber, "neck sharpness", box, lambda p: (0.05,),
                  lambda V: known(V, [np.zeros(m + 1)], degenerate=[0],
                                  note="the minimum stands for the whole line y = 0."),
                  start=lambda V: np.zeros(m + 1), goal=lambda V: HalfSpace([1.0] + [0.0] * m, 2.0),
                  fixed={"m": m})
    return CataloguePotential(entry, f, ndim=m + 1, S=S, neck=neck, sharpness=sharpness)
