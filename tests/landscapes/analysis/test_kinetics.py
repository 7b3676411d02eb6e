"""Rates between wells: known eigenvalues, refinement errors that hold, Eyring-Kramers in its limit, and what
may not be said."""
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

import fpkit as fp
from fpkit.landscapes.analysis.dynamics import plane_mobility
from fpkit.landscapes.analysis.kinetics import direct_passes, kinetics, merged
from fpkit.landscapes.analysis.thermodynamics import _free_energy_noise, thermodynamics
from fpkit.landscapes.surface.harmonic import (
    curvatures,
    eyring_kramers,
    harmonic_free_energy,
    quadratic_fit,
)
from fpkit.landscapes.surface.landscape import Landscape
from fpkit.landscapes.surface.merge_tree import merge_tree
from fpkit.landscapes.surface.resampling import nearest, refined
from fpkit.landscapes.surface.wells import find_wells

GRAM = np.array([[4.0, 1.0], [1.0, 2.0]])


def surface(loss, *axes, gram=None, trajectory=None, **more):
    """A landscape in memory, loss of shape (ny, nx)."""
    valid = np.isfinite(loss)
    none = np.zeros(loss.shape, bool)
    return Landscape("memory.h5", "train_loss", axes, loss, {"train_loss": loss}, {}, valid, none, ~valid,
                     gram=gram, trajectory=trajectory, **more)


def double_well(n=33, m=17, gram=GRAM, depth=1.0):
    x, y = np.linspace(-1.6, 1.6, n), np.linspace(-0.8, 0.8, m)
    return surface(depth * ((x**2 - 1) ** 2 + 0.1 * x) + 1.5 * y[:, None] ** 2, x, y, gram=gram)


def rates_of(land, theta, start=(-1.0, 0.0)):
    wells, basins = find_wells(land, land.merge_tree(), np.min(theta))
    return kinetics(land, wells, basins, np.atleast_1d(theta), np.array(start[:land.ndim]),
                    plane_mobility(land))


# ---- the digits plane ----

@pytest.fixture(scope="module")
def digits(shared_landscapes):
    return fp.read_landscape(shared_landscapes / "own_digits_mlp_three_minima_41x41.h5")


@pytest.mark.parametrize("theta, on_samples, low, high", [(0.02, 5.995e-11, 5.15e-11, 6.0e-11),
                                                          (0.05, 5.814e-7, 5.78e-7, 5.82e-7),
                                                          (0.1, 2.051e-5, 2.05e-5, 2.12e-5)])
def test_the_slowest_eigenvalue_of_the_digits_plane(digits, theta, on_samples, low, high):
    (r,) = rates_of(digits, theta, (0.0, 0.0))
    assert 10 ** r.log10_modes[0] == pytest.approx(on_samples,
                                                   rel=2e-4) and low <= 10 ** r.log10_modes[0] <= high
    if len(r.sequence) > 1:
        assert (10 ** (r.log10_modes[0] - r.log10_modes_error[0]) < low < high < 10
                ** (r.log10_modes[0] + r.log10_modes_error[0]) * 1.01)


def test_rates_are_finite_where_a_barrier_is_5555_theta(digits):
    (r,) = rates_of(digits, 5e-5, (0.0, 0.0))
    apart = ~np.eye(len(r.wells), dtype=bool)
    assert (len(r.wells) == 3 and np.isfinite(r.log10_rate[apart]).all()
            and np.isfinite(r.log10_mfpt[apart]).all())
    # -log10 rate is the barrier over theta but for a prefactor: 5555/ln 10 = 2413 from well 2 to well 1
    assert r.log10_rate[1, 0] == pytest.approx(-r.barrier[1, 0] / 5e-5 / np.log(10),
                                               abs=6) and -2420 < r.log10_rate[1, 0] < -2410
    assert np.isfinite(r.log10_modes).all() and r.log10_modes[0] < -2400


