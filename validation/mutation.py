"""Bugs planted one at a time: do the tests notice?

    python -m validation mutation                     # all of them, in copies of the project
    python -m validation.mutation rates learning      # those whose file holds one of the words
    python -m validation.mutation --check             # only whether every snippet is still found, once
"""
from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .verdict import Table, ruled

CLAIM = "A wrong factor, sign, order or error bar anywhere in the package makes a test fail."
SOURCE = "The contract of this project: what no test can see is not tested."
CRITERION = "Of at least 60 planted bugs in all packages 95 % are noticed, and the rest are explained here."
SLOW = True                                        # has no quick form

ROOT = Path(__file__).resolve().parents[1]
NOTICED, LEAST, SECONDS = 0.95, 60, 900.0
COPIED = ("fpkit", "tests", "validation", "data", "pyproject.toml", "setup.cfg", "README.md")


class Bug(NamedTuple):
    """A replacement of a unique snippet of a file, what is wrong then, and the tests of the area."""

    what: str
    path: str
    old: str
    new: str
    tests: str
    explained: str = ""


def bugs_of(path, tests, *rows):
    return [Bug(what, f"fpkit/{path}", old, new, tests) for what, old, new in rows]


BUGS: list[Bug] = []
# ---- rates ----
BUGS += bugs_of("rates/expansions.py", "tests/rates/test_eyring_kramers.py",
                ("the cross term of the next-order saddle correction is halved", "turned = -0.5 / a",
                 "turned = -0.25 / a"),
                ("a cubic term of the next order is doubled", "(trace ** 2 / 8 +", "(trace ** 2 / 4 +"))
BUGS += bugs_of("rates/eyring_kramers.py", "tests/rates/test_eyring_kramers.py",
                ("the stated error of the leading order is halved", "abs(c) * theta + left + extra",
                 "0.5 * abs(c) * theta + left + extra"),
                ("Kramers' factor with the wrong sign of the friction",
                 "- friction / 2) / unstable", "+ friction / 2) / unstable"),
                ("rates of parallel gates are not added", "np.logaddexp.reduce(logs)", "np.max(logs)"))
BUGS += bugs_of("rates/saddle_profiles.py", "tests/rates/test_eyring_kramers.py",
             ("a soft saddle with the wrong sign", "        sign = -1.0", "        sign = 1.0"))
BUGS += bugs_of("rates/free_energy.py",
                "tests/rates/test_free_energy.py", ("the mobility in the free-energy rate is not squared",
                                                    "theta * speed @ speed", "theta * np.linalg.norm(speed)"),
                ("the error of entropies is divided by 100", "seen[2] + more +", "(seen[2] + more) / 100 +"),
                ("the loss of a straight coordinate is not stated", "TRANSVERSE * loss +", "0 * loss +"))
BUGS += bugs_of("rates/network.py", "tests/rates/test_network.py",
                ("rates of a network's wells are doubled", "return self.log_conductance - self.log_mass[:, "
                 "None]", "return self.log_conductance - self.log_mass[:, None] + math.log(2)"),
                ("the stated error of a network is halved", "change + self.left_error",
                 "0.5 * (change + self.left_error)"))
BUGS += bugs_of("rates/table.py", "tests/rates/test_comparison.py",
             ("the error of an Arrhenius fit is a third", "\nBEYOND = 1.5", "\nBEYOND = 0.5"),
             ("two temperatures give a barrier without doubt", "np.full(2, math.nan)", "np.full(2, 1e-13)"))
BUGS += bugs_of("rates/friction.py", "tests/rates/test_eyring_kramers.py",
                ("the far well's depopulation has the wrong sign",
                 "_log_depopulation(other) - _log_depopulation(loss + other)",
                 "_log_depopulation(other) + _log_depopulation(loss + other)"))
BUGS += bugs_of("rates/guard.py", "tests/rates/test_comparison.py",
                ("definitions of a rate count as equal", "float(height * np.exp(-height))",
                 "float(0.01 * height * np.exp(-height))"))
# ---- learning ----
BUGS += bugs_of("learning/curvature.py", "tests/learning/test_learners.py",
             ("the harmonic entropy is doubled", "float(-0.5 * np.log(", "float(-1.0 * np.log("),
             ("minibatches without repetition make no less noise", "* (N - B) / max(N - 1, 1)", ""))
