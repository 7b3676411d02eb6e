"""Models, sweeps and laws, volumes, wells: what is measured agrees with what is known."""
import json

import numpy as np
import pytest

import fpkit as fp
from fpkit.cli import main
from fpkit.learning import figures
from fpkit.learning.factorisation import MatrixFactorisation
from fpkit.learning.manifold import log_evidence
from fpkit.learning.models import chamber, ravine, ravine_story, reduced_time
from fpkit.learning.predator_prey import landscape, predation
from fpkit.learning.sweep import Sweep, fit_laws, sweep
from fpkit.learning.wells import bump_network
from validation._predation import predation_by_particles


def test_reduced_time_of_a_flat_floor_is_the_walks():
    x = np.linspace(0, 3, 2001)
    assert reduced_time(0 * x, x, 0.25) == pytest.approx(9 / 0.5, rel=1e-6)
    # log Z is known up to a constant only
    assert reduced_time(0 * x + 500.0, x, 0.25) == pytest.approx(9 / 0.5, rel=1e-6)


def test_model_a_by_paths_finite_volumes_and_formula():
    """Three standard errors: each of the two comparisons fails by accident with probability .003."""
    table = ravine((1.0, 2.0), n_paths=400)
    for row in table.rows:
        assert row["finite_volumes"] == pytest.approx(row["walk"], rel=2e-3) and row[
            "reduced"] == pytest.approx(row["walk"], rel=1e-4)
        assert abs(row["t_grok"] - row["walk"]) < 3 * row["t_grok"].error
    widening = ravine((2.0,), kappa=0.5, n_paths=50).rows[0]
    assert widening["finite_volumes"] == pytest.approx(widening["reduced"], rel=0.02) and widening[
        "reduced"] < 0.8 * widening["walk"]


def test_model_b_by_paths_finite_volumes_and_reduced_form():
    for row in chamber((8, 10), n_paths=300).rows:
        assert row["finite_volumes"] == pytest.approx(row["reduced"], rel=5e-3)
        assert abs(row["t_grok"] - row["reduced"]) < 3.5 * row["t_grok"].error


def test_the_story_of_model_a_rises_to_one():
    story = ravine_story(length=1.0, n_paths=100, n_times=12)
    assert (np.diff(story["along"]) >= 0).all() and story["arrived"][-1] > 0.9 and story["down"][-1] > 0.9


def made_up(law, spread, n_steps=8000, seed=0):
    fractions = np.array([0.8, 0.7, 0.6, 0.5, 0.45, 0.42, 0.4])
    rng = np.random.default_rng(seed)
    t_mem = np.full((7, 5), 300.0)
    t = t_mem + law(fractions)[:, None] * np.exp(spread * rng.normal(size=(7, 5)))
    return Sweep("fraction", fractions, t_mem, np.where(t > n_steps, np.inf, t), n_steps, np.zeros(7, int),
                 {"modulus": 31}, [])


def test_each_law_is_recognised_with_censored_runs():
    power = fit_laws(made_up(lambda f: 20 * (f - 0.38) ** -1.5, 0.1), 20)
    assert power["power"].aic + 6 < power["exponential"].aic and power["power"].critical == pytest.approx(
        0.38, abs=0.015)
    assert power["power"].critical_interval[0] < 0.38 < power["power"].critical_interval[1]
    straight = made_up(lambda f: np.exp(12 - 9 * f), 0.2, n_steps=4000)
    assert straight.n_censored.sum() > 5
    fitted = fit_laws(straight, 0)["exponential"]
    assert fitted.b == pytest.approx(9, rel=0.1) and fitted.aic < fit_laws(straight, 0)["power"].aic + 3


def test_censored_runs_count_as_late_in_medians():
    found = made_up(lambda f: 0 * f + 100, 0.0)
    found.t_grokked[0, :3] = np.inf
    assert np.isinf(found.medians()[0]) and found.medians()[1] == 400 and found.n_censored.tolist() == [
        3, 0, 0, 0, 0, 0, 0]
    assert "> 8000" in repr(found)


def test_a_sweep_does_not_depend_on_its_threads():
    one, two = (sweep((0.9, 0.8), n_seeds=2, n_steps=300, modulus=7, width=16, n_threads=n) for n in (1, 2))
    assert (one.t_memorised == two.t_memorised).all() and (one.t_grokked == two.t_grokked).all()