def test_the_wells_of_the_digits_plane_cross_over_at_2_05e_3(digits):
    found = fp.analyse(digits, n_paths=2, theta=[1e-3, 0.01, 0.1])
    (c,) = found.crossovers
    assert (found.wells[c.deeper - 1].index,
            found.wells[c.wider - 1].index) == ((8, 32),
                                                (9, 9)) and c.theta == pytest.approx(2.050e-3, rel=0.01)


# ---- laws ----

def test_the_refinement_error_holds_the_rate_of_a_fine_surface():
    """Truth: the same function sampled eight times as finely."""
    fine = double_well(257, 129)
    for theta in (0.1, 0.2):
        (truth,), (coarse,) = rates_of(fine, theta), rates_of(double_well(), theta)
        for pair in ((0, 1), (1, 0)):
            assert (abs(coarse.log10_rate[pair] - truth.log10_rate[pair]) < 1.2
                    * coarse.log10_rate_error[pair] and coarse.log10_rate_error[pair] < 0.1)


def test_eyring_kramers_is_the_limit_at_low_temperature_with_a_skew_metric():
    land = double_well(129, 65)
    gaps = []
    for theta in (0.16, 0.08, 0.04):
        (r,) = rates_of(land, theta)
        gaps.append((r.log10_eyring[1, 0] - r.log10_rate[1, 0]) * np.log(10))
    assert abs(gaps[2]) < abs(gaps[1]) < abs(gaps[0]) and abs(gaps[2]) < 0.06


def test_rates_do_not_know_a_constant_and_scale_with_the_metric():
    land = double_well()
    more = surface(land.loss + 1000, *land.axes, gram=GRAM)
    slow = surface(land.loss, *land.axes, gram=4 * GRAM)
    (a,), (b,), (c,) = (rates_of(one, 0.1) for one in (land, more, slow))
    apart = ~np.eye(2, dtype=bool)
    assert (a.log10_rate[apart] == pytest.approx(b.log10_rate[apart], abs=1e-9)
            and a.log10_modes == pytest.approx(b.log10_modes, abs=1e-7))
    assert a.log10_rate[apart] - np.log10(4) == pytest.approx(c.log10_rate[apart], abs=1e-12)
    scaled = surface(3 * land.loss, *land.axes, gram=GRAM)
    (d,) = rates_of(scaled, 0.3)
    assert a.log10_rate[apart] + np.log10(3) == pytest.approx(d.log10_rate[apart], abs=1e-9)


def test_an_exchange_of_the_axes_changes_nothing():
    land = double_well()
    turned = surface(np.ascontiguousarray(land.loss.T), land.y, land.x, gram=GRAM[::-1, ::-1].copy())
    (a,), (b,) = rates_of(land, 0.1), rates_of(turned, 0.1, (0.0, -1.0))
    apart = ~np.eye(2, dtype=bool)
    assert (a.log10_rate[apart] == pytest.approx(b.log10_rate[apart], abs=1e-10)
            and a.log10_mfpt_from_start == pytest.approx(b.log10_mfpt_from_start, abs=1e-10))


def test_cold_capacities_keep_detailed_balance_with_the_weights_of_the_wells():
    (r,) = rates_of(double_well(), 1e-3)
    n = r.network
    assert n.log_rate[0, 1] + n.log_mass[0] == pytest.approx(n.log_rate[1, 0] + n.log_mass[1],
                                                             abs=1e-9) and r.log10_rate[0, 1] < -300


def test_a_wall_makes_wells_out_of_reach():
    land = double_well()
    loss = land.loss.copy()
    loss[:, 16] = np.nan
    (r,) = rates_of(surface(loss, *land.axes, gram=GRAM), 0.1)
    assert r.log10_rate[0, 1] == -np.inf and r.log10_mfpt[0, 1] == np.inf and r.first.tolist() in ([1, 0],
                                                                                                   [0, 1])
    assert r.verdict[0][1] == "" and np.isinf(r.barrier[0, 1])


def test_cliffs_of_1e35_harm_no_rate():
    land = double_well()
    loss = land.loss.copy()
    loss[:, -2:] = 1e35
    loss[0] = 1e12
    with np.errstate(all="raise", under="ignore"):
        found = [rates_of(surface(loss, *land.axes, gram=GRAM), t)[0] for t in (1e-3, 0.1)]
    plain = rates_of(land, 0.1)[0]
    assert found[1].log10_rate[0, 1] == pytest.approx(plain.log10_rate[0, 1],
                                                      abs=0.01) and np.isfinite(found[0].log10_rate[0, 1])


