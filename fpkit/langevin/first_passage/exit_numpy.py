"""Exit runs step by step in NumPy, for what cannot be compiled: black boxes, domains with holes, mobilities
that are functions of the place, and targets that follow a potential (sublevel sets, basins).

All paths start together and those that have ended are left out of the next steps. The noise is that of the
compiled route. The exit point lies on the straight line of the step. A target without a distance has no
bridge: its crossings inside a step are missed, a bias of order sqrt(dt).
"""
from __future__ import annotations

import numpy as np

from ..dynamics.wall_kernels import NEAR
from .exit_run import divergence
from .target_kernels import SLOPE, bridge_hit, target_distances


class WholeExitRun:
    """The interface of `ExitRun`: when, wall, place, n_ended, advance, check_finite, settle."""

    def __init__(self, ensemble, targets, n_paths, max_steps):
        self.ensemble, self.targets, self.max_steps, self.n_paths = ensemble, targets, max_steps, n_paths
        self.dt, self.theta = ensemble.schedule.dt, ensemble.schedule.theta
        self.when, self.wall, self.place = np.full(n_paths,
                                                   np.nan), np.full(n_paths,
                                                                    -1), np.full((ensemble.ndim, n_paths),
                                                                                 np.nan)
        self.before = self._distances(ensemble.X)

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

    def _variance(self, o, y, s, t, w):
        """2 theta dt n'Mn of the wall w, the normal by central differences at the nearer end; 0 (no bridge)
        without a distance."""
        e = self.ensemble
        if not self.targets.has_distance or e.scheme == "baoab":
            return 0.0
        x = o if abs(s) < abs(t) else y
        h = SLOPE * np.maximum(1.0, abs(x))
        D = self._distances(x[:, None] + np.concatenate([np.diag(h), -np.diag(h)], axis=1))[w]
        normal = (D[:len(x)] - D[len(x):]) / (2 * h)
        M = e.mobility.matrix if e.mobility.is_constant else np.diag(e.mobility.at(o[None])[0])
        return 2 * self.theta * self.dt * normal @ M @ normal

    def _reach(self, X):
        """Largest s t that a bridge may cross: distances that are not exact may change by four times the
        step."""
        e = self.ensemble
        if not self.targets.has_distance or e.scheme == "baoab":
            return 0.0
        widest = np.linalg.eigvalsh(e.mobility.matrix)[-1] if e.mobility.is_constant else e.mobility.at(X.T).max()
        slack = 1.0 if all(r.is_distance_exact for r in self.targets.regions) else 16.0
        return slack * NEAR * self.theta * self.dt * widest

    def advance(self, n_steps):
        for _ in range(n_steps):
            e = self.ensemble
            if e.n_paths == 0:
                return
            O, step, before = e.X.copy(), e.step, self.before
            e.advance(1)
            if not np.isfinite(e.X).all():
                return
            after = self._distances(e.X)
            ended = np.zeros(e.n_paths, bool)
            for j in np.flatnonzero((before * after < self._reach(O)).any(axis=0) | (after <= 0).any(axis=0)):
                ended[j] = self._end(O[:, j], e.X[:, j], before[:, j], after[:, j], e.trajectories[j], step)
            if self.max_steps and e.step >= self.max_steps:
                late = ~ended
                self.when[e.trajectories[late]], self.wall[e.trajectories[late]] = self.max_steps * self.dt, -2
                self.place[:, e.trajectories[late]] = e.X[:, late]
                ended[:] = True
            self.before = after
            if ended.any():
                self.ensemble = e.part(np.flatnonzero(~ended))
                self.before = np.ascontiguousarray(after[:, ~ended])

    def _end(self, o, y, before, after, i, step):
        """End the path i if its step from o to y met a wall; whether it did."""
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
        if wall < 0:
            return False
        self.when[i], self.wall[i], self.place[:, i] = (step
                                                        + fraction) * self.dt, wall, o + fraction * (y - o)
        return True

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
