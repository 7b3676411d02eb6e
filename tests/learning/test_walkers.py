"""Many learners at once: the compiled steps are the plain ones, and a walker's numbers are its own."""
import contextlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from fpkit.core.compilation.vectors import LANES, aligned
from fpkit.learning import OwnProblem, learn
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.walkers import Every, engines, learners, network_kernels as kernels

MIXED = dict(n_steps=60, learning_rate=0.05, l2=1e-3, batch=[0, 4, 0, 3, 0], check_every=7,
             precision="double", snapshots=[3, 20], stop_at=0.4)


def problems(n=5, modulus=5, width=6):
    return [ModularAddition(modulus, width, 0.6, seed) for seed in range(n)]


def plainly(monkeypatch, function):
    """What NumPy makes of a run that the compiled network would make."""
    with monkeypatch.context() as patch:
        for module in (engines, learners):
            patch.setattr(module, "is_network", lambda problems: False)
        return function()


@pytest.mark.parametrize("optimiser, theta", [("sgld", [1e-4, 0, 1e-3, 1e-4, 1e-5]), ("sgd", 0.0),
                                              ("adamw", 0.0)])
def test_the_compiled_network_takes_the_plain_steps(monkeypatch, optimiser, theta):
    run = lambda: learn(problems(), theta=theta, optimiser=optimiser, **MIXED)
    fast, plain = run(), plainly(monkeypatch, run)
    assert fast.x == pytest.approx(plain.x, rel=1e-10, abs=1e-12) and (fast.watched == plain.watched).all()
    for name, values in plain.history.items():
        assert fast.history[name] == pytest.approx(values, rel=1e-10, abs=1e-12, nan_ok=True)
    assert all((fast.passages[level] == plain.passages[level]).all() for level in plain.passages)
    assert fast.snapshots == pytest.approx(plain.snapshots, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_is_that_of_the_weighted_losses(seed):
    """Networks of random sizes, also such that no dimension is a multiple of four."""
    rng = np.random.default_rng(seed)
    p, width, kind = int(rng.integers(2, 9)), int(rng.integers(1, 11)), ("single", "double")[seed % 2]
    dtype = engines.PRECISIONS[kind]
    L, n, Q = LANES[dtype], 3 * p * width, 4 * -(-p * p // 4)
    P, W = 4 * -(-p // 4), 4 * -(-width // 4)
    room = lambda *shape: aligned(shape, dtype)
    x, g, weights = room(n, L), room(n, L), room(2 * Q, L)
    x[:], weights[:p * p] = rng.normal(size=(n, L)), rng.random((p * p, L)) * (rng.random((p * p, 1)) < 0.5)
    march, coefficients = getattr(kernels, f"march_{kind}"), room(5, L)          # one step at rate 0
    coefficients[1] = 1
    march(x, g, room(2 * n, L), room(2 * W * P, L), room(12 * W + 4 * P, L), weights, coefficients,
          aligned((-(-n // 8) * 2, engines.STREAMS * L), np.float32),
          np.zeros((4, engines.STREAMS * L), np.uint32), np.zeros((2 + 2 * p * p, L), np.int64),
          np.zeros(L, np.int64), np.array([p, width, kernels.SGLD, 0, 1, 0, 0, 0]))
    problem = ModularAddition(p, width, 0.5, 0)
    for lane in range(L):
        exact = sum(weights[q, lane] * problem.gradient(x[:, lane].astype(float), np.array([q]))
                    for q in range(p * p))
        assert g[:, lane] == pytest.approx(exact, abs=(3e-5 if kind == "single" else 1e-12)
                                           * abs(exact).max() + 1e-30)


def test_a_walker_does_not_see_the_others_nor_the_threads_nor_the_rounds(monkeypatch):
    many = problems(20)
    options = dict(n_steps=90, learning_rate=0.05, theta=1e-3, batch=[0, 3] * 10, check_every=10, stop_at=0.3)
    first = learn(many, n_threads=1, **options)
    each = {"learning_rate": 0.05, "theta": 1e-3, "l2": 0.0, "batch": [0, 3] * 10}
    walkers, _ = learners._begun(many, each, "sgld", None, None, (0.9, 0.98), 1, "single", 0.3, 10)
    some = np.array([3, 17, 8])
    alone = engines.advance(walkers.some(some), 0, np.arange(0, 91, 10), np.array([], int))
    x = np.where(np.isnan(alone[3]), alone[0]["x"], alone[3])
    assert (x == first.x[some]).all()
    monkeypatch.setattr(learners, "FIRST_ROUND", 1)
    monkeypatch.setattr(learners, "ROUND_SECONDS", 0.0)
    with ThreadPoolExecutor(3) as pool:
        for other in (learn(many, n_threads=2, **options), learn(many, executor=pool, **options)):
            assert (other.x == first.x).all() and (other.watched == first.watched).all()
            assert np.array_equal(other.history["norm"], first.history["norm"], equal_nan=True)


@pytest.mark.slow
def test_processes_give_the_same_bits():
    options = dict(n_steps=200, learning_rate=0.05, theta=1e-3)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert (learn(problems(20), executor=pool, **options).x == learn(problems(20), **options).x).all()


@pytest.mark.parametrize("precision", ["single", "double"])
def test_the_noise_is_normal_and_each_walkers_own(precision):
    """Increments of one point over its standard deviation; four standard errors of 10^5 numbers."""
    problem, rate, theta = ModularAddition(7, 8, 0.6, 0), 0.01, 1e-2
    starts = np.broadcast_to(problem.start(), (200, problem.n_params))
    run = learn(problem, 3, rate, theta, starts=starts, snapshots=[0, 1, 2, 3], precision=precision)
    x = run.snapshots.astype(float)
    drift = np.stack([problem.gradient(x[k]) for k in range(3)])
    z = (x[1:] - x[:-1] + rate * drift) / np.sqrt(2 * theta * rate)
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n) and abs(z.var() - 1) < 4 * np.sqrt(2 / n) + 1e-3
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n) + 1e-2
    for a, b in ((z[:, :-1], z[:, 1:]), (z[:-1], z[1:]), (z[..., :-1], z[..., 1:])):
        assert abs((a * b).mean()) < 4 / np.sqrt(a.size)


@pytest.mark.parametrize("optimiser", ["sgld", "adamw"])
def test_a_resumed_run_has_the_same_bits(tmp_path, optimiser):
    path = tmp_path / "a.h5"
    options = dict(learning_rate=0.05, theta=1e-3 if optimiser == "sgld" else 0.0, optimiser=optimiser,
                   check_every=10, stop_at=0.5, record=Every(10))
    whole = learn(problems(), 120, **options)
    learn(problems(), 50, checkpoint=path, **options)
    rest = learn(problems(), 120, checkpoint=path, **options)
    assert (rest.x == whole.x).all() and (rest.passages[0.5] == whole.passages[0.5]).all()
    assert np.array_equal(rest.history["test_loss"], whole.history["test_loss"], equal_nan=True)
    with pytest.raises(ValueError, match="other settings"):
        learn(problems(), 120, checkpoint=path, **options | {"learning_rate": 0.04})
    with pytest.raises(ValueError, match="beyond n_steps"):
        learn(problems(), 60, checkpoint=path, **options)


def test_ctrl_c_keeps_what_is_done(monkeypatch, tmp_path):
    pressed = iter([False, False] + [True] * 9)

    @contextlib.contextmanager
    def interruption():
        yield lambda: next(pressed)
    monkeypatch.setattr(learners, "interruption", interruption)
    options = dict(learning_rate=0.05, theta=1e-3, check_every=10)
    part = learn(problems(), 10**6, checkpoint=tmp_path / "a.h5", **options)
    assert part.status.startswith("stopped by Ctrl-C after") and 0 < part.watched[0] < 10**6
    assert part.history["norm"].shape[0] == len(part.steps)
    monkeypatch.undo()
    n = int(part.watched[0]) + 40
    assert (learn(problems(), n, checkpoint=tmp_path / "a.h5", **options).x
            == learn(problems(), n, **options).x).all()


def test_passages_are_the_first_checks_at_their_levels_and_a_walker_stops_there():
    options = dict(l2=1.0, optimiser="adamw", check_every=10, record=Every(10), levels=(0.5, 0.9))
    many = [ModularAddition(11, 32, 0.8, seed) for seed in range(6)]
    free = learn(many, 1200, 0.003, **options)
    acc = free.history["test_acc"]
    for level, steps in free.passages.items():
        reached = acc >= level
        assert steps.tolist() == [float(free.steps[r.argmax()]) if r.any() else np.inf for r in reached.T]
    seen = free.history["train_acc"] >= 0.99
    assert free.t_memorised.tolist() == [float(free.steps[r.argmax()]) if r.any() else np.inf for r in seen.T]
    stopped = learn(many, 1200, 0.003, stop_at=0.5, **options)
    there = np.isfinite(free.passages[0.5])
    assert there.sum() >= 2 and (stopped.passages[0.5] == free.passages[0.5]).all()
    assert (stopped.watched == np.where(there, free.passages[0.5], 1200)).all()
    for k in np.flatnonzero(there):
        assert stopped.problems[k].scores(stopped.x[k])["test_acc"] >= 0.5
        assert np.isnan(stopped.history["norm"][stopped.steps > stopped.watched[k], k]).all()


def test_walkers_that_diverge_are_counted_and_the_others_go_on():
    run = learn(problems(), 300, [0.05, 0.05, 30.0, 0.05, 0.05], check_every=10)
    assert np.isfinite(run.x[[0, 1, 3, 4]]).all() and run.watched[2] < 300
    assert "1 of 5 walkers diverged; take a learning rate below 30" in repr(run)
    assert np.isinf(run.passages[0.99][2])


def own(problem, is_right=True):
    return OwnProblem(problem._losses, problem._gradient, problem.n_params, problem._index["train"],
                      problem._index["test"], problem.start(), problem._right if is_right else None)


def test_an_own_problem_learns_as_the_network_that_it_wraps(monkeypatch):
    inner = problems(2)
    options = dict(n_steps=40, learning_rate=0.05, theta=1e-3, batch=[0, 4])
    wrapped = learn([own(p) for p in inner], **options)
    plain = plainly(monkeypatch, lambda: learn(inner, **options))
    assert (wrapped.x == plain.x).all() and (wrapped.passages[0.5] == plain.passages[0.5]).all()
    x, v = inner[0].start(), np.random.default_rng(0).normal(size=inner[0].n_params)
    assert own(inner[0]).hessian_vector(x, v) == pytest.approx(inner[0].hessian_vector(x, v), abs=1e-6)


def test_an_own_problem_without_classes_has_no_passages():
    run = learn([own(p, False) for p in problems(2)], 20, 0.05)
    assert run.passages == {} and "test_acc" not in run.history
    with pytest.raises(ValueError, match="no classes"):
        learn([own(p, False) for p in problems(2)], 20, 0.05, stop_at=0.9)
    alone = OwnProblem(lambda X, m: np.tile((X**2).sum(1)[:, None], len(m)), lambda X, m: 2 * X, 3, [0, 1],
                       [], is_right=lambda X, m: np.ones((len(X), len(m)), bool), start=np.ones(3))
    with pytest.raises(ValueError, match="an empty test sample"):
        learn(alone, 20, 0.05, stop_at=0.9)


def test_an_own_problem_runs_through_first_passages():
    from fpkit.learning.walkers import first_passages

    def make(split, condition):
        rng = np.random.default_rng(split)
        u = rng.normal(size=(30, 2))
        y = np.sign(u @ [1.0, 0.5])
        out = lambda X, m: X @ u[m].T - y[m]
        return OwnProblem(lambda X, m: 0.5 * out(X, m) ** 2, lambda X, m: out(X, m) @ u[m] / len(m), 2,
                          range(20), range(20, 30), lambda seed: np.random.default_rng(seed).normal(size=2),
                          lambda X, m: abs(out(X, m)) < 1)
    found = first_passages(make, [{"theta": t, "horizon": 20.0} for t in (0.0, 1e-3)], 3, 2, level=0.6)
    assert len(found) == 12 and found.seen.any() and set(found.columns["theta"]) == {0.0, 1e-3}


def test_a_torch_module_is_an_own_problem():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    u = torch.randn(60, 2, dtype=torch.double)
    y = (u[:, 0] * u[:, 1] > 0).long()
    made = [torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
            for _ in range(2)]
    losses = lambda model, k: torch.nn.functional.cross_entropy(model(u[k].to(model[0].weight)), y[k],
                                                                reduction="none")
    is_right = lambda model, k: model(u[k].to(model[0].weight)).argmax(-1) == y[k]
    single, double = (OwnProblem.of_torch(m, losses, range(40), range(40, 60), is_right)
                      for m in (made[0], made[1].double()))
    assert single.n_params == 42 and "Sequential" in repr(double)
    run = learn([double] * 2, 400, 0.1, theta=1e-4)
    assert (run.history["train_loss"][-1] < run.history["train_loss"][0]).all() and 0.9 in run.passages
    x, v = double.start(), np.random.default_rng(0).normal(size=42)
    H = double.hessian(x)
    assert double.hessian_vector(x, v) == pytest.approx(H @ v, abs=1e-5) and np.allclose(H, H.T)
    normed = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"train mode.*call model.eval\(\) first"):
        OwnProblem.of_torch(normed, losses, range(40), range(40, 60), is_right)
    assert OwnProblem.of_torch(normed.eval(), losses, range(40), range(40, 60), is_right).n_params == 58


@pytest.mark.parametrize("change, sentence", [
    (dict(gradient=lambda X, m: 2 * problems(1)[0]._gradient(X, m)), "gradient is not that of the mean"),
    (dict(losses=lambda X, m: np.zeros(3)), r"losses\(X, members\) must return shape \(1, 3\)"),
    (dict(train=[]), "train is empty"), (dict(test=[1, 1]), "different whole numbers"),
    (dict(losses=lambda X, m: np.full((len(X), len(m)), np.nan)), "not finite")])
def test_a_wrong_own_problem_is_refused_in_one_sentence(change, sentence):
    p = problems(1)[0]
    given = dict(losses=p._losses, gradient=p._gradient, n_params=p.n_params, train=p._index["train"],
                 test=p._index["test"], start=p.start())
    with pytest.raises(ValueError, match=sentence) as caught:
        OwnProblem(**given | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change, sentence", [
    (dict(optimiser="adamw", theta=1e-3), "no temperature"), (dict(batch=99), "larger than the training"),
    (dict(learning_rate=[0.1, 0.2]), "one for each of the 5 walkers"), (dict(precision="half"), "precision"),
    (dict(weights=-np.ones((5, 25))), "not negative"), (dict(n_steps=0), "n_steps"),
    (dict(problems=[]), "empty"), (dict(problems=problems(1) + problems(1, 7)), "same number of parameters")])
def test_bad_arguments_are_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        learn(**dict(problems=problems(), n_steps=5, learning_rate=0.1) | change)
    assert "\n" not in str(caught.value)


def test_what_is_no_problem_is_told_what_makes_one():
    with pytest.raises(TypeError, match="OwnProblem"):
        learn([lambda x: x], 5, 0.1)


@pytest.mark.parametrize("options, words", [({"stop_at": 90}, "stop_at is a share of right answers"),
                                            ({"levels": (0.5, 1.5)}, "levels is a share of right answers"),
                                            ({"betas": (1.5, 0.9)}, "betas must be two numbers")])
def test_accuracies_and_betas_out_of_range_are_refused(options, words):
    problem = ModularAddition(5, 8, 0.8)
    with pytest.raises(ValueError, match=words):
        learn(problem, 10, 0.003, optimiser="adamw", **options)
