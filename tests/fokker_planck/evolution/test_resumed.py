"""Evolutions that were cut off go on from their checkpoint to the same bits."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.core.runs.checkpoint import Checkpoint

TIMES = [0.05, 1.0, 50.0]


class Killed(BaseException):
    """What no `except` of the package stops, like a signal 9."""


def evolution(path=None, theta=0.2, **options):
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 0.1*x"), theta, fp.Grid([(-2, 2)], 64))
    return D.evolve([-1.0], TIMES, checkpoint=path, checkpoint_every=1e9, progress=False, **options)


def killed_after(monkeypatch, n):
    """The n-th state is the first that is written, and the last."""
    save, asked = Checkpoint.save, []

    def is_due(self):
        asked.append(self.path)
        return len(asked) == n

    def saved(self, arrays):
        save(self, arrays)
        raise Killed
    monkeypatch.setattr(Checkpoint, "is_due", property(is_due))
    monkeypatch.setattr(Checkpoint, "save", saved)


def is_same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in (
        "times", "densities", "mass", "space_error", "time_error", "relative_entropy")) and a.steps == b.steps


@pytest.mark.parametrize("options", [{}, {"tol": 1e-4, "positive": True}, {"n_steps": 20},
                                     {"theta": lambda t: 0.2 + 0.1 / (1 + t), "tol": 1e-3}])
@pytest.mark.parametrize("n", [1, 9, 40])
def test_a_killed_evolution_goes_on_to_the_same_bits(tmp_path, monkeypatch, options, n):
    path = tmp_path / "state.h5"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, min(n, 3) if "n_steps" in options else n)
        evolution(path, **options)
    assert is_same(evolution(path, **options), evolution(**options))


def test_a_finished_evolution_is_read_from_its_file(tmp_path, monkeypatch):
    path = tmp_path / "state.h5"
    first = evolution(path)
    assert {"state.h5", "state.h5.half", "state.h5.quarter"} <= {p.name for p in tmp_path.iterdir()}
    monkeypatch.setattr("fpkit.fokker_planck.evolution.stepping.StepControl.advance", None)
    assert is_same(evolution(path), first)


def test_the_file_of_another_evolution_is_refused(tmp_path):
    path = tmp_path / "state.h5"
    evolution(path)
    with pytest.raises(ValueError, match="another|other"):
        evolution(path, theta=0.3)
    with pytest.raises(ValueError, match="resume=True needs checkpoint"):
        evolution(resume=True)
