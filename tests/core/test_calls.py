"""Words of other books, misspelt names, quantities with units, and where warnings point."""
import inspect
import math
import warnings

import numpy as np
import pytest

import fpkit as fp
from fpkit.core import calls

V = fp.Potential("(x**2 - 1)**2")
GRID = fp.Grid([(-2, 2)], 40)


def test_the_words_of_other_books_mean_the_same_numbers():
    reference = fp.FokkerPlanck(V, theta=0.25, grid=GRID, mobility=2.0).spectrum(2, exact=False).eigenvalues
    for words in ({"kT": 0.25, "mobility": 2.0}, {"beta": 4.0, "mobility": 2.0}, {"theta": 0.25, "D": 0.5},
                  {"theta": 0.25, "sigma": 1.0}, {"temperature": 0.25, "gamma": 0.5}):
        found = fp.FokkerPlanck(V, grid=GRID, **words).spectrum(2, exact=False).eigenvalues
        np.testing.assert_allclose(found, reference, rtol=1e-12, atol=1e-15)


def test_paths_understand_them_too_and_gamma_is_the_friction_of_underdamped_paths():
    settings = {"x0": [-1.0], "dt": 0.01, "n_steps": 50, "n_paths": 4}
    same = fp.simulate(V, 0.25, mobility=2.0, **settings).x
    np.testing.assert_array_equal(fp.simulate(V, kT=0.25, gamma=0.5, **settings).x, same)
    damped = fp.simulate(V, 0.25, scheme="baoab", friction=0.7, **settings).x
    np.testing.assert_array_equal(fp.simulate(V, kT=0.25, scheme="baoab", gamma=0.7, **settings).x, damped)


@pytest.mark.parametrize("words, sentence", [
    ({"D": 0.5}, "D = theta . mobility: give theta"),
    ({"theta": 0.25, "kT": 0.25}, "given theta and kT, which say the same"),
    ({"theta": 0.25, "mobility": 1.0, "gamma": 2.0}, "given mobility and gamma, which say the same"),
    ({"theta": 0.25, "mobilty": 1.0}, "no argument 'mobilty'; it takes .*Did you mean 'mobility'"),
    ({"kT": 0.25, "beta": 4.0}, "say the same"),
])
def test_what_does_not_add_up_is_a_sentence(words, sentence):
    with pytest.raises(TypeError, match=sentence):
        fp.FokkerPlanck(V, grid=GRID, **words)


