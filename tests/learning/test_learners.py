"""Learners: the optimisers take the steps they state, and SGLD is the diffusion of the confined risk."""
import contextlib
import dataclasses
import signal
import threading

import numpy as np
import pytest

from fpkit.learning.classifiers import Classifier, wine
from fpkit.learning.curvature import largest_curvature, noise_temperature, spectrum
from fpkit.learning.factorisation import MatrixFactorisation
from fpkit.learning.modular_addition import ModularAddition, train
from fpkit.learning.sgld import sgld

P = ModularAddition(5, 4, 0.6, 1)


def test_gradient_descent_takes_the_stated_steps():
    run = train(P, 3, 0.1, weight_decay=0.5, optimiser="sgd", momentum=0.9, check_every=1)
    x, m = P.start(), 0.0
    for _ in range(3):
        m = 0.9 * m + P.gradient(x)
        x = x * (1 - 0.05) - 0.1 * m
    assert run.x == pytest.approx(x,
                                  rel=1e-13) and run.history["norm"][-1] == pytest.approx(np.linalg.norm(x))


def test_minibatch_training_uses_the_stated_members():
    run = train(P, 2, 0.1, optimiser="sgd", batch=4, seed=3)
    x = P.start()
    for k in range(2):
        x = x - 0.1 * P.gradient(x, P.minibatch(4, k, 3))
    assert run.x == pytest.approx(x, rel=1e-13) and "batch 4" in run.recipe["optimiser"]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_resumed_training_has_the_same_bits(optimiser):
    whole = train(P, 60, 0.01, optimiser=optimiser, momentum=0.5, batch=5)
    half = train(P, 30, 0.01, optimiser=optimiser, momentum=0.5, batch=5)
    rest = train(P, 60, 0.01, optimiser=optimiser, momentum=0.5, batch=5, resume=half)
    assert (rest.x == whole.x).all() and rest.steps.tolist() == [40, 50, 60]
    with pytest.raises(ValueError, match="already ends"):
        train(P, 30, resume=half)


def test_divergence_is_named():
    with pytest.raises(ArithmeticError, match="learning rate below"), np.errstate(all="ignore"):
        train(P, 200, 50.0, optimiser="sgd")


def test_lanczos_finds_the_largest_eigenvalue_within_its_error():
    x = P.start()
    exact, found = np.linalg.eigvalsh(P.hessian(x))[-1], largest_curvature(P, x)
    assert abs(found - exact) <= found.error < 1e-4 * exact
    assert spectrum(P, x).eigenvalues[-1] == pytest.approx(exact)


def test_noise_temperature_is_that_of_sampled_minibatches():
    problem = wine(4)
    x = problem.start()
    drawn = np.array([problem.gradient(x, problem.minibatch(8, k)) for k in range(4000)])
    measured = 0.5 * 0.1 * drawn.var(0).sum() / problem.n_params
    # 4000 draws: 3 standard errors
    assert float(noise_temperature(problem, x, 8, 0.1)) == pytest.approx(measured, rel=0.08)
    assert float(noise_temperature(problem, x, problem.n_train, 0.1)) == 0


# ---- SGLD ----

def test_sgld_records_what_the_problem_says_of_its_walkers():
    run = sgld(P, 1e-3, P.start(), 0.02, 50, l2=0.1, n_paths=3, record_every=20, seed=4)
    assert run.steps.tolist() == [0, 20, 40, 50] and run.times[-1] == pytest.approx(1.0)
    assert run.history["displacement"][-1] == pytest.approx(((run.x - P.start()) ** 2).sum(-1))
    assert run.history["train_loss"][-1] == pytest.approx(P.risk(run.x))


def test_without_temperature_sgld_is_gradient_descent():
    run = sgld(P, 0.0, P.start(), 0.02, 30, l2=0.1)
    x = P.start()
    for _ in range(30):
        x = x - 0.02 * (P.gradient(x) + 0.1 * x)
    assert run.x[0] == pytest.approx(x, rel=1e-12)


def test_minibatch_steps_are_those_of_the_step_number():
    run = sgld(P, 0.0, P.start(), 0.02, 7, batch=4, seed=2)
    x = P.start()
    for k in range(7):
        x = x - 0.02 * P.gradient(x, P.minibatch(4, k, 2))
    assert run.x[0] == pytest.approx(x, rel=1e-12) and run.noise_temperature > 0


