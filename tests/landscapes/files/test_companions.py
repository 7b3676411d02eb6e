"""Direction and projection files beside a surface, the optimiser's clock and path, comparisons, and the
command that takes them."""
import json

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.cli import main
from fpkit.landscapes.analysis.analyse import Clock
from fpkit.landscapes.analysis.training import training_path
from fpkit.landscapes.files.writing import write_landscape
from fpkit.landscapes.surface.wells import find_wells

X, Y = np.linspace(-1.6, 1.6, 25), np.linspace(-1.0, 1.0, 13)
LOSS = (X**2 - 1) ** 2 + 0.1 * X + Y[:, None] ** 2
GRAM = np.array([[4.0, 1.0], [1.0, 2.0]])


def plane(path, loss=LOSS, **more):
    write_landscape(path, X, Y, {"train_loss": loss, "test_loss": loss + 0.1 + 0.05 * X}, **more)
    return path


def directions(path, counter=10**6):
    """A direction file of two tensors and a counter: |d1|^2 = 14, d1.d2 = -1, |d2|^2 = 6.25 without the
    counter."""
    with h5py.File(path, "w") as f:
        for name, tensors in (("xdirection", ([1.0, 2.0], [[3.0]])), ("ydirection", ([2.0, -1.5], [[0.0]]))):
            g = f.create_group(name)
            for k, t in enumerate(tensors):
                g[str(k)] = np.array(t, "f4")
            g["2"] = np.int64(counter)
    return path


# ---- the metric ----

def test_a_direction_file_gives_times_and_without_one_they_are_arbitrary(tmp_path):
    path = plane(tmp_path / "a.h5")
    bare = fp.analyse(path, theta=[0.1], n_paths=2)
    told = fp.analyse(path, theta=[0.1], n_paths=2, directions=directions(tmp_path / "d.h5"))
    assert ("no_metric" in bare.flags and "no_metric" not in told.flags
            and "arbitrary" in " ".join(bare.answers()))
    assert ("arbitrary" not in " ".join(told.answers())
            and told.landscape.gram == pytest.approx(np.array([[14.0, -1.0], [-1.0, 6.25]])))
    same = fp.analyse(plane(tmp_path / "b.h5", gram=told.landscape.gram), theta=[0.1], n_paths=2)
    apart = ~np.eye(2, dtype=bool)
    assert told.rates[0].log10_rate[apart] == pytest.approx(same.rates[0].log10_rate[apart], abs=1e-9)
    with pytest.raises(ValueError, match="read_landscape"):
        fp.analyse(told.landscape, directions=tmp_path / "d.h5")


def test_a_projection_file_gives_the_start_and_the_path(tmp_path):
    c = np.array([[0.3, -0.2], [0.1, 0.4]])
    arc = (c @ GRAM) / np.sqrt(np.diag(GRAM))                      # d_i.v/|d_i| of v = c_1 d_1 + c_2 d_2
    with h5py.File(tmp_path / "proj_cos.h5", "w") as f:
        f["proj_xcoord"], f["proj_ycoord"] = arc.T
    report = fp.analyse(plane(tmp_path / "a.h5", gram=GRAM), theta=[0.1], n_paths=2,
                        trajectory=tmp_path / "proj_cos.h5")
    assert report.start == pytest.approx(c[0]) and report.training.n_points == 2


def test_the_curvature_across_the_plane_moves_probability(tmp_path):
    with h5py.File(plane(tmp_path / "a.h5", gram=GRAM), "a") as f:
        f["fpkit/hessian/logdet_perp"] = np.where(X < 0, 4.0, 0.0) + 0 * Y[:, None]
    report = fp.analyse(tmp_path / "a.h5", theta=[0.1], n_paths=2)
    p, q = report.occupation[0], report.thermodynamics.across[0]
    assert (q[1] / q[0] == pytest.approx(np.exp(2) * p[1] / p[0], rel=0.02)
            and "curvature across the plane" in " ".join(report.answers()))
    assert (report.to_dict()["thermodynamics"]["across"][0] == pytest.approx(q)
            and fp.analyse(plane(tmp_path / "b.h5"), theta=[0.1], n_paths=2).thermodynamics.across is None)


# ---- the clock ----

def test_times_are_in_steps_when_the_learning_rate_is_known(tmp_path):
    path = plane(tmp_path / "a.h5", gram=GRAM)
    report = fp.analyse(path, theta=[0.1], n_paths=2, lr=0.05, momentum=0.9, n_steps=1000, start=[-1.0, 0.0])
    assert (report.clock.step == pytest.approx(0.5) and report.to_dict()["clock"]["time_per_step"]
            == pytest.approx(0.5))
    text = " ".join(report.answers())
    assert "steps" in text and "After 1000 steps" in text and "learning rate x steps" not in text
    with pytest.raises(ValueError, match="n_steps needs the learning rate"):
        fp.analyse(path, theta=[0.1], n_steps=10)
    with pytest.raises(ValueError, match="below 1"):
        fp.analyse(path, theta=[0.1], lr=0.1, momentum=1.0)


