"""Evolution on masks, rings, stretched axes, with mobilities, absorbing sets, black boxes and chains made
elsewhere."""
import numpy as np
import pytest

import fpkit as fp

pytestmark = pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")       # small grids

V = fp.Potential("(x**2 - 1)**2 + 0.5*y**2 + 0.3*x*y")
BOX = [(-2, 2), (-2, 2)]


def total(e, k=-1):
    return e.probabilities(k).sum()


def test_two_chambers_keep_their_own_masses():
    D = fp.FokkerPlanck(V, 0.1, fp.Grid(BOX, (32, 24), mask=lambda x: np.abs(x[..., 0]) > 0.2))
    e = D.evolve(([-0.4, 0.0], 0.5), [0.1, 10.0, 1e8], tol=1e-3)
    left = D.grid.points[..., 0] < 0
    masses = [e.probabilities(k)[left].sum() for k in range(3)]
    assert 0.5 < masses[0] < 0.99 and np.ptp(masses) < 1e-12
    assert (e.densities[:, ~D.inside] == 0).all()
    gibbs = D.gibbs.values * D.grid.volumes
    expected = np.where(left, gibbs * masses[0] / gibbs[left].sum(),
                        gibbs * (1 - masses[0]) / gibbs[~left].sum())
    assert np.abs(e.probabilities(2) - expected).sum() < 1e-11


def test_a_mask_along_the_cells_is_a_smaller_box():
    whole = fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2), (-2, 1)], (32, 24))).evolve(([-1, 0], 0.4), [0.3],
                                                                                  n_steps=30)
    masked = fp.FokkerPlanck(V, 0.2, fp.Grid(BOX, (32, 32), mask=lambda x: x[..., 1]
                                             < 1)).evolve(([-1, 0], 0.4), [0.3], n_steps=30)
    assert np.abs(masked.densities[0][:, :24] - whole.densities[0]).max() < 1e-11


def test_free_diffusion_on_a_ring_decays_at_the_exact_rate():
    D = fp.FokkerPlanck(fp.Potential("0*x"), 0.3, fp.Grid([(0, 2 * np.pi)], (32,), periodic=True))
    e = D.evolve(lambda x: 1 + 0.5 * np.cos(x[..., 0]), [1.0, 3.0], tol=1e-7)
    x = D.grid.centres[0]
    for k, t in enumerate(e.times):
        cells = np.sinc(0.5 * D.grid.h[0] / np.pi)               # mean of cos over a cell
        exact = (1 + 0.5 * np.exp(-0.3 * t) * cells * np.cos(x)) / (2 * np.pi)
        assert np.abs(e.densities[k] - exact).max() < 2e-6


