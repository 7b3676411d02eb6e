"""Several solutions against each other."""
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.analysis.whole_space import beside_the_plane
from fpkit.landscapes.files.writing import write_landscape

V = fp.Potential("2*(x**2 - 1)**2 - 0.1*x + (1 + 0.8*tanh(3*x))*y**2")
POINTS = {"A": [-1.0, 0.0], "B": [1.0, 0.0]}
WALLS = {"A": lambda X: X[:, 0] < 0, "B": lambda X: X[:, 0] > 0}
THETA = (0.02, 0.1, 0.3)


def exact(theta, sign):
    """Nats of one side: y is integrated by hand."""
    x = np.linspace(0, sign * 4, 40001)
    f = 2 * (x**2 - 1)**2 - 0.1 * x
    w = np.exp(-(f - f.min()) / theta) * np.sqrt(np.pi * theta / (1 + 0.8 * np.tanh(3 * x)))
    return f.min() / theta - np.log(abs(np.trapezoid(w, x)))


@pytest.fixture(scope="module")
def found():
    return fp.compare_solutions(V, POINTS, THETA, inside=WALLS)


def test_differences_are_those_of_the_quadrature(found):
    for t in THETA:
        n = found.nats("A", "B", t)
        assert abs(n["whole"] - (exact(t, -1) - exact(t, 1))) < n["error"] < 0.1
        assert found.difference("B", "A", t).value == -found.difference("A", "B", t).value
        one = fp.well_free_energy(V, POINTS["A"], t, inside=WALLS["A"])
        assert found.wells[THETA.index(t)][0].value == pytest.approx(one.value, abs=one.error)


def test_depth_wins_in_the_cold_and_width_in_the_heat(found):
    assert [found.preferred(t) for t in THETA] == ["B", "B", "A"]
    (c,) = found.crossovers
    assert c.pair == ("B", "A") and c.low == 0.1 < c.theta < c.high == 0.3
    assert found.difference("A", "B", 0.1).status == "ok"
    with pytest.raises(ValueError, match="was not asked for"):
        found.preferred(0.7)


@pytest.fixture(scope="module")
def both():
    return fp.compare_solutions(V, POINTS, [0.02, 0.5], n_walkers=16)


def test_a_refusal_on_one_side_refuses_the_difference(both):
    assert both.preferred(0.5) is None and np.isnan(both.difference("A", "B", 0.5))
    assert "nan" not in repr(both)                      # without a plane its column holds dashes
    assert "is refused" in both.difference("A", "B", 0.5).status and both.preferred(0.02) == "B"
    text = repr(both)
    assert "refused" in text and "B is lowest" in text
    json.dumps(both.to_dict(), allow_nan=False)


def test_two_names_of_one_minimum_are_not_told_apart():
    both = fp.compare_solutions(V, {"A": [1.0, 0.0], "B": [1.05, 0.1]}, 0.02)
    d = both.difference("A", "B", 0.02)
    assert d.value == 0 and "one minimum" in d.status and both.preferred(0.02) is None


def test_workers_find_the_same_bits(found):
    with ThreadPoolExecutor(2) as pool:
        shared = fp.compare_solutions(V, POINTS, THETA, inside=WALLS, executor=pool)
    assert [[w.value for w in row] for row in shared.wells] == [[w.value for w in row] for row in found.wells]


def test_ctrl_c_keeps_what_is_done_and_the_checkpoint_goes_on(tmp_path, found):
    calls = [0]

    def f(X):
        calls[0] += 1
        if calls[0] == 2500:
            os.kill(os.getpid(), signal.SIGINT)
        return V(X), V.gradient(X)
    options = {"theta": THETA, "inside": WALLS, "checkpoint": tmp_path / "c.h5"}
    part = fp.compare_solutions(f, POINTS, **options)
    states = [w.status for row in part.wells for w in row]
    assert "Ctrl-C" in part.status and 0 < states.count("ok") < 6
    whole = fp.compare_solutions(f, POINTS, **options)
    assert whole.status == "ok" and np.allclose(*([[w.value for w in row] for row in c.wells]
                                                  for c in (whole, found)), rtol=1e-9)


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    x, y = np.linspace(-1.8, 1.8, 49), np.linspace(-1.5, 1.5, 41)
    path = tmp_path_factory.mktemp("plane") / "wells.h5"
    facts = {"kind": "through 2 solutions", "points": [[-1.0, 0.0], [1.0, 0.0]]}
    write_landscape(path, x, y, {"train_loss": V(np.stack(np.meshgrid(x, y), -1))}, meta={"plane": facts})
    return fp.analyse(path, theta=[0.02, 0.05], n_paths=2)


