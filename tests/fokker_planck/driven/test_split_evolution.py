"""Split steps of driven densities: their rates, their errors, where they settle, and how they go on."""
import pickle

import numpy as np
import pytest
import scipy.linalg as la

import fpkit as fp
from fpkit.core.runs.checkpoint import Checkpoint
from fpkit.fokker_planck.driven import evolution
from fpkit.fokker_planck.driven.evolution import is_split
from fpkit.fokker_planck.evolution import stepping, sweep_kernels
from fpkit.fokker_planck.evolution.evolve import Run
from fpkit.fokker_planck.evolution.grid_error import convergence_of
from fpkit.fokker_planck.evolution.implicit import ELIMINATED_3D
from fpkit.fokker_planck.evolution.initial import kind_of
from fpkit.fokker_planck.evolution.problem import Problem
from fpkit.fokker_planck.evolution.stepping import StepControl

WELLS = "(x**2 - 1)**2 + 2*y**2 + 0.3*x*y"
BOX = [(-2.2, 2.2), (-1.8, 1.8)]
UNEVEN = [np.linspace(-2, 2, 21) + 0.05 * np.sin(np.arange(21)), np.linspace(-1.5, 1.5, 14)]


def rates(problem, order=4):
    lines = problem.lines(order)
    return np.concatenate([*lines.up, *lines.down])


@pytest.mark.parametrize("grid", [fp.Grid(BOX, (20, 14)), fp.Grid.from_edges(UNEVEN)])
@pytest.mark.parametrize("theta", [0.01, 0.2, 5.0])            # steep edges, and edges for Simpson's rule
def test_a_constant_force_has_the_rates_of_the_tilted_potential(grid, theta):
    V, tilted = fp.Potential(WELLS), fp.Potential(f"{WELLS} - 0.7*x + 0.4*y")
    driven = rates(Problem(fp.FokkerPlanck(V, theta, grid, force="(0.7, -0.4)")))
    expected = rates(Problem(fp.FokkerPlanck(tilted, theta, grid)))
    assert np.abs(np.log(driven / expected)).max() < 1e-6      # Simpson's rule switches on by blocks
    none = rates(Problem(fp.FokkerPlanck(V, theta, grid, force="(0*x, 0*y)")))
    assert np.array_equal(none, rates(Problem(fp.FokkerPlanck(V, theta, grid))))


def test_a_black_box_takes_the_work_of_the_force_too():
    V = fp.Potential(WELLS)
    box = fp.Potential.black_box(lambda x: V(x), lambda x: V.gradient(x), ndim=2)
    one, two = (rates(Problem(fp.FokkerPlanck(f, 0.5, fp.Grid(BOX, (44, 36)), force="(y, -x)")))
                for f in (V, box))
    assert np.abs(np.log(one / two)).max() < 1e-3              # a parabola in place of f


def linear(rng, n):
    """A linear drift, two temperatures and the cell probabilities of its Gaussian at each time."""
    k = rng.uniform(-1.5, 1.5)
    A = np.diag(rng.uniform(0.7, 2, 2))
    A[0, 1] = A[1, 0] = rng.uniform(-0.3, 0.3)
    R, M, theta = np.array([[0.0, k], [-k, 0.0]]), rng.uniform(0.5, 1.5, 2), rng.uniform(0.2, 1.0)
    K = M[:, None] * (A - R)
    S = la.solve_continuous_lyapunov(K, 2 * theta * np.diag(M))
    wide = np.sqrt(np.diag(S))
    grid = fp.Grid([(-6.5 * s, 6.5 * s) for s in wide], n)
    V = fp.Potential(f"{A[0, 0] / 2:.17g}*x**2 + {A[1, 1] / 2:.17g}*y**2 + {A[0, 1]:.17g}*x*y")
    F = fp.FokkerPlanck(V, theta, grid, M.tolist(), force=f"({k:.17g}*y, {-k:.17g}*x)")
    mean, std = rng.uniform(-1, 1, 2) * wide, rng.uniform(0.4, 0.8) * wide.min()
    x, w = np.polynomial.legendre.leggauss(5)
    at = np.stack(np.meshgrid(*[(c[:, None] + h / 2 * x).ravel() for c, h in zip(grid.centres, grid.h)],
                              indexing="ij"), -1)

    def exact(t):
        E = la.expm(-K * t)
        C, z = E @ (std**2 * np.eye(2) - S) @ E.T + S, at - E @ mean
        p = np.exp(-0.5 * np.einsum("xyi,ij,xyj->xy", z, np.linalg.inv(C), z))
        p = np.einsum("a,b,iajb->ij", w, w, p.reshape(n[0], 5, n[1], 5))
        return p / p.sum()
    return F, (mean, std), exact


