"""The analysis: thermodynamics by direct sums, flags where they belong, density and paths that agree,
refusals."""
import json

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.analysis.sampled_chain import SampledDiffusion
from fpkit.landscapes.analysis.thermodynamics import (
    crossover_temperatures,
    thermodynamics,
)
from fpkit.landscapes.files.writing import write_landscape
from fpkit.landscapes.surface.wells import default_temperatures, find_wells

X, Y = np.linspace(-1.6, 1.6, 41), np.linspace(-1.0, 1.0, 21)
GRAM = np.array([[4.0, 1.0], [1.0, 2.0]])


def double_well(x, y, tilt=0.1):
    return (x**2 - 1) ** 2 + tilt * x + (1.5 + x) * y**2 + 0.3


def landscape(path, loss=None, x=X, y=Y, gram=GRAM, **more):
    loss = double_well(x[None, :], y[:, None]) if loss is None else loss
    write_landscape(path, x, y, {"train_loss": loss, "test_loss": loss + 0.1 + 0.05 * x}, gram=gram, **more)
    return fp.read_landscape(path)


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    return landscape(tmp_path_factory.mktemp("analysis") / "two_wells.h5",
                     trajectory={"x": [-1.0, 0.9], "y": [0.1, 0.0], "step": [0, 100], "loss": [0.3, 0.4],
                                 "residual": [0.0, 0.1]})


@pytest.fixture(scope="module")
def report(land):
    return fp.analyse(land, n_paths=200)


def test_thermodynamics_are_direct_sums(land):
    wells, basins = find_wells(land, land.merge_tree(), 0.05)
    assert ([w.index for w in wells] == [(10, 7), (10, 32)] and wells[1].joins == 1
            and wells[1].persistence == wells[1].saddle - wells[1].minimum)
    found = thermodynamics(land, wells, basins, [0.05, 0.3])
    for i, theta in enumerate((0.05, 0.3)):
        weight = np.exp(-land.loss / theta)
        total = weight.sum()
        for k in range(2):
            w, f = weight[basins == k], land.loss[basins == k]
            assert found.occupation[i, k] == pytest.approx(w.sum() / total, rel=1e-12)
            assert found.energy[i, k] == pytest.approx((w * f).sum() / w.sum(), rel=1e-12)
            assert found.free_energy[i, k] == pytest.approx(-theta * np.log(w.sum() * land.volumes[0, 0]),
                                                            rel=1e-10)
            p = w / w.sum()
            assert found.entropy[i, k] == pytest.approx(-(p * np.log(p)).sum() + np.log(land.volumes[0, 0]),
                                                        rel=1e-9)
        assert found.occupation[i].sum() == pytest.approx(1, abs=1e-14)
    assert found.mean_loss["test_loss"][1] == pytest.approx(land.gibbs_mean(0.3, of="test_loss"), rel=1e-13)


def test_a_constant_added_to_the_loss_moves_no_probability(land, tmp_path):
    moved = landscape(tmp_path / "moved.h5", double_well(X[None, :], Y[:, None]) + 1000.0)
    one, two = (thermodynamics(a, *find_wells(a, a.merge_tree(), 0.05), [0.02, 0.3]) for a in (land, moved))
    assert np.allclose(one.occupation, two.occupation,
                       rtol=1e-9) and np.allclose(one.free_energy + 1000, two.free_energy, rtol=1e-12)


def test_cold_wells_keep_their_free_energies_when_weights_underflow(land):
    found = thermodynamics(land, *find_wells(land, land.merge_tree(), 0.05), [1e-5])
    assert np.isfinite(found.free_energy).all() and found.occupation[0, 1] == 0.0
    assert found.energy[0] == pytest.approx([w.minimum for w in find_wells(land, land.merge_tree(), 0.05)[0]])


