"""What the sentences of a landscape report may claim: ties, limits, coarse samples, borders and noise are
told as such."""
from dataclasses import replace

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.report.findings import reached
from fpkit.landscapes.surface.landscape import Landscape
from fpkit.plotting.drawing import figures_of


def land_of(f, n=(31, 31), box=1.8, **more):
    x, y = np.linspace(-box, box, n[0]), np.linspace(-box, box, n[1])
    loss = f(x, y[:, None]) + 0 * x * y[:, None]
    valid = np.isfinite(loss)
    return Landscape("f", "train_loss", (x, y), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=np.eye(2), **more)


def two(x, y):
    return (x**2 - 1) ** 2 + y**2 / 2


def report_of(f, n_paths=40, **options):
    asked = {k: options.pop(k) for k in ("theta", "start", "lr", "n_steps") if k in options}
    return fp.analyse(land_of(f, **options), n_paths=n_paths, progress=False, **asked)


def said(report, topic):
    return next(f for f in report.findings() if f.topic == topic)


@pytest.mark.parametrize("n", [31, 30])
def test_equal_wells_are_told_as_equal_whatever_the_rounding(n):
    report = report_of(two, n=(n, n), theta=[0.1, 0.2], start=[0.5, 0.0])
    occupation = said(report, "occupation")
    assert "wells 1 and 2 alike" in occupation.sentence and "50 % each" in occupation.sentence
    assert "does not prefer one of wells 1 and 2" in report.verdict()


def test_ways_that_are_equally_easy_are_told_together():
    report = report_of(lambda x, y: (x**2 - 1) ** 2 + (y**2 - 1) ** 2, theta=[0.2], start=[0.9, 0.9])
    assert "to wells 2 and 3 alike" in said(report, "rates").sentence


def test_rates_are_those_of_the_temperature_they_name_however_small_it_is():
    small = report_of(lambda x, y: 1e-9 * (two(x, y) + 0.1 * x), theta=[1e-10, 2e-10])
    usual = report_of(lambda x, y: two(x, y) + 0.1 * x, theta=[0.1, 0.2])
    for a, b in zip(small.findings(), usual.findings()):
        if a.topic == "rates":
            theta = float(a.sentence.split("theta = ")[1].split()[0])
            assert f"theta = {theta * 1e9:.3g} " in b.sentence
    assert [f.topic for f in small.findings()] == [f.topic for f in usual.findings()]


def test_hollows_that_only_the_samples_make_are_not_counted_firmly():
    report = report_of(lambda x, y: 2 * (x**2 - 1) ** 2 + 20 * (y - 0.5 * np.sin(3 * x)) ** 2 + 0.1 * x,
                       n=(41, 41), n_paths=2)
    assert len(report.wells) > 2 and report.seen_again.count != len(report.wells)
    assert said(report, "wells").trust == "open" and "too coarse to count" in report.verdict()


def test_depths_that_samples_may_miss_are_rough():
    report = report_of(lambda x, y: two(x, y) + 0.1 * x, n=(7, 5))
    assert said(report, "wells").trust == "rough" and report.seen_again.change > 0.1


def test_a_well_whose_depth_is_three_theta_is_at_its_limit():
    depth = 1 - two(np.linspace(-1.8, 1.8, 31), 0).min()
    text = said(report_of(two, theta=[depth / 6, depth / 3]), "wells").sentence
    assert "where well 2 is at that limit" in text


def test_wells_on_the_border_are_no_solutions():
    report = report_of(lambda x, y: y**2 - x**2 - 0.1 * x)
    assert "no minimum inside the box" in report.verdict() and "further out" in report.verdict()
    assert all(f.trust != "firm" for f in report.findings() if f.topic in ("wells", "rates", "occupation"))


def test_a_flat_floor_is_named_and_has_no_curvature():
    report = report_of(lambda x, y: np.maximum(two(x, y) + 0.1 * x, 0.05))
    assert "flat_floor" in report.wells[0].flags and "the floor is flat" in said(report, "wells").sentence
    assert "wide" in report.verdict().split("well 2")[0]


def test_noise_above_the_temperature_opens_the_verdict():
    noise = 0.3 * np.random.default_rng(1).standard_normal((31, 31))
    report = report_of(lambda x, y: two(x, y) + noise)
    assert report.verdict().startswith("The losses carry noise of 0.3")


