"""Exit runs step by step in NumPy, for what cannot be compiled: black boxes, domains with holes, mobilities
that are given as functions, and targets that follow a potential (sublevel sets, basins).

All paths start together and those that have ended are left out of the next steps. The noise is that of the
compiled route. The search for hits too, but for targets that follow a potential: there the exit point lies
on the straight line of the step, mirrors and seams are not undone, and without a distance there is no bridge:
the crossings inside a step are missed, a bias of order sqrt(dt).
"""
from __future__ import annotations

import numpy as np

from ...potentials.mobility import ConstantMobility
from ..dynamics.wall_kernels import NEAR, PERIODIC, REFLECTING
from .exit_run import divergence
from .target_kernels import SLOPE, Moves, bridge_hit, find_hits, step_of, straight_step, target_distances


class WholeExitRun:
    """The interface of `ExitRun`: when, wall, place, n_ended, advance, check_finite, settle."""

    def __init__(self, ensemble, targets, n_paths, max_steps, span=None):
        self.span = (0, n_paths) if span is None else span
        if span is not None:
            ensemble = ensemble.part(np.arange(*span))
        self.ensemble, self.targets, self.max_steps, self.n_paths = ensemble, targets, max_steps, n_paths
        ensemble.is_whole = True                     # its steps in NumPy: they keep the places before folding
        self.n_own = self.span[1] - self.span[0]
        self.dt, self.theta = ensemble.schedule.dt, ensemble.schedule.theta
        self.when, self.wall = np.full(n_paths, np.nan), np.full(n_paths, -1)
        self.place = np.full((ensemble.ndim, n_paths), np.nan)
        self.before = self._distances(ensemble.X)

    first_steps = 2  # a function of the user's may be slow, and Ctrl-C waits for the chunk

    @property
    def n_ended(self):
        return int((self.wall != -1).sum())

    def _distances(self, X):
        """(n_walls, n) signed distances; without them -1 inside and +1 outside."""
        if self.targets.is_compiled:
            D = np.empty((self.targets.first.size - 1, X.shape[1]))
            target_distances(np.ascontiguousarray(X), self.targets.walls, D, np.empty(X.shape[1]))
            return D
        points = X.T
        if self.targets.has_distance:
            return np.stack([r.signed_distance(points) for r in self.targets.regions])
        return np.stack([np.where(r.contains(points), -1.0, 1.0) for r in self.targets.regions])

    def _hits(self, O, Y, before, after, step_number):
        """(walls, fractions, places) of all paths in their last step."""
        e, n = self.ensemble, O.shape[1]
        walls, fractions, places = np.full(n, -1), np.full(n, 2.0), Y.copy()
        if not self.targets.is_compiled:
            for j in np.flatnonzero((before * after < self._reach(O)).any(axis=0) | (after <= 0).any(axis=0)):
                walls[j], fractions[j] = self._hit_by_region(O[:, j], Y[:, j], before[:, j], after[:, j],
                                                             e.trajectories[j], step_number)
                places[:, j] = O[:, j] + min(fractions[j], 1.0) * (Y[:, j] - O[:, j])
            return walls, fractions, places
        R = Y if e.walls is None else e.unfolded
        arrays = [np.ascontiguousarray(a) for a in (O, Y, R, before, after)]
        seed, rest = np.uint64(e.key), (walls, fractions, places)
        if e.scheme == "baoab" or e.mobility.is_constant:
            step = straight_step(self.dt, self.theta, e.ndim) if e.scheme == "baoab" else step_of(
                self.dt, self.theta, e.mobility)
            find_hits(Moves(*arrays), self.targets.walls, step, e.table, e.trajectories, step_number, seed,
                      *rest)
            return rest
        M = e.mobility.matrices(O.T)                             # that of the start of the step
        widest = np.linalg.eigvalsh(M)[:, -1] if e.mobility.is_tensor else np.diagonal(M, 0, 1, 2).max(axis=1)
        for j in np.flatnonzero(self._near(O, R, before, after, NEAR * self.theta * self.dt * widest)):
            step = step_of(self.dt, self.theta, ConstantMobility(M[j]))
            one = [np.ascontiguousarray(a[:, j:j + 1]) for a in arrays]
            place = np.empty((e.ndim, 1))
            find_hits(Moves(*one), self.targets.walls, step, e.table, e.trajectories[j:j + 1], step_number,
                      seed,
                      walls[j:j + 1], fractions[j:j + 1], place)
            places[:, j] = place[:, 0] if walls[j] >= 0 else Y[:, j]
        return rest

    def _near(self, O, R, before, after, reach):
        """Which paths may have met a wall in their last step: the rule of `list_near`."""
        near = (before * after < reach).any(axis=0)
        if len(O) == 1:
            near |= (abs(R[0] - O[0]) >= before).any(axis=0)
        table = self.ensemble.table
        for side in range(2):
            for i in np.flatnonzero((table[side] == REFLECTING) | (table[side] == PERIODIC)):
                near |= (O[i] - table[2 + side, i]) * (R[i] - table[2 + side, i]) < reach
        return near

    def _reach(self, X):
        """Largest s t that a bridge may cross: distances that are not exact may change by four times the
        step."""
        e = self.ensemble
        if not self.targets.has_distance or e.scheme == "baoab":
            return 0.0
        M = e.mobility
        widest = np.linalg.eigvalsh(M.matrix if M.is_constant else M.matrices(X.T))[..., -1].max()
        slack = 1.0 if all(r.is_distance_exact for r in self.targets.regions) else 16.0
        return slack * NEAR * self.theta * self.dt * widest

    def _variance(self, o, y, s, t, w):
        """2 theta dt n'Mn of the region w, the normal by central differences at the nearer end."""
        e, x = self.ensemble, o if abs(s) < abs(t) else y
        h = SLOPE * np.maximum(1.0, abs(x))
        D = self._distances(x[:, None] + np.concatenate([np.diag(h), -np.diag(h)], axis=1))[w]
        normal = (D[:len(x)] - D[len(x):]) / (2 * h)
        M = e.mobility.matrices(o[None])[0]
        return 2 * self.theta * self.dt * normal @ M @ normal

    def _hit_by_region(self, o, y, before, after, i, step):
        """(wall, fraction) of a step from o to y for regions that follow a potential."""
        wall, fraction = -1, 2.0
        for w, (s, t) in enumerate(zip(before, after)):
            if not self.targets.has_distance:
                u = float(np.nan_to_num(self.targets.regions[w].crossing(o, y), nan=0.5)) if t <= 0 else 2.0
            elif self.ensemble.scheme == "baoab":
                u = s / (s - t) if t <= 0 else 2.0
            else:
                u = bridge_hit(s, t, max(self._variance(o, y, s, t, w), 1e-300), i, w, step,
                               np.uint64(self.ensemble.key))
            if u < fraction:
                wall, fraction = w, u
        return wall, fraction

    def advance(self, n_steps):
        """Make up to n_steps steps of all paths that have not ended."""
        for _ in range(n_steps):
            e = self.ensemble
            if e.n_paths == 0:
                return
            O, number, before = e.X.copy(), e.step, self.before
            e.advance(1)
            if not np.isfinite(e.X).all():
                return
            after = self._distances(e.X)
            walls, fractions, places = self._hits(O, e.X, before, after, number)
            ended = walls >= 0
            paths = e.trajectories[ended]
            self.when[paths], self.wall[paths] = (number + fractions[ended]) * self.dt, walls[ended]
            self.place[:, paths] = places[:, ended]
            if self.max_steps and e.step >= self.max_steps:
                late = e.trajectories[~ended]
                self.when[late], self.wall[late] = self.max_steps * self.dt, -2
                self.place[:, late] = e.X[:, ~ended]
                ended[:] = True
            self.before = after
            if ended.any():
                self.ensemble = e.part(np.flatnonzero(~ended))
                self.before = np.ascontiguousarray(after[:, ~ended])

    @property
    def step_count(self):
        """Steps made."""
        return self.ensemble.step

    def state(self):
        """All that the next steps depend on, as arrays; the results are those of the paths of the span."""
        own = slice(*self.span)
        return {**{f"ensemble/{k}": v for k, v in self.ensemble.state().items()},
                "trajectories": self.ensemble.trajectories, "before": self.before, "when": self.when[own],
                "wall": self.wall[own], "place": self.place[:, own]}

    def restore(self, state):
        """Go on from a `state()` of a run with the same arguments."""
        own, e = slice(*self.span), self.ensemble
        self.ensemble = e.part(np.searchsorted(e.trajectories, state["trajectories"]))
        self.ensemble.restore({k[9:]: v for k, v in state.items() if k.startswith("ensemble/")})
        self.before = np.array(state["before"])
        self.when[own], self.wall[own], self.place[:, own] = state["when"], state["wall"], state["place"]

    def check_finite(self):
        """Raise DivergenceError when a path is no longer finite."""
        lost = ~np.isfinite(self.ensemble.X).all(axis=0)
        if lost.any():
            raise divergence(int(lost.sum()), self.n_paths, self.dt, self.ensemble)

    def settle(self):
        """Durations, walls (-1 for a path that has not arrived) and last places of all paths."""
        e = self.ensemble
        self.when[e.trajectories], self.place[:, e.trajectories] = e.step * self.dt, e.X
        begun = self.when > 0
        return self.when[begun], np.maximum(self.wall[begun],
                                            -1), np.ascontiguousarray(self.place[:, begun].T)
