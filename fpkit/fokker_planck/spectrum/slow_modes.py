"""Slow eigenvalues of a chain with several wells, each with full relative accuracy, however far apart they
are.

One core, a single state, in each well. An eigenfunction with values x on the cores is psi = (1 - lambda T)^-1
Q x, Q the committors of the cores and T = (K outside the cores)^-1 M. Hence exactly

    C x = lambda (M_0 + lambda M_1 + lambda^2 M_2 + ...) x,      M_j = Q' M T^j Q,

with C the Laplacian of the capacities between cores (flows into cores). Every entry is a sum of positive
terms; lambda is well conditioned in them. M_0 alone is the well network with consistent masses, an upper
bound [1]_; the series converges like (lambda / lowest eigenvalue with absorption at the cores)^j. The small
problem is solved in decimal arithmetic with as many digits as the spread of the capacities asks for:
rotations in logarithms as in `core.networks` give the eigenvalues as sharply, but the values of a mode in
light wells only relative to the heaviest one.

References
----------
.. [1] A. Bovier, M. Eckhoff, V. Gayrard, M. Klein, Probab. Theory Relat. Fields 119, 99 (2001).
"""
from __future__ import annotations

from decimal import Decimal, getcontext, localcontext

import numpy as np

from ...core.interruption import stop_if_pressed
from ..solvers.deflation import DeflatedSolver
from ..solvers.elimination import Elimination

ITERATED = {1: 2**31, 2: 2**31, 3: 6000}  # states from which iteration is faster than elimination
POWERS = 7                       # of T applied to the committors: moments up to twice that
MOST_CORES = 24
CONVERGED = 0.2                  # lambda times the ratio of successive moments below which the series is used
ROUNDS = 12
SMALLEST_TERM = 1e-13            # of the series, relative: where solves are dear, later ones are left out
LONGEST = 1e30                   # times between visits to the cores, in units of their mean


