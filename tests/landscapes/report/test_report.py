"""The report on disk: self-contained page, strict JSON with stable keys, figures; foreign text is escaped."""
import json
import re

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.writing import write_landscape
from fpkit.plotting import drawing, landscape_rates, landscapes

KEYS = {"verdict", "units", "noise", "solutions", "whole_space", "fpkit", "format", "format_version",
        "landscape", "temperatures", "clock", "wells", "thermodynamics", "crossovers", "rates", "start",
        "dynamics", "agreement", "risk", "training", "sgd", "findings", "answers", "caveats", "warnings"}
X, Y = np.linspace(-1.5, 1.5, 33), np.linspace(-1, 1, 17)
LOSS = (X**2 - 1) ** 2 + 0.2 * X + Y[:, None] ** 2
FIGURES = ("landscape", "disconnectivity", "density", "occupation", "rates", "risk")


def plane(path, **more):
    x, y = np.linspace(-1.6, 1.6, 33), np.linspace(-1, 1, 17)
    loss = (x**2 - 1) ** 2 + 0.1 * x + 2 * y[:, None] ** 2
    write_landscape(path, x, y, {"train_loss": loss, "test_loss": loss + 0.2}, **more)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report = fp.analyse(plane(folder / "surface.h5", gram=np.eye(2), meta={"model": "<b>mlp</b>"}),
                        theta=[0.05, 0.1, 0.2], n_paths=30)
    return report, report.save(folder / "out" / "deep")


