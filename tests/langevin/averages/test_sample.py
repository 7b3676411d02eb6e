"""`sample`: averages along paths against what is exact, and its refusals."""
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import fpkit as fp
from fpkit.core.runs.checkpoint import load_state
from fpkit.langevin.averages.statistics import Statistics
from fpkit.langevin.averages.tally import Accumulators

QUADRATIC = fp.Potential("k*x**2/2", k=2.0)
WELL = fp.Potential("(x**2 - 1)**2")
PLANE = fp.Potential("(x**2 - 1)**2 + a*y**2", a=0.5)
SHORT = dict(theta=0.5, x0=[0.0], dt=0.05, n_steps=400, n_paths=150)

pytestmark = pytest.mark.filterwarnings("ignore::fpkit.core.results.ResolutionWarning")


def exact_probabilities(V, theta, edges, n=200):
    """Cell probabilities in one dimension by the midpoint rule with n points a cell."""
    x = (edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(n) + 0.5) / n)
    w = (np.exp(-V(x[..., None]) / theta)).mean(1) * np.diff(edges)
    return w / w.sum()


def exact_mean(V, theta, f, box=(-4, 4), n=40001):
    x = np.linspace(*box, n)
    w = np.exp(-V(x[:, None]) / theta)
    return float((w * f(x)).sum() / w.sum())


