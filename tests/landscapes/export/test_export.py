"""Exporting: the file, the order, resuming, executors, and what is refused."""
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.export.export import coarse_to_fine, journal

W = np.arange(6.0)
PLANE = fp.Plane.through(W, W + [2, 0, 0, 0, 0, 0], W + [1, 2, 0, 0, 0, 0], orthonormal=False)
BOX = {"x": (-1, 1, 9), "y": (-1, 2, 7)}


def loss(w):
    """No symmetry; the test loss is the training loss of a shifted point."""
    return {"train_loss": float(np.cos(w[0]) + 0.1 * w[1] ** 2 + w[2]),
            "test_loss": float(np.cos(w[0] + 0.1) + 0.1 * w[1] ** 2), "train_acc": 50.0, "test_acc": 40.0}


def counted(calls):
    def f(w):
        calls.append(w)
        return loss(w)
    return f


def surface(name="train_loss"):
    x, y = np.linspace(-1, 1, 9), np.linspace(-1, 2, 7)
    return np.array([[loss(PLANE.at([a, b]))[name] for a in x] for b in y])


class Stop(BaseException):
    """As a kill would come, from outside of everything."""


def stopping_after(n):
    calls = []

    def f(w):
        if len(calls) == n:
            raise Stop
        calls.append(1)
        return loss(w)
    return f


def test_a_disk_that_is_full_for_a_moment_costs_no_record(tmp_path, monkeypatch):
    """A write that takes half of a record must not hide those after it."""
    values = [1.0, 2.0]
    book = journal.Journal(tmp_path / "a.journal", {"names": ["a", "b"]})
    book.append(0, 0, values)
    before = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: before(handle, data[:len(data) // 2]))
    with pytest.raises(OSError, match="No space"):
        book.append(1, 0, values)
    monkeypatch.undo()
    book.append(2, 0, values)
    book.close()
    assert journal.read(tmp_path / "a.journal")[1] == [(0, 0, values), (2, 0, values)]


def test_the_file_holds_the_values_the_metric_and_what_was_done(tmp_path):
    land = fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX, meta={"model": "none"})
    assert np.array_equal(land.loss, surface()) and np.array_equal(land.test_loss, surface("test_loss"))
    assert np.array_equal(land.gram, PLANE.gram) and land.warnings == () and not land.axis_order_assumed
    assert (land.meta["meta"]["model"] == "none" and land.meta["meta"]["plane"]["kind"] == "through 3 "
            "solutions")
    assert os.listdir(tmp_path) == ["a.h5"]
    with h5py.File(tmp_path / "a.h5") as f:
        a = f.attrs
        assert (a["format"], a["format_version"], a["axis_order"], a["complete"],
                a["n_params"]) == ("fpkit-landscape", "1.0", "yx", 1, 6)
        assert len(a["created_utc"]) == 10 and f["fpkit/origin_norm"][()] == np.linalg.norm(W)
        assert np.array_equal(f["fpkit/directions/y"],
                              PLANE.directions[1]) and (f["fpkit/status"][...] == 1).all()


def test_a_number_is_a_training_loss_and_the_default_box_holds_the_solutions(tmp_path):
    land = fp.export_landscape(tmp_path / "a.h5", lambda w: float(w @ w), fp.Plane.line(W, W + 1))
    assert (land.ndim == 1 and land.shape == (51,) and land.key == "train_loss"
            and land.gram == pytest.approx(np.eye(1)))
    length = np.sqrt(6)
    assert (land.x[0], land.x[-1]) == pytest.approx((-length / 4, 1.25 * length))


def test_every_prefix_of_the_order_is_a_nested_grid():
    shape = (9, 13)
    order = coarse_to_fine(shape)
    assert sorted(order) == list(range(117))
    index = np.stack(np.unravel_index(order, shape), axis=1)
    for stride in (8, 4, 2, 1):
        inside = (index % np.minimum(stride, [8, 8]) == 0).all(axis=1)
        assert inside[:inside.sum()].all()


def test_trajectories_are_projected_with_the_metric(tmp_path):
    checkpoints = [PLANE.at([0.5, 0.25]), PLANE.at([0.1, 0.2]) + [0, 0, 0, 3, 0, 0], W]
    land = fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX, trajectory=checkpoints,
                               steps=[0, 10, 20])
    assert land.trajectory == pytest.approx(np.array([[0.5, 0.25], [0.1, 0.2], [0, 0]]),
                                            abs=1e-14) and land.trajectory_steps.tolist() == [0, 10, 20]
    with h5py.File(tmp_path / "a.h5") as f:
        t = f["fpkit/trajectory"]
        assert t["loss"][...].tolist() == [loss(c)["train_loss"] for c in checkpoints]
        v = checkpoints[1] - W
        assert t["residual"][...] == pytest.approx([0, 3 / np.linalg.norm(v), 0], abs=1e-15)
        assert np.array_equal(f["proj_xcoord"], t["x"])


