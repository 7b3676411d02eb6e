"""The tolerance of the time steps is kept on potentials, grids and starts that the step control was not tuned
on.

The fractions in stepping.allowed_step come from five potentials on 24^2 cells with the chain of order 2
(double wells, curved channel, Mueller-Brown, ring with three wells, four wells). None of those below is among
them. Reference: the same chain with a tolerance 500 times smaller, itself checked here against a dense
exponential.
"""
import gc
import weakref

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.evolution import implicit, sweep_kernels
from fpkit.fokker_planck.evolution.implicit import Graph, ImplicitStep
from fpkit.fokker_planck.evolution.initial import kind_of, node_start
from fpkit.fokker_planck.evolution.problem import Problem
from fpkit.fokker_planck.evolution.stepping import StepControl

pytestmark = pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")       # small grids

TIMES = (1e-3, 0.02, 0.3, 4.0, 60.0, 1e3, 2e4, 1e6)
FRESH = {
    "asymmetric channel": ("0.25*x**4 - x**2 + 0.3*x + (y - 0.4*x**2)**2 + 0.2*y", [(-2.4, 2.2), (-1.6, 3)],
                           (28, 24), ([0.9, -0.8], 0.3)),
    "rough bowl": ("0.5*x**2 + 0.3*y**2 + 0.35*cos(4*x + y) + 0.3*sin(3*y - x)", [(-2.5, 2.5), (-2.6, 2.6)],
                   (24, 30), [1.9, -2.0]),
    "three gaussian wells": ("-1.5*exp(-4*((x - 1)**2 + y**2)) - exp(-3*((x + 0.8)**2 + (y - 0.7)**2))"
                             " - 1.2*exp(-5*((x + 0.6)**2 + (y + 0.9)**2)) + 0.05*(x**4 + y**4)",
                             [(-2.2, 2.2), (-2, 2)], (30, 28), ([0.9, -0.8], 0.3)),
    "bowl of many wells": ("0.5*x**2 + 0.2*y**2 + 0.51*cos(2.11*x + y) + 0.48*sin(2.41*y - x)",
                           [(-2.4, 1.7), (-2.2, 1.9)], (24, 23), [-0.2, 0.2]),
    "one dimension": ("0.25*x**4 - x**2 + 0.3*x + 0.2*cos(5*x)", [(-2.6, 2.5)], (64,), [2.0]),
    "three dimensions": ("(x**2 - 1)**2 + 1.2*(y - 0.3*x)**2 + (z + 0.2*x*y)**2 + 0.15*z",
                         [(-1.8, 1.8), (-1.6, 1.6), (-1.5, 1.5)], (10, 10, 10),
                         ([0.9, -0.8, 0.4], 0.3)),
}


def chain(name, theta, order=4, positive=False):
    source, box, shape, start = FRESH[name]
    D = fp.FokkerPlanck(fp.Potential(source), theta, fp.Grid(box, shape))
    problem = Problem(D)
    lines = problem.lines(order)
    p, _ = node_start(*kind_of(start, D.grid), lines, problem.reading(lines, 0.0), positive)
    return lines, p


def carried(lines, p, tol, positive=False, times=TIMES):
    stepper, s, out = StepControl(lines, tol, positive), 0.0, []
    for t in times:
        p = stepper.advance(p, s, t)
        out.append(p)
        s = t
    return out, stepper.counts


def worst(got, expected):
    return max(float(np.abs(a - b).sum()) for a, b in zip(got, expected))


@pytest.mark.parametrize("theta", [0.06, 0.3])
@pytest.mark.parametrize("name", FRESH)
def test_time_error_is_within_the_tolerance(name, theta):
    lines, p = chain(name, theta)
    exact, _ = carried(lines, p, 2e-8 if len(lines.shape) < 3 else 1e-7)
    for tol in (1e-3, 1e-5):
        got, counts = carried(lines, p, tol)
        assert worst(got, exact) <= tol
        assert counts.strang + counts.coupled < 5000
        for t, expected in list(zip(TIMES, exact))[2::3]:                # the same times asked for alone
            alone, _ = carried(lines, p, tol, times=(t,))
            assert worst(alone, [expected]) <= tol


def test_late_times_take_few_steps():
    """From one well to the equilibrium, ten decades on: the steps are of order 8."""
    lines, p = chain("asymmetric channel", 0.1)
    _, counts = carried(lines, p, 1e-6)
    assert counts.coupled < 80 and counts.solves < 30 * counts.coupled


@pytest.mark.parametrize("name", ["asymmetric channel", "three gaussian wells", "one dimension"])
def test_time_error_is_within_the_tolerance_in_positive_mode(name):
    lines, p = chain(name, 0.1, order=2, positive=True)
    exact, _ = carried(lines, p, 1e-6)
    got, _ = carried(lines, p, 1e-3, positive=True)
    assert worst(got, exact) <= 1e-3
    assert min(a.min() for a in got) >= 0