def test_the_network_follows_the_density():
    report = fp.analyse(double_well(), theta=[0.1, 0.15], n_paths=2, start=[-1.0, 0.0])
    both = report.agreement
    assert (both.wells == (1, 2) and both.largest < 0.02
            and both.network.sum(axis=1) == pytest.approx(1, abs=1e-12))


def test_a_line_and_a_box_have_rates_too():
    x = np.linspace(-1.6, 1.6, 65)
    line = surface((x**2 - 1) ** 2 + 0.1 * x, x, gram=np.array([[2.0]]))
    (r,) = rates_of(line, 0.05, (-1.0,))
    assert r.log10_eyring[1, 0] == pytest.approx(r.log10_rate[1, 0], abs=0.05)
    y, z = np.linspace(-0.8, 0.8, 9), np.linspace(-0.8, 0.8, 7)
    loss = (x[::4] ** 2 - 1) ** 2 + 0.1 * x[::4] + y[:, None] ** 2 + 1.5 * z[:, None, None] ** 2
    gram = np.array([[4.0, 1, 0], [1, 2, 0.5], [0, 0.5, 1]])
    report = fp.analyse(surface(loss, x[::4], y, z, gram=gram), theta=[0.1], n_paths=4, start=[-1.0, 0, 0])
    (r,) = report.rates
    assert len(report.wells) == 2 and r.log10_eyring[1, 0] == pytest.approx(r.log10_rate[1, 0], abs=0.15)
    assert report.dynamics.mass == pytest.approx(1, abs=1e-12) and report.occupation.sum() == pytest.approx(1)


# ---- parts ----

def test_refined_keeps_samples_and_holes():
    land = double_well(9, 5)
    loss = land.loss.copy()
    loss[2, 4] = np.nan
    land = surface(loss, *land.axes)
    fine = refined(land, 4)
    assert fine.shape == (17, 33) and np.array_equal(fine.loss[::4, ::4], loss, equal_nan=True)
    assert np.isnan(fine.loss[5:12, 13:20]).all() and np.isfinite(fine.loss[4, 12:21]).all()
    labels = np.arange(45).reshape(5, 9)
    assert np.array_equal(nearest(labels, 4)[::4, ::4], labels)
    assert np.nanmax(fine.loss) == np.nanmax(loss)


def test_smooth_refinement_is_of_order_four_and_does_not_swing_at_cliffs():
    truth = lambda x, y: np.cos(x) * np.cosh(0.7 * y)  # second differences of one sign along each axis
    errors = []
    for n in (9, 17, 33):
        x, y = np.linspace(-1, 1, n), np.linspace(-0.8, 0.8, n)
        fine = refined(surface(truth(x, y[:, None]), x, y), 2, is_smooth=True)
        inner = (slice(2, -2),) * 2
        errors.append(np.abs(fine.loss - truth(fine.x, fine.y[:, None]))[inner].max())
    assert np.log2(errors[0] / errors[1]) > 3.5 and np.log2(errors[1] / errors[2]) > 3.5
    x = np.linspace(0, 1, 8)
    step = np.where(x > 0.5, 1e35, x**2)
    found = refined(surface(step, x), 2, is_smooth=True).loss
    assert (found[0::2] == pytest.approx(step) and (found[:7] >= 0).all() and (found[:7] < 1).all()
            and found.max() <= 1e35)


