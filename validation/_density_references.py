"""Exact solutions and rivals of the density benchmark: spectral references, a scipy finite-volume code,
scikit-fem Q2 elements."""
import time

import numpy as np

THETA, HALF = 0.2, 2.5
CENTRE = np.array([-0.9, 0.7, 0.5])
WIDTH = 0.25
TURN = 0.3                 # of the force TURN (y, -x)
# monomials of f: coefficient and exponents of x, y, z
MONOMIALS = {2: [(1, 4, 0), (-2, 2, 0), (1, 0, 0), (2, 0, 2), (0.3, 1, 1)],
             3: [(1, 4, 0, 0), (-2, 2, 0, 0), (1, 0, 0, 0), (2, 0, 2, 0), (0.3, 1, 1, 0), (1.5, 0, 0, 2),
                 (0.2, 0, 1, 1)]}
TEXT = {2: "(x**2 - 1)**2 + 2*y**2 + 0.3*x*y", 3: "(x**2 - 1)**2 + 2*y**2 + 0.3*x*y + 1.5*z**2 + 0.2*y*z"}


def potential(points):
    """f at points (..., d)."""
    total = 0.0
    for c, *powers in MONOMIALS[points.shape[-1]]:
        term = c
        for k, n in enumerate(powers):
            if n:
                term = term * points[..., k] ** n
        total = total + term
    return total


def start(points):
    """u0, not normalised: exp(-|x - c|^2/(2 w^2) - f/(2 theta))."""
    d = points.shape[-1]
    r2 = sum((points[..., k] - CENTRE[k]) ** 2 for k in range(d))
    return np.exp(-r2 / (2 * WIDTH**2) - potential(points) / (2 * THETA))


def _derivative(terms, axis):
    out = []
    for c, *p in terms:
        if p[axis]:
            q = list(p)
            q[axis] -= 1
            out.append((c * p[axis], *q))
    return out


def _product(a, b):
    return [(c * e, *(i + j for i, j in zip(p, q))) for c, *p in a for e, *q in b]


def effective_potential(d):
    """Monomials of |grad f|^2/(4 theta) - (laplacian f)/2, the potential of H = -theta laplacian + U in the
    variable u exp(f/(2 theta))."""
    U = {}
    for axis in range(d):
        g = _derivative(MONOMIALS[d], axis)
        for c, *p in _product(g, g):
            U[tuple(p)] = U.get(tuple(p), 0.0) + c / (4 * THETA)
        for c, *p in _derivative(g, axis):
            U[tuple(p)] = U.get(tuple(p), 0.0) - c / 2
    return U


class Exact2D:
    """exp(-t H) in a basis of n x n sine functions on a box of half width 2.6."""

    def __init__(self, n, half=2.6):
        self.n, self.half = n, half
        x, w = np.polynomial.legendre.leggauss(240)
        x, w = half * x, half * w
        S = self.sines(x)
        self.k2 = (np.arange(1, n + 1) * np.pi / (2 * half)) ** 2
        self.moment = moment = {p: (S.T * (w * x**p)) @ S for p in range(7)}
        I = np.eye(n)
        H = THETA * (np.kron(np.diag(self.k2), I) + np.kron(I, np.diag(self.k2)))
        for (i, j), c in effective_potential(2).items():
            H += c * np.kron(moment[i], moment[j])
        g = [S.T @ (w * np.exp(-((x - CENTRE[k]) ** 2) / (2 * WIDTH**2))) for k in range(2)]
        self._solve(H, np.multiply.outer(*g).ravel())

    def _solve(self, H, start):
        self.energy, self.modes = np.linalg.eigh(H)
        self.first = self.modes.T @ start

    def coefficients(self, t):
        return self.modes @ (np.exp(-np.maximum(self.energy, 0) * t) * self.first)

    def sines(self, x):
        k = np.arange(1, self.n + 1)
        return np.sin(k * np.pi * (x[:, None] + self.half) / (2 * self.half)) / np.sqrt(self.half)

    def cell_probabilities(self, t, n_cells, points=6):
        """Probabilities of n_cells^2 cells of the box (-2.5, 2.5)^2 by `points` Gauss points an axis and
        cell."""
        C = self.coefficients(t).reshape(self.n, self.n)
        g, w = np.polynomial.legendre.leggauss(points)
        h = 2 * HALF / n_cells
        x = (-HALF + h * (np.arange(n_cells) + 0.5))[:, None] + h / 2 * g
        S = self.sines(x.ravel())
        X, Y = np.meshgrid(x.ravel(), x.ravel(), indexing="ij")
        u = (S @ C @ S.T) * np.exp(-potential(np.stack([X, Y], -1)) / (2 * THETA))
        P = np.einsum("iajb,a,b->ij", u.reshape(n_cells, points, n_cells, points), w, w)
        return P / P.sum()


