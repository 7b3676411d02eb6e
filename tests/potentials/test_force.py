"""Forces: every form is one field, compiled as potentials are, and the coefficients of the process follow
from it."""
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fpkit as fp
from fpkit.potentials.force import force_of

POINTS = np.random.default_rng(5).normal(size=(40, 2))
V = fp.Potential("(x**2 - 1)**2 + y**2 + 0.3*x*y")
AXES = [np.linspace(-4, 4, 161)] * 2


def curl(x, y):
    return y * np.cos(x), -x + 0.1 * y**2


def at_points(p):
    return np.stack(curl(*p.T), axis=1)


SAMPLES = tuple(fp.GridPotential(AXES, part) for part in curl(*np.meshgrid(*AXES, indexing="ij")))
SAMPLED = fp.GridPotential(AXES, V(np.stack(np.meshgrid(*AXES, indexing="ij"), -1)))
FORMS = {"text": "(y*cos(x), -x + 0.1*y**2)", "function": curl, "array": lambda x: np.array(curl(x[0], x[1])),
         "points": lambda p: np.stack([p[:, 1] * np.cos(p[:, 0]), -p[:, 0] + 0.1 * p[:, 1]**2], axis=1),
         "potentials": (fp.Potential("a*y*cos(x)", a=1.0), "-x + 0.1*y**2"), "samples": SAMPLES}


@pytest.mark.parametrize("force", FORMS.values(), ids=FORMS)
def test_every_form_of_a_force_is_the_same_field(force):
    F = force_of(force, 2)
    close = 1e-5 if force is SAMPLES else 1e-14
    assert_allclose(F(POINTS), at_points(POINTS), atol=close, rtol=close)
    assert_allclose(F(POINTS.reshape(5, 8, 2)), F(POINTS).reshape(5, 8, 2))
    D = fp.Diffusion(V, 0.4, [2.0, 0.5], force)
    assert_allclose(D.drift(POINTS), (at_points(POINTS) - V.gradient(POINTS)) * [2.0, 0.5],
                    atol=4 * close, rtol=1e-12)


@pytest.mark.parametrize("force", [f for f in FORMS.values() if f is not FORMS["points"]],
                         ids=[f for f in FORMS if f != "points"])
def test_the_block_function_of_the_slope_is_what_paths_step_down(force):
    for potential in (V, SAMPLED):
        slope = fp.Diffusion(potential, 0.4, force=force).slope
        out = np.empty((2, 40))
        slope.block("gradient")(np.ascontiguousarray(POINTS.T), slope.p, out)
        expected = potential.gradient(POINTS) - force_of(force, 2)(POINTS)
        assert_allclose(out.T, expected, rtol=1e-12, atol=1e-12)
    if fp.Diffusion(V, 0.4, force=force).slope.has_single_gradient:
        slope, single = fp.Diffusion(V, 0.4, force=force).slope, np.empty((2, 40), np.float32)
        slope.block("gradient_single")(np.ascontiguousarray(POINTS.T, np.float32), slope.p, single)
        assert_allclose(single.T, slope(POINTS), rtol=1e-4, atol=1e-4)


def test_without_a_force_the_slope_is_the_potential_itself():
    D = fp.Diffusion(V, 0.4)
    assert D.slope is V and D.is_gradient and D.force is None
    assert_allclose(D.drift_field(POINTS), -V.gradient(POINTS))


@pytest.mark.parametrize("potential", [V, fp.Potential("x**2 + t*y", t=0.0), SAMPLED])
def test_time_reaches_all_parts_of_a_slope_through_one_number(potential):
    slope = fp.Diffusion(potential, 0.4, force="(t*y, a)".replace("a", "-t")).slope
    p, out = slope.p, np.empty((2, 40))
    p[slope.time_index] = 3.0
    slope.block("gradient")(np.ascontiguousarray(POINTS.T), p, out)
    now = potential.with_params(t=3.0) if potential.is_time_dependent else potential
    expected = now.gradient(POINTS) - np.stack([3 * POINTS[:, 1], np.full(40, -3.0)], 1)
    assert_allclose(out.T, expected, atol=1e-12)
    assert_allclose(slope.with_params(t=3.0)(POINTS), expected, atol=1e-12)
    assert_allclose(fp.Diffusion(potential, 0.4, force="(t*y, -t)").drift(POINTS, 3.0), -expected, atol=1e-12)


