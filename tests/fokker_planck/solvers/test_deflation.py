"""Large chains: the multigrid against dense solves and elimination, and three-dimensional answers against
exact ones."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.boundary_values import killed_chain as outside
from fpkit.fokker_planck.discretisation import edge_rules
from fpkit.fokker_planck.discretisation.wells import highest_way
from fpkit.fokker_planck.questions import pair
from fpkit.fokker_planck.solvers import multigrid as stencil
from fpkit.fokker_planck.solvers.multigrid import StructuredMultigrid

WELLS = fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2*(1 + 0.3*x) + 1.2*z**2 + 0.3*y*z")
A, B = fp.Ball([-1.03, 0, 0], 0.35), fp.Ball([0.96, 0, 0], 0.35)
BOX = [(-1.8, 1.8), (-1.2, 1.2), (-1.2, 1.2)]


def laplacian(shape, links, ground):
    """Dense matrix of a chain of neighbours."""
    index, M = np.arange(ground.size).reshape(shape), np.diag(ground)
    for axis in range(len(shape)):
        for i, j, c in zip(index.ravel(), np.roll(index, -1, axis).ravel(), links[axis]):
            M[i, i] += c
            M[j, j] += c
            M[i, j] -= c
            M[j, i] -= c
    return M


@pytest.mark.parametrize("shape", [(31, 27), (2, 3, 150), (9, 8, 11), (12, 13, 7)])
@pytest.mark.parametrize("is_ring", [False, True])
def test_the_multigrid_solves_the_chain(shape, is_ring):
    rng, n = np.random.default_rng(0), int(np.prod(shape))
    links, ground = np.exp(0.7 * rng.standard_normal((len(shape), n))), np.where(rng.random(n) < 0.05, 1.0,
                                                                                 0.0)
    if not is_ring:
        for axis in range(len(shape)):
            links[axis].reshape(shape)[tuple(-1 if a == axis else slice(None)
                                             for a in range(len(shape)))] = 0.0
    b = rng.random(n)
    x, reached = StructuredMultigrid(shape, links, ground).solve(b, 1e-12)
    assert reached <= 1e-12
    np.testing.assert_allclose(x, np.linalg.solve(laplacian(shape, links, ground), b), rtol=1e-8)
    R = 0.2 * np.abs(rng.standard_normal(n)) * ground                 # unsymmetric rows: each weighted anew
    skew = lambda v: R * (v - np.roll(v, 1))
    x, reached = StructuredMultigrid(shape, links, ground).solve(b, 1e-12, skew)
    M = laplacian(shape, links, ground) + np.diag(R) @ (np.eye(n) - np.roll(np.eye(n), 1, axis=0))
    assert reached <= 1e-12
    np.testing.assert_allclose(x, np.linalg.solve(M, b), rtol=1e-8)


@pytest.fixture
def iterated(monkeypatch):
    """Both ways on one chain: answers of a function by elimination and by the multigrid."""
    def both(ask):
        direct = ask()
        with monkeypatch.context() as m:
            m.setattr(outside, "ELIMINATED", {1: 10**9, 2: 100, 3: 100})
            return direct, ask()
    return both


@pytest.mark.parametrize("theta", [0.3, 0.06])  # without and with a core in the start well
def test_multigrid_and_elimination_agree_on_one_chain(theta, iterated):
    def ask():
        D = fp.FokkerPlanck(WELLS, theta, fp.Grid(BOX, (24, 18, 18)))
        both, tau = pair(D, A, B), outside.KilledChain(D, [B])
        times = tau.passage_time(tau.factors(), tau.log_m.max())
        # the weight of a state is that of its residual
        heavy = [np.flatnonzero(D._space.B[o.ids] < 10)[::200] for o in (tau, both.out)]
        return np.array([both.log_capacity, both.log_source_mass(),
                         *both.q_target[heavy[1]]]), np.log(times[heavy[0]])
    (numbers, times), (other_numbers, other_times) = iterated(ask)
    assert np.abs(numbers - other_numbers).max() < 1e-9
    assert np.abs(times - other_times).max() < 2e-8  # relative also where it is short, beside the target


def test_committors_of_both_directions_sum_to_one(iterated):
    D = fp.FokkerPlanck(WELLS, 0.1, fp.Grid(BOX, (24, 18, 18)))
    for both in iterated(lambda: outside.KilledChain(D, [A, B])):
        q = both.committors(both.factors())
        assert np.abs(q.sum(0) - 1).max() < 1e-9 and (q >= 0).all() and (q <= 1 + 1e-12).all()


def test_a_solve_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr(stencil, "MAX_ITERATIONS", 3)
    monkeypatch.setattr(outside, "ELIMINATED", {1: 10**9, 2: 100, 3: 100})
    with pytest.raises(ValueError, match="refine the grid"):
        fp.FokkerPlanck(WELLS, 0.3, fp.Grid(BOX, (10, 8, 8))).mfpt(B)


def test_faces_of_the_kernel_are_means_over_lines():
    V = fp.Potential("cos(x) + 3*y**2 + z**4 + 0.3*y*z")
    D = fp.FokkerPlanck(V, 0.2, fp.Grid([(0, 2 * np.pi), (-1, 1), (-1.5, 1.5)], (9, 8, 10),
                                        periodic=[True, False, False]), mobility=[1.0, 2.0, 3.0])
    space = D._space
    for axis in range(3):
        e = space.pairs(axis)
        plain = edge_rules.log_conductance(space, "face", axis, e.start, e.step, e.length, e.area,
                                           space.B[e.a], space.B[e.b], e.across)
        assert np.abs(edge_rules.axis_conductances(space, axis, "face")[1] - plain).max() < 1e-4


def test_the_highest_way_is_the_saddle_between_deep_wells():
    V = fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2")
    D = fp.FokkerPlanck(V, 0.02, fp.Grid([(-1.8, 1.8), (-1, 1)], (61, 21)))
    B = D._space.B.reshape(61, 21)
    row = B.min(axis=1)  # the best way runs along the bottom of the valley
    left, right = row[:30].argmin(), 30 + row[30:].argmin()
    assert highest_way(D._space) == row[left:right].max()
    assert highest_way(fp.FokkerPlanck(V, 1.0, D.grid)._space) == 0.0  # no well is seven theta deep


# ----------------------------------------------------------------------------------------------- exact
# answers in three dimensions
def radial_time(f, theta, a, r):
    """Mean passage time from radius r down to a for a radial f."""
    from scipy.integrate import quad
    tail = lambda s: quad(lambda t: t * t * np.exp((f(s) - f(t)) / theta), s, s + 5, epsabs=0,
                          epsrel=1e-11)[0]
    return quad(lambda s: tail(s) / (theta * s * s), a, r, epsrel=1e-10)[0]


def test_passage_times_to_a_ball_are_exact_to_1e_4_when_refined():
    D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2 + z**2)**2/4"), 0.5, fp.Grid([(-2.2, 2.2)] * 3, (20,) * 3))
    target = fp.Ball([0, 0, 0], 0.6)
    for x in ([1.3, 0.4, -0.2], [0.7, 0.5, 0.3], [-1, 1, 1]):
        tau, exact = D.mfpt(target, refine=True).at(x), radial_time(lambda r: r**4 / 4, 0.5, 0.6,
                                                                    np.linalg.norm(x))
        assert abs(tau - exact) < min(1e-4 * exact, tau.error)


def test_capacity_and_committor_between_spheres_are_exact_to_1e_4_when_refined():
    D = fp.FokkerPlanck(fp.Potential("0*x*y*z"), 1.0, fp.Grid([(-1.6, 1.6)] * 3, (20,) * 3))
    inner, outer = fp.Ball([0, 0, 0], 0.5), ~fp.Ball([0, 0, 0], 1.5)
    x = [0.7, 0.3, -0.4]
    q, cap = D.committor(inner, outer, refine=True).at(x), D.capacity(inner, outer, refine=True)
    exact_q, exact_cap = (1 / 0.5 - 1 / np.linalg.norm(x)) / (1 / 0.5 - 1
                                                              / 1.5), 4 * np.pi / (1 / 0.5 - 1 / 1.5)
    assert abs(q - exact_q) < min(1e-4 * exact_q,
                                  q.error) and abs(cap - exact_cap) < min(1e-4 * exact_cap, cap.error)


@pytest.mark.slow
def test_the_gap_and_an_exit_rate_of_a_sum_are_those_of_one_dimension_to_1e_4():
    line = fp.Potential("(x**2 - 1)**2 + 0.2*x")
    space = fp.Potential("(x**2 - 1)**2 + 0.2*x + y**2 + 1.5*z**2")
    one = fp.FokkerPlanck(line, 0.25, fp.Grid([(-2, 2)], 100))
    D = fp.FokkerPlanck(space, 0.25, fp.Grid([(-2, 2), (-1.8, 1.8), (-1.6, 1.6)], (24,) * 3))
    for found, exact in ((D.spectrum(2, refine=True)[1], one.spectrum(2)[1]),
                         (D.exit_rate(fp.HalfSpace([1, 0, 0], 0.9), refine=True),
                          one.exit_rate(fp.HalfSpace([1], 0.9)))):
        assert abs(found - exact) < 1e-4 * exact and abs(found - exact) <= found.error


def test_coarse_grids_see_no_traps_and_say_when_they_know_nothing():
    # masses at the lower faces of steep cells once gave an exit rate of 4e-11 for 3.5e-5, and at 16^3 half
    # the gap
    V = fp.Potential("(x**2 - 1)**2 + 2*y**2 + 0.3*x*y + 1.5*z**2 + 0.2*y*z")
    target, box = fp.Ball([1, 0, 0], 0.5), [(-2.5, 2.5)] * 3
    plane = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 2*y**2 + 0.3*x*y"), 0.1, fp.Grid(box[:2], (64, 64)))
    # z is a harmonic well of its own but for a weak coupling
    gap, exit = plane.spectrum(2)[1], plane.exit_rate(fp.Ball([1, 0], 0.5))
    for n in (12, 16):
        D = fp.FokkerPlanck(V, 0.1, fp.Grid(box, (n,) * 3))
        for found, exact in ((D.spectrum(2)[1], gap), (D.exit_rate(target), exit)):
            assert abs(found - exact) < 0.05 * exact and abs(found - exact) < found.error < 2 * exact
    hopeless = fp.FokkerPlanck(V, 0.02, fp.Grid(box, (12,) * 3)).mfpt(target).at([-1, 0.1, 0])
    assert hopeless.status.startswith("unresolved") and "refine the grid" in hopeless.status