def test_losses_of_minibatches_give_a_standard_error(tmp_path):
    batches = np.array([1.0, 3.0, 2.0, 2.0])
    land = fp.export_landscape(tmp_path / "a.h5", lambda w: {"train_loss": w[0] + batches,
                                                             "test_loss": w[0] + batches}, PLANE, **BOX)
    assert land.loss_stderr == pytest.approx(np.full(land.shape, batches.std(ddof=1) / 2))
    assert land.loss[0, 0] == pytest.approx(PLANE.at([-1, -1])[0] + 2)


def test_a_value_that_is_not_finite_is_a_result(tmp_path):
    calls = []

    def f(w):
        calls.append(1)
        return {"train_loss": np.inf if w[0] > 1 else w[0], "test_loss": np.nan}
    land = fp.export_landscape(tmp_path / "a.h5", f, PLANE, **BOX)
    assert (land.n_diverged > 0 and land.n_unfinished == 0
            and np.isnan(land.stored["train_loss"][land.diverged]).all())
    fp.export_landscape(tmp_path / "a.h5", f, PLANE, **BOX)
    assert len(calls) == 63


def test_further_names_are_kept_beside_the_surfaces(tmp_path):
    fp.export_landscape(tmp_path / "a.h5", lambda w: {"train_loss": w[0], "max_eig": w[1]}, PLANE, **BOX)
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["max_eig"].shape == (7, 9) and f["max_eig"][0, 0] == PLANE.at([-1, -1])[1]


def test_what_the_loss_tells_of_the_hessian_goes_where_the_schema_puts_it(tmp_path):
    land = fp.export_landscape(tmp_path / "a.h5", lambda w: {"train_loss": w[0], "logdet_perp": w[1],
                                                             "hessian_trace": w[2]}, PLANE, **BOX)
    assert land.logdet_perp[0, 0] == PLANE.at([-1, -1])[1] and "fpkit/hessian/trace" in land.others
    again = fp.read_landscape(land.save(tmp_path / "b.h5"))
    assert (np.array_equal(again.logdet_perp, land.logdet_perp)
            and np.array_equal(again.others["fpkit/hessian/trace"], land.others["fpkit/hessian/trace"]))
    with h5py.File(tmp_path / "b.h5") as f:
        assert np.array_equal(f["fpkit/directions/x"], PLANE.directions[0])


# ---- interruption ----

@pytest.mark.parametrize("n", [0, 1, 2, 30, 62, 64])
def test_a_stopped_job_goes_on_to_the_same_bytes(tmp_path, n):
    options = {**BOX, "trajectory": [W + 1, W]}
    fp.export_landscape(tmp_path / "whole.h5", loss, PLANE, **options)
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(n), PLANE, **options)
    calls = []
    fp.export_landscape(tmp_path / "a.h5", counted(calls), PLANE, **options)
    assert len(calls) == 65 - n and (tmp_path / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "whole.h5"]


@pytest.mark.parametrize("lost", ["journal", "file"])
def test_either_the_file_or_the_journal_is_enough_to_resume(tmp_path, lost):
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(40), PLANE, **BOX)
    (tmp_path / ("a.h5.journal" if lost == "journal" else "a.h5")).unlink()
    calls = []
    land = fp.export_landscape(tmp_path / "a.h5", counted(calls), PLANE, **BOX)
    assert len(calls) == 23 and np.array_equal(land.loss, surface())


def test_an_interrupted_export_is_a_landscape_of_fewer_samples(tmp_path):
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(30), PLANE, **BOX)
    land = fp.read_landscape(tmp_path / "a.h5")
    assert land.n_unfinished == 33 and land.refusal and land.valid[::2, ::2].all()


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b[:-40] + b"x" * 40, lambda b: b + b"rubbish",
                                    lambda b: b[:10], lambda b: b""])
