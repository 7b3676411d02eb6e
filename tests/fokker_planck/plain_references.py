"""Plain references for the tests of this folder: nothing from the modules under test."""
import numpy as np


def cell_probabilities(f, edges, theta, parts=4, points=20, breaks=()):
    """Exact cell probabilities by high-order Gauss on `parts` pieces of every cell; f takes one array a
    coordinate."""
    x, w = np.polynomial.legendre.leggauss(points)
    X, W, owners = [], [], []
    for e in edges:
        fine = np.union1d(np.concatenate([np.linspace(a, b, parts + 1) for a, b in zip(e[:-1], e[1:])]),
                          [c for c in breaks if e[0] < c < e[-1]])
        fine = fine[np.r_[True, np.diff(fine) > 1e-13]]
        h = np.diff(fine)
        X.append((fine[:-1, None] + h[:, None] * (x + 1) / 2).ravel())
        W.append((h[:, None] * w / 2).ravel())
        owners.append(np.repeat(np.clip(np.searchsorted(e, (fine[1:] + fine[:-1]) / 2) - 1, 0, len(e) - 2),
                                points))
    F = np.asarray(f(*np.meshgrid(*X, indexing="ij", sparse=True)))
    P = np.exp(-(F - F.min()) / theta)
    for k in range(len(edges)):
        P = np.moveaxis(P, k, 0) * W[k].reshape((-1,) + (1,) * (P.ndim - 1))
        first = np.flatnonzero(np.r_[True, np.diff(owners[k]) > 0])
        P = np.moveaxis(np.add.reduceat(P, first, axis=0), 0, k)
    return P / P.sum()


def imbalance(D):
    """Largest |m_i q_ij - m_j q_ji| in units in the last place, of the assembled matrix."""
    m = np.exp(np.asarray(D.log_mass))
    flow = D.generator.multiply(m[:, None]).tocsr()
    entries = flow.tocoo()
    off = entries.row != entries.col
    back = np.asarray(flow[entries.col[off], entries.row[off]]).ravel()
    return float((np.abs(entries.data[off] - back) / np.spacing(np.abs(entries.data[off]))).max(initial=0.0))


def symmetric(D):
    """Symmetrised -Q on the states, and their flat indices."""
    from scipy.sparse import diags
    states = np.flatnonzero(np.isfinite(D.log_mass))
    s = np.exp(np.asarray(D.log_mass)[states] / 2)
    S = -(diags(s) @ D.generator[states][:, states] @ diags(1 / s))
    return ((S + S.T) / 2).tocsc(), states


def lowest(D, k=3):
    """The k lowest eigenvalues of -Q."""
    from scipy.sparse.linalg import eigsh
    S, states = symmetric(D)
    if states.size < 400:
        return np.linalg.eigvalsh(S.toarray())[:k]
    sigma = -1e-7 * np.abs(S.diagonal()).max()
    return np.sort(eigsh(S, k=k, sigma=sigma, v0=np.ones(states.size), return_eigenvectors=False))
