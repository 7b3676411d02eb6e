"""The table of rates: all routes to one number, what they refuse, and how the table travels."""
import dataclasses
import json
import math
import os
import re
import signal

import numpy as np
import pytest

import fpkit as fp
from fpkit.rates.table import FORMULAS

EXACT = ("rate", "mfpt", "gap", "exit-rate", "free-energy")
FAST = (*EXACT, "eyring-kramers", "next-order", "resummed", "integral", "network")


@pytest.fixture(scope="module")
def line_table():
    return fp.compare_rates(fp.catalogue.double_well(), [-1], [1], theta=[1 / 3, 0.2, 0.1, 0.05, 0.02, 0.002],
                            methods=FAST)


def test_all_routes_agree_within_their_stated_errors_from_3_to_500_theta(line_table):
    assert line_table.agrees.all() and line_table.barrier == pytest.approx(1.0)
    assert line_table.references[1:] == ("rate",) * 5 and line_table["rate"][-1].log10 == pytest.approx(
        -217.193, abs=1e-3)


def test_the_public_constants_are_the_cells(line_table):
    k = line_table.theta.tolist().index(0.1)
    assert 1 / line_table["mfpt"][k] == pytest.approx(25527.09136429, rel=1e-9)
    assert line_table["gap"][k] == pytest.approx(7.835709199892175e-05 / 2, rel=1e-9)


def test_the_measured_slope_is_the_next_order(line_table):
    limit = line_table.slope_at_zero
    assert abs(limit - 0.375) < limit.error < 0.05
    fit = line_table.arrhenius
    assert abs(fit.barrier - 1) < fit.barrier.error < 0.05 and abs(fit.prefactor - math.sqrt(8) / math.pi
                                                                   / 1) < 3 * fit.prefactor.error + 0.1


def test_two_dimensions_agree_too():
    V = fp.catalogue.coupled_double_well()
    table = fp.compare_rates(V, V.minima[0], V.minima[1], [0.2, 0.1, 0.02], methods=FAST,
                             grid=fp.Grid([(-1.9, 1.9), (-1.6, 1.6)], (48, 44)))
    assert table.agrees.all() and table.references == ("rate",) * 3
    difference = table.difference[:, table.methods.index("next-order")]
    assert np.abs(difference).max() < 0.03 and abs(difference[2]) < 2e-3
    assert table.slope_at_zero == pytest.approx(0.372, abs=0.05)  # c of the expansion, from the grid


def test_a_method_that_refuses_leaves_its_sentence_and_the_table_goes_on():
    V = fp.catalogue.flat_bottomed()
    table = fp.compare_rates(V, V.minima[0], V.minima[1], [0.1, 0.05], methods=FAST)
    for k in range(2):
        e = table["eyring-kramers"][k]
        assert math.isnan(e) and "flat" in e.status and table.guards[
            k].action == "refuse" and "flat-well" in table.guards[k].codes
        assert table["free-energy"][k] == pytest.approx(table["rate"][k], rel=1e-3)
    text = repr(table)
    assert "[a]" in text and "free-energy" in text and max(map(len, text.splitlines()[:8])) <= 120


def test_wells_behind_each_other_are_told_and_left_to_the_network():
    V = fp.catalogue.triple_well()
    table = fp.compare_rates(V, V.minima[0], V.minima[2], [0.05], methods=FAST)
    assert "series" in table.guards[0].codes and "wells" in table["gap"][0].status
    assert not table.evidence[0][table.methods.index("eyring-kramers")]
    assert table.difference[0][table.methods.index("network")] == pytest.approx(
        0, abs=0.05) and table.agrees.all()


def test_a_soft_saddle_is_named_and_integrated():
    V = fp.Potential("x**6 - 1.5*x**4")
    table = fp.compare_rates(V, [-1], [1], [0.02, 0.01], methods=FAST, grid=fp.Grid([(-1.7, 1.7)], 100))
    assert "flat-saddle" in table.guards[0].codes and all(math.isnan(e) for e in table["eyring-kramers"])
    assert abs(table.difference[1][table.methods.index("integral")]) < 0.03 and table.agrees.all()


def test_regions_are_sources_and_targets():
    V = fp.catalogue.double_well()
    table = fp.compare_rates(V, fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0), 0.1,
                             methods=["rate", "mfpt", "eyring-kramers"])
    assert 1 / table["mfpt"][0] == pytest.approx(25527.09136429,
                                                 rel=1e-9) and table.barrier == pytest.approx(1)
    half = fp.compare_rates(V, [-1], fp.HalfSpace([1], 0.0), 0.1, methods=["mfpt"])["mfpt"][0]
    assert half == pytest.approx(1 / 12762.67562715, rel=1e-9)  # at the saddle half of the arrivals recross


def test_the_chain_of_ten_has_a_table_without_a_grid():
    V = fp.catalogue.quartic_chain(d=10)
    near = min((s for s in V.saddles if 0 in s.between), key=lambda s: s.value)
    other = near.between[1] if near.between[0] == 0 else near.between[0]
    table = fp.compare_rates(V, V.minima[0], V.minima[other], [0.02, 0.01, 0.005],
                             methods=["eyring-kramers", "next-order", "network", "rate"])
    assert all("grid" in e.status for e in table["rate"])
    assert all(np.isfinite(e.log10) for e in table["network"])


