import numpy as np
import pytest
from plain_references import imbalance, lowest, symmetric

import fpkit as fp
from fpkit.potentials.mobility import checked
from fpkit.fokker_planck.discretisation.tensor_stencil import selling

PLANE = "(x**2 - 1)**2 + y**2 + 0.3*x*y"
GRID = fp.Grid([(-2, 2), (-1.5, 1.5)], (14, 11))


@pytest.mark.parametrize("ndim", [2, 3])
def test_selling_weights_are_not_negative_and_rebuild_random_tensors(ndim):
    rng = np.random.default_rng(0)
    for _ in range(300):
        B = rng.normal(size=(ndim, ndim)) * np.exp(rng.normal(size=ndim) * 2)
        D = B @ B.T + 1e-4 * np.trace(B @ B.T) * np.eye(ndim)
        h = np.exp(rng.normal(size=ndim))
        e, w = selling(D, h)
        E = D / np.outer(h, h)
        assert (w >= 0).all() and len(w) == ndim * (ndim + 1) // 2
        np.testing.assert_allclose(np.einsum("k,ki,kj->ij", w, e, e), E, atol=1e-10 * np.trace(E))


def test_a_diagonal_tensor_needs_only_the_neighbours_along_the_axes():
    e, w = selling(np.diag([2.0, 3.0]), [0.1, 0.2])
    used = {tuple(abs(o)): v for o, v in zip(e, w) if v > 0}
    assert used == {(1, 0): pytest.approx(200), (0, 1): pytest.approx(75)}


def test_a_skewed_oscillator_has_the_exact_slowest_rate_to_order_two():
    A, G = np.array([[1.0, 0.3], [0.3, 1.5]]), np.array([[1375.0, 581.0], [581.0, 997.0]])
    D = np.linalg.inv(G)
    exact = np.linalg.eigvals(D @ A).real.min()
    V = fp.Potential("0.5*x**2 + 0.3*x*y + 0.75*y**2")
    errors = []
    for n in (20, 40, 80):
        gap = lowest(fp.FokkerPlanck(V, 0.1, fp.Grid([(-2, 2)] * 2, (n, n)), mobility=D,
                                     scheme="scharfetter-gummel"), 2)[1]
        errors.append(abs(gap / exact - 1))
    assert errors[-1] < 1e-2 and np.log2(errors[0] / errors[1]) > 1.8 and np.log2(errors[1] / errors[2]) > 1.8


def test_a_skewed_oscillator_in_three_dimensions_has_the_exact_slowest_rate_to_order_two():
    M = np.array([[2, 0.7, 0.3], [0.7, 1, -0.2], [0.3, -0.2, 1.5]])
    exact = np.linalg.eigvals(M @ np.diag([1.0, 1.5, 2.0])).real.min()
    V = fp.Potential("0.5*x**2 + 0.75*y**2 + z**2")
    errors = [abs(lowest(fp.FokkerPlanck(V, 0.3, fp.Grid([(-3, 3), (-2.5, 2.5), (-2.2, 2.2)], (n, n, n)),
                                         mobility=M, scheme="midpoint/cell"), 2)[1] / exact - 1)
              for n in (8, 16)]
    assert errors[1] < 0.05 and np.log2(errors[0] / errors[1]) > 1.6


@pytest.mark.parametrize("theta, low, high", [(0.02, 5.15e-11, 6.0e-11), (0.05, 5.78e-7, 5.82e-7),
                                              (0.1, 2.05e-5, 2.12e-5)])
def test_the_digits_plane_has_its_known_slow_eigenvalue(shared_landscapes, theta, low, high):
    h5py = pytest.importorskip("h5py")
    with h5py.File(shared_landscapes / "own_digits_mlp_three_minima_41x41.h5", "r") as file:
        axes = [file[name][()] for name in ("xcoordinates", "ycoordinates")]
        loss = file["train_loss"][()].T
    h = [a[1] - a[0] for a in axes]
    # the samples are the nodes
    grid = fp.Grid([(a[0] - d / 2, a[-1] + d / 2) for a, d in zip(axes, h)], loss.shape)
    V = fp.GridPotential(axes, loss)
    D = fp.FokkerPlanck(V, theta, grid, mobility=np.linalg.inv([[1375.0, 581.0], [581.0, 997.0]]),
                        scheme="quadrature/node")
    if callable(V.domain):
        pytest.skip("the file has holes")
    S, states = symmetric(D)
    # full relative accuracy: the graph Laplacian between the two sides of a cut is not formed; the matrix is
    # small enough for dense GTH-free LAPACK
    gap = gap_by_elimination(D)
    assert low * 0.97 <= gap <= high * 1.03


