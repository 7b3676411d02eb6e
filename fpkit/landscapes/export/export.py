"""Export a loss landscape: evaluate a network's loss on a plane, so that a kill at any moment loses next to
nothing."""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.files import target
from ...core.progress import bar
from ..files.checked_hdf5 import LandscapeFormatError, open_checked
from ..files.reading import read_landscape
from ..files.writing import SURFACES, write_landscape
from ..full_space.solutions import SolutionComparison, compare_solutions
from ..surface.cells import FAILED, NOT_FINITE, OK
from ..surface.landscape import Landscape
from . import journal
from .evaluation import evaluated, potential_of
from .gradient_noise import LossWithNoise, noise_names
from .models import ModelLoss, is_model
from .planes import Plane, parameter_vector

__all__ = ["export_landscape", "coarse_to_fine"]

DIRECTIONS_UP_TO = 100_000  # parameters: the directions of larger networks are stored only when asked for
DEFAULT_SAMPLES = 51
# in /fpkit
OWN_PLACES = {f"noise_{name}": f"noise/{name}" for name in noise_names(3).values()} | {
    "loss_stderr": "loss_stderr", "logdet_perp": "hessian/logdet_perp",
    "hessian_trace": "hessian/trace"}


@understood
def export_landscape(path: str | os.PathLike, loss: Any, plane: Plane,
                     x: ArrayLike | None = None, y: ArrayLike | None = None, z: ArrayLike | None = None, *,
                     data: Any = None, test_data: Any = None, criterion: Callable | None = None,
                     batchnorm: str = "fixed", at_once: int = 1, trajectory: Any = None,
                     steps: ArrayLike | None = None,
                     workers: int = 1, executor: Executor | None = None, thread_safe: bool = False,
                     share: tuple[int, int] | None = None, save_every: float = 60.0, on_error: str = "raise",
                     overwrite: bool = False, temperature: Any = None, meta: dict | None = None,
                     store_directions: bool | None = None, created_utc: str | None = "today",
                     whole_space: Any = None, noise: Any = None,
                     progress: bool | None = None) -> Landscape | None:
    """Landscape of a loss on a line, a plane or a space of parameters, computed and written to an HDF5 file.

    Points are computed from a coarse grid to finer ones, so that an interrupted job is a usable landscape of
    fewer samples (``read_landscape(path, every=4)``). Each value goes into a journal beside the file at once
    and the file is replaced whole from time to time. The same call again goes on where a killed one stopped,
    to the same bits as if it had not been disturbed.

    Parameters
    ----------
    path : str or path
        The file, in fpkit's schema 1.0, which the plotters of tomgoldstein/loss-landscape read as well.
    loss : callable, torch.nn.Module or fitted estimator of scikit-learn
        A model brings its own parameters and needs `data`. Otherwise ``loss(vector)`` for a float64 vector of
        shape (n_params,): a number, the training loss; or a dict with train_loss and/or test_loss, train_acc,
        test_acc (in per cent), loss_stderr, logdet_perp (log det of the Hessian across the plane),
        hessian_trace, and further numbers under other names. A loss may be an array of losses of equal
        minibatches: their mean is stored, and its standard error in /fpkit/loss_stderr.
    plane : Plane
    x, y, z : (low, high, n), or ndarray of coordinates
        Default: 51 samples over ``plane.box()``.
    data, test_data, criterion, batchnorm : optional
        Of a model, which is copied and evaluated in evaluation mode; see `export.models.ModelLoss`.
    at_once : int
        Points that a torch model evaluates together by torch.func.vmap (two to three times faster where the
        data are few; nothing is gained for convolutions over many); the last digits may differ.
    trajectory : ndarray (n_checkpoints, n_params), or list of vectors or of lists of tensors, optional
        Checkpoints of a training, projected by G^-1 D (v - origin), with their distance from the plane and
        their loss.
    steps : array of int, optional
        Steps of the checkpoints; default 0, 1, 2, ...
    workers : int
        Processes on this machine; the loss must then be importable (no lambda).
    executor : concurrent.futures.Executor, optional
        Where points are computed instead: threads, processes, MPI, dask. Its pickled tasks hold the loss and
        one vector.
    thread_safe : bool
        The loss keeps no state (a pure function of its vector), so that threads may evaluate it at once.
    share : (k, n), optional
        Compute only every n-th point from the k-th on into a journal of its own: n independent jobs share an
        export without knowing each other. Call once more without `share` to gather them. Returns None.
    save_every : float
        Seconds between two replacements of the file.
    on_error : {"raise", "record"}
        An exception in the loss ends the job (nothing is lost), or the point is marked as failed.
    overwrite : bool
        Throw away a file or journal of another job under this name; otherwise they are refused.
    temperature : Any, optional
        From `sgd_temperature`, stored with the plane.
    meta : dict, optional
        What the file shall tell: data set, model, seed, weight decay. Part of the job's identity.
    store_directions : bool, optional
        Store the directions of the plane; default up to 100,000 parameters.
    created_utc : str or None
        Attribute of the file; default the day on which the job was begun.
    whole_space : SolutionComparison, or (loss_and_gradient, theta[, tether]), optional
        Free energies in the space of all parameters of the solutions (A, B, C, ...) that made the plane,
        found by `fpkit.compare_solutions` and stored: a report has them beside those of the plane.
    noise : bool or callable, optional
        Measure the covariance of single samples' gradients in the plane, for what SGD itself settles to:
        True for a model, or ``noise(vector)`` giving gradients (n, n_params); see `export.gradient_noise`.
    progress : bool, optional
        A bar on standard error; default on a terminal.

    Returns
    -------
    Landscape
        The file read back.

    Notes
    -----
    A job is known by the hash of the plane, the coordinates, the trajectory, `temperature` and `meta`; of a
    model also by its samples and criterion. A function cannot be hashed: let `meta` name it. A value that is
    not finite is a result and is not computed again.

    Examples
    --------
    >>> import os, tempfile
    >>> import fpkit as fp
    >>> path = os.path.join(tempfile.mkdtemp(), "run.h5")
    >>> plane = fp.Plane.through(np.zeros(10), np.ones(10), np.arange(10.0))
    >>> land = fp.export_landscape(path, lambda w: float(w @ w), plane, x=(-1, 5, 13), y=(-1, 11, 25))
    >>> land.shape, land.minimum_index, bool(np.allclose(land.gram, np.eye(2)))
    ((25, 13), (2, 2), True)
    """
    loss, meta = _loss_of(loss, plane, data, test_data, criterion, batchnorm, meta, noise)
    checks.choice("on_error", on_error, ("raise", "record"))
    save_every = checks.number("save_every", save_every, non_negative=True)
    workers, at_once = checks.whole("workers", workers, 1), checks.whole("at_once", at_once, 1)
    _check_places(loss, workers, executor, thread_safe, at_once)
    meta = _with_whole_space(meta, whole_space, plane, target(path), progress)
    job = _Job(target(path), plane, (x, y, z), trajectory, steps, temperature, meta, store_directions)
    if created_utc == "today":
        created_utc = datetime.datetime.now(datetime.UTC).date().isoformat()
    if overwrite:
        _remove(job.path, *journal.journals(job.path))
    is_complete, created_utc = job.resume(created_utc)
    if not is_complete:
        mine = job.order if share is None else job.order[_share(share)]
        pending = [int(i) for i in mine if int(i) not in job.results]
        name = f"{job.path}.journal" + ("" if share is None else f".{share[0]}")
        saving = save_every if share is None else np.inf
        points = lambda tasks: evaluated(loss, tasks, workers, executor, on_error, at_once)
        _compute(job, points, pending, name, created_utc, saving, progress)
        if share is not None:
            return None
        job.save(created_utc)
    for old in journal.journals(job.path):               # the complete file is on the disk
        os.remove(old)
    return read_landscape(job.path)