def generator(lines):
    """Dense A of dp/dt = -A p, column by column, of order 4."""
    return np.array([lines.operator(e) for e in np.eye(lines.b.size)]).T


def test_reference_agrees_with_a_dense_exponential():
    from scipy.linalg import expm
    source, box, _, start = FRESH["rough bowl"]
    D = fp.FokkerPlanck(fp.Potential(source), 0.3, fp.Grid(box, (14, 12)))
    problem = Problem(D)
    lines = problem.lines(4)
    p, _ = node_start(*kind_of(start, D.grid), lines, problem.reading(lines, 0.0))
    times = (0.02, 0.3, 4.0, 100.0)
    got, _ = carried(lines, p, 1e-7, times=times)
    A, root = generator(lines), np.exp(-lines.b / 2)
    S = A * root / root[:, None]
    for a, t in zip(got, times):
        exact = expm(-t * S) @ (p / root) * root
        assert np.abs(a - exact).sum() < 1e-7


def test_unsplit_solve_inverts_one_plus_tau_times_the_operator():
    lines, p = chain("rough bowl", 0.3)
    solver = ImplicitStep.of(lines, positive=False)
    for tau in (1e-3, 0.1, 10.0, 1e6):
        x = solver._solve(p, tau, 1e-13)
        # judged after the solve by the chain of order 2: the residual itself is rounding times tau |Q|
        r = solver._factors(tau).solve(p - x - tau * lines.operator(x))
        assert np.abs(r).sum() < 1e-11


@pytest.mark.parametrize("start", [0.3, 3.0])
def test_unsplit_steps_are_of_order_eight_and_know_their_error(start):
    from scipy.linalg import expm
    source, box, _, at = FRESH["rough bowl"]
    D = fp.FokkerPlanck(fp.Potential(source), 0.3, fp.Grid(box, (14, 12)))
    lines = Problem(D).lines(4)
    p, _ = node_start(*kind_of(at, D.grid), lines, Problem(D).reading(lines, 0.0))
    A, solver, errors = generator(lines), ImplicitStep.of(lines, positive=False), []
    p = expm(-start * A) @ p
    for dt in (start / 4, start / 8):
        new, error = solver.step(p, dt, 1e-15)
        errors.append(float(np.abs(new - expm(-dt * A) @ p).sum()))
        assert errors[-1] < error
    assert errors[0] > 2**6 * errors[1]            # the last rates are stiff: not yet 2^9


def test_residuals_that_mix_are_left_behind():
    """Where the images of the residual lie between 1 and 3 the least residual alone may be no way on."""
    lines, p = chain("bowl of many wells", 0.033)
    solver = ImplicitStep.of(lines, positive=False)
    p, = carried(lines, p, 1e-7, times=(2e3,))[0]
    for tau in (30.0, 300.0, 3000.0):
        x = solver._solve(p, tau, 1e-10)
        assert np.abs(solver._factors(tau).solve(p - x - tau * lines.operator(x))).sum() < 2e-10


@pytest.mark.parametrize("periodic", [False, True])
def test_elimination_keeps_the_mass_and_is_positive_at_any_step(periodic):
    V = fp.Potential("cos(x) + sin(y) + 0.5*cos(x - y)")
    lines = Problem(fp.FokkerPlanck(V, 0.02,
                                    fp.Grid([(0, 2 * np.pi)] * 2, (14, 11), periodic=periodic))).lines(2)
    graph = Graph(lines)
    assert graph.is_eliminated
    p = np.zeros(lines.b.size)
    p[17] = 1.0
    for tau in (1e-3, 1.0, 1e6, 1e14):
        x = graph.factors(tau).solve(p)
        assert abs(x.sum() - 1) < 1e-13 and x.min() >= 0


def test_factors_that_are_no_longer_kept_are_freed_at_once():
    """They are the largest arrays of an evolution; a cycle of references would keep them longer."""
    lines, p = chain("asymmetric channel", 0.3)
    solver = ImplicitStep.of(lines, positive=False)
    gc.disable()
    try:
        freed = []
        for k in range(6):
            weakref.finalize(solver._factors(0.1 * 2**k), freed.append, k)
        assert freed == [0, 1, 2]
    finally:
        gc.enable()


def test_edges_are_listed_only_where_they_are_solved_with(monkeypatch):
    """On large grids they are more than all else, and the price of a step is known without them."""
    monkeypatch.setattr(implicit, "ELIMINATED_2D", 0)
    lines, p = chain("asymmetric channel", 0.3)
    stepper = StepControl(lines, 1e-4)
    stepper.advance(p, 0.0, 0.05)
    assert stepper.price == 1500 and stepper.rounding_rate == 0 and stepper.counts.strang > 0
    assert "_edges" not in stepper.solver.graph.__dict__
    stepper.solver.step(p, 0.1, 1e-6)
    assert "_edges" in stepper.solver.graph.__dict__


