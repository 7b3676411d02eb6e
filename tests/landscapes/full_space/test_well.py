"""Free energies in the space of all parameters: exact answers, refusals, seeds, checkpoints."""
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.full_space.annealing import Ladder, Plan, bennett, climb, sums_of
from fpkit.landscapes.full_space.book import Book
from fpkit.landscapes.full_space.gaussian import Gaussian, dense_curvature, lanczos_curvature
from fpkit.landscapes.full_space.losses import Loss
from fpkit.landscapes.full_space.pilot import share_home
from fpkit.landscapes.full_space.sampler import Target, moved
from fpkit.landscapes.full_space.well import _check_home, _combined, _prepared, _Refused, _Run

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:                        # validation/ stands beside fpkit/ in a checkout
    sys.path.insert(0, str(ROOT))

from validation._full_space_problems import (  # noqa: E402
    banana,
    circle,
    crossing,
    crossings,
    double_well,
    linear_chain,
    linear_unit,
    polynomial,
    power,
    product,
    quadratic,
    rank_one,
    regular_and_singular,
    rough_quadratic,
)

RNG = np.random.default_rng(11)
KNOWN = [quadratic(60, 1e4, 0.01, RNG), quadratic(100, 500, 0.01, RNG, is_rotated=False, tether=1.0,
                                                  hessian=None),
         rough_quadratic(100, 0.01, RNG), power(4, 1, 1e-4, 1.0), power(6, 3, 1e-3),
         polynomial(12, 1e-2, RNG), product(1e-2), crossing((2, 2, 2), 1e-2), circle(1e-2, 10.0),
         linear_chain(2e-3, 0.1), rank_one(4, 0.01, 0.05, RNG), banana(3, 0.05, RNG),
         double_well(1 / 8, "left"), double_well(1 / 8, "right")]
bowl = lambda X: ((X * X).sum(-1), 2 * X)


def found(p, seed=1, **options):
    return fp.well_free_energy(p["loss"], p["x0"], p["theta"], seed=seed, **{**p["options"], **options})


def test_the_truth_lies_within_the_error():
    """One seed of each; the share inside was .95 to 1.00 over many seeds, so one miss by a little is let
    pass (chance of two below 1 in 200)."""
    ratios = []
    for p in KNOWN:
        F = found(p)
        assert F.status == "ok", (p["name"], F)
        ratios.append(abs(F.value - p["theta"] * p["exact"]) / F.error)
        assert F.error < 0.5 * p["theta"], p["name"]               # and the error is not idle
    assert sum(r > 1 for r in ratios) <= 1 and max(ratios) < 2, ratios


def test_the_gaussian_is_as_wide_as_the_arms_of_a_cross():
    """The variance along x of x^2 y^4 is .59, that of its arm .84 (times 1.1: .65 and .92); a Gaussian that
    fits the first makes the free energy too high by .02 to .1. A parabola is fitted as it is."""
    def piloted(p, seed):
        run = _Run.of(p["loss"], p["x0"], p["theta"], p["options"].get("tether"), None, "auto", 32, 8, None,
                      seed, 1e9)
        return _prepared(run, Book().part("well"))[1].gaussian
    long = [1 / piloted(crossing((2, 4), 1e-2), seed).precisions.min() for seed in range(5)]
    assert 0.78 < np.mean(long) < 1.06, long
    p = quadratic(5, 10.0, 0.01, np.random.default_rng(1))
    a = np.sort(piloted(p, 1).precisions) * 0.01 / np.geomspace(0.1, 1.0, 5)
    assert (abs(a * 1.1 - 1) < 0.35).all(), a


