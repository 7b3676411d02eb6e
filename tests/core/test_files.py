"""Files that are written whole or not at all, whoever else writes them and whenever a process is killed."""
import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fpkit.core import hdf5
from fpkit.core.files import replacing, target

ROOT = Path(__file__).resolve().parents[2]
KIND = "fpkit test"


def python(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


MANY = """
    import json, sys
    import numpy as np
    from fpkit.core import hdf5
    from fpkit.core.files import replacing
    path, who = sys.argv[1], int(sys.argv[2])
    for k in range(30):
        with replacing(path + ".json") as name, open(name, "w") as file:
            json.dump({"who": who, "values": [who] * 5000}, file)
        hdf5.save_state(path + ".h5", "", {"values": np.full(5000, who)}, "fpkit test")
"""


def test_of_many_writers_one_has_the_last_word_with_the_whole_of_its_file(tmp_path):
    """Four processes write the same two files; a reader sees whole files of one writer all the while."""
    path, seen = tmp_path / "shared", 0
    writers = [python(MANY, path, k) for k in range(4)]
    while any(w.poll() is None for w in writers):
        for read in (lambda: json.loads((tmp_path / "shared.json").read_text())["values"],
                     lambda: hdf5.load_state(tmp_path / "shared.h5", None, KIND)["values"]):
            try:
                values = read()
            except FileNotFoundError:
                continue
            assert len(values) == 5000 and len(set(np.asarray(values).tolist())) == 1
            seen += 1
    for w in writers:
        assert w.wait() == 0, w.stderr.read()
    assert seen > 3 and sorted(os.listdir(tmp_path)) == ["shared.h5", "shared.json"]


def test_threads_do_not_share_a_temporary_file(tmp_path):
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as two:
        assert one != two
        Path(one).write_text("one")
        Path(two).write_text("two")
    assert (tmp_path / "a").read_text() == "one" and os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="asks for processes by number")
def test_what_a_killed_writer_leaves_is_swept_by_the_next_one(tmp_path):
    (tmp_path / "a").write_text("old")
    child = python("""
        import sys, time
        from fpkit.core.files import replacing
        with replacing(sys.argv[1]) as name:
            open(name, "w").write("half")
            print("ready", flush=True)
            time.sleep(60)
    """, tmp_path / "a")
    assert child.stdout.readline().strip() == "ready"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (tmp_path / "a").read_text() == "old" and len(os.listdir(tmp_path)) == 2
    with replacing(tmp_path / "a") as name:
        Path(name).write_text("new")
    assert (tmp_path / "a").read_text() == "new" and os.listdir(tmp_path) == ["a"]


def test_a_living_writer_is_not_swept(tmp_path):
    with replacing(tmp_path / "a") as slow:
        Path(slow).write_text("slow")
        with replacing(tmp_path / "a") as quick:
            Path(quick).write_text("quick")
        assert (tmp_path / "a").read_text() == "quick"
    assert (tmp_path / "a").read_text() == "slow"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "a") as name:
        Path(name).write_text("half")
        raise OSError("the disk is full")
    assert (tmp_path / "a").read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_long_names_and_links_are_followed(tmp_path):
    long = tmp_path / ("x" * 250)
    with replacing(long) as name:
        Path(name).write_text("long")
    assert long.read_text() == "long"
    (tmp_path / "link").symlink_to(long)
    with replacing(tmp_path / "link") as name:
        Path(name).write_text("through")
    assert long.read_text() == "through" and (tmp_path / "link").is_symlink()