def test_a_damaged_journal_is_read_to_its_last_good_record(tmp_path, damage):
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(40), PLANE, **BOX)
    (tmp_path / "a.h5").unlink()
    book = tmp_path / "a.h5.journal"
    book.write_bytes(damage(book.read_bytes()))
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(10), PLANE, **BOX)
    (tmp_path / "a.h5").unlink()
    assert np.array_equal(fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX).loss, surface())


@pytest.mark.parametrize("change", [{"x": (-1, 1, 10)}, {"plane": fp.Plane.through(W, W + 1, W - W)},
                                    {"meta": {"seed": 2}}, {"trajectory": [W]}])
def test_another_job_is_refused_until_told_to_overwrite(tmp_path, change):
    options = {"plane": PLANE, **BOX}
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(10), **options)
    for present in (["a.h5", "a.h5.journal"], ["a.h5.journal"]):
        for name in set(os.listdir(tmp_path)) - set(present):
            (tmp_path / name).unlink()
        with pytest.raises(ValueError, match="belongs to another export"):
            fp.export_landscape(tmp_path / "a.h5", loss, **{**options, **change})
    assert fp.export_landscape(tmp_path / "a.h5", loss, **{**options, **change},
                               overwrite=True).n_unfinished == 0


def test_a_foreign_file_is_not_written_over(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"a thesis")
    with pytest.raises(ValueError, match="cannot be resumed"):
        fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX)
    assert (tmp_path / "a.h5").read_bytes() == b"a thesis"


def test_two_writers_of_one_journal_are_refused(tmp_path):
    header = {"config": "x", "names": ["train_loss"]}
    first = journal.Journal(str(tmp_path / "a.journal"), header)
    with pytest.raises(ValueError, match="another process is writing"):
        journal.Journal(str(tmp_path / "a.journal"), header)
    first.close()
    journal.Journal(str(tmp_path / "a.journal"), header).close()


def test_shares_are_computed_apart_and_gathered(tmp_path):
    for k in (2, 0):
        assert fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX, share=(k, 3)) is None
    assert sorted(os.listdir(tmp_path)) == ["a.h5.journal.0", "a.h5.journal.2"]
    calls = []
    land = fp.export_landscape(tmp_path / "a.h5", counted(calls), PLANE, **BOX)
    assert len(calls) == 21 and np.array_equal(land.loss, surface()) and os.listdir(tmp_path) == ["a.h5"]


# ---- failures and workers ----

def test_an_exception_of_the_loss_ends_the_job_or_is_recorded(tmp_path):
    def f(w):
        if w[1] > 2:
            raise RuntimeError("no memory")
        return loss(w)
    with pytest.raises(RuntimeError, match="no memory"):
        fp.export_landscape(tmp_path / "a.h5", f, PLANE, **BOX)
    land = fp.export_landscape(tmp_path / "a.h5", f, PLANE, **BOX, on_error="record")
    with h5py.File(tmp_path / "a.h5") as h:
        assert ((h["fpkit/status"][...] == 3)
                == land.diverged).all() and land.diverged.any() and land.n_unfinished == 0
    with pytest.raises(ValueError, match="failed at every point; the first reason: ZeroDivisionError"):
        fp.export_landscape(tmp_path / "b.h5", lambda w: 1 / 0, PLANE, **BOX, on_error="record")