def _check_places(loss, workers, executor, thread_safe, at_once):
    """Whether the loss may be evaluated where it shall be."""
    if at_once > 1 and isinstance(loss, LossWithNoise):
        raise ValueError("at_once does not measure the noise; leave it out.")
    has_model = isinstance(getattr(loss, "loss", loss), ModelLoss)
    if isinstance(executor, ThreadPoolExecutor) and not thread_safe and not has_model:
        raise ValueError("threads share one model, and a loss that puts a vector into it would be evaluated "
                         "with the weights of another thread: give workers=n (processes), an executor of "
                         "processes, or thread_safe=True for a loss that keeps no state.")
    if at_once > 1 and (workers > 1 or executor is not None or not has_model):
        raise ValueError("at_once is for a model in this process: leave out workers and executor.")


def _loss_of(loss, plane, data, test_data, criterion, batchnorm, meta, noise):
    """The loss as a function of a vector, with its noise where that is wanted, and what the file shall tell
    of a model."""
    if noise is not None and noise is not False:
        loss, meta = _loss_of(loss, plane, data, test_data, criterion, batchnorm, meta, None)
        return LossWithNoise(loss, noise, plane), {"gradient_noise": "single samples"} | dict(meta or {})
    if not isinstance(plane, Plane):
        raise TypeError(f"plane must be a fpkit.Plane, got {checks.shown(plane)}.")
    if is_model(loss):
        model = ModelLoss(loss, data, test_data, criterion, batchnorm)
        if plane.n_params != model.n_params:
            raise ValueError(f"the plane lies in {plane.n_params} parameters and the model has "
                             f"{model.n_params}" + (" with its BatchNorm statistics."
                                                    if batchnorm == "interpolate" else "."))
        return model, {"model": type(model.model).__name__, "batchnorm": batchnorm,
                       "samples": model.fingerprint()} | dict(meta or {})
    if data is not None or test_data is not None or criterion is not None:
        raise ValueError("data, test_data and criterion belong to a model, and the loss is a function.")
    if not callable(loss):
        raise TypeError(f"loss must be a function of a parameter vector, got {checks.shown(loss)}.")
    return loss, meta


