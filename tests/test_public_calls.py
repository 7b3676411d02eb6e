"""The comparison of two versions by their public calls notices the last bit and the last letter."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:                        # validation/ stands beside fpkit/ in a checkout
    sys.path.insert(0, str(ROOT))

import fpkit as fp  # noqa: E402
import validation  # noqa: E402
from validation import public_calls as tool  # noqa: E402

CHOSEN = ["the Gibbs density in one dimension", "capacities, fluxes and rates in one dimension",
          "a string with every function that strings know", "the message for a negative temperature"]
RATES = CHOSEN[1]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """File of a few real calls."""
    path = tmp_path_factory.mktemp("calls") / "before.json"
    entries, surprises = tool.recorded(CHOSEN)
    assert not surprises
    tool.save(path, entries)
    return path


def changed(stored, label, change):
    """The difference that one change in one call makes."""
    after = tool.load(stored)
    change(after[label])
    rows = {row.label: row for row in tool.compared(tool.load(stored), after)}
    assert all(rows[other].is_same for other in CHOSEN if other != label)
    return rows[label]


def next_up(path):
    """One more unit in the last place of the first number under a path."""
    def change(entry):
        a = entry["numbers"][path].astype(float)
        a.flat[0] = np.nextafter(a.flat[0], np.inf)
        entry["numbers"][path] = a
    return change


def ruled(monkeypatch, label, **options):
    """Give a call another allowance."""
    monkeypatch.setitem(tool.CALLS, label, tool.Call(label, tool.CALLS[label].make, **options))


def test_the_tool_is_no_validation_and_makes_many_calls():
    assert "public_calls" not in validation.names() and len(tool.CALLS) >= 90
    assert sum(c.is_wrong for c in tool.CALLS.values()) >= 15
    assert not any(c.changes or c.within_error or c.allowance
                   for c in tool.CALLS.values() if c.label in CHOSEN)


def test_the_same_calls_made_twice_and_read_from_a_file_are_the_same(stored):
    rows = tool.compared(tool.load(stored), tool.recorded(CHOSEN)[0])
    assert len(rows) == len(CHOSEN) and all(row.is_same and row.passes and not row.notes for row in rows)


@pytest.mark.parametrize("label, path",
                         [(CHOSEN[0], "0.values"), (RATES, "0.2.value"), (RATES, "1.1.log10"),
                          (CHOSEN[2], "hessian")])
def test_one_unit_in_the_last_place_of_one_number_is_noticed(stored, label, path):
    row = changed(stored, label, next_up(path))
    assert not row.passes and not row.is_same and 0 < row.relative < 3e-16 and path in row.notes[0]


def test_a_changed_message_is_noticed(stored):
    def change(entry):
        entry["texts"]["raised"] = entry["texts"]["raised"].replace("positive", "Positive")
    row = changed(stored, CHOSEN[3], change)
    assert not row.passes and row.relative == 0.0 and "theta must be Positive" in row.notes[0]


@pytest.mark.parametrize("change", [
    lambda e: e["numbers"].update({"0.0.value": -e["numbers"]["0.0.value"]}),
    lambda e: e["numbers"].pop("0.0.value"),
    lambda e: e["numbers"].update({"0.0.value": np.array(np.nan)}),
    lambda e: e["numbers"].update({"0.0.value": np.ones(2)}),
    lambda e: e["texts"].pop("0.0.method"), lambda e: e["texts"].update({"raised": "ValueError: no"}),
    lambda e: e["texts"].update({"warnings": "ResolutionWarning: coarse"})])
def test_signs_gaps_shapes_failures_and_warnings_are_noticed(stored, change):
    assert not changed(stored, RATES, change).passes


def test_a_zero_that_changes_its_sign_is_noticed():
    zero = {"numbers": {"": np.array([0.0, 1.0])}, "texts": {}}
    other = {"numbers": {"": np.array([-0.0, 1.0])}, "texts": {}}
    assert [row.passes for row in tool.compared({"a": zero}, {"a": other})] == [False]


def test_a_call_that_is_gone_differs_and_a_new_entry_does_not(stored):
    before = tool.load(stored)
    rows = tool.compared(before, {label: before[label] for label in CHOSEN[1:]})
    assert [row.passes for row in rows] == [False, True, True, True]
    row = changed(stored, RATES, lambda e: e["numbers"].update({"0.0.interval": np.array([1.0, 2.0])}))
    assert row.passes and row.is_same and "new" in row.notes[0]


def test_an_allowance_lets_through_what_is_below_it_and_nothing_else(stored, monkeypatch):
    ruled(monkeypatch, RATES, allowance=1e-15)
    row = changed(stored, RATES, next_up("0.2.value"))
    assert row.passes and not row.is_same
    ruled(monkeypatch, RATES, allowance=1e-17)
    assert not changed(stored, RATES, next_up("0.2.value")).passes


def test_a_number_may_move_within_its_stated_error_where_the_call_says_so(stored, monkeypatch):
    def moved(share):
        def change(entry):
            numbers = entry["numbers"]
            numbers["0.2.value"] = numbers["0.2.value"] + share * numbers["0.2.error"]
            entry["texts"]["0.2.repr"] = "another print"
        return change
    row = changed(stored, RATES, moved(0.5))
    assert not row.passes and row.over_error == pytest.approx(0.5, rel=1e-3)
    ruled(monkeypatch, RATES, within_error=True)
    assert changed(stored, RATES, moved(0.5)).passes and not changed(stored, RATES, moved(2.0)).passes
    assert not changed(stored, RATES, next_up("0.2.log10")).passes             # the value itself stood still


def test_what_is_meant_to_change_is_shown_and_not_judged(stored, monkeypatch):
    ruled(monkeypatch, RATES, changes="the sums run backwards")
    row = changed(stored, RATES, next_up("0.2.value"))
    assert row.passes and not row.is_same and "the sums run backwards" in row.notes[0]


def test_results_are_taken_apart_with_their_errors_and_without_their_provenance():
    D = fp.FokkerPlanck(fp.Potential("x**2"), 0.5, fp.Grid([(-1, 1)], 8))
    found = tool.flattened({"density": D.gibbs, "several": [1, 2.5], "matrix": D.generator, "none": None,
                            "seed": 2**60})
    numbers, texts = found["numbers"], found["texts"]
    assert numbers["density.values"].shape == numbers["density.error"].shape == (8,
        ) and numbers["several"].tolist() == [1, 2.5]
    assert numbers["matrix.shape"].tolist() == [8,
        8] and texts["none"] == "None" and texts["seed"] == str(2**60)
    assert texts["density.grid"] == "Grid 8 on [-1, 1]" and not any("inputs" in path
        for path in [*numbers, *texts])


def test_the_command_returns_one_when_something_differs(stored, tmp_path, capsys):
    words = ["--only", RATES]
    assert tool.main(["--compare", str(stored), "--save", str(tmp_path / "after.json"), *words]) == 0
    assert capsys.readouterr().out.splitlines()[
        -1] == "1 calls: 1 with the same bits, 0 that may differ, 0 that differ"
    text = json.loads((tmp_path / "after.json").read_text())
    text["calls"][RATES]["texts"]["0.0.method"] += "."
    (tmp_path / "after.json").write_text(json.dumps(text))
    assert tool.main(["--compare", str(stored), "--after", str(tmp_path / "after.json"), *words]) == 1
    assert "DIFFERS" in capsys.readouterr().out
    assert tool.main(["--compare", str(tmp_path / "absent.json")]) == 2 and capsys.readouterr().err.count(
        "\n") == 1
    (tmp_path / "empty.json").write_text("{}")
    assert tool.main(["--compare",
                      str(tmp_path / "empty.json")]) == 2 and "no file of public calls" in capsys.readouterr(
                          ).err