class Turned2D(Exact2D):
    """The same with the force TURN (y, -x): F . grad - F . grad f/(2 theta) beside H; times in tenths."""

    def _solve(self, H, start):
        from scipy.linalg import expm
        k = np.arange(1, self.n + 1)
        x, w = np.polynomial.legendre.leggauss(240)
        x, w = self.half * x, self.half * w
        cosines = np.cos(k * np.pi * (x[:, None] + self.half) / (2 * self.half)) / np.sqrt(self.half)
        slope = (self.sines(x).T * w) @ (cosines * k * np.pi / (2 * self.half))
        m, f = self.moment, MONOMIALS[2]
        A = H + TURN * (np.kron(slope, m[1]) - np.kron(m[1], slope))
        along = _product([(1, 0, 1)], _derivative(f, 0)) + _product([(-1, 1, 0)], _derivative(f, 1))
        for c, i, j in along:
            A -= TURN * c / (2 * THETA) * np.kron(m[i], m[j])
        self.step, self.first = expm(-0.1 * A), start

    def coefficients(self, t):
        C = self.first
        for _ in range(round(10 * t)):
            C = self.step @ C
        return C


class Exact3D:
    """exp(-t H) on n^3 sine collocation points by Lanczos steps, t = 0.1."""

    def __init__(self, n, t, n_vectors=220, half=2.6):
        from scipy.fft import dstn, idstn
        self.n, self.half = n, half
        x = -half + 2 * half * np.arange(1, n + 1) / (n + 1)
        points = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1)
        U = sum(c * points[..., 0] ** i * points[..., 1] ** j * points[..., 2] ** k for (i, j, k),
                c in effective_potential(3).items())
        k2 = (np.arange(1, n + 1) * np.pi / (2 * half)) ** 2
        K = THETA * (k2[:, None, None] + k2[:, None] + k2)

        def times(v):
            v = v.reshape(n, n, n)
            return (idstn(K * dstn(v, type=1, norm="ortho"), type=1, norm="ortho") + U * v).ravel()
        y = np.exp(-((points - CENTRE) ** 2).sum(-1) / (2 * WIDTH**2)).ravel()
        norm = np.linalg.norm(y)
        V, a, b = np.empty((n_vectors + 1, y.size)), np.zeros(n_vectors), np.zeros(n_vectors)
        V[0] = y / norm
        for j in range(n_vectors):
            w = times(V[j])
            a[j] = V[j] @ w
            for _ in range(2):
                w -= V[:j + 1].T @ (V[:j + 1] @ w)
            b[j] = np.linalg.norm(w)
            V[j + 1] = w / b[j]
        e, Z = np.linalg.eigh(np.diag(a) + np.diag(b[:-1], 1) + np.diag(b[:-1], -1))
        psi = norm * (V[:n_vectors].T @ (Z @ (np.exp(-t * e) * Z[0]))).reshape(n, n, n)
        self.coefficients = dstn(psi, type=1, norm="ortho") * np.sqrt(2 / (n + 1)) ** 3

    def _sines(self, x):
        k = np.arange(1, self.n + 1)
        return np.sin(k * np.pi * (x[:, None] + self.half) / (2 * self.half))

    def cell_probabilities(self, n_cells, points=3):
        """With points=1: values at the cell centres."""
        g, w = np.polynomial.legendre.leggauss(points)
        h = 2 * HALF / n_cells
        x = ((-HALF + h * (np.arange(n_cells) + 0.5))[:, None] + h / 2 * g).ravel()
        S = self._sines(x)
        P = np.empty((n_cells,) * 3)
        Y, Z = np.meshgrid(x, x, indexing="ij")
        for i in range(n_cells):
            total = 0.0
            for a in range(points):
                u = S @ np.tensordot(S[i * points + a], self.coefficients, 1) @ S.T
                X = np.full_like(Y, x[i * points + a])
                u *= np.exp(-potential(np.stack([X, Y, Z], -1)) / (2 * THETA))
                total = total + w[a] * np.einsum("iajb,a,b->ij", u.reshape(n_cells, points, n_cells, points),
                                                 w, w)
            P[i] = total
        return P / P.sum()


