"""Learning coefficients beside those of devinterp, where it is installed: the same losses, temperatures,
tethers and numbers of gradients."""
from __future__ import annotations

import contextlib
import copy
import importlib.util
import io

from .verdict import Table, Verdict, formed, ruled

CLAIM = ("In the same number of gradients local_learning_coefficient is right within its error where "
         "unadjusted SGLD (devinterp) may be off by many times its own spread.")
SOURCE = ("E. Lau et al., arXiv:2308.12108; devinterp 2 (Timaeus); exact values at that n beta and tether by "
          "quadrature.")
CRITERION = ("Each of our values lies within 1.5 times its stated error. devinterp's rows (chains from "
             "the point, two standard errors of the chains; its own mean over all steps, and the mean over "
             "the second half of them) are shown, not judged.")
RATES, N_CHAINS = (1e-4, 1e-3, 1e-2), 4
COLUMNS = {"problem": "problem", "d": "d", "exact": "exact", "ours": "ours", "error": "+-",
           "gradients": "gradients", "rate": "its rate", "theirs": "devinterp", "spread": "+- ",
           "their_gradients": "its gradients", "off": "off / its error", "late": "second half",
           "late_spread": "+-  ", "late_off": "off / error"}


def measure(quick=False):
    """Rows of one problem and learning rate each; none where devinterp is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("devinterp", "torch", "datasets")):
        return {"rows": [], "missing": "devinterp, torch or datasets is not installed"}
    import fpkit as fp

    rows = []
    for name, p, function in problems()[:1 if quick else None]:
        lam = fp.local_learning_coefficient(p["loss"], p["x0"], p["theta"], n_walkers=16, n_islands=4,
                                            n_moves=8, progress=False, **p["options"])
        n = 800 if quick else lam.inputs["n_gradients"]
        for rate in RATES[:1 if quick else None]:
            found = theirs(function, p, rate, n // N_CHAINS)
            off = [abs(value - p["coefficient"]) / spread if spread else None for value, spread in found]
            rows.append({"problem": name, "d": len(p["x0"]), "exact": p["coefficient"], "ours": float(lam),
                         "error": lam.error, "gradients": lam.inputs["n_gradients"], "rate": rate,
                         "theirs": found[0][0], "spread": found[0][1], "off": off[0],
                         "their_gradients": n // N_CHAINS * N_CHAINS, "late": found[1][0],
                         "late_spread": found[1][1], "late_off": off[1]})
    return {"rows": rows, "missing": ""}


def problems():
    """(name, problem with exact values, the loss as a function of a torch vector)."""
    import numpy as np

    from ._full_space_problems import power, problem, product

    def bowl(h):
        loss = lambda X: (0.5 * h * (X * X).sum(-1), h * X)
        return problem(f"quadratic, h = {h:g}", loss, np.zeros(10), 0.01,
                       lambda b: 5 * np.log(2 * np.pi / (b * h + 1)), tether=1.0)
    return [("quadratic, h = 1", bowl(1.0), lambda w: 0.5 * (w * w).sum()),
            ("quadratic, h = 0.01", bowl(0.01), lambda w: 0.005 * (w * w).sum()),
            ("x^4", power(4, 1, 0.01, 1.0), lambda w: (w**4).sum()),
            ("(xy)^2", product(0.01), lambda w: (w[0] * w[1])**2)]


def theirs(function, p, rate, n_draws):
    """devinterp's mean and two standard errors of its chains: over all steps, and over the second half."""
    import torch
    from datasets import Dataset
    from devinterp.slt.llc import compute_llc
    from devinterp.slt.sampling import sample

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor(p["x0"], dtype=torch.float32))

        def forward(self, input_ids):
            return function(self.w)

    def loss(model, input_ids, *more, **options):            # one loss for each token but the first
        return function(model.w).expand(input_ids.shape[0], input_ids.shape[1] - 1)
    data = Dataset.from_dict({"input_ids": [[0, 1]] * 4}).with_format("torch")
    with contextlib.redirect_stderr(io.StringIO()):
        samples = sample(Toy(), data, {"toy": data}, lr=rate, n_beta=1 / p["theta"], num_chains=N_CHAINS,
                         num_draws=n_draws, batch_size=1, num_init_loss_batches=1, batches_per_draw=1,
                         localization=p["options"]["tether"], loss_fn=loss, device="cpu")
        found = compute_llc(samples)
    late = found.loss_trace.values[:, found.loss_trace.sizes["step"] // 2:].mean(1)
    return [(float(c.mean()), float(2 * c.std(ddof=1) / len(c)**0.5))
            for c in (found.llc_per_chain.values, (late - float(found.init_loss)) / p["theta"])]


def judge(found):
    """The rule of CRITERION."""
    rows = found["rows"]
    if not rows:
        table = Table(("devinterp",), ((found["missing"],),))
        return Verdict(CLAIM, SOURCE, CRITERION, table, "not measured", found["missing"])
    misses = [f"{r['problem']}: ours is {r['ours']:.3g} +- {r['error']:.2g}, exact {r['exact']:.3g}"
              for r in rows if not abs(r["ours"] - r["exact"]) <= 1.5 * r["error"]]
    beyond, late = (sum(r[off] is not None and r[off] > 1 for r in rows) for off in ("off", "late_off"))
    return ruled(globals(), Table.of(rows, COLUMNS), misses, "ours are within their errors; of devinterp's "
                 f"{len(rows)} runs {beyond} are off by more than two standard errors of their chains "
                 f"({late} of the means over the second half)")


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    """Our errors a hundredth."""
    found = copy.deepcopy(found)
    for r in found["rows"]:
        r["error"] /= 100
    return found