BUGS += bugs_of("learning/training.py",
                "tests/learning/test_learners.py tests/learning/test_modular_addition.py",
                ("AdamW's bias correction is off by one", "(1 - b1 ** (k + 1))", "(1 - b1 ** (k + 2))"),
                ("the decay acts after the step of SGD", "x *= 1 - rate * decay\n    x -= rate * m\n",
                 "x -= rate * m\n    x *= 1 - rate * decay\n"))
BUGS += bugs_of("learning/walkers/passages.py", "tests/learning/test_passages.py",
                ("the censored likelihood has the wrong sign", "log_ndtr(-z)", "log_ndtr(z)"))
BUGS += bugs_of("learning/walkers/experiments.py", "tests/learning/test_passages.py",
                ("the member that is added has the weight of one", "lam * one) / (n", "one) / (n"))
BUGS += bugs_of("learning/sweep.py", "tests/learning/test_experiments.py",
             ("a censored run counts as early", "np.maximum(d, 1.0), np.inf)", "np.maximum(d, 1.0), 0.0)"))
BUGS += bugs_of("learning/manifold.py", "tests/learning/test_experiments.py",
                ("the prior's variance is not squared", "0.5 * (Y * Y).sum(-1) / prior**2", "0.5 * "
                 "(Y * Y).sum(-1) / prior"), ("the error of an evidence is halved", "2 * noise + abs(fine - "
                                              "coarse) + abs(fine + stepwise)", "0.1 * noise"))
BUGS += bugs_of("learning/predator_prey.py", "tests/learning/test_experiments.py",
                ("the predators' diffusion is doubled", 'Potential("0*x"), theta_v, grid',
                 'Potential("0*x"), 2 * theta_v, grid'),
                ("the predators eat a tenth less", "- c * (K @ v)", "- 0.9 * c * (K @ v)"))
BUGS += bugs_of("learning/walkers/engines.py", "tests/learning/test_learners.py",
                ("the displacement is measured from the origin", "((self.x - w.start) ** 2).sum(1)",
                 "(self.x ** 2).sum(1)"))
BUGS += bugs_of("learning/walkers/learners.py", "tests/learning/test_learners.py",
                ("a checkpoint does not know its data", "list({id(p): p for p in listed}.values())", "[]"))
BUGS += bugs_of("learning/walkers/minibatch_kernels.py", "tests/learning/test_learners.py",
                ("all walkers share each minibatch", "words_of(walker, MINIBATCH, j // 4, step, seed)",
                 "words_of(0, MINIBATCH, j // 4, step, seed)"))
BUGS += bugs_of("learning/problem.py", "tests/learning/test_learners.py tests/learning/test_problem.py",
                ("the cross-entropy's slope forgets its label", "slope[:, rows, self._labels[members]] -= "
                 "1.0", "slope[:, rows, self._labels[members]] -= 0.5"))
BUGS += bugs_of("learning/models.py", "tests/learning/test_experiments.py",
                ("a reduced time is multiplied by the temperature", "* h).sum() / theta)",
                 "* h).sum() * theta)"))
BUGS += bugs_of("learning/factorisation.py", "tests/learning/test_problem.py",
             ("repeated equations count as independent", "found += a != b", "found += 1"))
# ---- plotting ----
BUGS += bugs_of("plotting/rates.py", "tests/plotting",
                ("an Arrhenius line in ln on a log10 axis", "fit.log_rate(1 / fine) / np.log(10)",
                 "fit.log_rate(1 / fine)"), ("error bars of differences are not in per cent",
                                             "yerr=100 * error[good]", "yerr=error[good]"))
BUGS += bugs_of(
    "plotting/learning.py", "tests/plotting",
    ("a figure draws t_mem as t_grok", 'right.axvline(story["t_grok"]', 'right.axvline(story["t_mem"]'),
    ("lines of the circle have the wrong step", "(a + step) % p", "(a + 1) % p"),
    ("two standard errors are drawn as one", '[2 * row["t_grok"].error if', '[row["t_grok"].error if'))
