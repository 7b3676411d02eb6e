"""Laws of every learning problem: risks are means of losses, gradients are slopes, Hessian products are
slopes of gradients."""
import numpy as np
import pytest

from fpkit.learning.classifiers import Classifier, Regression, TeacherStudent, digits, wine
from fpkit.learning.factorisation import MatrixFactorisation
from fpkit.learning.modular_addition import ModularAddition, ModularAdditionReLU, circle

u = np.linspace(-1, 1, 9)[:, None]
PROBLEMS = [ModularAddition(7, 5, 0.5, 1), ModularAdditionReLU(7, 5, 0.5, 1, depth=3),
            wine(4, label_noise=0.1), TeacherStudent(), Regression(u, u**2),
            MatrixFactorisation(3, 4, rank=2, n_examples=6, order="random"),
            MatrixFactorisation(3, 3, n_examples=5)]


@pytest.fixture(params=PROBLEMS, ids=lambda p: type(p).__name__)
def case(request):
    problem = request.param
    return problem, problem.start(), np.random.default_rng(2).normal(size=problem.n_params)


def test_risk_is_the_mean_loss_and_the_gap_their_difference(case):
    problem, x, _ = case
    assert problem.losses(x).shape == (problem.n_train,) and (problem.losses(x, "test") >= 0).all()
    assert problem.risk(x) == pytest.approx(problem.losses(x).mean(), rel=1e-14)
    assert problem.gap(x) == pytest.approx(problem.risk(x, "test") - problem.risk(x), rel=1e-12)
    scores = problem.scores(x)
    assert scores["train_loss"] == pytest.approx(problem.loss(x), rel=1e-12) and scores[
        "test_loss"] == pytest.approx(problem.risk(x, "test"), rel=1e-12)


def test_gradient_is_the_slope_of_the_risk(case):
    problem, x, d = case
    h = 1e-5
    slope = (problem.loss(x + h * d) - problem.loss(x - h * d)) / (2 * h)
    assert problem.gradient(x) @ d == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_hessian_products_are_exact_and_symmetric(case):
    problem, x, d = case
    e = np.random.default_rng(3).normal(size=x.size)
    h = 1e-5
    slope = (problem.gradient(x + h * d) - problem.gradient(x - h * d)) / (2 * h)
    assert problem.hessian_vector(x, d) == pytest.approx(slope, rel=1e-5, abs=1e-6)
    assert e @ problem.hessian_vector(x, d) == pytest.approx(d @ problem.hessian_vector(x, e), rel=1e-9,
                                                             abs=1e-12)
    assert problem.hessian(x) @ d == pytest.approx(problem.hessian_vector(x, d), rel=1e-9, abs=1e-12)


def test_many_hypotheses_at_once_are_each_alone(case, monkeypatch):
    problem, x, d = case
    X = np.stack([x, x + d, d])
    assert problem.risk(X) == pytest.approx([problem.risk(v) for v in X], rel=1e-13)
    whole = problem.gradient(X)
    monkeypatch.setattr("fpkit.learning.problem.CHUNK", 1)
    assert problem.gradient(X) == pytest.approx(whole, rel=1e-13, abs=1e-15)
    assert whole[1] == pytest.approx(problem.gradient(x + d), rel=1e-13, abs=1e-15)


def test_the_mean_of_the_members_gradients_is_the_gradient(case):
    problem, x, _ = case
    G = problem.member_gradients(x)
    assert G.shape == (problem.n_train, problem.n_params) and G.mean(0) == pytest.approx(problem.gradient(x),
                                                                                         rel=1e-10, abs=1e-13)
    members = problem.minibatch(3, 5, 1)
    assert set(members) <= set(problem._index["train"]) and len(set(members)) == 3
    assert problem.gradient(x, members) == pytest.approx(
        G[np.searchsorted(problem._index["train"], members)].mean(0), rel=1e-9, abs=1e-12)


def test_the_potential_is_the_confined_risk(case):
    problem, x, d = case
    V = problem.potential(l2=0.3)
    assert V(x) == pytest.approx(problem.loss(x) + 0.15 * x @ x, rel=1e-13)
    assert V.gradient(np.stack([x, d]))[1] == pytest.approx(problem.gradient(d) + 0.3 * d, rel=1e-12,
                                                            abs=1e-14)


def test_minibatches_depend_on_seed_and_step_alone_and_are_unbiased():
    problem = ModularAddition(7, 5, 0.5, 1)
    assert (problem.minibatch(4, 3, 1) == problem.minibatch(4, 3, 1)).all()
    x = problem.start()
    V = problem.potential(batch=4, learning_rate=0.1, seed=1)
    found = V.with_params(t=0.3).gradient(x)
    assert found == pytest.approx(problem.gradient(x, problem.minibatch(4, 3, 1)), rel=1e-12)
    mean = np.mean([problem.gradient(x, problem.minibatch(8, k, 0)) for k in range(3000)], axis=0)
    assert np.linalg.norm(mean - problem.gradient(x)) < 0.1 * np.linalg.norm(problem.gradient(x))