def test_threads_give_the_same_bytes(tmp_path):
    fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX)
    with ThreadPoolExecutor(3) as pool:
        with pytest.raises(ValueError, match="threads share one model"):
            fp.export_landscape(tmp_path / "b.h5", loss, PLANE, **BOX, executor=pool)
        fp.export_landscape(tmp_path / "b.h5", loss, PLANE, **BOX, executor=pool, thread_safe=True)
    with pytest.raises(TypeError, match="return one number, or a dict"):
        fp.export_landscape(tmp_path / "c.h5", lambda w: (0.3, 95.0), PLANE, **BOX)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_worker_processes_give_the_same_bytes(tmp_path):
    from functools import partial

    f = partial(np.dot, W)                                       # importable in a fresh process
    fp.export_landscape(tmp_path / "a.h5", f, PLANE, **BOX)
    fp.export_landscape(tmp_path / "b.h5", f, PLANE, **BOX, workers=2)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("change, error, words", [
    ({"loss": 3}, TypeError, "must be a function"),
    ({"plane": "xy"}, TypeError, "fpkit.Plane"),
    ({"loss": lambda w: {"accuracy": 1}}, ValueError, "train_loss or test_loss"),
    ({"loss": lambda w: {"train_loss": 1, "xcoordinates": 2}}, ValueError, "none of the file's own"),
    ({"loss": lambda w: "low"}, TypeError, "expected a number"),
    ({"loss": lambda w: np.ones((2, 2))}, ValueError, "shape \\(2, 2\\)"),
    ({"loss": lambda w: 1.0, "workers": 2}, ValueError, "cannot be sent"),
    ({"x": (1, -1, 5)}, ValueError, "lower to a higher"),
    ({"x": (0, 1)}, ValueError, "number of samples"),
    ({"z": (0, 1, 5)}, ValueError, "only 2 direction"),
    ({"y": [0.0, 0.0]}, ValueError, "increasing"),
    ({"steps": [1]}, ValueError, "0 whole numbers"),
    ({"meta": {"a": {1, 2}}}, ValueError, "JSON"),
    ({"share": (3, 3)}, ValueError, "counts from 0"),
    ({"path": "missing/a.h5"}, FileNotFoundError, "does not exist"),
])
def test_wrong_input_is_refused_and_writes_nothing(tmp_path, monkeypatch, change, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        fp.export_landscape(**{"path": "a.h5", "loss": loss, "plane": PLANE, **BOX, **change})
    assert os.listdir(tmp_path) == []


def test_names_must_be_the_same_everywhere(tmp_path):
    names = iter([{"train_loss": 1.0}, {"train_loss": 1.0, "test_loss": 2.0}])
    with pytest.raises(ValueError, match="returned train_loss, test_loss after train_loss"):
        fp.export_landscape(tmp_path / "a.h5", lambda w: next(names), PLANE, **BOX)


def test_the_description_is_strict_json(tmp_path):
    fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX)
    with h5py.File(tmp_path / "a.h5") as f:
        assert json.loads(f["fpkit/meta"][()])["plane"]["directions_as_given"] == [[1, 0], [0, 1]]


def test_other_peoples_plotters_find_what_they_look_for(tmp_path):
    # what plot_2d_contour, h52vtp and plot_1d_loss_err of tomgoldstein/loss-landscape do with a file
    fp.export_landscape(tmp_path / "a.h5", loss, PLANE, **BOX)
    with h5py.File(tmp_path / "a.h5") as f:
        A, B = np.meshgrid(f["xcoordinates"][:], f["ycoordinates"][:][:])
        assert np.array(f["train_loss"][:]).shape == A.shape == B.shape
        for a, b, z in zip(A.ravel(), B.ravel(), f["train_loss"][:].ravel()):
            assert z == loss(PLANE.at([a, b]))["train_loss"]
        assert not (f["train_loss"][:] == -1).any() and np.count_nonzero(np.isnan(f["train_acc"][:])) == 0
    fp.export_landscape(tmp_path / "b.h5", loss, fp.Plane.line(W, W + 1), x=(-1, 1, 5))
    with h5py.File(tmp_path / "b.h5") as f:
        assert all(f[name][:].shape == (5,) for name in ("xcoordinates", "train_loss", "train_acc",
                                                         "test_loss", "test_acc"))


def test_a_space_of_three_directions_is_exported(tmp_path):
    plane = fp.Plane.through(W, W + [1, 0, 0, 0, 0, 0], W + [0, 2, 0, 0, 0, 0], W + [0, 0, 3, 0, 0, 0])
    land = fp.export_landscape(tmp_path / "a.h5", loss, plane, x=(-1, 1, 5), y=(-1, 2, 4), z=(0, 1, 3),
                               trajectory=[W])
    assert land.shape == (3, 4, 5) and land.loss[2, 1, 3] == loss(plane.at([land.x[3], land.y[1],
                                                                            land.z[2]]))["train_loss"]
    assert (land.trajectory.tolist() == [[0, 0, 0]] and land.gram == pytest.approx(np.eye(3))
            and not land.axis_order_assumed)


def test_an_interrupted_export_is_read_on_its_coarse_grid(tmp_path):
    with pytest.raises(Stop):
        fp.export_landscape(tmp_path / "a.h5", stopping_after(30), PLANE, **BOX)
    land = fp.read_landscape(tmp_path / "a.h5")
    assert "every=2" in land.refusal
    coarse = fp.read_landscape(tmp_path / "a.h5", every=2)
    assert coarse.refusal is None and np.array_equal(coarse.loss, surface()[::2, ::2])


@pytest.mark.slow
def test_a_hundred_kills_end_in_the_same_bytes():
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    import validation

    verdict = validation.load("export_kills").run()
    assert verdict.outcome == "holds", verdict