def test_the_first_walkers_are_chosen_from_all_draws():
    """In a narrow valley few draws of the Gaussian weigh: chosen among the last four of an island alone, they
    are copies of one or two, or stand where there is no weight at all."""
    loss = Loss(lambda X: (0.5 * (X[:, 0]**2 + 900 * X[:, 1]**2), X * [1.0, 900.0]), np.zeros(2))
    target = Target(loss, np.zeros(2), 0.0, 1.0, 0.0, Gaussian(np.zeros(2), np.ones(2)))
    starts = []
    for seed in range(20):
        plan = Plan(32, 8, 4, 1, seed, lambda text: None)
        book = Book().part("x")
        kept = []
        book.put = lambda name, arrays, kept=kept: kept.append(arrays)
        climb(target, plan, 10, 0.1, np.array([0.0, 0.3, 1.0]), book=book)
        starts.append(float((kept[0]["y"][:, 1]**2).mean()))
    assert np.mean(starts) < 3 / (0.3 * 899 + 1), np.mean(starts)


def test_finer_steps_enter_a_narrow_place():
    """Steps above 2/sqrt(curvature) are never accepted; finer ones are half as long, and carry every walker
    as far as the others: with a tenth for half of them 6 of 24 runs of the curved valley in 20 dimensions
    were refused, with a half 2."""
    loss = Loss(lambda X: (0.5 * 1e3 * (X * X).sum(-1), 1e3 * X), np.zeros(3))
    target = Target(loss, np.zeros(3), 0.0, 1.0, 0.0, Gaussian(np.zeros(3), np.ones(3)))
    now = target.at(0.03 * np.random.default_rng(1).normal(size=(200, 3)))
    share = lambda is_fine: moved(target, now, 1.0, 0.1, 40, np.random.default_rng(2), is_fine)[1]
    assert share(False) < 0.05 and share(True) > 0.4
    y = np.random.default_rng(3).normal(size=(50, 400))
    half = Loss(lambda X: (0.5 * (X * X).sum(-1), X.copy()), np.zeros(400))
    flat = Target(half, np.zeros(400), 0.0, 1.0, 0.0, Gaussian(np.zeros(400), np.ones(400)))
    new = moved(flat, flat.at(y), 1.0, 0.1, 40, np.random.default_rng(2), is_fine=True)[0].y
    assert ((y * new).mean(1) < 0.75).all()                       # the cosine of 1.2 or so, not of .24


def test_the_walk_up_starts_from_the_step_of_the_pilot():
    """In a well 30 times narrower than the Gaussian steps of .5 are refused until they have been adapted;
    kicks grow like s, so at s = .3 steps of the pilot's .05 may be longer by 1/sqrt(.3)."""
    loss = Loss(lambda X: (0.5 * 900 * (X * X).sum(-1), 900 * X), np.zeros(2))
    target = Target(loss, np.zeros(2), 0.0, 1.0, 0.0, Gaussian(np.zeros(2), np.ones(2)))
    plan, levels = Plan(32, 8, 4, 1, 1, lambda text: None), np.array([0.0, 0.3, 1.0])
    first = [climb(target, plan, 10, step, levels).acceptance[1] for step in (0.05, 0.5)]
    assert first[0] > 0.7 and first[1] < 0.3, first


@pytest.mark.parametrize("is_swapped", [False, True])
def test_the_larger_spread_of_islands_stands_for_both(is_swapped):
    """Among eight islands a small spread may be luck: here one walk shows none at all."""
    target = Target(Loss(bowl, np.zeros(2)), np.zeros(2), 0.0, 10.0, 0.0, Gaussian(np.zeros(2), np.ones(2)))
    run = _Run.of(bowl, np.zeros(2), 0.1, None, None, "auto", 32, 8, None, 1, 1e9)
    wide, even = np.random.default_rng(1).normal(size=(5, 32)) + np.arange(32), np.ones((5, 32))
    ladders = [Ladder(np.array([0.0, 1.0]), (a, a), np.ones(2), np.zeros(8), np.zeros(8), a, a, a, 0.1)
               for a in (wide, even)]
    se = _combined(run, target, *ladders[::-1 if is_swapped else 1])[2]
    assert se == run.found["standard_error"] == pytest.approx((0.5 * sums_of(ladders[0], 8).variance)**0.5)
    spread = 10 * np.std(wide.reshape(5, 8, 4).mean((0, 2)), ddof=1) / 4          # sqrt(var/2/8)
    gap = 10 * abs(wide.mean() - 1)
    assert run.found["learning_coefficient_error"] == pytest.approx(2 * spread + gap / 2)