def test_slow_modes_of_a_grid_too_large_to_refine_have_an_error():
    report = report_of(lambda x, y: two(x, y) + 0.1 * x, n=(71, 71), theta=[0.25])
    assert np.isfinite(report.rates[0].log10_modes_error[0]) and said(report, "rates").trust == "firm"


def test_leaving_rates_are_sums_of_rates_and_carry_an_error():
    (rates,) = report_of(lambda x, y: (x**2 - 1) ** 2 + (y**2 - 1) ** 2 + 0.1 * x, theta=[0.15]).rates
    assert np.allclose(10**rates.log10_exit, (10**rates.log10_rate).sum(axis=1), rtol=1e-12)
    assert np.isfinite(rates.log10_exit_error).all() and (rates.log10_exit_error > 0).all()
    at_home = np.isneginf(rates.log10_mfpt_from_start)
    assert np.isfinite(rates.log10_mfpt_from_start_error[~at_home]).all()


def test_a_run_shorter_than_the_relaxation_within_a_well_is_not_firm():
    options = {"theta": [0.1], "lr": 0.01, "start": [0.9, 0.0]}
    short = report_of(lambda x, y: two(x, y) + 0.1 * x, n_steps=3, **options)
    long = report_of(lambda x, y: two(x, y) + 0.1 * x, n_steps=100_000, **options)
    assert said(short, "horizon").trust != "firm" and "too short" in said(short, "horizon").why
    assert said(long, "horizon").trust == "firm"


def test_the_time_of_arrival_lies_between_the_times_of_the_density():
    times = np.array([1.0, 2.0, 4.0, 8.0])
    assert reached(times, np.exp(-2 * times)) == pytest.approx(np.log(100) / 2)
    assert reached(times, np.full(4, 0.5)) is None and reached(times, np.full(4, 1e-3)) == 1.0
    # above the goal once more: only the last crossing counts
    assert reached(times, np.array([0.5, 1e-3, 0.5, 1e-3])) > 4


def test_formulas_are_not_blamed_for_what_the_samples_do_not_resolve():
    """A narrow valley at 45 degrees: Eyring-Kramers is right within 5 %, the rates of the samples are not."""
    def valley(x, y):
        u, v = (x + y) / np.sqrt(2), (x - y) / np.sqrt(2)
        return (u**2 - 1) ** 2 + 0.15 * u + 20 * v**2

    report = report_of(valley, n=(41, 41), box=1.4, theta=[0.1])
    said = next(f.sentence for f in report.findings() if f.topic == "rates")
    assert "no more than their own error" in said and "too large" not in said


def test_wells_alike_have_shares_that_add_up():
    report = report_of(lambda x, y: two(x, y) + 0.0022 * x, theta=[0.18, 0.2])
    said = next(f.sentence for f in report.findings() if f.topic == "occupation")
    assert " alike" in said and "50 % each" in said and "50 % of the time in each" in str(report.verdict())


def test_paths_two_standard_errors_off_are_no_firm_agreement():
    """On 13 x 13 samples the spline of the paths is another surface than the cells: 400 paths only hint at
    it."""
    report = report_of(lambda x, y: (x**2 - 1) ** 2 + 0.05 * x + 2 * y**2, n=(13, 13), box=1.6, n_paths=400)
    paths = report.dynamics.paths
    off = abs(paths.mean_loss[-1] - paths.expected_loss[-1]) / paths.mean_loss_error[-1]
    found = next(f for f in report.findings() if f.topic == "paths")
    assert off > 2 and found.trust == "rough"


def test_wells_that_missing_samples_cut_off_are_not_told_as_walled_in():
    """A column without losses along the pass: how the wells join is not known, nor how long one stays."""
    report = report_of(lambda x, y: np.where(np.abs(x) < 0.01, np.nan, two(x, y) + 0.1 * x), n=(41, 41))
    assert report.cut_off == (2,) and said(report, "wells").trust == said(report, "start").trust == "open"
    assert "cut off well 2" in report.verdict() and "never leaves" not in report.verdict()
    # an island high up on the rim cuts off nothing that matters
    rim = report_of(lambda x, y: np.where((np.abs(x - 1.5) < 0.2) & (np.abs(y) > 0.5) & (np.abs(y) < 1.6),
                                          np.nan, two(x, y) + 0.1 * x), n=(41, 41))
    assert rim.cut_off == ()


