import json

import pytest

import fpkit as fp

WELL = "(x**2 - 1)**2 + 0.3*x"


def test_a_transient_table_shows_order_four_for_the_recommended_scheme_and_two_for_others():
    table = fp.refinement_table(fp.Potential(WELL), 0.2, fp.Grid([(-2, 2)], 128), "transient",
                                ["recommended", "scharfetter-gummel"])
    assert table.orders["recommended"][-1] > 3.3 and table.finest["recommended"] < 5e-5
    assert 1.8 < table.orders["scharfetter-gummel"][-1] < 2.2
    assert table.shapes == [(32,), (64,), (128,)]


def test_a_gap_table_shows_order_two_and_reads_as_a_table():
    table = fp.refinement_table(fp.Potential(WELL + " + y**2"), 0.3, fp.Grid([(-2, 2)] * 2, (32, 24)), "gap",
                                ["recommended", "midpoint/cell"])
    for s in table.errors:
        assert 1.7 < table.orders[s][-1] < 2.3 and table.finest[s] < 5e-3
    text = repr(table)
    assert text.count("\n") == 3 and "midpoint/cell" in text and "32x24" in text
    assert json.loads(json.dumps(table.to_dict()))["quantity"] == "gap"


def test_cell_masses_show_no_stationary_error():
    table = fp.refinement_table(fp.Potential(WELL), 0.1, fp.Grid([(-2, 2)], 64), "stationary",
                                ["midpoint/cell", "sqra"])
    assert table.finest["midpoint/cell"] < 1e-13 and 1.8 < table.orders["sqra"][-1] < 2.2
    energy = fp.refinement_table(fp.Potential(WELL), 0.1, fp.Grid([(-2, 2)], 64), "mean energy",
                                 "midpoint/cell")
    assert 1.8 < energy.orders["midpoint/cell"][-1] < 2.2


@pytest.mark.parametrize("options, words", [
    ({"quantity": "gaps"}, "Did you mean 'gap'"), ({"schemes": "sqar"}, "Did you mean 'sqra'"),
    ({"n_grids": 1}, "n_grids"),
    ({"theta": 0.005, "quantity": "gap"}, "below 1e-07 of the fastest rate"),
    ({"grid": fp.Grid([(-2, 2)], 10**6)}, "coarser grid"),
    ({"grid": fp.Grid.from_edges([[-2, 0, 1, 2]])}, "uniform"),
])
def test_a_wrong_question_gets_one_sentence(options, words):
    arguments = {"V": fp.Potential(WELL), "theta": 0.2, "grid": fp.Grid([(-2, 2)], 32)} | options
    with pytest.raises(ValueError, match=words):
        fp.refinement_table(**arguments)
