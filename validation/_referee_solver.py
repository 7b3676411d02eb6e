"""A diffusion on samples, solved by plain linear algebra: what a report says is held against it. Nothing of
fpkit is called here."""
from __future__ import annotations

import itertools

import numpy as np
from scipy.sparse import csc_matrix, diags, identity
from scipy.sparse.linalg import LinearOperator, eigsh, splu

FAR = 45.0                           # theta above the lowest sample: cells up there are left out of solves


class Cells:
    """Cells around samples: axes (x, y, ...), loss[..., iy, ix], NaN outside; the metric `gram`."""

    def __init__(self, axes, loss, gram=None, periodic=()):
        self.axes, self.loss, self.d = [np.asarray(a) for a in axes], np.asarray(loss, float), len(axes)
        self.shape, self.f = self.loss.shape, self.loss.ravel()
        self.h = np.array([a[1] - a[0] for a in self.axes])
        self.valid = np.isfinite(self.f)
        self.rings = (tuple(periodic) or (False,) * self.d)[::-1]        # in the order of the array
        self.M = np.linalg.inv(gram) if gram is not None else np.eye(self.d)
        self.x = np.stack([m.ravel() for m in np.meshgrid(*self.axes[::-1], indexing="ij")][::-1], 1)

    def neighbours(self, step):
        """(cells, the cells that a step of the array's indices leads to), valid ones."""
        index = np.indices(self.shape).reshape(self.d, -1)
        there, inside = np.empty_like(index), np.ones(index.shape[1], bool)
        for k, (n, s) in enumerate(zip(self.shape, step)):
            there[k] = index[k] + s
            inside &= self.rings[k] | ((there[k] >= 0) & (there[k] < n))
            there[k] %= n
        b = np.ravel_multi_index(there, self.shape)
        a = np.flatnonzero(inside & self.valid & self.valid[b])
        return a, b[a]

    # ---- sums and floods ----

    def wells(self, least):
        """(lowest cells of the hollows deeper than `least`, their depths, basin of each cell), by flooding in
        order of height and steepest descent over all neighbours."""
        steps = [s for s in itertools.product((-1, 0, 1), repeat=self.d) if any(s)]
        near = np.full((self.f.size, len(steps)), -1)
        for k, s in enumerate(steps):
            a, b = self.neighbours(s)
            near[a, k] = b
        root, low, saddle, join = np.full(self.f.size, -1), {}, {}, {}

        def find(i):
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        order = np.flatnonzero(self.valid)[np.argsort(self.f[self.valid], kind="stable")]
        rank = np.empty(self.f.size, int)
        rank[order] = np.arange(order.size)
        table = near.tolist()
        for i in order.tolist():
            met = {find(j) for j in table[i] if j >= 0 and root[j] >= 0}
            root[i] = i
            if not met:
                low[i] = i
                continue
            oldest = min(met, key=lambda r: rank[low[r]])
            for r in met - {oldest}:
                saddle[low[r]], join[low[r]] = self.f[i], low[oldest]
            for r in met:
                root[r] = i
            low[i] = low[oldest]
        minima = {low[find(i)] for i in order.tolist()} | set(saddle)
        depth = {m: saddle.get(m, np.inf) - self.f[m] for m in minima}
        kept = sorted((m for m in minima if depth[m] > least), key=lambda m: rank[m])
        basin = np.full(self.f.size, -1)
        for i in order.tolist():
            lower = [j for j in table[i] if j >= 0 and rank[j] < rank[i]]
            down = min(lower, key=lambda j: rank[j], default=i)
            basin[i] = i if down == i else basin[down]
        name = {}
        for m in set(basin[basin >= 0].tolist()):
            up = m
            while up not in kept:
                up = join[up] if up in join else min(kept, key=lambda q: abs(self.x[q] - self.x[up]).sum())
            name[m] = kept.index(up)
        return kept, [depth[m] for m in kept], np.array([name.get(b, -1) for b in basin])

    def weights(self, theta):
        with np.errstate(invalid="ignore", under="ignore", over="ignore"):
            w = np.where(self.valid, np.exp(-(self.f - np.nanmin(self.f)) / theta), 0.0)
        return w / w.sum()

    # ---- the chain ----

    def stencil(self):
        """(steps of the array's indices, weights): axes and one diagonal, none negative."""
        A = self.M / np.outer(self.h, self.h)
        unit = np.eye(self.d, dtype=int)[::-1]                           # x is the last index
        if self.d == 1 or not np.any(A - np.diag(np.diag(A))):
            return [(unit[k], A[k, k]) for k in range(self.d)]
        (a, c), (_, b) = A
        if self.d > 2 or abs(c) > min(a, b):
            raise NotImplementedError("this metric has no stencil of seven points")
        return [(unit[0], a - abs(c)), (unit[1], b - abs(c)), (unit[0] + np.sign(c).astype(int) * unit[1],
                                                               abs(c))]

    def rates(self, theta, far=0.0):
        """(K with K[b, a] the rate from a to b over the cells in use, their numbers)."""
        used = self.valid & (self.f < max(np.nanmin(self.f) + FAR * theta, far))
        number = np.cumsum(used) - 1
        rows, cols, values = [], [], []
        for step, weight in self.stencil():
            a, b = self.neighbours(step)
            kept = used[a] & used[b]
            a, b = a[kept], b[kept]
            d = (self.f[b] - self.f[a]) / theta
            for i, j, rise in ((a, b, d), (b, a, -d)):
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    bernoulli = np.where(np.abs(rise) < 1e-8, 1 - rise / 2, rise / np.expm1(rise))
                rows.append(number[j])
                cols.append(number[i])
                values.append(theta * weight * bernoulli)
        n = int(used.sum())
        K = csc_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), (n, n))
        return (K - diags(np.asarray(K.sum(axis=0)).ravel())).tocsc(), np.flatnonzero(used)

    def network(self, theta, basin, lows, start):
        """Leaving rates of the cores (cells of a basin within theta of its lowest), shares of their
        conductance, first-passage times from a start cell: by linear solves."""
        K, used = self.rates(theta)
        mass = self.weights(theta)[used]
        core = [np.flatnonzero((basin[used] == k) & (self.f[used] <= self.f[m] + theta))
                for k, m in enumerate(lows)]
        free = np.setdiff1d(np.arange(used.size), np.concatenate(core))
        L = K.T.tocsr()                                                  # acts on observables
        lu = splu(L[free][:, free].tocsc())
        hits = np.zeros((len(lows), used.size))
        for k, cells in enumerate(core):
            hits[k, cells] = 1.0
            hits[k, free] = lu.solve(-np.asarray(L[free][:, cells].sum(axis=1)).ravel())
        hits = np.clip(hits, 0, 1)
        coo = K.tocoo()
        off = coo.row != coo.col
        flow, jump = mass[coo.col[off]] * coo.data[off] / 2, (coo.row[off], coo.col[off])
        step = hits[:, jump[0]] - hits[:, jump[1]]
        capacity = -(step * flow) @ step.T                               # Dirichlet form of the committors
        np.fill_diagonal(capacity, 0.0)
        rate = np.maximum(capacity, 0) / (hits @ mass)[:, None]
        times = []
        place = int(np.flatnonzero(used == start)[0]) if start in used else None
        for cells in core if place is not None else ():
            rest = np.setdiff1d(np.arange(used.size), cells)
            tau = np.zeros(used.size)
            tau[rest] = splu(L[rest][:, rest].tocsc()).solve(-np.ones(rest.size))
            times.append(tau[place])
        return rate, times

    def slowest(self, theta):
        """The first eigenvalue of -L above zero of all cells in use, and how many are zero to rounding."""
        K, used = self.rates(theta)
        root = np.exp(-(self.f[used] - self.f[used].min()) / (2 * theta))
        S = -(diags(1 / root) @ K @ diags(root))
        S = ((S + S.T) / 2).tocsc()
        scale = S.diagonal().max()
        lu = splu((S + 1e-14 * scale * identity(used.size)).tocsc())
        values = np.sort(eigsh(S, k=3, sigma=0, OPinv=LinearOperator(S.shape, lu.solve, dtype=float),
                               return_eigenvectors=False))
        return float(values[1]), scale

    def densities(self, theta, start, times):
        """Probabilities of all cells at rising times, from a point, by an L-stable method of order 2 whose
        steps double."""
        nearest = np.argmin(np.where(self.valid, ((self.x - start) ** 2).sum(axis=1), np.inf))
        K, used = self.rates(theta, self.f[nearest] + FAR * theta)
        p, now, found, gamma = np.zeros(self.f.size), 0.0, [], 1 - np.sqrt(0.5)
        corners = itertools.product(*[self._pair(k, v) for k, v in enumerate(start)])
        for corner in corners:
            index = tuple(i for i, _ in corner)[::-1]
            p[np.ravel_multi_index(index, self.shape)] += np.prod([w for _, w in corner])
        p = (p * self.valid)[used]
        p, unit = p / p.sum(), identity(used.size, format="csc")
        for t in times:
            n_doublings = 14 if not found else 3
            dt = (t - now) / (8 * (2.0**n_doublings - 1))
            for _ in range(n_doublings):
                lu = splu((unit - gamma * dt * K).tocsc())
                for _ in range(8):
                    one = lu.solve(K @ p)
                    p = p + dt * ((1 - gamma) * one + gamma * lu.solve(K @ (p + dt * (1 - gamma) * one)))
                dt *= 2
            now = t
            whole = np.zeros(self.f.size)
            whole[used] = p
            found.append(whole)
        return found

    def _pair(self, k, v):
        """The two nearest samples of an axis and their shares of a point."""
        a, h, is_ring = self.axes[k], self.h[k], self.rings[self.d - 1 - k]
        i = int(np.floor((v - a[0]) / h))
        if not is_ring:
            i = min(max(i, 0), a.size - 2)
        s = (v - a[0]) / h - i
        s = s if is_ring else float(np.clip(s, 0, 1))
        return [(i % a.size, 1 - s), ((i + 1) % a.size, s)]
