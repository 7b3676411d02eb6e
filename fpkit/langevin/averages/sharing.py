"""An ensemble shared among the workers of a concurrent.futures.Executor, with the bits of a single run."""
from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..dynamics.ensemble import Ensemble
from ..runs.driving import drive
from .tally import Accumulators

ALONG_GROUPS = {"counts": 1, "outside": 0, "products": 0, "last_region": 0, "means/table": 1, "means/open": 0,
                "means/squares": 0, "means/sizes": 0}


def shared(executor, potential, x0, settings, tally, plan, n_threads):
    """Run the plan in parts (whole strands of `tally`), fill `tally` with the sums; (last places, accepted
    proposals) of all paths.

    The random streams belong to the trajectories and the strands stay whole, so that nothing depends on the
    number of parts.
    """
    n_parts = min(tally.n_strands, getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
    cuts = np.arange(n_parts + 1) * tally.n_strands // n_parts
    common = (potential, settings, (tally.shifts[:-1], tally.grid, tally.regions, tally.observables),
              tally.marginal, plan, n_threads or 1)
    try:
        if not isinstance(executor, ThreadPoolExecutor):        # threads share the objects themselves
            pickle.dumps(common)
    except Exception as error:
        raise TypeError(f"an executor needs arguments that can be sent to other processes ({error}); define "
                        "functions at the top of a module.") from None
    jobs, firsts = [], tally.groups[tally.strands]
    for a, b in zip(cuts, cuts[1:]):
        paths = np.arange(firsts[a], firsts[b])
        start = x0 if x0.ndim == 1 else x0[paths]
        jobs.append(executor.submit(work, common, start, paths, (int(a), int(b)), tally.n_paths))
    results = [job.result() for job in jobs]
    states = [r[0] for r in results]
    merged = dict(states[0])
    for name, axis in ALONG_GROUPS.items():
        merged[name] = np.concatenate([s[name] for s in states], axis=axis)
    merged["transitions"] = sum(s["transitions"] for s in states)
    tally.restore(merged)
    return np.concatenate([r[1] for r in results]), np.concatenate([r[2] for r in results])


def work(common, start, paths, strands, n_paths):
    """One part, in a worker."""
    potential, settings, what, marginal, plan, n_threads = common
    ensemble = Ensemble(potential, x0=start, n_threads=n_threads, trajectories=paths,
                        **{**settings, "n_paths": len(paths)})
    tally = Accumulators(potential, n_paths, *what, n_threads, strands=strands, marginal=marginal)
    for end, every in ((plan["burn_in"], None), (plan["n_steps"], plan["every"])):
        for snapshots in drive(ensemble, end - ensemble.step, every, False):
            if snapshots is not None and len(snapshots):
                tally.add(snapshots)
    return tally.state(), ensemble.x, ensemble.accepted
