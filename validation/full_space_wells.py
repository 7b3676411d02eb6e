"""Free energies and learning coefficients of wells in the whole space, on wells whose values are known."""
from __future__ import annotations

import copy
import math
from statistics import median

from .verdict import Table, formed, ruled

CLAIM = ("well_free_energy and local_learning_coefficient come with errors that the true values keep: on "
         "parabolas, wells without curvature, rings, curved valleys, deep linear networks, factorised "
         "matrices and double wells with walls.")
SOURCE = ("D. Frenkel, A. J. C. Ladd, J. Chem. Phys. 81, 3188 (1984); C. H. Bennett, J. Comput. Phys. 22, "
          "245 (1976); exact values by quadrature.")
CRITERION = ("Of all answers at least 95 % (free energies) and 90 % (coefficients: two standard errors and "
             "half the gap) are within the stated error, of each problem's at least three in four, none is "
             "off by three times it; the stated error is below a nat, in the median below 20 times the true; "
             "at most a quarter of a problem's runs are refused. Each is judged only where 12 answers or "
             "more, or 4 of a problem, are there.")
INSIDE, INSIDE_COEFFICIENTS, OF_EACH, FARTHEST, IDLE, REFUSED = 0.95, 0.90, 0.75, 3.0, 20.0, 0.25
ENOUGH, ENOUGH_OF_EACH = 12, 4


def measure(quick=False, shown=None):
    """Rows of one problem each, with a list of its runs."""
    import fpkit as fp

    from . import _full_space_problems as problems

    rows = []
    chosen = problems.quick_problems() if quick else problems.all_problems()
    for p in chosen:
        runs = []
        for seed in range(2 if quick else 12):
            F = fp.well_free_energy(p["loss"], p["x0"], p["theta"], seed=seed, progress=False, **p["options"])
            i = F.inputs
            runs.append({"status": F.status, "off": i["nats"] - p["exact"], "stated": F.error / p["theta"],
                         "two_errors": 2 * i["standard_error"],
                         "coefficient_off": i["learning_coefficient"] - p["coefficient"],
                         "coefficient_stated": i["learning_coefficient_error"],
                         "gradients": i["n_gradients"], "harmonic_off": i["harmonic"] - p["exact"]})
        rows.append({"name": p["name"], "d": len(p["x0"]), "theta": p["theta"], "exact": p["exact"],
                     "coefficient": p["coefficient"], "runs": runs})
        if shown is not None:
            shown(summary(rows[-1]))
    return rows


def summary(row):
    """Bias, rms, stated error and shares of one problem."""
    good = [r for r in row["runs"] if r["status"] == "ok"]
    n = len(good)
    mean = lambda f: sum(map(f, good)) / n if n else math.nan
    return {"problem": row["name"], "d": row["d"], "theta": row["theta"],
            "harmonic": good[0]["harmonic_off"] if n else None, "bias": mean(lambda r: r["off"]),
            "rms": math.sqrt(mean(lambda r: r["off"]**2)) if n else math.nan,
            "stated": mean(lambda r: r["stated"]),
            "inside": mean(lambda r: abs(r["off"]) <= r["stated"]),
            "inside2": mean(lambda r: abs(r["off"]) <= r["two_errors"]), "coefficient": row["coefficient"],
            "c_bias": mean(lambda r: r["coefficient_off"]),
            "c_stated": mean(lambda r: r["coefficient_stated"]),
            "c_inside": mean(lambda r: abs(r["coefficient_off"]) <= r["coefficient_stated"]),
            "gradients": mean(lambda r: r["gradients"]) / 1000, "answers": n,
            "refused": len(row["runs"]) - n}


COLUMNS = {"problem": "problem", "d": "d", "theta": "theta", "harmonic": "harmonic - exact", "bias": "bias",
           "rms": "rms", "stated": "stated", "inside": "inside", "inside2": "in 2 se alone",
           "coefficient": "coefficient", "c_bias": "its bias", "c_stated": "its error",
           "c_inside": "its inside", "gradients": "1000 gradients", "answers": "answers",
           "refused": "refused"}


