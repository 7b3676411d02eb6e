"""A run shared among workers in rounds of about a second, with the bits of a single run.

In each round every part is brought to the same step by one job that is given the state of the part and
returns it: a job may be run again anywhere. Ctrl-C is seen between rounds; what is merged are always the
parts of one and the same round, never a part that a signal has stopped earlier.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...core.interruption import interruption
from ...core.sharing import as_executor, in_order, n_workers
from . import driving

ROUND_SECONDS, FIRST_STEPS = 1.0, 64
MOST_GROWTH, LEAST_GROWTH = 8.0, 0.25


def parts_of(executor: Any, n: int, unknown: int | None = None) -> np.ndarray:
    """Cuts (n_parts + 1,) of n things into one part a worker of the cluster; `unknown` parts, by default n,
    where it does not tell."""
    n_parts = min(n, n_workers(as_executor(executor), unknown or n))
    return np.arange(n_parts + 1) * n // n_parts


def rounds(executor: Any, work: Callable, common: tuple, parts: list[tuple], states: list, steps: tuple,
           label: str, progress: bool | None, unit: str = "step", total: int | None = None,
           count: Callable[[list], int] | None = None) -> Iterator[tuple[int, list]]:
    """(step, outcomes) after each round; an outcome is what ``work(*common, *part, state, step)`` returned,
    its first entry the new state.

    Parameters
    ----------
    executor, work, common
        As for `fpkit.core.sharing.finished`.
    parts : list of tuple
    states : list
        Of the parts at the start (None: work begins).
    steps : (first, last, multiple)
        The run goes from the first to the last step (inf: until the reader has enough); each round ends at a
        multiple.
    label, progress, unit
        Of the bar.
    total, count
        What the bar counts instead of steps: ``count(outcomes)`` of `total`.
    """
    done, n_steps, multiple = steps
    n = FIRST_STEPS
    seen = 0
    with interruption() as is_pressed, driving.bar(total or n_steps - done, label, progress, unit) as shown:
        while done < n_steps and not is_pressed():
            end = min(-(-(done + n) // multiple) * multiple, n_steps)
            started = time.perf_counter()
            jobs = [(*part, state, end) for part, state in zip(parts, states)]
            outcomes = in_order(executor, work, jobs, common, is_pressed)
            if any(o is None for o in outcomes):     # Ctrl-C came and a worker with it
                return
            if shown is not None:
                now = end if count is None else count(outcomes)
                shown.update(now - (done if count is None else seen))
                seen = now
            states, done = [o[0] for o in outcomes], end
            yield done, outcomes
            growth = ROUND_SECONDS / max(time.perf_counter() - started, 1e-6)
            n = max(1, int(n * min(max(growth, LEAST_GROWTH), MOST_GROWTH)))


def states_to_arrays(cuts: np.ndarray, states: list[dict]) -> dict:
    """Arrays of a checkpoint that holds the states of the parts."""
    parts = {f"part{k}/{name}": np.asarray(value) for k, state in enumerate(states)
             for name, value in state.items()}
    return {"cuts": np.asarray(cuts), **parts}


def arrays_to_states(arrays: dict) -> tuple[np.ndarray, list[dict]]:
    """(cuts, states of the parts) of such a checkpoint."""
    cuts, found = arrays["cuts"], []
    for k in range(len(cuts) - 1):
        start = f"part{k}/"
        found.append({name[len(start):]: v for name, v in arrays.items() if name.startswith(start)})
    return cuts, found


def joined(states: list[dict], sizes: list[int]) -> dict:
    """The state of an ensemble from those of its parts, which hold `sizes` trajectories: arrays along the
    last axis."""
    return {name: np.concatenate([s[name] for s in states], axis=-1)
            if np.ndim(value) and all(s[name].shape[-1] == n for s, n in zip(states, sizes)) else value
            for name, value in states[0].items()}


def divided(state: dict, cuts: np.ndarray) -> list[dict]:
    """The states of the parts cuts[k] .. cuts[k + 1] of an ensemble of cuts[-1] trajectories."""
    return [{name: value[..., a:b] if np.ndim(value) and np.shape(value)[-1] == cuts[-1] else value
             for name, value in state.items()} for a, b in zip(cuts, cuts[1:])]