def test_quadratic_fits_are_exact_for_quadratics():
    x, y = np.linspace(-1, 1, 21), np.linspace(-1, 1, 11)
    H, c = np.array([[3.0, 0.7], [0.7, 1.2]]), np.array([0.03, -0.05])
    d = np.stack(np.meshgrid(x, y), -1) - c
    land = surface(0.5 + np.einsum("...i,ij,...j", d, H, d) / 2, x, y)
    fit, said = quadratic_fit(land, land.minimum_index)
    assert (said is None and fit.hessian == pytest.approx(H, rel=1e-9)
            and fit.point == pytest.approx(c, abs=1e-12) and fit.value == pytest.approx(0.5))
    assert fit.error < 1e-9 and fit.index == 0
    F, error = harmonic_free_energy(fit, 0.01)
    assert pytest.approx(0.5
                         - 0.01 * np.log(2 * np.pi * 0.01 / np.sqrt(np.linalg.det(H)))) == F and error < 1e-10
    assert quadratic_fit(land, (0, 3))[0] is None and "end" in quadratic_fit(land, (0, 3))[1]


def test_harmonic_free_energy_meets_the_exact_one_in_a_resolved_quadratic_well():
    x, y = np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)
    report = fp.analyse(surface(2 * x**2 + 3 * y[:, None] ** 2, x, y), theta=[0.05], n_paths=2)
    thermo = report.thermodynamics
    assert thermo.harmonic[0, 0] == pytest.approx(thermo.free_energy[0, 0], abs=1e-4)


def test_eyring_kramers_says_why_not():
    land = double_well()
    wells, basins = find_wells(land, land.merge_tree(), 0.05)
    barrier, passes = direct_passes(land, wells, basins)
    minimum, saddle = quadratic_fit(land, wells[1].index), quadratic_fit(land, passes[1, 0][0])
    M = np.eye(2)
    assert eyring_kramers(minimum, saddle, 0.05,
                          M)[1] == "ok" and eyring_kramers(minimum, saddle, 0.25, M)[1].startswith("rough")
    assert "no barrier" in eyring_kramers(minimum, saddle, 0.5, M)[1]
    assert ("curve down in 0" in eyring_kramers(minimum, minimum, 0.05, M)[1]
            and "not convex" in eyring_kramers(saddle, saddle, 0.05, M)[1])
    assert eyring_kramers((None, "flat"), saddle, 0.05, M)[1] == "refused: at the minimum, flat"
    assert barrier[0, 1] == pytest.approx(wells[1].saddle - wells[0].minimum)


def test_shallow_wells_are_merged_into_those_they_join():
    land = double_well()
    wells, basins = find_wells(land, land.merge_tree(), 0.01)
    home = merged(wells, basins, (1,))
    assert (home == 0).all() and (merged(wells, basins, (1, 2)) == basins).all()


def test_a_flag_is_raised_where_rates_hang_on_the_resolution():
    coarse = double_well(9, 5)
    assert "under_resolved" in fp.analyse(coarse, theta=[0.02], n_paths=2).flags
    assert "under_resolved" not in fp.analyse(double_well(65, 33), theta=[0.1], n_paths=2).flags


# ---- crossovers, agreement, large surfaces ----

def test_wells_equal_by_symmetry_have_no_crossover():
    x, y = np.linspace(-1.6, 1.6, 41), np.linspace(-1.6, 1.6, 41)
    report = fp.analyse(surface((x**2 - 1) ** 2 + y[:, None] ** 2 / 2, x, y), n_paths=4)
    assert len(report.wells) == 2 and report.crossovers == ()
    assert report.occupation == pytest.approx(0.5, abs=3e-3)          # the ridge belongs to one of them


