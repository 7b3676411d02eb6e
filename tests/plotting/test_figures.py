"""Figures say what the results say: data of the artists, scales of the axes, places of the marks."""
from types import SimpleNamespace

import numpy as np
import pytest

import fpkit as fp
from fpkit.learning.models import PassageTable
from fpkit.learning.modular_addition import circle
from fpkit.learning.sweep import Law, Sweep
from fpkit.plotting import drawing, learning, style


def curve(axes, label):
    """(x, y) of the line with this label."""
    (line,) = [x for x in axes.get_lines() if x.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def marks(axes, label):
    """Places (n, 2) of the points with this label."""
    return np.stack(curve(axes, label), -1)


def verticals(axes):
    """x of the vertical lines."""
    return [float(x.get_xdata()[0])
            for x in axes.get_lines() if len(set(x.get_xdata())) == 1 and len(x.get_xdata()) == 2]


def bars(axes, label):
    """(x, y, half lengths) of an errorbar container."""
    (found,) = [c for c in axes.containers if c.get_label() == label]
    x, y = found.lines[0].get_data()
    segments = found.lines[2][0].get_segments()
    return np.array(x), np.array(y), np.array([(s[1][1] - s[0][1]) / 2 for s in segments])


def mesh(axes, k=0):
    """Values of a map as they are stored, [row y, column x], and its edges along x and y."""
    found = [c for c in axes.collections if hasattr(c, "get_coordinates")][k]
    corners = found.get_coordinates()
    return np.asarray(found.get_array()).reshape(corners.shape[0] - 1, -1), corners[0, :, 0], corners[:, 0, 1]


V1 = fp.Potential("(x**2 - 1)**2 + 0.2*x")
LINE = fp.Grid([(-2, 2)], 40)
PLANE = fp.Grid([(-2, 2), (-1, 3)], (12, 9))


# ---- fields, evolutions, potentials ----

def test_a_field_on_a_line_is_drawn_as_its_cells():
    D = fp.FokkerPlanck(V1, 0.3, LINE)
    axes = fp.plot(D.gibbs, title="Gibbs").axes[0]
    (steps,) = axes.patches
    values, edges, _ = steps.get_data()
    np.testing.assert_array_equal(values, D.gibbs.values)
    np.testing.assert_array_equal(edges, LINE.edges[0])
    assert axes.get_title(
        loc="left") == "Gibbs" and "1/volume" in axes.get_ylabel() and axes.get_yscale() == "linear"


def test_a_field_in_the_plane_has_its_first_axis_along_x():
    values = np.arange(108.0).reshape(12, 9)
    made = fp.plot(fp.Field(values, PLANE, "numbers"))
    drawn, x, y = mesh(made.axes[0])
    np.testing.assert_array_equal(drawn, values.T)
    np.testing.assert_allclose(x, PLANE.edges[0])
    np.testing.assert_allclose(y, PLANE.edges[1])
    assert made.axes[1].get_ylabel() == "numbers"            # the colour bar


def test_a_field_in_space_is_summed_over_each_axis():
    grid = fp.Grid([(0, 1), (0, 2), (0, 3)], (3, 4, 5))
    values = np.random.default_rng(0).random((3, 4, 5))
    made = fp.plot(fp.Field(values, grid, "density"))
    for k, missing in enumerate((2, 1, 0)):
        width = grid.widths[missing][0]
        np.testing.assert_allclose(mesh(made.axes[k])[0], (values.sum(missing) * width).T, rtol=1e-12)


@pytest.fixture(scope="module")
def evolution():
    return fp.FokkerPlanck(V1, 0.3, LINE).evolve([-1.0], [0.1, 1.0, 10.0])


def test_an_evolution_shows_its_densities_and_its_distance_on_logarithmic_axes(evolution):
    density, relaxation = fp.plot(evolution).axes
    for k, t in enumerate(("0.1", "1", "10")):
        x, y = curve(density, f"t = {t}")
        np.testing.assert_array_equal(y, evolution.densities[k])
        np.testing.assert_array_equal(x, LINE.centres[0])
    np.testing.assert_array_equal(curve(density, "Gibbs")[1], evolution.gibbs)
    times, distance = relaxation.get_lines()[0].get_data()
    np.testing.assert_array_equal(times, evolution.times)
    np.testing.assert_array_equal(distance, evolution.distance)
    np.testing.assert_allclose(curve(relaxation, "stated error")[1], np.maximum(evolution.error, 1e-17))
    assert relaxation.get_xscale() == relaxation.get_yscale() == "log" and density.get_yscale() == "linear"


def test_a_potential_is_its_curve_with_its_known_points():
    V = fp.catalogue.double_well()
    axes = fp.plot(V).axes[0]
    x, y = axes.get_lines()[0].get_data()
    np.testing.assert_allclose(y, V(np.asarray(x)[:, None]))
    np.testing.assert_allclose(np.sort(marks(axes, "minimum"), 0), [[-1, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(marks(axes, "saddle"), [[0, 1]], atol=1e-12)


def test_a_potential_in_the_plane_marks_minima_where_they_are():
    V = fp.catalogue.mueller_brown()
    axes = fp.plot(V).axes[0]
    np.testing.assert_allclose(marks(axes, "minimum"), [m.x for m in V.minima])
    np.testing.assert_allclose(marks(axes, "saddle"), [s.x for s in V.saddles])


# ---- paths ----

def test_paths_are_drawn_against_their_times():
    run = fp.simulate(V1, 0.3, [-1.0], 0.01, 40, n_paths=3, seed=1, save_every=10)
    axes = fp.plot(run).axes[0]
    for k, line in enumerate(axes.get_lines()):
        np.testing.assert_array_equal(line.get_ydata(), run.paths[k, :, 0])
        np.testing.assert_array_equal(line.get_xdata(), run.times)


def test_a_histogram_has_a_band_of_two_of_its_errors():
    stats = fp.sample(V1, 0.3, [-1.0], 0.02, 400, n_paths=64, seed=1, histogram=LINE)
    axes = fp.plot(stats).axes[0]
    values, error = stats.histogram.values, np.broadcast_to(stats.histogram.error, LINE.shape)
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx((values + 2 * error).max())
    assert corners[:, 1].min() == pytest.approx(min((values - 2 * error).min(), corners[:, 1].max()))
    np.testing.assert_array_equal(axes.patches[0].get_data()[0], values)


# ---- rates ----

@pytest.fixture(scope="module")
def table():
    return fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.2, 0.1, 0.05],
                            methods=["mfpt", "gap", "eyring-kramers"])


def test_an_arrhenius_figure_has_decades_over_the_inverse_temperature(table):
    axes, below = fp.plot(table).axes
    order = np.argsort(1 / table.theta)
    for k, method in enumerate(table.methods):
        x, y = curve(axes, method)
        np.testing.assert_allclose(x, 1 / table.theta[order])
        np.testing.assert_allclose(y, table.log10[order, k])
    assert axes.get_yscale() == axes.get_xscale() == "linear" and "log" in axes.get_ylabel()
    (fit,) = [line for line in axes.get_lines() if line.get_label().startswith("Arrhenius")]
    x, y = fit.get_data()
    slope = np.polyfit(x, y, 1)
    assert slope[0] == pytest.approx(-table.arrhenius.barrier.value / np.log(10), rel=1e-9)
    assert slope[1] == pytest.approx(table.arrhenius.prefactor.log10, rel=1e-9)
    assert np.abs(np.interp(1 / table.theta, x, y) - table.log10[:, 0]).max() < 0.05  # through its points
    assert below.get_shared_x_axes().joined(below, axes)


def test_differences_of_rates_are_in_per_cent_with_their_errors(table):
    below = fp.plot(table).axes[1]
    order = np.argsort(1 / table.theta)
    for container, k in zip(below.containers, range(len(table.methods))):
        y = container.lines[0].get_ydata()
        np.testing.assert_allclose(y, 100 * table.difference[order, k])
        half = [(s[1][1] - s[0][1]) / 2 for s in container.lines[2][0].get_segments()]
        np.testing.assert_allclose(half, 100 * table.relative_errors[order, k], rtol=1e-9, atol=1e-12)
    assert "%" in below.get_ylabel()


def test_a_transition_is_its_committor_path_and_points():
    V = fp.catalogue.mueller_brown()
    picture = fp.transition_picture(V, 20.0, V.minima[0], V.minima[1], grid=fp.Grid(V.box, (30, 28)))
    axes = fp.plot(picture).axes[0]
    np.testing.assert_allclose(mesh(axes)[0], picture.committor.values.T)
    np.testing.assert_allclose(marks(axes, "minimum"), [m.x for m in picture.points.minima])
    np.testing.assert_allclose(marks(axes, "minimum-energy path"), picture.path.x)


def test_a_turnover_has_logarithmic_axes_and_error_bars():
    from validation.friction import turnover_figure

    g, k = np.array([0.1, 1.0, 10.0]), np.array([1e-3, 5e-3, 1e-3])
    axes = turnover_figure(g, {"formula": k}, [("paths", g, 1.1 * k, 0.1 * k)]).axes[0]
    np.testing.assert_array_equal(curve(axes, "formula")[1], k)
    x, y, half = bars(axes, "paths")
    np.testing.assert_allclose(y, 1.1 * k)
    np.testing.assert_allclose(half, 0.1 * k)
    assert axes.get_xscale() == axes.get_yscale() == "log"


# ---- learning ----

HISTORY = {"steps": np.array([0, 10, 20, 40]), "train_acc": np.array([0.1, 0.9, 1.0, 1.0]),
           "test_acc": np.array([0.1, 0.2, 0.3, 1.0]), "norm": np.array([30.0, 25.0, 28.0, 22.0])}
STORY = {"times": [1.0, 10.0, 100.0], "down": [0.2, 0.9, 1.0], "along": [0.0, 0.1, 0.9],
         "arrived": [0.0, 0.0, 0.7], "t_mem": 4.0, "t_grok": 80.0}


def test_the_first_figure_marks_both_times_where_they_are():
    left, right = learning.figure_one({"history": HISTORY, "story": STORY, "t_memorised": 20, "t_grokked": 40,
                                       "modulus": 5, "fraction": 0.4}).axes
    assert verticals(left) == [20, 40] and verticals(right) == [4.0, 80.0]
    for axes, label, values in ((left, "training sample", HISTORY["train_acc"]),
                                (left, "test sample", HISTORY["test_acc"]),
                                (right, "way down to the floor, 1 − |y|/L", STORY["down"]),
                                (right, "farthest along the floor, max x/L", STORY["along"]),
                                (right, "share of paths that arrived", STORY["arrived"])):
        np.testing.assert_array_equal(curve(axes, label)[1], values)
    assert left.get_xscale() == right.get_xscale() == "log"
    assert {t.get_text() for t in left.texts} == {"memorised: step 20", "generalised: step 40"}
    assert [t.xy[0] for t in right.texts] == [4.0, 80.0]


def test_training_is_drawn_against_its_steps():
    run = SimpleNamespace(steps=HISTORY["steps"], history={k: v for k, v in HISTORY.items() if k != "steps"})
    left, right = learning.training_run(run).axes
    x, y = curve(left, "test sample")
    assert x.tolist() == [5, 10, 20, 40] and y.tolist() == HISTORY["test_acc"].tolist()
    assert right.get_lines()[0].get_ydata().tolist() == HISTORY["norm"].tolist()
    risks = SimpleNamespace(steps=[0, 10],
                            history={"train_loss": [1.0, 0.1], "test_loss": [1.0, 0.5], "norm": [1.0, 2.0]})
    left, _ = learning.training_run(risks).axes
    assert curve(left, "test loss")[1].tolist() == [1.0, 0.5] and left.get_yscale() == "log"


def a_sweep():
    return Sweep("fraction", np.array([0.4, 0.6]), np.array([[50.0, 60.0], [20.0, 30.0]]),
                 np.array([[900.0, np.inf], [100.0, 120.0]]), 1000, np.array([4, 6]), {"modulus": 5}, [])


def test_a_sweep_shows_every_run_and_marks_the_censored_ones():
    axes = learning.sweep_figure(a_sweep()).axes[0]
    assert sorted(map(tuple, marks(axes, "generalised"))) == [(0.4, 900.0), (0.6, 100.0), (0.6, 120.0)]
    assert sorted(map(tuple, marks(axes, "memorised"))) == [(0.4, 50.0), (0.4, 60.0), (0.6, 20.0),
                                                            (0.6, 30.0)]
    assert marks(axes, "not within the run").tolist() == [[0.4, 1000.0]] and axes.get_yscale() == "log"


ROWS = [{"n": n, "t_grok": fp.Estimate(t, 2.0, "paths"), "finite_volumes": t + 1, "reduced": t + 2}
        for n, t in ((4, 90.0), (8, 50.0))]


def test_the_second_figure_has_the_laws_on_top_of_the_median_memorising():
    laws = {name: Law(name, a, b, c, 0.1, 0.0, 0.0, 0.9) for name, a, b, c in
            (("exponential", 9.0, 5.0, None), ("power", 3.0, 1.0, 0.3))}
    left, right = learning.figure_two({"sweep": a_sweep(), "laws": laws,
                                       "chamber": SimpleNamespace(rows=ROWS)}).axes
    lines = [line for line in left.get_lines() if "R²" in line.get_label()]
    for line, law in zip(lines, (laws["exponential"], laws["power"])):
        x, y = line.get_data()
        np.testing.assert_allclose(y, np.interp(x, [0.4, 0.6], [55.0, 25.0]) + law.delay(x), rtol=1e-9)
    assert len(lines) == 2
    check_chamber(right)


def check_chamber(axes):
    x, y, half = bars(axes, "paths, ± 2 standard errors")
    assert x.tolist() == [4, 8] and y.tolist() == [90.0, 50.0] and half.tolist() == [4.0, 4.0]
    assert curve(axes, "finite volumes in (x, r)")[1].tolist() == [91.0, 51.0]
    assert curve(axes, "reduced motion")[1].tolist() == [92.0, 52.0] and axes.get_yscale() == "log"


def test_tables_of_the_models_show_paths_with_two_errors_and_the_exact_times():
    check_chamber(learning.passage_table(PassageTable("model B: a", ROWS, {})).axes[0])
    rows = [{"length": L, "t_mem": fp.Estimate(L, 0.1, "p"), "drift": 1.1 * L,
             "t_grok": fp.Estimate(50 * L * L, 3.0, "p"), "walk": 51 * L * L, "finite_volumes": 52 * L * L}
            for L in (1.0, 2.0)]
    axes = learning.passage_table(PassageTable("model A: b", rows, {})).axes[0]
    x, y, half = bars(axes, "along the floor: paths")
    assert y.tolist() == [50.0, 200.0] and half.tolist() == [6.0, 6.0]
    assert bars(axes, "to the floor: paths")[1].tolist() == [1.0, 2.0]
    assert curve(axes, "L²/2θ")[1].tolist() == [51.0, 204.0] and curve(axes, "L/g")[1].tolist() == [1.1, 2.2]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_lines_of_the_circle_join_residues_one_step_apart():
    p, step = 11, 8
    c = circle(np.cos(2 * np.pi * 3 * np.arange(p)[:, None] / p + np.arange(6)))
    axes = learning.figure_three({"moments": [("end", c)], "step": step}).axes[0]
    joined = {frozenset(map(tuple, np.round(np.stack(line.get_data(), -1), 9))) for line in axes.get_lines()}
    points = np.round(c.points, 9)
    assert joined == {frozenset((tuple(points[a]), tuple(points[(a + step) % p]))) for a in range(p)}
    at = {t.get_text(): t.xy for t in axes.texts}
    assert all(np.allclose(at[str(a)], c.points[a]) for a in range(p))
    shown = np.concatenate([s.get_offsets() for s in axes.collections])
    np.testing.assert_allclose(np.sort(shown, 0), np.sort(c.points, 0))


def test_the_fourth_figure_has_the_norm_of_each_run_beside_its_accuracies():
    panels = [(f"run {k}", HISTORY | {"norm": HISTORY["norm"] + k}) for k in range(3)]
    made = learning.figure_four({"panels": panels})
    seconds = [a for a in made.axes if a.get_lines() and a.get_lines()[0].get_label() == "norm |x|"]
    assert [a.get_lines()[0].get_ydata()[0] for a in seconds] == pytest.approx([30.0, 31.0, 32.0])
    titles = [t for t in (a.get_title() or a.get_title(loc="left") for a in made.axes) if t]
    assert titles == ["run 0", "run 1", "run 2"]


def test_lines_of_the_circle_are_one_step_along_it():
    p = 11
    for k in (1, 3, 4):
        c = circle(np.cos(2 * np.pi * k * np.arange(p)[:, None] / p + np.arange(6)))
        step = learning.one_step(c)
        angles = np.unwrap(np.arctan2(*(c.points / c.points.std(0))[[0, step, 2 * step % p]].T))
        assert c.frequency == k and abs(np.diff(angles)) == pytest.approx(2 * np.pi / p)


def test_walkers_that_did_not_pass_are_arrows():
    from fpkit.plotting import walkers

    rows = [{"theta": 1e-4, "l2": 0.0, "t": t, "seen": s} for t, s in ((10.0, True), (20.0, True), (90.0,
                                                                                                    False))]
    made, axes = style.figure()
    walkers.passage_axes(axes, rows, "theta", "l2", {})
    points, arrows, median = axes.get_lines()[:3]
    assert points.get_ydata().tolist() == [10.0, 20.0] and arrows.get_ydata().tolist() == [90.0]
    assert median.get_ydata().tolist() == [20.0] and axes.get_yscale() == "log"


def test_learners_passages_and_displacements_have_figures():
    from fpkit.learning import learn
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.walkers import addition, displacement, first_passages

    problems = [ModularAddition(5, 4, 0.6, k) for k in range(2)]
    run = learn(problems, 50, 0.02, theta=1e-4)
    assert len(fp.plot(run).axes) == 3
    found = first_passages(addition(5, 4, 15), [{"theta": t, "horizon": 2.0} for t in (0.0, 1e-4)], 2, 1)
    assert fp.plot(found).axes[0].get_yscale() == "log"
    moved = displacement(problems, np.stack([p.start() for p in problems]), 1e-4, 0.2, [0.1, 0.3, 1.0])
    assert fp.plot(moved).axes[0].get_xscale() == "log"


def test_sgld_shows_each_quantity_of_each_path():
    history = {k: np.arange(6.0).reshape(3, 2) + j for j,
               k in enumerate(("train_loss", "test_acc", "norm", "displacement"))}
    run = SimpleNamespace(history=history, steps=np.array([0, 5, 10]), theta=1e-4, l2=0.0, learning_rate=0.1,
                          curvature=2.0)
    made = learning.sgld_run(run)
    for axes, key in zip(made.axes, history):
        for k, line in enumerate(axes.get_lines()):
            assert line.get_ydata().tolist() == history[key][:, k].tolist() and line.get_xdata().tolist() == [
                0, 5, 10]
    assert "stable below 1" in made.get_suptitle()


# ---- one look, one door ----

def test_what_has_no_figure_is_refused_in_a_sentence():
    with pytest.raises(TypeError, match="no figure of dict; known are .*Evolution") as caught:
        fp.plot({})
    assert "\n" not in str(caught.value)


def test_a_subclass_is_drawn_as_what_it_is_and_a_figure_is_saved(tmp_path):
    class MyField(fp.Field):
        pass
    path = tmp_path / "a.svg"
    made = fp.plot(MyField(np.ones(40), LINE, "one"), path)
    assert path.read_text().lstrip().startswith("<?xml") and made.axes[0].get_ylabel() == "one"
    assert set(drawing.DRAWN) >= {"Field", "Evolution", "RatesTable", "Sweep", "SgldRun"}


def test_the_same_figure_is_the_same_file(tmp_path):
    for name in "ab":
        style.save(drawing.field(fp.Field(np.arange(40.0), LINE, "f")), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_masked_cells_are_hatched_and_empty():
    grid = fp.Grid([(-2, 2), (-1, 3)], (12, 9), mask=lambda p: p[..., 0] < 0)
    axes = fp.plot(fp.Field(np.ones((12, 9)), grid, "one")).axes[0]
    drawn = mesh(axes)[0]
    assert np.isnan(np.ma.filled(drawn.astype(float), np.nan)[:, 6:]).all()
    assert (np.ma.filled(mesh(axes, 1)[0].astype(float), np.nan)[:, 6:] == 1).all()
