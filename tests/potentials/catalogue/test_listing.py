"""The facts of the catalogue against plain formulas, derivatives, flooding and the search for wells."""
import itertools
import pickle

import numpy as np
import pytest

import fpkit as fp

NAMES = fp.catalogue.names()
ALL = fp.catalogue.all()
SMALL = [name for name in NAMES if ALL[name].ndim <= 3]
OTHERS = [("double_well", dict(barrier=2.0, distance=0.7)),
          ("tilted_double_well", dict(barrier=1.3, tilt=-0.2)),
          ("tilted_double_well", dict(tilt=2.0)), ("triple_well", dict(barrier=0.5, tilt=0.1)),
          ("sharp_and_wide", dict(ratio=0.1)),
          ("rugged", dict(ripple=0.0)), ("rugged", dict(ripple=0.2, wavenumber=11.0)),
          ("periodic_washboard", dict(barrier=3.0, period=2.5)),
          ("mueller_brown", dict(scale=1.0)), ("three_hole", dict(scale=2.0)),
          ("wide_and_narrow", dict(narrow=2.0, wide=9.0)),
          ("narrow_gate", dict(narrowing=0.0)), ("ring", dict(tilt=0.2, radius=0.5)),
          ("ring", dict(tilt=-0.2)), ("ring", dict(tilt=5.0)),
          ("coupled_double_well", dict(d=3)), ("coupled_double_well", dict(coupling=1.5)),
          ("quartic_chain", dict(d=3)),
          ("ornstein_uhlenbeck", dict(A=[[2.0, 1.0], [1.0, 3.0]])), ("ornstein_uhlenbeck", dict(k=4.0, d=3))]
CASES = [(name, {}) for name in SMALL] + OTHERS
IDS = [name + ("" if not p else str(sorted(p))) for name, p in CASES]


def degenerate(V):
    return any(m.degenerate for m in V.minima)


def plain(name, x, p):
    """Every formula once more, in plain NumPy on points (..., ndim)."""
    c = np.moveaxis(x, -1, 0)
    b = p.get("barrier")
    if name == "double_well":
        return b * ((c[0] / p["distance"]) ** 2 - 1) ** 2
    if name == "tilted_double_well":
        return b * (c[0] ** 2 - 1) ** 2 + p["tilt"] * c[0]
    if name == "triple_well":
        return 27 / 4 * b * c[0] ** 2 * (c[0] ** 2 - 1) ** 2 + p["tilt"] * c[0]
    if name == "sharp_and_wide":
        return p["height"] * (c[0] ** 2 - 1) ** 2 * p["ratio"] ** (-c[0] / np.sqrt(2 * (1 + c[0] ** 2)))
    if name == "rugged":
        return b * (c[0] ** 2 - 1) ** 2 + p["ripple"] * np.cos(p["wavenumber"] * c[0])
    if name == "flat_bottomed":
        r = np.abs(c[0])
        return np.where(r < p["gate"], b * (1 - (r / p["gate"]) ** 2) ** 3,
                        np.where(r > p["edge"], p["stiffness"] * (r - p["edge"]) ** 3, 0.0))
    if name == "periodic_washboard":
        return b * np.sin(np.pi * c[0] / p["period"]) ** 2
    if name == "mueller_brown":
        A, a, bb, cc = (-200, -100, -170, 15), (-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7)
        u, v = (1, 0, -0.5, -1), (0, 0.5, 1.5, 1)
        return p["scale"] * sum(A[k] * np.exp(a[k] * (c[0] - u[k]) ** 2 + bb[k] * (c[0] - u[k])
                                              * (c[1] - v[k]) + cc[k] * (c[1] - v[k]) ** 2) for k in range(4))
    if name == "three_hole":
        X, Y = c
        return p["scale"] * (3 * np.exp(-X**2 - (Y - 1 / 3) ** 2) - 3 * np.exp(-X**2 - (Y - 5 / 3) ** 2) - 5
                             * np.exp(-(X - 1) ** 2 - Y**2)
                             - 5 * np.exp(-(X + 1) ** 2 - Y**2) + 0.2 * X**4 + 0.2 * (Y - 1 / 3) ** 4)
    if name == "wide_and_narrow":
        k = np.sqrt(p["narrow"] * p["wide"]) * (p["wide"] / p["narrow"]) ** (c[0] / 2)
        return b * (c[0] ** 2 - 1) ** 2 + 0.5 * k * c[1] ** 2
    if name == "narrow_gate":
        k = p["stiffness"] * (1 + p["narrowing"] * np.exp(-(c[0] ** 2) / (2 * p["length"] ** 2)))
        return b * (c[0] ** 2 - 1) ** 2 + 0.5 * k * c[1] ** 2
    if name == "ring":
        return b * ((c[0] ** 2 + c[1] ** 2) / p["radius"] ** 2 - 1) ** 2 + p["tilt"] * c[0]
    if name == "grokking_drift":
        w, g = p["w0"] * np.exp(p["kappa"] * c[0]), p["g"]
        return g**2 * w**2 * (np.sqrt(1 + c[1] ** 2 / (g**2 * w**4)) - 1)
    if name == "coupled_double_well":
        f = (c[0] ** 2 - 1) ** 2 + p["stiffness"] * c[1] ** 2 + p["coupling"] * c[0] * c[1]
        return f if len(c) == 2 else f + p["stiffness_z"] * c[2] ** 2 + p["coupling_z"] * c[1] * c[2]
    if name == "quartic_chain":
        return ((c**2 - 1) ** 2).sum(0) + p["coupling"] / 2 * (np.diff(c, axis=0) ** 2).sum(0)
    if name == "ornstein_uhlenbeck":
        return 0.5 * sum(p.get(f"A_{min(i, j)}_{max(i, j)}", p.get("k") if i == j else 0.0) * c[i] * c[j]
                         for i in range(len(c)) for j in range(len(c)))
    if name == "grokking_chamber":
        h = (1 - np.tanh((c[0] - 1) / p["sharpness"])) / 2
        w = p["neck"] * np.exp(p["S"] / (len(c) - 1) * h)
        return (c[1:] ** 2).sum(0) / (2 * w**2)
    raise AssertionError(f"no plain formula for {name}")