def test_crossovers_are_roots_of_equal_occupation(tmp_path):
    x = np.linspace(-2, 2, 801)
    loss = np.where(x < 0, 60 * (x + 1) ** 2, 0.05 + 2 * (x - 1) ** 2)  # narrow and deep, wide and high
    loss = np.minimum(loss, 2.0 + 0 * x)
    write_landscape(tmp_path / "line.h5", x, None, {"train_loss": loss})
    land = fp.read_landscape(tmp_path / "line.h5")
    wells, basins = find_wells(land, land.merge_tree(), 0.01)
    (root,) = crossover_temperatures(land, wells, basins, np.geomspace(0.005, 0.5, 40))
    assert (root.deeper, root.wider) == (1, 2) and root.is_resolved
    # F = f - theta/2 log(2 pi theta / curvature)
    assert root.theta == pytest.approx(0.05 / (0.5 * np.log(30.0)), rel=0.01)
    p = thermodynamics(land, wells, basins, [root.theta]).occupation[0]
    assert p[0] == pytest.approx(p[1], rel=1e-9) and root.occupation == pytest.approx(p[0])


def test_default_temperatures_span_the_depths(land):
    theta, said = default_temperatures(land, land.merge_tree())
    depths = [b.persistence for b in land.merge_tree() if b.death is not None]
    assert (theta.size == 12 and theta[0] == pytest.approx(min(depths) / 10)
            and theta[-1] == pytest.approx(max(depths) / 3) and "tenth" in said)


# ---- the chain on the samples ----

def test_the_chain_is_reversible_with_the_samples_gibbs_law(land):
    chain = SampledDiffusion(land, 0.2, np.linalg.inv(GRAM))
    S, inside = chain.chain.symmetric_generator()
    root = np.exp(chain.log_mass[inside] / 2)
    assert abs(S - S.T).max() == 0 and np.abs(S @ root).max() < 1e-10 * np.abs(S.diagonal()).max()
    p = np.exp(chain.log_mass).reshape(chain.grid.shape).T
    assert np.allclose(p / p.sum(), land.gibbs_weights(0.2), rtol=1e-12)


def test_cliffs_and_holes_make_no_overflow(tmp_path):
    loss = double_well(X[None, :], Y[:, None])
    loss[:, -3:] = 1e35
    loss[8:12, 18:22] = np.nan
    with np.errstate(over="raise", invalid="raise"):
        found = fp.analyse(landscape(tmp_path / "cliff.h5", loss), theta=[0.1, 0.2], n_paths=50)
    assert found.dynamics.mass == pytest.approx(np.ones_like(found.dynamics.times), abs=1e-12)
    assert np.isfinite(found.dynamics.occupation).all() and found.dynamics.distance[-1] < 0.011


# ---- dynamics ----

def test_the_density_ends_in_the_gibbs_law_and_keeps_its_mass(report, land):
    motion = report.dynamics
    assert motion.mass == pytest.approx(np.ones(motion.times.size), abs=1e-12)
    assert motion.distance[-1] < 0.011 and (np.diff(motion.distance) < 1e-4).all()
    assert motion.gibbs * land.volumes == pytest.approx(land.gibbs_weights(motion.theta), rel=1e-9)
    k = report.theta.tolist().index(motion.theta)
    assert motion.equilibrium == pytest.approx(report.occupation[k], rel=1e-9)
    assert (motion.density * land.volumes).reshape(motion.times.size,
                                                   -1).sum(axis=1) == pytest.approx(1, abs=1e-10)


def test_paths_agree_with_the_density(report):
    """Five times and two wells, which sum to one: a chance of about 1e-5 to be beyond 4.5 standard errors."""
    paths = report.dynamics.paths
    assert paths.n_paths == 200 and paths.acceptance > 0.9
    assert (np.abs(paths.occupation - paths.expected) <= 4.5 * paths.occupation_error + 0.01).all()
    assert (np.abs(paths.mean_loss - paths.expected_loss) <= 4.5 * paths.mean_loss_error + 0.01).all()


def test_the_metric_sets_the_clock(tmp_path):
    """Four times the Gram matrix is a fourth of the mobility: the same densities at four times the time."""
    one = fp.analyse(landscape(tmp_path / "a.h5", gram=GRAM), theta=0.2, n_paths=2).dynamics
    four = fp.analyse(landscape(tmp_path / "b.h5", gram=4 * GRAM), theta=0.2, n_paths=2).dynamics
    reached = [m.times[np.flatnonzero(m.distance < 0.01)[0]] for m in (one, four)]
    assert reached[1] == pytest.approx(4 * reached[0], rel=0.35) and one.time_unit == "learning rate x steps"