def test_predators_that_do_not_eat_leave_gibbs_and_blind_ones_leave_lotka_and_volterra():
    assert predation(attack=0.0, t_end=40.0).share == pytest.approx(predation(attack=0.0,
                                                                              t_end=40.0).undisturbed,
                                                                              abs=1e-9)
    blind = predation(range=20.0, attack=50.0, t_end=80.0, n_cells=80)
    assert blind.prey == pytest.approx(0.2 / (50 / (20 * np.sqrt(2 * np.pi))), rel=0.02)


def test_particles_approach_the_mean_field():
    mean, particles = predation(0.1, 1.0, t_end=80.0), predation_by_particles(600, 0.1, 1.0, t_end=60.0)
    assert particles.share == pytest.approx(mean.share,
                                            abs=0.06) and particles.prey == pytest.approx(mean.prey, rel=0.1)


@pytest.fixture(scope="module")
def net():
    return bump_network()


def test_the_compiled_risk_of_the_bump_network_is_the_problems(net):
    z = np.random.default_rng(0).normal(size=(6, 4))
    V = net.problem.potential(net.l2)
    assert net.potential(z) == pytest.approx(V(z), rel=1e-13) and net.potential.gradient(z) == pytest.approx(
        V.gradient(z), rel=1e-11, abs=1e-14)


def test_its_wells_are_minima_and_mirror_images_are_too(net):
    for x in (net.rise.x, net.fall.x, *net.mirrors):
        assert np.linalg.norm(net.potential.gradient(x)) < 1e-8 and np.linalg.eigvalsh(
            net.potential.hessian(x))[0] > 0
    assert net.potential(net.mirrors[0]) == pytest.approx(net.rise.value, rel=1e-12) and net.barrier() > 0


def test_the_exact_share_converges_and_approaches_the_harmonic_one_when_cold(net):
    assert net.exact_share(0.003, 200) == pytest.approx(net.exact_share(0.003, 400), abs=2e-4)
    assert net.exact_share(0.0008) == pytest.approx(net.harmonic_share(0.0008), abs=3e-3)
    assert abs(net.exact_share(0.003) - net.harmonic_share(0.003)) > abs(net.exact_share(0.0015)
                                                                         - net.harmonic_share(0.0015))


