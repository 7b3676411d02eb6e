"""The result of an evolution: saving, loading, reading, interruption."""
import numpy as np
import pytest

import fpkit as fp

pytestmark = pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")       # small grids

V = fp.Potential("(x**2 - 1)**2 + a*y**2", a=0.5)
D = fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2), (-2, 2)], (20, 16), mask=lambda x: x[..., 1] < 1.6))


@pytest.fixture(scope="module")
def evolution():
    return D.evolve([-1.0, 0.0], [0.1, 1.0, 10.0], tol=1e-3)


def test_a_file_gives_back_every_number_and_what_made_it(evolution, tmp_path):
    evolution.save(tmp_path / "e.h5")
    other = fp.Evolution.load(tmp_path / "e.h5")
    for name in ("times", "densities", "gibbs", "mass", "free_energy", "distance", "time_error",
                 "space_error", "start"):
        assert np.array_equal(getattr(other, name), getattr(evolution, name), equal_nan=True), name
    assert other.grid == evolution.grid and other.theta == evolution.theta and other.steps == evolution.steps
    assert other.inputs["params"] == {"a": 0.5} and other.inputs["tol"] == 1e-3
    assert "(x**2 - 1)**2" in other.inputs["potential"]
    assert repr(other) == repr(evolution)


def test_a_failed_save_leaves_the_old_file(evolution, tmp_path, monkeypatch):
    path = tmp_path / "e.h5"
    evolution.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        evolution.save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_what_is_no_evolution_is_refused_in_one_sentence(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(ValueError, match="HDF5"):
        fp.Evolution.load(text)
    with pytest.raises(FileNotFoundError, match="not a file"):
        fp.Evolution.load(tmp_path)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="no fpkit evolution"):
        fp.Evolution.load(tmp_path / "other.h5")


def test_field_is_a_density_with_a_value_at_a_point(evolution):
    field = evolution.field(2)
    assert np.isnan(field.values[~D.inside]).all()
    assert field.at([-1.0, 0.0]).value > 0


def test_ctrl_c_keeps_the_times_reached(monkeypatch):
    from fpkit.fokker_planck.evolution import stepping
    advance = stepping.StepControl.advance

    def pressed(self, v, start, stop, *rest):
        if stop > 0.5:
            raise KeyboardInterrupt
        return advance(self, v, start, stop, *rest)
    monkeypatch.setattr(stepping.StepControl, "advance", pressed)
    e = D.evolve([-1.0, 0.0], [0.1, 0.3, 1.0, 2.0], tol=1e-2)
    assert e.times.tolist() == [0.1, 0.3] and e.densities.shape[0] == 2 and "interrupted" in e.status


def test_the_table_fits_on_a_screen(evolution):
    lines = repr(evolution).split("\n")
    assert len(lines) == 5 and max(map(len, lines)) < 100


def test_progress_writes_to_the_error_stream_only(capsys):
    D.evolve([-1.0, 0.0], [0.1], tol=1e-2, progress=True)
    assert capsys.readouterr().out == ""


def test_no_bar_without_a_terminal(capsys):
    D.evolve([-1.0, 0.0], [0.1], tol=1e-2)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_means_of_observables_that_jump_within_a_cell_keep_their_errors():
    D = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.5, fp.Grid([(-4, 4)], 37))
    fine = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.5, fp.Grid([(-4, 4)], 37 * 81))
    runs = [d.evolve(([1.0], 0.5), [0.4, 1.5]) for d in (D, fine)]
    for text in ("where(x > 0.31, 1, 0)", "where(abs(x - 0.375) < 0.02, 1, 0)", "floor(3*x)", "abs(x - 0.1)"):
        for a, b in zip(*(run.expectation(text) for run in runs)):
            assert abs(a - b) <= a.error + b.error and a.error < 0.9, text