def judge(rows):
    """The rule of CRITERION."""
    table = [summary(r) for r in rows]
    answers = [dict(r, name=row["name"]) for row in rows for r in row["runs"] if r["status"] == "ok"]
    misses = []
    for what, off, stated, least in (("free energies", "off", "stated", INSIDE),
                                     ("coefficients", "coefficient_off", "coefficient_stated",
                                      INSIDE_COEFFICIENTS)):
        inside = [abs(r[off]) <= r[stated] for r in answers]
        if len(inside) >= ENOUGH and sum(inside) < least * len(inside):
            misses.append(f"{sum(inside)} of {len(inside)} {what} are within their stated errors")
        far = max(answers, key=lambda r: abs(r[off]) / r[stated], default=None)
        if far is not None and abs(far[off]) > FARTHEST * far[stated]:
            misses.append(f"{far['name']}: one of the {what} is off by {far[off]:.3g}, its error "
                          f"{far[stated]:.3g}")
    for s in table:
        if s["answers"] >= ENOUGH_OF_EACH and s["inside"] < OF_EACH:
            misses.append(f"{s['problem']}: {s['inside']:.2f} of the free energies are within their errors")
        if s["answers"] and s["stated"] > 1.0:
            misses.append(f"{s['problem']}: the stated error is {s['stated']:.2g} nats")
        if s["refused"] > REFUSED * (s["refused"] + s["answers"]):
            misses.append(f"{s['problem']}: {s['refused']} runs were refused")
    if not answers:
        misses.append("nothing was answered")
    elif (idle := median(r["stated"] / max(abs(r["off"]), 1e-12) for r in answers)) > IDLE:
        misses.append(f"the stated errors are idle: in the median {idle:.3g} times the true ones")
    inside = sum(abs(r["off"]) <= r["stated"] for r in answers)
    return ruled(globals(), Table.of(table, COLUMNS), misses,
                 f"{inside} of {len(answers)} free energies of {len(rows)} problems are within their errors",
                 {"ratios": [abs(r["off"]) / r["stated"] for r in answers],
                  "coefficient_ratios": [abs(r["coefficient_off"]) / r["coefficient_stated"]
                                         for r in answers]})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(rows):
    """Errors a fiftieth of what was stated."""
    rows = copy.deepcopy(rows)
    for row in rows:
        for r in row["runs"]:
            r["stated"] /= 50
    return rows


def figure(verdict):
    """Shares of the answers with a ratio of true to stated error below a value."""
    import numpy as np

    from fpkit.plotting import style

    made, (left, right) = style.figure(1, 2, width=22, height=10)
    for k, (name, label) in enumerate((("ratios", "free energies"), ("coefficient_ratios", "coefficients"))):
        r = np.sort(verdict.numbers[name])
        left.step(np.r_[1e-3, r], np.arange(len(r) + 1) / len(r), where="post", label=label,
                  **style.line_style(k) | {"marker": ""})
    left.axvline(1.0, color=style.INK, linewidth=1.0)
    left.set(xscale="log", xlim=(1e-2, 5), ylim=(0, 1.02), xlabel="true error / stated error",
             ylabel="share of the answers", title="Stated errors against true ones")
    left.legend(loc="upper left")
    t = verdict.table
    y = np.arange(len(t.rows))
    right.errorbar(t.column("bias"), y, xerr=t.column("stated"), fmt="none", ecolor=style.FAINT, capsize=2,
                   label="± stated error")
    right.errorbar(t.column("bias"), y, xerr=t.column("rms"), fmt="o", color=style.COLOURS[0],
                   markersize=3.5, linewidth=2, label="bias ± rms")
    right.axvline(0, color=style.INK, linewidth=0.8)
    right.set_yticks(y, [str(n)[:44] for n in t.column("problem")], fontsize=6)
    right.invert_yaxis()
    right.set(xlabel="nats off the exact free energy", title="Problem by problem")
    right.legend(fontsize=7)
    return made


if __name__ == "__main__":               # python -m validation.full_space_wells: each problem as it ends
    def told(s):
        print("  ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in s.values()), flush=True)
    print(judge(measure(shown=told)))
