"""Runs of many walkers that several claims judge, each made once a process: a + b mod 11 with 32 hidden
units, 91 of 121 pairs, full batch, half squared error, test accuracy .9 over 30 pairs, unless said."""
from __future__ import annotations

from functools import cache

import numpy as np

RATE, THETA, L2 = 0.08, 1e-4, 2e-4
SIZES = (109, 103, 97, 91, 85, 79)


def passages(conditions, splits=4, starts=4, **options):
    """`first_passages` of the network."""
    from fpkit.learning.walkers import addition, first_passages

    return first_passages(addition(), conditions, splits, starts, **options)


@cache
def temperatures(quick):
    """First passages over theta without L2, and the control without noise."""
    if quick:
        return passages([{"theta": t, "horizon": 1500.0} for t in (0.0, 6e-5, 1e-4, 1.5e-4)], 4, 1)
    from fpkit.learning.walkers.passages import joined

    hot = passages([{"theta": t, "horizon": 95_000.0} for t in (3e-5, 4.5e-5, 6e-5, 1e-4)])
    return joined([hot, passages([{"theta": 0.0, "horizon": 95_000.0}], 4, 2, seed=9)])


@cache
def confined(quick):
    """First passages over theta with L2, and L2 alone."""
    if quick:
        return passages([{"theta": t, "l2": L2, "horizon": 1500.0} for t in (0.0, 3e-5, 1e-4)], 4, 1)
    from fpkit.learning.walkers.passages import joined

    hot = passages([{"theta": t, "l2": L2, "horizon": 90_000.0} for t in (1e-5, 3e-5, 1e-4)])
    return joined([hot, passages([{"theta": 0.0, "l2": L2, "horizon": 90_000.0}], 4, 2, seed=9)])


@cache
def rates(quick):
    """First passages over the learning rate, without L2."""
    values = (0.08, 0.04) if quick else (0.08, 0.04, 0.016)
    return passages([{"theta": THETA, "learning_rate": a, "horizon": 600.0 if quick else 40_000.0}
                     for a in values], 4, 1 if quick else 4)


@cache
def widths(quick):
    """First passages over the width, without L2 and with it."""
    found = lambda l2, horizon: [{"theta": THETA, "l2": l2, "width": w, "horizon": horizon}
                                 for w in ((24, 48) if quick else (24, 32, 48, 64, 96))]
    if quick:
        return passages(found(0.0, 400.0) + found(L2, 400.0), 2, 1)
    from fpkit.learning.walkers.passages import joined

    return joined([passages(found(0.0, 12_000.0), 4, 1), passages(found(L2, 16_000.0), 4, 2)])


@cache
def passing_widths(quick):
    """First passages over the widths at which nearly all networks generalise, without L2."""
    return passages([{"theta": THETA, "width": w, "horizon": 600.0 if quick else 20_000.0}
                     for w in ((24, 32) if quick else (20, 24, 28, 32, 36, 40))], 4, 1 if quick else 4)


@cache
def controls(quick):
    """Walkers without noise, with more training pairs than elsewhere."""
    return passages([{"theta": 0.0, "n": n, "horizon": 600.0 if quick else 9000.0} for n in (103, 109)], 4,
                    1 if quick else 2, seed=9)


@cache
def scales(quick):
    """First passages over the scale of the start, without L2."""
    return passages([{"theta": THETA, "scale": s, "horizon": 600.0 if quick else 40_000.0}
                     for s in ((0.1, 1.5) if quick else (0.1, 0.3, 0.5, 1.0, 1.5))], 4, 1 if quick else 4)


@cache
def sizes(quick):
    """First passages over the sample size: SGLD without and with L2, and AdamW."""
    values = SIZES[:3] if quick else SIZES
    arms = ({"theta": THETA}, {"theta": 3e-5, "l2": L2},
            {"optimiser": "adamw", "learning_rate": 0.003, "l2": 1.0})
    horizons = (1200.0, 1200.0, 2000.0) if quick else (40_000.0, 40_000.0, 60_000.0)
    return passages([arm | {"n": n, "horizon": h} for arm, h in zip(arms, horizons) for n in values],
                    4 if quick else 8, 1 if quick else 2)