def _remove(*paths):
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _with_whole_space(meta, given, plane, path, progress):
    """`meta` with the comparison of the plane's solutions: as given, or made with a checkpoint beside the
    file."""
    if given is None:
        return meta
    found = given if isinstance(given, SolutionComparison) else _compared(given, plane, path, progress)
    return {**(meta or {}), "whole_space": found.summary()}


def _compared(given, plane, path, progress):
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError("whole_space must be what fpkit.compare_solutions returns, or (loss_and_gradient, "
                        f"theta) or (loss_and_gradient, theta, tether), got {checks.shown(given)}.")
    if len(plane.points) < 2 or "checkpoints" in plane.kind:
        raise ValueError("whole_space compares the solutions that made the plane, and this plane was not "
                         "made of two or more: take fpkit.Plane.through(...).")
    solutions = {chr(ord("A") + k): plane.at(point) for k, point in enumerate(plane.points[:26])}
    tether = given[2] if len(given) == 3 else None
    notes = f"{path}.whole_space"
    found = compare_solutions(given[0], solutions, given[1], tether, checkpoint=notes, progress=progress)
    if found.status != "ok":
        raise KeyboardInterrupt(f"{found.status}; the same call goes on")
    os.remove(notes)
    return found


def coarse_to_fine(shape: tuple[int, ...]) -> np.ndarray:
    """Flat indices of a grid, those of the coarsest nested grid first: all multiples of 2^k, then of 2^(k-1),
    ...

    Examples
    --------
    >>> coarse_to_fine((5,)).tolist(), coarse_to_fine((3, 3))[:5].tolist()
    ([0, 4, 2, 1, 3], [0, 2, 6, 8, 1])
    """
    level = np.full(shape, 64)
    for axis, n in enumerate(shape):
        i = np.arange(n)
        zeros = np.where(i > 0, np.log2(np.maximum(i & -i, 1)).astype(int), 64)
        # the coarsest grid of this axis is in every coarse grid
        zeros[zeros >= (n - 1).bit_length() - 1] = 64
        level = np.minimum(level, zeros.reshape([-1 if a == axis else 1 for a in range(len(shape))]))
    return np.argsort(-level.ravel(), kind="stable")


def _compute(job, points, pending, name, created, save_every, progress):
    """Evaluate the pending points, each into the journal at once; the file is replaced every `save_every`
    seconds."""
    book, saved = None, time.monotonic()
    try:
        with bar(len(pending), "landscape", progress, " points") as shown:
            tasks = ((i, job.vector(i)) for i in pending)
            for index, found in points(tasks):
                status, values = job.record(index, found)
                if values is None:  # the first result names the values; a failure before it has to wait
                    continue
                if book is None:
                    book = journal.Journal(name, {"fpkit_journal": 1, "config": job.config,
                                                  "names": list(job.names), "created": created})
                    for early in job.early:
                        book.append(early, FAILED, [np.nan] * len(job.names))
                book.append(index, status, values)
                if shown is not None:
                    shown.update()
                if time.monotonic() - saved > save_every:
                    job.save(created)
                    saved = time.monotonic()
        if pending and book is None:
            raise ValueError(f"the loss failed at every point; the first reason: {job.first_failure}")
    except BaseException as error:
        if job.names and save_every < np.inf:
            with contextlib.suppress(Exception):         # what is known is in the journal anyway
                job.save(created)
        if type(error) is KeyboardInterrupt:
            raise KeyboardInterrupt("stopped by Ctrl-C: what was computed is kept; the same call goes "
                                    "on") from None
        raise
    finally:
        if book is not None:
            book.close()