@pytest.mark.parametrize("problem", [P, wine(width=4)], ids=["network", "plain"])
def test_the_displacement_of_one_path_is_its_distance_from_the_start(problem):
    start = problem.start()
    run = sgld(problem, 1e-3, start, 0.005, 40, l2=0.1, record_every=20)
    assert run.history["displacement"][-1, 0] == pytest.approx(((run.x[0] - start) ** 2).sum(), rel=1e-12)
    assert run.history["displacement"][0, 0] == 0 < run.history["displacement"][1, 0]


def test_each_walker_draws_its_own_minibatches():
    run = sgld(P, 0.0, P.start(), 0.02, 5, batch=4, n_paths=3, seed=2)
    for walker in range(3):
        x = P.start()
        for k in range(5):
            x = x - 0.02 * P.gradient(x, P.minibatch(4, k, 2, walker))
        assert run.x[walker] == pytest.approx(x, rel=1e-12)
    assert not np.allclose(run.x[0], run.x[1])


def test_walkers_are_as_far_apart_as_their_minibatch_noise_says():
    """One step of 2000 walkers from one point: the spread is that of Cov(g_B); chance of failing 1e-4."""
    batch, rate = 6, 0.02
    run = sgld(P, 0.0, P.start(), rate, 1, batch=batch, n_paths=2000, record_every=1)
    theta = run.x.var(0).sum() / P.n_params / (2 * rate)
    assert theta == pytest.approx(float(noise_temperature(P, P.start(), batch, rate)), rel=0.1)


@dataclasses.dataclass(frozen=True, repr=False)
class Named(ModularAddition):
    """A problem of a user's own, with what no content tells apart."""
    rule: object = None

    def __repr__(self):
        return "the same text"


def test_a_checkpoint_is_of_its_data_labels_and_noise(tmp_path):
    path, options = tmp_path / "a.h5", dict(theta=1e-4, learning_rate=1e-3, n_steps=4, record_every=2)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    first = Classifier(X, y, 3)
    sgld(first, x0=first.start(), checkpoint=path, **options)
    sgld(Classifier(X.copy(), y.copy(), 3), x0=first.start(), checkpoint=path, **options)  # the same: resumed
    for other in (Classifier(X + 1e-9, y, 3), Classifier(X, 1 - y, 3), Classifier(X, y, 3, label_noise=0.5)):
        assert repr(other) == repr(first)
        with pytest.raises(ValueError, match="other settings"):
            sgld(other, x0=first.start(), checkpoint=path, **options)


def test_what_cannot_be_identified_is_not_resumed_in_silence(tmp_path):
    problem = Named(5, 4, rule=threading.Lock())
    options = dict(theta=1e-4, x0=problem.start(), learning_rate=1e-3, n_steps=4)
    assert sgld(problem, **options).status == "ok"
    with pytest.warns(UserWarning, match="cannot be resumed later"):
        sgld(problem, checkpoint=tmp_path / "b.h5", **options)
    with pytest.raises(ValueError, match="is not resumed") as caught:
        sgld(problem, checkpoint=tmp_path / "b.h5", **options)
    assert "\n" not in str(caught.value)


def test_a_step_above_the_curvature_is_refused():
    rate = 1.01 / float(largest_curvature(P, P.start()))
    with pytest.raises(ValueError, match="largest curvature at the start") as caught:
        sgld(P, 1e-3, P.start(), rate, 10)
    assert "\n" not in str(caught.value)


def test_sgld_resumes_from_its_checkpoint_with_the_same_bits(tmp_path):
    path = tmp_path / "walk.h5"
    options = dict(theta=1e-3, x0=P.start(), learning_rate=0.02, l2=0.1, batch=4, n_paths=2, record_every=10)
    whole = sgld(P, n_steps=40, **options)
    sgld(P, n_steps=20, checkpoint=path, **options)
    rest = sgld(P, n_steps=40, checkpoint=path, **options)
    assert (rest.x == whole.x).all() and rest.steps.tolist() == whole.steps.tolist()
    assert (rest.history["test_loss"] == whole.history["test_loss"]).all()
    with pytest.raises(ValueError, match="beyond n_steps"):
        sgld(P, n_steps=20, checkpoint=path, **options)
    with pytest.raises(ValueError, match="other settings"):
        sgld(P, n_steps=60, checkpoint=path, **(options | {"theta": 2e-3}))


