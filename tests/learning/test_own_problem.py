"""Problems of a user's own: what is given is understood or refused in one sentence, and runs through every
experiment as the network does."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.learning import OwnProblem, learn, train
from fpkit.learning.factorisation import MatrixFactorisation
from fpkit.learning.walkers import displacement, example_entropy, first_passages, persistence

U = np.random.default_rng(0).normal(size=(30, 2))
Y = np.sign(U @ [1.0, 0.5])


def out(X, members):
    return X @ U[members].T - Y[members]


GIVEN = dict(losses=lambda X, m: 0.5 * out(X, m) ** 2, gradient=lambda X, m: out(X, m) @ U[m] / len(m),
             n_params=2, train=range(20), test=range(20, 30), is_right=lambda X, m: abs(out(X, m)) < 1,
             start=lambda seed: np.random.default_rng(seed).normal(size=2))


def line(**change):
    return OwnProblem(**GIVEN | change)


def quartic():
    """f = sum x^4 for every member: diverges at large rates."""
    return OwnProblem(lambda X, m: np.repeat((X**4).sum(1)[:, None], len(m), 1), lambda X, m: 4 * X**3, 3,
                      range(5), range(5, 8), np.ones(3), lambda X, m: np.ones((len(X), len(m)), bool))


def refused(call, words, kind=(ValueError, TypeError)):
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change, words", [
    (dict(train=[0.5, 1.5]), "train must hold different whole numbers of members, .*or a truth value"),
    (dict(train=["a", "b"]), "train must hold different whole numbers"),
    (dict(test=range(10, 30)), "train and test share 10 members, the first of them 10"),
    (dict(test=range(20, 99)), r"losses\(X, members\) fails .* index 98 is out of bounds"),
    (dict(losses=lambda x, m: 0.5 * (x[0] * U[m, 0]) ** 2), r"losses\(X, members\) fails for X of shape"),
    (dict(losses=3), "losses must be a function of"), (dict(gradient=None), "gradient must be a function of"),
    (dict(is_right="yes"), "is_right must be a function of"),
    (dict(is_right=lambda X, m: out(X, m) ** 2), "is_right.* must return truth values, got float64 numbers"),
    (dict(is_right=lambda X, m: np.ones((len(X), len(m)), int)), "truth values, got int64 numbers")])
def test_what_is_no_problem_is_refused_in_one_sentence(change, words):
    refused(lambda: line(**change), words)


def test_truth_values_are_understood_as_members():
    by_mask, by_number = line(train=np.arange(30) < 20, test=np.arange(30) >= 20), line()
    x = by_number.start()
    assert by_mask.n_train == 20 and by_mask.n_test == 10 and by_mask.scores(x) == by_number.scores(x)


@pytest.mark.parametrize("batch", [0, 2])
def test_one_walker_that_diverges_does_not_end_the_others(batch):
    options = dict(check_every=10, batch=batch, theta=1e-4)
    run = learn([quartic()] * 3, 300, [0.01, 5.0, 0.02], **options)
    alone = learn([quartic()] * 3, 300, [0.01, 0.01, 0.02], **options)
    assert (run.x[[0, 2]] == alone.x[[0, 2]]).all() and run.watched.tolist() == [300, 10, 300]
    assert run.status == "1 of 3 walkers diverged; take a learning rate below 5"
    assert np.isfinite(run.history["test_loss"][:, [0, 2]]).all()
    all_gone = learn([quartic()] * 2, 300, 5.0, check_every=10)
    assert "2 of 2 walkers diverged" in all_gone.status


def test_displacements_and_nats_of_what_diverges_are_refused():
    with pytest.raises(ArithmeticError, match="3 of 3 walkers diverged; take a learning rate below 5"):
        displacement([quartic()] * 3, np.ones((3, 3)), 1e-3, 0.0, [5.0, 50.0], learning_rate=5.0)
    wild = [{"horizon": 9.0}, {"scale": 3.0, "learning_rate": 50.0, "horizon": 25000.0}]
    with pytest.raises(ArithmeticError, match="2 of 2 walkers .* below 50, or leave out .*'scale': 3.0"):
        first_passages(lambda split, c: line(), wild, 1, 2, level=1.0)
    with pytest.raises(ArithmeticError, match="diverged; take a learning rate below 5"):
        example_entropy(quartic(), np.ones(3), 1e-3, learning_rate=5.0)


# ---- experiments ----

def test_the_nats_of_a_member_are_those_of_the_gaussian():
    """f_n = mean of (x . u - y)^2/2: its free energy is known, theta/2 log det H + f at the least. Over 12
    seeds the error was .02 in the mean square; the tolerance is three times that."""
    problem, theta = line(), 0.02
    n, H, target = 20, U[:20].T @ U[:20], U[:20].T @ Y[:20]

    def nats(members):
        A, b = U[members].T @ U[members] / len(members), U[members].T @ Y[members] / len(members)
        x = np.linalg.solve(A, b)
        return 0.5 * np.linalg.slogdet(A)[1] + (0.5 * np.mean((U[members] @ x - Y[members]) ** 2)) / theta

    x0 = np.linalg.solve(H, target)
    assert np.linalg.norm(problem.gradient(x0)) < 1e-12
    for seed in range(4):
        added = int(np.random.default_rng([seed, 3]).choice(np.arange(20, 30)))
        exact = nats([*range(n), added]) - nats(range(n))
        found = example_entropy(problem, x0, theta, learning_rate=0.05, settle=20.0, measure=200.0, seed=seed)
        assert found["nats"] == pytest.approx(exact, abs=0.06) and 0 <= found["test_acc"] <= 1


def test_each_member_of_a_network_has_the_nats_of_the_same_problem_given_as_ones_own():
    """The compiled network and the same problem in NumPy: float32 beside float64, few steps."""
    from fpkit.learning.modular_addition import ModularAddition

    inner = ModularAddition(5, 4, 0.6, 1)
    own = OwnProblem(inner._losses, inner._gradient, inner.n_params, inner._index["train"],
                     inner._index["test"], inner.start(), inner._right)
    found = [example_entropy(p, inner.start(), 1e-3, learning_rate=0.02, settle=0.2, measure=1.0, seed=2)
             for p in (inner, own)]
    assert found[0]["nats"] == pytest.approx(found[1]["nats"], rel=1e-4)
    assert found[0]["test_acc"] == pytest.approx(found[1]["test_acc"], abs=0.02)


def test_no_nats_without_a_member_to_add():
    refused(lambda: example_entropy(line(test=[]), np.zeros(2), 1e-3), "the test sample is empty")
    refused(lambda: example_entropy(line(), np.zeros(2), 0.0), "theta must be positive")


@pytest.mark.parametrize("conditions, options, words", [
    ([], {}, "conditions is empty; give at least one"), ([{}], {"n_splits": 0}, "n_splits must be at least"),
    ([{}], {"n_starts": 0}, "n_starts must be at least 1"), ([{}], {"level": 1.5}, "level is a share"),
    ([{"horizon": -20.0}], {}, "horizon must be positive, got -20"), ([3.0], {}, "conditions must be dict"),
    ([{"learning_rate": 0.0}], {}, "learning_rate must be positive"),
    ([{"tehta": 1e-4}], {}, "'tehta' is unknown; .* Did you mean 'theta'"),
    ([{"depth": 1, "depht": 2}], {}, "'depht' is unknown; .* Did you mean 'depth'")])
def test_conditions_that_nobody_reads_are_refused_in_one_sentence(conditions, options, words):
    refused(lambda: first_passages(lambda split, c: line(seed=int(c.get("depth", 0))), conditions, **options),
            words)


def test_a_maker_that_makes_no_problem_is_refused():
    refused(lambda: first_passages(line(), [{}]), "make must be a function .*lambda split, condition: prob")
    refused(lambda: first_passages(lambda s, c: None, [{}]), "make must return a LearningProblem, got None")


def test_what_make_reads_by_any_way_is_a_setting_and_a_column():
    def make(split, condition):
        return settings(**condition) if "far" in condition else line(seed=condition["other"])

    def settings(far, other, **_):
        return line(seed=other)
    near = {"horizon": 2.0, "other": 1}
    found = first_passages(make, [near | {"far": np.int64(3), "other": 2}, near], 2, 1)
    assert found.columns["other"].tolist() == [2, 2, 1, 1] and "far" not in found.columns
    one = first_passages(make, {"horizon": 2.0, "far": np.int64(3), "other": 2}, 1, 1)
    assert one.columns["far"].tolist() == [3]


def test_every_kind_of_problem_has_starts_of_its_own():
    found = first_passages(lambda split, c: line(), [{"horizon": 4.0}], 1, 4, level=0.8)
    assert len(set(found.columns["norm_end"].tolist())) == 4
    one = MatrixFactorisation(3, 3)
    assert (one.start(seed=one.seed) == one.start()).all() and (one.start(seed=1000) != one.start()).any()


def test_a_torch_module_is_drawn_anew_for_each_walker():
    torch = pytest.importorskip("torch")
    u, y = torch.tensor(U), torch.tensor((Y > 0).astype(int))
    losses = lambda model, k: torch.nn.functional.cross_entropy(model(u[k]), y[k], reduction="none")
    is_right = lambda model, k: model(u[k]).argmax(-1) == y[k]
    layers = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    model = layers.double().eval()
    model[1].running_mean += 0.5
    state = {k: v.clone() for k, v in model.state_dict().items()}
    problem = OwnProblem.of_torch(model, losses, range(20), range(20, 30), is_right)
    problem.gradient(problem.start(seed=3))
    before = torch.random.get_rng_state()
    starts = [problem.start(seed=s) for s in (5, 6, 5)]
    assert (starts[0] == starts[2]).all() and (starts[0] != starts[1]).any()
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())  # it is left alone
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)
    here = torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    assert (problem.start() == here).all()                             # as it is for the problem's own seed
    found = first_passages(lambda s, c: problem, [{"horizon": 2.0}], 2, 2, level=0.6)
    assert len(set(found.columns["norm_end"].tolist())) == 4

    class Raw(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.double))

        def forward(self, x):
            return x @ self.w
    raw = OwnProblem.of_torch(Raw(), losses, range(20), range(20, 30), is_right)
    assert (raw.start() == 1).all()
    refused(lambda: raw.start(seed=7), "Raw has parameters of no layer with reset_parameters")


# ---- what is asked of a run ----

def test_levels_lags_and_snapshots_that_are_not_there_are_told():
    run = learn([line()] * 2, 50, 0.05, levels=(0.5, 0.8))
    refused(lambda: persistence(run, 0.7), "level 0.7 was not watched: 0.5, 0.8 were; give levels")
    refused(lambda: run.passage_times(0.99), "level 0.99 was not watched")
    refused(lambda: persistence(learn(line(is_right=None), 50, 0.05)), "there are no test accuracies")
    refused(lambda: learn(line(), 10, 0.05, snapshots=[5, 50]), "holds step 50, beyond n_steps = 10")
    starts = np.zeros((2, 2))
    walk = displacement([line()] * 2, starts, 1e-3, 0.0, [0.1, 1.0, 2.0])
    refused(lambda: walk.exponents(50, 90), "0 of the lags lie in 50 to 90, 2 are needed; they go from")
    refused(lambda: walk.prefactors(50, 90, 0), "1 are needed")
    still = displacement([line()] * 2, starts, 0.0, 0.0, [0.1, 1.0])
    refused(lambda: still.prefactors(0.1, 1.0, 0), "theta is 0: there is no free walk")
    refused(lambda: displacement([line()] * 2, starts, 1e-3, 0.0, []), "lags is empty")
    refused(lambda: displacement([line()] * 2, starts, 1e-3, 0.0, [-1.0]), "lags must be positive")


def test_problems_with_and_without_classes_in_one_run_keep_their_passages():
    run = learn([line(is_right=None), line()], 200, 0.05)
    assert np.isfinite(run.passages[0.5]).tolist() == [False, True]


def test_curvature_counts_by_its_size_in_a_displacement():
    """f = (x^2 - y^2)/2 + 0 z^2: the falling direction is no null one, and z is a free walk."""
    k = np.array([1.0, -1.0, 0.0])
    saddle = OwnProblem(lambda X, m: np.repeat(0.5 * (k * X * X).sum(-1)[:, None], len(m), 1),
                        lambda X, m: k * X, 3, [0, 1], [], np.zeros(3))
    found = displacement([saddle] * 4, np.zeros((4, 3)), 1e-3, 0.0, [0.2, 1.0, 2.0])
    assert found.dimensions[:, 0].tolist() == [2, 0, 0, 1]
    assert found.prefactors(0.1, 2.0).mean() < 3.0
    bowl = displacement([line()] * 2, np.zeros((2, 2)), 1e-3, 0.0, [0.1, 1.0])
    refused(lambda: bowl.prefactors(0.1, 1.0), "no walker has a direction whose curvature is 0 to 0.001")
    refused(lambda: bowl.exponents(0.1, 1.0, -1), r"the classes hold \[2, 0, 0, 0\] directions at most")


def test_walkers_that_start_at_the_level_are_told_where_a_logarithm_is_wanted():
    from fpkit.learning.walkers import slope_of, weibull_shape
    from fpkit.plotting.walkers import passages_figure

    conditions = [{"theta": t, "horizon": 8.0} for t in (0, 1e-2)]
    found = first_passages(lambda split, c: line(seed=split), conditions, 3, 4, level=0.6)
    n = int((found.time == 0).sum())
    assert 0 < n < len(found) and (found.columns["level"] == 0.6).all()
    refused(lambda: slope_of(found, found.columns["theta"]), f"{n} of 24 times are 0")
    refused(lambda: weibull_shape(found), f"{n} of 24 times are 0")
    assert np.isfinite(slope_of(found.where(found.time > 0), found.columns["theta"][found.time > 0]).value)
    axes = passages_figure(found).axes[0]
    assert axes.get_yscale() == "symlog" and axes.get_ylabel() == "time to a test accuracy of 0.6"


def test_a_run_of_a_torch_module_is_resumed_and_one_of_another_module_is_not(tmp_path):
    torch = pytest.importorskip("torch")
    u, y = torch.tensor(U), torch.tensor((Y > 0).astype(int))
    losses = lambda model, k: torch.nn.functional.cross_entropy(model(u[k]), y[k], reduction="none")

    def made(seed):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double()
        return OwnProblem.of_torch(model, losses, range(20), range(20, 30))
    options = dict(learning_rate=0.1, theta=1e-3, checkpoint=tmp_path / "a", check_every=10)
    learn(made(0), 20, **options)
    more = learn(made(0), 60, **options)
    whole = learn(made(0), 60, **options | {"checkpoint": None})
    assert (more.x == whole.x).all()
    with pytest.raises(ValueError, match="another"):
        learn(made(1), 60, **options)


@pytest.mark.parametrize("change, words", [
    (dict(starts=np.zeros((2, 3, 2))), "starts must be one point or one for each of the 2 walkers"),
    (dict(problems=[line()] * 2, starts=np.zeros((3, 2))), "one for each of the 2 walkers, got shape"),
    (dict(starts="a"), "starts must be numbers"), (dict(problems=None), "problems must be LearningProblem"),
    (dict(record=[-5]), "record must be at least 0"), (dict(snapshots=[1.5]), "snapshots must be a whole"),
    (dict(learning_rate=0.5, l2=10.0), "learning_rate x l2 is 5: above 2")])
def test_what_a_run_cannot_mean_is_refused_in_one_sentence(change, words):
    refused(lambda: learn(**dict(problems=line(), n_steps=50, learning_rate=0.05) | change), words)


def test_one_level_and_one_snapshot_are_lists_of_one():
    run = learn(line(), 50, 0.05, levels=0.5, snapshots=20, check_every=10)
    assert list(run.passages) == [0.5] and run.snapshot_steps.tolist() == [20] and "1 walker in" in repr(run)
    refused(lambda: run.late_mean("acc"), "quantity 'acc' is unknown")


def test_a_run_too_short_to_be_checked_says_so():
    with pytest.warns(UserWarning, match="no passage can be seen; give a smaller check_every"):
        learn(line(), 50, 0.05)
    short = first_passages(lambda split, c: line(), {"horizon": 1.0, "learning_rate": 0.05}, 1, 8, level=0.5)
    assert set(short.time.tolist()) <= {0.0, 1.0} and (short.time[short.seen] == 1.0).any()
    refused(lambda: short.where(tehta=1.0), "column 'tehta' is unknown; .* Did you mean 'theta'")


def test_experiments_ask_for_what_they_can_use():
    starts = np.zeros((3, 2))
    assert len(displacement(line(), starts, 1e-3, 0.0, [0.1, 1.0]).whole) == 3   # one for all
    refused(lambda: displacement(line(), starts, [1e-3], 0.0, [1.0]), "theta must be a number")
    refused(lambda: displacement(line(), starts, 1e-3, 0.0, [1.0], n_resolved=-1), "n_resolved must be at")
    refused(lambda: example_entropy(line(), starts, 1e-3), r"one hypothesis of shape \(2,\), got \(3, 2\)")
    for name in ("learning_rate", "settle", "measure"):
        refused(lambda name=name: example_entropy(line(), starts[0], 1e-3, **{name: 0.0}), f"{name} must be")


def test_walkers_that_diverged_are_no_displacement_and_no_entropy():
    problem = OwnProblem(lambda X, members: 0.5 * (X**2).sum(1, keepdims=True) * np.ones((1, len(members))),
                         lambda X, members: X.copy(), 2, range(4), range(4, 6), np.ones(2))
    with pytest.raises(ArithmeticError, match="learning rate"):
        displacement(problem, np.ones((2, 2)), 1e-3, 40.0, [100.0], learning_rate=2.5)
    with pytest.raises(ArithmeticError, match="learning rate"):
        example_entropy(problem, np.ones(2), 1e-3, learning_rate=2.5)
    with pytest.raises(ValueError, match="less than one step"):
        displacement(problem, np.ones((2, 2)), 1e-3, 1.0, [0.01, 10.0], learning_rate=0.5)


def test_passages_are_looked_for_as_often_as_asked():
    made = lambda split, condition: OwnProblem(
        lambda X, members: np.ones((1, len(members))) * (X[:, :1] ** 2 - 1) ** 2 / 4,
        lambda X, members: X**3 - X, 1, [0], [1], lambda seed: np.array([-1.0]),
        is_right=lambda X, members: (X[:, :1] > 0) * np.ones((1, len(members)), bool))
    passed = lambda every: first_passages(made, [{"theta": 0.3, "learning_rate": 0.05, "horizon": 100.0}],
                                          n_splits=4, n_starts=8, every=every)
    often, seldom = passed(0.05), passed(5.0)
    assert (np.mod(seldom.time[seldom.seen], 5.0) < 1e-9).all()
    assert often.time.mean() < seldom.time.mean() and np.unique(np.mod(often.time, 5.0)).size > 5


def test_a_run_without_a_test_sample_is_told_and_drawn():
    run = train(line(test=[], is_right=None), 50, 0.05)
    assert "training risk" in repr(run) and "test risk" not in repr(run)
    fp.plot(run)
