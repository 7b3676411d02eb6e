"""The table of rates: all routes to one number, what they refuse, and how the table travels."""
import json
import math

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
    with pytest.raises(ValueError, match="no rates table"):
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