def test_the_stated_error_covers_the_true_one_and_is_not_idle():
    ratios, rng = [], np.random.default_rng(20)
    for _ in range(6):
        F, start, exact = linear(rng, tuple(rng.choice([32, 40, 48], 2)))
        times = np.sort(rng.uniform([0.1, 0.5, 2], [0.5, 2, 6]))
        run = F.evolve(start, times)
        assert run.status == "ok" and (run.densities >= 0).all() and np.abs(run.mass - 1).max() < 1e-11
        for k, t in enumerate(times):
            ratios.append(run.error[k] / np.abs(run.probabilities(k) - exact(t)).sum())
    assert min(ratios) > 1 and np.median(ratios) < 30


def test_the_error_falls_with_the_fourth_power_of_the_cells():
    errors = []
    for n in (16, 32, 64):
        F, start, exact = linear(np.random.default_rng(3), (n, n))
        run = F.evolve(start, [1.0], n_steps=150)
        errors.append(np.abs(run.probabilities() - exact(1.0)).sum())
    assert errors[0] / errors[1] > 9 and errors[1] / errors[2] > 12 and errors[2] < 2e-4


VORTEX = fp.Rotation("-0.8*exp(-((x - 0.59)**2 + (y + 0.147)**2)/0.9126)")


@pytest.mark.parametrize("force, theta, start", [("(0.8 + y, -0.6*x*y)", 0.35, [-0.9, 0.4]),
                                                 (VORTEX, 0.15, [0.65, 0.77])])
def test_time_errors_stay_within_the_tolerance(force, theta, start):
    grid = fp.Grid([(-2.4, 2.4), (-2.2, 2.2)], (18, 16))
    F = fp.FokkerPlanck(fp.Potential(WELLS), theta, grid, force=force)
    times, problem = (0.02, 0.3, 3.0, 60.0), Problem(F)
    for tol, positive, order in ((1e-6, False, 4), (1e-2, True, 2)):
        run = Run(problem, kind_of((start, 0.26), F.grid), (tol, positive, None, order))
        A = np.array([run.lines.operator(e) for e in np.eye(run.p.size)]).T
        p, s = run.p.copy(), 0.0
        for t in times:
            p, s = run.stepper.advance(p, s, t), t
            assert np.abs(p - la.expm(-A * t) @ run.p).sum() <= tol


def test_split_and_unsplit_steps_do_not_take_turns_for_ever(monkeypatch):
    """Each kind relaxes to a state of its own, and looked to the other like a start that is far off."""
    allowed, n = stepping.allowed_step, []
    monkeypatch.setattr(stepping, "allowed_step", lambda tol, kind: allowed(tol, kind.split()[-1]))
    F = fp.FokkerPlanck(fp.Potential(WELLS), 0.2, fp.Grid(BOX, (24, 20)), force="(1.5*y, -1.5*x)")
    run = Run(Problem(F), kind_of([-0.9, 0.4], F.grid), (1e-3, True, None, 2))

    def report(s, p):
        n.append(s)
        assert len(n) < 3000
    run.stepper.horizon = 1e12
    run.stepper.advance(run.p, 0.0, 1e6, report)


def test_a_start_far_off_is_left_by_split_steps():
    """A first step beyond the local relaxation is no reason to go on with steps of the whole grid."""
    V = fp.Potential("(x**2 - 1)**2 + 2*y**2 - 0.19*x*y")
    F = fp.FokkerPlanck(V, 0.18, fp.Grid([(-2.4, 2.4), (-2.2, 2.2)], (32, 48)), force="(0.3*y, -0.3*x)")
    steps = F.evolve(([-0.2, 0.75], 0.3), [0.1, 1.2], tol=1e-4).steps
    assert steps["coupled"] < steps["strang"]