def same(a, b):
    assert a.energy.value == b.energy.value
    assert a.energy.error == b.energy.error
    assert a.n_samples == b.n_samples
    assert [m.value for m in a.mean] == [m.value for m in b.mean]
    assert a.transitions == b.transitions
    assert a.acceptance == b.acceptance
    assert np.array_equal(a.covariance, b.covariance)
    assert {k: v.value for k, v in a.observables.items()} == {k: v.value for k, v in b.observables.items()}
    for name in ("counts", "overflow", "standard_error"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


# ---- what comes out is right ----

def test_errors_cover_the_truth_of_the_quadratic_well():
    """60 seeds; Leimkuhler-Matthews has no bias there. A bound misses once in 370: over 3 of 60 once in 3e4;
    mean z^2 as in test_statistics."""
    runs = [fp.sample(QUADRATIC, 0.5, [0.0], 0.2, 300, 64, seed=seed, every=2) for seed in range(60)]
    for values, truth in (([r.energy for r in runs], 0.25), ([r.mean[0] for r in runs], 0.0)):
        assert sum(abs(v.value - truth) > v.error for v in values) <= 3
        assert 0.4 < np.mean([((v.value - truth) / v.inputs["standard_error"]) ** 2 for v in values]) < 2.0
    # the sampled interval is 0.4, the scheme's correlation per interval (1 - k dt)^2 = 0.36: inefficiency of
    # x (1 + 0.36)/(1 - 0.36) = 2.1
    assert np.median([r.autocorrelation_time for r in runs]) == pytest.approx(2.125 * 0.4 / 2, rel=0.3)


@pytest.mark.parametrize("scheme, n_paths", [("leimkuhler-matthews", 200), ("mala", 200), ("baoab", 200),
                                             ("leimkuhler-matthews", 2)])
def test_the_histogram_is_gibbs_within_what_chance_explains(scheme, n_paths):
    grid = fp.Grid([(-2.5, 2.5)], (40,))
    stats = fp.sample(WELL, 0.5, [0.0], 0.05, 3000 if n_paths > 2 else 60_000, n_paths, scheme=scheme,
                      histogram=grid,
                      friction=2.0 if scheme == "baoab" else None)
    n_saved = (stats.inputs["n_steps"] - stats.inputs["burn_in"]) // stats.inputs["every"]
    assert stats.counts.sum() + stats.overflow.sum() == stats.n_samples == n_paths * n_saved
    p = exact_probabilities(WELL, 0.5, grid.edges[0])
    compared = stats.compare(p)
    assert 0.4 < compared.ratio < 2.5, compared  # 40 cells: the deviation of the ratio is about 0.2
    error = abs(stats.histogram.values * grid.volumes - p)
    assert (error > stats.histogram.error * grid.volumes).sum() <= 2     # 40 chances of 1/370
    # Kolmogorov's distance at the cell faces, 1 % limit with the effective number of samples
    assert abs(np.cumsum(stats.counts / stats.n_samples - p)).max() < 1.63 / math.sqrt(stats.n_effective)
    truth = exact_mean(WELL, 0.5, lambda x: (x * x - 1) ** 2)
    assert abs(stats.energy - truth) < stats.energy.error + 0.01 * truth        # a bias of dt^2 is left


def test_moments_occupancy_and_observables_meet_exact_averages():
    regions = {"left": fp.HalfSpace([-1.0, 0.0], 0.5), "right": fp.HalfSpace([1.0, 0.0], 0.5)}
    stats = fp.sample(PLANE, 0.5, [0.0, 0.0], 0.03, 4000, 300, regions=regions,
                      observables={"fourth": lambda p: p[:, 1] ** 4}, seed=3)
    assert stats.status == "ok" and min(stats.transitions.values()) > 100
    share = exact_mean(WELL, 0.5, lambda x: x <= -0.5)
    for value, truth in ((stats.occupancy["left"], share), (stats.occupancy["right"], share),
                         (stats.mean[0], 0.0), (stats.mean[1], 0.0),
                         (stats.observables["fourth"], 3 * 0.5**2)):
        assert abs(value - truth) < value.error + 0.005
    assert stats.covariance[1, 1] == pytest.approx(0.5, rel=0.05) and abs(stats.covariance[0, 1]) < 0.02


def test_a_marginal_histogram_shows_the_coordinates_named():
    """Independent coordinates of variance 1, 1/2, 1/3 ...; bounds are missed once in 370 cells."""
    V = fp.Potential(lambda x: sum((k + 1) * x[k] ** 2 for k in range(5)) / 2, ndim=5)
    grid = fp.Grid([(-2, 2), (-3, 3)], (8, 10))
    stats = fp.sample(V, 1.0, np.zeros(5), 0.05, 2000, 200, histogram=grid, marginal=(3, 0))
    from scipy.special import ndtr
    p = np.multiply.outer(np.diff(ndtr(2 * grid.edges[0])), np.diff(ndtr(grid.edges[1])))
    assert (abs(stats.counts / stats.n_samples - p) > stats.histogram.error * grid.volumes).sum() <= 2
    with pytest.raises(ValueError, match="marginal="):
        fp.sample(V, 1.0, np.zeros(5), 0.05, 2000, 200, histogram=grid)
    with pytest.raises(ValueError, match="different coordinates"):
        fp.sample(V, 1.0, np.zeros(5), 0.05, 2000, 200, histogram=grid, marginal=(0, 0))


def test_extrapolation_removes_the_bias_of_euler():
    """theta 0.5, k 2, dt 0.2: Euler's energy is 25 % too large (variance theta/(k(1 - k dt/2))), its bias at
    2 dt 67 %."""
    plain = fp.sample(QUADRATIC, 0.5, [0.0], 0.1, 2000, 300, scheme="euler-maruyama", every=2)
    better = fp.sample(QUADRATIC, 0.5, [0.0], 0.1, 2000, 300, scheme="euler-maruyama", every=2,
                       extrapolate=True)
    assert plain.energy.value == pytest.approx(0.25 / 0.9,
                                               rel=0.01) and abs(plain.energy - 0.25) > plain.energy.error
    assert abs(better.energy - 0.25) < better.energy.error and abs(better.energy
                                                                   - 0.25) < 0.3 * abs(plain.energy - 0.25)
    assert better.energy.inputs["value_at_dt"] == plain.energy.value


def test_what_the_next_order_in_dt_leaves_is_inside_the_extrapolated_error():
    """Euler's variance is theta/(k (1 - k dt/2)): with k dt/2 = u the limit of dt and 2 dt is off by a share
    2u^2/((1 - u)(1 - 2u)), here 7 to 20 %, where chance moves it by 5 %."""
    rng = np.random.default_rng(4)
    V = fp.Potential("k*x**2/2", k=1.0)
    for _ in range(4):
        k, theta, u = rng.uniform(0.5, 4), rng.uniform(0.2, 2), rng.uniform(0.16, 0.22)
        energy = fp.sample(V.with_params(k=k), theta, [0.0], 2 * u / k, 1500, 400, scheme="euler-maruyama",
                           every=4, extrapolate=True).energy
        assert abs(energy.value - theta / 2) < energy.error
        assert abs(energy.value / (theta / 2) - 1 + 2 * u**2 / ((1 - u) * (1 - 2 * u))) < 0.06


def test_adding_a_constant_to_the_potential_changes_the_energy_alone():
    grid = fp.Grid([(-2, 2)], (20,))
    a = fp.sample(WELL, **SHORT, histogram=grid, precision="double")
    b = fp.sample(fp.Potential("(x**2 - 1)**2 + 1000"), **SHORT, histogram=grid, precision="double")
    assert np.array_equal(a.counts, b.counts) and b.energy.value - 1000 == pytest.approx(a.energy.value,
                                                                                         rel=1e-10)


def test_a_black_box_gives_what_the_compiled_potential_gives():
    box = fp.Potential.black_box(lambda x: (x[..., 0] ** 2 - 1) ** 2, lambda x: 4 * x * (x**2 - 1), 1)
    kinds = [fp.sample(V, **SHORT, precision="double", histogram=fp.Grid([(-2, 2)], (20,)))
             for V in (WELL, box)]
    assert kinds[0].energy.value == pytest.approx(kinds[1].energy.value, rel=1e-6)
    assert abs(kinds[0].counts - kinds[1].counts).sum() <= 4


def test_walls_keep_a_flat_potential_uniform():
    grid = fp.Grid([(0, 1)], (20,))
    stats = fp.sample(fp.Potential("0*x", ), 1.0, [0.3], 0.01, 2000, 300, walls=[(0, 1)], histogram=grid,
                      scheme="euler-maruyama")
    assert stats.overflow.sum() == 0 and 0.4 < stats.compare(np.full(20, 0.05)).ratio < 2.5


# ---- the seed alone decides ----

def everything():
    return dict(histogram=fp.Grid([(-2, 2), (-2, 2)], (12, 10)), observables={"r2": squared_radius},
                regions={"left": fp.HalfSpace([-1, 0], 0.5), "right": fp.HalfSpace([1, 0], 0.5)})


def squared_radius(points):
    return (points**2).sum(1)


@pytest.mark.parametrize("scheme", ["leimkuhler-matthews", "mala"])
def test_the_same_bits_for_any_number_of_threads_and_workers(scheme):
    run = lambda **more: fp.sample(PLANE, 0.5, [0.0, 0.0], 0.05, 300, 70, scheme=scheme, **everything(),
                                   **more)
    one = run(n_threads=1)
    same(one, run(n_threads=2))
    with ThreadPoolExecutor(3) as executor:
        same(one, run(executor=executor))
    assert run(seed=2).energy.value != one.energy.value


def test_the_same_bits_from_other_processes(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)       # which would send functions by value
    run = lambda **more: fp.sample(PLANE, 0.5, [0.0, 0.0], 0.05, 200, 40, **everything(), **more)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        same(run(), run(executor=executor))
        with pytest.raises(TypeError, match="sent to other processes"):
            fp.sample(WELL, **SHORT, observables={"local": lambda p: p[:, 0]}, executor=executor)


# ---- interruption ----

def test_a_longer_run_resumed_from_a_shorter_one_has_the_same_bits(tmp_path):
    file = tmp_path / "run.h5"
    run = lambda n, **more: fp.sample(PLANE, 0.5, [0.0, 0.0], 0.05, n, 70, burn_in=50, every=5,
                                      **everything(), **more)
    run(200, checkpoint=file)
    same(run(205, checkpoint=file), run(205))
    assert int(load_state(file)["ensemble/step"]) == 205
    same(run(333, checkpoint=file, resume=True), run(333))
    with pytest.raises(ValueError, match="beyond n_steps"):
        run(100, checkpoint=file)
    same(run(200, checkpoint=file, resume=False), run(200))


def test_defaults_of_a_resumed_run_are_those_of_its_start(tmp_path):
    file = tmp_path / "run.h5"
    first = fp.sample(WELL, **SHORT, checkpoint=file)
    again = fp.sample(WELL, **{**SHORT, "n_steps": 700}, checkpoint=file)
    assert (again.inputs["burn_in"], again.inputs["every"]) == (first.inputs["burn_in"],
                                                                first.inputs["every"])
    with pytest.raises(ValueError, match="every=6"):
        fp.sample(WELL, **{**SHORT, "n_steps": 700}, checkpoint=file, every=7)


@pytest.mark.parametrize("change", [dict(theta=0.4), dict(dt=0.04), dict(seed=2),
                                    dict(scheme="euler-maruyama"), dict(x0=[0.1]),
                                    dict(walls=[(-3, 3)]), dict(histogram=fp.Grid([(-2, 2)], (11,))),
                                    dict(n_paths=151)])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    file = tmp_path / "run.h5"
    fp.sample(WELL, **SHORT, checkpoint=file)
    with pytest.raises(ValueError, match="another potential or other settings"):
        fp.sample(WELL, **{**SHORT, **change}, checkpoint=file)
    with pytest.raises(ValueError, match="another potential"):
        fp.sample(fp.Potential("(x**2 - 1)**2 + 0.01*x"), **SHORT, checkpoint=file)


def test_foreign_files_are_neither_read_nor_overwritten(tmp_path):
    file = tmp_path / "thesis.h5"
    file.write_text("my thesis")
    for resume in (None, True, False):
        with pytest.raises(ValueError, match="thesis.h5"):
            fp.sample(WELL, **SHORT, checkpoint=file, resume=resume)
    assert file.read_text() == "my thesis"
    with pytest.raises(FileNotFoundError, match="none.h5"):
        fp.sample(WELL, **SHORT, checkpoint=tmp_path / "none.h5", resume=True)


def test_ctrl_c_returns_what_is_done_and_the_rest_can_follow(tmp_path, monkeypatch):
    before, calls = Accumulators.add, []

    def pressed(self, snapshots):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return before(self, snapshots)
    arguments = dict(theta=0.5, x0=[0.0], dt=0.05, n_steps=1_000_000, n_paths=50, burn_in=0, every=10,
                     observables={"x": lambda points: points[:, 0]})
    monkeypatch.setattr(Accumulators, "add", pressed)
    stats = fp.sample(WELL, **arguments, checkpoint=tmp_path / "run.h5")
    monkeypatch.undo()
    assert stats.status.startswith("interrupted at step") and 50 <= stats.n_samples < 100_000 * 50
    step = int(load_state(tmp_path / "run.h5")["ensemble/step"])
    n_steps = step + 95
    resumed = fp.sample(WELL, **{**arguments, "n_steps": n_steps}, checkpoint=tmp_path / "run.h5")
    whole = fp.sample(WELL, **{**arguments, "n_steps": n_steps})
    assert resumed.observables["x"].value == whole.observables["x"].value
    assert resumed.energy.value == whole.energy.value


KILLED = """
import sys
import fpkit as fp
V, cells = fp.Potential("(x**2 - 1)**2 + a*y**2", a=0.5), fp.Grid([(-2, 2), (-2, 2)], (12, 10))
fp.sample(V, 0.5, [0.0, 0.0], 0.05, 10**9, 70, burn_in=50, every=5, seed=4, histogram=cells,
          checkpoint=sys.argv[1], checkpoint_every=0.01)
"""


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    file = tmp_path / "run.h5"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(file)],
                             env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        while not file.exists():
            assert child.poll() is None, "the child ended by itself"
            time.sleep(0.02)
        time.sleep(0.1)
    finally:
        child.kill()
        child.wait()
    step = int(load_state(file)["ensemble/step"])
    run = lambda **more: fp.sample(PLANE, 0.5, [0.0, 0.0], 0.05, max(step, 50) + 101, 70, burn_in=50, every=5,
                                   seed=4,
                                   histogram=fp.Grid([(-2, 2), (-2, 2)], (12, 10)), **more)
    same(run(checkpoint=file, resume=True), run())