@pytest.mark.parametrize("arguments", [
    ["grokking", "--modulus", "7", "--hidden", "16", "--fraction", "0.8", "--steps", "200"],
    ["ravine", "--lengths", "0.5", "1", "--paths", "20"],
    ["chamber", "--samples", "10", "12", "--paths", "20"],
    ["sweep", "--values", "0.9", "0.8", "--seeds", "1", "--steps", "200", "--modulus", "7", "--hidden", "16"],
    ["sgld", "--start", "random", "--modulus", "5", "--hidden", "4", "--steps", "50"],
], ids=lambda a: a[0])
def test_learn_prints_text_json_and_a_figure(arguments, capsys, tmp_path):
    figure = tmp_path / "a.png"
    assert main(["learn", *arguments, "--figure", str(figure)]) == 0 and figure.stat().st_size > 3000
    assert len(capsys.readouterr().out.splitlines()) >= 1
    assert main(["learn", *arguments, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_learn_refuses_in_one_sentence(capsys):
    assert main(["learn", "sgld", "--start", "random", "--modulus", "5", "--hidden", "4", "--rate", "9",
                 "--steps", "5"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["learn", "sweep", "--vary", "width"]) == 2
    assert "give the --values" in capsys.readouterr().err


def test_the_talks_figures_are_drawn_from_our_runs(tmp_path, capsys, monkeypatch):
    small = figures.QUICK | {"modulus": 11, "width": 32, "fractions": (0.9, 0.85, 0.8, 0.75), "n_seeds": 1,
                             "n_steps": 600, "circle": (11, 32, 300), "n_paths": 20, "n_samples": (10, 12),
                             "long": (7, 16, 0.8, (0.0, 0.1), 1, 100)}
    monkeypatch.setattr(figures, "QUICK", small)
    assert main(["learn", "figures", "--quick", "-o", str(tmp_path / "f")]) == 0
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == [f"figure{k}.png" for k in (1, 2, 3, 4)]


def test_results_of_learning_have_figures():
    from fpkit.learning.modular_addition import ModularAddition, train

    run = train(ModularAddition(7, 16, 0.8), n_steps=100)
    assert len(fp.plot(run).axes) == 2


def test_walks_in_two_processes_are_those_of_one():
    from fpkit.learning.solutions import walks
    one, two = (walks([(2e-4, 3e-5, 40), (0.0, 0.0, 80)], (0,), modulus=11, width=32, fraction=0.75,
                      n_processes=n) for n in (1, 2))
    assert one.rows == two.rows and all(np.array_equal(one.runs[key].x, two.runs[key].x) for key in one.runs)
    assert [r["theta"] for r in one.rows] == [0.0, 0.0, 3e-5, 3e-5]                       # the longest first
    # a late mean is one over many records, not the last value alone
    assert all(run.steps.size > 0.8 * min(200, run.steps[-1]) for run in one.runs.values())


def test_censored_runs_pull_the_law_to_later_times():
    """Delays exp(9 - 6 f + .3 N(0, 1)) of which half are cut off at the end of the watch: the law is found
    again, which the known runs alone would miss by far. Fixed seed; tolerance of four standard errors."""
    rng = np.random.default_rng(5)
    fractions = np.linspace(0.4, 0.9, 6)
    delay = np.exp(9.0 - 6.0 * fractions[:, None] + 0.3 * rng.normal(size=(6, 40)))
    watched = 300.0
    found = Sweep("fraction", fractions, np.full(delay.shape, 20.0),
                  np.where(delay < watched - 20, delay + 20, np.inf), int(watched), np.ones(6, int),
                  {"modulus": 5}, [])
    assert 0.3 < (~np.isfinite(found.t_grokked)).mean() < 0.6
    law = fit_laws(found, 0)["exponential"]
    assert law.a == pytest.approx(9.0, abs=0.6) and law.b == pytest.approx(6.0, abs=0.9)
    assert law.sigma == pytest.approx(0.3, abs=0.08)


def test_a_censored_run_counts_as_later_than_all_others():
    t = np.array([[10.0, 20.0, np.inf], [10.0, np.inf, np.inf]])
    found = Sweep("fraction", np.array([0.4, 0.5]), np.full((2, 3), 5.0), t, 100, np.ones(2, int),
                  {"modulus": 5}, [])
    assert found.medians().tolist() == [20.0, np.inf] and found.n_censored.tolist() == [1, 2]


def test_the_mean_field_is_that_of_its_equations():
    """Beside the same equations as one system of differential equations, with a Laplacian of its own for the
    predators; twice their diffusion would move the share by ten times the tolerance."""
    from scipy.integrate import solve_ivp

    range_, attack, theta, theta_v, death, n, t_end = 0.1, 2.0, 0.05, 0.05, 0.2, 80, 40.0
    found = predation(range_, attack, theta, theta_v=theta_v, t_end=t_end, n_cells=n)
    V, saddle = landscape(theta)
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.0, 3.0)], n))
    x, h = D.grid.centres[0], float(D.grid.widths[0][0])
    K = np.exp(-((x[:, None] - x) ** 2) / (2 * range_**2)) * h / (range_ * np.sqrt(2 * np.pi))

    def velocity(t, z):
        u, v = z[:n], z[n:]
        walk = np.diff(np.r_[0.0, theta_v * np.diff(v) / h, 0.0]) / h
        return np.r_[D.generator.T @ u + u * (1 - u.sum() * h - attack * (K @ v)), walk
                     + v * (attack * (K @ u) - death)]
    weights = np.exp(D.log_mass)
    start = np.r_[weights / weights.sum() / h, np.full(n, 0.1 / 5.0)]
    z = solve_ivp(velocity, (0.0, t_end), start, "LSODA", np.linspace(t_end / 2, t_end, 201), rtol=1e-6,
                  atol=1e-9).y
    u = z[:n]
    assert found.share == pytest.approx((u[x > saddle].sum(0) / u.sum(0)).mean(), abs=3e-3)
    assert found.prey == pytest.approx(u.sum(0).mean() * h, rel=0.01)
    assert found.predators == pytest.approx(z[n:].sum(0).mean() * h, rel=0.01)


def test_the_evidence_counts_the_width_of_the_prior():
    """One entry u v = t under N(0, .4^2): two integrals by sums over a grid."""
    problem, beta, prior = MatrixFactorisation(1, 2, n_examples=1), 30.0, 0.4
    g = np.linspace(-5, 5, 1201) * prior
    density = np.exp(-0.5 * (g / prior) ** 2)
    density /= density.sum()
    t = problem._targets[0, 0]
    exact = np.log(density @ np.exp(-beta * (np.multiply.outer(g, g) - t) ** 2 / 2) @ density)
    found = log_evidence(problem, beta, prior=prior, n_levels=17, n_steps=60, n_paths=128)
    assert abs(found - exact) <= found.error < 0.5
