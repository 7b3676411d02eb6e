"""One round of many walkers: from the state of each at one step to the state and the measurements at the next
checks.

A walker's numbers depend on its own settings, on the seed and on its number alone: not on the walkers beside
it, nor on how a run is cut into rounds. So a round can be made anywhere, by any number of workers.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.compilation.vectors import LANES, aligned
from ...langevin.dynamics.noise_kernels import draw_noise, seed_states
from ..modular_addition import ModularAddition
from ..training import adamw_step
from . import network_kernels as kernels

STREAMS = 4                                # of each walker's noise: a row of lanes is filled at a time
NOISE = 11                                 # their purpose, beside those of noise_kernels
PRECISIONS = {"single": np.dtype(np.float32), "double": np.dtype(np.float64)}
OPTIMISERS = ("sgld", "sgd", "adamw")
NAMES = ("train_loss", "test_loss", "train_acc", "test_acc", "norm", "displacement")


@dataclass(frozen=True)
class Walkers:
    """Settings and state of some walkers at one step; every array has the walkers on its first axis.

    Attributes
    ----------
    problems : sequence of LearningProblem
    ids : ndarray of int
        Numbers of the walkers: what their noise and minibatches depend on, beside the seed.
    rate, theta, l2 : ndarray
    batch : ndarray of int
        0 for the whole training sample.
    weights : ndarray (n, n_members) or None
        Weight of every member's loss in the risk; None: 1/n_train on the training sample.
    start : ndarray (n, n_params)
    state : dict of ndarray
        x, the running means m and v of AdamW, and the words of the random streams.
    """
    problems: Sequence[Any]
    ids: np.ndarray
    rate: np.ndarray
    theta: np.ndarray
    l2: np.ndarray
    batch: np.ndarray
    weights: np.ndarray | None
    start: np.ndarray
    state: dict[str, np.ndarray]
    optimiser: str
    betas: tuple[float, float]
    seed: int
    precision: str
    stop_at: float | None
    check_every: int

    def some(self, chosen: np.ndarray) -> Walkers:
        """Those with the given places."""
        cut = {name: getattr(self, name)[chosen] for name in ("ids", "rate", "theta", "l2", "batch", "start")}
        return replace(self, problems=[self.problems[k] for k in chosen],
                       weights=None if self.weights is None else self.weights[chosen],
                       state={name: values[chosen] for name, values in self.state.items()}, **cut)


def first_state(start: np.ndarray, ids: np.ndarray, optimiser: str, seed: int) -> dict[str, np.ndarray]:
    """State of walkers before their first step."""
    words = np.zeros((4, STREAMS * len(ids)), np.uint32)
    seed_states(words, (np.arange(STREAMS)[:, None] + STREAMS * ids).ravel().astype(np.int64),
                np.int64(NOISE),
                np.uint64(seed))
    found = {"x": start.copy(), "words": words.reshape(4, STREAMS, len(ids)).transpose(2, 0, 1).copy()}
    if optimiser == "adamw":
        found |= {"m": np.zeros_like(start), "v": np.zeros_like(start)}
    return found


def is_network(problems: Sequence[Any]) -> bool:
    """Whether all are one network, which has a compiled learner."""
    first = problems[0]
    return all(type(p) is ModularAddition and (p.modulus, p.width) == (first.modulus, first.width)
               for p in problems)


def advance(walkers: Walkers, step: int, checks: np.ndarray, saved: np.ndarray):
    """Bring walkers from `step` to the last of `checks`.

    Returns
    -------
    state : dict of ndarray
    table : dict of ndarray (n_checks, n)
    places : ndarray (n_saved, n, n_params)
        Where they were at the steps `saved`, a part of the checks.
    stopped : ndarray (n, n_params)
        Where each was when its test accuracy was first at `stop_at` at a multiple of `check_every`.
    """
    engine = (_Network if is_network(walkers.problems) else _Plain)(walkers)
    tables, places = [], []
    stopped, is_stopped = np.full_like(walkers.start, np.nan), np.zeros(len(walkers.ids), bool)
    for check in checks:
        if check > step:
            engine.march(step, int(check - step))
            step = int(check)
        found = engine.measure()
        tables.append(found)
        if check in saved:
            places.append(engine.x.copy())
        if walkers.stop_at is not None and check % walkers.check_every == 0:
            new = (found["test_acc"] >= walkers.stop_at) & ~is_stopped
            if new.any():
                stopped[new] = engine.x[new]
                is_stopped |= new
    table = {name: np.array([t[name] for t in tables]) for name in tables[0]}
    return engine.state(), table, np.array(places).reshape(-1, *walkers.start.shape), stopped


class _Network:
    """Up to 16 (float32) or 8 (float64) walkers in the lanes of the compiled kernels, several blocks one
    after the other."""

    def __init__(self, walkers):
        self.walkers, kind = walkers, PRECISIONS[walkers.precision]
        self.kind, self.lanes = kind, LANES[kind]
        n = len(walkers.ids)
        self.blocks = [self._block(np.arange(k, min(k + self.lanes, n))) for k in range(0, n, self.lanes)]

    def _block(self, chosen):
        w, problem, L = self.walkers, self.walkers.problems[0], self.lanes
        p, width, n = problem.modulus, problem.width, problem.n_params
        P, W, Q = (4 * -(-v // 4) for v in (p, width, p * p))
        room = lambda *shape: aligned(shape, self.kind)
        b = {"chosen": chosen, "x": room(n, L), "x0": room(n, L), "g": room(n, L), "memory": room(2 * n, L),
             "wide": room(2 * W * P, L), "tile": room(12 * W + 4 * P, L), "weights": room(2 * Q, L),
             "coefficients": room(5, L), "noise": aligned((-(-n // 8) * 2, STREAMS * L), np.float32),
             "words": np.zeros((4, STREAMS, L), np.uint32), "losses": room(p * p, L), "right": room(p * p, L),
             "batches": np.zeros((2 + 2 * p * p, L), np.int64), "ids": np.zeros(L, np.int64)}
        b["coefficients"][1] = 1.0
        m = len(chosen)
        train = np.array([w.problems[k].is_train.ravel() for k in chosen]).T
        b["train"] = train / train.sum(0)
        b["test"] = ~train / (~train).sum(0)
        own = b["train"] if w.weights is None else w.weights[chosen].T
        b["weights"][:p * p, :m] = own
        b["x"][:, :m], b["x0"][:, :m] = w.state["x"][chosen].T, w.start[chosen].T
        b["words"][..., :m] = w.state["words"][chosen].transpose(1, 2, 0)
        b["ids"][:m] = w.ids[chosen]
        b["coefficients"][:3, :m] = (w.rate[chosen], 1 - w.rate[chosen] * w.l2[chosen],
                                     np.sqrt(2 * w.theta[chosen] * w.rate[chosen]))
        b["coefficients"][3], b["coefficients"][4] = 1 - w.betas[0], 1 - w.betas[1]
        for lane, k in enumerate(chosen):
            members = np.flatnonzero(own[:, lane])
            b["batches"][0, lane], b["batches"][1, lane] = w.batch[k], members.size
            b["batches"][2:2 + members.size, lane] = members
        if w.optimiser == "adamw":
            b["memory"][:n, :m], b["memory"][n:, :m] = w.state["m"][chosen].T, w.state["v"][chosen].T
        return b

    def march(self, step, n_steps):
        w, p = self.walkers, self.walkers.problems[0]
        march = kernels.march_single if self.kind == np.float32 else kernels.march_double
        for b in self.blocks:
            kind = kernels.ADAMW if w.optimiser == "adamw" else kernels.SGLD
            shape = np.array([p.modulus, p.width, kind, step, n_steps, w.seed,
                              b["coefficients"][2].any(), b["batches"][0].any()], np.int64)
            march(b["x"], b["g"], b["memory"], b["wide"], b["tile"], b["weights"], b["coefficients"],
                  b["noise"], b["words"].reshape(4, -1), b["batches"], b["ids"], shape)

    def member_losses(self):
        """Loss of every pair, (n, p^2), and whether it is right."""
        measure = kernels.measure_single if self.kind == np.float32 else kernels.measure_double
        problem, found = self.walkers.problems[0], []
        for b in self.blocks:
            measure(b["x"], b["wide"], b["tile"], b["losses"], b["right"],
                    np.array([problem.modulus, problem.width], np.int64))
            m = len(b["chosen"])
            found.append((b["losses"][:, :m].T.astype(float), b["right"][:, :m].T.astype(float)))
        return [np.concatenate(parts) for parts in zip(*found)]

    def measure(self):
        losses, right = self.member_losses()
        train, test = (np.concatenate([b[name].T for b in self.blocks]) for name in ("train", "test"))
        moved = np.concatenate([b["x"].T[:len(b["chosen"])] - b["x0"].T[:len(b["chosen"])]
                                for b in self.blocks])
        values = ((losses * train).sum(1), (losses * test).sum(1), (right * train).sum(1),
                  (right * test).sum(1), np.linalg.norm(self.x, axis=1), (moved.astype(float) ** 2).sum(1))
        return dict(zip(NAMES, values))

    @property
    def x(self):
        return np.concatenate([b["x"].T[:len(b["chosen"])] for b in self.blocks]).astype(float)

    def state(self):
        found = {"x": self.x, "words": np.concatenate([b["words"].transpose(2, 0, 1)[:len(b["chosen"])]
                                                       for b in self.blocks])}
        if self.walkers.optimiser == "adamw":
            n = self.walkers.start.shape[1]
            for k, name in enumerate("mv"):
                found[name] = np.concatenate([b["memory"][k * n:(k + 1) * n].T[:len(b["chosen"])]
                                              for b in self.blocks]).astype(float)
        return found


class _Plain:
    """Walkers of any problem, in NumPy and float64: the same steps with the same noise."""

    def __init__(self, walkers):
        self.walkers, self.x = walkers, walkers.state["x"].copy()
        self.words = walkers.state["words"].transpose(1, 2, 0).copy()
        self.memory = {name: walkers.state[name].copy() for name in "mv" if name in walkers.state}
        self.fine = np.isfinite(self.x).all(1)               # those that have not diverged: asked about
        # walkers of one problem are asked about at once
        self.groups = [np.array([k for k, p in enumerate(walkers.problems) if p is problem])
                       for problem in {id(p): p for p in walkers.problems}.values()]

    def _gradient(self, step):
        w, g = self.walkers, np.zeros_like(self.x)
        for group in self.groups:
            problem, group = w.problems[group[0]], group[self.fine[group]]
            whole = group[w.batch[group] == 0]
            if len(whole):
                g[whole] = problem.gradient(self.x[whole])
            for k in group[w.batch[group] > 0]:
                members = problem.minibatch(int(w.batch[k]), step, w.seed, int(w.ids[k]))
                g[k] = problem.gradient(self.x[k:k + 1], members)[0]
        return g

    @np.errstate(over="ignore", invalid="ignore")
    def march(self, step, n_steps):
        w = self.walkers
        rate, keep = w.rate[:, None], (1 - w.rate * w.l2)[:, None]
        amplitude = np.sqrt(2 * w.theta * w.rate)[:, None]
        n, d = self.x.shape
        noise = np.zeros((-(-d // 8) * 2, STREAMS * n), np.float32)
        for k in range(step, step + n_steps):
            g = self._gradient(k)
            if w.optimiser == "adamw":
                adamw_step(rate, w.l2[:, None], *w.betas, self.x, self.memory["m"], self.memory["v"], g, k)
            else:
                self.x *= keep
                self.x -= rate * g
            if w.theta.any():
                draw_noise(self.words.reshape(4, -1), noise, False)
                self.x += amplitude * noise.reshape(-1, n)[:d].T
            self.fine &= np.isfinite(self.x).all(1)

    @np.errstate(over="ignore", invalid="ignore")
    def measure(self):
        w, n = self.walkers, len(self.x)
        x = np.where(self.fine[:, None], self.x, w.start)
        found = {"norm": np.linalg.norm(self.x, axis=1), "displacement": ((self.x - w.start) ** 2).sum(1)}
        for group in self.groups:
            problem = w.problems[group[0]]
            for sample in ("train", "test"):
                if not len(problem._index[sample]):
                    continue
                right = problem.is_right(x[group], sample)
                for name, values in (("loss", problem.losses(x[group], sample)), ("acc", right)):
                    if values is not None:
                        found.setdefault(f"{sample}_{name}", np.full(n, np.nan))[group] = np.where(
                            self.fine[group], values.mean(-1), np.nan)
        return found

    def state(self):
        return {"x": self.x.copy(), "words": self.words.transpose(2, 0, 1).copy(), **self.memory}