# ---- files and words ----

def test_results_are_saved_and_loaded_whole(tmp_path):
    stats = fp.sample(PLANE, 0.5, [0.0, 0.0], 0.05, 300, 70, **everything())
    again = Statistics.load(stats.save(tmp_path / "stats.h5"))
    same(stats, again)
    assert repr(stats) == repr(again)
    assert again.histogram.grid == stats.histogram.grid
    assert again.inputs == stats.inputs
    assert np.array_equal(stats.histogram.error, again.histogram.error) and stats.to_dict() == again.to_dict()
    (tmp_path / "stats.h5").write_bytes((tmp_path / "stats.h5").read_bytes()[:3000])
    with pytest.raises(ValueError, match="damaged or foreign"):
        Statistics.load(tmp_path / "stats.h5")


def test_being_stuck_in_one_well_is_said():
    with pytest.warns(fp.ResolutionWarning, match="none of 100 paths ended in another well"):
        stats = fp.sample(WELL, 0.03, [-1.0], 0.02, 500, 100, histogram=fp.Grid([(-2, 2)], (20,)))
    assert "none of 100 paths" in repr(stats)
    regions = {"left": fp.HalfSpace([-1.0], 0.5), "right": fp.HalfSpace([1.0], 0.5)}
    stats = fp.sample(WELL, 0.03, [-1.0], 0.02, 500, 100, regions=regions)
    assert "no transition was seen" in stats.status
    assert stats.occupancy["right"].value == 0 < stats.occupancy["right"].error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fp.sample(WELL, 0.5, [0.0], 0.05, 4000, 100).status == "ok"


