import numpy as np
import pytest

import fpkit as fp

PLANE = "(x**2 - 1)**2 + y**2 + 0.3*x*y"
GRID = fp.Grid([(-2, 2), (-1.5, 1.5)], (24, 15))


def bump(grid):
    u = np.exp(-((grid.points - 0.3)**2).sum(-1) / 0.2)
    return u / (u * grid.volumes).sum()


@pytest.mark.parametrize("scheme", ["recommended", "face/cell", "scharfetter-gummel"])
@pytest.mark.parametrize("mobility", [None, (1.0, 3.0), [[2, 0.7], [0.7, 1]]])
def test_no_current_flows_in_equilibrium(scheme, mobility):
    D = fp.FokkerPlanck(fp.Potential(PLANE), 0.1, GRID, mobility=mobility, scheme=scheme)
    still, moving = D.currents(D.gibbs), D.currents(bump(GRID))
    assert np.abs(still.flow).max() < 1e-13 * np.abs(moving.flow).max()


def test_the_divergence_is_minus_the_rate_of_change_of_the_chain():
    for region in (None, fp.Ball([0.8, 0.0], 0.4)):
        D = fp.FokkerPlanck(fp.Potential(PLANE), 0.3, GRID, scheme="face/cell", absorbing=region)
        u = bump(GRID)
        v = u * GRID.volumes / (D.gibbs.values * GRID.volumes)
        p = np.exp(D.chain.log_mass + D.chain.shift - D._cell_masses.log_total) * v.ravel()
        change = (D.generator.T @ p).reshape(GRID.shape)
        states = np.isfinite(D.log_mass).reshape(GRID.shape)
        np.testing.assert_allclose(D.currents(u).divergence[states], -change[states],
                                   atol=1e-12 * np.abs(change).max())


def test_a_current_through_flat_ground_is_minus_theta_times_the_gradient():
    grid = fp.Grid([(-1, 1), (0, 3)], (10, 12))
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), 0.5, grid, mobility=(2.0, 1.0))
    u = 1 + 0.3 * grid.points[..., 0] - 0.2 * grid.points[..., 1]
    J = D.currents(u)
    np.testing.assert_allclose(J.vector[1:-1, 1:-1], np.broadcast_to([-0.5 * 2 * 0.3, 0.5 * 0.2], (8, 10, 2)),
                               rtol=1e-12)
    assert (J.faces[0][[0, -1]] == 0).all() and (J.faces[1][:, [0, -1]] == 0).all()
    np.testing.assert_allclose(J.faces[0][1:-1], -0.3, rtol=1e-12)
    assert J.component(1).grid == grid


def test_a_ring_carries_current_across_the_seam():
    grid = fp.Grid([(0, 1)], 10, periodic=True)
    D = fp.FokkerPlanck(fp.Potential("0*x"), 1.0, grid)
    u = 1 + 0.1 * np.cos(2 * np.pi * (grid.centres[0] - 0.25))
    J = D.currents(u)
    exact = 0.1 * 2 * np.pi * np.sin(2 * np.pi * (grid.edges[0] - 0.25))
    np.testing.assert_allclose(J.faces[0], exact, rtol=0.02)
    assert J.faces[0][0] == J.faces[0][-1]
    assert abs(J.divergence.sum()) < 1e-14


def test_a_tensor_current_has_the_direction_of_the_tensor():
    M = np.array([[2.0, 0.7], [0.7, 1.0]])
    grid = fp.Grid([(-1, 1)] * 2, (12, 12))
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), 0.5, grid, mobility=M)
    J = D.currents(1 + grid.points @ [0.3, -0.2])
    np.testing.assert_allclose(J.vector[3:-3, 3:-3], np.broadcast_to(-0.5 * M @ [0.3, -0.2], (6, 6, 2)),
                               rtol=1e-10)
    with pytest.raises(ValueError, match="corners"):
        _ = J.faces


def test_the_gibbs_density_has_the_least_free_energy():
    D = fp.FokkerPlanck(fp.Potential(PLANE), 0.3, GRID)
    least = D.free_energy(D.gibbs)
    assert least == pytest.approx(-0.3 * D.log_partition, abs=1e-12)
    assert D.free_energy(bump(GRID)) - least == pytest.approx(0.3 * D.distance(bump(GRID), "entropy"),
                                                              rel=1e-9)
    for kind in ("l1", "tv", "chi2", "entropy"):
        assert D.distance(D.gibbs, kind) < 1e-7 < D.distance(bump(GRID), kind)
    assert D.distance(bump(GRID)) == 2 * D.distance(bump(GRID), "tv")


def test_a_density_far_up_where_gibbs_underflows_has_finite_currents():
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), 0.004, fp.Grid([(-2.5, 2.5)], 60))
    u = np.zeros(60)
    u[1] = 12.0
    J = D.currents(u)
    assert np.isfinite(J.flow).all() and J.divergence[1] > 0 and D.distance(u, "chi2") == np.inf


@pytest.mark.parametrize("density, words", [(np.ones(7), "shape"), ("u", "Field or an array"),
                                            (np.full(GRID.shape, np.nan), "not finite")])
def test_a_wrong_density_is_refused(density, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.FokkerPlanck(fp.Potential(PLANE), 0.3, GRID).currents(density)
    with pytest.raises(ValueError, match="negative"):
        fp.FokkerPlanck(fp.Potential(PLANE), 0.3, GRID).free_energy(bump(GRID) - 0.01)