def test_the_temperature_of_the_sgd_noise_scales_with_rate_and_batch(tmp_path):
    with h5py.File(plane(tmp_path / "a.h5", gram=GRAM), "a") as f:
        f["fpkit/temperature/tensor"] = np.array([[2e-3, 0], [0, 6e-3]])
        f["fpkit/temperature/lr"], f["fpkit/temperature/batch"] = 0.1, 32
    land = fp.read_landscape(tmp_path / "a.h5")
    assert Clock.of(land).theta == pytest.approx(4e-3) and Clock.of(land).step == pytest.approx(0.1)
    assert (Clock.of(land, lr=0.2).theta == pytest.approx(8e-3)
            and Clock.of(land, batch=64).theta == pytest.approx(2e-3))
    assert Clock.of(land, momentum=0.5).theta == pytest.approx(8e-3)
    report = fp.analyse(land, n_paths=2)
    assert report.theta.size == 13 and np.isclose(report.theta,
                                                  4e-3).any() and "SGD noise" in report.theta_rule
    assert "SGD noise" in " ".join(report.answers()) and fp.analyse(land, theta=[0.1],
                                                                    n_paths=2).theta.tolist() == [0.1]


# ---- the optimiser's path ----

def path_of(points, tmp_path, gram=GRAM, loss_shift=0.0):
    points = np.asarray(points, float)
    n = len(points)
    value = (points[:, 0] ** 2 - 1) ** 2 + 0.1 * points[:, 0] + points[:, 1] ** 2
    land = fp.read_landscape(plane(tmp_path / "a.h5", gram=gram, trajectory={
        "x": points[:, 0], "y": points[:, 1], "step": np.arange(n) * 10, "loss": value + loss_shift,
        "residual": np.full(n, 0.3)}))
    wells, basins = find_wells(land, land.merge_tree(), 0.05)
    return training_path(land, wells, basins, 0.1, np.array([0.7, 0.3]))


def test_a_straight_path_is_a_drift_and_its_shares_are_counted(tmp_path):
    found = path_of(np.stack([np.linspace(-1, 1, 41), np.zeros(41)], 1), tmp_path, loss_shift=-0.2)
    assert found.exponent == pytest.approx(2, abs=1e-6) and found.word == "drift" and found.n_inside == 41
    assert found.dwell.sum() == pytest.approx(1) and found.dwell == pytest.approx([0.5, 0.5], abs=0.05)
    assert found.residual == pytest.approx(0.3) and found.loss_gap == pytest.approx(-0.2, abs=0.05)


def test_a_random_walk_is_brownian_in_the_metric(tmp_path):
    """Over 200 seeds the exponent scatters by 0.06 about 0.99: a chance of about 1e-5 to be off by 0.25."""
    steps = np.random.default_rng(11).normal(0, 0.02, (400, 2)) @ np.linalg.cholesky(np.linalg.inv(GRAM)).T
    found = path_of(np.cumsum(steps, axis=0), tmp_path)
    assert found.word == "Brownian" and found.exponent == pytest.approx(1, abs=0.25)


def test_short_paths_have_no_exponent_and_points_off_the_surface_no_well(tmp_path):
    found = path_of([[-1.0, 0.0], [0.0, 0.0], [5.0, 5.0]], tmp_path)
    assert found.word == "too few points" and found.wells[2] == 0 and found.n_inside == 2


# ---- train and test ----

def test_the_risk_is_what_the_gibbs_means_say(tmp_path):
    loss = LOSS
    tilted = loss + 0.1 + np.where(X < 0, 0.5, 0.0)               # the test loss dislikes the lower well
    write_landscape(tmp_path / "a.h5", X, Y, {"train_loss": loss, "test_loss": tilted}, gram=GRAM)
    land = fp.read_landscape(tmp_path / "a.h5")
    report = fp.analyse(land, n_paths=2)
    risk = report.risk
    for k in (0, 60, -1):
        assert risk.test[k] == pytest.approx(land.gibbs_mean(risk.theta[k], of="test_loss"), rel=1e-12)
        assert risk.gap[k] == pytest.approx(risk.test[k] - risk.train[k])
    assert risk.best_test == risk.test.min() and "generalis" not in " ".join(report.answers())


def test_the_pair_of_the_resnet_plane(shared_landscapes):
    clean, adversarial = (fp.read_landscape(shared_landscapes / f"resnet50_cifar10_pca_31x31_{n}.h5")
                          for n in ("clean", "adversarial"))
    theta = [0.003, 0.03, 0.1, 0.3, 1.0]
    both = fp.compare_landscapes([fp.analyse(a, theta=[0.03, 0.1], n_paths=2) for a in (clean, adversarial)],
                                 theta=theta)
    assert both.mean[:, 0, 1] == pytest.approx([1.1422800552368164, 1.1445929804129835, 1.2039605417742603,
                                                1.6133829353974294, 2.451163667399577], rel=1e-12)
    assert both.mean[[1, 2, 4], 0, 1] - both.mean[[1, 2, 4], 0,
                                                  0] == pytest.approx([0.386, 0.407, 0.068], abs=1e-3)
    assert both.matches[0][1] == 1 and both.best_theta[1] == 0.003 and both.overlap[0, 0,
                                                                                    0] == pytest.approx(1)


