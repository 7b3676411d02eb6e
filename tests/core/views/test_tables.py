"""Every result is a table, labelled arrays, CSV text and a view for notebooks; the numbers are its own."""
import csv
import html.parser
import io
import sys

import numpy as np
import pytest

import fpkit as fp
from fpkit.core.files import demo_file
from fpkit.core.views import pictures
from fpkit.core.views.tables import Tabular
from fpkit.learning.models import PassageTable
from fpkit.learning.sweep import Sweep

V1 = fp.Potential("(x**2 - 1)**2 + 0.2*x")
V2 = fp.Potential("(x**2 - 1)**2 + y**2")
PLANE = fp.Grid([(-2, 2), (-1, 1)], (12, 9))
LEFT, RIGHT = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0)


def results():
    """One of every kind."""
    D1, D2 = fp.FokkerPlanck(V1, 0.3, fp.Grid([(-2, 2)], 40)), fp.FokkerPlanck(V2, 0.3, PLANE)
    double = fp.catalogue.double_well()
    yield fp.Estimate(2.0, 0.1, "by hand")
    yield from (D1.gibbs, D2.gibbs, D1.spectrum(3), D1.quasi_stationary(RIGHT), D1.currents(D1.gibbs))
    yield from (D1.evolve([-1.0], [0.1, 1.0]), D2.evolve([-1.0, 0.0], [0.1, 1.0]), D1.mfpt(RIGHT))
    driven = fp.FokkerPlanck(V2, 0.5, PLANE, force="(y, -x)")
    yield from (driven.stationary(), D1.first_passage_density([-1.0], RIGHT, [0.5, 1.0, 2.0]))
    yield fp.simulate(V1, 0.3, [-1.0], 0.01, 40, n_paths=3, save_every=10)
    yield fp.gradient_flow(V1, [[-0.5], [0.5]], 1.0)
    stats = fp.sample(V1, 0.3, [-1.0], 0.05, 1500, n_paths=64, histogram=D1.grid)
    yield from (stats, stats.compare(D1.gibbs))
    yield fp.exit_time(V1, 0.5, [-1.0], RIGHT, 0.02, n_paths=100)
    yield from (fp.find_wells(V1, [(-2, 2)]), fp.find_wells(V1, [(-2, 2)])[0])
    yield fp.minimum_energy_path(V1, [-1.0], [1.0], [(-2, 2)])
    yield fp.compare_rates(double, [-1], [1], [0.2, 0.1], ["free-energy", "eyring-kramers"])
    yield from (fp.well_network(double, 0.1), fp.transition_picture(V2, 0.3, [-1, 0], [1, 0], PLANE))
    yield from (fp.free_energy(V1, 0.3, RIGHT, D1.grid), fp.free_energy_form(D1, LEFT, RIGHT))
    land = fp.read_landscape(demo_file())
    yield from (land, land.merge_tree(), fp.analyse(land, theta=[0.01], progress=False))
    yield Sweep("fraction", np.array([0.5, 0.4]), np.ones((2, 3)), np.full((2, 3), np.inf), 9,
                np.array([5, 4]), {"modulus": 7}, [])
    yield PassageTable("model", [{"L": 1.0, "t": fp.Estimate(3.0, 0.2, "paths")}], {})


@pytest.fixture(scope="module")
def every():
    return list(results())


class Tags(html.parser.HTMLParser):
    """Tags that are open at the end, and those that are allowed nowhere."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_kind_has_a_view_for_notebooks_whose_tags_close(every):
    for result in every:
        tags = Tags()
        tags.feed(result._repr_html_())
        assert not tags.open and "table" in tags.seen, type(result)
        assert not tags.seen & {"script", "style", "iframe", "link"}


def test_every_table_has_columns_of_one_length_and_the_csv_holds_their_digits(every):
    for result in every:
        columns = result._columns()
        assert len({len(v) for v in columns.values()}) == 1, type(result)
        rows = list(csv.DictReader(io.StringIO(result.to_csv())))
        assert len(rows) == len(next(iter(columns.values())))
        for name, values in columns.items():
            if isinstance(values[0], (float, np.floating)):
                np.testing.assert_array_equal([float(row[name]) for row in rows], np.asarray(values, float))


def test_labelled_arrays_fit_their_axes(every):
    for result in every:
        arrays, coordinates = result._labelled()
        sizes = {}
        for name, (axes, values, *_) in {**coordinates, **arrays}.items():
            assert len(axes) == np.ndim(values), (type(result), name)
            for axis, n in zip(axes, np.shape(values)):
                assert sizes.setdefault(axis, n) == n, (type(result), name, axis)


def test_data_frames_and_labelled_arrays_of_their_own_libraries(every):
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    for result in every:
        frame, data = result.to_dataframe(), result.to_xarray()
        assert isinstance(frame, pandas.DataFrame) and isinstance(data, xarray.Dataset)
        assert frame.attrs["kind"] == data.attrs["kind"] == type(result).__name__
    gibbs = every[2]
    at = gibbs.to_xarray()[gibbs.name].sel(x=-1.0, y=0.0, method="nearest")
    assert float(at) == gibbs.values[gibbs.grid.locate([-1.0, 0.0])]


def test_a_missing_library_is_a_sentence(monkeypatch):
    for name, call in (("pandas", "to_dataframe"), ("xarray", "to_xarray")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"{call}.. needs {name}, which is not installed"):
            getattr(fp.Estimate(1.0, 0.1, "hand"), call)()


def test_a_table_goes_to_a_file_whole(tmp_path, every):
    for result in every:
        assert result.to_csv(tmp_path / "table.csv") is None
        assert (tmp_path / "table.csv").read_text() == result.to_csv()


def test_texts_of_others_are_escaped_and_control_characters_shown():
    hostile = PassageTable("<script>alert(1)</script>\x1b[2J", [{"<b>": "<i>x</i>\x1b"}], {})
    text = hostile._repr_html_()
    assert "<script" not in text and "<i>" not in text and "<b>" not in text and "\x1b" not in text
    assert "\x1b" not in hostile.to_csv()


def test_long_tables_are_cut_in_the_middle_and_say_how_long_they_are():
    class Long(Tabular):
        def _columns(self):
            return {"k": np.arange(1000)}
    text = Long()._repr_html_()
    assert "<td>0</td>" in text and "<td>999</td>" in text and "<td>500</td>" not in text
    assert "1000 rows" in text


def test_a_map_is_a_png_with_its_values_as_lightness(tmp_path):
    image = pytest.importorskip("PIL.Image")
    import base64
    values = np.arange(12.0).reshape(3, 4)
    values[0, 0] = np.nan
    data = base64.b64decode(pictures.colour_map(values).split("base64,")[1].split('"')[0])
    pixels = np.asarray(image.open(io.BytesIO(data)))
    assert pixels.shape == (4, 3, 3) and tuple(pixels[-1, 0]) == pictures.MASKED
    grey = pixels[::-1].transpose(1, 0, 2).sum(-1)[values > 0]
    assert (np.diff(grey) > 0).all()


def test_curves_with_gaps_are_drawn_in_pieces():
    y = np.array([0.0, 1, np.nan, 3, 4, 5, np.nan])
    assert pictures.curves([(np.arange(7.0), y)]).count("<polyline") == 2
