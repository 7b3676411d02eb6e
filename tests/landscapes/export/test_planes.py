"""Planes through parameter space: orthonormal directions, the way back to the given ones, normalisation,
projection."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.tensors import flatten, normalise

RNG = np.random.default_rng(3)
TENSORS = {"conv": RNG.normal(size=(4, 3, 2, 2)), "bias": RNG.normal(size=4),
           "dense": RNG.normal(size=(5, 4)).astype("f4"), "counter": np.array(12345), "steps": np.arange(3),
           "scale": np.array(0.5)}
SOLUTIONS = RNG.normal(size=(4, 30))


def test_integer_and_0d_tensors_stay_out_of_the_vector():
    vector, layout = flatten(TENSORS)
    assert vector.size == 48 + 4 + 20 == layout.n_params
    back = layout.tensors(vector + 1)
    assert [t.dtype for t in back] == [t.dtype
                                       for t in TENSORS.values()] and [t.shape for t
                                                                       in back] == [t.shape
                                                                                    for t in TENSORS.values()]
    assert back[3] == 12345 and back[5] == 0.5 and np.array_equal(back[0], TENSORS["conv"] + 1)
    with pytest.raises(ValueError, match="no float tensor"):
        flatten([np.arange(3)])
    with pytest.raises(ValueError, match="expected \\(72,\\)"):
        layout.tensors(vector[:-1])


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("orthonormal", [True, False])
def test_a_plane_through_solutions_holds_them(n, orthonormal):
    plane = fp.Plane.through(*SOLUTIONS[:n], orthonormal=orthonormal)
    assert plane.ndim == n - 1 and plane.points.shape == (n, n - 1)
    for place, solution in zip(plane.points, SOLUTIONS):
        assert plane.at(place) == pytest.approx(solution, abs=1e-13)
    assert np.array_equal(plane.at(np.zeros(n - 1)), SOLUTIONS[0])
    differences = SOLUTIONS[1:n] - SOLUTIONS[0]
    expected = np.eye(n - 1) if orthonormal else differences @ differences.T
    assert plane.gram == pytest.approx(expected, abs=1e-12)
    assert plane.given @ plane.directions == pytest.approx(differences, abs=1e-13)
    found, residuals = plane.project(SOLUTIONS[:n])
    assert found == pytest.approx(plane.points, abs=1e-12) and residuals.max() < 1e-12
    a = RNG.normal(size=(5, n - 1))
    assert plane.coefficients(plane.coordinates(a)) == pytest.approx(a, abs=1e-12)
    assert plane.at(plane.coordinates(a[0])) == pytest.approx(SOLUTIONS[0] + a[0] @ differences, abs=1e-12)


def test_directions_are_given_one_by_one_or_as_a_list():
    d = RNG.normal(size=(2, 30))
    for given in ((d[0], d[1]), (d,), (list(d),)):
        plane = fp.Plane.from_directions(SOLUTIONS[0], *given, orthonormal=False)
        assert np.array_equal(plane.directions, d)
    assert fp.Plane.from_directions(SOLUTIONS[0], d[0]).ndim == 1


def test_projection_is_the_least_squares_solution_and_its_residual():
    plane = fp.Plane.through(*SOLUTIONS[:3], orthonormal=False)
    away = SOLUTIONS[3] - SOLUTIONS[0]
    best, *_ = np.linalg.lstsq(plane.directions.T, away, rcond=None)
    (found,), (residual,) = plane.project([SOLUTIONS[3]])
    assert found == pytest.approx(best, abs=1e-12)
    assert residual == pytest.approx(np.linalg.norm(away - plane.directions.T @ best) / np.linalg.norm(away),
                                     rel=1e-12)


def test_filter_normalisation_is_exact():
    weights, layout = flatten({k: TENSORS[k] for k in ("conv", "bias", "dense")})
    direction = normalise(RNG.normal(size=weights.size), weights, layout)
    for d, w in zip(layout.tensors(direction), layout.tensors(weights)):
        if w.ndim == 1:
            assert not d.any()
        else:
            norms = [np.linalg.norm(t.reshape(len(t), -1).astype(float), axis=1) for t in (d, w)]
            assert norms[0] == pytest.approx(norms[1], rel=1e-6 if w.dtype == "f4" else 1e-14)


def test_the_filters_of_other_frameworks_are_columns():
    weights, layout = flatten([RNG.normal(size=(6, 3))], filter_axis=-1)
    direction = normalise(RNG.normal(size=18), weights, layout)
    assert np.linalg.norm(direction.reshape(6, 3),
                          axis=0) == pytest.approx(np.linalg.norm(weights.reshape(6, 3), axis=0), rel=1e-14)


@pytest.mark.parametrize("normalisation, norm", [("layer", "weights"), ("dlayer", 1.0), ("dfilter", 2.0),
                                                 ("none", None), ("weight", None)])
def test_the_other_normalisations(normalisation, norm):
    weights, layout = flatten([RNG.normal(size=(4, 3))])
    raw = RNG.normal(size=12)
    direction = normalise(raw, weights, layout, normalisation)
    if normalisation == "none":
        assert np.array_equal(direction, raw)
    elif normalisation == "weight":
        assert np.array_equal(direction, raw * weights)
    else:
        assert np.linalg.norm(direction) == pytest.approx(np.linalg.norm(weights) if norm == "weights"
                                                          else norm, rel=1e-14)


def test_random_planes_depend_on_the_seed_alone_and_keep_the_normalised_directions():
    a, b, c = (fp.Plane.random(TENSORS, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.directions, b.directions) and not np.allclose(a.directions, c.directions)
    assert a.gram == pytest.approx(np.eye(2), abs=1e-14)
    given = fp.Plane.random(TENSORS, seed=1, orthonormal=False)
    assert a.given @ a.directions == pytest.approx(given.directions, abs=1e-13)
    weights, layout = flatten(TENSORS)
    for k, part in layout.slices():
        if len(layout.shapes[k]) > 1:
            d, w = (v[part].reshape(layout.shapes[k][0], -1) for v in (given.directions[1], weights))
            assert np.linalg.norm(d, axis=1) == pytest.approx(np.linalg.norm(w, axis=1), rel=1e-14)
    copied = fp.Plane.random(TENSORS, seed=1, one_dimensional="copy", orthonormal=False)
    assert np.array_equal(copied.directions[0][48:52], TENSORS["bias"])
    assert fp.Plane.random(SOLUTIONS[0], ndim=3, seed=1).ndim == 3
    with pytest.raises(ValueError, match="needs the tensors"):
        fp.Plane.random(SOLUTIONS[0], normalisation="filter")


def test_principal_components_are_those_of_the_covariance():
    checkpoints = RNG.normal(size=(8, 30)) * np.r_[5.0, 3.0, np.full(28, 0.1)]
    plane = fp.Plane.pca(checkpoints)
    values, vectors = np.linalg.eigh(np.cov(checkpoints.T))
    for k in range(2):
        assert abs(plane.directions[k] @ vectors[:, -1 - k]) == pytest.approx(1, abs=1e-10)
    assert plane.facts["explained_variance_ratio"] == pytest.approx((values[::-1] / values.sum())[:2],
                                                                    rel=1e-10)
    assert np.array_equal(plane.origin,
                          checkpoints[-1]) and plane.points[-1] == pytest.approx([0, 0], abs=1e-14)
    assert plane.points == pytest.approx(plane.project(checkpoints)[0]) and (plane.points[0] > 0).all()
    with pytest.raises(ValueError, match="span fewer than 2"):
        fp.Plane.pca(np.outer(np.arange(5), np.ones(30)))
    with pytest.raises(ValueError, match="at least 3 checkpoints"):
        fp.Plane.pca(checkpoints[:2])


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_hessian_planes_hold_the_eigenvectors(which):
    Q, _ = np.linalg.qr(RNG.normal(size=(40, 40)))
    values = np.r_[-2.0, -1.0, np.linspace(0.1, 1, 36), 7.0, 20.0]
    H = Q * values @ Q.T
    for options in ({"gradient": lambda w: H @ w}, {"product": lambda v: H @ v}):
        plane = fp.Plane.hessian(SOLUTIONS[0][:1].repeat(40), which=which, **options)
        expected = [20.0, 7.0] if which == "largest" else [-2.0, -1.0]
        places = [-1, -2] if which == "largest" else [0, 1]
        assert plane.facts["eigenvalues"] == pytest.approx(expected, rel=1e-6)
        assert [abs(d @ Q[:, k]) for d, k in zip(plane.directions, places)] == pytest.approx([1, 1], abs=1e-5)
        assert max(plane.facts["residuals"]) < 1e-3


def test_the_hessian_of_a_few_parameters_is_found_whole():
    plane = fp.Plane.hessian(np.zeros(3), product=lambda v: np.diag([1.0, 5.0, 3.0]) @ v)
    assert (plane.facts["eigenvalues"] == pytest.approx([5, 3])
            and np.abs(plane.directions[0]) == pytest.approx([0, 1, 0]))


@pytest.mark.parametrize("make, words", [
    (lambda: fp.Plane.through(SOLUTIONS[0]), "two \\(a line\\) to four"),
    (lambda: fp.Plane.through(SOLUTIONS[0], SOLUTIONS[0]), "direction 0 is zero"),
    (lambda: fp.Plane.through(np.zeros(4), np.ones(4), 2 * np.ones(4)), "direction 1 lies in the span"),
    (lambda: fp.Plane.through(np.zeros(4), np.ones(5)), "expected \\(4,\\)"),
    (lambda: fp.Plane.through(np.zeros(4), np.full(4, np.nan)), "not finite"),
    (lambda: fp.Plane.from_directions(np.zeros(4), np.eye(4)), "one to three"),
    (lambda: fp.Plane.random(np.ones(4), normalisation="filtre"), "Did you mean"),
    (lambda: fp.Plane.hessian(np.ones(4)), "either gradient or product"),
    (lambda: fp.Plane.through(SOLUTIONS[0], SOLUTIONS[1]).at([1.0, 2.0]), "coordinates"),
])
def test_bad_planes_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- models and tensors of torch, as far as they can be told without it ----

class Tensor:
    """What fpkit uses of a torch tensor with a gradient: NumPy refuses it, detach() does not."""

    def __init__(self, a):
        self.a, self.dtype, self.shape = np.asarray(a), "torch.float32", np.shape(a)

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.a

    def __array__(self, *args, **kwargs):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class Model:
    def named_parameters(self):
        return [("weight", Tensor(np.ones((3, 4), "f4"))), ("bias", Tensor(np.zeros(3, "f4")))]


def test_models_and_tensors_with_gradients_are_taken_as_they_are():
    plane = fp.Plane.random(Model(), seed=1)
    assert plane.n_params == 15 and plane.facts["normalisation"] == "filter"
    line = fp.Plane.line([Tensor(np.ones(4))], [Tensor(np.arange(4.0))])
    assert line.ndim == 1 and np.array_equal(line.origin, np.ones(4))
    with pytest.raises(TypeError, match="torch_parameters"):
        fp.export_landscape("x.h5", Model(), plane)


def test_single_precision_that_spoils_the_eigenvectors_is_refused():
    H = np.diag(np.r_[5.0, 3.0, 1.0, np.full(20, 0.1)])
    plane = fp.Plane.hessian(np.zeros(23), gradient=lambda w: (H @ w).astype("f4"))
    assert plane.facts["eigenvalues"] == pytest.approx([5, 3], rel=1e-3)
    with pytest.raises(ValueError, match="float64"):
        fp.Plane.hessian(np.zeros(23), gradient=lambda w: (H @ w + 4e3).astype("f4"))