@cache
def walks(quick):
    """Displacements: from the start, and from the plateau at two temperatures and two widths."""
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.walkers import displacement

    found = {}
    cases = [("start", 32, THETA, 0.0), ("plateau", 32, THETA, 500.0), ("quiet", 32, 0.0, 500.0),
             ("wide", 64, THETA, 500.0)]
    for name, width, theta, origin in [("start", 16, THETA, 0.0), ("plateau", 16, THETA,
                                                                   100.0)] if quick else cases:
        n = 4 if quick or name == "wide" else 16
        problems = [ModularAddition(11, width, 91 / 121, k % 4) for k in range(n)]
        starts = np.array([p.start(seed=1000 + 100 * (k % 4) + k // 4) for k, p in enumerate(problems)])
        lags = np.geomspace(0.04, 60.0 if quick else 3000.0, 25 if quick else 40)
        found[name] = displacement(problems, starts, theta, origin, lags,
                                   n_resolved=0 if name in ("start", "quiet") else (4 if quick else 8))
    return found


@cache
def cuts(quick):
    """Nats by which one more pair cuts the zero-risk region, of memorising and of generalising walkers."""
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.walkers import learn
    from fpkit.learning.walkers.experiments import example_entropy

    rows = []
    for n in ((91,) if quick else (67, 79, 91, 103)):
        problems = [ModularAddition(11, 32, n / 121, split) for split in range(4 if quick else 8)]
        starts = np.array([p.start(seed=2000 + k) for k, p in enumerate(problems)])
        early = 400.0 if quick or n > 91 else 1000.0
        late = {79: 0.0, 91: 14_000.0, 103: 6000.0}.get(n, 0.0) * (not quick)
        for phase, time in (("memorising", early), ("generalising", late)):
            if not time:
                continue
            run = learn(problems, round(time / RATE), RATE, THETA, starts=starts, seed=5)
            for k, (problem, x) in enumerate(zip(problems, run.x)):
                scores = problem.scores(x)
                if (scores["test_acc"] > 0.5) if phase == "memorising" else (scores["test_acc"] < 0.8):
                    continue
                rows.append({"n": n, "phase": phase, "split": k,
                             **example_entropy(problem, x, THETA, settle=40.0 if quick else 480.0,
                                               measure=40.0 if quick else 400.0, seed=k)})
    return rows


@cache
def followed(quick):
    """Walkers followed long after they have generalised: test accuracy, norm, circle in the end."""
    from fpkit.learning.modular_addition import ModularAddition, circle
    from fpkit.learning.walkers import learn, persistence

    rows, curves = [], {}
    n = 4 if quick else 16
    problems = [ModularAddition(11, 32, 91 / 121, k % 4) for k in range(n)]
    starts = np.array([p.start(seed=1000 + 100 * (k % 4) + k // 4) for k, p in enumerate(problems)])
    wide = [ModularAddition(11, 64, 91 / 121, k % 4) for k in range(n)]
    arms = [("SGLD", problems, "sgld", RATE, THETA, 0.0, 400_000),
            ("SGLD with L2", problems, "sgld", RATE, THETA, L2, 400_000),
            ("SGLD with L2, colder", problems, "sgld", RATE, 3e-5, L2, 800_000),
            ("AdamW", problems, "adamw", 0.003, 0.0, 1.0, 20_000),
            ("SGLD, width 64, from generalised", wide, "sgld", RATE, THETA, 0.0, 200_000),
            ("SGLD with L2, width 64, from generalised", wide, "sgld", RATE, THETA, L2, 200_000)]
    for name, those, optimiser, rate, theta, l2, steps in arms[1:5:3] if quick else arms:
        x0 = starts if those is problems else learn(
            wide, 6000, 0.003, l2=1.0, optimiser="adamw", stop_at=1.0,
            starts=np.array([p.start(seed=1000 + k) for k, p in enumerate(wide)])).x
        run = learn(those, 4000 if quick else steps, rate, theta, l2, optimiser, starts=x0, check_every=25,
                    seed=7)
        kept = persistence(run)
        norm, memorised = run.history["norm"], run.steps[:, None] >= run.t_memorised
        for k, (problem, x) in enumerate(zip(those, run.x)):
            on = memorised[:, k] & np.isfinite(norm[:, k])
            rows.append({"arm": name, "split": k % 4, "t": float(run.passages[0.9][k]),
                         "followed": float(kept["followed"][k]), "late": float(kept["late"][k]),
                         "above": float(kept["above"][k]),
                         "share": circle(problem.embedding(x)).share,
                         "share_start": circle(problem.embedding(x0[k])).share,
                         "norm_start": float(norm[0, k]), "norm_mem": float(norm[on, k][0]) if on.any()
                         else np.nan,
                         "norm_most": float(norm[on, k].max()) if on.any() else np.nan,
                         "norm_end": float(norm[-1, k])})
        curves[name] = {"steps": run.steps.tolist(), **{q: run.history[q].mean(1).tolist()
                                                        for q in ("train_acc", "test_acc", "norm")}}
    return {"rows": rows, "curves": curves}


@cache
def minibatches(quick):
    """First passages with minibatch noise beside Gaussian noise, and the temperature of the former."""
    from fpkit.learning.curvature import noise_temperature
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.walkers import learn
    from fpkit.learning.walkers.passages import joined

    horizon = 600.0 if quick else 40_000.0
    gauss = [{"theta": t, "l2": L2, "horizon": horizon} for t in ((3e-5, 1e-4) if quick else (3e-5, 6e-5,
                                                                                              1e-4))]
    found = joined([passages(gauss, 4 if quick else 8, 1 if quick else 2),
                    passages([gauss[0] | {"batch": 2}], 4 if quick else 8, 1 if quick else 4, seed=3)])
    alone = passages([{"batch": 2, "l2": L2, "horizon": horizon}], 4, 1 if quick else 2, seed=5)
    # what the minibatches add to theta on the plateau, before anything generalises
    measured = {}
    problems = [ModularAddition(11, 32, 91 / 121, k) for k in range(4)]
    starts = np.array([p.start(seed=1000 + 100 * k) for k, p in enumerate(problems)])
    for theta, batch in ((3e-5, 2), (0.0, 2)):
        run = learn(problems, round((300 if quick else 1500) / RATE), RATE, theta, L2, batch=batch,
                    starts=starts, seed=11,
                    snapshots=[round(t / RATE) for t in ((300,) if quick else (500, 750, 1000, 1250, 1500))])
        measured[theta, batch] = float(np.mean(
            [noise_temperature(p, x.astype(float), batch, RATE) for places in run.snapshots
             for p, x in zip(problems, places)]))
    return {"passages": found, "alone": alone, "measured": measured}