@pytest.mark.parametrize("drift, n, start, expected", [
    ("(-2*x, -2*y)", 40, [0.2, 0.1], "smooth"), ("(-2*x, -2*y)", 12, [2.2, 1.0], "steep"),
    ("(-2*x, where(y > 0.1, -2.0, 2.0))", 40, [0.2, 0.1], "kinks")])
def test_steep_drifts_and_kinks_are_seen_of_a_drift_too(drift, n, start, expected):
    F = fp.FokkerPlanck(fp.Diffusion.from_sde(drift, 0.5), grid=fp.Grid([(-3, 3)] * 2, (n, n)))
    run = Run(Problem(F), kind_of((start, 0.3), F.grid), (1e-6, False, None, 4))
    assert convergence_of(run) == expected


@pytest.mark.parametrize("force", ["(where(y > -0.0767, 0.03, 1.2), 0.4*x)",
                                   "(0.5*y, where(x > 0.06, -1, 0.8))"])
def test_a_jump_of_the_force_between_lines_is_in_the_error(force):
    """All grids place a jump near the middle alike."""
    grid, times = fp.Grid([(-2.6, 2.6), (-2.4, 2.4)], (24, 24)), [0.15, 0.8, 3.0]
    F = fp.FokkerPlanck(fp.Potential("x**4/4 - x**2/2 + y**2"), 0.35, grid, force=force)
    run = F.evolve(([-0.3, 0.4], 0.35), times)
    fine = F.on(grid.refined(5)).evolve(([-0.3, 0.4], 0.35), times, n_steps=40)
    for k, stated in enumerate(run.error):
        sums = fine.probabilities(k).reshape(24, 5, 24, 5).sum((1, 3))
        assert 1 < stated / np.abs(run.probabilities(k) - sums).sum() < 40


def test_what_relaxes_slowly_is_seen_of_the_whole_drift():
    V, grid = fp.Potential("x**2 + 2*y**2"), fp.Grid([(-3, 3)] * 2, (30, 24))
    same = fp.FokkerPlanck(fp.Diffusion.from_sde("(-2*x, -4*y)", 0.5), grid=grid)
    turning = fp.FokkerPlanck(V, 0.5, grid, force="(9*y, -9*x)")
    p = np.exp(-2 * V(grid.points)).ravel()
    one, two, fast = (StepControl(Problem(F).lines(4), 1e-6)._relaxation(p)
                      for F in (fp.FokkerPlanck(V, 0.5, grid), same, turning))
    assert two == pytest.approx(one, rel=1e-6) and fast < one / 5


def test_steps_of_any_length_settle_in_the_stationary_state():
    F = fp.FokkerPlanck(fp.Potential(WELLS), 0.2, fp.Grid(BOX, (24, 20)), force="(1.5*y, -1.5*x)")
    for options in ({}, {"n_steps": 3}, {"positive": True}):
        run = F.evolve([-0.9, 0.4], [1e6, 1e12], **options)
        most = 1e-7 if "n_steps" in options else 1e-9                 # solves of fixed steps keep to tol
        assert np.abs(run.densities[0] - run.densities[1]).max() < most
        assert run.steps["coupled"] >= 6 and np.abs(run.mass - 1).max() < 2e-7
        error = run.space_error[-1] if "n_steps" not in options else 2e-2
        S = F.stationary().density
        assert 2 * run.distance[-1] <= error + (S.error * F.grid.volumes).sum() < 0.3
    short = F.evolve([-0.9, 0.4], [0.1, 0.2], n_steps=4)
    assert short.steps["strang"] == 8 and short.steps["coupled"] == 0 and np.isnan(short.error).all()