def test_order_four_on_a_torus():
    W = fp.Potential("cos(x) + cos(y) + 0.5*cos(x - y)")
    start = lambda p: np.exp(2 * np.cos(p[..., 0] - 1) + 2 * np.cos(p[..., 1] + 0.5))
    run = lambda n: fp.FokkerPlanck(W, 0.4,
                                    fp.Grid([(0, 2 * np.pi)] * 2, (n, n),
                                            periodic=True)).evolve(start, [0.3], n_steps=128).probabilities()
    fine = run(192)
    errors = [np.abs(run(n) - fine.reshape(n, 192 // n, n, 192 // n).sum((1, 3))).sum() for n in (24, 48, 96)]
    assert errors[0] / errors[1] > 12 and errors[1] / errors[2] > 12 and errors[2] < 1e-4


def test_translation_on_a_torus_translates_the_density():
    W = lambda s: fp.Potential("cos(x - s) + 0.5*sin(2*(x - s))", s=s)
    grid = fp.Grid([(0, 2 * np.pi)], (40,), periodic=True)
    a = fp.FokkerPlanck(W(0.0), 0.3, grid).evolve(([1.0], 0.5), [0.7], n_steps=20)
    b = fp.FokkerPlanck(W(5 * grid.h[0]), 0.3, grid).evolve(([1.0 + 5 * grid.h[0]], 0.5), [0.7], n_steps=20)
    assert np.abs(np.roll(a.densities[0], 5) - b.densities[0]).max() < 1e-12


def test_stretched_axes_agree_with_even_ones():
    edges = [np.sinh(np.linspace(-1.5, 1.5, 65)) * 2 / np.sinh(1.5), np.linspace(-2, 2, 41)]
    D = fp.FokkerPlanck(V, 0.2, fp.Grid.from_edges(edges))
    e = D.evolve(([-1, 0], 0.3), [0.5, 1e5], tol=1e-4)
    fine = fp.FokkerPlanck(V, 0.2, fp.Grid(BOX, (96, 80))).evolve(([-1, 0], 0.3), [0.5], tol=1e-4)
    mean = lambda r, k: (r.probabilities(k)[..., None] * r.grid.points).sum((0, 1))
    assert np.abs(mean(e, 0) - mean(fine, 0)).max() < 3e-3
    assert np.abs(e.probabilities(1) - D.gibbs.values * D.grid.volumes).sum() < 1e-10
    assert e.inputs["order"] == 2


def test_scalar_mobility_only_scales_time():
    grid = fp.Grid(BOX, (24, 24))
    a = fp.FokkerPlanck(V, 0.2, grid).evolve(([-1, 0], 0.4), [0.6], n_steps=24)
    b = fp.FokkerPlanck(V, 0.2, grid, mobility=3.0).evolve(([-1, 0], 0.4), [0.2], n_steps=24)
    assert np.abs(a.densities - b.densities).max() < 1e-12


@pytest.mark.parametrize("mobility", [[1.0, 4.0], [[1.0, 0.3], [0.3, 0.6]], lambda x: 1
                                      + 0.5 * np.sin(x[..., 0])])
def test_every_mobility_leads_to_the_same_equilibrium(mobility):
    D = fp.FokkerPlanck(V, 0.2, fp.Grid(BOX, (24, 20)), mobility=mobility)
    e = D.evolve([-1.0, 0.5], [0.1, 1e7], tol=1e-3)
    assert np.abs(e.probabilities(1) - D.gibbs.values * D.grid.volumes).sum() < 1e-10
    assert abs(total(e, 0) - 1) < 1e-13


def test_full_mobility_moves_an_ornstein_uhlenbeck_mean_by_its_matrix():
    A, M = np.array([[1.0, 0.2], [0.2, 1.5]]), np.array([[1.0, 0.4], [0.4, 0.7]])
    D = fp.FokkerPlanck(fp.Potential("0.5*x**2 + 0.2*x*y + 0.75*y**2"), 0.2,
                        fp.Grid([(-2.5, 2.5)] * 2, (48, 48)), mobility=M)
    e = D.evolve(([0.8, -0.3], 0.3), [0.7], tol=1e-4)
    w, Q = np.linalg.eig(M @ A)
    exact = (Q @ np.diag(np.exp(-w * 0.7)) @ np.linalg.inv(Q)) @ [0.8, -0.3]
    mean = (e.probabilities()[..., None] * D.grid.points).sum((0, 1))
    assert np.abs(mean - exact).max() < 4e-3


def test_absorption_between_two_walls_decays_as_the_heat_kernel():
    # f = 0 on (0, 1), both ends absorbing: survival = sum 4/(pi k) ..., start sin(pi x): exp(-theta pi^2 t)
    region = fp.HalfSpace([1.0], 1.0) | fp.HalfSpace([-1.0], 0.0)
    D = fp.FokkerPlanck(fp.Potential("0*x"), 0.2, fp.Grid([(0, 1)], (64,)), absorbing=region)
    e = D.evolve(lambda x: np.sin(np.pi * x[..., 0]), [0.3, 1.0], tol=1e-6)
    assert np.abs(e.mass / np.exp(-0.2 * np.pi**2 * e.times) - 1).max() < 1e-3
    assert np.abs((e.densities * D.grid.volumes).sum(1) - e.mass).max() < 1e-12


def test_absorbing_disc_takes_mass_and_never_gives_it_back():
    D = fp.FokkerPlanck(V, 0.3, fp.Grid(BOX, (32, 28)), absorbing=fp.Ball([1, 0], 0.4))
    e = D.evolve(([-1, 0], 0.3), [0.1, 1.0, 10.0, 1e3], tol=1e-3)
    assert (np.diff(e.mass) < 0).all() and e.mass[-1] < 1e-3
    assert e.densities.min() > -1e-5


def test_a_black_box_gives_the_density_of_the_formula():
    formula = lambda x: (x[..., 0] ** 2 - 1) ** 2 + 0.5 * x[..., 1] ** 2 + 0.3 * x[..., 0] * x[..., 1]
    slope = lambda x: np.stack([4 * x[..., 0] * (x[..., 0] ** 2 - 1) + 0.3 * x[..., 1], x[..., 1]
                                + 0.3 * x[..., 0]], -1)
    box = fp.Potential.black_box(formula, slope, 2)
    grid = fp.Grid(BOX, (24, 20))
    a = fp.FokkerPlanck(V, 0.3, grid).evolve(([-1, 0], 0.4), [0.3], n_steps=16)
    b = fp.FokkerPlanck(box, 0.3, grid).evolve(([-1, 0], 0.4), [0.3], n_steps=16)
    assert np.abs(a.densities - b.densities).max() < 1e-4


@pytest.mark.parametrize("scheme", ["sqra", "scharfetter-gummel", "midpoint/cell"])
def test_named_schemes_evolve_to_the_exact_equilibrium(scheme):
    D = fp.FokkerPlanck(V, 0.3, fp.Grid(BOX, (24, 20)), scheme=scheme)
    e = D.evolve([-1.0, 0.0], [0.1, 1e6], tol=1e-3)
    assert np.abs(e.probabilities(1) - D.gibbs.values * D.grid.volumes).sum() < 1e-10