BUGS += bugs_of("plotting/drawing.py",
                "tests/plotting", ("a relaxation on linear axes", 'below.set(xscale="log", yscale="log"',
                                   'below.set(xscale="log"'),
                ("a band of one standard error instead of two", "values - 2 * error", "values - error"))
BUGS += bugs_of("plotting/fields.py", "tests/plotting",
                ("a map with its axes exchanged", "picture = axes.pcolormesh(*grid.edges, values.T,",
                 "picture = axes.pcolormesh(*grid.edges, values.T[::-1],"))
# ---- core and potentials ----
BUGS += bugs_of("core/networks.py", "tests/rates/test_network.py",
             ("an elimination forgets the waiting time", "np.logaddexp(w[later], share + w[e])", "w[later]"))
BUGS += bugs_of("core/logarithms.py", "tests/fokker_planck/discretisation",
             ("the Bernoulli function with the wrong sign", "- np.maximum(d, 0))", "- np.maximum(-d, 0))"))
BUGS += bugs_of("core/checks.py", "tests/test_bad_input.py",
             ("zero counts as positive", "if positive and value <= 0", "if positive and value < 0"))
BUGS += bugs_of("potentials/diffusion.py", "tests/potentials/test_diffusion.py",
                ("the noise-induced drift has the wrong sign", "self.at(t).theta * "
                 "self.mobility.divergence(flat)",
                 "-self.at(t).theta * self.mobility.divergence(flat)"))
BUGS += bugs_of("potentials/symbolic/derivatives.py", "tests/potentials/symbolic",
             ("the derivative of cos", 'case "cos": return -a[0]', 'case "cos": return a[0]'),
             ("the derivative of tanh", "return 1.0 - n * n", "return 1.0 - n"))
BUGS += bugs_of("potentials/regions/shapes.py", "tests/potentials/regions",
             ("half-spaces measure distance in units of their normal", "/ self._length + 0.0", "+ 0.0"))
BUGS += bugs_of("potentials/stationary/energy_path.py", "tests/potentials/stationary",
                ("a barrier from the highest image's own end", "- float(self.value[0])",
                 "- float(self.value[-1])"))
# ---- fokker_planck ----
BUGS += bugs_of("fokker_planck/extrapolation.py",
                "tests/fokker_planck/test_extrapolation.py tests/fokker_planck/test_laws.py",
                ("the stated error of rates and times is halved", "safety: tuple = (15.0, 10.0, 8.0)",
                 "safety: tuple = (7.5, 5.0, 4.0)"),
                ("the stated error of extrapolated rates is halved", "between_factor: float = 12.0",
                 "between_factor: float = 4.0"))
BUGS += bugs_of("fokker_planck/discretisation/edge_rules.py", "tests/fokker_planck/discretisation",
                ("Scharfetter and Gummel's edge with its ends exchanged", "log_bernoulli(Bb - Ba) - Ba",
                 "log_bernoulli(Bb - Ba) - Bb"), ("the harmonic mean without its factor", "np.log(2) - "
                                                  "np.logaddexp(Ba, Bb)", "-np.logaddexp(Ba, Bb)"))
BUGS += bugs_of("fokker_planck/currents.py", "tests/fokker_planck/test_currents.py",
             ("a free energy without the temperature", "+ theta * (P[at]", "+ (P[at]"))
BUGS += bugs_of("fokker_planck/spectrum/quasi_stationary.py",
                "tests/fokker_planck/spectrum/test_quasi_stationary.py",
                ("a quasi-stationary law without its eigenfunction", "* self.v\n", "\n"))
BUGS += bugs_of("fokker_planck/gibbs/region_masses.py",
                "tests/fokker_planck/gibbs tests/fokker_planck/test_fokker_planck.py",
                ("the error of cut cells is not stated", "float(parts.absolute_error.sum()) *", "0 *"))
# ---- langevin ----
BUGS += bugs_of("langevin/dynamics/schedule.py", "tests/langevin/dynamics",
             ("noise of half the variance", "np.sqrt(2 * theta * dt)", "np.sqrt(theta * dt)"))
