"""What the claims of the talk share: experiments that are run once a process, verdicts, and pieces of
figures.

Source of the claims: S. V. Kozyrev, "Learning theory as physics" (talk); Kozyrev, Lopatin, Pechen, Entropy
26, 1090 (2024), arXiv:2412.10716; Kozyrev, arXiv:2412.18624. They hold no number of their own: each is put
into a computable form here, and may turn out false.
"""
from __future__ import annotations

from functools import cache

from .verdict import Verdict

TALK = "S. V. Kozyrev, Learning theory as physics"


def judged(module, table, outcome, reason, numbers=None):
    """Verdict of a claim module (its ``globals()``)."""
    return Verdict(module["CLAIM"], module["SOURCE"], module["CRITERION"], table, outcome, reason,
                   numbers or {})


@cache
def fractions_sweep(quick):
    """Times over training fractions and seeds: p = 31, 7 fractions, 5 seeds; quick p = 23, 5 fractions, 2
    seeds."""
    from fpkit.learning.sweep import sweep

    if quick:
        return sweep((0.8, 0.7, 0.6, 0.55, 0.5), n_seeds=2, n_steps=2500, modulus=23, width=64)
    return sweep((0.8, 0.7, 0.6, 0.5, 0.45, 0.425, 0.4), n_seeds=5, n_steps=8000)


@cache
def setting_sweeps(quick):
    """Times when ONE setting is varied at fraction .5 (quick: p = 23, fraction .6): learning rate, decay,
    scale of the start, width."""
    from fpkit.learning.sweep import sweep

    values = {"learning_rate": (0.001, 0.002, 0.004, 0.008), "weight_decay": (0.1, 0.3, 1.0, 3.0),
              "scale": (0.25, 0.5, 1.0, 2.0), "width": (48, 96, 192)}
    if quick:
        return {name: sweep(v[1:3], vary=name, n_seeds=1, n_steps=1500, modulus=23, width=64, fraction=0.6)
                for name, v in values.items()}
    return {name: sweep(v, vary=name, n_seeds=3, n_steps=3000) for name, v in values.items()}


@cache
def found_solutions(quick):
    """Memorising and generalising hypotheses: p = 13, width 64, three seeds; quick p = 11, width 32, one
    seed."""
    from fpkit.learning.solutions import solutions

    return [solutions(11, 32, 0.75, 0, polish=1500)] if quick else [solutions(seed=seed) for seed in range(3)]


@cache
def walks(quick):
    """SGLD from both, with and without L2: five conditions, three seeds, learning rate .02; quick: one seed,
    a short time."""
    from fpkit.learning import solutions

    if quick:
        return solutions.walks([(l2, theta, 3000) for l2, theta, _ in solutions.CONDITIONS], (0,), modulus=11,
                               width=32, fraction=0.75)
    return solutions.walks(n_processes=2)


@cache
def ravines(quick):
    """Model A on a flat floor: L = 1, 2, 4, 8 with 3000 paths each; quick L = 1, 2 with 300."""
    from fpkit.learning.models import ravine

    return ravine((1.0, 2.0), n_paths=300) if quick else ravine()


@cache
def chambers(quick):
    """Model B: seven sample sizes with 1000 paths each; quick three with 200."""
    from fpkit.learning.models import chamber

    return chamber((6, 9, 12), n_paths=200) if quick else chamber()


LONG_ENOUGH = 2000.0  # time of a walk (learning rate x steps) below which nothing is concluded


def too_short(found):
    """Reason not to conclude from walks that are too short (the quick form's), or None."""
    return (None if found["time"] >= LONG_ENOUGH else f"the walks of this form last a time of "
            f"{found['time']:g}, too short to tell; run the full form")


def z_score(estimate, exact):
    """Distance of a path average from the exact value in standard errors."""
    return (float(estimate) - float(exact)) / estimate.error
