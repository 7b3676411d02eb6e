"""`sample` shared among the workers of an executor, with the bits of a single run: whole strands of the
accumulators travel with their paths."""
from __future__ import annotations

import numpy as np

from ..dynamics.ensemble import Ensemble
from ..runs.sharing import divided, joined, parts_of, rounds
from .tally import Accumulators

ALONG_GROUPS = {"counts": 1, "outside": 0, "products": 0, "last_region": 0, "means/table": 1, "means/open": 0,
                "means/squares": 0, "means/sizes": 0}


def shared(executor, ensemble, tally, x0, settings, plan, store, save, progress):
    """Bring `ensemble` and `tally` to the end of the plan, or to Ctrl-C, in parts that are whole strands of
    the tally; `save()` is called when the store is due and at the end.

    The random streams belong to the trajectories and the strands stay whole, so that nothing depends on the
    number of parts.
    """
    cuts = parts_of(executor, tally.n_strands)
    firsts = tally.groups[tally.strands][cuts]
    settings = {k: v for k, v in settings.items() if k != "n_paths"} | {"precision": ensemble.precision}
    common = (ensemble.process or ensemble.potential, settings,
              (tally.shifts[:-1], tally.grid, tally.regions, tally.observables), tally.marginal,
              plan, ensemble.n_threads or 1, tally.n_paths)
    parts = [(x0 if x0.ndim == 1 else x0[a:b], np.arange(a, b), (int(first), int(last)))
             for a, b, first, last in zip(firsts, firsts[1:], cuts, cuts[1:])]
    states = [None] * len(parts)
    if ensemble.step:
        states = list(zip(divided(ensemble.state(), firsts), _divided(tally, cuts)))

    def gather(outcomes):
        found = [o[0] for o in outcomes]
        ensemble.restore(joined([s[0] for s in found], list(np.diff(firsts))))
        tally.restore(_joined([s[1] for s in found]))
    outcomes = None
    for _, outcomes in rounds(executor, work, common, parts, states, (ensemble.step, plan["n_steps"], 1),
                              "sampling", progress):
        if store.is_due:
            gather(outcomes)
            save()
    if outcomes is None and states[0] is None:
        raise KeyboardInterrupt("interrupted before the first round of the workers ended: there is nothing "
                                "yet")
    if outcomes is not None:
        gather(outcomes)
        save()


def _joined(states):
    """The state of the whole tally from those of its parts."""
    merged = dict(states[0])
    for name, axis in ALONG_GROUPS.items():
        merged[name] = np.concatenate([s[name] for s in states], axis=axis)
    merged["transitions"] = sum(s["transitions"] for s in states)
    return merged


def _divided(tally, cuts):
    """The states of the parts: each array is cut where its strands, groups or paths are."""
    groups = tally.strands[cuts]
    at = {int(along[-1]): along for along in (tally.groups[groups], groups, cuts)}
    whole, found = tally.state(), []
    for k in range(len(cuts) - 1):
        part = dict(whole)
        for name, axis in ALONG_GROUPS.items():
            size = whole[name].shape[axis]
            if size in at:
                a, b = at[size][k:k + 2]
                part[name] = whole[name].take(range(int(a), int(b)), axis)
        part["transitions"] = whole["transitions"] * (k == 0)
        found.append(part)
    return found


def work(process, settings, what, marginal, plan, n_threads, n_paths, start, paths, strands, state, end):
    """Bring one part to the step `end`, in a worker: ((state of the ensemble, state of the tally),)."""
    ensemble = Ensemble(process, x0=start, n_threads=n_threads, trajectories=paths, n_paths=len(paths),
                        **settings)
    tally = Accumulators(ensemble.potential, n_paths, *what, n_threads, strands=strands, marginal=marginal)
    if state is not None:
        ensemble.restore(state[0])
        tally.restore(state[1])
    for stop, every in ((min(plan["burn_in"], end), None), (end, plan["every"])):
        while ensemble.step < stop:
            saved = ensemble.advance(min(stop - ensemble.step, _chunk(ensemble, every)), every)
            ensemble.check_finite()
            if saved is not None and len(saved):
                tally.add(saved)
    return ((ensemble.state(), tally.state()),)


def _chunk(ensemble, every):
    """Steps at once: what is saved in them must stay small."""
    return max(1, 2**23 // ensemble.X.size) * (every or 64)