def test_sgld_reaches_the_exact_mean_risk_of_a_confined_factorisation():
    """A problem whose Gibbs mean is known by quadrature; 8 standard-error-like units of slack, chance of
    failing below 1e-4."""
    problem = MatrixFactorisation(1, 2, n_examples=1)  # x = (u, v0, v1); one entry, u v0 = t
    t, theta, l2 = problem._targets[0, 0], 0.2, 1.0
    g = np.linspace(-6, 6, 601)
    u, v = np.meshgrid(g, g)
    f = 0.5 * (u * v - t) ** 2
    w = np.exp(-(f + 0.5 * l2 * (u * u + v * v)) / theta)
    exact = float((f * w).sum() / w.sum())
    run = sgld(problem, theta, problem.start(), 0.02, 1500, l2=l2, n_paths=4000, record_every=500)
    late = run.history["train_loss"][-1]
    # Euler's bias at this step is below 2 %
    assert abs(late.mean() - exact) < 5 * late.std() / np.sqrt(late.size) + 0.02 * exact


# ---- formulas ----

def test_adamw_takes_the_steps_of_its_paper():
    """Loshchilov and Hutter's algorithm 2, written out: the bias correction counts from one."""
    b1, b2, rate, decay = 0.9, 0.98, 0.01, 0.3
    run = train(P, 4, rate, weight_decay=decay, betas=(b1, b2), check_every=1)
    x, m, v = P.start(), 0.0, 0.0
    for t in range(1, 5):
        g = P.gradient(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        x = x - rate * decay * x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    assert run.x == pytest.approx(x, rel=1e-12)


def test_the_harmonic_entropy_is_the_log_of_a_gaussian_volume():
    """S = -(1/2) sum log(lambda + l2); F of a parabola without risk is -theta log int exp(-f/theta)."""
    from fpkit.learning.curvature import Spectrum

    found = Spectrum(np.zeros(3), 0.25, np.array([-1e-9, 2.0, 8.0]), 0.0)
    assert found.harmonic_entropy(0.5) == pytest.approx(-0.5 * np.log(0.5 * 2.5 * 8.5), rel=1e-12)
    theta = 0.1
    volume = (2 * np.pi * theta) ** 1.5 / np.sqrt(0.5 * 2.5 * 8.5)
    assert found.free_energy(theta, 0.5) == pytest.approx(0.25 - theta * np.log(volume), rel=1e-12)


# ---- Ctrl-C ----

def pressing(after):
    """A stand-in for Ctrl-C that is pressed from the n-th question on."""
    asked = []

    def is_pressed():
        asked.append(1)
        return len(asked) > after
    return is_pressed


def test_a_training_that_is_stopped_keeps_what_is_done_and_goes_on_with_the_same_bits():
    whole = train(P, 40, 0.01)
    part = train(P, 40, 0.01, is_stopped=pressing(17))
    assert part.steps[-1] == 18 and part.status == "stopped after 18 of 40 steps; go on with resume"
    assert part.history["train_loss"].size == part.steps.size and whole.status == "ok"
    rest = train(P, 40, 0.01, resume=part)
    assert (rest.x == whole.x).all() and rest.status == "ok"


def test_ctrl_c_ends_a_training_within_a_step():
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    run = train(ModularAddition(11, 32, 0.6), 10**6, 1e-3, weight_decay=0.0)
    assert 0 < run.steps[-1] < 10**6 and "go on with resume" in run.status


def test_a_sweep_that_is_stopped_keeps_the_values_that_are_whole(monkeypatch):
    from fpkit.learning import sweep as module

    one = module.sweep((3, 4), "width", n_seeds=1, n_steps=200, modulus=5)
    asked = []

    @contextlib.contextmanager
    def pressed_in_the_second_run():
        asked.append(1)
        yield pressing(0) if len(asked) > 1 else lambda: False
    monkeypatch.setattr("fpkit.learning.walkers.learners.interruption", pressed_in_the_second_run)
    found = module.sweep((3, 4), "width", n_seeds=1, n_steps=200, modulus=5)
    assert found.values.tolist() == [3] and (found.t_grokked == one.t_grokked[:1]).all()
    assert found.status == "stopped by Ctrl-C: 1 of 2 values are done" and found.status in repr(found)