class _Job:
    """What is to be computed, what is known, and how it becomes a file. Point i < n_cells is a cell, the rest
    are checkpoints."""

    def __init__(self, path, plane, axes, trajectory, steps, temperature, meta, store_directions):
        if temperature is not None and not hasattr(temperature, "entries"):
            raise TypeError("temperature must be what fpkit.sgd_temperature returned, got "
                            f"{checks.shown(temperature)}; a number goes into meta={{\"temperature\": ...}}.")
        self.path, self.plane, self.meta, self.temperature = path, plane, dict(meta or {}), temperature
        self.axes = _axes(axes, plane)
        self.shape = tuple(a.size for a in self.axes)[::-1]
        self.n_cells = int(np.prod(self.shape))
        self.checkpoints = [] if trajectory is None else trajectory
        self.places, self.residuals = plane.project(self.checkpoints)
        self.steps = np.arange(len(self.places)) if steps is None else np.asarray(steps)
        if self.steps.shape != (len(self.places),) or (len(self.steps) and self.steps.dtype.kind not in "iu"):
            raise ValueError(f"steps must be {len(self.places)} whole numbers, one a checkpoint of the "
                             f"trajectory, got {checks.shown(steps)}.")
        self.has_directions = (plane.n_params <= DIRECTIONS_UP_TO if store_directions is None
                               else bool(store_directions))
        self.order = np.r_[coarse_to_fine(self.shape), self.n_cells + np.arange(len(self.places))]
        self.results, self.names, self.early, self.first_failure = {}, None, [], None
        try:
            self.text = json.dumps({"export": self.meta, "plane": plane.describe()}, allow_nan=False,
                                   sort_keys=True)
        except (TypeError, ValueError) as error:
            raise ValueError(f"meta must hold what JSON can hold ({error}).") from None
        self.config = self._hash()

    def _hash(self):
        h = hashlib.sha256(b"fpkit export 1\n")
        h.update(self.text.encode())
        for a in (self.plane.origin, self.plane.directions, *self.axes, self.places, self.residuals,
                  self.steps):
            a = np.ascontiguousarray(a, "<f8")
            h.update(repr(a.shape).encode() + a.tobytes())
        h.update(json.dumps(None if self.temperature is None else self.temperature.to_dict(), sort_keys=True,
                            default=float).encode())
        h.update(str(self.has_directions).encode())
        return h.hexdigest()

    def vector(self, i):
        """Parameters of point i."""
        if i >= self.n_cells:
            return parameter_vector("checkpoint", self.checkpoints[i - self.n_cells])[0]
        index = np.unravel_index(i, self.shape)[::-1]
        return self.plane.at([a[k] for a, k in zip(self.axes, index)])

    def record(self, index, found):
        """Keep a result; its status and values in the order of `names` (values None while no names are
        known)."""
        if isinstance(found, str):
            self.first_failure = self.first_failure or found
            status, values = FAILED, None if self.names is None else [np.nan] * len(self.names)
            if values is None:
                self.early.append(index)
        else:
            names = tuple(sorted(found, key=lambda n: (SURFACES.index(n) if n in SURFACES else len(SURFACES),
                                                       n)))
            if self.names is None:
                self.names = names
            if names != self.names:
                raise ValueError(f"the loss returned {', '.join(names)} after {', '.join(self.names)}; it "
                                 "must return the same names everywhere.")
            status, values = (OK if np.isfinite(found[potential_of(names)]) else NOT_FINITE,
                              [found[n] for n in names])
        self.results[index] = status, values
        return status, values

    def resume(self, created):
        """Take over what an earlier call computed; whether all is done, and the day on which the job was
        begun."""
        is_complete = False
        if os.path.lexists(self.path):
            is_complete, created = self._resume_file(created)
        for name in () if is_complete else journal.journals(self.path):
            header, records = journal.read(name)
            if header is None:
                continue
            if header.get("config") != self.config:
                self._refuse(name)
            if self.names not in (None, tuple(header["names"])):
                self._refuse(name)
            self.names, created = tuple(header["names"]), header.get("created", created)
            for index, status, values in records:
                self.results[int(index)] = int(status), values
        return is_complete, created

    def _resume_file(self, created):
        columns, names = [], ()
        try:
            with open_checked(self.path) as file:
                attributes, is_ours = file.attributes(), file.text("fpkit/config") == self.config
                created = attributes.get("created_utc")
                if is_ours and not attributes.get("complete"):
                    names = tuple(json.loads(file.text("fpkit/names")))
                    status = file.array("fpkit/status", shapes={self.shape}).ravel().astype(int)
                    columns = [file.array(f"fpkit/{OWN_PLACES[n]}" if n in OWN_PLACES else n,
                                          shapes={self.shape}).ravel() for n in names]
        except LandscapeFormatError as error:
            raise ValueError(f"{self.path!r} is there and cannot be resumed ({error.reason}); take another "
                             "name, or overwrite=True.") from None
        if not is_ours:
            self._refuse(self.path)
        if not columns:
            return True, created
        self.names = names
        self.results = {int(i): (int(status[i]), [float(c[i]) for c in columns])
                        for i in np.flatnonzero(status)}
        return False, created

    def _refuse(self, name):
        raise ValueError(f"{name!r} belongs to another export (another plane, other coordinates, another "
                         "trajectory or meta); take another name, or overwrite=True to throw it away.")

    def save(self, created):
        """Replace the file by what is known."""
        columns = np.full((len(self.names), self.n_cells + len(self.places)), np.nan)
        status = np.zeros(columns.shape[1], "u1")
        for index, (state, values) in self.results.items():
            status[index] = state
            if values is not None:
                columns[:, index] = values
        table = {n: c[:self.n_cells].reshape(self.shape) for n, c in zip(self.names, columns)}
        own = {"config": self.config, "names": json.dumps(self.names),
               "origin_norm": np.sqrt((self.plane.origin**2).sum())}
        own |= {place: table.pop(name) for name, place in OWN_PLACES.items() if name in table}
        if self.has_directions:
            own |= {f"directions/{n}": d for n, d in zip("xyz", self.plane.directions)}
        if self.temperature is not None:
            own |= {f"temperature/{k}": v for k, v in self.temperature.entries().items()}
        path_of = None
        if len(self.places):
            losses = columns[self.names.index(potential_of(self.names)), self.n_cells:]
            path_of = {**dict(zip("xyz", self.places.T)), "step": self.steps, "loss": losses,
                       "residual": self.residuals}
        surfaces = {n: table.pop(n) for n in SURFACES if n in table}
        ratio = self.plane.facts.get("explained_variance_ratio")
        others = {**table, **({} if ratio is None or path_of is None
                              else {"explained_variance_ratio_": np.array(ratio)})}
        axes = dict(zip("xyz", self.axes))
        write_landscape(self.path, axes["x"], axes.get("y"),
                        surfaces, self.plane.gram, path_of, {**self.meta, "plane": self.plane.describe()},
                        self.plane.n_params, created_utc=created, z=axes.get("z"),
                        status=status[:self.n_cells].reshape(self.shape), others=others, own=own,
                        is_complete=len(self.results) == len(self.order))