def test_the_plane_stands_beside_the_whole_space(found, plane):
    """Here the plane is the whole space, so they agree."""
    if not plane.solutions:
        pytest.skip("the file does not keep its solutions")
    both = fp.compare_solutions(V, POINTS, THETA, inside=WALLS, against_plane=plane)
    for t in THETA:
        n = both.nats("A", "B", t)
        assert abs(n["plane"] - n["whole"]) < 0.1
    assert both.against_plane(0.02) == "agrees" and found.against_plane(0.02) == "no plane"
    with pytest.raises(TypeError, match="against_plane"):
        fp.compare_solutions(V, POINTS, THETA, inside=WALLS, against_plane=3)


def test_a_report_has_the_whole_space_beside_its_plane(tmp_path):
    """The plane is the whole space but for a third direction, in which A is the narrower."""
    def f(X):
        x, y, z = X.T
        k = 2 - 1.6 * np.tanh(3 * x)                              # wide at x = 1
        return (2 * (x * x - 1)**2 + 0.02 * x + y * y + k * z * z,
                np.stack([8 * x * (x * x - 1) + 0.02 - 4.8 / np.cosh(3 * x)**2 * z * z, 2 * y, 2 * k * z],
                         1))
    a, b = np.array([-1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])
    plane = fp.Plane.through(a, b, np.array([0.0, 1.0, 0.0]))
    at = tmp_path / "plane.h5"
    loss = lambda w: float(f(w[None])[0][0])
    box = dict(x=(*plane.box()[0], 33), y=(*plane.box()[1], 29))
    land = fp.export_landscape(at, loss, plane, **box, whole_space=(f, [0.05, 0.2]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plane.h5"]
    report = fp.analyse(land, theta=[0.02, 0.05], n_paths=2)
    rows = [w for w in report.whole_space if w.pair == ("A", "B")]
    assert [w.theta for w in rows] == [0.05, 0.2] and rows[0].plane < 0 < rows[0].nats
    assert rows[0].agreement == "disagree"
    said = [g for g in report.findings() if g.topic == "whole space"]
    assert said and "they disagree" in said[0].sentence and said[0].trust == "firm"
    assert report.to_dict()["whole_space"][0]["agreement"] == "disagree"
    without = fp.analyse(fp.export_landscape(tmp_path / "b.h5", loss, plane, **box), theta=[0.05], n_paths=2)
    (open_,) = [g for g in without.findings() if g.topic == "whole space"]
    assert open_.trust == "open" and "was not given the model" in open_.sentence
    with pytest.raises(TypeError, match="whole_space"):
        fp.export_landscape(tmp_path / "c.h5", loss, plane, **box, whole_space=3)


@pytest.mark.parametrize("text", [3, {"rows": 3},
                                  {"rows": [3, {}, {"theta": "x", "pair": [1, 2], "status": 1}]},
                                  {"rows": [{"theta": -1, "pair": ["A", "B"], "status": "ok", "nats": None,
                                             "error": None}]}])
def test_foreign_text_in_a_file_says_nothing(text):
    known = [("A", np.zeros(2), 1), ("B", np.ones(2), 2)]
    assert beside_the_plane(text, known, lambda theta: np.zeros(2)) == ()


def test_bad_sets_of_solutions_are_refused():
    for given, words in (([1, 2], "dictionary"), ({"A": [0.0, 0.0]}, "two or more"),
                         ({"A": [0.0, 0.0], "B": [0.0]}, "different numbers")):
        with pytest.raises((TypeError, ValueError), match=words):
            fp.compare_solutions(V, given, 0.1)
    with pytest.raises(ValueError, match="a wall for each"):
        fp.compare_solutions(V, POINTS, 0.1, inside={"A": WALLS["A"]})


def test_the_figure_shows_differences_and_refusals(both):
    (axes,) = fp.plot(both).axes
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert "whole space" in labels and "harmonic" in labels and "refused" in labels