def test_the_solvers_agree(monkeypatch):
    lines, p = chain("asymmetric channel", 0.3)
    graph = Graph(lines)
    signed = p * np.random.default_rng(5).choice([-1.0, 1.0], p.size)
    for r in (p, signed):
        symmetric, multigrid = (kind(graph, 0.7).solve(r)
                                for kind in (implicit._Eliminated, implicit._Multigrid))
        with monkeypatch.context() as patch:
            patch.setattr(implicit, "IN_RANGE", 0.0)
            directed = implicit._Eliminated(graph, 0.7).solve(r)
        assert np.abs(symmetric - directed).sum() < 1e-12
        assert np.abs(symmetric - multigrid).sum() < 1e-7


def test_order_four_mass_is_at_least_a_third_of_the_lumped_one():
    rng = np.random.default_rng(3)
    V = fp.Potential("a*sin(7*x) + b*cos(11*x) + 40*x**2", a=50.0, b=30.0)
    lines = Problem(fp.FokkerPlanck(V, 0.05, fp.Grid([(-1, 1)], (24,)))).lines(4)
    D = np.exp(-lines.b)
    c = lines.up[0] * D[:-1]
    mu = np.minimum(lines.delta[0][:-1] * c, np.minimum(D[:-1], D[1:]) / 6)
    M = np.diag(D) - np.diag(np.r_[mu, 0] + np.r_[0, mu]) + np.diag(mu, 1) + np.diag(mu, -1)
    for _ in range(50):
        v = rng.standard_normal(24)
        assert v @ M @ v >= (D * v * v).sum() / 3 * (1 - 1e-12)
    assert np.allclose(M.sum(1), D, rtol=1e-14)


def lines_of_equations(D, C, killing, delta, is_ring):
    """K, M and the diagonal of the killing of one line, dense."""
    n = D.size
    K, N = np.zeros((n, n)), np.zeros((n, n))
    for k, c in enumerate(C):
        j = (k + 1) % n
        for matrix, w in ((K, c), (N, min(delta * c, D[k] / 6, D[j] / 6))):
            matrix[[k, j], [k, j]] += w
            matrix[[k, j], [j, k]] -= w
    return K + np.diag(killing * D), np.diag(D) - N


def test_a_line_step_solves_its_equations():
    """The shortest NumPy form of (M + tau K) v' = M v, on open and periodic lines, with and without
    killing; p = D v."""
    rng = np.random.default_rng(1)
    n, tau, gamma = 9, 0.37, sweep_kernels.GAMMA
    for is_ring in (False, True):
        D, C, p = rng.random(n) + 0.5, rng.random(n if is_ring else n - 1), rng.random(n)
        up, down = C / D[:C.size], C / np.roll(D, -1)[:C.size]
        killing, delta, block = rng.random(n), np.full(n, 0.3), (1, n, 1)
        K, M = lines_of_equations(D, C, killing, 0.3, is_ring)
        step = M + gamma * 0.5 * K
        y = np.linalg.solve(step, M @ (p / D))
        second = D * np.linalg.solve(step, M @ (p / D + (1 - gamma) / gamma * (y - p / D)))
        w = p.copy()
        sweep_kernels.lines(w, up, down, killing, delta, is_ring, block, 0.5, 1)
        assert np.abs(w - second).max() < 1e-13
        w = p.copy()
        sweep_kernels.lines(w, up, down, killing, delta * 0, is_ring, block, tau, 0)
        assert np.abs(w - D * np.linalg.solve(np.diag(D) + tau * K, p)).max() < 1e-13
        w = p.copy()
        sweep_kernels.lines(w, up, down, killing, delta, is_ring, block, 0.0, sweep_kernels.OPERATOR)
        assert np.abs(w - D * np.linalg.solve(M, K @ (p / D))).max() < 1e-12


@pytest.mark.parametrize("delta, is_capped", [(0.04, False), (0.04, True), (3.0, True)])
def test_panels_and_lines_take_the_same_step(delta, is_capped):
    rng = np.random.default_rng(2)
    for outer, n, inner in ((1, 7, 1), (3, 6, 5), (1, 8, 16), (2, 5, 32), (40, 6, 1)):
        up, down = rng.random((2, outer * (n - 1) * inner))
        p, deltas, block = rng.random(outer * n * inner), np.full(n, delta), (outer, n, inner)
        for mode in (0, 1, 2):
            a, b = p.copy(), p.copy()
            sweep_kernels.sweep_parallel(a, up, down, deltas, block, 0.3, mode, is_capped)
            sweep_kernels.lines(b, up, down, np.zeros(1), deltas, False, block, 0.3, mode)
            assert np.abs(a - b).max() < 1e-13


def test_bits_do_not_depend_on_the_number_of_threads():
    import numba
    rng = np.random.default_rng(2)
    n = 40
    up, down, p = rng.random(n * (n - 1) * n), rng.random(n * (n - 1) * n), rng.random(n**3)
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        w = p.copy()
        sweep_kernels.sweep_parallel(w, up, down, np.full(n, 0.04), (n, n, n), 0.3, 1, False)
        results.append(w)
    numba.set_num_threads(before)
    assert np.array_equal(*results)