def sample(V, n=200):
    low, high = np.array(V.box).T
    return np.random.default_rng(0).uniform(low, high, (n, V.ndim))


@pytest.mark.parametrize("name, p", [*((n, {}) for n in NAMES), *OTHERS])
def test_a_potential_equals_its_plain_formula(name, p):
    V = fp.catalogue.get(name, **p)
    x = sample(V)
    wanted = plain(name, x, V.params)
    np.testing.assert_allclose(V(x), wanted, rtol=1e-12, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("name, p", CASES, ids=IDS)
def test_gradients_vanish_and_hessians_have_the_right_signs(name, p):
    V = fp.catalogue.get(name, **p)
    assert len(V.minima) >= 1
    for k, c in [*((0, m) for m in V.minima), *((1, s) for s in V.saddles)]:
        assert np.abs(V.gradient(c.x)).max() < 1e-10 * max(1.0, np.abs(c.eigenvalues).max())
        w = np.linalg.eigvalsh(V.hessian(c.x))
        np.testing.assert_allclose(c.eigenvalues, w, atol=1e-9 * max(1.0, np.abs(w).max()))
        assert (w < -1e-9).sum() == k == c.index
        assert c.value == pytest.approx(V(c.x), abs=1e-14)
        assert c.degenerate == bool((np.abs(w) < 1e-9).any())
    values = [m.value for m in V.minima]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name, p", CASES, ids=IDS)
def test_the_search_finds_exactly_the_wells_and_saddles(name, p):
    V = fp.catalogue.get(name, **p)
    found = fp.critical_points(V)
    assert len(found.minima) == len(V.minima) and len(found.saddles) == len(V.saddles), found
    for mine, theirs in [*zip(V.minima, found.minima), *zip(V.saddles, found.saddles)]:
        assert mine.value == pytest.approx(theirs.value, abs=1e-10 * max(1.0, abs(mine.value)))
        assert mine.between == theirs.between and mine.degenerate == theirs.degenerate
        if not mine.degenerate:
            np.testing.assert_allclose(mine.x, theirs.x, atol=1e-9)
    if not degenerate(V):
        assert found.index_sum == (0 if all(V.periodic_axes) else 1)
    assert len(fp.find_wells(V)) == len(V.minima)


def flooding_barriers(V, n):
    """Minimax heights between the minima on a grid of points, by union-find in ascending order; nothing
    shared with the package."""
    axes = [np.linspace(low, high, n, endpoint=not periodic) for (low, high),
            periodic in zip(V.box, V.periodic_axes)]
    grid = np.meshgrid(*axes, indexing="ij")
    points = np.stack(grid, -1)
    value = plain(V.name, points, V.params)
    shape = value.shape
    home = [np.ravel_multi_index([int(np.argmin(np.abs(a - c))) for a, c in zip(axes, m.x)], shape)
            for m in V.minima]
    parent = np.full(value.size, -1)

    def root(k):
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    height, flat = {}, value.ravel()
    for cell in np.argsort(flat, kind="stable"):
        parent[cell] = cell
        index = np.unravel_index(cell, shape)
        for step in itertools.product((-1, 0, 1), repeat=len(shape)):
            near = [i + s for i, s in zip(index, step)]
            if all(0 <= i < m for i, m in zip(near, shape)):
                other = np.ravel_multi_index(near, shape)
                if parent[other] >= 0 and root(other) != root(cell):
                    parent[root(cell)] = root(other)
        if len(height) < len(home) * (len(home) - 1):
            for i, j in itertools.permutations(range(len(home)), 2):
                a, b = home[i], home[j]
                is_flooded = flat[cell] >= max(flat[a], flat[b]) and parent[a] >= 0 and parent[b] >= 0
                if (i, j) not in height and is_flooded and root(a) == root(b):
                    height[i, j] = flat[cell]
        else:
            break
    return {pair: h - V.minima[pair[0]].value for pair, h in height.items()}


@pytest.mark.parametrize("name, p", [(n, p) for n, p in CASES if fp.catalogue.get(n, **p).ndim <= 2],
                         ids=[i for i, (n, p) in zip(IDS, CASES) if fp.catalogue.get(n, **p).ndim <= 2])
def test_barriers_agree_with_flooding_on_a_grid(name, p):
    V = fp.catalogue.get(name, **p)
    n = 4001 if V.ndim == 1 else 161
    flooded = flooding_barriers(V, n)
    own = {pair: h for pair, h in V.barriers.items() if pair[0] != pair[1]}
    assert own.keys() == flooded.keys()
    # The grid path misses the saddle by up to half a spacing h along its slopes: an error of lambda h^2/2 in
    # each direction.
    stiffest = max([1.0, *(np.abs(s.eigenvalues).max() for s in V.saddles),
                    *(m.eigenvalues.max() for m in V.minima)])
    spacing = max(high - low for low, high in V.box) / (n - 1)
    for pair, h in own.items():
        assert h == pytest.approx(flooded[pair], abs=V.ndim * stiffest * spacing**2)


@pytest.mark.parametrize("name", NAMES)
def test_what_an_entry_says_about_itself_fits(name):
    V = ALL[name]
    assert V.name == name and fp.catalogue.get(name).digest == V.digest
    assert len(V.box) == len(V.periodic_axes) == V.ndim and all(low < high for low, high in V.box)
    assert all(theta > 0 for theta in V.temperatures)
    for m in V.minima:
        assert all(low <= x <= high for x, (low, high) in zip(m.x, V.box))
    if V.start is not None:
        assert not V.goal.contains(V.start) and V.goal.contains(V.start + 100 * np.eye(V.ndim)[0])


def test_the_washboard_is_periodic_and_the_others_rise_at_their_walls():
    for name in SMALL:
        V = ALL[name]
        low, high = np.array(V.box).T
        for axis, is_periodic in enumerate(V.periodic_axes):
            x, y = sample(V, 50), sample(V, 50)
            x[:, axis], y = low[axis], x
            y = x.copy()
            y[:, axis] = high[axis]
            if is_periodic:
                np.testing.assert_allclose(V(x), V(y), atol=1e-13)
                np.testing.assert_allclose(V.gradient(x), V.gradient(y), atol=1e-11)
            elif V.start is None:
                deepest = V.minima[0].value
                assert min(V(x).min(), V(y).min()) - deepest > 5 * min(V.temperatures), name


def test_facts_follow_the_parameters():
    V = fp.catalogue.double_well()
    W = V.with_params(barrier=3.0, distance=2.0)
    assert W.barriers == {(0, 1): 3.0, (1, 0): 3.0} and V.barriers[0, 1] == 1.0
    assert W.minima[1].x.tolist() == [2.0] and W.box == ((-4.0, 4.0),)
    assert len(fp.catalogue.tilted_double_well().with_params(tilt=2.0).minima) == 1
    assert not fp.catalogue.ring().with_params(tilt=0.1).minima[0].degenerate


def test_facts_that_fail_for_the_parameters_are_unknown_and_say_so():
    V = fp.catalogue.quartic_chain(d=2).with_params(coupling=30.0)
    assert V.minima is V.saddles is V.barriers is None and "critical_points" in V.facts_note
    assert len(fp.critical_points(V).minima) == 2


def test_sums_and_multiples_know_no_facts():
    V = fp.catalogue.double_well()
    for W in (2 * V, V + V, V.tilted([0.1]), V - 1.0):
        assert W.minima is W.saddles is W.barriers is None


def test_the_lowest_way_through_a_chain_is_a_walking_wall():
    short = fp.catalogue.quartic_chain(d=5)
    walls = [m for m in short.minima if np.count_nonzero(np.diff(np.sign(m.x))) <= 1]
    assert len(short.minima) == 32 and len(walls) == 10 and len(short.saddles) == 80
    highest = max(s.value for s in short.saddles if all(np.count_nonzero(np.diff(np.sign(short.minima[j].x)))
                                                        <= 1 for j in s.between))
    assert short.barriers[0, 1] == pytest.approx(highest, abs=1e-12)
    long = fp.catalogue.quartic_chain(d=10)
    assert not long.facts_complete and len(long.minima) == len(long.saddles) == 20
    assert long.barriers[0, 1] == pytest.approx(long.barriers[1, 0], abs=1e-12)
    assert 1.4 < long.barriers[0, 1] < 1.6


def test_known_numbers_of_the_literature_come_out():
    V = fp.catalogue.mueller_brown(scale=1.0)
    np.testing.assert_allclose([m.value for m in V.minima], [-146.69951721, -108.16672412, -80.76781812],
                               atol=1e-7)
    np.testing.assert_allclose([s.value for s in V.saddles], [-72.24894, -40.66484], atol=1e-4)
    assert fp.catalogue.grokking_drift().minima[0].eigenvalues[1] == pytest.approx(1 / 0.3**2)


@pytest.mark.parametrize("name, p", [("mueller_brown", dict(scale=0.2)),
                                     ("quartic_chain", dict(d=3, coupling=0.2)),
                                     ("ornstein_uhlenbeck", dict(A=[[2.0, 1.0], [1.0, 3.0]])),
                                     ("grokking_drift", dict(length=2.0, kappa=0.25))])
def test_a_pickled_entry_keeps_its_parameters_and_facts(name, p):
    V = fp.catalogue.get(name, **p)
    W = pickle.loads(pickle.dumps(V))
    assert W.digest == V.digest and W.box == V.box and W.params == V.params
    assert [m.x.tolist() for m in W.minima] == [m.x.tolist() for m in V.minima]


@pytest.mark.parametrize("make, sentence", [
    (lambda: fp.catalogue.get("double_wel"), "Did you mean 'double_well'"),
    (lambda: fp.catalogue.double_well(barrier=-1), "barrier must be positive, got -1"),
    (lambda: fp.catalogue.double_well().with_params(distance=0.0), "distance must be positive"),
    (lambda: fp.catalogue.double_well().with_params(depth=1.0), "depth"),
    (lambda: fp.catalogue.flat_bottomed(gate=3.0), "gate must be smaller than edge"),
    (lambda: fp.catalogue.quartic_chain(d=1), "d must be at least 2"),
    (lambda: fp.catalogue.coupled_double_well(d=4), "known are 2, 3"),
    (lambda: fp.catalogue.ornstein_uhlenbeck(A=[[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
    (lambda: fp.catalogue.ornstein_uhlenbeck(A=[[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
    (lambda: fp.catalogue.mueller_brown(scale=np.nan), "scale must be finite"),
    (lambda: fp.catalogue.grokking_drift(length=0), "length must be positive"),
])
def test_wrong_entries_get_one_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
