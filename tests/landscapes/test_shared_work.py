"""Landscapes and learners shared among workers: the same answers."""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.writing import write_landscape
from fpkit.learning.sweep import sweep


@pytest.fixture
def two_wells(tmp_path):
    x, y = np.linspace(-1.5, 1.5, 21), np.linspace(-1, 1, 15)
    return write_landscape(tmp_path / "two.h5", x, y, {"train_loss": (x**2 - 1)**2 + 0.2*x + y[:, None]**2})


def test_rates_of_temperatures_and_files_come_from_workers(two_wells):
    alone = fp.analyse(two_wells, theta=[0.05, 0.1], n_paths=2)
    with ThreadPoolExecutor(2) as executor:
        shared = fp.analyse(two_wells, theta=[0.05, 0.1], n_paths=2, executor=executor)
        both = fp.compare_landscapes([two_wells, shared], executor=executor)
    for a, b in zip(alone.rates, shared.rates):
        np.testing.assert_array_equal(a.log10_rate, b.log10_rate)
    assert len(both.reports) == 2 and both.reports[1] is shared


def test_a_sweep_of_trainings_comes_from_workers():
    setting = {"values": (0.9, 0.7), "n_seeds": 2, "n_steps": 200, "modulus": 7, "width": 16}
    with ThreadPoolExecutor(2) as executor:
        shared = sweep(**setting, executor=executor)
    alone = sweep(**setting)
    np.testing.assert_array_equal(shared.t_memorised, alone.t_memorised)
    np.testing.assert_array_equal(shared.histories[0]["test_loss"], alone.histories[0]["test_loss"])


def test_an_export_loses_nothing_with_a_worker(tmp_path):
    plane = fp.Plane.random(np.ones(3), seed=1)

    def loss(w):
        import os
        import signal
        flag = tmp_path / "died"
        if multiprocessing.parent_process() is not None and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float((w**2).sum())
    box = {"x": (-1, 1, 6), "y": (-1, 1, 5)}
    pytest.importorskip("cloudpickle")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
        shared = fp.export_landscape(tmp_path / "a.h5", loss, plane, **box, executor=executor)
    alone = fp.export_landscape(tmp_path / "b.h5", loss, plane, **box)
    assert (tmp_path / "died").exists() and np.array_equal(shared.loss, alone.loss)
