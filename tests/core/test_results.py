import json
import math
import pickle

import numpy as np
import pytest

import fpkit as fp
from fpkit.core.results import with_error


def test_an_estimate_is_a_float():
    a = fp.Estimate(0.25, 0.01, "test")
    assert a + 1 == 1.25 and math.sqrt(a) == 0.5 and np.isclose(a, 0.25) and isinstance(a, float)


def test_an_estimate_does_not_change():
    a = fp.Estimate(1.0, 0.1, "test")
    with pytest.raises(AttributeError, match="does not change"):
        a.error = 0.0


def test_an_estimate_keeps_a_value_that_underflows():
    a = fp.Estimate(0.0, 0.0, "test", log10=-5000.0)
    assert a.log10 == -5000 and repr(a) == "10^-5000.0000 (test)"


def test_an_estimate_survives_pickling_and_json():
    a = pickle.loads(pickle.dumps(fp.Estimate(2.0, 0.5, "test", inputs={"seed": 1})))
    assert a == 2 and a.error == 0.5 and a.inputs == {"seed": 1}
    assert json.loads(json.dumps(fp.Estimate(math.nan, math.inf, "test").to_dict(),
                                 allow_nan=False))["value"] is None


@pytest.mark.parametrize("value, error, text", [
    (1.23456, 0.0123, "1.235 +- 0.012"), (0.5, 1e-15, "0.5 +- 1.0e-15"),
    (3e-20, 2e-22, "3.000e-20 +- 2.0e-22"),
    (12345.0, 30.0, "12345 +- 30"), (0.0, 0.2, "0.00 +- 0.20"), (2.0, 0.0, "2 +- 0")])
def test_a_number_is_shown_to_the_place_of_its_error(value, error, text):
    assert with_error(value, error) == text


def test_a_field_is_interpolated_with_an_error_that_holds():
    grid = fp.Grid([(0, 1), (0, 2)], shape=(40, 60))
    x, y = np.moveaxis(grid.points, -1, 0)
    f = fp.Field(np.sin(3 * x) * np.cos(y), grid, "wave")
    for point in np.random.default_rng(0).uniform([0.05, 0.05], [0.95, 1.95], (50, 2)):
        e = f.at(point)
        assert abs(e - math.sin(3 * point[0]) * math.cos(point[1])) <= e.error + 1e-12


def test_a_field_refuses_points_outside():
    f = fp.Field(np.ones(10), fp.Grid([(0, 1)], 10))
    with pytest.raises(ValueError, match="outside the grid"):
        f.at([2.0])