def dip(X):
    """A dip in a plain that nothing confines."""
    w = np.exp(-X[:, 0]**2)
    return 1 - w + 0.5 * X[:, 1]**2, np.stack([2 * X[:, 0] * w, X[:, 1]], 1)


@pytest.mark.parametrize("row", [1, 30])
def test_one_walker_that_has_left_is_enough(row):
    run = _Run.of(dip, np.zeros(2), 0.1, None, None, "auto", 32, 8, None, 1, 1e9)
    target, start = _prepared(run, Book().part("well"))
    _check_home(run, target, start.y, start.r2, "again", Book().part("well"))
    y = start.y.copy()
    y[row] = target.gaussian.whitened(np.array([[8.0, 0.1]]))[0]
    with pytest.raises(_Refused):
        _check_home(run, target, y, start.r2, "left", Book().part("well"))
    assert run.found["home"] == 1 - 1 / 32 and "metastable" in run.reasons[-1].text


def test_the_far_side_of_a_closed_valley_is_home():
    """Chords of 32 pieces of the valley rise above theta where it is cold; those of 256 do not."""
    p = linear_unit(20, 1e-4, 0.02)
    run = _Run.of(p["loss"], p["x0"], p["theta"], None, None, "auto", 32, 8, None, 1, 1e9)
    target = _prepared(run, Book().part("well"))[0]
    u, side = p["x0"][:20], np.r_[np.ones(10), -np.ones(10)] * p["x0"][0]
    far = np.tile(-0.58 * u + (1 - 0.58**2)**0.5 * side, 2)
    assert share_home(target, far[None], 1.0) == 1.0


def test_what_spreads_without_end_is_told_from_what_is_slow(monkeypatch):
    log = lambda X: (np.log1p(X * X).sum(1), 2 * X / (1 + X * X))
    F = fp.well_free_energy(log, [0.0, 0.0], 2.5, most_gradients=3e5)
    assert F.guard.codes == ("too slow",) and "ever wider apart" in F.status
    assert "add L2, a tether or a wall" in F.status
    texts = []
    monkeypatch.setattr("fpkit.landscapes.full_space.well.watcher", lambda is_pressed, shown: texts.append)
    F = fp.well_free_energy(bowl, [0.0, 0.0], 0.1, most_gradients=2000)
    assert "of at most 2000 gradients" in texts[-1] and "most_gradients=20000" in F.status


@pytest.mark.slow
def test_crossing_valleys_keep_their_errors_which_are_not_twice_too_large():
    """Five kinds, eight seeds each: 17 of 286 were beyond before; with halved errors one in six is."""
    ratios = []
    for p in crossings(np.random.default_rng(3)):
        for seed in range(20, 28):
            F = found(p, seed)
            if F.status == "ok":
                ratios.append(abs(F.inputs["nats"] - p["exact"]) * p["theta"] / F.error)
    ratios = np.array(ratios)
    assert len(ratios) >= 36 and (ratios > 1).sum() <= 2 and ratios.max() < 2, ratios
    assert (ratios > 0.5).sum() >= 3 and np.median(1 / ratios) < 20, ratios


def test_a_closed_valley_is_walked_round():
    for p in (circle(1e-2, 1.0), circle(1e-2)):
        F = found(p)
        assert F.status == "ok" and abs(F.inputs["nats"] - p["exact"]) < F.error / p["theta"]
        assert F.inputs["home"] in (1.0, None)                     # with a tether nobody asks


@pytest.mark.parametrize("p", [KNOWN[0], power(4, 2, 1e-4), regular_and_singular(1e-3), product(1e-2)],
                         ids=lambda p: p["name"])
def test_the_learning_coefficient_is_that_of_the_quadrature(p):
    lam = fp.local_learning_coefficient(p["loss"], p["x0"], p["theta"], **p["options"])
    assert lam.status == "ok" and abs(lam - p["coefficient"]) < 1.5 * lam.error < 2.5