def test_unsplit_steps_are_of_order_three_and_solve_within_tol_with_what_was_solved_before():
    F = fp.FokkerPlanck(fp.Potential(WELLS), 0.4, fp.Grid(BOX, (24, 20)), force="(0.8*y, -0.8*x)")
    ask = lambda n, tol: F.evolve([-0.9, 0.4], [40.0], n_steps=n, tol=tol)
    exact = F.evolve([-0.9, 0.4], [40.0], tol=1e-7).probabilities()
    runs = {n: ask(n, 1e-9) for n in (8, 16)}
    errors = [np.abs(r.probabilities() - exact).sum() for r in runs.values()]
    assert all(r.steps["coupled"] == n for n, r in runs.items()) and errors[0] / errors[1] > 6
    loose = ask(8, 1e-4)
    assert np.abs(loose.probabilities() - runs[8].probabilities()).sum() < 1e-4
    assert loose.steps["solves"] <= 50 and np.abs(loose.mass - 1).max() < 1e-11


def test_the_operator_of_many_lines_at_a_time_is_that_of_one_by_one():
    for force in ("(0.3*y, -0.3*x)", "(40*y, -3*x)"):                     # with the order-4 mass held back
        F = fp.FokkerPlanck(fp.Potential(WELLS), 0.2, fp.Grid(BOX, (19, 33)), force=force)
        lines, p = Problem(F).lines(4), np.random.default_rng(1).random(19 * 33)
        for axis in (0, 1):
            one, many = p.copy(), p.copy()
            sweep_kernels.lines(one, lines.up[axis], lines.down[axis], np.zeros(1), lines.delta[axis], False,
                                lines._block(axis), 0.0, sweep_kernels.OPERATOR)
            lines.sweep(many, axis, 0.0, sweep_kernels.OPERATOR)
            assert np.abs(one - many).max() < 1e-13 * np.abs(one).max()


def test_wells_that_hardly_exchange_do_so_at_their_rate():
    """Rounding of the steps of order 4 would move more than what passes, 1e-13 in a unit of time."""
    grid = fp.Grid([(-1.9, 1.9), (-1.2, 1.2)], (32, 28))
    F = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 1.5*y**2 + 0.1*x*y + 0.05*x"), 0.032, grid,
                        force="(0.4*y, -0.5*x)")
    gap = float(F.spectrum(2).eigenvalues[1])
    run = F.evolve(([-1.0, 0.0], 0.2), np.array([0.1, 1.0, 40.0]) / gap, tol=1e-5)
    left = run.probabilities(0)[:16].sum(), run.probabilities(1)[:16].sum(), run.probabilities(2)[:16].sum()
    assert gap < 1e-12 and left[0] - left[2] > 0.03
    assert (left[1] - left[2]) / (left[0] - left[2]) == pytest.approx(np.exp(-0.9), rel=5e-3)
    assert left[2] == pytest.approx((F.stationary().density.values * grid.volumes)[:16].sum(), abs=1e-3)


def test_in_space_late_times_are_reached_beyond_what_is_eliminated_without_a_force():
    V, n = fp.Potential("(x**2 + 1.2*y**2 + 0.9*z**2)/2"), 23
    F = fp.FokkerPlanck(V, 0.5, fp.Grid([(-4, 4)] * 3, (n,) * 3), force="(-0.8*y, 0.8*x - 0.3*z, 0.3*y)")
    run = F.evolve(([0.5, 0.3, -0.2], 0.6), [1e4], n_steps=2)
    assert n**3 > ELIMINATED_3D and run.steps["coupled"] == 2
    mean = [(run.probabilities() * x).sum() for x in np.moveaxis(F.grid.points, -1, 0)]
    assert np.abs(mean).max() < 1e-5


def test_a_force_and_the_whole_drift_are_the_same_process():
    V, grid = fp.Potential("x**4/4 - x**2/2 + y**2"), fp.Grid([(-2.6, 2.6), (-2.4, 2.4)], (40, 36))
    one = fp.FokkerPlanck(V, 0.3, grid, force="(y, -x)")
    two = fp.FokkerPlanck(fp.Diffusion.from_sde("(x - x**3 + y, -2*y - x)", 0.3), grid=grid)
    a, b = (F.evolve(([1.0, 0.5], 0.4), [0.2, 2.0]) for F in (one, two))
    away = (np.abs(a.densities - b.densities) * grid.volumes).sum((1, 2))
    assert (away <= a.error + b.error).all() and away.max() < 5e-3


