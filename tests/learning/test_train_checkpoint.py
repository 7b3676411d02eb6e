"""A training that was cut off goes on from its checkpoint to the same bits."""
import numpy as np
import pytest

from fpkit.core.runs.checkpoint import Checkpoint
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.training import train

PROBLEM = ModularAddition(modulus=5, width=4, fraction=0.8)


class Killed(BaseException):
    """What no `except` of the package stops, like a signal 9."""


def run(path=None, n_steps=203, **options):
    return train(PROBLEM, n_steps, check_every=10, save_every=50, checkpoint=path, checkpoint_every=1e9,
                 **options)


def is_same(a, b):
    return (np.array_equal(a.x, b.x) and np.array_equal(a.steps, b.steps)
            and all(np.array_equal(a.history[name], b.history[name]) for name in b.history)
            and np.array_equal(a.saved_steps, b.saved_steps) and np.array_equal(a.checkpoints, b.checkpoints)
            and (a.t_memorised, a.t_grokked) == (b.t_memorised, b.t_grokked))


@pytest.mark.parametrize("options", [{}, {"optimiser": "sgd", "batch": 4, "momentum": 0.9}])
@pytest.mark.parametrize("n", [1, 57, 200])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, monkeypatch, options, n):
    path, save, asked = tmp_path / "state.h5", Checkpoint.save, []

    def is_due(self):
        asked.append(1)
        return len(asked) == n

    def saved(self, arrays):
        save(self, arrays)
        raise Killed
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoint, "is_due", property(is_due))
        patch.setattr(Checkpoint, "save", saved)
        run(path, **options)
    assert is_same(run(path, **options), run(**options))


def test_ctrl_c_and_a_longer_training_leave_no_trace(tmp_path):
    path, asked = tmp_path / "state.h5", []

    def is_stopped():
        asked.append(1)
        return len(asked) > 77
    assert run(path, is_stopped=is_stopped).status.startswith("stopped")
    assert is_same(run(path), run())
    assert is_same(run(path, n_steps=256), run(n_steps=256))
    with pytest.raises(ValueError, match="at step 256 already"):
        run(path)
    with pytest.raises(ValueError, match="give one of them"):
        run(path, resume=run())