def test_lanczos_and_all_eigenvalues_give_one_free_energy():
    p = quadratic(150, 300, 0.01, np.random.default_rng(3))
    F = found(p, hessian="lanczos", n_walkers=16, n_islands=4)
    assert abs(F.inputs["nats"] - p["exact"]) < F.error / p["theta"] and np.isfinite(F.inputs["harmonic"])


def test_the_outer_eigenvalues_of_lanczos_are_those_of_the_hessian():
    p = quadratic(150, 300, 0.01, np.random.default_rng(3))
    loss = Loss(p["loss"], p["x0"])
    dense, outer = dense_curvature(loss, p["x0"]), lanczos_curvature(loss, p["x0"], seed=1)
    assert outer.values[-1] == pytest.approx(dense.values[-1], rel=1e-6)
    whole = outer.values.sum() + outer.mean_rest * (150 - outer.values.size)
    assert whole == pytest.approx(dense.values.sum(), rel=0.05)


@pytest.mark.parametrize("rest", [None, 0.3])
def test_a_gaussian_whitens_what_it_places(rest):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    k = 6 if rest is None else 2
    G = Gaussian(rng.normal(size=6), rng.uniform(0.5, 3, k), Q[:, :k], rest)
    y = rng.normal(size=(4, 6))
    x = G.place(y)
    assert np.allclose(G.whitened(x), y)
    exponent = 0.5 * ((x - G.centre) @ Q[:, :k])**2 @ G.precisions
    if rest:
        exponent += 0.5 * rest * (((x - G.centre) @ Q[:, k:])**2).sum(-1)
    assert np.allclose(exponent, 0.5 * (y * y).sum(-1))
    assert G.log_z == pytest.approx(3 * np.log(2 * np.pi) - 0.5 * (np.log(G.precisions).sum()
                                                                  + (6 - k) * np.log(rest or 1.0)))


def test_bennett_knows_walls_and_shifts():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20000, 1))
    beyond = np.where(x > 0, np.inf, 0.0)
    inside = -np.abs(x)
    assert bennett(np.where(x > 0, np.inf, 2.0), np.full_like(inside, 2.0))[0] == pytest.approx(
        2 + np.log(2), abs=0.03)
    high = bennett(beyond + 1000, np.full_like(inside, 1000.0))[0]
    assert high == pytest.approx(1000 + np.log(2), abs=0.03)


def test_the_seed_decides_every_bit_and_nothing_else_does():
    p = KNOWN[5]
    one, again, other = found(p), found(p, progress=False), found(p, seed=2)
    assert one.value == again.value and one.to_dict() == again.to_dict() and one.value != other.value


def test_potentials_batches_and_single_vectors_are_one():
    V = fp.Potential("x**2/2 + y**4")
    many = lambda X: (X[:, 0]**2 / 2 + X[:, 1]**4, np.stack([X[:, 0], 4 * X[:, 1]**3], 1))
    single = lambda x: (x[0]**2 / 2 + x[1]**4, np.array([x[0], 4 * x[1]**3]))
    values = [fp.well_free_energy(f, [0.0, 0.0], 0.01) for f in (V, many, single)]
    assert np.allclose(values, values[0].value, rtol=0, atol=0.5 * values[0].error)


def noisy(seed=0):
    rng = np.random.default_rng(seed)
    return lambda X: ((X * X).sum(-1) + 0.1 * rng.normal(size=len(X)), 2 * X)


class Model:
    def named_parameters(self):
        return []


@pytest.mark.parametrize("loss, error, words", [
    (noisy(), ValueError, "minibatches"),
    (lambda X: ((X * X).sum(-1), X), ValueError, "the gradient is not that of the loss"),
    (lambda X: X.sum(), TypeError, "loss_and_gradient"),
    (Model(), TypeError, "torch_loss"), (3.0, TypeError, "must be a function"),
    (fp.Potential("x**2"), ValueError, "coordinates"),
    (lambda X: (np.full(len(X), np.nan) if X.ndim == 2 else np.nan, 0 * X), ValueError, "finite")])
def test_what_is_no_loss_is_refused_in_a_sentence(loss, error, words):
    with pytest.raises(error, match=words):
        fp.well_free_energy(loss, [0.0, 0.5], 0.1)