# ---- arguments ----

def _axes(given, plane):
    """Coordinate arrays from (low, high, n), from arrays, or by default from the plane's own box."""
    axes = []
    for name, spec, box in zip("xyz", given, plane.box() + [None] * 3):
        if box is None:
            if spec is not None:
                raise ValueError(f"{name} was given and the plane has only {plane.ndim} direction(s).")
            continue
        spec = (*box, DEFAULT_SAMPLES) if spec is None else spec
        if isinstance(spec, tuple):
            if len(spec) != 3:
                raise ValueError(f"{name} must be (low, high, number of samples) or an array of coordinates, "
                                 f"got {checks.shown(spec)}.")
            low, high, n = (checks.number(name, spec[0]), checks.number(name, spec[1]),
                            checks.whole(f"the number of samples of {name}", spec[2], 2))
            if not low < high:
                raise ValueError(f"{name} must run from a lower to a higher coordinate, got {low:g} to "
                                 f"{high:g}.")
            spec = np.linspace(low, high, n)
        a = np.array(spec, "<f8")
        if a.ndim != 1 or a.size < 2 or not np.isfinite(a).all() or not (np.diff(a) > 0).all():
            raise ValueError(f"{name} must be at least two finite increasing coordinates, got "
                             f"{checks.shown(spec)}.")
        axes.append(a)
    return axes


def _share(share):
    try:
        k, n = share
    except (TypeError, ValueError):
        raise ValueError(f"share must be (k, n), the k-th of n jobs, got {checks.shown(share)}.") from None
    k, n = checks.whole("share", k), checks.whole("share", n, 1)
    if k >= n:
        raise ValueError(f"share=({k}, {n}): k counts from 0 to {n - 1}.")
    return slice(k, None, n)