def test_tables_travel_as_json_and_hdf5(line_table, tmp_path):
    path = tmp_path / "table.h5"
    line_table.save(path)
    back = fp.RatesTable.load(path)
    assert repr(back) == repr(line_table) and back.inputs == line_table.inputs
    np.testing.assert_array_equal(back.log10, line_table.log10)
    plain = json.loads(json.dumps(line_table.to_dict(), allow_nan=False))
    assert plain["cells"]["rate"][2]["value"] == line_table["rate"][2].value and plain["references"][
        0] is not None
    with pytest.raises(ValueError, match="no .*rates table"):
        import h5py
        with h5py.File(tmp_path / "other.h5", "w"):
            pass
        fp.RatesTable.load(tmp_path / "other.h5")


def test_direct_paths_agree_where_they_can_wait():
    table = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.4], methods=["mfpt", "paths"],
                             n_paths=1500)
    assert np.isfinite(table["paths"][0].log10) and abs(table["paths"][0] / table["mfpt"][0]
                                                        - 1) < table["paths"][0].relative_error
    far = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.05], methods=["paths"])["paths"][0]
    assert "splitting" in far.status


@pytest.mark.parametrize("make, sentence", [
    (lambda V: fp.compare_rates(V, [-1], [-0.9], 0.1), "same well"),
    (lambda V: fp.compare_rates(V, [-1], [1], -0.1), "theta must be positive"),
    (lambda V: fp.compare_rates(V, [-1], [1], 0.1, methods=["gaps"]), "Did you mean 'gap'"),
    (lambda V: fp.compare_rates(V, [-1, 0], [1], 0.1), "source must have shape"),
    (lambda V: fp.compare_rates(V, [-1], [1], []), "one temperature or a list"),
    (lambda V: fp.compare_rates("x", [-1], [1], 0.1), "must be a Potential"),
    (lambda V: fp.compare_rates(V, fp.Ball([0, 0], 1), [1], 0.1), "2 coordinates"),
    (lambda V: fp.compare_rates(V, [-1], [1], 0.1, grid=fp.Grid([(-2, 2)] * 2, (10, 10))), "must agree")])
def test_wrong_questions_get_one_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        make(fp.catalogue.double_well())
    assert "\n" not in str(caught.value)


def test_formulas_never_judge_measurements(line_table):
    assert not set(line_table.references) & set(FORMULAS)


def test_figures_of_tables_and_pictures(line_table, tmp_path):
    made = fp.plot(line_table, tmp_path / "arrhenius.png")
    assert len(made.axes) == 2 and made.axes[1].get_xlabel().startswith("1/")
    V = fp.catalogue.three_hole()
    picture = fp.transition_picture(V, 0.4, V.minima[0], V.minima[1], grid=fp.Grid(V.box, (40, 44)))
    assert fp.plot(picture).axes[0].get_xlabel() == "x" and "transition" in repr(picture)
    with pytest.raises(ValueError, match="picture is of a plane"):
        fp.transition_picture(fp.catalogue.double_well(), 0.1, [-1], [1])


def test_the_command_prints_the_table_and_its_json(capsys, tmp_path):
    from fpkit.cli import main
    words = ["rates", "double_well", "--from", "-1", "--to", "halfspace", "1", "1.0", "--theta", "0.2", "0.1",
             "--methods", "mfpt", "eyring-kramers"]
    assert main([*words, "-o", str(tmp_path / "t.h5"), "--figure", str(tmp_path / "t.svg")]) == 0
    assert "eyring-kramers" in capsys.readouterr().out and fp.RatesTable.load(tmp_path / "t.h5").methods == (
        "mfpt", "eyring-kramers")
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 1 / told["cells"]["mfpt"][1]["value"] == pytest.approx(25527.09136429, rel=1e-9)
    assert main(["rates", "double_well", "--from", "disc", "1", "--to", "1", "--theta", "0.1"]) == 2
    assert capsys.readouterr().err.startswith("fpkit: --from takes a point or one of")
    assert main(["rates", "double_well", "--from", "ball", "1", "--to", "1", "--theta", "0.1"]) == 2
    assert "takes 2 numbers" in capsys.readouterr().err


# ---- Arrhenius fits and definitions ----