def test_a_crossover_lies_within_its_error_of_the_exact_one():
    """Two Gaussian-like wells, deeper and narrow against shallow and wide: log(k_wide/k_narrow)/2 =
    gap/theta."""
    def loss(n):
        x, y = np.linspace(-2, 2, n), np.linspace(-1, 1, (n + 1) // 2)
        narrow, wide = 8 * (x + 1) ** 2, 0.15 + 1.5 * (x - 1) ** 2
        return x, y, np.minimum(narrow, wide) + 2 * y[:, None] ** 2
    crossings = [fp.analyse(surface(f, x, y), n_paths=4).crossovers for x, y, f in map(loss, (41, 321))]
    assert len(crossings[0]) == len(crossings[1]) == 1
    coarse, fine = crossings[0][0], crossings[1][0]
    assert abs(coarse.theta - fine.theta) <= coarse.error + fine.error and fine.error < coarse.error


def test_paths_and_density_are_held_to_chance_and_more_paths_see_more():
    x, y = np.linspace(-1.6, 1.6, 11), np.linspace(-1, 1, 7)          # too coarse for its wells
    land = surface((x**2 - 1) ** 2 + 0.1 * x + 8 * y[:, None] ** 2, x, y)
    few, many = (fp.analyse(land, theta=[0.06], n_paths=n).dynamics.paths for n in (20, 2000))
    assert many.chance < few.chance and many.is_off
    marks = {f.topic: f.trust for f in fp.analyse(land, theta=[0.06], n_paths=2000).findings()}
    assert "firm" not in (marks["start"], marks["paths"], marks["occupation"])


def test_large_surfaces_have_rates_errors_and_a_density():
    x, y = np.linspace(-1.6, 1.6, 251), np.linspace(-1, 1, 121)
    report = fp.analyse(surface((x**2 - 1) ** 2 + 0.1 * x + y[:, None] ** 2, x, y), theta=[0.12], n_paths=4)
    (r,) = report.rates
    assert "coarse" in r.sequence or 2 in r.sequence
    assert np.isfinite(r.log10_rate_error[0, 1]) and r.log10_rate_error[0, 1] < 0.05
    assert report.dynamics.is_coarse and report.dynamics.occupation.sum(axis=1) == pytest.approx(1)


# ---- periodic axes ----

def ring(shift=(0, 0), n=(24, 20)):
    """A landscape of two angles, moved along both."""
    x, y = (np.linspace(-np.pi, np.pi, k, endpoint=False) for k in n)
    loss = np.cos(x - 0.2) + np.cos(y[:, None] + 2.9) + 0.3 * np.cos(2 * y[:, None] - 1) + 0.9 * np.cos(2 * x)
    return surface(np.roll(loss, shift, (0, 1)), x, y, periodic=(True, True), gram=np.eye(2))


def test_angles_have_their_own_wells_and_a_shift_changes_nothing():
    found = []
    for shift in ((0, 0), (7, 13), (19, 1)):
        land = ring(shift)
        start = land.point(((5 + shift[0]) % 20, (3 + shift[1]) % 24))
        found.append(fp.analyse(land, theta=[0.08, 0.15], start=start, n_paths=4))
    first = found[0]
    assert len(first.wells) == 2 and not any(w.flags
                                             for w in first.wells) and first.thermodynamics.edge_mass[0] == 0
    for other in found[1:]:
        assert other.occupation == pytest.approx(first.occupation, abs=1e-12)
        assert other.rates[0].log10_rate == pytest.approx(first.rates[0].log10_rate, abs=1e-9)
        errors = [r.rates[0].log10_rate_error[0, 1] for r in (first, other)]
        assert errors[1] == pytest.approx(errors[0], abs=1e-7)
        assert other.dynamics.mean_loss == pytest.approx(first.dynamics.mean_loss, abs=1e-4)


def test_paths_cross_the_seam_of_periodic_axes():
    """Two wells whose only way leads over the seam of x, beside the density on the cells."""
    x, y = (np.linspace(-np.pi, np.pi, n, endpoint=False) for n in (48, 20))
    loss = 2 * np.exp(-2 * x**2) - 0.3 * np.cos(2 * (x - 0.9)) * (np.abs(x) > 0.3) + 0.5 * np.cos(x)
    land = surface(loss - 0.5 * np.cos(y[:, None]), x, y, periodic=(True, True), gram=np.eye(2))
    report = fp.analyse(land, theta=[0.15], start=[2.4, 0.0], n_paths=300)
    paths = report.dynamics.paths
    assert (np.abs(paths.ends) <= np.pi + 0.2).all() and not paths.is_off
    assert (paths.ends[:, 0] < 0).mean() > 0.1 and paths.expected[-1].min() > 0.1


def test_a_ring_of_angles_refines_onto_its_own_samples():
    land = ring()
    for factor, is_smooth in ((2, False), (2, True), (4, False)):
        fine = refined(land, factor, is_smooth)
        assert fine.shape == tuple(factor * n for n in land.shape)
        assert np.allclose(fine.loss[::factor, ::factor], land.loss, rtol=0, atol=1e-14)
        assert np.allclose(fine.axes[0][::factor], land.axes[0])


def test_a_merge_tree_on_a_ring_joins_across_the_seam():
    loss = np.array([0.0, 2.0, 5.0, 1.0, 3.0, 0.5])
    assert len(merge_tree(loss)) == 3 and len(merge_tree(loss, wraps=(True,))) == 2


def test_the_decades_that_a_rate_may_be_off_follow_from_its_refinements():
    """The last linear step and the distance from the samples, or twice the step to the smooth rule."""
    from fpkit.landscapes.analysis.kinetics import SMOOTH, _refinement_error

    steps = lambda smooth: {k: np.array([v]) for k, v in ((1, 0.0), (2, 0.1), (4, 0.12), (SMOOTH, smooth))}
    assert _refinement_error(steps(0.01)) == pytest.approx(0.02 + 0.12)
    assert _refinement_error(steps(-0.2)) == pytest.approx(0.4)
    assert np.isnan(_refinement_error({1: np.array([0.0])})).all()


def test_directions_across_the_plane_weigh_wells_by_their_width():
    """Two mirror-image wells, one with log det of log 9 across the plane: 1/sqrt(9) of the other's weight."""
    from fpkit.landscapes.analysis.thermodynamics import thermodynamics
    from fpkit.landscapes.surface.landscape import Landscape
    from fpkit.landscapes.surface.wells import find_wells

    x, y = np.linspace(-1.6, 1.6, 33), np.linspace(-0.8, 0.8, 17)
    loss = (x**2 - 1) ** 2 + y[:, None] ** 2
    valid = np.ones(loss.shape, bool)
    narrow = np.broadcast_to(np.where(x > 0, np.log(9.0), np.where(x < 0, 0.0, np.log(3.0))), loss.shape)
    land = Landscape("a", "train_loss", (x, y), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     logdet_perp=np.array(narrow))
    wells, basins = find_wells(land, land.merge_tree(), 0.02)
    found = thermodynamics(land, wells, basins, [0.02, 0.05])
    right = next(k for k, w in enumerate(wells) if w.x[0] > 0)
    for share in found.across:
        assert share[right] / share[1 - right] == pytest.approx(1 / 3, rel=0.02)


def test_eyring_kramers_adds_the_passes_between_two_wells():
    """A ring valley with two passes of nearly the same height: the formula over one of them gives half."""
    x = np.linspace(-1.6, 1.6, 65)
    r, angle = np.hypot(x, x[:, None]), np.arctan2(x[:, None], x + 0 * x[:, None])
    land = surface(12 * (r - 1) ** 2 + 0.5 * (1 - np.cos(2 * angle)) * np.minimum(r, 1) ** 2 + 0.05 * x
                   + 0.05 * x[:, None], x, x)
    rates = fp.analyse(land, theta=[0.1], n_paths=2).rates[0]
    off = (rates.log10_eyring - rates.log10_rate)[np.isfinite(rates.log10_eyring)]
    assert off.size == 2 and (np.abs(off) < np.log10(1.2)).all()


def test_crossovers_carry_the_noise_of_the_samples():
    """A narrow deep and a wide shallow well: the temperature moves with the noise, within its error."""
    x, y = np.linspace(-1.5, 1.5, 41), np.linspace(-1.2, 1.2, 33)
    deep = np.minimum(16 * ((x + 0.8) ** 2 + y[:, None] ** 2), (x - 0.6) ** 2 + y[:, None] ** 2 + 0.2)
    still = fp.analyse(surface(deep, x, y), n_paths=2).crossovers[0].theta
    moved = []
    for seed in range(6):
        noise = 0.03 * np.random.default_rng(seed).normal(size=deep.shape)
        found = [c for c in fp.analyse(surface(deep + noise, x, y), n_paths=2).crossovers if c.deeper == 1]
        moved += [abs(c.theta - still) / c.error for c in found[:1]]
    assert len(moved) > 3 and max(moved) < 1 and max(moved) > 0.01


def test_a_dip_belongs_to_the_well_beside_it():
    """A shallow dip beyond well 2 joins the part that holds both wells, and drains into well 2."""
    x = np.linspace(-2.2, 1.9, 206)
    f = PchipInterpolator([-2.2, -1.5, -0.75, 0, 1, 1.3, 1.9], [2.5, 0, 0.6, 0.1, 1.05, 1, 2.5])(x)
    report = fp.analyse(surface(f, x), theta=[0.1], start=[1.3], n_paths=2)
    assert len(report.wells) == 2 and (report.basins[x > -0.7] == 1).all() and report.rates[0].first[1] > 0.99


def test_basins_lead_somewhere_on_surfaces_with_ties_and_holes():
    rng = np.random.default_rng(0)
    for s in range(300):
        shape = tuple(rng.integers(2, 12, 1 + s % 2))
        a = rng.integers(0, 2 + s % 30, shape).astype(float)
        a[rng.random(shape) < 0.2 * (s % 3 == 0)] = np.nan
        if np.isfinite(a).any():
            tree = merge_tree(a, wraps=(bool(s % 4),) * len(shape) if min(shape) > 3 else None)
            for persistence in (0, 1, 5):
                assert set(np.unique(tree.basins(persistence))) - {-1} <= set(tree.kept(persistence))


def test_a_ridge_between_the_samples_leaves_the_rates_open():
    """A slanted ridge narrower than the rows are apart: the samples let paths through between them, the rates
    are five times too large, on finer surfaces too."""
    x, y = np.linspace(-2, 2, 41), np.linspace(-2, 2, 17)[:, None]
    f = 3 * np.exp(-(y - x / 4) ** 2 / (2 * 0.09**2)) + (y * y - 1) ** 2 / 2 + x * x / 2 + y / 10
    report = fp.analyse(surface(f, x, y[:, 0]), theta=[0.473], n_paths=2)
    assert abs(np.log10(130) + report.rates[0].log10_modes[0]) < 1.5 * report.rates[0].log10_modes_error[0]
    assert {f.topic: f.trust for f in report.findings()}["rates"] == "open"


@pytest.mark.parametrize("low, n", [(-2, 13), (-2, 21), (-1.83, 13)])
def test_samples_that_see_two_equal_wells_differently_make_no_crossover(low, n):
    x, y = np.linspace(low, 2.05, n), np.linspace(-1.5, 1.5, 21)
    report = fp.analyse(surface((x**2 - 1) ** 2 + 0.6 * y[:, None] ** 2, x, y), n_paths=2)
    assert report.crossovers == ()
    off = np.abs(report.occupation[:, 0] - 0.5)
    allowed = report.thermodynamics.free_energy_error.sum(axis=1) / report.theta / 4
    assert (off <= allowed + report.thermodynamics.seam_share.max(axis=1) / 2).all()


def test_curvatures_are_those_at_the_minimum_between_the_samples():
    """Wells of curvature 19.2 at -2^1/2, and the lowest sample .4 of a cell beside; kinks have none."""
    x, y = np.linspace(-2, 2, 78), np.linspace(-2, 2, 69)
    land = surface(0.6 * x**2 * (x * x - 2) ** 2 + 0.5 * y[:, None] ** 2, x, y)
    j = int(np.argmin(np.abs(x + np.sqrt(2))))
    at_sample = 0.6 * (30 * x[j] ** 4 - 48 * x[j] ** 2 + 8)
    assert abs(at_sample / 19.2 - 1) > 0.05
    assert curvatures(land, (34, j)) == pytest.approx([1.0, 19.2], rel=0.03)
    land = surface(np.abs(x - 0.02) + 2 * np.abs(y[:, None] + 0.03), x, y)
    assert curvatures(land, land.minimum_index) is None


def test_free_energies_carry_two_standard_errors_of_the_noise_of_the_samples():
    x, y = np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)
    still, basins, found = 2 * x**2 + 3 * y[:, None] ** 2, np.zeros((41, 41), int), []
    for seed in range(24):
        land = surface(still + 0.02 * np.random.default_rng(seed).normal(size=still.shape), x, y)
        wells, _ = find_wells(land, land.merge_tree(), 0.2)
        found.append(thermodynamics(land, wells[:1], basins, [0.2], with_means=False).free_energy[0, 0])
    stated = _free_energy_noise(land, basins, [0.2], 1)[0, 0]
    assert 1.4 < stated / np.std(found) < 2.9