def test_the_start_is_the_trajectory_then_the_origin_then_the_nearest_cell(report, tmp_path):
    assert report.start.tolist() == [-1.0, 0.1] and "trajectory" in report.start_rule
    plain = landscape(tmp_path / "a.h5")
    assert "origin" in fp.analyse(plain, theta=0.2, n_paths=2).start_rule
    loss = double_well(X[None, :], Y[:, None])
    loss[8:13, 16:25] = np.nan
    holed = fp.analyse(landscape(tmp_path / "b.h5", loss), theta=0.2, n_paths=2)
    assert "nearest" in holed.start_rule and any("start=" in w for w in holed.warnings)
    with pytest.raises(ValueError, match="cell without a loss; the nearest"):
        fp.analyse(holed.landscape, theta=0.2, start=[0.0, 0.0])
    with pytest.raises(ValueError, match="outside the landscape: axis x"):
        fp.analyse(plain, theta=0.2, start=[5.0, 0.0])


def test_parts_that_do_not_touch_exchange_nothing(tmp_path):
    loss = double_well(X[None, :], Y[:, None])
    loss[:, 20:22] = np.nan
    found = fp.analyse(landscape(tmp_path / "a.h5", loss), theta=0.2, n_paths=50, start=[-1.0, 0.0])
    motion = found.dynamics
    home = found.basins[found.landscape.index([-1.0, 0.0])]
    assert (motion.occupation[:, home] == pytest.approx(1, abs=1e-12)
            and motion.equilibrium[home] == pytest.approx(1))
    assert (motion.paths.occupation[:, home].tolist() == [1.0] * len(motion.paths.times)
            and any("no other part" in r for r in motion.remarks))


def test_the_same_seed_gives_the_same_report(land):
    one, two = (fp.analyse(land, theta=[0.1, 0.2], n_paths=20, seed=4).to_dict() for _ in range(2))
    assert one == two and json.loads(json.dumps(one, allow_nan=False)) == one


# ---- flags ----

def flags(path, loss=None, **more):
    theta = more.pop("theta", [0.05, 0.1])
    return set(fp.analyse(landscape(path, loss, **more), theta=theta, n_paths=2).flags)


def test_flags_are_raised_where_they_apply_and_nowhere_else(tmp_path):
    clean = flags(tmp_path / "a.h5", n_params=100)
    assert clean == {"slice_not_marginal", "slice_saddle", "anisotropic_noise"}
    assert "slice_not_marginal" not in flags(tmp_path / "b.h5", n_params=2)
    assert flags(tmp_path / "c.h5", gram=None) - clean == {"no_metric", "gauge_dependent"}
    assert flags(tmp_path / "d.h5", (X[None, :] - 0.5) ** 2 + Y[:, None] ** 2) == clean - {"slice_saddle"}
    assert "box_truncation" in flags(tmp_path / "e.h5", X[None, :] + Y[:, None] ** 2 + 3)
    assert "under_resolved" in flags(tmp_path / "f.h5", theta=[1e-3])
    assert "weight_decay_missing" in flags(tmp_path / "g.h5", meta={"optimiser": {"weight_decay": 0.1}})
    loss = double_well(X[None, :], Y[:, None])
    loss[10, 6] = np.nan
    assert "beside_invalid" in flags(tmp_path / "h.h5", loss)


