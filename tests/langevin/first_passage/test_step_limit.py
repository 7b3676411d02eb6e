"""The limit of small time steps: its interval holds what the extrapolation adds."""
import math

import pytest

from fpkit.langevin.first_passage.results import PassageEstimate, limit_of_steps


@pytest.mark.parametrize("order", [0.5, 1, 2])
@pytest.mark.parametrize("bias", [0.3, -0.2])
def test_the_interval_of_a_limit_is_wider_by_the_whole_extrapolation(order, bias):
    """Without the shift the interval of (a, b) would be the noise alone; with it the value at dt/2 lies inside too."""
    truth, half = 2.0, 0.01
    make = lambda value: PassageEstimate(value, (value - half, value + half), "a run", None, "ok", {}, standard_error=half / 2)
    coarse, fine = make(truth + bias), make(truth + bias / 2.0**order)
    value, (low, high), _, shift = limit_of_steps(coarse, fine, order)
    factor = 1 / (2.0**order - 1)
    noise = math.hypot((1 + factor) * half, factor * half)
    assert value == pytest.approx(truth)
    assert shift == pytest.approx(abs(bias) / 2.0**order)
    assert high - value == pytest.approx(noise + shift) and value - low == pytest.approx(noise + shift)
    assert low < fine.value < high