def test_a_ridge_as_narrow_as_the_samples_is_no_firm_barrier():
    """A slanted ridge of .8 row: adding cells between the samples moves little, the truth is 2.8 times
    slower."""
    x, y = np.linspace(-2, 2, 71), np.linspace(-2, 2, 19)
    ridge = lambda x, y: (2 * (x * x - 1) ** 2 + 3 * np.exp(-((y - 0.2 * x) ** 2) / (2 * 0.17981**2))
                          + 0.5 * (y * y - 1) ** 2 + 0.15 * x + 0.1 * y)
    coarse = fp.analyse(surface(ridge(x, y[:, None]), x, y), theta=[0.185], n_paths=2).rates[0]
    y = np.linspace(-2, 2, 145)
    fine = fp.analyse(surface(ridge(x, y[:, None]), x, y), theta=[0.185], n_paths=2).rates[0]
    off = abs(coarse.log10_modes[0] - fine.log10_modes[0])
    assert 0.3 < off < coarse.log10_modes_error[0]


def test_sharper_pits_leave_smooth_surfaces_cliffs_and_rings_as_they_are():
    from fpkit.landscapes.surface.resampling import sharpened

    x = np.linspace(-1.5, 1.5, 41)
    cubic = x**3 - x + 0.3 * x[:, None] ** 3 * x
    assert np.abs(sharpened(surface(cubic, x, x)).loss - cubic).max() < 1e-13
    cliff = np.where(x > 0.5, 1e35, (x**2 - 0.2) ** 2 + 0 * x[:, None])
    changed = sharpened(surface(cliff, x, x)).loss - cliff
    assert np.abs(changed[:, x < 0.5]).max() < 0.05              # no more than a step of the slope beside it
    pit = np.zeros((9, 9))
    pit[4, 4] = -1.0
    assert np.allclose(sharpened(surface(pit, x[:9], x[:9])).loss, 2 * pit)     # and nothing beside it


