"""Laws of sets and distances, and regions that follow a potential."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fpkit as fp

number = st.floats(-3, 3)
length = st.floats(0.1, 3)
POINTS = np.random.default_rng(0).uniform(-4, 4, (400, 2))


@st.composite
def shapes(draw):
    kind = draw(st.sampled_from(["ball", "half-space", "box"]))
    if kind == "ball":
        return fp.Ball([draw(number), draw(number)], draw(length))
    if kind == "half-space":
        angle = draw(st.floats(0, 6.3))
        return fp.HalfSpace(draw(length) * np.array([np.cos(angle), np.sin(angle)]), draw(number))
    low = np.array([draw(number), draw(number)])
    return fp.Box(np.stack([low, low + [draw(length), draw(length)]], 1))


@given(shapes(), shapes())
@settings(max_examples=60, deadline=None)
def test_complements_of_unions_and_intersections_obey_de_morgan(A, B):
    np.testing.assert_array_equal((~(A | B)).contains(POINTS), (~A & ~B).contains(POINTS))
    np.testing.assert_array_equal((~(A & B)).contains(POINTS), (~A | ~B).contains(POINTS))
    np.testing.assert_array_equal((~~A).contains(POINTS), A.contains(POINTS))
    np.testing.assert_array_equal((A | ~A).contains(POINTS), True)
    np.testing.assert_array_equal((A & ~A).contains(POINTS), False)


@given(shapes(), shapes())
@settings(max_examples=60, deadline=None)
def test_signed_distances_are_1_lipschitz_and_have_the_right_sign(A, B):
    steps = np.random.default_rng(1).normal(0, 0.5, POINTS.shape)
    for region in (A, ~A, A | B, A & B, A & ~B):
        here, there = region.signed_distance(POINTS), region.signed_distance(POINTS + steps)
        assert (np.abs(here - there) <= np.linalg.norm(steps, axis=1) + 1e-12).all()
        off = np.abs(here) > 1e-12
        np.testing.assert_array_equal((here < 0)[off], region.contains(POINTS)[off])


@given(shapes(), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_the_exact_distance_is_reached_on_the_boundary(A, k):
    assert A.is_distance_exact
    x, d = POINTS[k], A.signed_distance(POINTS[k])
    phi = np.linspace(0, 2 * np.pi, 20001)
    circle = x + abs(d) * np.stack([np.cos(phi), np.sin(phi)], -1)
    around = A.signed_distance(circle)
    assert np.abs(around).min() < 1e-3  # the circle of that radius touches the boundary ...
    assert (np.sign(d) * around > -1e-12).all()              # ... and does not pass it


@given(shapes(), shapes())
@settings(max_examples=40, deadline=None)
def test_a_crossing_lies_on_the_boundary(A, B):
    region = A & ~B
    start, end = POINTS[::2], POINTS[1::2]
    s = region.crossing(start, end)
    np.testing.assert_array_equal(np.isnan(s), region.contains(start) == region.contains(end))
    cut = ~np.isnan(s)
    assert np.abs(region.signed_distance(start[cut]
                                         + s[cut, None] * (end - start)[cut])).max(initial=0.0) < 1e-13


def test_half_spaces_have_the_promised_sides():
    assert fp.HalfSpace([1], 1.0).contains([[1.0], [0.9], [5.0]]).tolist() == [True, False, True]
    assert fp.HalfSpace([-1], 1.0).contains([[-1.0], [-0.9], [5.0]]).tolist() == [True, False, False]
    assert fp.HalfSpace([3, 4], 5.0).signed_distance([0, 0]) == pytest.approx(1.0, abs=1e-15)
    assert fp.HalfSpace([1e-200, 0], 0.0).signed_distance([2.0, 0.0]) == -2.0


def test_boxes_may_be_unbounded():
    slab = fp.Box([(-np.inf, np.inf), (0, 1)])
    assert slab.signed_distance([[100.0, 0.25], [-7.0, 3.0]]).tolist() == [-0.25, 2.0]


def test_points_keep_their_shape():
    A = fp.Ball([0, 0, 0], 1.0)
    assert A.contains(np.zeros((4, 5, 3))).shape == (4, 5) and A.signed_distance(np.zeros(3)).shape == ()
    assert fp.Sublevel(fp.catalogue.double_well(), 0.5,
                       around=[1.0]).contains(np.zeros((2, 0, 1))).shape == (2, 0)
    assert fp.Basin(fp.catalogue.double_well(), [1.0]).contains(np.ones((2, 3, 1))).shape == (2, 3)


def test_equal_regions_have_equal_digests():
    A, B = fp.Ball([0, 1], 2.0), fp.HalfSpace([1, 0], 1.0)
    assert (A | B).digest == (fp.Ball([0, 1], 2.0) | fp.HalfSpace([1, 0], 1.0)).digest
    assert len({A.digest, B.digest, (A | B).digest, (A & B).digest, (~A).digest}) == 5
    assert repr(A & ~B) == "(Ball([0, 1], 2) & ~HalfSpace([1, 0], 1))"


@pytest.mark.parametrize("make, sentence", [
    (lambda: fp.Ball([0, 0], -1.0), "radius must be positive, got -1"),
    (lambda: fp.Ball(0.0, 1.0), r"centre must be a list of numbers, one a coordinate, got 0.0. In one "
     r"dimension write \[0\]"),
    (lambda: fp.Ball([np.nan], 1.0), "centre must be finite"),
    (lambda: fp.Ball(["a"], 1.0), "centre must be a list of numbers"),
    (lambda: fp.HalfSpace([0, 0], 1.0), "normal must not be zero"),
    (lambda: fp.HalfSpace([1], np.inf), "offset must be finite"),
    (lambda: fp.Box([(1, 0)]), r"bounds of axis 0 must be numbers with low < high, got \(1, 0\)"),
    (lambda: fp.Box([(0, np.nan)]), "bounds of axis 0"),
    (lambda: fp.Box([0, 1]), "bounds must be one"),
    (lambda: fp.Box([]), "got none"),
    (lambda: fp.Box([(-np.inf, np.inf)]), "whole space"),
    (lambda: fp.Ball([0], 1.0) | fp.Ball([0, 0], 1.0), "both regions need the same number"),
    (lambda: fp.Ball([0, 0], 1.0).contains([0.0]), r"points must have shape \(..., 2\)"),
    (lambda: fp.Ball([0], 1.0).contains([np.nan]), "not finite"),
    (lambda: fp.Basin(fp.catalogue.double_well(), [1.0]).signed_distance([0.0]), "no signed distance"),
    (lambda: fp.Sublevel(fp.catalogue.double_well(), 0.1, around=[0.0]), "above the level 0.1"),
    (lambda: fp.Sublevel(fp.catalogue.double_well(), 0.1, around=[0.0, 1.0]),
     "around must have 1 coordinates"),
    (lambda: fp.Basin(fp.Potential("x"), [0.0]), "does not end in a minimum"),
    (lambda: fp.Basin(fp.Potential("cos(x)"), [0.1], periodic=True), "periodic axis needs"),
])
def test_wrong_regions_get_one_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_regions_are_not_united_with_numbers():
    with pytest.raises(TypeError):
        fp.Ball([0], 1.0) | 3


# sublevel sets
def flooded(V, level, around, bounds, n):
    """The component by flooding grid cells: the plain reference."""
    axes = [np.linspace(low, high, n) for low, high in bounds]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    below = V(points) <= level
    seen = np.zeros_like(below)
    first = tuple(int(np.argmin(np.abs(a - v))) for a, v in zip(axes, around))
    stack = [first]
    seen[first] = below[first]
    while stack:
        cell = stack.pop()
        for k in range(len(axes)):
            for s in (-1, 1):
                near = tuple(c + s * (j == k) for j, c in enumerate(cell))
                if 0 <= near[k] < n and below[near] and not seen[near]:
                    seen[near] = True
                    stack.append(near)
    return points, seen


@pytest.mark.parametrize("name, level, around", [
    ("mueller_brown", -3.7, [-0.56, 1.44]), ("mueller_brown", -3.7, [0.6, 0.03]),
    ("mueller_brown", -2.1, [-0.56, 1.44]),
    ("mueller_brown", -1.9, [-0.56, 1.44]), ("three_hole", -2.0, [-1.05, 0.0]),
    ("three_hole", -1.5, [-1.05, 0.0]),
    ("narrow_gate", 0.45, [1.0, 0.0]), ("narrow_gate", 0.55, [1.0, 0.0]), ("ring", 0.01, [0.0, 1.0]),
    ("ring", 0.9, [0.0, 1.0]),
])
def test_a_component_agrees_with_flooding(name, level, around):
    V = fp.catalogue.get(name)
    points, wanted = flooded(V, level, around, V.box, 141)
    got = fp.Sublevel(V, level, around=around).contains(points)
    assert wanted.sum() > 20
    np.testing.assert_array_equal(got, wanted)


def test_a_component_does_not_depend_on_how_points_are_asked_for():
    V = fp.catalogue.flat_bottomed()
    A = fp.Sublevel(V, 0.3, around=[1.0])
    x = np.linspace(-2.5, 2.5, 101)[:, None]
    together = A.contains(x)
    np.testing.assert_array_equal(together, [A.contains(p) for p in x])
    np.testing.assert_array_equal(together, (V(x) <= 0.3) & (x[:, 0] > 0))


def test_the_distance_of_a_round_parabola_is_exact():
    V = fp.catalogue.ornstein_uhlenbeck(k=3.0, d=2)
    ball, level = fp.Ball([0, 0], 1.2), fp.Sublevel(V, 1.5 * 1.2**2)
    np.testing.assert_allclose(level.signed_distance(POINTS), ball.signed_distance(POINTS), atol=1e-13)
    assert level.signed_distance([0.0, 0.0]) == pytest.approx(-1.2) and not level.is_distance_exact


def test_the_distance_of_a_component_is_positive_in_other_components():
    V = fp.catalogue.double_well()
    A = fp.Sublevel(V, 0.5, around=[1.0])
    x = np.linspace(-1.6, 1.6, 200)[:, None]
    np.testing.assert_array_equal(A.signed_distance(x) < 0, A.contains(x))
    edge = np.sqrt(1 - np.sqrt(0.5))
    assert A.signed_distance([edge]) == pytest.approx(0.0, abs=1e-14)
    assert A.signed_distance([edge - 1e-3]) == pytest.approx(1e-3, rel=1e-2)


# basins
def test_basins_of_a_plane_divide_it_as_small_steps_downhill_do():
    V = fp.catalogue.mueller_brown()
    points = np.random.default_rng(2).uniform([-1.5, -0.3], [1.1, 1.9], (300, 2))
    x = points.copy()
    for _ in range(30000):
        x -= 1e-3 * V.gradient(x)
    basins = [fp.Basin(V, m.x) for m in V.minima]
    inside = np.array([b.contains(points) for b in basins])
    np.testing.assert_array_equal(inside.sum(0), 1)
    nearest = np.argmin([np.linalg.norm(x - m.x, axis=1) for m in V.minima], axis=0)
    assert (inside.argmax(0) != nearest).sum() <= 1               # a point on a ridge may go either way
    assert all((inside[j].sum() > 10) for j in range(3))


def test_a_basin_in_ten_dimensions_follows_the_signs():
    V = fp.catalogue.quartic_chain(d=10, coupling=0.0)
    x = np.random.default_rng(3).uniform(-1.5, 1.5, (200, 10))
    x[:40] = np.abs(x[:40])
    assert (fp.Basin(V, np.ones(10)).contains(x) == (x > 0).all(1)).all()


def test_a_basin_on_a_ring_counts_the_well_once():
    V = fp.catalogue.periodic_washboard(period=2.0)
    assert fp.Basin(V, [0.1]).contains([[-0.4], [0.9], [1.1], [1.4]]).all()
    assert fp.Basin(V, [0.1], periodic=False).contains([[-0.4], [0.9], [1.1],
                                                        [1.4]]).tolist() == [True, True, False, False]


def test_descent_along_a_wall_of_samples_stays_inside():
    x, y = np.linspace(-1, 1, 41), np.linspace(0, 2, 31)
    V = fp.GridPotential([x, y], (x[:, None]**2 + 0.5 * x[:, None]**3) + 0.3 * y)  # lowest on the wall y = 0
    A = fp.Basin(V, [0.5, 1.0])
    np.testing.assert_allclose(A.minimum, [0.0, 0.0], atol=1e-6)
    assert A.contains([[0.9, 1.9], [-0.9, 0.1]]).all()


def test_stiff_valleys_are_descended():
    V = fp.Potential("1e4*(y - x**2)**2 + (x**2 - 1)**2")
    assert fp.Basin(V, [1.0, 1.0]).contains([[0.05, 1.5], [-0.5, 0.0], [0.3, -0.4]]).tolist() == [True, False,
                                                                                                  True]