def endless(X):
    """Kinks, and no lower bound."""
    return np.abs(X[:, 0]) + 0.01 * (X * X).sum(-1) - 0.3 * np.abs(X[:, 1]) * np.abs(X[:, 0]), np.stack(
        [np.sign(X[:, 0]) * (1 - 0.3 * np.abs(X[:, 1])),
         -0.3 * np.sign(X[:, 1]) * np.abs(X[:, 0])], 1) + 0.02 * X


def saddle(X):
    return X[:, 0]**2 - X[:, 1]**2 + X[:, 1]**4, np.stack([2 * X[:, 0], 4 * X[:, 1]**3 - 2 * X[:, 1]], 1)


def falling(X):
    with np.errstate(over="ignore"):
        e = np.exp(-X[:, 0])
    return X[:, 1]**2 + e, np.stack([-e, 2 * X[:, 1]], 1)


def two(X):
    """Two wells of equal depth, .2 apart in height."""
    x = X[:, 0]
    return 0.2 * (x * x - 1)**2 + X[:, 1]**2, np.stack([0.8 * x * (x * x - 1), 2 * X[:, 1]], 1)


@pytest.mark.parametrize("loss, x0, theta, code", [
    (lambda X: (X[:, 0]**2, X * [2.0, 0.0]), [0.0, 0.0], 0.01, "unconfined"),
    (saddle, [0.0, 0.0], 0.01, "negative-curvature"),
    (two, [1.0, 0.0], 0.2, "left"),
    (lambda X: (two(X)[0] - 0.1 * X[:, 0], two(X)[1] - [0.1, 0.0]), [-1.0, 0.0], 0.1, "lower")])
def test_what_is_no_well_is_refused_with_its_reason(loss, x0, theta, code):
    F = fp.well_free_energy(loss, x0, theta)
    assert F.guard.codes[-1] == code and np.isnan(F.value) and np.isnan(F.error), F
    assert len(F.status) > 40 and F.status == F.guard.sentence and "refused" in repr(F)
    json.dumps(F.to_dict(), allow_nan=False)


@pytest.mark.parametrize("loss", [endless, falling])
def test_endless_slopes_are_refused(loss):
    F = fp.well_free_energy(loss, [0.3, 0.4], 1e-4)
    assert F.guard.is_refused and set(F.guard.codes) & {"not-stationary", "negative-curvature", "unconfined",
                                                        "not-settled", "lower"}, F


def test_a_coefficient_of_what_is_no_minimum_is_refused_not_negative():
    lam = fp.local_learning_coefficient(two, [0.9, 0.0], 1e-3, tether=10.0)
    assert np.isnan(lam) and lam.guard.codes[-1] == "lower"


def test_a_tether_defines_a_free_energy_where_there_is_no_minimum():
    x0, theta, g = np.array([0.3, -0.2]), 0.1, 4.0
    F = fp.well_free_energy(bowl, x0, theta, tether=g)
    a = 2 / theta + g
    exact = (x0 @ x0) * (g / 2 * (1 - g / a)) - np.log(2 * np.pi / a)
    assert abs(F.inputs["nats"] - exact) < F.error / theta and F.inputs["moved"] == 0


def test_a_wall_is_asked_for_its_point():
    with pytest.raises(ValueError, match="one truth value a point"):
        fp.well_free_energy(fp.Potential("x**2 + y**2"), [0.0, 0.0], 0.01, inside=lambda X: X > -1)
    with pytest.raises(ValueError, match="outside the wall"):
        fp.well_free_energy(bowl, [1.0, 0.0], 0.1, inside=lambda X: X[:, 0] < 0)
    half = fp.well_free_energy(bowl, [-1e-9, 0.0], 0.1, inside=lambda X: X[:, 0] < 0)
    assert abs(half.inputs["nats"] + np.log(np.pi * 0.1 / 2)) < half.error / 0.1


@pytest.mark.parametrize("options, words", [
    ({"n_walkers": 8, "n_islands": 8}, "islands"), ({"theta": -1.0}, "theta"), ({"tether": -1.0}, "tether"),
    ({"hessian": "dens"}, "dense"), ({"hessian": np.eye(3)}, "shape"), ({"inside": 3}, "inside")])