@pytest.mark.parametrize("psi, mobility", [(-0.7, None), ("x*y", [[2.0, 0.6], [0.6, 0.5]]),
                                           (lambda x, y: np.sin(x) + y**2, [2.0, 0.5])])
def test_a_rotation_drives_a_current_without_divergence_through_the_gibbs_density(psi, mobility):
    """div(M F exp(-f/theta)) by differences of twice the order."""
    theta, h = 0.6, 1e-3
    D = fp.Diffusion(V, theta, mobility, fp.Rotation(psi))
    M = D.mobility.matrix
    flow = lambda x: (D.force(x) @ M) * np.exp(-(V(x) - V(POINTS)) / theta)[:, None]
    total = sum((8 * (flow(POINTS + e)[:, k] - flow(POINTS - e)[:, k])
                 - flow(POINTS + 2 * e)[:, k] + flow(POINTS - 2 * e)[:, k]) / (12 * h)
                for k, e in enumerate(h * np.eye(2)))
    assert_allclose(total, 0, atol=1e-6 * (1 + np.abs(flow(POINTS)).max()) ** 2)


FULL = "[[1.5 + 0.5*sin(x), 0.3*y/(1 + y**2)], [0.3*y/(1 + y**2), 1 + 0.2*x**2]]"


def full(p):
    x, y = p.T
    c = 0.3 * y / (1 + y**2)
    return np.stack([np.stack([1.5 + 0.5 * np.sin(x), c], 1), np.stack([c, 1 + 0.2 * x**2], 1)], 1)


@pytest.mark.parametrize("convention, share", [("ito", 0.0), ("stratonovich", 0.5), ("isothermal", 1.0)])
@pytest.mark.parametrize("diffusion, matrix", [
    ("1 + x**2 + y**2", lambda p: (1 + (p**2).sum(1))[:, None, None] * np.eye(2)),
    ("(1 + x**2, 2 + sin(x*y))",
     lambda p: np.stack([1 + p[:, 0]**2, 2 + np.sin(p.prod(1))], 1)[:, :, None] * np.eye(2)),
    (FULL, full), (full, full), (lambda x, y: [[2 + np.sin(y), 0.1 * x], [0.1 * x, 3 + x**2]],
                                 lambda p: np.stack([np.stack([2 + np.sin(p[:, 1]), 0.1 * p[:, 0]], 1),
                                                     np.stack([0.1 * p[:, 0], 3 + p[:, 0]**2], 1)], 1))],
    ids=["isotropic", "diagonal", "full", "points", "function"])
def test_the_conventions_differ_by_the_divergence_of_the_diffusion(convention, share, diffusion, matrix):
    if convention == "stratonovich" and np.count_nonzero(matrix(POINTS[:1])) > 2:
        with pytest.raises(ValueError, match="which root"):
            fp.Diffusion.from_sde(curl, diffusion, convention)
        return
    D, h = fp.Diffusion.from_sde(curl, diffusion, convention), 1e-5
    assert_allclose(D.diffusion(POINTS), matrix(POINTS), rtol=1e-12)
    A = D.mobility.roots(POINTS)
    assert_allclose(A @ A.swapaxes(1, 2), matrix(POINTS), rtol=1e-9)
    div = sum((matrix(POINTS + e) - matrix(POINTS - e))[:, :, k] / (2 * h)
              for k, e in enumerate(h * np.eye(2)))
    assert_allclose(D.divergence(POINTS), div, rtol=1e-7, atol=1e-7)
    assert_allclose(D.drift(POINTS), at_points(POINTS) + share * div, rtol=1e-7, atol=1e-7)
    assert_allclose(D.advection(POINTS), at_points(POINTS) + (share - 1) * div, rtol=1e-7, atol=1e-7)
    if D.drift_field is not None and convention != "ito":
        assert_allclose(D.drift_field(POINTS), D.drift(POINTS), rtol=1e-12, atol=1e-12)


