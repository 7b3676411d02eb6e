import numpy as np
import pytest

from fpkit.learning.modular_addition import ModularAddition, frequency_share, train


def plain_loss(problem, x, sample):
    """The definition, pair by pair."""
    U, V, W = problem.layers(x)
    p, total, right, n = problem.modulus, 0.0, 0, 0
    for a in range(p):
        for b in range(p):
            if problem.is_train[a, b] == (sample == "train"):
                out = ((U[a] + V[b]) ** 2) @ W
                target = np.zeros(p)
                target[(a + b) % p] = 1
                total += 0.5 * ((out - target) ** 2).sum()
                right += int(out.argmax() == (a + b) % p)
                n += 1
    return total / n, right / n


def test_scores_are_the_sums_over_pairs_of_the_definition():
    problem = ModularAddition(7, 5, 0.5, seed=3)
    x = problem.start()
    scores = problem.scores(x)
    for sample in ("train", "test"):
        loss, accuracy = plain_loss(problem, x, sample)
        assert scores[f"{sample}_loss"] == pytest.approx(loss, rel=1e-13)
        assert scores[f"{sample}_acc"] == pytest.approx(accuracy, abs=1e-15)


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_is_the_slope_of_the_training_loss(seed):
    problem = ModularAddition(7, 5, 0.5, seed=seed)
    x = problem.start()
    d = np.random.default_rng(1).normal(size=x.size)
    h = 1e-5  # the loss is a polynomial of degree 6: the error is O(h^2)
    slope = (problem.loss(x + h * d) - problem.loss(x - h * d)) / (2 * h)
    assert problem.gradient(x) @ d == pytest.approx(slope, rel=1e-7)


def test_test_pairs_do_not_enter_the_gradient():
    problem = ModularAddition(5, 4, 0.4, seed=2)
    x = problem.start()
    alone = [k for k in range(5) if not problem.is_train[k].any()]
    g = problem.layers(problem.gradient(x))[0]
    assert all((g[k] == 0).all() for k in alone)
    assert (g[problem.is_train.any(1)] != 0).any()


def test_split_is_decided_by_the_seed_and_has_the_asked_size():
    a, b, c = ModularAddition(11, 3, 0.3, 1), ModularAddition(11, 3, 0.3, 1), ModularAddition(11, 3, 0.3, 2)
    assert (a.is_train == b.is_train).all() and (a.start() == b.start()).all()
    assert (a.is_train != c.is_train).any() and a.is_train.sum() == round(0.3 * 121)


def test_it_groks_with_decay_after_it_has_memorised():
    run = train(ModularAddition(23, 64, 0.6, seed=0), n_steps=1000, stop_after=0)
    assert run.t_memorised < run.t_grokked <= 1000
    assert run.history["test_acc"][run.steps == run.t_memorised] < 0.9
    assert run.steps[-1] == run.saved_steps[-1] == run.t_grokked and (run.checkpoints[-1] == run.x).all()


def test_without_decay_it_memorises_and_does_not_generalise():
    run = train(ModularAddition(23, 64, 0.45, seed=0), n_steps=800, weight_decay=0.0)
    assert run.t_memorised is not None and run.t_grokked is None
    assert run.history["train_loss"][-1] < 0.1 * run.history["test_loss"][-1]
    assert run.recipe["weight_decay"] == 0.0 and "never" in repr(run)


def test_a_run_in_two_parts_records_its_start_and_end():
    problem = ModularAddition(7, 6, 0.6)
    first = train(problem, n_steps=25, check_every=10, save_every=10)
    assert first.steps.tolist() == [0, 10, 20, 25] and first.saved_steps.tolist() == [0, 10, 20, 25]
    second = train(problem, n_steps=5, start=first.x)
    assert (second.checkpoints[0] == first.x).all() and second.steps[0] == 0


def test_frequency_share_of_cosines_is_one_and_of_noise_is_small():
    k = np.arange(23)
    assert frequency_share(np.cos(2 * np.pi * np.outer(k, [1, 3, 5]) / 23)) == pytest.approx(1, abs=1e-12)
    assert frequency_share(np.random.default_rng(0).normal(size=(23, 200))) < 0.5


@pytest.mark.parametrize("call, words", [
    (lambda: ModularAddition(fraction=1.0), "fraction must leave"),
    (lambda: ModularAddition(fraction=np.nan), "fraction must be finite"),
    (lambda: ModularAddition(modulus=1), "modulus must be at least 2"),
    (lambda: ModularAddition().loss(np.zeros(3)), "x must have shape"),
    (lambda: train(ModularAddition(5, 2), learning_rate=0.0), "learning_rate must be positive"),
    (lambda: train(ModularAddition(5, 2), betas=(0.9, 1.0)), "betas must be below 1"),
])
def test_wrong_input_is_refused_in_one_sentence(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