def test_a_run_too_short_for_its_memory_is_said():
    assert "correlation times" in fp.sample(WELL, 0.2, [0.0], 0.05, 300, 200).status


REFUSED = [
    (dict(theta=-0.1), "theta must not be negative"), (dict(theta=0), "gradient_flow"),
    (dict(theta=lambda t: 1.0), "one temperature"),
    (dict(dt=0), "dt must be positive"), (dict(dt=[0.1, 0.2]), "one time step"),
    (dict(n_steps=0), "n_steps must be at least 1"),
    (dict(n_paths=0), "n_paths must be at least 1"), (dict(x0=[0.0, 1.0]), "x0 must have shape"),
    (dict(x0=[np.nan]), "not finite"),
    (dict(scheme="leimkuhler"), "Did you mean 'leimkuhler-matthews'"), (dict(burn_in=400), "no snapshot"),
    (dict(burn_in=-1), "burn_in must be"),
    (dict(every=0), "every must be at least 1"), (dict(histogram=(10,)), "must be a Grid"),
    (dict(histogram=fp.Grid([(0, 1)] * 2, (2, 2))), "2 axes"), (dict(regions=[1]), "must be a dictionary"),
    (dict(regions={"a": 3}), "must be a Region"), (dict(regions={"a": fp.Ball([0, 0], 1)}), "2 coordinates"),
    (dict(observables=[abs]), "must be a dictionary"), (dict(resume=True), "needs checkpoint"),
    (dict(seed=1.5), "seed must be"),
    (dict(seed=None, checkpoint="a.h5"), "needs a seed"), (dict(checkpoint="no/such/folder/a.h5"),
                                                           "does not exist"),
    (dict(walls=fp.Walls([(-2, 2)], "absorbing"), scheme="euler-maruyama"), "absorbing walls"),
    (dict(checkpoint_every=0), "checkpoint_every"),
]


@pytest.mark.parametrize("wrong, sentence", REFUSED, ids=[s for _, s in REFUSED])
def test_wrong_arguments_are_refused_in_a_sentence(wrong, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError, OSError), match=sentence) as caught:
        fp.sample(WELL, **{**SHORT, **wrong})
    assert "\n" not in str(caught.value)


def test_a_time_dependent_potential_is_refused():
    with pytest.raises(ValueError, match="depends on t"):
        fp.sample(fp.Potential("x**2 + t*x", t=0.0), **SHORT)