def test_most_samples_missing_leaves_the_wells_open():
    gone = np.random.default_rng(1).random((41, 41)) < 0.5
    report = fp.analyse(land_of(lambda x, y: np.where(gone, np.nan, x**2 + y**2), n=(41, 41)), n_paths=2,
                        allow_partial=True)
    assert said(report, "wells").trust == "open" and "of the probability lie beside" in report.verdict()


def test_steps_are_not_counted_without_a_metric():
    land = land_of(lambda x, y: two(x, y) + 0.1 * x)
    land = type(land)(**{**land.__dict__, "gram": None})
    report = fp.analyse(land, lr=0.1, n_steps=1000, n_paths=2)
    assert said(report, "horizon").trust == "open" and "Gram" in said(report, "horizon").sentence


def test_a_path_through_wells_that_are_not_resolved_is_not_firm():
    walk = np.cumsum(np.random.default_rng(4).normal(size=(80, 2)) * 0.05, axis=0)
    report = report_of(lambda x, y: np.cos(7 * x) + np.cos(5 * y) + 0.1 * x**2, n=(11, 11), box=2.0,
                       n_paths=2, trajectory=walk)
    assert said(report, "wells").trust != "firm" and said(report, "training path").trust != "firm"


def test_the_mean_test_loss_carries_the_noise_of_its_samples():
    """A test loss of pure noise has no best temperature; one that follows the wells has its true mean within
    the error."""
    noise = 0.05 * np.random.default_rng(5).normal(size=(41, 41))
    flat, own = (fp.analyse(replace(land, surfaces={**land.surfaces, "test_loss": test}), n_paths=2)
                 for land in [land_of(lambda x, y: two(x, y) + 0.1 * x, n=(41, 41))]
                 for test in (1 + noise, land.loss + 0.5 + noise))
    assert "by no more than its noise" in said(flat, "test loss").sentence
    off = np.abs(own.risk.test - own.risk.train - 0.5)
    assert "least at" in said(own, "test loss").sentence and (off < own.risk.test_error).all()
    assert (own.risk.test_error < 0.05).all()


def test_wells_are_alike_where_the_cells_between_them_could_tip_the_balance():
    """Two wells equal by symmetry: the cells of the ridge between them all fall to one."""
    report = report_of(two, n=(11, 11), theta=[0.1, 0.33])
    low, high = np.sort(report.occupation[-1])
    assert low / high < 0.97 and "wells 1 and 2 alike, about 50 % each" in said(report, "occupation").sentence
    assert report.thermodynamics.seam_share[-1].max() > high - low


def test_figures_show_what_there_is():
    """No wells of noise, no graph of one well."""
    noise = np.random.default_rng(6).normal(size=(31, 31))
    reports = [report_of(f, n_paths=2) for f in (lambda x, y: noise + 0 * x, lambda x, y: x**2 + y**2, two)]
    assert list(figures_of(reports[0])) == ["landscape"]
    assert ["disconnectivity" in figures_of(r) for r in reports[1:]] == [False, True]


def test_the_optimisers_temperature_is_only_named_where_it_was_looked_at():
    land = land_of(lambda x, y: two(x, y) + 0.12 * x)
    land = replace(land, temperature={"tensor": np.eye(2) / 100, "lr": 0.1, "batch": 32.0})
    asked, own = (fp.analyse(land, n_paths=2, **more).verdict() for more in ({"theta": [0.1]}, {}))
    assert "the optimiser" not in asked and "oise of the optimiser of strength theta = 0.01" in own


def test_a_well_is_left_together_with_the_shallow_ones_beside_it():
    """Ripples on a double well: at the temperature of the rates they are no wells."""
    x = np.linspace(-1.9, 1.9, 201)
    loss = 0.8 * (x * x - 1.2) ** 2 + 0.18 * np.cos(2 * np.pi * x / 0.62 + 0.4) + 0.03 * x
    valid = np.ones(201, bool)
    land = Landscape("f", "train_loss", (x,), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid)
    report = fp.analyse(land, n_paths=2)
    assert len(report.wells) == 4 and len(report.rates_at(report.dynamics.theta).wells) == 2
    assert "in the shallower" in report.verdict() and " (with " in said(report, "rates").sentence