def test_with_a_constant_diffusion_all_conventions_are_one_process():
    for diffusion in (0.3, [1.0, 0.4], [[1.0, 0.2], [0.2, 0.4]], [0.0, 1.0], "[[1, 0], [0, 0.5]]"):
        D = fp.Diffusion.from_sde("(y, -x)", diffusion)
        for other in ("ito", "stratonovich", "isothermal"):
            assert_allclose(fp.Diffusion.from_sde("(y, -x)", diffusion, other).drift(POINTS), D.drift(POINTS))
        A = D.mobility.root
        assert_allclose(A @ A.T, D.diffusion([0.0, 0.0]), atol=1e-15)
        if not D.mobility.is_degenerate:
            assert_allclose(-D.slope(POINTS) @ D.mobility.matrix, D.drift(POINTS), rtol=1e-12, atol=1e-14)


def test_a_variable_mobility_gives_the_same_drift_compiled():
    for mobility in ("1 + x**2", "(1 + x**2, 2)", FULL):
        D = fp.Diffusion(V, 0.4, mobility, curl)
        assert_allclose(D.drift_field(POINTS), D.drift(POINTS), rtol=1e-12, atol=1e-12)


def test_a_process_with_a_force_travels_to_other_processes():
    for D in (fp.Diffusion(V, 0.4, force="(y, -x)"), fp.Diffusion(V, 0.4, force=fp.Rotation("x")),
              fp.Diffusion.from_sde(curl, FULL, "ito")):
        other = pickle.loads(pickle.dumps(D))
        assert_allclose(other.drift(POINTS), D.drift(POINTS))
        if D.equation is None:
            assert other.slope.digest == D.slope.digest
    digest = lambda force: fp.Diffusion(V, 0.4, force=force).slope.digest
    assert digest("(y, x)") != digest("(y, -x)") and digest([1, 0]) != digest([2, 0])


@pytest.mark.parametrize("force, words", [
    ("y", "must have 2 components"), ("(x, y, x)", "must have 2 components"),
    ("(y, q)", "force needs a value for q"),
    ("(y, __import__)", "not allowed"), (3.0, "must have 2 components"),
    (lambda x, y: None, "returned nothing"), (lambda x, y: x, "expected 2 values"),
    ((np.nan, 1.0), "must be finite"), (object(), "force must be a text"),
    ("(y, [x, x])", "equal lengths")])
def test_a_wrong_force_gets_one_sentence(force, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.Diffusion(V, 0.4, force=force)


@pytest.mark.parametrize("arguments, words", [
    (("-x", "1 + x**2"), "convention must be given"), (("-x", "1 + x**2", "strat"), "'strat' is unknown"),
    (("-x", -1.0), "diffusion must be positive"), (("(x, y)", [[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
    (("(x, y)", [[1.0, 2.0], [2.0, 1.0]]), "positive definite"), (("(x, y)", [1.0, 1.0, 1.0]), "got shape"),
])
def test_a_wrong_equation_gets_one_sentence(arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.Diffusion.from_sde(*arguments)


def test_a_diffusion_matrix_that_is_not_positive_somewhere_is_refused_there():
    D = fp.Diffusion.from_sde("(-x, -y)", "[[1, x], [x, 1]]", "ito")
    with pytest.raises(ValueError, match="positive definite"):
        D.diffusion([[0.5, 0.0], [2.0, 0.0]])


def test_a_rotation_that_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="two dimensions"):
        fp.Diffusion(fp.Potential("x**2"), 0.1, force=fp.Rotation(1.0))
    with pytest.raises(ValueError, match="positive number"):
        fp.Diffusion(V, lambda t: 1.0, force=fp.Rotation(1.0))
    with pytest.raises(ValueError, match="constant mobility"):
        fp.Diffusion(V, 0.1, "1 + x**2", fp.Rotation(1.0))