# ---- comparison and command ----

@pytest.mark.parametrize("change, words", [({"x": 2 * X}, "other axes"), ({}, "equal axes alone"),
                                           ({"others": {"dir_file": "net2/dir.h5"}}, "different files"),
                                           ({"gram": np.diag([4.0, 1.0])}, "Gram matrices"),
                                           ({"own": {"origin_norm": 7.0}}, "different lengths"),
                                           ({"own": {"origin_norm": 3.0, "directions/x": np.arange(5.0) + 1,
                                                     "directions/y": np.ones(5)}}, "stored in the"),])
def test_planes_that_are_not_shown_to_be_one_stand_side_by_side(tmp_path, change, words):
    own = {"origin_norm": 3.0}
    if "directions/x" in change.get("own", {}):
        own |= {"directions/x": np.arange(5.0) + 1, "directions/y": np.array([1.0, 1, 1, 1, 2])}
    first = {"others": {"dir_file": "net1/dir.h5"} if "others" in change else {}, "own": own,
             "gram": np.eye(2)}
    second = {**first, **change}
    write_landscape(tmp_path / "a.h5", X, Y, {"train_loss": LOSS}, **first)
    write_landscape(tmp_path / "b.h5", second.pop("x", X), Y, {"train_loss": LOSS}, **second)
    both = fp.compare_landscapes([fp.analyse(tmp_path / f"{n}.h5", theta=[0.1], n_paths=2) for n in "ab"])
    assert words in both.difference and np.isnan(both.overlap).all() and both.matches == ({},)
    assert "side by side" in repr(both) and words in both.answers()[0]
    both.save(tmp_path / "out")
    assert words in (tmp_path / "out" / "index.html").read_text() and (tmp_path / "out"
                                                                       / "surfaces.png").exists()


def test_one_file_of_directions_or_the_callers_word_make_one_plane(tmp_path):
    for n in "ab":
        write_landscape(tmp_path / f"{n}.h5", X, Y, {"train_loss": LOSS}, others={"dir_file": "net1/dir.h5"})
        write_landscape(tmp_path / f"{n}2.h5", X, Y, {"train_loss": LOSS})
    run = lambda *names, **more: fp.compare_landscapes([fp.analyse(tmp_path / f"{n}.h5", theta=[0.1],
                                                                   n_paths=2) for n in names], **more)
    assert run("a", "b").overlap == pytest.approx(1) and run("a2", "b2", same_plane=True).difference is None
    a = fp.analyse(tmp_path / "a.h5", theta=[0.1], n_paths=2)
    with pytest.raises(ValueError, match="two landscapes or more"):
        fp.compare_landscapes([a])


def test_the_command_takes_companions_and_compares(tmp_path, capsys):
    one, two = plane(tmp_path / "one.h5"), plane(tmp_path / "two.h5", LOSS + 0.2 * X)
    extra = ["--directions", str(directions(tmp_path / "d.h5")), "--lr", "0.1", "--n-steps", "500", "--theta",
             "0.1", "0.2", "--paths", "4", "--svg"]
    assert main(["analyse", str(one), str(two), "-o", str(tmp_path / "out"), "--json", *extra]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["clock"]["lr"] for r
            in found["reports"]] == [0.1, 0.1] and np.array(found["comparison"]["mean"]).shape == (2, 2, 2)
    for name in ("index.html", "report.json", "comparison.png", "comparison.svg", "one/index.html",
                 "two/report.h5"):
        assert (tmp_path / "out" / name).exists()
    page = (tmp_path / "out" / "index.html").read_text()
    assert ('href="./one/index.html"' in page and "<script" not in page
            and json.loads((tmp_path / "out" / "report.json").read_text())["names"] == ["one", "two"])
    both = fp.compare_landscapes([one, two], theta=[0.1], same_plane=True)
    assert fp.plot(both).axes[0].get_ylabel() == "mean loss"
    assert main(["analyse", str(one), "-o", str(tmp_path / "x"), "--n-steps",
                 "5"]) == 2 and "--lr" in capsys.readouterr().err
    assert main(["analyse", str(one), "-o", str(tmp_path / "x"), "--directions",
                 str(two)]) == 2 and "direction" in capsys.readouterr().err


def test_networks_of_different_sizes_are_told_apart_also_against_the_callers_word(tmp_path):
    for n in (6, 7):
        plane = fp.Plane.from_directions(np.zeros(n), *np.eye(n)[:2])
        fp.export_landscape(tmp_path / f"{n}.h5", lambda w: float(w @ w), plane, x=(-1, 1, 9), y=(-1, 1, 9),
                            store_directions=True)
    both = fp.compare_landscapes([tmp_path / "6.h5", tmp_path / "7.h5"], theta=[0.1], same_plane=True)
    assert "6 and 7 parameters" in both.difference
