"""Lowest eigenvalues of -L on one chain: slow ones from the wells without subtraction, the others by Lanczos
on the inverse or, on large grids in space, by block iteration."""
from __future__ import annotations

import numpy as np

from ..boundary_values.killed_chain import REACH, KilledChain
from ..extrapolation import coarser, on_grid
from ..solvers.elimination import Elimination
from .block_iteration import GUARDS, CellSpace, GraphSpace, NotConverged, interpolated, lowest_block
from .inverse_iteration import LEAST_MASS, inverse_lanczos, signed
from .slow_modes import SlowModes, is_large

# states: elimination in the plane, and in space where iteration does not converge
LARGEST = {1: 2**31, 2: 1_200_000, 3: 120_000}


def modes_of(diffusion, k):
    """`lowest_modes`, remembered; those of a larger k serve as well."""
    known = diffusion._remember("modes", dict)
    serving = min((n for n in known if n >= k), default=k)
    if serving not in known:
        known[serving] = lowest_modes(diffusion, k)
    logs, functions = known[serving]
    return logs[:k], functions[:k]


def lowest_modes(diffusion, k):
    """log eigenvalues (k,), ascending, -inf for 0, and eigenfunctions (k, *grid.shape)."""
    out = KilledChain(diffusion)
    if diffusion.grid.ndim < 3 and out.n > LARGEST[diffusion.grid.ndim]:
        raise _too_large(out)
    labels = out.labels
    weight = np.bincount(labels, np.exp(out.log_m - out.log_m.max()))
    logs, vectors = [], []
    for part in np.argsort(-weight, kind="stable"):
        here = labels == part
        if len(logs) >= k and sum(l == -np.inf for l in logs) >= k:
            break
        l, v = part_modes(out, here, min(k, int(here.sum())))
        logs += list(l)
        vectors += list(v)
    order = sorted(range(len(logs)), key=lambda i: logs[i])[:k]  # stable: the heaviest part first among zeros
    p = np.exp(out.log_m - out.log_m.max())
    p /= p.sum()
    found = np.full((len(order), diffusion.grid.n_cells), np.nan)
    absorbed = diffusion._space.inside.ravel() & ~out.chain.states
    for row, i in enumerate(order):
        # NaN on parts of so little mass that floats cannot hold their functions
        with np.errstate(all="ignore"):
            v = vectors[i] / np.sqrt((p * vectors[i] ** 2).sum())
            heaviest = np.argmax(p * v * v)
        found[row, absorbed] = 0.0
        found[row, out.ids] = v if v[heaviest] > 0 else -v
    return np.array([logs[i] for i in order]), found.reshape(-1, *diffusion.grid.shape)


def part_modes(out, part, k):
    """log eigenvalues and vectors (k, n) of one connected part of the states."""
    n_here = int(part.sum())
    drained = bool(out.reaches_boundary[part].any())
    top = out.log_m[part].max()
    m = np.where(part, np.exp(np.minimum(out.log_m - top, 0.0)), 0.0)
    logs, vectors = [], []
    if not drained:
        logs, vectors = [-np.inf], [part / np.sqrt(m.sum())]
    if len(logs) >= k or n_here <= 1 and not drained:
        return logs[:k], vectors[:k]
    if n_here <= 3:
        return _few(out, part, m, top, k)
    if not out.mode_mass(top)[part].any():       # far above everything else: no mode of it has weight
        return logs, vectors
    wells = out.wells
    nodes = wells.nodes[part[wells.nodes]]
    heaviest = np.flatnonzero(part)[np.argmax(out.log_m[part])]
    has_slow = nodes.size > (0 if drained else 1)
    if has_slow or not is_large(out):
        slow = SlowModes(out, part, nodes if nodes.size else [heaviest])
    if has_slow:
        logs, vectors = list(slow.log_values[:k]), list(slow.vectors[:k])
    if len(logs) >= k:
        return logs, vectors
    if out.is_cut:
        out = KilledChain(out.diffusion, reach=np.inf)
    m = np.where(part, out.mode_mass(top), 0.0)
    # states of less mass than floats hold beside the heaviest have modes that nothing here can see
    n_heavy = int((m > LEAST_MASS * m.max()).sum())
    rest = min(k - len(logs), n_here - len(logs) - 1, n_heavy - len(logs))
    if rest < 1:
        return logs, vectors
    if is_large(out):
        try:
            values, found = _by_iteration(out, part, m, k, rest, np.array(vectors).reshape(-1, out.n))
            return logs + [float(np.log(v)) + out.shift - top for v in values], vectors + list(found)
        except NotConverged:
            if out.n > LARGEST[out.grid.ndim]:
                raise _too_large(out) from None
        if not has_slow:
            slow = SlowModes(out, part, nodes if nodes.size else [heaviest])
    # (K + ground + shift m)^-1 m on what the slow modes leave; the shift is small against the fast
    # eigenvalues
    shift = 0.1 / slow.relaxation if out.reach == REACH and slow.relaxation else 1e-3
    ground = np.where(part, np.where(out.reaches_boundary, out.killing, 0.0) + shift * m, 1.0)
    solver = Elimination(out.ordering, out.c, ground)
    solve = lambda x: np.where(part, signed(lambda b: solver.solve(m * b), x), 0.0)
    known = np.array(vectors).reshape(len(vectors), out.n)

    def project(x):
        x = np.where(part, x, 0.0)
        for _ in range(2):
            x = x - known.T @ (known @ (m * x)) if len(known) else x
        return x

    start = project(np.random.default_rng(0).standard_normal(out.n))
    killing = np.where(out.reaches_boundary, out.killing, 0.0)
    for v in inverse_lanczos(solve, m, rest, start, project)[1]:
        v = project(v)
        with np.errstate(all="ignore"):
            energy = (out.c * (v[out.I] - v[out.J]) ** 2).sum() + (killing * v * v).sum()
            log = float(np.log(energy / (m * v * v).sum())) + out.shift - top
        if np.isfinite(log) and np.isfinite(v).all():
            logs.append(log)
            vectors.append(v)
    return logs, vectors