@pytest.mark.parametrize("call, sentence", [
    (lambda: fp.simulate(V, 0.2, [0.0], time_step=0.1, n_steps=9), "Did you mean 'dt'"),
    (lambda: fp.sample(V, 0.2, [0.0], 0.1, 900, walkers=3), "sample has no argument 'walkers'"),
    (lambda: fp.compare_rates(V, [-1], [1], theta=0.2, method="gap"), "Did you mean 'methods'"),
    (lambda: fp.Grid([(-2, 2)], n_cells=40), "Did you mean 'shape'"),
    (lambda: fp.FokkerPlanck(V, 0.2, GRID).spectrum(3, refined=True),
     "spectrum has no .* Did you mean .refine"),
    (lambda: fp.FokkerPlanck(V, 0.2, GRID).evolve([0.0], [1.0], positve=True), "Did you mean 'positive'"),
    (lambda: fp.Diffusion(V, 0.2, mobilty=1.0), "Did you mean 'mobility'"),
    (lambda: fp.read_landscape("a.h5", layot="yx"), "Did you mean 'layout'"),
    (lambda: V.with_params(b=1.0), "it has none"),
    (lambda: fp.Potential("a*x**2", a=1.0).with_params(A=1.0), "Did you mean 'a'"),
    (lambda: fp.Potential("snh(x)"), "unknown function 'snh'.*did you mean 'sinh'"),
])
def test_misspelt_names_are_answered_with_the_nearest(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()


def test_public_names_too():
    with pytest.raises(AttributeError, match="no name 'FokkerPlank'. Did you mean 'FokkerPlanck'"):
        fp.__getattr__("FokkerPlank")
    with pytest.raises(AttributeError, match="Did you mean 'GridPotential'"):
        fp.__getattr__("gridpotential")


def test_signatures_and_docstrings_stay_as_they_are_written():
    assert list(inspect.signature(fp.simulate).parameters)[:4] == ["potential", "theta", "x0", "dt"]
    assert fp.sample.__doc__.startswith("Averages of the stationary")
    assert fp.sample.__module__.endswith(".sample")


def test_a_warning_points_at_the_line_of_the_user_however_deep_the_call():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fp.exit_time(V, 0.5, [-1.0], fp.HalfSpace([1], 1.0), dt=0.2, n_paths=20)
        fp.FokkerPlanck(V, kT=0.001, grid=GRID).evolve([-1.0], [0.1])
    assert len(seen) >= 2 and {w.filename for w in seen} == {__file__}


# ---- vectorised calls, texts and samples as people have them ----

def test_a_potential_on_a_line_takes_arrays_of_coordinates():
    x = np.linspace(-2, 2, 21)
    for f in (V, fp.Potential.black_box(lambda p: (p[:, 0]**2 - 1)**2, lambda p: 4*p*(p**2 - 1), ndim=1)):
        np.testing.assert_allclose(f(x), (x**2 - 1)**2)
        np.testing.assert_allclose(f.gradient(x), 4*x*(x**2 - 1), atol=1e-12)
        np.testing.assert_allclose(f.hessian(x.reshape(3, 7)), (12*x**2 - 4).reshape(3, 7), atol=1e-5)
        np.testing.assert_allclose(f(x[:, None]), f(x))
    assert V.gradient(x[:, None]).shape == (21, 1) and np.shape(V([0.5])) == () == np.shape(V(0.5))
    with pytest.raises(ValueError, match="last index counts the coordinates"):
        fp.Potential("x*y")(x)


@pytest.mark.parametrize("text, same", [
    ("np.cos(x) + numpy.exp(-x**2)", "cos(x) + exp(-x**2)"), ("math.sqrt(1 + x**2)", "sqrt(1 + x**2)"),
    ("np.cos(2*np.pi*x)", "cos(2*pi*x)"), ("pow(x, 4) + power(x, 2.0)", "x**4 + x**2"),
    ("fabs(x) + Max(x, 0)", "abs(x) + maximum(x, 0)"), ("atanh(x/9)", "arctanh(x/9)"),
])
def test_texts_may_be_written_as_in_other_libraries(text, same):
    x = np.linspace(-1.5, 1.5, 11)
    np.testing.assert_array_equal(fp.Potential(text)(x), fp.Potential(same)(x))


@pytest.mark.parametrize("text", ["os.system(x)", "np.load(x)", "np.random.normal(x)", "x.real",
                                  "np.e.real*x", "np", "np.linalg.norm(x)", "(np).x.y"])
def test_no_other_attribute_resolves(text):
    with pytest.raises(ValueError):
        fp.Potential(text)


def test_uneven_samples_are_put_on_a_uniform_axis_with_the_order_of_a_cubic_spline():
    rng = np.random.default_rng(3)
    fine, errors = np.linspace(0, 3, 301), []
    for n in (40, 80, 160):
        x = np.sort(np.linspace(0, 3, n) + np.r_[0, rng.uniform(-0.3, 0.3, n - 2), 0] * 3 / n)
        errors.append(np.abs(fp.GridPotential(x, np.sin(2*x))(fine) - np.sin(2*fine)).max())
    assert errors[-1] < 1e-6 and np.log2(errors[0] / errors[-1]) / 2 > 3
    y = np.linspace(0, 1, 12)**1.5
    W = fp.GridPotential([x, y], np.sin(2*x)[:, None] + y**2)
    assert abs(W([1.3, 0.4]) - math.sin(2.6) - 0.16) < 1e-5 and W.bounds == [(0.0, 3.0), (0.0, 1.0)]
    with pytest.raises(ValueError, match="not uniform .* some samples are missing"):
        fp.GridPotential(x, np.where(x > 2, np.nan, x))


def test_interpolants_of_scipy_are_their_samples():
    from scipy import interpolate as ip

    x, y = np.linspace(0, 3, 61), np.linspace(-1, 1, 41)
    f, z = np.sin(x), np.sin(x)[:, None] * np.cos(y)
    for made in (ip.CubicSpline(x, f), ip.interp1d(x, f), ip.UnivariateSpline(x, f, s=0),
                 ip.PchipInterpolator(x, f),
                 ip.make_interp_spline(x, f), ip.Akima1DInterpolator(x, f)):
        assert abs(fp.GridPotential(made)([1.234]) - math.sin(1.234)) < 1e-5, made
    for made in (ip.RegularGridInterpolator((x, y), z), ip.RectBivariateSpline(x, y, z)):
        assert abs(fp.GridPotential(made)([1.234, 0.3]) - math.sin(1.234) * math.cos(0.3)) < 1e-5
        with pytest.raises(TypeError, match="fpkit.GridPotential.f. takes it"):
            fp.Potential(made)
    with pytest.raises(TypeError, match="does not tell its samples"):
        fp.GridPotential(ip.RBFInterpolator(np.random.default_rng(0).random((9, 2)), np.arange(9.0)))
    with pytest.raises(TypeError, match="axes and values, or an interpolant"):
        fp.GridPotential(np.sin)


# ---- units ----

def test_quantities_of_one_kind_are_brought_to_one_unit():
    pint = pytest.importorskip("pint")
    u = pint.UnitRegistry()
    x = np.linspace(0, 1, 41)
    W = fp.GridPotential(x * u.nanometer, 5 * (4*(x - 0.5)**2 - 0.5)**2 * u.kilocalorie / u.mole)
    by_energy = fp.FokkerPlanck(W, theta=2.494338785 * u.kilojoule / u.mole, grid=fp.Grid([(0, 1)], 50))
    assert abs(by_energy.theta - 2.494338785 / 4.184) < 1e-9
    by_kelvin = fp.FokkerPlanck(W, theta=300 * u.kelvin, grid=fp.Grid([(0 * u.nm, 10 * u.angstrom)], 50))
    assert abs(by_kelvin.theta / by_energy.theta - 1) < 1e-6
    np.testing.assert_allclose(by_kelvin.grid.bounds, [(0.0, 1.0)])
    run = fp.simulate(W, 300 * u.kelvin, [2 * u.angstrom], 1e-3 * u.nanosecond, 10, n_paths=2, save_every=10)
    np.testing.assert_allclose(run.paths[:, 0], 0.2)
    assert run.inputs["units"]["[length]"] == "nanometer"
    with pytest.raises(ValueError, match="does not convert|k_B T in the units"):
        fp.FokkerPlanck(V, theta=300 * u.kelvin, grid=GRID)


def test_without_quantities_nothing_is_touched():
    @calls.understood
    def given(a, b=None):
        return a, b
    a, b = [1, 2], np.arange(3)
    assert given(a, b=b)[0] is a and given(a, b=b)[1] is b