BUGS += bugs_of("langevin/dynamics/step_kernels.py", "tests/langevin/dynamics",
             ("Leimkuhler and Matthews' noise is doubled", "0.5 * sigma * spread[i]", "sigma * spread[i]"),
             ("Heun's drift is doubled", "a, b = 0.5 * dt * rate[i]", "a, b = dt * rate[i]"))
BUGS += bugs_of("langevin/dynamics/underdamped_kernels.py", "tests/langevin/dynamics",
                ("velocities are not kept in equilibrium", "math.sqrt(theta * (1.0 - c * c))",
                 "math.sqrt(theta * (1.0 - c))"))
BUGS += bugs_of("langevin/dynamics/metropolis_kernels.py",
                "tests/langevin/dynamics tests/langevin/averages/test_sample.py",
                ("Metropolis' test at half the height", "-(h[j] - f[j]) / theta",
                 "-0.5 * (h[j] - f[j]) / theta"))
BUGS += bugs_of("langevin/first_passage/fleming_viot.py", "tests/langevin/first_passage/test_rare_events.py",
             ("Fleming-Viot's bias is dropped", "bias = BIAS / n_walkers * value", "bias = 0.0"))
BUGS += bugs_of("langevin/averages/tally.py", "tests/langevin/averages/test_tally.py",
                ("the factor of unsaved time is inverted", "* n_full * length / self.n_saved",
                 "/ n_full / length * self.n_saved"))
BUGS += bugs_of("langevin/averages/sample.py", "tests/langevin/averages/test_sample.py",
             ("the correction in dt is not part of the error", ") + abs(correction)", ")"))
BUGS += bugs_of("langevin/first_passage/results.py", "tests/langevin/first_passage/test_rare_events.py "
                "tests/langevin/first_passage/test_exit_time.py",
                ("intervals of few events are normal", "shape = min(shape, n_events)", "pass"),
                ("the extrapolation's shift is left out of the interval",
                 "factor * (a.value - a.interval[0])) + abs(shift)", "factor * (a.value - a.interval[0]))"),
                ("a rate's interval is that of the time", "1 / self.interval[1], (1 / self.interval[0]",
                 "self.interval[1], (1 / self.interval[0]"))
# ---- landscapes ----
BUGS += bugs_of("landscapes/analysis/kinetics.py", "tests/landscapes/analysis/test_kinetics.py",
             ("decade errors of landscape rates are halved", "\nSAFETY = 2.0", "\nSAFETY = 1.0"))
BUGS += bugs_of("landscapes/surface/harmonic.py", "tests/landscapes/surface",
             ("theta/2 log det is taken as theta log det", "- fit.log_det / 2)", "- fit.log_det)"))
BUGS += bugs_of("landscapes/analysis/thermodynamics.py",
                "tests/landscapes/analysis/test_kinetics.py tests/landscapes/analysis/test_analyse.py",
                ("theta/2 log det across the plane is taken as theta", "theta / 2 * land.logdet_perp",
                 "theta * land.logdet_perp"), ("the entropy of a well without the temperature",
                                               "(energy - free) / thetas[:, None]", "(energy - free)"))
BUGS += bugs_of("landscapes/analysis/temperature.py", "tests/landscapes/analysis/test_temperature.py",
                ("the temperature of SGD is doubled", "scale = lr * share / (2 * (1 - momentum))",
                 "scale = lr * share / (1 - momentum)"),
                ("equipartition is doubled", ".sum(axis=1) / w.shape[1]", ".sum(axis=1) / w.shape[1] * 2"),
                ("the error of equipartition is halved", "float(2 * means.std(ddof=1)",
                 "float(means.std(ddof=1)"))
BUGS += bugs_of("landscapes/analysis/network.py", "tests/landscapes/analysis/test_network.py",
             ("rates of cores without their masses", "return self.log_capacity - self.log_mass[:, None]",
              "return self.log_capacity - self.log_mass[None, :]"))
BUGS += bugs_of("landscapes/surface/merge_tree.py", "tests/landscapes/surface",
             ("persistence is the height of the pass", "else self.death - self.minimum", "else self.death"))
BUGS += bugs_of("landscapes/analysis/dynamics.py", "tests/landscapes/analysis",
             ("the metric is not inverted", "np.linalg.inv(land.gram)", "np.asarray(land.gram)"))