def _by_iteration(out, part, m, k, rest, known):
    """Values (rest,) on the scale of the chain and functions (rest, n) of the modes beside the `known`."""
    killing = np.where(out.reaches_boundary, out.killing, 0.0)
    space = (CellSpace if out.is_on_cells else GraphSpace)(out, part, m, killing)
    guards = min(GUARDS[0] + int(part[out.wells.nodes].sum()), GUARDS[1])
    wanted = min(rest + guards, int(part.sum()) - len(known) - 1)
    start, log_sigma = _from_half_the_cells(out, part, m, k + guards, known)
    lacking = wanted - len(start)
    if lacking > 0:
        noise = np.random.default_rng(0).standard_normal((lacking, out.n)) * part
        start = np.concatenate([start, noise])
    values, found = lowest_block(space, space.of_states(start[:max(wanted, rest)]), rest,
                                 float(np.exp(log_sigma + out.log_m[part].max() - out.shift)),
                                 space.of_states(known))
    return values, space.to_states(found)


def _from_half_the_cells(out, part, m, k, known):
    """Functions (q, n) to start from, and the log of an eigenvalue that is not of the `known`: from the grid
    of half the cells, where there is one."""
    D, grid = out.diffusion, out.grid
    log_longest = float(np.log(D.theta * (np.pi / np.diff(grid.bounds).max()) ** 2))
    half = coarser(grid)
    try:
        logs, functions = ([], []) if half is None else modes_of(on_grid(D, half), k)
    except ValueError:                         # that grid misses a region, or does not converge
        logs, functions = [], []
    if not len(logs):
        return np.zeros((0, out.n)), log_longest
    begun = np.where(part, interpolated(functions, half, grid, out.ids), 0.0)
    free = begun - (begun * m @ known.T) / (m * known * known).sum(1) @ known if len(known) else begun
    size = (m * begun * begun).sum(1)
    is_new = (m * free * free).sum(1) > 0.5 * np.maximum(size, 1e-6 * size.max())
    logs = logs[is_new & np.isfinite(logs)]
    return free[is_new], float(logs[0]) if len(logs) else log_longest


def _too_large(out):
    return ValueError(
        f"the spectrum of {out.n} states needs more memory than elimination may take (up to "
        f"{LARGEST[out.grid.ndim]})" + (", and iteration does not converge: f changes by too many theta from "
                                        "cell to cell" if out.grid.ndim == 3 else "")
        + "; coarsen the grid, or ask for exit_rate or rate, which large grids answer too.")


def _few(out, part, m, top, k):
    """Parts of two or three states."""
    from scipy.linalg import eigh
    at = np.flatnonzero(part)
    place = {i: a for a, i in enumerate(at)}
    K = np.diag(np.where(out.reaches_boundary, out.killing, 0.0)[at])
    for i, j, c in zip(out.I, out.J, out.c):
        if i in place and j in place:
            a, b = place[i], place[j]
            K[a, a] += c
            K[b, b] += c
            K[a, b] -= c
            K[b, a] -= c
    values, X = eigh(K, np.diag(m[at]))
    logs, vectors = [], []
    for q, (value, x) in enumerate(zip(values[:k], X.T)):
        v = np.zeros(out.n)
        v[at] = x
        zero = q == 0 and not out.reaches_boundary[at].any()
        logs.append(-np.inf if zero or value <= 0 else float(np.log(value)) + out.shift - top)
        vectors.append(v)
    return logs, vectors
