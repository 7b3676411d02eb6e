import numpy as np
import pytest
from plain_references import imbalance, lowest

import fpkit as fp

WELL = "(x**2 - 1)**2 + 0.3*x"


def exact_mean_time(nodes, end, start, theta, n=4000):
    """log of the mean time from each node to `end`, reflecting at `start`: composite Gauss of the double
    integral, in logs."""
    f = lambda x: ((x * x - 1)**2 + 0.3 * x) / theta
    x, w = np.polynomial.legendre.leggauss(8)
    edges = np.unique(np.concatenate([[start], nodes, [end], np.linspace(start, end, n + 1)]))
    h = np.diff(edges)
    X = edges[:-1, None] + h[:, None] * (x + 1) / 2
    piece = np.log(np.exp(-(f(X) - f(X).min(1, keepdims=True))) @ (w / 2) * h) - f(X).min(1)
    before = np.r_[-np.inf, np.logaddexp.accumulate(piece)[:-1]]
    outer = np.full(h.size, -np.inf)
    for q in range(8):  # Z up to each Gauss point: the cell before plus a Gauss rule on the part
        length = X[:, q] - edges[:-1]
        Y = edges[:-1, None] + length[:, None] * (x + 1) / 2
        low = f(Y).min(1)
        Z = np.logaddexp(before, np.log(np.exp(-(f(Y) - low[:, None])) @ (w / 2) * length) - low)
        outer = np.logaddexp(outer, np.log(w[q] / 2 * h / theta) + f(X[:, q]) + Z)
    T = np.logaddexp.accumulate(outer[::-1])[::-1]
    return T[np.searchsorted(edges, nodes)]


@pytest.mark.parametrize("theta", [0.2, 0.01])
def test_nodal_mean_first_passage_times_are_exact_on_a_random_mesh_of_sixteen_cells(theta):
    rng = np.random.default_rng(1)
    grid = fp.Grid.from_edges([np.r_[-2, np.sort(rng.uniform(-1.95, 0.85, 15)), 0.9]])
    D = fp.FokkerPlanck(fp.Potential(WELL), theta, grid, absorbing=fp.HalfSpace([1], 0.9))
    c = D.chain
    log_c = np.r_[c.log_cond[np.argsort(c.edges[:, 0])], c.log_ground[-1]]
    tau = np.logaddexp.accumulate((np.logaddexp.accumulate(c.log_mass) - log_c)[::-1])[::-1]
    np.testing.assert_allclose(tau, exact_mean_time(grid.centres[0], 0.9, -2.0, theta),
                               atol=1e-12 * max(1.0, np.abs(tau).max()))


def golub_kahan_gap(c):
    """Lowest nonzero eigenvalue of a chain on a line, in full relative accuracy: Sturm bisection on the
    bidiagonal factor."""
    order = np.argsort(c.edges[:, 0])
    off = np.empty(2 * c.n_cells - 2)
    off[0::2], off[1::2] = np.exp(c.log_cond[order] - c.log_mass[:-1]), np.exp(c.log_cond[order]
                                                                               - c.log_mass[1:])

    def below(x):
        d, count = -x, 1
        for v in off:
            d = -x - v / d
            count += d < 0
        return count
    low, high = -345.0, 0.5 * np.log(4 * off.max())
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if below(np.exp(middle)) - c.n_cells < 1 else (low, middle)
    return np.exp(low + high)


def test_a_gap_of_1e_minus_40_comes_out_to_ten_digits_in_one_dimension():
    D = fp.FokkerPlanck(fp.Potential(WELL), 0.008, fp.Grid([(-1.5, 1.5)], 64))
    assert golub_kahan_gap(D.chain) == pytest.approx(9.79451950793966809e-40, rel=1e-10)