def test_the_bottom_of_a_cusp_between_the_samples_is_not_firm():
    """|x| - 1 wells with their tips half a cell off: the lowest sample lies a tenth of the depth too high."""
    cusps = lambda x, y: np.abs(np.abs(x - 0.03) - 1) + np.abs(y - 0.06) + 0.1 * x
    report = report_of(cusps, n=(31, 31), n_paths=2)
    w = report.wells[1]
    assert w.persistence < 0.93 and said(report, "wells").trust == "rough"


def test_the_run_of_a_horizon_names_the_shallow_wells_beside_its_own():
    """Mueller and Brown's surface: the middle well is shallower than 3 theta, and counts for well 2."""
    terms = zip((-200, -100, -170, 15), (-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7),
                (1, 0, -0.5, -1), (0, 0.5, 1.5, 1))
    terms = list(terms)
    x, y = np.linspace(-1.5, 1.2, 61), np.linspace(-0.3, 2.0, 51)
    loss = sum(A * np.exp(a * (x - p) ** 2 + b * (x - p) * (y[:, None] - q) + c * (y[:, None] - q) ** 2)
               for A, a, b, c, p, q in terms) / 50
    valid = np.ones(loss.shape, bool)
    land = Landscape("f", "train_loss", (x, y), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=np.eye(2))
    report = fp.analyse(land, theta=[0.03, 0.3], n_steps=10**7, lr=0.1, n_paths=2)
    assert len(report.wells) == 3 and "well 2 (with 3) with probability" in said(report, "horizon").sentence


def test_borders_within_cells_make_shares_of_paths_rough():
    """A long metric: the paths lie along y, most of them in cells between two wells."""
    f = lambda x, y: (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y) / 60
    x, y = np.linspace(-4, 4, 41), np.linspace(-4, 4, 47)
    loss = f(x, y[:, None])
    valid = np.ones(loss.shape, bool)
    land = Landscape("f", "train_loss", (x, y), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=np.diag([1.0, 1e4]))
    paths = said(fp.analyse(land, start=[0.0, 0.0], n_paths=200, progress=False), "paths")
    assert paths.trust != "firm"


def test_test_losses_are_compared_at_the_minima_and_not_at_the_samples():
    """Test wells moved by .1 and .2, the second one better by .03: the lowest samples of the training loss
    lie so far off its minima that the test losses there may tell the other one."""
    for n in (31, 41, 51):
        for shift in (0.1, 0.2):
            x, y = np.linspace(-1.7, 1.9, n), np.linspace(-1.8, 1.8, n)
            f = lambda x, y: (x**2 - 1) ** 2 + 0.05 * x + y**2 / 2
            minima = [scipy_minimum(f, np.array([s, 0.0])) for s in (-1, 1)]
            plain = lambda x, y, shift=shift: 0.3 + ((x - shift) ** 2 - 1) ** 2 + y**2 / 2
            tilt = (plain(*minima[0]) - plain(*minima[1]) - 0.03) / (minima[1][0] - minima[0][0])
            loss, test = f(x, y[:, None]), plain(x, y[:, None]) + tilt * x
            valid = np.ones(loss.shape, bool)
            land = Landscape("f", "train_loss", (x, y), loss, {"train_loss": loss, "test_loss": test}, {},
                             valid, ~valid, ~valid, gram=np.eye(2))
            report = fp.analyse(land, n_paths=2)
            verdict = report.verdict()
            assert [np.sign(w.x[0]) for w in report.wells] == [-1, 1]
            assert "On test data well 1 is better" not in verdict
            assert n < 51 or "On test data well 2 is better" in verdict


def scipy_minimum(f, x):
    from scipy.optimize import minimize

    return minimize(lambda v: f(*v), x, tol=1e-12).x


def test_an_offset_of_the_loss_leaves_the_digits_of_its_means():
    from fpkit.landscapes.report.findings import with_error

    assert with_error(1000000.314159, 0.016) == "1000000.314 ± 0.016"
    assert with_error(3.1e15, 0.5) == "3.1e+15 ± 0.5"
