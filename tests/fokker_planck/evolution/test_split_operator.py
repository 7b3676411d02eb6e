"""Split steps on lines."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.evolution.problem import Problem


@pytest.mark.parametrize("mode", [0, 1])
def test_planes_in_the_cache_take_the_same_steps(mode):
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 2*y**2 + 0.3*x*y + z**2 + 0.2*y*z"), 0.2,
                        fp.Grid([(-2, 2)] * 3, (9, 20, 35)))
    lines = Problem(D).lines(4)
    start = np.exp(-np.linspace(-2, 2, lines.b.size) ** 2)
    whole, by_axis = start.copy(), start.copy()
    lines.is_parallel = True
    lines.strang(whole, 0.05, 2, mode)
    for axis, dt in ((0, 0.025), (1, 0.025), (2, 0.05), (1, 0.025), (0, 0.05), (1, 0.025), (2, 0.05),
                     (1, 0.025), (0, 0.025)):
        lines.sweep(by_axis, axis, dt, mode)
    assert np.array_equal(whole, by_axis)