def test_the_plane_chain_of_a_sum_potential_is_the_tensor_product_of_the_exact_ones():
    other = "1.3*(y**2 - 1)**2 - 0.2*y"
    both = fp.FokkerPlanck(fp.Potential(f"{WELL} + {other}"), 0.05,
                           fp.Grid([(-1.5, 1.5)] * 2, (14, 11))).chain
    first = fp.FokkerPlanck(fp.Potential(WELL), 0.05, fp.Grid([(-1.5, 1.5)], 14)).chain
    second = fp.FokkerPlanck(fp.Potential(other.replace("y", "x")), 0.05, fp.Grid([(-1.5, 1.5)], 11)).chain
    product = first.log_mass[:, None] + second.log_mass[None, :]
    np.testing.assert_allclose(both.log_mass.reshape(14, 11), product - product.max(), atol=1e-10)
    i, j = np.unravel_index(both.edges[:, 0], (14, 11))
    along_x = both.edges[:, 1] - both.edges[:, 0] == 11
    c1, c2 = first.log_cond[np.argsort(first.edges[:, 0])], second.log_cond[np.argsort(second.edges[:, 0])]
    expected = np.where(along_x, c1[np.minimum(i, 12)] + second.log_mass[j], first.log_mass[i]
                        + c2[np.minimum(j, 9)])
    np.testing.assert_allclose(both.log_cond, expected, atol=1e-9)


def test_sixteen_cold_cells_have_no_spurious_slow_mode():
    D = fp.FokkerPlanck(fp.Potential(WELL), 0.05, fp.Grid([(-2, 2)], 16))
    values = lowest(D, 3)
    assert values[2] > 1.0                                          # the relaxation within a well, not a trap


def test_largest_log_mass_is_zero_and_rows_sum_to_zero():
    for theta in (0.5, 0.003):
        D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + y**2"), theta,
                            fp.Grid([(-2, 2), (-1, 2)], (20, 15)))
        assert D.log_mass.max() == 0.0
        Q = D.generator
        assert np.abs(np.asarray(Q.sum(1))).max() <= 4e-16 * np.abs(Q.data).max()
        off = Q.tocoo()
        assert (off.data[off.row != off.col] > 0).all()


def test_masses_beyond_the_range_of_floats_are_lifted_and_stay_balanced():
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), 5e-4, fp.Grid([(-3, 3)], 80))
    assert D.chain.log_mass.min() < -10_000 and D.log_mass.min() == -640
    assert imbalance(D) <= 4
    assert np.isfinite(D.generator.data).all()


def test_steep_edges_of_midpoint_and_sqra_give_finite_rates():
    for scheme in ("midpoint", "sqra", "arithmetic", "midpoint/cell"):
        D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), 3e-4, fp.Grid([(-2, 2)], 12), scheme=scheme)
        assert np.isfinite(D.generator.data).all() and imbalance(D) <= 4


def test_a_mask_that_splits_the_box_leaves_two_parts_each_with_its_own_stationary_state():
    grid = fp.Grid([(-2, 2), (-1, 1)], (21, 8), mask=lambda p: np.abs(p[..., 0]) > 0.15)
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2"), 0.3, grid)
    parts = D.components
    assert parts.n == 2 and abs(parts.probabilities.sum() - 1) < 1e-14
    left = grid.points[..., 0] < 0
    assert (parts.labels[left & grid.inside] == parts.labels[0, 0]).all() and (parts.labels[~grid.inside]
                                                                               == -1).all()
    values = lowest(D, 3)
    assert np.abs(values[:2]).max() < 1e-12 < values[2]
    for k in range(2):                                               # a density inside one part stays there
        u = np.where((parts.labels == k).ravel(), np.exp(D.log_mass), 0.0)
        assert np.abs(D.generator.T @ u).max() < 1e-12
    assert D.generator[np.flatnonzero(~grid.inside.ravel())].nnz == 0


def test_two_cells_around_a_ring_are_joined_by_one_edge_of_both_ways():
    D = fp.FokkerPlanck(fp.Potential("0.2*cos(x)"), 1.0, fp.Grid([(0, 2 * np.pi)], 2, periodic=True),
                        scheme="scharfetter-gummel")
    assert D.edges.tolist() == [[0, 1]] and imbalance(D) <= 4
    # cos is +-0 at the two nodes, so both ways have the rate theta / h^2
    assert D.generator[0, 1] == pytest.approx(2 / np.pi**2, rel=1e-12)
