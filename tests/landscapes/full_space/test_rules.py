"""The rules of the validations in the whole space, number by number."""
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:                        # validation/ stands beside fpkit/ in a checkout
    sys.path.insert(0, str(ROOT))

from validation import full_space_devinterp, full_space_two_solutions, full_space_wells  # noqa: E402


def way(balance=-1.5, whole=-1.5, time=1000.0, better=1100.0, n=50):
    return {"rows": [{"theta": 0.01, "balance": balance, "balance_error": 0.1, "whole": whole,
                      "whole_error": 0.1, "harmonic": -1.4, "plane": -0.3, "time": time, "time_error": 100.0,
                      "better_time": better, "eyring_time": 900.0, "plane_time": None, "n_ab": n, "n_ba": 40,
                      "around": 0.3, "barrier": 6.5, "plane_barrier": None}], "n_ways": 1}


@pytest.mark.parametrize("outcome, found", [
    ("holds", way()), ("conditional", way(better=3000.0)), ("not supported", way(whole=1.0)),
    ("not measured", way(n=5)), ("not measured", way(whole=math.nan)), ("not measured", way(time=None)),
    ("not measured", {"rows": [], "n_ways": 0})])
def test_passages_are_judged_where_there_are_enough(outcome, found):
    verdict = full_space_two_solutions.judge(found)
    assert verdict.outcome == outcome and verdict.reason
    assert full_space_two_solutions.judge(full_space_two_solutions.contrary(found)).outcome != "holds"


def runs(n=12, off=0.05, stated=0.1, refused=0):
    run = {"status": "ok", "off": off, "stated": stated, "two_errors": stated / 2, "coefficient_off": 0.1,
           "coefficient_stated": 0.2, "gradients": 10, "harmonic_off": 0.0}
    rows = [run] * (n - refused) + [run | {"status": "no"}] * refused
    return [{"name": "a", "d": 2, "theta": 0.1, "exact": 1.0, "coefficient": 1.0, "runs": rows}]


@pytest.mark.parametrize("words, found", [
    ("", runs()), ("within their stated errors", runs(off=0.15)), ("is off by", runs(n=3, off=0.4)),
    ("idle", runs(off=1e-3)), ("refused", runs(refused=4)), ("nothing was answered", []),
    ("the stated error is", runs(off=0.9, stated=1.1))])
def test_coverage_is_judged_by_shares(words, found):
    verdict = full_space_wells.judge(found)
    assert verdict.outcome == ("fails" if words else "holds") and words in verdict.reason


@pytest.mark.parametrize("outcome, found", [
    ("not measured", {"rows": [], "missing": "devinterp is not installed"}),
    ("holds", {"rows": [{"problem": "a", "d": 1, "exact": 1.0, "ours": 1.05, "error": 0.1, "gradients": 10,
                         "rate": 1e-3, "theirs": 0.2, "spread": 0.01, "their_gradients": 10, "off": 80.0,
                         "late": 1.0, "late_spread": 0.1, "late_off": 0.0}]})])
def test_the_other_tool_is_shown_and_ours_is_judged(outcome, found):
    verdict = full_space_devinterp.judge(found)
    assert verdict.outcome == outcome and verdict.reason
    if outcome == "holds":
        assert full_space_devinterp.judge(full_space_devinterp.contrary(found)).failed