def test_places_that_cannot_be_written_get_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        target(tmp_path / "no" / "a")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        target(tmp_path)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_written_whole_or_not_at_all(ending, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from fpkit.plotting import style
    made, _ = style.figure(8, 6)
    made.axes[0].plot([0, 1], [0, 1])
    path = tmp_path / f"a.{ending}"
    style.save(made, path)
    whole = path.read_bytes()
    assert whole[:4] in (b"\x89PNG", b"<?xm", b"%PDF")

    def killed(self, file, **keywords):
        file.write(b"cut")
        raise OSError("no space left on device")
    monkeypatch.setattr(Figure, "savefig", killed)
    with pytest.raises(OSError, match="no space"):
        style.save(made, path)
    assert path.read_bytes() == whole and os.listdir(tmp_path) == [f"a.{ending}"]


def test_pages_of_a_report_get_whole_figures(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from fpkit.plotting import landscape_style, style
    made, _ = style.figure(8, 6)
    whole, savefig = landscape_style.written(made, tmp_path / "wells"), Figure.savefig

    def killed(self, file, **keywords):
        savefig(self, file, **keywords)
        raise KeyboardInterrupt
    monkeypatch.setattr(Figure, "savefig", killed)
    with pytest.raises(KeyboardInterrupt):
        landscape_style.written(made, tmp_path / "wells")
    assert (tmp_path / "wells.png").read_bytes() == whole and os.listdir(tmp_path) == ["wells.png"]


def test_a_page_holds_its_own_figure_where_another_writer_replaced_the_file(tmp_path, monkeypatch):
    from fpkit.landscapes.report import report
    from fpkit.plotting import landscape_style, style

    def then_another(made, path, **options):
        data = store(made, path, **options)
        path.write_bytes(b"another")
        return data
    store = landscape_style.store
    monkeypatch.setattr(landscape_style, "store", then_another)
    assert base64.b64decode(report._drawn(style.figure(8, 6)[0], tmp_path / "wells", False))[1:4] == b"PNG"


def test_figures_of_threads_leave_the_settings_of_matplotlib(tmp_path):
    from matplotlib import rcParams

    from fpkit.plotting.style import in_style

    before, begun = dict(rcParams), threading.Event()

    def draw(seconds):
        with in_style():
            begun.set()
            time.sleep(seconds)
    first, second = (threading.Thread(target=draw, args=(s,)) for s in (0.1, 0.2))
    first.start()
    begun.wait()
    second.start()
    for thread in (first, second):
        thread.join()
    assert dict(rcParams) == before


WRITERS = """
    import sys, threading
    import numpy as np
    import fpkit as fp
    from fpkit.landscapes.files.writing import write_landscape
    path, who, n, lands = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), []
    for k in (who, who + 1):
        x = np.linspace(-1, 1, 9 + k)
        write_landscape(f"{path}.{who}{k}.h5", x, x, {"train_loss": np.add.outer(x**2, x**2) + k})
        lands.append(fp.read_landscape(f"{path}.{who}{k}.h5"))
    def write(land):
        for _ in range(n):
            land.save(path)
    threads = [threading.Thread(target=write, args=(land,)) for land in lands * 2]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
"""


def test_many_writers_of_netcdf_in_threads(tmp_path):
    """The library behind it crashes, or leaves half a file, when two threads write at once."""
    xarray, path = pytest.importorskip("xarray"), tmp_path / "a.nc"
    pytest.importorskip("netCDF4")
    writer = python(WRITERS, path, 0, 5)
    assert writer.wait() == 0, writer.stderr.read()
    with xarray.open_dataset(path) as found:
        n = found["train_loss"].shape[0]
        assert float(found["train_loss"].min()) == pytest.approx(n - 9, abs=0.1)
    assert not list(tmp_path.glob(".*"))


MOVING = """
    import sys
    import numpy as np
    import fpkit as fp
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), 0.3 + int(sys.argv[2]), fp.Grid([(-2, 2)], 20))
    for _ in range(3):
        fp.plot(D.evolve([-1.0], [0.1, 0.5]), path=sys.argv[1])
"""


@pytest.mark.slow
def test_many_writers_of_an_animation(tmp_path):
    from PIL import Image

    writers, seen = [python(MOVING, tmp_path / "a.gif", k) for k in range(2)], 0
    while any(w.poll() is None for w in writers) or not seen:
        if (tmp_path / "a.gif").exists():
            with Image.open(tmp_path / "a.gif") as image:
                image.seek(image.n_frames - 1)                   # the last frame can be read
                image.load()
                seen += 1
    for w in writers:
        assert w.wait() == 0, w.stderr.read()
    assert os.listdir(tmp_path) == ["a.gif"]


def test_a_figure_of_an_unknown_kind_is_refused_before_anything_is_written(tmp_path):
    from fpkit.plotting import style
    with pytest.raises(ValueError, match="cannot be saved as .xyz"):
        style.save(style.figure(8, 6)[0], tmp_path / "a.xyz")
    assert not os.listdir(tmp_path)