def planted(bug, root=ROOT):
    """The text of the file with the bug in it; a sentence when the snippet is not there once."""
    text = (root / bug.path).read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.path} holds {bug.old!r} {text.count(bug.old)} times, expected once: "
                         f"{bug.what}")
    return text.replace(bug.old, bug.new)


def outcome(bug, folder):
    """noticed, missed or broken (no test could run, or it fails without the bug too), and what was said; in a
    copy of the project that is left as it was."""
    path = folder / bug.path
    before = path.read_text(encoding="utf-8")
    path.write_text(planted(bug, folder), encoding="utf-8")
    try:
        code, said = tested(folder, bug.tests.split())
    finally:
        path.write_text(before, encoding="utf-8")
    word = {0: "missed", 1: "noticed", 2: "noticed"}.get(code, "broken")
    test = said.split(" - ")[0].partition(" ")[2]
    if word == "noticed" and "::" in test and tested(folder, [test])[0] != 0:
        word, said = "broken", f"without the bug too: {said}"
    return word, said


def tested(folder, tests):
    """Exit code of pytest, and its first complaint."""
    try:
        done = subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
                              cwd=folder,
                              env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
                                                "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return 1, "the tests hang"
    lines = done.stdout.strip().splitlines() or [""]
    return done.returncode, next((x for x in lines if x.startswith(("FAILED", "ERROR"))), lines[-1])


def measure(quick=False, bugs=None, n_workers=2, shown=None):
    """One row a bug."""
    bugs = BUGS if bugs is None else bugs
    for bug in bugs:
        planted(bug)
    with tempfile.TemporaryDirectory() as base:
        folders = []
        for k in range(n_workers):
            folders.append(Path(base) / f"copy{k}")
            folders[-1].mkdir()
            for source in (ROOT / name for name in COPIED):
                (shutil.copytree if source.is_dir() else shutil.copy)(source, folders[-1] / source.name)
        free = list(folders)

        def one(bug):
            folder, started = free.pop(), time.perf_counter()
            try:
                word, said = outcome(bug, folder)
            finally:
                free.append(folder)
            row = {"package": bug.path.split("/")[1], "bug": bug.what, "outcome": word, "by": said[:90],
                   "explained": bug.explained, "seconds": time.perf_counter() - started}
            if shown is not None:
                shown(row)
            return row
        with ThreadPoolExecutor(n_workers) as pool:
            return list(pool.map(one, bugs))


def judge(rows):
    """The rule of CRITERION."""
    missed = [r for r in rows if r["outcome"] != "noticed"]
    table = Table.of(rows, {"package": "package", "bug": "bug", "outcome": "outcome", "by": "by"})
    sentences = [f"{r['package']}: {r['outcome']}: {r['bug']}" for r in missed if not r["explained"]]
    if len(rows) < LEAST:
        sentences.insert(0, f"only {len(rows)} bugs were planted, {LEAST} are asked for")
    if rows and len(missed) > (1 - NOTICED) * len(rows):
        sentences.insert(0, f"{len(rows) - len(missed)} of {len(rows)} bugs were noticed, "
                         f"{100 * NOTICED:.0f} % are asked for")
    return ruled(globals(), table, sentences, f"{len(rows) - len(missed)} of {len(rows)} planted bugs were "
                 "noticed" + "".join(f"; {r['bug']}: {r['explained']}" for r in missed), {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    rows = copy.deepcopy(rows)
    for r in rows[:len(rows) // 10 + 1]:
        r["outcome"] = "missed"
    return rows


def main(words):
    """The command of the first lines of this file."""
    if "--check" in words:
        for bug in BUGS:
            try:
                planted(bug)
            except (ValueError, OSError) as error:
                print(error)
        return 0
    chosen = [b for b in BUGS if any(w in b.path or w in b.what for w in words)] if words else BUGS
    verdict = judge(measure(bugs=chosen, shown=lambda r: print(
        f"{r['outcome']:8} {r['seconds']:6.1f} s  {r['package']}: {r['bug']}  {r['by']}", flush=True)))
    print(verdict)
    return int(verdict.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
