"""fpkit learn: networks that memorise and generalise, the two models of grokking, and the talk's figures from
our own runs."""
from __future__ import annotations

import os

from .. import learning, plotting
from .common import command, print_json, scheduler_option, show


def add(commands):
    c = commands.add_parser("learn", help="learning as diffusion: grokking networks, its models, SGLD, the "
                            "talk's figures", description="Learning as diffusion: runs with your own "
                            "parameters. The claims and their verdicts: fpkit validate learning.")
    c.set_defaults(run=lambda arguments: c.print_help(), traceback=False)
    kinds = c.add_subparsers(title="what to run", metavar="WHAT")

    k = command(kinds, "grokking", _grokking, "train a network for addition modulo p and watch it memorise "
                "and generalise")
    _network(k, 31, 96, 0.5)
    _training(k, 8000)
    k.add_argument("--figure", help="picture of accuracies and norm (.png, .svg, .pdf)")

    k = command(kinds, "sweep", _sweep, "times of memorising and generalising over one varied setting and "
                "several seeds, with fitted laws")
    k.add_argument("--vary", default="fraction", help="fraction, learning_rate, weight_decay, scale or width "
                   "(default: fraction)")
    k.add_argument("--values", type=float, nargs="+", default=None,
                   help="values of it (default: fractions .8 .7 .6 .5 .45 .425 .4)")
    k.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    scheduler_option(k)
    _network(k, 31, 96, 0.5, seed=False)
    _training(k, 8000)
    k.add_argument("--quick", action="store_true", help="p = 23, two seeds, five fractions: seconds")
    k.add_argument("--figure", help="picture of all runs")

    k = command(kinds, "sgld", _sgld, "SGLD of a network from its memorising or generalising solution")
    _network(k, 13, 64, 0.7)
    k.add_argument("--start", choices=("memorised", "generalised", "random"), default="memorised",
                   help="where it starts (default: memorised)")
    k.add_argument("--theta", type=float, default=3e-5, help="temperature (default: 3e-5)")
    k.add_argument("--l2", type=float, default=2e-4, help="confinement (default: 2e-4); 0 has no Gibbs "
                   "density")
    k.add_argument("--rate", type=float, default=0.02, help="learning rate (default: .02)")
    k.add_argument("--steps", type=int, default=20_000, help="steps (default: 20000)")
    k.add_argument("--paths", type=int, default=1, help="walkers (default: 1)")
    k.add_argument("--batch", type=int, help="minibatch (default: the whole training sample)")
    k.add_argument("--checkpoint", help="file for the state; an existing one of the same run is resumed")
    k.add_argument("--figure", help="picture of risks, accuracy, norm and displacement")

    for name, text in (("ravine", "model A: drift down to the floor of a ravine, then a walk along it"),
                       ("drift", "the same as ravine")):
        k = command(kinds, name, _ravine, text)
        k.add_argument("--lengths", type=float, nargs="+", default=[1.0, 2.0, 4.0],
                       help="lengths L (default: 1 2 4)")
        k.add_argument("--theta", type=float, default=0.01, help="temperature (default: .01)")
        k.add_argument("--slope", type=float, default=1.0, help="g (default: 1)")
        k.add_argument("--width", type=float, default=0.3, help="w0 (default: .3)")
        k.add_argument("--kappa", type=float, default=0.0, help="growth rate of the width along the floor "
                       "(default: 0)")
        _paths(k)

    k = command(kinds, "chamber", _chamber, "model B: a chamber that each training example makes smaller")
    k.add_argument("--samples", type=int, nargs="+", default=[4, 6, 8, 10, 12],
                   help="sample sizes (default: 4 6 8 10 12)")
    k.add_argument("--entropy", type=float, default=5.0, help="nats of the empty chamber (default: 5)")
    k.add_argument("--per-sample", type=float, default=0.5, help="nats that each example cuts (default: .5)")
    k.add_argument("--theta", type=float, default=0.05, help="temperature (default: .05)")
    _paths(k)

    k = command(kinds, "entropy", _entropy, "Hessian spectra and harmonic entropies of the memorising and "
                "the generalising solution")
    _network(k, 13, 64, 0.7)
    k.add_argument("--l2", type=float, nargs="+", default=[1e-5, 1e-4, 1e-3],
                   help="confinements (default: 1e-5 1e-4 1e-3)")

    k = command(kinds, "figures", _figures, "the talk's Figures 1 to 4 from our own runs")
    k.add_argument("-o", "--output", default="figures", help="folder (default: figures)")
    k.add_argument("--quick", action="store_true", help="smaller networks: under a minute")
    k.add_argument("--only", type=int, nargs="+", choices=(1, 2, 3, 4), default=[1, 2, 3, 4],
                   help="which figures (default: all)")
    k.add_argument("--format", choices=("png", "svg", "pdf"), default="png",
                   help="file format (default: png)")


def _network(c, modulus, width, fraction, seed=True):
    c.add_argument("--modulus", type=int, default=modulus, help=f"p of a + b mod p (default: {modulus})")
    c.add_argument("--hidden", type=int, default=width, help=f"hidden units (default: {width})")
    c.add_argument("--fraction", type=float, default=fraction,
                   help=f"share of the pairs in the training sample (default: {fraction})")
    if seed:
        c.add_argument("--seed", type=int, default=0, help="seed of split and start (default: 0)")


def _training(c, steps):
    c.add_argument("--steps", type=int, default=steps, help=f"most optimiser steps (default: {steps})")
    c.add_argument("--rate", type=float, default=0.003, help="learning rate of AdamW (default: .003)")
    c.add_argument("--decay", type=float, default=1.0, help="weight decay (default: 1)")