def random_wells(n, seed):
    """Tilted double wells on a line: potential, minima from left to right, barrier from the left one."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        h, tilt = rng.uniform(0.5, 2.0), rng.uniform(-0.3, 0.3)
        V = fp.Potential(f"{h!r}*(x**2 - 1)**2 + {tilt!r}*x")
        points = fp.critical_points(V, [(-2.2, 2.2)])
        minima = sorted(points.minima, key=lambda m: m.x[0])
        yield V, points, minima, points.saddles[0].value - minima[0].value, rng


def rates_of(V, points, minima, theta, methods=("rate", "free-energy")):
    return fp.compare_rates(V, minima[0].x, minima[1].x, theta, methods=list(methods), points=points,
                            grid=fp.Grid([(-2.2, 2.2)], 200))


def test_two_temperatures_give_a_barrier_without_an_error():
    for V, points, minima, barrier, _ in random_wells(3, 4):
        fit = rates_of(V, points, minima, barrier / np.array([2.0, 4.0])).arrhenius
        for number in (fit.barrier, fit.prefactor):
            assert math.isnan(number.error) and "give a third" in number.status
        assert abs(fit.barrier - barrier) > 0.01 * barrier and "give a third" in repr(fit)
        assert json.loads(json.dumps(fit.to_dict()["barrier"]))["error"] is None


def test_the_error_of_an_arrhenius_fit_covers_barrier_and_prefactor_and_not_by_much():
    ratios = []
    for V, points, minima, barrier, rng in random_wells(12, 5):
        low = rng.uniform(3.0, 10.0)
        heights = np.linspace(low, low * rng.uniform(1.5, 4.0), int(rng.integers(3, 6)))
        fit = rates_of(V, points, minima, barrier / heights).arrhenius
        exact = np.sqrt(-minima[0].eigenvalues[0] * points.saddles[0].eigenvalues[0]) / (2 * np.pi)
        ratios.append(abs(fit.barrier - barrier) / fit.barrier.error)
        assert abs(np.log(fit.prefactor / exact)) <= np.log1p(fit.prefactor.relative_error)
    assert 0.5 < max(ratios) <= 1


def test_definitions_that_differ_at_low_barriers_are_no_contradiction():
    methods, most = ("rate", "mfpt", "gap", "exit-rate", "free-energy"), 0.0
    for V, points, minima, barrier, _ in random_wells(8, 6):
        table = rates_of(V, points, minima, barrier / np.array([0.7, 1.0, 2.0, 3.0, 6.0]), methods)
        assert table.agrees.all() and not re.search(r"\)!", repr(table))
        most = max(most, float(np.nanmax(np.abs(table.agreement))))
    assert most > 0.5                              # the allowance for definitions is not idle


def test_a_number_that_is_off_is_a_contradiction_at_low_barriers_too():
    V, points, minima, barrier, _ = next(random_wells(1, 7))
    table = rates_of(V, points, minima, barrier / 2, ("rate", "gap"))
    wrong = fp.Estimate(2.5 * table["rate"][0], 1e-9, "off")
    assert not dataclasses.replace(table, cells={**table.cells, "gap": (wrong,)}).agrees.any()


# ---- Ctrl-C ----

def test_ctrl_c_keeps_the_cells_that_are_done(monkeypatch, tmp_path):
    from fpkit.rates import routes

    def pressed(question):
        if question.theta < 0.15:
            raise KeyboardInterrupt
        return routes.Estimate(1.0, 0.1, "mfpt")
    monkeypatch.setitem(routes.ROUTES, "mfpt", routes.Route("a", pressed))
    table = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.2, 0.1, 0.05],
                             methods=["rate", "mfpt", "gap"])
    assert np.isfinite(table.log10).tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert table["gap"][1].status == "not computed: stopped by Ctrl-C" and "stopped by Ctrl-C" in table.status
    assert table.status in repr(table) and table.to_dict()["status"] == table.status
    table.save(tmp_path / "t.h5")
    assert fp.RatesTable.load(tmp_path / "t.h5").status == table.status


def test_paths_that_tell_of_ctrl_c_end_the_table(monkeypatch):
    from fpkit.rates import routes

    def told(question):
        raise ValueError("stopped by Ctrl-C after 12 of 2000 paths")
    monkeypatch.setitem(routes.ROUTES, "paths", routes.Route("a", told))
    table = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.4, 0.3], methods=["paths", "rate"])
    assert "12 of 2000" in table["paths"][0].status and not np.isfinite(
        table.log10).any() and table.status != "ok"


def test_ctrl_c_in_the_last_moment_of_a_row_ends_the_table(monkeypatch):
    """Paths that are whole when the press comes say nothing of it; the rows after them are left out."""
    from fpkit.rates import routes

    def whole(question):
        os.kill(os.getpid(), signal.SIGINT)
        return routes.Estimate(1.0, 0.1, "paths")
    monkeypatch.setitem(routes.ROUTES, "paths", routes.Route("a", whole))
    table = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.4, 0.3], methods=["paths"])
    assert np.isfinite(table.log10).ravel().tolist() == [True, False] and "Ctrl-C" in table.status


def test_cells_without_a_number_come_back_from_a_checkpoint(tmp_path):
    """A method that is refused leaves NaN in its cell, which JSON knows as no number."""
    run = lambda **more: fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.3, 0.2],
                                          ["rate", "splitting"], dt=10.0, **more)
    first = run(checkpoint=tmp_path / "rows.jsonl")
    again = run(checkpoint=tmp_path / "rows.jsonl", resume=True)
    for name in first.methods:
        for a, b in zip(first.cells[name], again.cells[name]):
            assert a.status == b.status and np.array_equal([a.value, a.error, a.log10],
                                                           [b.value, b.error, b.log10], equal_nan=True)
    assert any(np.isnan(a.value) for a in first.cells["splitting"])
