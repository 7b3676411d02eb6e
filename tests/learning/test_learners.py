"""Learners: the optimisers take the steps they state, and SGLD is the diffusion of the confined risk."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.learning.classifiers import wine
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

def test_sgld_is_the_path_of_simulate():
    run = sgld(P, 1e-3, P.start(), 0.02, 50, l2=0.1, n_paths=3, record_every=20, seed=4)
    paths = fp.simulate(P.potential(l2=0.1), 1e-3, P.start(), 0.02, 50, n_paths=3, seed=4, save_every=10)
    assert (run.x == paths.x).all() and run.steps.tolist() == [0, 20, 40, 50]
    assert run.history["displacement"][1] == pytest.approx(((paths.paths[:, 2] - P.start()) ** 2).sum(-1))
    assert run.history["train_loss"][-1] == pytest.approx(P.risk(run.x)) and run.times[-1] == pytest.approx(
        1.0)


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