def test_the_stationary_state_is_found_when_it_is_asked_for(monkeypatch):
    asked, settled = [], evolution.settled
    monkeypatch.setattr(evolution, "settled", lambda D: asked.append(D) or settled(D))
    F = fp.FokkerPlanck(fp.Potential(WELLS), 0.3, fp.Grid(BOX, (16, 14)), force="(y, -x)")
    run = F.evolve([-0.9, 0.4], [0.1, 1.0])
    assert not asked and np.isnan(run.free_energy).all()
    assert (np.diff(run.distance) < 0).all() and run.relative_entropy[0] > run.relative_entropy[1] > 0
    assert np.array_equal(run.gibbs, F.stationary().density.values) and len(asked) == 1
    again = pickle.loads(pickle.dumps(F.evolve([-0.9, 0.4], [0.1, 1.0])))
    assert np.array_equal(again.distance, run.distance)
    assert not hasattr(run, "other")


def test_which_processes_lines_carry():
    V, grid = fp.Potential(WELLS), fp.Grid(BOX, (12, 10))
    rotation, wide = fp.Rotation(-0.2), fp.Potential("0.01*x**2 + 0.01*y**2")
    assert is_split(fp.FokkerPlanck(V, 0.2, grid, [1.0, 0.5], force="(y, -x)"), 4)
    assert is_split(fp.FokkerPlanck(V, 0.2, grid, force=rotation), 4)
    for F, order in ((fp.FokkerPlanck(V, 0.2, grid, force=rotation), 2),
                     (fp.FokkerPlanck(wide, 0.2, grid, force=rotation), 4),
                     (fp.FokkerPlanck(V, 0.2, grid, [[1, 0.3], [0.3, 1]], force="(y, -x)"), 4),
                     (fp.FokkerPlanck(V, 0.2, grid, "1 + x**2", force="(y, -x)"), 4),
                     (fp.FokkerPlanck(V, 0.2, fp.Grid.from_edges(UNEVEN), force="(y, -x)"), 4),
                     (fp.FokkerPlanck(V, 0.2, grid, killing=0.1), 4),
                     (fp.FokkerPlanck(V, 0.2, grid, force="(y, -x)").killed(fp.Ball([1, 0], 0.3)), 4)):
        assert not is_split(F, order) and F.evolve([-0.9, 0.4], [0.1], order=order).steps["strang"] == 0


def test_a_stream_function_keeps_gibbs_to_the_error_and_with_order_two_to_rounding():
    F = fp.FokkerPlanck(fp.Potential(WELLS), 0.3, fp.Grid(BOX, (16, 16)), force=fp.Rotation(-0.3))
    run = F.evolve([-0.9, 0.4], [1e9], tol=1e-4)
    assert 0 < 2 * run.distance[0] <= run.error[0] < 0.5
    assert F.evolve([-0.9, 0.4], [1e9], order=2, tol=1e-4).distance[0] < 1e-11


class Killed(BaseException):
    """What no `except` of the package stops, like a signal 9."""


@pytest.mark.parametrize("options, n, killing", [({"tol": 1e-4}, 30, None), ({"n_steps": 30}, 2, None),
                                                 ({"tol": 1e-4}, 12, 0.1), ({"tol": 1e-4}, 70, 0.1)])
def test_a_killed_evolution_goes_on_to_the_same_bits(tmp_path, monkeypatch, options, n, killing):
    def evolution(path=None, force="(y, -x)"):
        F = fp.FokkerPlanck(fp.Potential(WELLS), 0.3, fp.Grid(BOX, (16, 16)), force=force, killing=killing)
        return F.evolve([-0.9, 0.4], [0.1, 1.0, 1e6], checkpoint=path, checkpoint_every=1e9, **options)
    asked, save = [], Checkpoint.save

    def saved(self, arrays):
        save(self, arrays)
        raise Killed
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoint, "is_due", property(lambda self: asked.append(self) or len(asked) == n))
        patch.setattr(Checkpoint, "save", saved)
        evolution(tmp_path / "state.h5")
    with pytest.raises(ValueError, match="another|other"):
        evolution(tmp_path / "state.h5", force="(y, -0.9*x)")
    a, b = evolution(tmp_path / "state.h5"), evolution()
    for name in ("times", "densities", "mass", "error", "distance"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
    assert a.steps == b.steps