# ---- what is known exactly of single problems ----

def test_the_zero_risk_set_of_a_factorisation_is_invariant_and_has_the_stated_dimension():
    problem = MatrixFactorisation(4, 4, n_examples=6)
    assert problem.zero_risk_dimension() == 2
    x = np.zeros(8)
    U, V = problem.layers(x)
    U[0] = 1.3  # follow the path of entries: each one fixes the next coordinate
    for i, j, t in zip(*(e[:6] for e in problem._entries), problem._targets[:6, 0]):
        if V[j, 0] == 0:
            V[j] = t / U[i]
        else:
            U[i] = t / V[j]
    U[(U == 0)] = 0.7
    assert problem.loss(x) < 1e-28
    e = np.linalg.eigvalsh(problem.hessian(x))
    assert (abs(e) < 1e-10).sum() == problem.zero_risk_dimension()
    scaled = x.copy()
    scaled[:4] *= 2.0
    scaled[4:] /= 2.0
    assert problem.loss(scaled) < 1e-28


def test_implied_entries_take_no_dimension():
    assert [MatrixFactorisation(3, 3, n_examples=n).zero_risk_dimension()
            for n in range(1, 9)] == [5, 4, 3, 2, 1, 1, 1, 1]


def test_the_evidence_of_one_entry_is_the_known_integral():
    problem = MatrixFactorisation(2, 2, n_examples=1)
    t, beta = problem._targets[0, 0], 3.0
    # given v, u is Gaussian: E exp(-beta (u v - t)^2/2) = exp(-beta t^2/(2 (1 + beta v^2)))/sqrt(1 + beta
    # v^2)
    v = np.linspace(-9, 9, 4001)
    s = 1 + beta * v * v
    exact = np.trapezoid(np.exp(-0.5 * beta * t * t / s - 0.5 * v * v) / np.sqrt(2 * np.pi * s), v)
    assert problem.log_evidence(beta)[1] == pytest.approx(np.log(exact), abs=1e-9)


def test_the_teacher_has_no_risk_and_wrong_labels_are_counted():
    problem = TeacherStudent(seed=3)
    assert problem.risk(problem.teacher()) == 0 and problem.risk(problem.teacher(), "test") == 0
    clean, noisy = wine(4, seed=1), wine(4, label_noise=0.2, seed=1)
    changed = clean._labels != noisy._labels
    assert changed.sum() == round(0.2 * 89) and not changed[clean._index["test"]].any()
    assert digits(4).n_params == 65 * 4 + 5 * 10


def test_a_circle_is_recognised():
    a = np.arange(13)
    c = circle(np.stack([np.cos(2 * np.pi * 3 * a / 13 + 0.3), np.sin(2 * np.pi * 3 * a / 13 + 0.3)], 1))
    assert c.frequency == 3 and c.plane_share == pytest.approx(1) and c.roundness < 1e-12
    angle = np.unwrap(np.arctan2(*c.points.T[::-1]))
    # adding one is a shift along the circle
    assert abs(np.diff(angle)) == pytest.approx(abs(np.diff(angle))[0])


@pytest.mark.parametrize("call, words", [
    (lambda: PROBLEMS[0].risk(PROBLEMS[0].start(), "validation"), "sample 'validation' is unknown"),
    (lambda: PROBLEMS[0].minibatch(99, 0), "larger than the training sample"),
    (lambda: PROBLEMS[0].potential(l2=-1.0), "l2 must not be negative"),
    (lambda: PROBLEMS[0].potential(batch=4), "learning_rate must be a number"),
    (lambda: PROBLEMS[0].scores(np.zeros((2, 105))), "one hypothesis"),
    (lambda: MatrixFactorisation(2, 2, n_examples=4), "leave an entry"),
    (lambda: MatrixFactorisation(2, 2, rank=2).zero_risk_dimension(), "leave an entry|rank 1"),
    (lambda: MatrixFactorisation(3, 3, n_examples=7).log_evidence(1.0), "exact for rank 1"),
    (lambda: TeacherStudent(width=1, teacher_width=2), "at most width"),
    (lambda: Classifier(np.zeros((3, 2)), np.array([0.5, 1, 2])), "whole numbers"),
    (lambda: Regression(u, u[:, 0]), "shapes"),
])
def test_wrong_input_is_refused_in_one_sentence(call, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