def test_the_error_of_free_energies_holds_the_sums_over_fine_samples():
    rng, off = np.random.default_rng(31), []
    for _ in range(12):
        (n, m), (a, b, c, d) = rng.integers(11, 36, 2), rng.uniform(-1, 1, 4)
        f = lambda x, y: ((x**2 - 1) ** 2 * (1 + 0.3 * b) + (0.6 + 0.5 * abs(c)) * (y - 0.3 * d * x) ** 2
                          + 0.15 * a * x + 0.1 * np.cos(3 * x + 2 * y))
        x, y = np.linspace(-1.9, 1.9, n), np.linspace(-1.6, 1.7, m)
        report = fp.analyse(surface(f(x, y[:, None]), x, y), theta=[0.06, 0.15], n_paths=2)
        if len(report.wells) != 2:
            continue
        (low, high), (below, above) = [(v[0] - h / 2, v[-1] + h / 2) for v, h in ((x, x[1] - x[0]),
                                                                                  (y, y[1] - y[0]))]
        X, Y = (e + (np.arange(k) + 0.5) * (t - e) / k for e, t, k in ((low, high, 700), (below, above, 600)))
        cell, order = (X[1] - X[0]) * (Y[1] - Y[0]), np.argsort([w.x[0] for w in report.wells])
        thermo = report.thermodynamics
        for i, theta in enumerate(thermo.theta):
            w = np.exp(-f(X, Y[:, None]) / theta).sum(axis=0) * cell
            true = -theta * np.log([w[X < 0].sum(), w[X >= 0].sum()])
            error = thermo.free_energy_error[i] + theta * thermo.seam_share[i] / 2
            off += list(np.abs(thermo.free_energy[i][order] - true) / error[order])
    assert len(off) > 30 and 0.2 < max(off) < 1