def _paths(c):
    c.add_argument("--paths", type=int, default=600, help="paths for each time (default: 600)")
    c.add_argument("--seed", type=int, default=1, help="seed (default: 1)")
    c.add_argument("--figure", help="picture beside the exact times")


def _setting(arguments):
    return arguments.modulus, arguments.hidden, arguments.fraction, arguments.seed


def _grokking(arguments):
    problem = learning.ModularAddition(*_setting(arguments))
    run = learning.train(problem, arguments.steps, arguments.rate, arguments.decay,
                stop_after=max(200, arguments.steps // 10))
    share = learning.circle(problem.embedding(run.x)).share
    facts = {"t_memorised": run.t_memorised, "t_grokked": run.t_grokked, "recipe": run.recipe,
             "frequency_share": share, "steps": run.steps, **run.history}
    show(run, arguments, facts, [f"share of each unit's best frequency {share:.2f} (1: every unit is a "
                                  f"circle), norm {run.history['norm'][-1]:.4g}"])


def _sweep(arguments):
    setting = dict(n_seeds=arguments.seeds, n_steps=arguments.steps, modulus=arguments.modulus,
                   width=arguments.hidden)
    values = arguments.values
    if arguments.vary == "fraction":
        values = values or [0.8, 0.7, 0.6, 0.5, 0.45, 0.425, 0.4]
    elif values is None:
        raise ValueError(f"give the --values of {arguments.vary} to try.")
    if arguments.quick:
        setting = {k: learning.QUICK[k] for k in ("n_seeds", "n_steps", "modulus", "width")}
        values = arguments.values or (learning.QUICK["fractions"] if arguments.vary == "fraction" else values)
    fixed = {"fraction": arguments.fraction, "learning_rate": arguments.rate, "weight_decay": arguments.decay}
    found = learning.sweep.sweep(values, arguments.vary, **setting, executor=arguments.executor,
                                 **{k: v for k, v in fixed.items() if k != arguments.vary})
    laws = learning.fit_laws(found, 100) if arguments.vary == "fraction" and len(values) > 3 else {}
    better = min(laws.values(), key=lambda law: law.aic) if laws else None
    extra = [*laws.values(), f"claim 7 (exponential in the fraction): the {better.name} law fits better "
             "here" if better else ""]
    if better is None:
        extra = [f"exponent of t_grok against t_mem: {found.exponent():.2f} (claim 5 asks for 2)"]
    show(found, arguments, {**found.to_dict(), "laws": {name: vars(law) for name, law in laws.items()}},
          extra)


def _sgld(arguments):
    problem = learning.ModularAddition(*_setting(arguments))
    if arguments.start == "random":
        x0 = problem.start()
    else:
        found = learning.solutions.solutions(*_setting(arguments))
        x0 = found.memorised if arguments.start == "memorised" else found.generalised
    run = learning.sgld.sgld(problem, arguments.theta, x0, arguments.rate, arguments.steps, l2=arguments.l2,
               batch=arguments.batch, n_paths=arguments.paths, record_every=max(1, arguments.steps // 100),
               seed=arguments.seed + 1, checkpoint=arguments.checkpoint)
    note = [] if arguments.l2 else ["no confinement: the zero-risk set is unbounded and there is no Gibbs "
                                    "density (claim 16)"]
    facts = {"theta": run.theta, "l2": run.l2, "learning_rate": run.learning_rate, "curvature": run.curvature,
             "noise_temperature": run.noise_temperature, "status": run.status, "steps": run.steps}
    show(run, arguments, facts | run.history, note)


def _ravine(arguments):
    table = learning.ravine(arguments.lengths, arguments.kappa, arguments.slope, arguments.width,
                            arguments.theta, arguments.paths, seed=arguments.seed)
    extra = []
    if len(arguments.lengths) > 1:
        extra = [f"exponents of t_mem and t_grok: {table.exponent('t_mem', 'length')}, "
                 f"{table.exponent('t_grok', 'length')} (claim 4, in the model: 1 and 2)"]
    show(table, arguments, table, extra)


def _chamber(arguments):
    table = learning.chamber(arguments.samples, arguments.entropy, arguments.per_sample,
                             theta=arguments.theta, n_paths=arguments.paths, seed=arguments.seed)
    show(table, arguments, table)


def _entropy(arguments):
    found = learning.solutions.solutions(*_setting(arguments))
    M, G = learning.spectrum(found.problem, found.memorised), learning.spectrum(found.problem,
                                                                                found.generalised)
    differences = {f"{l2:g}": G.harmonic_entropy(l2) - M.harmonic_entropy(l2) for l2 in arguments.l2}
    if arguments.json:
        print_json({"trace": {"M": M.trace, "G": G.trace},
                    "largest": {"M": M.eigenvalues[-1], "G": G.eigenvalues[-1]},
                    "entropy_difference": differences})
        return
    print(f"{found}\nM: {M}\nG: {G}")
    for l2, difference in differences.items():
        print(f"harmonic entropy S_G - S_M at L2 {l2}: {difference:.0f} nats (claim 8; the local width, not "
              "the size of the zero-risk set)")


def _figures(arguments):
    os.makedirs(arguments.output, exist_ok=True)
    files = []
    for number in dict.fromkeys(arguments.only):
        files.append(plotting.talk_figure(number, learning.figure_data(number, arguments.quick),
                                 os.path.join(arguments.output, f"figure{number}.{arguments.format}")))
        if not arguments.json:
            print(files[-1], flush=True)
    if arguments.json:
        print_json({"figures": files})
