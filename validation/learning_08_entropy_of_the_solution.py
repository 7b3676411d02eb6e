"""Talk, claim 8: the generalising solution lies in a region of high entropy."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, found_solutions, judged
from .verdict import Table

CLAIM = ("Of two hypotheses that fit the training sample, the generalising one lies where the entropy is "
         "higher.")
SOURCE = f"{TALK}, \"the correct solution (structure) most likely lies in the high-entropy region\"."
CRITERION = ("Harmonic entropy -(1/2) sum log(lambda + L2) from the full Hessian spectrum, at L2 = 1e-5 and "
             "1e-3: S_G - S_M positive for every seed. It is the local width, not the size of the zero-risk "
             "set.")
L2 = (1e-5, 1e-3)


def measure(quick=False):
    from fpkit.learning.curvature import spectrum

    rows = []
    for k, s in enumerate(found_solutions(quick)):
        M, G = spectrum(s.problem, s.memorised), spectrum(s.problem, s.generalised)
        rows.append({"seed": k, "n_params": s.problem.n_params, "trace_M": M.trace,
                     "trace_G": G.trace, "largest_M": float(M.eigenvalues[-1]),
                     "largest_G": float(G.eigenvalues[-1]), "norm_M": float(np.linalg.norm(s.memorised)),
                     "norm_G": float(np.linalg.norm(s.generalised)), "soft": G.harmonic_entropy(L2[0])
                     - M.harmonic_entropy(L2[0]), "stiff": G.harmonic_entropy(L2[1])
                     - M.harmonic_entropy(L2[1]), "eigenvalues_M": np.sort(M.eigenvalues)[::-1][::8].tolist(),
                     "eigenvalues_G": np.sort(G.eigenvalues)[::-1][::8].tolist()})
    return rows


def judge(rows):
    columns = {"seed": "seed", "n_params": "parameters", "trace_M": "trace at M", "trace_G": "trace at G",
               "largest_M": "largest at M", "largest_G": "largest at G", "norm_M": "|M|", "norm_G": "|G|",
               "soft": "S_G - S_M, L2 1e-5 (nats)", "stiff": "S_G - S_M, L2 1e-3 (nats)"}
    differences = [r[k] for r in rows for k in ("soft", "stiff")]
    text = (f"S_G - S_M between {min(differences):.0f} and {max(differences):.0f} nats with "
            f"{rows[0]['n_params']} parameters, {len(rows)} seed{'s' if len(rows) > 1 else ''}")
    outcome = "holds" if min(differences) > 0 else "false here" if max(differences) < 0 else "not supported"
    return judged(globals(), Table.of(rows, columns), outcome, text + " (harmonic: the width of the well, "
                  "which says nothing of the zero-risk set at large)",
                  {"M": rows[0]["eigenvalues_M"], "G": rows[0]["eigenvalues_G"]})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    return [{**r, "soft": -r["soft"], "stiff": -r["stiff"]} for r in copy.deepcopy(rows)]


def figure(verdict):
    from fpkit.plotting.style import figure, line_style

    made, axes = figure(width=12, height=8)
    for k, name in enumerate("MG"):
        values = np.maximum(verdict.numbers[name], 1e-8)
        axes.plot(8 * np.arange(len(values)), values, label={"M": "memorising", "G": "generalising"}[name],
                  **(line_style(k) | {"marker": ""}))
    axes.set(yscale="log", ylim=(1e-6, None), xlabel="rank of the eigenvalue",
             ylabel="Hessian eigenvalue (loss/weight²)", title="Width of the two wells, seed 0")
    axes.legend()
    return made
