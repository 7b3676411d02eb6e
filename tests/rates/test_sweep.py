"""Sweeps: one row a case, resumed after any end, bounded memory, the same table from every executor."""
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fpkit as fp

V = fp.Potential("a*(x**2 - 1)**2", a=1.0)


def rate(potential, theta):
    return fp.eyring_kramers(potential, [-1], [0], theta)


def pairs(n):
    return ((V.with_params(a=1 + k / n), 0.1) for k in range(n))


def moments(x, y=1.0):
    return {"sum": x + y, "text": f"{x:g}", "estimate": fp.Estimate(x, 0.1, "hand")}


def test_a_table_has_a_row_for_each_case_with_its_numbers():
    table = fp.sweep(rate, pairs(4))
    assert table.status == "ok" and table["case"].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(table["a"], 1 + np.arange(4) / 4)
    np.testing.assert_allclose(table["value"], [rate(p, t).value for p, t in pairs(4)], rtol=1e-14)
    table = fp.sweep(moments, [{"x": 1.0}, {"x": 2.0, "y": 3.0}])
    assert table["sum"].tolist() == [2.0, 5.0] and table.columns["y"] == [None, 3.0]
    assert table["estimate_error"].tolist() == [0.1, 0.1] and "estimate" in repr(table)
    with pytest.raises(ValueError, match="Did you mean 'value'"):
        fp.sweep(rate, pairs(1))["valu"]


def test_an_executor_changes_nothing(tmp_path):
    alone = fp.sweep(rate, pairs(30))
    with ThreadPoolExecutor(2) as executor:
        shared = fp.sweep(rate, pairs(30), executor=executor, checkpoint=tmp_path / "rows.jsonl")
    assert shared.columns == alone.columns and shared.to_csv() == alone.to_csv()


def test_a_sweep_goes_on_where_it_ended_and_does_nothing_twice(tmp_path):
    path, log = tmp_path / "rows.jsonl", tmp_path / "log"
    log.write_text("")

    def call(x):
        done = log.read_text().split()
        log.write_text(" ".join([*done, str(x)]))
        if x == 7 and "7" not in done:
            raise RuntimeError("power cut")
        return x**2
    with pytest.raises(RuntimeError, match="power cut"):
        fp.sweep(call, range(12), checkpoint=path)
    with open(path, "ab") as file:
        file.write(b'{"k": 7, "row"')                           # torn by a kill
    table = fp.sweep(call, range(12), checkpoint=path)
    assert [int(k) for k in log.read_text().split()] == [*range(8), *range(7, 12)]
    assert table["value"].tolist() == [k**2 for k in range(12)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_another_call_or_another_case_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    fp.sweep(moments, [{"x": 1.0}], checkpoint=path)
    with pytest.raises(ValueError, match="case 0 is another one"):
        fp.sweep(moments, [{"x": 2.0}], checkpoint=path)
    with pytest.raises(ValueError, match="belongs to another call"):
        fp.sweep(rate, pairs(1), checkpoint=path)
    with pytest.raises(ValueError, match="exists; name another"):
        fp.sweep(moments, [{"x": 1.0}], checkpoint=path, resume=False)
    with pytest.raises(FileNotFoundError, match="nothing to go on from"):
        fp.sweep(moments, [{"x": 1.0}], checkpoint=tmp_path / "none", resume=True)
    (tmp_path / "other").write_text("a table\nof others\n")
    with pytest.raises(ValueError, match="line 1 of .* is not a row of a sweep"):
        fp.sweep(moments, [{"x": 1.0}], checkpoint=tmp_path / "other")


@pytest.mark.slow
def test_ten_thousand_pairs_in_bounded_memory(tmp_path):
    tracemalloc.start()
    peaks = []
    for n in (1000, 10_000):
        tracemalloc.reset_peak()
        table = fp.sweep(rate, pairs(n), checkpoint=tmp_path / f"{n}.jsonl")
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert len(table) == 10_000 and table.status == "ok" and peaks[1] < peaks[0] + 9000 * 2500


CHILD = """
import sys, time
import fpkit as fp
def call(x):
    time.sleep(0.002)
    return x**2
if __name__ == "__main__":
    table = fp.sweep(call, range(400), checkpoint=sys.argv[1], checkpoint_every=0.05)
    print(sum(table["value"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_kill_at_any_moment_loses_no_more_than_the_last_interval(tmp_path):
    script, path = tmp_path / "child.py", tmp_path / "rows.jsonl"
    script.write_text(CHILD)
    kept = 0
    for wait in (0.15, 0.3):
        child = subprocess.Popen([sys.executable, script, path], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        while not path.exists() or path.stat().st_size < 200 * (1 + kept):
            assert child.poll() is None
        try:
            child.wait(wait)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.communicate()
        now = len(path.read_text().splitlines())
        assert now > kept
        kept = now
    child = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=True,
                           env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert float(child.stdout) == sum(k**2 for k in range(400))


def test_a_table_of_rates_goes_on_where_it_ended(tmp_path, monkeypatch):
    from fpkit.rates import comparison

    path, asked, row = tmp_path / "rates.jsonl", [], comparison.row
    arguments = (fp.catalogue.double_well(), [-1], [1], [0.2, 0.1, 0.05], ["free-energy", "eyring-kramers"])
    whole = fp.compare_rates(*arguments)

    def killed(*given):
        asked.append(given[-1])
        if len(asked) == 3:
            raise RuntimeError("power cut")
        return row(*given)
    monkeypatch.setattr(comparison, "row", killed)
    with pytest.raises(RuntimeError, match="power cut"):
        fp.compare_rates(*arguments, checkpoint=path)
    table = fp.compare_rates(*arguments, checkpoint=path)
    assert asked == [0.2, 0.1, 0.05, 0.05] and table.to_dict() == whole.to_dict()
    with pytest.raises(ValueError, match="belongs to another call"):
        fp.compare_rates(*arguments, seed=7, checkpoint=path)


def test_temperatures_of_a_table_are_shared():
    arguments = (fp.catalogue.double_well(), [-1], [1], [0.2, 0.1], ["free-energy", "eyring-kramers"])
    with ThreadPoolExecutor(2) as executor:
        shared = fp.compare_rates(*arguments, executor=executor)
        network = fp.well_network(arguments[0], 0.1, fp.Grid([(-2, 2)], 60), executor=executor)
        turnover = fp.kramers_turnover(arguments[0], [-1], [0], 0.1, [0.1, 1.0], executor=executor)
    assert shared.to_dict() == fp.compare_rates(*arguments).to_dict()
    alone = fp.well_network(arguments[0], 0.1, fp.Grid([(-2, 2)], 60))
    assert repr(network) == repr(alone)
    assert network.grid_spectrum.to_dict() == alone.grid_spectrum.to_dict()
    assert turnover[1].value == fp.kramers_turnover(arguments[0], [-1], [0], 0.1, 1.0).value
