"""An ensemble of paths and its state: what `simulate` and `sample` drive, step by step or in chunks."""
from __future__ import annotations

import contextlib
import numbers

import numba
import numpy as np

from ...core import checks
from ...core.compilation import PARALLEL_LOCK
from ...potentials.mobility import mobility_of
from .divergence import diverged
from .numpy_steps import advance_whole
from .process import process_of, stepped_along
from .schedule import Schedule, key_of
from .sources import sources_of
from .wall_kernels import NONE
from .walls import walls_of

# the position of the first three is their code in the kernels
SCHEMES = ("euler-maruyama", "leimkuhler-matthews", "heun", "mala", "baoab")
LARGEST_TABLE = 16384                                             # rows of a table of steps at once
SINGLE_TOLERANCE = 1e-5  # of max(1, |gradient|), between float32 and float64 drifts
LARGEST_SHIFT = 100.0  # rounding of places up to this size counts as a shift; that of larger ones as an error


@contextlib.contextmanager
def thread_count(n_threads):
    """Run compiled kernels on this many threads (None: Numba's own number), one caller at a time."""
    with PARALLEL_LOCK:
        before = numba.get_num_threads()
        numba.set_num_threads(before if n_threads is None else min(n_threads, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            numba.set_num_threads(before)


def refuse_jumps(potential, starts, theta, table):
    """Refuse an f that jumps within the walls of a table: its gradient, all that steps know, has no jump."""
    theta = float(np.max(theta(0.0))) if callable(theta) else theta
    box = np.where(table[:2] == NONE, [[-np.inf], [np.inf]], table[2:]) if table.shape[1] else None
    found = potential.jump_of(np.ascontiguousarray(starts), theta, box)
    if found is not None:
        place, one, other = found
        raise ValueError(
            f"f jumps between {one:.6g} and {other:.6g} near x = {place}, and its gradient, along which "
            'paths step, does not show it; ask fpkit.FokkerPlanck, take scheme="mala" for averages, or a '
            "smooth step that dt resolves, such as tanh((x - a)/width).")


class Ensemble:
    """Paths of dX = -M grad f dt + theta div M dt + sqrt(2 theta M) dW, or of underdamped dynamics.

    The state depends on seed, trajectory and step alone: not on the number of threads, the chunks of
    `advance`, the lanes, or the other trajectories. Parameters as in `fpkit.simulate`; besides

    Parameters
    ----------
    trajectories : array of int (n_paths,), optional
        Numbers of the random streams; default 0, 1, 2, ... Machines that share an ensemble take disjoint
        numbers.
    lanes : int, optional
        Walkers of one block, a multiple of 32. Changes the speed alone.

    Attributes
    ----------
    X : ndarray (ndim, n_paths)
        Places now; `velocity` likewise for "baoab".
    step, time : int, float
        Steps done, and the time.
    """

    def __init__(self, potential, theta, x0, dt, scheme="euler-maruyama", seed=1, n_paths=None, walls=None,
                 mobility=None, friction=None, n_threads=None, precision="auto", noise="gaussian",
                 velocity=None,
                 trajectories=None, lanes=None, force=None, killing=None, resetting=None):
        self.process = process_of(potential, theta, mobility, force)
        if self.process is not None:
            potential, theta, mobility = self.process.potential, self.process.theta, self.process.mobility
        self.potential, self.ndim = potential, potential.ndim
        self.scheme = checks.choice("scheme", scheme, SCHEMES)
        self.noise_law = checks.choice("noise", noise, ("gaussian", "three-point"))
        self.friction = friction
        self.walls = walls_of(walls, potential)
        # the kernels take writable arrays
        self.table = np.zeros((4, 0)) if self.walls is None else self.walls.table.copy()
        self.has_absorbing = self.walls is not None and self.walls.has("absorbing")
        self.sources = sources_of(killing, resetting, self.ndim, scheme)
        self.has_exits = self.has_absorbing or self.sources is not None
        if self.sources is not None and self.walls is None:
            self.table = np.zeros((4, self.ndim))                # sides without walls
        self.mobility = mobility_of(mobility, self.ndim)
        # what a step goes down along: grad f, grad f - F, or minus the whole drift
        self.field, self.is_drift, self.n_rows = stepped_along(potential, self.mobility, self.process)
        self._check_scheme(theta, mobility)
        self.schedule = Schedule(potential if self.field is None else self.field, theta, dt, friction or 0.0)
        self.seed, self.key = key_of(seed)
        self.n_threads = None if n_threads is None else checks.whole("n_threads", n_threads, 1)
        self._start(x0, n_paths, trajectories)
        if scheme != "mala":                                     # which compares values of f
            refuse_jumps(potential, self.X.T, self.schedule.theta, self.table)
        self.lanes = self._lanes(lanes)
        if self.sources is not None:
            self.sources.check(self.X.T)
        self.is_whole = bool(self.field is None or self.field.is_black_box or potential.domain is not None
                             or not self.mobility.is_constant and not self.n_rows)
        if self.is_whole and self.sources is not None:
            raise ValueError("killing and resetting of paths need a potential, a force and a mobility that "
                             "can be compiled, and a domain without holes.")
        self._arrays(velocity)
        self.precision = self._precision(checks.choice("precision", precision, ("auto", "double", "single")))
        if self.precision == "single":
            self.halves = np.empty((2, *self.X.shape), np.float32)
            self.halves[0] = self.X
            self.halves[1] = self.halves[0] - self.X
            self.X[:] = self.halves[0].astype(float) - self.halves[1]
        self.step, self.time, self.before = 0, 0.0, None
        self.unfolded = None  # of steps in NumPy: places before walls folded them

    # ---- making ----
    def _check_scheme(self, theta, mobility):
        scheme = self.scheme
        is_gradient = self.process is None or self.process.is_gradient
        if scheme == "mala" and not is_gradient:
            raise ValueError('scheme "mala" corrects steps to the Gibbs density, which a force or a drift of '
                             'its own does not have; use "euler-maruyama" or "heun".')
        if scheme == "baoab":
            if self.process is not None and self.process.equation is not None:
                raise ValueError('scheme "baoab" needs a potential and a force; an equation given by its '
                                 'drift and diffusion is overdamped.')
            if self.process is not None and self.mobility.is_unit:
                mobility = None
            if self.friction is None:
                raise ValueError('scheme "baoab" needs friction=, the damping rate in 1/time; large friction '
                                 'approaches overdamped dynamics.')
            checks.number("friction", self.friction, positive=True)
            if mobility is not None:
                raise ValueError('mobility is for overdamped schemes; "baoab" has unit mass and takes '
                                 'friction= alone.')
        elif self.friction is not None:
            raise ValueError(f'friction is for scheme "baoab"; "{scheme}" is overdamped and takes mobility=.')
        if not self.mobility.is_constant and scheme != "euler-maruyama":
            raise ValueError('a mobility that depends on the place needs scheme "euler-maruyama" (Ito), got '
                             f'"{scheme}".')
        if scheme == "mala" and isinstance(theta, numbers.Real) and theta == 0:
            raise ValueError('theta must be positive for "mala", got 0. The noise-free limit is '
                             'fpkit.gradient_flow.')
        if self.noise_law == "three-point" and scheme != "leimkuhler-matthews":
            raise ValueError('noise "three-point" is for averages with "leimkuhler-matthews", got scheme '
                             f'"{scheme}".')
        if self.has_absorbing and (scheme in ("leimkuhler-matthews", "mala")
                                   or not self.mobility.is_constant):
            what = f'"{scheme}"' if self.mobility.is_constant else "a mobility that depends on the place"
            raise ValueError(f'absorbing walls need true passage times, which {what} has not; use '
                             '"euler-maruyama" or "heun" with a '
                             'constant mobility, or "baoab".')

    def _start(self, x0, n_paths, trajectories):
        x = checks.points("x0", np.atleast_1d(x0), self.ndim)
        if x.ndim > 2:
            raise ValueError(f"x0 must have shape ({self.ndim},) or (n_paths, {self.ndim}), got {x.shape}.")
        n = None if n_paths is None else checks.whole("n_paths", n_paths, 1)
        if x.ndim == 2 and n is not None and len(x) != n:
            raise ValueError(f"x0 has {len(x)} rows and n_paths is {n}; give one start for all, or one a "
                             "path.")
        if x.ndim == 2 and len(x) == 0:
            raise ValueError("x0 has no rows; give at least one path.")
        self.n_paths = n = (1 if x.ndim == 1 else len(x)) if n is None else n
        self.X = np.ascontiguousarray(np.broadcast_to(x if x.ndim == 2 else x[None], (n, self.ndim)).T).copy()
        self.trajectories = np.arange(n) if trajectories is None else np.array(trajectories, np.int64)
        if self.trajectories.shape != (n,) or (self.trajectories < 0).any():
            raise ValueError(f"trajectories must be {n} whole numbers, not negative.")
        self.turns = np.zeros((self.ndim, n) if self.table.shape[1] else (0, 0))
        if self.walls is not None:
            for k, (low, high) in enumerate(self.walls.bounds):
                if self.table[0, k] == 2:
                    continue
                bad = ~((self.X[k] >= low) & (self.X[k] <= high))
                if bad.any():
                    raise ValueError(f"x0 starts {int(bad.sum())} of {n} paths outside the walls: axis {k} "
                                     f"covers {low:g} to {high:g}, got {self.X[k][bad][0]:g}.")
        domain = self.potential.domain
        if domain is not None and not np.asarray(domain(self.X.T), bool).all():
            bad = ~np.asarray(domain(self.X.T), bool)
            raise ValueError(f"x0 starts {int(bad.sum())} of {n} paths outside the domain of the potential, "
                             f"first at {self.X[:, bad][:, 0].tolist()}.")

    def _lanes(self, lanes):
        if lanes is not None:
            lanes = checks.whole("lanes", lanes, 32)
            if lanes % 32:
                raise ValueError(f"lanes must be a multiple of 32, got {lanes}.")
            return lanes
        lanes = 128
        while lanes > 32 and self.n_paths < lanes * (self.n_threads or 2):
            lanes //= 2
        return lanes

    def _arrays(self, velocity):
        from . import noise_kernels as noise
        from .wall_kernels import fold_all
        d, n = self.X.shape
        if self.walls is not None and self.walls.has("periodic"):
            fold_all(self.X, self.table, np.ones((d, n)), self.turns)
        self.S, self.noise = np.empty((4, n), np.uint32), np.zeros((2, d, n), np.float32)
        noise.seed_states(self.S, self.trajectories, noise.PATH, self.key)
        n_absorbed = n if self.has_exits else 0
        self.exit_time, self.exit_side = np.full(n_absorbed, np.nan), np.full(n_absorbed, -1)
        self.velocity, self.halves = np.zeros((0, 0)), None
        self.U, self.accepted = np.zeros((4, 0), np.uint32), np.zeros(0, np.int64)

        def drawn(purpose, is_three_point=False):
            """d numbers of a stream of their own for every trajectory."""
            states, out = np.empty((4, n), np.uint32), np.empty((d + d % 2, n), np.float32)
            noise.seed_states(states, self.trajectories, purpose, self.key)
            noise.draw_noise(states, out, is_three_point)
            return out[:d]

        if self.scheme == "leimkuhler-matthews":
            z = drawn(noise.MEMORY, self.noise_law == "three-point")
            self.noise[0] = self.mobility.root @ z if self.mobility.is_full else z
        if self.scheme == "mala":
            self.U, self.accepted = np.empty((4, n), np.uint32), np.zeros(n, np.int64)
            noise.seed_states(self.U, self.trajectories, noise.ACCEPTANCE, self.key)
        if self.scheme == "baoab":
            if velocity is None:  # Maxwell's distribution at the first temperature
                theta = self.schedule.theta
                theta = float(np.reshape(theta(0.0), ())) if callable(theta) else theta
                self.velocity = np.sqrt(theta) * drawn(noise.VELOCITY).astype(float)
            else:
                v = checks.points("velocity", np.atleast_1d(velocity), d)
                self.velocity = np.ascontiguousarray(np.broadcast_to(v, (n, d)).T).copy()
        elif velocity is not None:
            raise ValueError(f'velocity is for scheme "baoab"; "{self.scheme}" has none.')

    def _precision(self, wanted):
        can = (not self.is_whole and not self.table.shape[1] and not self.mobility.is_full
               and not self.is_drift
               and self.scheme in ("euler-maruyama", "leimkuhler-matthews"))
        if wanted == "double" or (wanted == "auto" and not can):
            return "double"
        if wanted == "single":
            if not can:
                raise ValueError('precision "single" is for "euler-maruyama" and "leimkuhler-matthews" with '
                                 'a compiled potential, without '
                                 'walls and with a diagonal mobility; use "auto" or "double".')
            return "single"
        # nothing hides a rounding then
        is_noise_free = isinstance(self.schedule.theta, float) and self.schedule.theta == 0
        return "single" if not is_noise_free and self._single_agrees() else "double"

    def _single_agrees(self):
        """Whether float32 and float64 drifts agree on the starts and on clouds of the size of 1, 30 and 1000
        steps around them."""
        try:
            single, double = self.field.block("gradient_single"), self.field.block("gradient")
        except (NotImplementedError, KeyError, ValueError, TypeError):
            return False                                          # a potential without a float32 form
        steps, P, _ = self.schedule.rows(0, 1, 0.0)
        z = np.random.default_rng(0).standard_normal((4, self.ndim, min(self.n_paths, 64)))
        x = self.X[:, :z.shape[2]]
        X = np.concatenate([x] + [x + steps[0, 1] * np.sqrt(m) * z[i] for i, m in enumerate((1, 30, 1000))],
                           axis=1)
        G, H = np.empty(X.shape), np.empty(X.shape, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            double(np.ascontiguousarray(X), P[0], G)
            single(X.astype(np.float32), P[0], H)
        size = np.maximum(1.0, abs(G).max(axis=0))
        # the place itself is rounded to 24 bits: that much is felt as a shift, not as an error of the drift
        return bool((abs(H - G).max(axis=0) <= SINGLE_TOLERANCE * size
                     * np.clip(abs(X).max(axis=0), 1.0, LARGEST_SHIFT)).all())

    # ---- stepping ----
    @property
    def x(self):
        """Places (n_paths, ndim), a copy."""
        return self.X.T.copy(order="C")

    def advance(self, n_steps, every=None):
        """Make `n_steps` steps. With `every`: places at the steps divisible by it, (n_saved, ndim,
        n_paths)."""
        self.before = self.state()
        saved = None
        if every:
            saved = np.empty(((self.step + n_steps) // every - self.step // every, *self.X.shape))
        done = 0
        while done < n_steps:
            n = min(n_steps - done, LARGEST_TABLE) if self.schedule.is_varying else n_steps - done
            steps, P, end = self.schedule.rows(self.step, n, self.time)
            part = np.empty((0, 0, 0))
            if every:
                first = self.step // every - self.before["step"] // every
                part = saved[first:first + (self.step + n) // every - self.step // every]
            if self.is_whole:
                advance_whole(self, steps, P, self.step, n, part, every)
            else:
                self._compiled(steps, P, n, part, every or 0)
            self.step, self.time, done = self.step + n, end, done + n
        return saved

    def _compiled(self, steps, P, n, saved, every):
        from .step_kernels import Mobility, Plan
        from .wall_kernels import Box
        V, scheme = self.potential, SCHEMES.index(self.scheme)
        field, is_three_point = self.field, self.noise_law == "three-point"
        root = np.eye(self.ndim) if self.n_rows else self.mobility.root
        plan = Plan(steps, P, self.step, n, self.lanes, every)
        mobility = Mobility(root, self.mobility.is_full and not self.n_rows, self.is_drift, self.n_rows)
        box = Box(self.table, self.turns, self.exit_time, self.exit_side, self.trajectories,
                  self.table.shape[1] > 0, self.walls is not None and self.walls.has("reflecting"),
                  self.has_exits, np.uint64(self.key))
        with thread_count(self.n_threads), np.errstate(over="ignore", invalid="ignore"):
            if self.scheme == "mala":
                from .metropolis_kernels import metropolis
                metropolis(self.X, self.noise, self.S, self.U, self.accepted, V.block("value"),
                           V.block("gradient"), plan, mobility, saved, box)
            elif self.scheme == "baoab":
                from .underdamped_kernels import underdamped
                underdamped(self.X, self.velocity, self.noise, self.S, field.block("gradient"), plan, saved,
                            box)
            elif self.precision == "single":
                from .single_kernels import overdamped_single
                overdamped_single(self.X, self.halves, self.noise, self.S, field.block("gradient_single"),
                                  plan, root, scheme, is_three_point, saved)
            elif self.sources is not None:
                from .overdamped_kernels import overdamped_with_sources
                overdamped_with_sources(self.X, self.noise, self.S, field.block("gradient"), plan, mobility,
                                        scheme, is_three_point, saved, box, *self.sources.table(self.key))
            elif self.walls is None and self.scheme != "heun":
                from .overdamped_kernels import overdamped
                overdamped(self.X, self.noise, self.S, field.block("gradient"), plan, mobility, scheme,
                           is_three_point, saved)
            else:
                from .overdamped_kernels import overdamped_in_box
                overdamped_in_box(self.X, self.noise, self.S, field.block("gradient"), plan, mobility, scheme,
                                  is_three_point, saved, box)

    # ---- state ----
    _STATE = ("X", "noise", "S", "turns", "exit_time", "exit_side", "velocity", "U", "accepted", "halves")

    def state(self):
        """All that the next steps depend on, as a dictionary of NumPy arrays (copies)."""
        state = {name: getattr(self, name).copy() for name in self._STATE if getattr(self, name) is not None}
        return state | {"step": np.int64(self.step), "time": np.float64(self.time)}

    def restore(self, state):
        """Go back to a `state()` of an ensemble made with the same arguments; the steps that follow are the
        same to the bit."""
        for name in self._STATE:
            mine = getattr(self, name)
            if mine is None and name not in state:
                continue
            given = np.asarray(state[name])
            if mine is None or given.shape != mine.shape or given.dtype != mine.dtype:
                raise ValueError(f"this state does not fit the ensemble: {name} is {given.dtype} "
                                 f"{given.shape}; it was made with other settings.")
            mine[...] = given
        self.step, self.time = int(state["step"]), float(state["time"])

    def part(self, which):
        """An ensemble of the same settings that holds only the trajectories `which` (indices), in their
        present state."""
        other = object.__new__(Ensemble)
        other.__dict__.update(self.__dict__)
        for name in self._STATE:
            array = getattr(self, name)
            setattr(other, name, array if array is None or array.shape[-1] != self.n_paths
                    else np.ascontiguousarray(array[..., which]))
        other.trajectories = np.ascontiguousarray(self.trajectories[which])
        other.n_paths, other.before = other.trajectories.size, None
        other.lanes = 32
        return other

    def check_finite(self):
        """Raise DivergenceError when a path is no longer finite."""
        if not np.isfinite(self.X).all():
            raise diverged(self)