def test_bad_options_are_named(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.well_free_energy(bowl, [0.0, 0.0], **{"theta": 0.1, **options})


def failing_after(n, loss, act):
    calls = [0]

    def f(X):
        calls[0] += 1
        if calls[0] == n:
            act()
        return loss(X)
    return f


class Killed(Exception):
    pass


def kill():
    raise Killed


@pytest.mark.parametrize("n", [200, 900])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, n):
    p = KNOWN[8]
    whole = found(p)
    path = tmp_path / "free.h5"
    with pytest.raises(Killed):
        fp.well_free_energy(failing_after(n, p["loss"], kill), p["x0"], p["theta"], **p["options"],
                            checkpoint=path, checkpoint_every=1e-9)
    again = found(p, checkpoint=path)
    assert again.value == whole.value and again.error == whole.error
    assert found(p, checkpoint=path).inputs["n_gradients"] < 100           # nothing is left to do
    with pytest.raises(ValueError):
        found(p, checkpoint=path, seed=5)


def test_curved_valleys_are_walked_in_longer_trajectories():
    """The pilot fits the Gaussian first, then doubles the trajectories where samples stay alike; a parabola
    keeps its own."""
    def piloted(p):
        run = _Run.of(p["loss"], p["x0"], p["theta"], None, None, "auto", 32, 8, None, 1, 1e9)
        return _prepared(run, Book().part("well"))[1]
    slow = piloted(banana(10, 0.3, np.random.default_rng(2)))
    assert slow.turns == 2 and slow.is_settled and slow.n_rounds > 2
    assert piloted(quadratic(60, 1e4, 0.01, np.random.default_rng(1))).turns == 1


def test_a_trajectory_of_two_turns_takes_twice_the_kicks():
    p = quadratic(4, 10.0, 0.01, np.random.default_rng(1))
    loss = Loss(p["loss"], p["x0"])
    target = Target(loss, p["x0"], 0.0, 100.0, 0.0, Gaussian(p["x0"], np.full(4, 50.0)))
    now = target.at(np.zeros((5, 4)))

    def gradients(**options):
        before = loss.n_gradients
        moved(target, now, 1.0, 0.1, 40, np.random.default_rng(3), **options)
        return (loss.n_gradients - before) // 5
    assert (gradients(), gradients(turns=2), gradients(is_fine=True)) == (12, 24, 24)
    assert moved(target, now, 1.0, 0.01, 7, np.random.default_rng(3), turns=2)[1] > 0.9      # 14 at most


def test_ctrl_c_says_where_it_stopped():
    press = lambda: os.kill(os.getpid(), signal.SIGINT)
    p = KNOWN[8]
    F = fp.well_free_energy(failing_after(300, p["loss"], press), p["x0"], p["theta"], **p["options"])
    assert F.guard.codes == ("stopped",) and "Ctrl-C (pilot" in F.status


def test_the_figure_shows_walk_and_estimates():
    F = found(KNOWN[2])
    made = fp.plot(F)
    left, right = made.axes
    assert np.allclose(left.lines[0].get_xdata(), F.inputs["path"]["s"])
    assert right.get_yticklabels()[0].get_text() == "F/θ"
    assert fp.plot(fp.well_free_energy(saddle, [0.0, 0.0], 0.01)).axes[1].get_title(loc="left") == "refused"


def test_a_walk_that_takes_too_long_is_given_up_with_a_sentence():
    V = fp.Potential("x**2/2 + y**4")
    for call in (fp.well_free_energy, fp.local_learning_coefficient):
        found = call(V, [0.0, 0.0], theta=0.01, most_gradients=3000)
        assert np.isnan(found) and "there is no answer" in found.status and "most_gradients" in found.status
    W = fp.Potential("(x**2 - 1)**2 + y**2")
    table = fp.compare_solutions(W, {"left": [-1.0, 0.0], "right": [1.0, 0.0]}, [0.01], tether=1.0,
                                 most_gradients=3000)
    assert "there is no answer" in table.to_csv()