def centres(n, d):
    x = -HALF + 2 * HALF / n * (np.arange(n) + 0.5)
    return np.stack(np.meshgrid(*[x] * d, indexing="ij"), axis=-1)


def scipy_volumes(n, d, t, n_steps):
    """Midpoint conductances, Crank-Nicolson, splu (2D) or BiCGStab (3D): (cell values, seconds of assembly,
    seconds of steps)."""
    import scipy.sparse as sp
    import scipy.sparse.linalg as sla
    clock = time.thread_time()
    h = 2 * HALF / n
    points = centres(n, d)
    f = potential(points)
    N, index = n**d, np.arange(n**d).reshape((n,) * d)
    rows, columns, values = [], [], []
    diagonal = np.zeros(N)
    for axis in range(d):
        a = tuple(slice(None, -1) if k == axis else slice(None) for k in range(d))
        b = tuple(slice(1, None) if k == axis else slice(None) for k in range(d))
        middle = points[a].copy()
        middle[..., axis] += h / 2
        m = potential(middle)
        i, j = index[a].ravel(), index[b].ravel()
        up, down = (THETA / h**2 * np.exp(-(m - f[s]) / THETA).ravel() for s in (a, b))
        rows += [j, i]
        columns += [i, j]
        values += [up, down]
        diagonal -= np.bincount(i, up, N) + np.bincount(j, down, N)
    k = np.arange(N)
    Q = sp.csr_matrix((np.concatenate([*values, diagonal]),
                       (np.concatenate([*rows, k]), np.concatenate([*columns, k]))), shape=(N, N))
    u = start(points).ravel()
    u /= u.sum()
    dt = t / n_steps
    one = sp.identity(N, format="csr")
    left, right = (one - dt / 2 * Q).tocsc(), (one + dt / 2 * Q).tocsr()
    assembly = time.thread_time() - clock
    clock = time.thread_time()
    if d == 2:
        lu = sla.splu(left, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                      options=dict(SymmetricMode=True))
        for _ in range(n_steps):
            u = lu.solve(right @ u)
    else:
        left = left.tocsr()
        scale = sp.diags(1 / left.diagonal())
        for _ in range(n_steps):
            u, _ = sla.bicgstab(left, right @ u, x0=u, rtol=1e-6, M=scale)
    return (u / u.sum()).reshape((n,) * d), assembly, time.thread_time() - clock


def fem_q2(n, t, n_steps):
    """scikit-fem: Q2 elements, Crank-Nicolson, splu; None where the package is missing."""
    try:
        import skfem
        from skfem.helpers import dot, grad
    except ImportError:
        return None
    import scipy.sparse.linalg as sla
    clock = time.thread_time()
    line = np.linspace(-HALF, HALF, n + 1)
    mesh = skfem.MeshQuad.init_tensor(line, line)
    basis = skfem.Basis(mesh, skfem.ElementQuad2(), intorder=4)

    @skfem.BilinearForm
    def mass(u, v, w):
        return u * v

    @skfem.BilinearForm
    def flux(u, v, w):
        x, y = w.x
        slope = np.stack([4 * x * (x * x - 1) + 0.3 * y, 4 * y + 0.3 * x])
        return THETA * dot(grad(u), grad(v)) + u * dot(slope, grad(v))
    M, A = mass.assemble(basis).tocsc(), flux.assemble(basis).tocsc()
    u = basis.project(lambda x: start(np.moveaxis(np.asarray(x), 0, -1)))
    dt = t / n_steps
    left, right = (M + dt / 2 * A).tocsc(), (M - dt / 2 * A).tocsr()
    assembly = time.thread_time() - clock
    clock = time.thread_time()
    lu = sla.splu(left, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=dict(SymmetricMode=True))
    for _ in range(n_steps):
        u = lu.solve(right @ u)
    values = (np.asarray(basis.interpolate(u)) * basis.dx).sum(axis=1)  # integrals over the elements
    steps = time.thread_time() - clock
    middle = mesh.p[:, mesh.t].mean(axis=1)
    i, j = np.floor((middle + HALF) / (2 * HALF / n)).astype(int)
    P = np.zeros((n, n))
    P[i, j] = values
    return P / P.sum(), assembly, steps