class SlowModes:
    """Slow eigenpairs of the states `part` of `out` (an `KilledChain`) with cores at `nodes` (places among
    all states).

    Attributes
    ----------
    log_values : list of float
        log of the eigenvalues that the series gives, ascending; -inf for 0.
    vectors : ndarray (k, n)
    """

    def __init__(self, out, part, nodes):
        nodes = np.asarray(nodes)[:MOST_CORES]
        n = out.n
        is_core = np.zeros(n, bool)
        is_core[nodes] = True
        is_fixed = is_core | ~part
        by = _ByIteration if is_large(out) else _ByElimination
        solver = by(out, part, nodes, is_core, np.where(out.reaches_boundary, out.killing, 0.0))
        Q, C, leak = solver.Q, solver.C, solver.leak
        top = out.log_m[part].max()
        m = np.where(part, out.mode_mass(top), 0.0)
        chain, unit = [Q], 1.0
        fastest = float(((C.sum(1) - np.diag(C) + leak) / ((Q * m) @ Q.T).diagonal()).max())
        # where conductances are cut, all that lives beyond the first term is far faster
        for j in range(0 if out.is_cut else POWERS):
            b = m * chain[-1]
            b[:, nodes] = 0.0
            with np.errstate(over="ignore"):  # times on the rim, where there is no mass, may be anything
                chain.append(np.where(is_fixed, 0.0, np.minimum(solver.solve(b) / unit, LONGEST)))
            if j == 0:  # time in units of the relaxation between visits to the cores: powers stay in range
                relaxation = float((m * chain[1]).sum() / (m * Q).sum())
                if not 0 < relaxation < np.inf:   # no mass between the cores that floats can hold
                    chain.pop()
                    break
                unit = relaxation
                chain[1] = np.minimum(chain[1] / unit, LONGEST)
            if by is _ByIteration and (fastest * unit) ** (2 * j + 3) < SMALLEST_TERM:
                break
        # T is symmetric in the product sum m x y, and vanishes on the cores
        moments = []
        for j in range(2 * len(chain) - 1):
            a, b = chain[j // 2], chain[j - j // 2]
            M = (a * m) @ b.T
            moments.append((M + M.T) / 2)
        # about 1 / lowest eigenvalue with absorption at the cores; None where it left the range of floats
        self.relaxation = unit if len(chain) > 1 or out.is_cut else None
        log_scale = out.shift - top - np.log(unit)
        with np.errstate(under="ignore"):
            found = _eigenvalues(C, leak, moments, unit)
        self.log_values, self.vectors = [], []
        for value, x in found:
            if len(moments) > 1 and float(value) * np.trace(moments[-1]) > CONVERGED * np.trace(moments[-2]):
                break
            psi, power = np.zeros(n), 1.0
            for q in chain:
                psi += power * (x @ q)
                power *= float(value)
            self.log_values.append(float(value.ln()) + log_scale if value > 0 else -np.inf)
            self.vectors.append(psi / np.sqrt((m * psi * psi).sum()))
        self.vectors = np.array(self.vectors).reshape(-1, n)


class _ByElimination:
    """Committors Q (k, n) of the cores, the flows C of committor b into core a, the flow `leak` (k,) of each
    into the absorbing regions, and solves outside the cores."""

    def __init__(self, out, part, nodes, is_core, own_ground):
        I, J, c, k = out.I, out.J, out.c, nodes.size
        touches = is_core[I] | is_core[J]
        to_core = np.zeros((k, out.n))                  # conductance of each state into each core
        for a, node in enumerate(nodes):
            np.add.at(to_core[a], J[node == I], c[node == I])
            np.add.at(to_core[a], I[node == J], c[node == J])
        ground = np.where(is_core, 1.0, own_ground + to_core.sum(0))
        self.solve = Elimination(out.ordering, np.where(touches, 0.0, c), np.where(part, ground, 1.0)).solve
        self.Q = Q = self.solve(np.where(is_core | ~part, 0.0, to_core))
        Q[:, nodes] = np.eye(k)
        # flow of committor b into core a, over at least one other state
        flows = to_core @ np.where(is_core, 0.0, Q).T
        for a in range(k):
            flows[a] += to_core[a][nodes]               # neighbouring cores
        self.C = (flows + flows.T) / 2
        self.leak = Q @ own_ground


class _ByIteration:
    """The same by multigrid."""

    def __init__(self, out, part, nodes, is_core, own_ground):
        large = DeflatedSolver(out, np.where(part, own_ground, 1.0), nodes)
        self.solve = lambda b: np.array([large.inner.solve(row) for row in b])
        self.Q, self.C = large.plain.Q, (large.plain.C + large.plain.C.T) / 2
        self.leak = self.Q @ own_ground if not own_ground.any() else large.plain.leak


def is_large(out):
    """Whether the chain outside regions is answered by iteration."""
    return out.n > ITERATED[out.grid.ndim]


def _eigenvalues(C, leak, moments, unit):
    """(lambda unit, x) ascending, by fixed-point steps in lambda for each eigenvalue."""
    k = len(C)
    off = C[~np.eye(k, dtype=bool)]
    positive = np.r_[off[off > 0], leak[leak > 0], np.diag(moments[0])]
    spread = np.log10(positive.max()) - np.log10(positive.min()) if positive.size else 0
    with localcontext() as context:
        context.prec = int(50 + 2 * spread)
        context.Emin, context.Emax = -999999999, 999999999
        D = lambda A: [[Decimal(float(a)) for a in row] for row in A]
        laplacian = [[-a * Decimal(unit) for a in row] for row in D(C)]
        for i, row in enumerate(laplacian):
            others = sum((a for j, a in enumerate(row) if j != i), Decimal(0))
            row[i] = Decimal(float(leak[i])) * Decimal(unit) - others
        decimal_moments = [D(M) for M in moments]
        out = []
        first, vectors = _pencil(laplacian, decimal_moments[0])
        for i in range(k):
            value, x = first[i], vectors[i]
            if leak.sum() == 0 and i == 0:
                out.append((Decimal(0), np.ones(k)))
                continue
            for _ in range(ROUNDS):
                mass, power = [row[:] for row in decimal_moments[0]], Decimal(1)
                for M in decimal_moments[1:]:
                    power *= value
                    mass = [[a + power * b for a, b in zip(r, s)] for r, s in zip(mass, M)]
                values, vectors_here = _pencil(laplacian, mass)
                last, value, x = value, values[i], vectors_here[i]
                if abs(value - last) <= Decimal("1e-17") * abs(value) or not value < 2 * first[i]:
                    break
            largest = max(abs(a) for a in x)
            out.append((value, np.array([float(a / largest) for a in x])))
    return out


def _pencil(A, B):
    """Eigenvalues (ascending) and vectors of A x = lambda B x, symmetric, B positive definite, in the current
    decimal context."""
    k = len(A)
    L = [[Decimal(0)] * k for _ in range(k)]
    for i in range(k):
        stop_if_pressed()
        for j in range(i + 1):
            s = B[i][j] - sum((L[i][p] * L[j][p] for p in range(j)), Decimal(0))
            L[i][j] = s.sqrt() if i == j else s / L[j][j]
    below = lambda b: _forward(L, b)
    half = [below([A[i][j] for i in range(k)]) for j in range(k)]              # columns of L^-1 A
    S = [below([half[j][i] for j in range(k)]) for i in range(k)]              # L^-1 (L^-1 A)', symmetric
    values, V = _jacobi(S)
    order = sorted(range(k), key=lambda i: values[i])
    return [values[i] for i in order], [_backward(L, [V[p][i] for p in range(k)]) for i in order]


def _forward(L, b):
    x = []
    for i in range(len(b)):
        x.append((b[i] - sum((L[i][p] * x[p] for p in range(i)), Decimal(0))) / L[i][i])
    return x


def _backward(L, b):
    k = len(b)
    x = [Decimal(0)] * k
    for i in reversed(range(k)):
        x[i] = (b[i] - sum((L[p][i] * x[p] for p in range(i + 1, k)), Decimal(0))) / L[i][i]
    return x


def _jacobi(S):
    """Eigenvalues and eigenvectors (columns) of a symmetric matrix by cyclic rotations."""
    k = len(S)
    S = [row[:] for row in S]
    V = [[Decimal(int(i == j)) for j in range(k)] for i in range(k)]
    scale = max((abs(a) for row in S for a in row), default=Decimal(0))
    small = scale * Decimal(10) ** (5 - getcontext().prec)
    for _ in range(60):
        if all(abs(S[i][j]) <= small for i in range(k) for j in range(i)):
            break
        for p in range(k):
            stop_if_pressed()
            for q in range(p + 1, k):
                if abs(S[p][q]) <= small:
                    continue
                t = (S[q][q] - S[p][p]) / (2 * S[p][q])
                t = (1 if t >= 0 else -1) / (abs(t) + (1 + t * t).sqrt())
                c = 1 / (1 + t * t).sqrt()
                s = t * c
                for r in range(k):
                    S[r][p], S[r][q] = c * S[r][p] - s * S[r][q], s * S[r][p] + c * S[r][q]
                for r in range(k):
                    S[p][r], S[q][r] = c * S[p][r] - s * S[q][r], s * S[p][r] + c * S[q][r]
                for r in range(k):
                    V[r][p], V[r][q] = c * V[r][p] - s * V[r][q], s * V[r][p] + c * V[r][q]
    return [S[i][i] for i in range(k)], V