def test_flags_follow_what_the_file_tells(tmp_path):
    import h5py

    for name, tensor in (("even", np.eye(2)), ("uneven", np.diag([1.0, 4.0]))):
        landscape(tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5", "a") as f:
            f["fpkit/temperature/tensor"] = 0.1 * tensor
    even, uneven = (fp.analyse(tmp_path / f"{n}.h5", theta=[0.1], n_paths=2) for n in ("even", "uneven"))
    assert "anisotropic_noise" not in even.flags and any("4 times stronger" in c.sentence
                                                         for c in uneven.caveats)
    assert ("gauge_dependent" in flags(tmp_path / "a.h5", meta={"normalisation": "filter"})
            and "gauge_dependent" not in even.flags)
    assert "batchnorm_mode" in flags(tmp_path / "b.h5",
                                     meta={"batchnorm": "fixed"}) and "batchnorm_mode" not in even.flags
    decayed = {"optimiser": {"weight_decay": 0.1}, "loss_has_weight_decay": True}
    assert "weight_decay_missing" not in flags(tmp_path / "c.h5", meta=decayed)


def test_flags_of_foreign_files(tmp_path):
    import h5py

    x = np.linspace(-1.6, 1.6, 25)
    loss = double_well(x[None, :], x[:, None])
    accuracy = np.full(loss.shape, 50.0)
    loss[0, :5] = accuracy[0, :5] = -1
    with h5py.File(tmp_path / "a_states_xignore=biasbn_xnorm=filter.h5", "w") as f:
        f["xcoordinates"] = f["ycoordinates"] = x
        f["train_loss"], f["train_acc"] = loss, accuracy
    found = set(fp.analyse(tmp_path / "a_states_xignore=biasbn_xnorm=filter.h5", theta=[0.1],
                           n_paths=2).flags)
    assert {"axis_order_assumed", "unfinished", "batchnorm_mode", "no_metric"} <= found


def test_noise_of_the_loss_flags_shallow_wells(tmp_path):
    import h5py

    landscape(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as f:
        f["fpkit/loss_stderr"] = np.full((Y.size, X.size), 0.5)
    found = fp.analyse(tmp_path / "a.h5", theta=[0.1], n_paths=2)
    assert "loss_noise" in found.flags and "within_noise" in found.wells[1].flags


def test_bad_arguments_get_one_sentence(land):
    for call, words in [(lambda: fp.analyse(3), "path"), (lambda: fp.analyse(land, theta=-1.0), "positive"),
                        (lambda: fp.analyse(land, theta=[]), "theta"),
                        (lambda: fp.analyse(land, theta="warm"), "theta"),
                        (lambda: fp.analyse(land, n_paths=0), "n_paths"),
                        (lambda: land.minima(6), "neighbours"), (lambda: land.gibbs_mean(0.0), "positive"),
                        (lambda: land.gibbs_mean(1.0, of="acc"), "known are")]:
        with pytest.raises((ValueError, TypeError), match=words):
            call()


# ---- the shared files, whole ----

@pytest.mark.parametrize("name", ["cifar10_net_pca_10x10", "mnist_cnn_15x15_negative_loss",
                                  "resnet56_cifar10_line_101_diverged", "resnet50_cifar10_pca_31x31_clean"])
def test_shared_files_give_a_report(shared_landscapes, name):
    with np.errstate(over="raise", invalid="raise"):
        found = fp.analyse(shared_landscapes / f"{name}.h5", n_paths=40)
    assert found.dynamics.mass == pytest.approx(np.ones_like(found.dynamics.times), abs=1e-12)
    assert found.occupation.sum(axis=1) == pytest.approx(1, abs=1e-12) and found.dynamics.paths is not None


@pytest.mark.slow
def test_the_report_of_101x101_takes_less_than_a_minute_and_a_gigabyte(shared_landscapes, tmp_path):
    """In a process of its own: CPU seconds, so that a busy machine fails nothing, and its largest resident
    size."""
    import subprocess
    import sys

    code = ("import resource, sys, fpkit as fp; fp.analyse(sys.argv[1]).save(sys.argv[2]); u = "
            "resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime, u.ru_maxrss)")
    out = subprocess.run([sys.executable, "-c",
                          code, str(shared_landscapes / "resnet56_cifar10_filter_101x101.h5"), str(tmp_path)],
                         check=True, capture_output=True, text=True)
    seconds, kilobytes = map(float, out.stdout.split()[-2:])
    assert seconds < 60 and kilobytes < 2**20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet56_cifar10_filter_101x101",
                                  "resnet56_cifar10_three_checkpoints_51x51_nonfinite",
                                  "resnet50_cifar10_pca_31x31_adversarial",
                                  "own_digits_mlp_three_minima_41x41"])
def test_large_shared_files_give_a_report(shared_landscapes, tmp_path, name):
    found = fp.analyse(shared_landscapes / f"{name}.h5")
    assert found.dynamics.mass == pytest.approx(np.ones_like(found.dynamics.times),
                                                abs=1e-12) and found.save(tmp_path).exists()
