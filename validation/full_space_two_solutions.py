"""The loop closed for one network: free energies in the whole space, a plane through its two solutions, the
passes between them, and SGLD that goes from one to the other."""
from __future__ import annotations

import copy
import os
import tempfile

from ._learning import TALK, abstaining, judged
from .verdict import Table, formed

SLOW = True                                            # a minute; the rule is pinned by numbers in the tests
CLAIM = ("Free energies in the whole space give the balance of SGLD between two solutions, and with the pass "
         "between them its passage times; the plane through the solutions gives neither.")
SOURCE = (f"{TALK}, equation (3); H. Eyring, J. Chem. Phys. 3, 107 (1935); two tanh units on a noisy "
          "exclusive or (9 parameters).")
CRITERION = ("k_AB/k_BA of SGLD against exp((F_A - F_B)/theta), F inside the basins of descent: within two "
             "standard errors and the stated error of F at each temperature; passage times against "
             "Eyring-Kramers over all passes with the free energy of the well: within 50 % or two standard "
             "errors. Holds when both do, conditional when the balance does, else not supported. At least 10 "
             "passages each way.")
RATE, EVERY, ARRIVED, LEAST = 0.1, 400, 3, 10      # learning rate, steps between looks, looks in a row


def sgld_rates(V, theta, A, B, n_walkers, n_steps, seed):
    """Passages per time of SGLD from copies of A to copies of B and back: rates, counts, and how many fell to
    another minimum on the way. A passage is over when the walker falls to the other kind at `ARRIVED` looks
    in a row, and has begun when it last fell to its own."""
    import numpy as np

    import fpkit as fp

    from ._two_solutions import kinds_of

    starts = np.repeat([A, B], n_walkers // 2, axis=0)
    run = fp.simulate(V, theta, starts, RATE, n_steps, seed=seed, save_every=EVERY, progress=False)
    kinds = kinds_of(run.paths.reshape(-1, 9), A, B).reshape(run.paths.shape[:2])
    time_in, count, around = np.zeros(2), np.zeros(2), np.zeros(2)
    for walker in kinds:
        state, run_of, last, was_elsewhere = int(walker[0]), 0, walker[0], False
        for k in walker[1:]:
            time_in[state] += EVERY * RATE
            run_of = run_of + 1 if k == last else 1
            last = k
            was_elsewhere = k != state and (was_elsewhere or k == 2)
            if k == 1 - state and run_of >= ARRIVED:
                count[state] += 1
                around[state] += was_elsewhere
                state, was_elsewhere = int(k), False
    return count / time_in, count, around


def plane_report(A, ends, thetas, n):
    """Analysis of the plane through A, the nearest B and the next one."""
    import fpkit as fp

    from ._two_solutions import loss_and_gradient

    plane = fp.Plane.through(A, ends[0], ends[1])
    with tempfile.TemporaryDirectory() as folder:
        land = fp.export_landscape(os.path.join(folder, "plane.h5"),
                                   lambda w: float(loss_and_gradient(w[None])[0][0]), plane,
                                   x=(*plane.box()[0], n), y=(*plane.box()[1], n), progress=False)
    return fp.analyse(land, theta=thetas, n_paths=2, progress=False)


def measure(quick=False):
    import numpy as np

    import fpkit as fp

    from . import _two_solutions as two

    steps = {0.016: 20_000} if quick else {0.01: 400_000, 0.013: 120_000, 0.016: 60_000}
    thetas = tuple(steps)
    A, ends = two.solutions()
    B = ends[0]
    V = two.compiled()
    report = plane_report(A, ends, thetas, 25 if quick else 61)
    walls = {name: two.inside_well(A, B, place) for name, place in (("A", 0), ("B", 8))}
    found = fp.compare_solutions(V, {"A": A, "B": B}, thetas, against_plane=report, inside=walls,
                                 progress=False)
    E_a, E_b = two.loss_and_gradient(np.stack([A, B]))[0]
    curvatures = [np.linalg.eigvalsh(two.hessian(x)) for x in (A, B)]
    ways = [direct(two, A, B, s) for s in two.passes(A, ends[:4] if quick else ends)]
    ways = [s for s, is_direct in ways if is_direct]
    wells = {name: well for name, _, well in report.solutions}
    rows = []
    for i, theta in enumerate(thetas):
        nats, F = found.nats("A", "B", theta), found.wells[i]
        k, n, around = sgld_rates(V, theta, A, B, 64, steps[theta], 1 + i)
        eyring = [sum(float(np.exp(-(s - E) / theta)) * abs(e[0]) / (2 * np.pi)
                      * np.sqrt(h.prod() / abs(e.prod())) for _, s, e in ways)
                  for E, h in ((E_a, curvatures[0]), (E_b, curvatures[1]))]
        # the mass of the well is exp(-F/theta), not the parabola's
        better = [r * float(np.exp(w.inputs["nats"] - w.inputs["harmonic"])) for r, w in zip(eyring, F)]
        rates = report.rates_at(theta)
        inside = [wells[name] for name in ("A", "B")]
        at = [list(rates.wells).index(w) if w in rates.wells else None for w in inside]
        has_plane = None not in at and at[0] != at[1]
        rows.append({"theta": theta, "barrier": (ways[0][1] - E_a) / theta if ways else None,
                     "plane_barrier": float(rates.barrier[at[0], at[1]]) / theta if has_plane else None,
                     "balance": float(np.log(k[0] / k[1])) if n.all() else None,
                     "balance_error": float(np.sqrt((1 / n).sum())) if n.all() else None,
                     "whole": nats["whole"], "whole_error": nats["error"], "harmonic": nats["harmonic"],
                     "plane": nats["plane"], "n_ab": int(n[0]), "n_ba": int(n[1]),
                     "around": float(around[0] / n[0]) if n[0] else None,
                     "time": float(1 / k[0]) if n[0] else None,
                     "time_error": float(1 / k[0] / np.sqrt(n[0])) if n[0] else None,
                     "eyring_time": 1 / eyring[0] if ways else None,
                     "better_time": 1 / better[0] if ways else None,
                     "plane_time": 10 ** float(rates.log10_mfpt[at[0], at[1]]) if has_plane else None})
    return {"rows": rows, "n_ways": len(ways)}


def direct(two, A, B, saddle):
    """The saddle, and whether A (itself) lies on one side of it and a copy of B on the other."""
    import numpy as np

    x = saddle[0]
    v = 0.1 * np.linalg.eigh(two.hessian(x))[1][:, 0]
    ends = np.stack([two.minimum(x + v), two.minimum(x - v)])
    kinds = sorted(two.kinds_of(ends, A, B))
    return saddle, kinds == [0, 1] and np.linalg.norm(ends - A, axis=1).min() < 1e-2


@abstaining("theta", "balance", "balance_error", "time", "time_error")
def judge(found):
    rows = found["rows"]
    columns = {"theta": "theta", "balance": "log k_AB/k_BA: SGLD", "balance_error": "+-",
               "whole": "(F_A-F_B)/theta", "whole_error": "+- ", "harmonic": "harmonic", "plane": "plane",
               "time": "time A to B: SGLD", "time_error": "+-  ", "better_time": "pass and F",
               "eyring_time": "harmonic ", "plane_time": "plane ", "barrier": "barrier/theta",
               "plane_barrier": "on the plane"}
    table = Table.of(rows, columns)
    few = [r for r in rows if min(r["n_ab"], r["n_ba"]) < LEAST]
    if few:
        return judged(globals(), table, "not measured", f"at theta {few[0]['theta']:g} there were "
                      f"{few[0]['n_ab']} passages to B and {few[0]['n_ba']} back: too few to conclude")
    told = [r for r in rows if r["whole"] is not None and r["whole"] == r["whole"]]
    if not told:
        return judged(globals(), table, "not measured", "the free energies were refused: there are no wells "
                      "at these temperatures")
    off = [abs(r["balance"] - r["whole"]) / (2 * r["balance_error"] + r["whole_error"]) for r in told]
    late = [abs(r["time"] - r["better_time"]) / max(2 * r["time_error"], 0.5 * r["time"]) for r in told]
    reasons = reasons_of(told, found["n_ways"])
    outcome = ("not supported" if max(off) > 1 else "holds" if max(late) <= 1 else "conditional")
    return judged(globals(), table, outcome, reasons)


def reasons_of(rows, n_ways):
    """Each way beside SGLD, and why it differs."""
    last = rows[-1]
    ratio = lambda name: ("-" if last[name] is None else f"{last[name] / last['time']:.2f}")
    text = (f"at theta {last['theta']:g} SGLD's balance is {last['balance']:.2f} +- "
            f"{last['balance_error']:.2f} nats, the whole space says {last['whole']:.2f} +- "
            f"{last['whole_error']:.2f}, harmonic {last['harmonic']:.2f} (the wells are no parabolas), the "
            f"plane {last['plane']:.2f} (it weighs two of nine directions). Times over SGLD's: {n_ways} "
            f"pass(es) with F {ratio('better_time')} ({100 * last['around']:.0f} % of SGLD's passages go by "
            f"way of other minima, which it does not count, and the pass is taken as a parabola), "
            f"harmonic {ratio('eyring_time')}, plane {ratio('plane_time')}")
    if last["plane_barrier"] is None:
        return text + " (the plane shows no two wells)"
    return text + (f" (its barrier is {last['plane_barrier']:.1f} theta, the pass in the whole space "
                   f"{last['barrier']:.1f}: the pass does not lie in the plane)")


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    """The other solution preferred."""
    found = copy.deepcopy(found)
    for r in found["rows"]:
        r["balance"] = -r["balance"] + 3 if r["balance"] is not None else None
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, figure, key_below

    made, (left, right) = figure(1, 2, width=19, height=9)
    t = verdict.table
    beta = [1 / v for v in t.column("theta")]
    number = lambda name: [float("nan") if v is None else v for v in t.column(name)]
    left.errorbar(beta, number("log k_AB/k_BA: SGLD"), [2 * e for e in number("+-")], fmt="o",
                  color=COLOURS[0], markerfacecolor="none", capsize=3, label="SGLD ± 2 s.e.")
    left.errorbar(beta, number("(F_A-F_B)/theta"), number("+- "), fmt="s", color=COLOURS[1], capsize=3,
                  label="whole space")
    right.errorbar(beta, number("time A to B: SGLD"), [2 * e for e in number("+-  ")], fmt="o",
                   color=COLOURS[0], markerfacecolor="none", capsize=3, label="SGLD ± 2 s.e.")
    for axes, names in ((left, ("harmonic", "plane")), (right, ("harmonic ", "plane ", "pass and F"))):
        for k, name in enumerate(names, 2):
            axes.plot(beta, number(name), marker="_", linestyle=("--", ":", "-.")[k - 2], color=COLOURS[k],
                      label=name.strip())
        axes.set_xlabel("β = 1/θ (1/loss)")
        key_below(axes, 2)
    left.set(ylabel="(F_A − F_B)/θ (nats)", title="Balance of two solutions")
    right.set(yscale="log", ylabel="mean time from A to B (weight²/loss)", title="Passage")
    return made