def gap_by_elimination(D):
    """Lowest nonzero eigenvalue by inverse iteration with subtraction-free (GTH) banded elimination; cells
    numbered along the short axis."""
    n = D.grid.n_cells
    c = np.zeros((n, n))
    i, j = D.edges.T
    c[i, j] = c[j, i] = np.exp(D.log_conductance)
    m = np.exp(D.log_mass)
    order = np.r_[np.delete(np.arange(n), np.argmax(m)), np.argmax(m)]
    c, m = c[np.ix_(order, order)], m[order]
    A = c.copy()
    s = np.zeros(n)
    for k in range(n - 1):                                     # the last node is the ground
        row = A[k, k + 1:]
        s[k] = row.sum()
        near = np.flatnonzero(row)
        A[np.ix_(k + 1 + near, k + 1 + near)] += np.outer(row[near], row[near]) / s[k]

    def solve(b):                                               # b >= 0
        b = b.copy()
        for k in range(n - 1):
            b[k + 1:] += A[k, k + 1:] * (b[k] / s[k])
        x = np.zeros(n)
        for k in range(n - 2, -1, -1):
            x[k] = (b[k] + A[k, k + 1:] @ x[k + 1:]) / s[k]
        return x
    v = np.random.default_rng(0).standard_normal(n)
    for _ in range(12):
        v = v - (m @ v) / m.sum()
        b = m * v
        x = solve(np.maximum(b, 0)) - solve(np.maximum(-b, 0))
        x = x - (m @ x) / m.sum()
        gap = (m * v) @ x / ((m * x) @ x)
        v = x / np.sqrt((m * x) @ x)
    return gap


@pytest.mark.parametrize("mobility", [2.0, (1.0, 3.0), [[2, 0.7], [0.7, 1]], lambda p: 1 + p[..., 0]**2,
                                      lambda p: np.stack([1 + p[..., 0]**2, 2 + np.sin(p[..., 1])], -1)])
def test_the_gibbs_density_does_not_see_the_mobility_and_balance_holds(mobility):
    plain = fp.FokkerPlanck(fp.Potential(PLANE), 0.2, GRID)
    for scheme in ("recommended", "face/cell", "scharfetter-gummel"):
        for region in (None, fp.Ball([1.0, 0.1], 0.5)):
            D = fp.FokkerPlanck(fp.Potential(PLANE), 0.2, GRID, mobility=mobility, scheme=scheme,
                                absorbing=region)
            assert imbalance(D) <= 4
            np.testing.assert_array_equal(D.gibbs.values, plain.gibbs.values)


def test_a_scalar_mobility_scales_time():
    a, b = (fp.FokkerPlanck(fp.Potential(PLANE), 0.2, GRID, mobility=m).generator.toarray()
            for m in (None, 2.5))
    np.testing.assert_allclose(b, 2.5 * a, rtol=1e-12)


def test_a_constant_function_is_the_constant():
    for scheme in ("recommended", "sqra", "face/cell"):
        a, b = (fp.FokkerPlanck(fp.Potential(PLANE), 0.2, GRID, mobility=m, scheme=scheme).generator.toarray()
                for m in ((1.5, 0.5), lambda p: np.broadcast_to([1.5, 0.5], p.shape)))
        np.testing.assert_allclose(b, a, rtol=1e-11)


def test_a_position_dependent_mobility_gives_the_exact_mean_time_in_one_dimension():
    # tau' = -(1/theta) exp(beta f)/M int exp(-beta f): the milestoning chain keeps it exact with M(x) = 1 +
    # x^2
    D = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.3, fp.Grid([(-2, 1)], 12), mobility=lambda p: 1
                        + p[..., 0]**2, absorbing=fp.HalfSpace([1], 1.0))
    tau = np.linalg.solve(-D.chain.generator().toarray(), np.ones(12))
    x, w = np.polynomial.legendre.leggauss(60)
    inner = lambda s: ((np.exp(-(-2 + (s + 2) * (x + 1) / 2)**2 / 0.6)) @ w) * (s + 2) / 2
    start = D.grid.centres[0][4]
    s = start + (1 - start) * (x + 1) / 2
    exact = (1 - start) / 2 * w @ [np.exp(v * v / 0.6) / (1 + v * v) * inner(v) / 0.3 for v in s]
    assert tau[4] == pytest.approx(exact, rel=1e-11)


def test_corner_edges_do_not_leak_through_a_diagonal_wall():
    mask = lambda p: np.abs(p[..., 0] - p[..., 1]) > 0.05           # the diagonal cells only
    grid = fp.Grid([(-1, 1)] * 2, (12, 12), mask=mask)
    for sign in (1, -1):
        D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 1.0, grid,
                            mobility=[[1.0, 0.6 * sign], [0.6 * sign, 1.0]], scheme="scharfetter-gummel")
        assert D.components.n == 2


@pytest.mark.parametrize("mobility, words", [
    (-1.0, "mobility must be positive"), (0.0, "mobility must be positive"),
    ((1.0, -2.0), "mobility must be positive"),
    ([[1, 2], [2, 1]], "mobility must be positive definite"), ([[1, 1], [0, 1]], "symmetric"),
    (np.eye(3), "mobility has shape"),
    ((1.0, 2.0, 3.0), "mobility has shape"), (np.nan, "finite"), ("fast", "mobility must be"),
    (lambda p: -np.ones(p.shape[:-1]), "positive"),
    (lambda p: np.ones((*p.shape, 2)), "isotropic or diagonal"), (lambda p: np.ones(7), "shape"),
])
def test_a_wrong_mobility_gets_one_sentence(mobility, words):
    with pytest.raises((ValueError, TypeError), match=words):
        checked(mobility, GRID)


def test_a_full_tensor_on_non_uniform_axes_is_refused_with_advice():
    with pytest.raises(ValueError, match="uniform grid"):
        checked([[2, 0.5], [0.5, 1]], fp.Grid.from_edges([[0, 1, 3, 4], [0, 1, 2, 3]]))