def test_the_page_is_self_contained_and_answers_first(saved):
    report, page = saved
    text = page.read_text()
    assert (not re.search(r"(src|href)=\"(?!data:|#)", text) and "<script" not in text
            and "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    assert text.count("data:image/png;base64,") == len(FIGURES)
    for sentence in report.answers():
        assert sentence.split(":")[0][:60] in text
    assert text.index(report.answers()[0][:40]) < text.index("<figure")
    assert "<b>mlp</b>" not in text and "&lt;b&gt;mlp" in text
    assert "viewport" in text and "@media print" in text


def test_json_is_strict_and_its_keys_are_stable(saved):
    report, page = saved
    found = json.loads((page.parent / "report.json").read_text(),
                       parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert set(found) == KEYS and found == report.to_dict()
    assert (found["landscape"]["shape"] == [17, 33] and len(found["wells"]) == 2
            and found["wells"][0]["persistence"] is None)
    assert np.array(found["thermodynamics"]["occupation"]).shape == (3, 2)
    motion = found["dynamics"]
    assert np.array(motion["occupation"]).shape == (len(motion["times"]), 2) and motion["paths"]["seed"] == 1
    assert {c["name"] for c in found["caveats"]} == set(report.flags)


def test_figures_are_written_once_and_as_svg_when_asked(saved, tmp_path):
    report, page = saved
    for name in FIGURES:
        assert (page.parent / f"{name}.png").stat().st_size > 5000
    assert not list(page.parent.glob(".*")) and not list(page.parent.glob("*.svg"))
    report.save(tmp_path, svg=True)
    for name in FIGURES:
        assert b"<svg" in (tmp_path / f"{name}.svg").read_bytes()[:2000]


def test_the_text_form_fits_a_terminal(saved):
    text = repr(saved[0])
    assert "well" in text and "nan" not in text.lower() and "caveats:" in text


def test_axes_have_names_and_units(saved):
    made = landscapes.landscape_figure(saved[0])
    axes = made.axes[0]
    assert "direction" in axes.get_xlabel() and "direction" in axes.get_ylabel() and made.axes[1].get_ylabel()
    made = landscape_rates.occupation_figure(saved[0])
    assert "theta" in made.axes[1].get_xlabel() and made.axes[0].get_ylabel() == "Gibbs probability"


def test_lines_have_their_own_figures(tmp_path):
    x = np.linspace(-1.6, 1.6, 41)
    loss = (x**2 - 1) ** 2 + 0.1 * x
    loss[:2] = np.nan
    write_landscape(tmp_path / "line.h5", x, None, {"train_loss": loss})
    report = fp.analyse(tmp_path / "line.h5", theta=[0.05, 0.1], n_paths=20)
    page = report.save(tmp_path / "out")
    assert page.exists() and landscapes.landscape_figure(report).axes[0].get_ylabel() == "loss"


def test_one_well_and_odd_surfaces_can_be_drawn(tmp_path):
    x = np.linspace(-1, 1, 9)
    for name, loss in {"bowl": x**2 + x[:, None] ** 2, "flat": np.zeros((9, 9)), "huge": 10.0
                       ** (30 * (x + x[:, None] + 2) / 4), "negative": -100 + x + x[:, None]}.items():
        write_landscape(tmp_path / f"{name}.h5", x, x, {"train_loss": loss})
        report = fp.analyse(tmp_path / f"{name}.h5", n_paths=5)
        for draw in drawing.figures_of(report).values():
            draw(report).canvas.draw()
        assert (len(report.wells) == 1
                and landscapes.surface_figure(report.landscape).axes[0].get_title(loc="left") == "Training "
                "loss")


def test_samples_that_are_not_even_have_no_dynamics(tmp_path):
    x = np.array([-1.0, -0.5, 0, 0.25, 0.5, 1.0])
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["xcoordinates"], f["ycoordinates"], f["train_loss"] = x, x[:5], x**2 + x[:5, None] ** 2
    report = fp.analyse(tmp_path / "a.h5", theta=[0.1, 0.2])
    assert report.dynamics is None and "uneven_grid" in report.flags and report.to_dict()["dynamics"] is None
    page = report.save(tmp_path / "out")
    assert page.read_text().count("data:image/png") == 2 and report.rates == ()


def test_arrays_are_in_report_h5(saved):
    report, page = saved
    with h5py.File(page.parent / "report.h5") as f:
        assert np.array_equal(f["loss"][()],
                              report.landscape.loss) and np.array_equal(f["basins"][()], report.basins)
        assert (np.array_equal(f["occupation"][()], report.occupation)
                and f["density"].shape == (len(report.dynamics.times), 17, 33))
        assert json.loads(f["json"][()]) == report.to_dict() and f.attrs["format"] == "fpkit-landscape-report"


def test_every_finding_has_a_mark_and_a_reason_and_they_stand_on_the_page(saved):
    report, page = saved
    found = report.findings()
    assert {f.topic for f in found} >= {"wells", "occupation", "rates", "start", "paths", "test loss"}
    assert all(f.trust in ("firm", "rough", "open") and f.why for f in found)
    text = page.read_text()
    assert text.count('class="trust ') == len(found)


def test_powers_are_written_for_people():
    from fpkit.landscapes.report.findings import power

    assert [power(v) for v in (np.log10(420), np.log10(7800), 5.5315, 2416.3, -7.3, np.inf, -np.inf)] == [
        "420", "7800", "3.4 × 10⁵", "10²⁴¹⁶", "5 × 10⁻⁸", "infinity", "0"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_draws_the_page_without_a_sideways_scroll(saved, tmp_path, width):
    import shutil
    import subprocess

    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    page = saved[1]
    shot = tmp_path / "shot.png"
    common = [browser, "--headless", "--no-sandbox", "--disable-gpu",
              f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2400"]
    subprocess.run([*common, "--hide-scrollbars", f"--screenshot={shot}", page.as_uri()], check=True,
                   capture_output=True, timeout=120)
    from matplotlib.image import imread

    image = imread(shot)
    assert image.shape[1] == width and image[..., :3].std() > 0.05
    # the page beside a probe that writes how far it can be scrolled sideways
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text().replace("</body>", "<script>document.title "
                                              "= 'over=' + (document.documentElement.scrollWidth - "
                                              "document.documentElement.clientWidth)</script></body>"))
    dom = subprocess.run([*common, "--dump-dom", probe.as_uri()], check=True, capture_output=True,
                         timeout=120, text=True).stdout
    assert "over=0" in dom


def test_a_file_in_the_way_is_named(saved, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(NotADirectoryError, match="give a folder"):
        saved[0].save(tmp_path / "taken")


# ---- the verdict ----

@pytest.mark.parametrize("loss, words", [
    ((X**2 - 1) ** 2 + 0.2 * X + Y[:, None] ** 2, "2 solutions"), (X**2 + Y[:, None] ** 2, "one solution"),
    ((X**2 - 1) ** 2 + Y[:, None] ** 2, "does not prefer one of wells 1 and 2"),
    (X + 2 * Y[:, None], "no minimum inside the box"), (0 * X + 0 * Y[:, None] + 2.0, "is flat"),
])
def test_the_verdict_says_in_plain_words_what_the_surface_is(tmp_path, loss, words):
    write_landscape(tmp_path / "a.h5", X, Y, {"train_loss": loss}, gram=np.eye(2))
    report = fp.analyse(tmp_path / "a.h5", n_paths=8)
    assert words in report.verdict() and report.to_dict()["verdict"] == report.verdict()
    assert repr(report).replace("\n", " ").startswith(report.verdict()[:60])
    assert "10^" not in report.verdict() and "⁰⁰" not in report.verdict()


def test_times_beyond_imagination_are_called_never(tmp_path):
    deep = {"train_loss": 50 * (X**2 - 1) ** 2 + X + 20 * Y[:, None] ** 2}
    write_landscape(tmp_path / "a.h5", X, Y, deep, gram=np.eye(2))
    report = fp.analyse(tmp_path / "a.h5", theta=[0.05], n_paths=8)
    assert "practically never" in report.verdict() and "practically never" in " ".join(report.answers())
    assert report.rates[0].log10_mfpt.max() > 100                     # the number stands in the table


def test_known_solutions_are_named_and_matched_to_wells(tmp_path):
    plane = {"kind": "through 3 solutions", "points": [[-1, 0], [1, 0], [9, 9]]}
    write_landscape(tmp_path / "a.h5", X, Y, {"train_loss": LOSS}, gram=np.eye(2), meta={"plane": plane})
    report = fp.analyse(tmp_path / "a.h5", n_paths=8)
    assert [(name, well) for name, _, well in report.solutions] == [("A", 1), ("B", 2)]
    assert "A lies in well 1" in report.verdict()
