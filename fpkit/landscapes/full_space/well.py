"""Free energy of one well in the space of all parameters, and the local learning coefficient beside it."""
from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.interruption import interruption
from ...core.plain_json import plain
from ...core.results import Estimate
from ...langevin.runs.driving import bar
from ...rates.guard import REFUSE, WARN, Guard, Reason
from .annealing import SPREADING, Failed, Ladder, Plan, Stopped, climb, sums_of
from .book import Book, Part, fingerprint
from .gaussian import DENSE_UP_TO, Curvature, Gaussian, dense_curvature, lanczos_curvature
from .losses import Loss
from .pilot import FARTHEST, Pilot, descended, gaussian_at, pilot, polished, share_home, standard_errors
from .sampler import Target, adapted, moved

MOST_GRADIENTS = 3e6             # of one well: the slowest that was answered took half of that
LARGE = 1000                     # parameters from which walkers, islands and kicks are fewer
N_MOVES, MOST_MOVES = 12, 240
PER_CORRELATION = 2.0            # moves of a level for each that one independent sample takes
N_ATTEMPTS = 3                   # with twice the moves, while up and down disagree
STATIONARY = 0.01                # nats for each parameter that a Newton step may still gain
NEGATIVE = -1e-3                 # of the largest eigenvalue: a saddle, or kinks
LOWER = 0.01                     # theta d: a loss this far below that of x0
Z_LIMIT, GAP_ERRORS, GAP_NATS, ACCEPTANCE = 4.0, 3.0, 1.0, 0.4
NEARLY = 1e-4                    # nats for each parameter: near enough to the bottom
N_LBFGS, N_NEWTON, N_STEPS = 600, 4, 60
COLDER = 10.0                    # the walk that looks for a lower minimum nearby
N_RELOCATIONS = 4
FINAL = 4                        # moves at s = 1 of a learning coefficient, in moves of a level
NAN = math.nan
HESSIANS = ("auto", "dense", "lanczos")


class WellFreeEnergy(Estimate):
    """Free energy of a well in units of the loss; refused ones are NaN with the reason in `status`.

    `inputs` holds, in nats (F/theta): ``nats, up, down, standard_error, harmonic, integral, ais_up,
    ais_down, entropy``; ``mean_loss, loss, learning_coefficient, z, z_distance, acceptance, levels, n_moves,
    n_gradients, home, moved, x0, theta, tether, definition, seed, guard``, and ``path`` for the figure.
    """

    @property
    def guard(self) -> Guard:
        """Every rule that was broken: refusals and warnings."""
        return self.inputs["guard"]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON, with everything but the point and the path."""
        left_out = ("x0", "path", "guard")
        return plain({**super().to_dict(), "guard": self.guard,
                      **{k: v for k, v in self.inputs.items() if k not in left_out}})

    def __repr__(self) -> str:
        i = self.inputs
        if self.status != "ok":
            return "refused: " + self.status
        harmonic = f"{i['harmonic']:.2f}" if math.isfinite(i["harmonic"]) else "none: no parabola"
        return (f"theta {i['theta']:g}, {i['definition']}: F = {super().__repr__()}; {i['nats']:.2f} +- "
                f"{self.error / i['theta']:.2f} nats (up {i['up']:.2f}, down {i['down']:.2f}, harmonic "
                f"{harmonic}), {i['levels']} levels, {i['n_gradients']} gradients")

    __str__ = __repr__


class LearningCoefficient(WellFreeEnergy):
    """beta (<E> - E0) at one theta and tether, from two starts; `inputs` as those of `WellFreeEnergy`, with
    ``minimum`` and ``gaussian``, the value from each start."""

    def __repr__(self) -> str:
        i = self.inputs
        if self.status != "ok":
            return "refused: " + self.status
        return (f"theta {i['theta']:g}, {i['definition']}: {Estimate.__repr__(self)}; from the minimum "
                f"{i['minimum']:.4g}, from the Gaussian {i['gaussian']:.4g}; d/2 = {len(i['x0']) / 2:g}")

    __str__ = __repr__


def well_free_energy(loss_and_gradient: Any, x0: ArrayLike, theta: float, tether: float | None = None,
                     inside: Callable[[np.ndarray], ArrayLike] | None = None, hessian: Any = "auto",
                     n_walkers: int | None = None, n_islands: int | None = None, n_moves: int | None = None,
                     seed: int = 1, most_gradients: float = MOST_GRADIENTS,
                     checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
                     progress: bool | None = None) -> WellFreeEnergy:
    """Free energy of the well of a loss around x0, in the space of all parameters.

        exp(-F/theta) = int exp(-E(x)/theta - (g/2)|x - x0|^2) dx

    over the well that walkers of this theta do not leave, with a tether g beside it, or over the set `inside`
    of it. What lies beyond a barrier that none of them crosses is not counted, with a tether neither. A
    Gaussian fitted to a short run is turned into the well by walkers that climb s = 0 -> 1 in U_ref + s (U -
    U_ref), and back by walkers that come from x0 [1]_; they move by hybrid Monte Carlo in which the
    Gaussian's motion is exact [2]_, are resampled inside independent islands, and neighbouring levels are
    compared by Bennett's ratio [3]_. The error is two standard errors (of the islands) plus half the
    difference of up and down.

    Parameters
    ----------
    loss_and_gradient : callable or Potential
        ``f(X)`` for points X (n, d): losses (n,) and gradients (n, d); one vector at a time works too. It
        must be the loss of the whole sample: no minibatches, no dropout. A torch module goes through
        `fpkit.landscapes.adapters.torch_loss`.
    x0 : array (d,)
        The solution. Without a tether it is polished by L-BFGS, and left for a lower minimum close by
        (``inputs["moved"]`` says how far).
    theta : float
        Temperature in units of the loss: 1/(n beta) for the mean loss of n examples.
    tether : float, optional
        g, in nats per squared length (it is not multiplied by 1/theta). Take the same for all solutions that
        are compared: it decides the answer in flat directions. None where the loss holds L2 or is confined.
    inside : callable, optional
        ``inside(X) -> bool (n,)``: a wall.
    hessian : {"auto", "dense", "lanczos"}, None, (values, vectors) or array (d, d)
        Where the Gaussian starts from. "auto": all eigenvalues up to 3000 parameters, beyond only the stiff
        ones by Lanczos iteration. The answer does not depend on it, the cost does.
    n_walkers, n_islands, n_moves : int, optional
        Default: 32 walkers on 8 islands (16 on 4 from 1000 parameters); at least 12 moves a level, more
        where the pilot run was slow.
    seed : int
        The same seed gives the same numbers.
    most_gradients : float
        Work after which the walk is given up, with a sentence.
    checkpoint : path, optional
        File that is written every `checkpoint_every` seconds; the same call resumes it, to the same bits.
    progress : bool, optional
        A bar on standard error; default on a terminal.

    Returns
    -------
    WellFreeEnergy
        An Estimate. Where it is no well at this theta the value is NaN and `status` says which rule was
        broken: not stationary, negative curvature (kinks of ReLU), unconfined, not settled, not the minimum,
        two starts that disagree, up and down that disagree, low acceptance, walkers that left. Ctrl-C says so
        there too.

    Examples
    --------
    >>> V = fp.Potential("x**2/2 + y**4")
    >>> F = fp.well_free_energy(V, [0.0, 0.0], theta=0.01)
    >>> exact = -0.01 * np.log(np.sqrt(0.02 * np.pi) * 2 * 0.9064024770554769 * 0.01**0.25)
    >>> bool(abs(F - exact) < F.error < 0.002)
    True

    References
    ----------
    .. [1] D. Frenkel, A. J. C. Ladd, J. Chem. Phys. 81, 3188 (1984).
    .. [2] A. Beskos et al., Stoch. Proc. Appl. 121, 2201 (2011).
    .. [3] C. H. Bennett, J. Comput. Phys. 22, 245 (1976).
    """
    run = _Run.of(loss_and_gradient, x0, theta, tether, inside, hessian, n_walkers, n_islands, n_moves, seed,
                  most_gradients)
    return _guarded(run, _free_energy, WellFreeEnergy, checkpoint, checkpoint_every, progress)


def local_learning_coefficient(loss_and_gradient: Any, x0: ArrayLike, theta: float,
                               tether: float | None = None,
                               inside: Callable[[np.ndarray], ArrayLike] | None = None, hessian: Any = "auto",
                               n_walkers: int | None = None, n_islands: int | None = None,
                               n_moves: int | None = None, seed: int = 1,
                               most_gradients: float = MOST_GRADIENTS,
                               checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
                               progress: bool | None = None) -> LearningCoefficient:
    """Local learning coefficient beta (<E> - E(x0)) of a solution, at one theta and tether.

    <.> is the mean under exp(-E/theta - (g/2)|x - x0|^2), sampled from two starts: from x0, and from the
    Gaussian walked up to the well; they must agree. With n beta = 1/theta it is what the literature
    estimates by SGLD [1]_; it tends to the real log canonical threshold as theta and g go to 0, and is
    neither at a finite one. At every regular minimum it tends to d/2 whatever the width of the well: it
    cannot rank such minima, `compare_solutions` can. The error is two standard errors plus half the
    difference of the starts.

    Parameters
    ----------
    loss_and_gradient, x0, theta, tether, inside, hessian
        See `well_free_energy`.
    n_walkers, n_islands, n_moves, seed, most_gradients, checkpoint, checkpoint_every, progress
        See `well_free_energy`.

    Returns
    -------
    LearningCoefficient
        An Estimate; NaN with the reason in `status` where x0 is not the minimum of what is sampled (the
        number would be negative) or the two starts disagree. As the free energy it is that of the well around
        x0: lower ones beyond a barrier that no walker crosses do not count.

    Examples
    --------
    >>> V = fp.Potential("x**2 + y**4")                     # 1/2 + 1/4 as theta goes to 0
    >>> found = fp.local_learning_coefficient(V, [0.0, 0.0], theta=1e-4)
    >>> bool(abs(found - 0.75) < found.error < 0.2)
    True

    References
    ----------
    .. [1] E. Lau, Z. Furman, G. Wang, D. Murfet, S. Wei, arXiv:2308.12108.
    """
    run = _Run.of(loss_and_gradient, x0, theta, tether, inside, hessian, n_walkers, n_islands, n_moves, seed,
                  most_gradients)
    return _guarded(run, _coefficient, LearningCoefficient, checkpoint, checkpoint_every, progress)


@dataclass
class _Run:
    """One call: what was asked, what was found so far, and the rules that were broken."""
    loss: Loss
    x0: np.ndarray
    theta: float
    tether: float
    inside: Callable | None
    hessian: Any
    n_moves: int | None
    plan: Plan
    found: dict[str, Any]
    reasons: list[Reason]
    most: float                      # gradients
    counted: int = 0                 # gradients of earlier runs with the same loss
    known: tuple | None = None       # what `settled_minimum` found at another theta

    @classmethod
    def of(cls, given, x0, theta, tether, inside, hessian, n_walkers, n_islands, n_moves, seed, most):
        """Check the arguments."""
        x0 = np.array(checks.points("x0", x0, np.size(x0)), float).reshape(-1)
        theta = checks.number("theta", theta, positive=True)
        tether = 0.0 if tether is None else checks.number("tether", tether, non_negative=True)
        if inside is not None and not callable(inside):
            raise TypeError("inside must be a function of points (n, d) that returns n truth values, got "
                            f"{checks.shown(inside)}.")
        d = x0.size
        n_islands = checks.whole("n_islands", n_islands, 2) if n_islands else (8 if d < LARGE else 4)
        n_walkers = checks.whole("n_walkers", n_walkers, 4) if n_walkers else 4 * n_islands
        if n_walkers < 2 * n_islands:
            raise ValueError(f"{n_walkers} walkers cannot be shared by {n_islands} islands with two or more "
                             "each; take more walkers or fewer islands.")
        if n_moves is not None:
            n_moves = checks.whole("n_moves", n_moves, 4)
        loss = Loss(given, x0)
        if inside is not None:
            if np.shape(inside(x0[None].repeat(2, 0))) != (2,):
                raise ValueError(f"inside must give one truth value a point, (2,) for points (2, {d}), got "
                                 f"{np.shape(inside(x0[None].repeat(2, 0)))}.")
            if not np.asarray(inside(x0[None]), bool).all():
                raise ValueError("x0 is outside the wall: inside(x0) is False.")
        plan = Plan(n_walkers, n_islands, n_moves or N_MOVES, 40 if d < LARGE else 12,
                    checks.whole("seed", seed, 0), lambda text: None)
        return cls(loss, x0, theta, tether, inside, _checked_hessian(hessian, d), n_moves, plan,
                   {"theta": theta, "tether": tether, "seed": plan.seed}, [],
                   checks.number("most_gradients", most, positive=True))

    @property
    def beta(self) -> float:
        return 1 / self.theta

    @property
    def is_free(self) -> bool:
        """Neither tether nor wall: the well is what the walkers do not leave."""
        return self.tether == 0 and self.inside is None

    @property
    def definition(self) -> str:
        """What the integral runs over."""
        if self.tether > 0:
            return f"tether {self.tether:g}" + (", inside the wall" if self.inside is not None else "")
        return "inside the wall" if self.inside is not None else "the well of the loss"

    def at(self, theta: float, known: tuple | None = None) -> _Run:
        """The same run at another theta, from the minimum that one of them has found."""
        return replace(self, theta=theta, found={**self.found, "theta": theta}, reasons=[], known=known,
                       counted=self.loss.n_gradients)

    def refuse(self, code: str, text: str) -> None:
        """Break a rule, and end."""
        self.reasons.append(Reason(REFUSE, code, text))
        raise _Refused

    def settings(self) -> dict[str, Any]:
        """What a checkpoint belongs to."""
        hessian = self.hessian if isinstance(self.hessian, (str, type(None))) else "given"
        return {"theta": self.theta, "tether": self.tether, "has wall": self.inside is not None,
                "hessian": hessian, "walkers": self.plan.n_walkers, "islands": self.plan.n_islands,
                "moves": self.n_moves or 0, "seed": self.plan.seed, "form": 3}


class _Refused(Exception):
    """A rule was broken."""


def _checked_hessian(hessian, d):
    """The argument `hessian`: one of the words, None, or a Curvature."""
    if hessian is None or isinstance(hessian, str):
        return hessian if hessian is None else checks.choice("hessian", hessian, HESSIANS)
    if isinstance(hessian, Curvature):
        return hessian
    if isinstance(hessian, (tuple, list)) and len(hessian) == 2 and np.ndim(hessian[0]) == 1:
        values, vectors = (np.asarray(a, float) for a in hessian)
        if values.shape != (d,) or vectors.shape != (d, d):
            raise ValueError(f"hessian=(values, vectors) must have shapes ({d},) and ({d}, {d}), got "
                             f"{values.shape} and {vectors.shape}.")
        if not np.allclose(vectors.T @ vectors, np.eye(d), atol=1e-6):
            raise ValueError("the vectors of hessian=(values, vectors) must be orthonormal columns.")
        return Curvature(values, vectors)
    H = checks.points("hessian", hessian, d)
    if H.shape != (d, d):
        raise ValueError(f"hessian must have shape ({d}, {d}), got {H.shape}.")
    return Curvature(*np.linalg.eigh(0.5 * (H + H.T)))


def _guarded(run, work, kind, path, every, progress):
    """Run `work(run, book)` with the bar, Ctrl-C and the checkpoint; its result or the refusal."""
    book = Book()
    if path is not None:
        settings = {**run.settings(), "call": kind.__name__}
        book = Book(path, fingerprint(run.loss, [run.x0], settings),
                    checks.number("checkpoint_every", every, positive=True))
    with interruption() as is_pressed, bar(None, "free energy", progress, "move") as shown:
        told = watcher(is_pressed, shown)
        try:
            return on_the_way(run, work, kind, book.part("well"), told)
        except Stopped as where:
            run.reasons.append(Reason(REFUSE, "stopped", f"stopped by Ctrl-C ({where}); " + (
                "the same call goes on from the checkpoint" if path is not None
                else "with checkpoint=... the next call would go on from here")))
            return _result(run, kind, NAN, NAN)
        finally:
            book.save()


def watcher(is_pressed, shown):
    """What a plan calls after each move."""
    def told(text):
        if shown is not None:
            shown.set_description(text, refresh=False)
            shown.update(1)
        if is_pressed():
            raise Stopped(text)
    return told


def on_the_way(run: _Run, work: Callable, kind: type, book: Part, told: Callable[[str], None]):
    """The result of `work`, or the refusal that ended it; Stopped passes through."""
    def counted(text):
        spent = run.loss.n_gradients - run.counted
        told(f"{text}, {spent} of at most {run.most:g} gradients")
        if spent > run.most:
            longer = f"give most_gradients={10 * run.most:g}"
            advice = ("nothing has held them yet: lower theta, add L2, a tether or a wall, or where the loss "
                      f"confines, {longer}" if SPREADING in text else
                      f"samples stay alike for long; {longer}, a higher theta or a stronger tether")
            raise Failed("too slow", f"after {spent} gradients there is no answer ({text}): {advice}")

    run.plan = replace(run.plan, told=counted)
    try:
        value, error = work(run, book)
    except _Refused:
        value = error = NAN
    except Failed as failure:
        run.reasons.append(Reason(REFUSE, *failure.args))
        value = error = NAN
    return _result(run, kind, value, error)


def _result(run, kind, value, error):
    guard = Guard(tuple(run.reasons))
    status = guard.sentence if guard.is_refused else "ok"
    known = dict.fromkeys(("nats", "up", "down", "standard_error", "harmonic", "integral", "ais_up",
                           "ais_down", "entropy", "mean_loss", "loss", "learning_coefficient",
                           "learning_coefficient_error", "z", "z_distance", "acceptance", "moved",
                           "minimum", "gaussian"), NAN)
    inputs = {**known, "levels": 0, "n_moves": 0, "home": None, "x0": run.x0, "path": None, **run.found,
              "n_gradients": run.loss.n_gradients - run.counted, "definition": run.definition, "guard": guard}
    method = "tethered to x0" if run.tether else run.definition
    return kind(value, error, method, status=status, inputs=inputs)


# ---- the parts of a run ----
def settled_minimum(run: _Run, book: Part) -> tuple[np.ndarray, float, Curvature | None]:
    """x0, its loss and the curvature there; without a tether the minimum that was polished or found nearby.

    Breaks the rules "not-stationary" and "negative-curvature".
    """
    saved = book.get("minimum")
    if run.known is not None:
        x, e, curvature = run.known
    elif saved is None:
        x, e, curvature = _settle(run)
        kept = {"x": x, "e": e}
        if curvature is not None:
            kept |= {"values": curvature.values,
                     "rest": NAN if curvature.mean_rest is None else curvature.mean_rest}
            kept |= {} if curvature.vectors is None else {"vectors": curvature.vectors}
        book.put("minimum", kept)
    else:
        x, e, curvature = saved["x"], float(saved["e"]), None
        if "values" in saved:
            rest = float(saved["rest"])
            curvature = Curvature(saved["values"], saved.get("vectors"), None if np.isnan(rest) else rest)
    run.found |= {"moved": float(np.linalg.norm(x - run.x0)), "loss": e}
    run.x0 = x
    if run.tether == 0:
        _check_minimum(run, x, e, curvature)
    return x, e, curvature


def _settle(run):
    x = run.x0
    e = float(run.loss(x[None])[0][0])
    if run.tether > 0:
        return x, e, _curvature(run, x)
    lower, value = polished(run.loss, x, N_LBFGS)
    if np.linalg.norm(lower - x) > FARTHEST * (1 + np.linalg.norm(x)):
        run.refuse("not-stationary", f"descent from x0 has gone {np.linalg.norm(lower - x):.2g} far and does "
                   "not end: the loss falls for ever; add L2 to it, or give a tether")
    if run.inside is None or bool(np.asarray(run.inside(lower[None]), bool)[0]):
        x, e = lower, value
    x, e, curvature = _newton_polished(run, x, e)
    for _ in range(N_RELOCATIONS if run.is_free and curvature is not None else 0):
        if _decrement(run, x, curvature) > STATIONARY * x.size or _most_negative(curvature) < NEGATIVE:
            break
        lower, value = _lower_nearby(run, x, e, curvature)
        if value > e - LOWER * run.theta:
            break
        x, e, curvature = _newton_polished(run, lower, value)
    return x, e, curvature


def _newton_polished(run, x, e):
    """The bottom that damped Newton steps reach from x, its loss and curvature: L-BFGS takes thousands of
    gradients for the last digits of a stiff loss."""
    curvature = _curvature(run, x)
    for _ in range(N_NEWTON):
        if curvature is None or _decrement(run, x, curvature) < NEARLY * x.size:
            break
        a, rest = np.abs(curvature.values), curvature.mean_rest
        if not a.any():
            break
        a = np.maximum(a, 1e-9 * a.max())
        metric = Gaussian(x, a, curvature.vectors, None if rest is None else max(abs(rest), 1e-9 * a.max()))
        (lower,), (value,) = descended(run.loss, x[None], metric, 1.0, N_STEPS)
        if not value < e or run.inside is not None and not np.asarray(run.inside(lower[None]), bool).all():
            break
        x, e = lower, float(value)
        curvature = _curvature(run, x)
    return x, e, curvature


def _curvature(run, x):
    way = run.hessian
    if way == "auto":
        way = "dense" if x.size <= DENSE_UP_TO else "lanczos"
    if way == "dense":
        return dense_curvature(run.loss, x)
    return lanczos_curvature(run.loss, x, run.plan.seed) if way == "lanczos" else way


def _lower_nearby(run, x, e, curvature):
    """The lowest minimum below walkers of a colder run."""
    beta = COLDER * run.beta
    target = Target(run.loss, x, e, beta, 0.0, gaussian_at(run.loss, x, e, curvature, beta, 0.0, None))
    rng = np.random.default_rng([run.plan.seed, 9])
    now, step = target.at(target.gaussian.whitened(x[None]) + 1e-3 * rng.normal(size=(8, x.size))), 0.1
    for _ in range(40):
        now, share = moved(target, now, 1.0, step, 12, rng)
        run.plan.told("looking for a lower minimum")
        step = adapted(step, share)
    ends, E = descended(run.loss, target.gaussian.place(now.y), target.gaussian, beta)
    if E.min() > e - 0.1 * LOWER * run.theta:
        return x, e
    return polished(run.loss, ends[int(np.argmin(E))], N_LBFGS)


def _decrement(run, x, curvature):
    """Nats that a Newton step would still gain."""
    g = run.loss(x[None])[1][0] * run.beta
    if curvature is None:
        return 0.0
    a = run.beta * np.abs(curvature.values)
    top = a.max(initial=0.0)
    a = np.maximum(a, 1e-9 * top + 1e-300)
    c = g if curvature.vectors is None else curvature.vectors.T @ g
    with np.errstate(over="ignore"):
        total = float((c * c / a).sum())
    if curvature.mean_rest is not None:
        across = g - curvature.vectors @ c
        total += float(across @ across) / max(run.beta * abs(curvature.mean_rest), 1e-9 * top)
    return 0.5 * total


def _most_negative(curvature):
    """Smallest eigenvalue in units of the largest."""
    top = np.abs(curvature.values).max(initial=0.0)
    return float(curvature.values.min(initial=0.0) / top) if top > 0 else 0.0


def _check_minimum(run, x, e, curvature):
    if not run.is_free or curvature is None:
        return
    decrement, lowest = _decrement(run, x, curvature), _most_negative(curvature)
    if curvature.values.size and np.abs(curvature.values).max() > 0 and decrement > max(
            STATIONARY * x.size, 0.1):
        run.refuse("not-stationary", f"x0 is not stationary: after polishing a Newton step would still gain "
                   f"{decrement:.3g} nats at theta {run.theta:g} (largest entry of the gradient "
                   f"{np.abs(run.loss(x[None])[1]).max():.2g}). Kinks (ReLU) or a loss that falls for ever "
                   "do this; give a smooth network, or a tether, the same for all solutions")
    if lowest < NEGATIVE:
        run.refuse("negative-curvature", f"x0 is no minimum: the smallest eigenvalue of the Hessian is "
                   f"{curvature.values.min():.3g}, the largest {curvature.values.max():.3g}. A saddle or the "
                   "kinks of ReLU do this; train on, take a smooth activation, or give a tether")


def _prepared(run: _Run, book: Part) -> tuple[Target, Pilot]:
    """Minimum, Gaussian and pilot; breaks the rules up to "lower"."""
    x, e, curvature = settled_minimum(run, book)
    gaussian = gaussian_at(run.loss, x, e, curvature, run.beta, run.tether, run.inside)
    run.found["harmonic"] = _harmonic(run, e, curvature)
    target = Target(run.loss, x, e, run.beta, run.tether, gaussian, run.inside)
    saved = book.get("pilot")
    if saved is None:
        found = pilot(target, run.plan, lowest=e - LOWER * x.size / run.beta if run.is_free else -math.inf)
        book.put("pilot", {**found.gaussian.arrays(), "y": found.y, "E": found.E, "r2": found.r2,
                           "facts": [found.step, found.acceptance, found.correlation, found.is_settled,
                                     found.n_rounds, found.least, found.turns]})
    else:
        rest = float(saved["rest"])
        step, acceptance, correlation, is_settled, n_rounds, least, turns = map(float, saved["facts"])
        found = Pilot(Gaussian(saved["centre"], saved["precisions"], gaussian.vectors,
                               None if np.isnan(rest) else rest), saved["y"], saved["E"], saved["r2"], step,
                      acceptance, correlation, bool(is_settled), int(n_rounds), least, int(turns))
    below = (e - found.least) * run.beta
    if below > LOWER * x.size:
        text = (f"a walker met a loss {e - found.least:.3g} below that of x0, {below:.3g} theta: x0 is not "
                "the minimum of what is sampled (a learning coefficient would come out too low), or the "
                "walkers left its well; polish it, or lower theta")
        if run.is_free:                     # at once: no further round of the pilot would settle
            run.refuse("lower", text)
        run.reasons.append(Reason(WARN, "lower", text))
    if not found.is_settled:
        run.refuse("not-settled", f"the walkers had not settled after {found.n_rounds} rounds of the pilot "
                   f"(acceptance {found.acceptance:.2f}, one independent sample takes about "
                   f"{found.correlation:.0f} moves of {len(found.E)}): there is no well at theta "
                   f"{run.theta:g}, or it is too curved to be walked; lower theta, or give a tether")
    target = target._replace(gaussian=found.gaussian)
    _check_home(run, target, found.y, found.r2, "home", book)    # now, before the long walk
    return target, found


def _harmonic(run, e, curvature):
    """beta F of the parabola at x0, NaN where one of its directions has no curvature."""
    if curvature is None:
        return NAN
    a = run.beta * curvature.values + run.tether
    rest = None if curvature.is_whole else run.beta * curvature.mean_rest + run.tether
    if not (a > 1e-9 * a.max(initial=0.0)).all() or (rest is not None and rest <= 0):
        return NAN
    return run.beta * e - Gaussian(run.x0, a, curvature.vectors, rest).log_z


def _free_energy(run: _Run, book: Part) -> tuple[float, float]:
    """Value and error; fills `run.found` and breaks rules."""
    target, start = _prepared(run, book)
    n_moves = run.n_moves or int(np.clip(math.ceil(PER_CORRELATION * start.correlation), N_MOVES, MOST_MOVES))
    for attempt in range(N_ATTEMPTS):
        plan = replace(run.plan, n_moves=n_moves, turns=start.turns)
        part = book.part(f"attempt{attempt}")
        up = _ladder(part, "up", lambda p: climb(target, plan, 10 + 10 * attempt, start.step, book=p))
        down = _ladder(part, "down", lambda p: climb(target, plan, 11 + 10 * attempt, up.step, up.s[::-1],
                                                     start.y, book=p))
        value, gap, se = _combined(run, target, up, down)
        if run.n_moves or abs(gap) <= max(GAP_NATS, GAP_ERRORS * se) and abs(run.found["z"]) <= Z_LIMIT:
            break
        n_moves *= 2
    run.found["n_moves"] = plan.n_moves
    _check_ends(run, gap, se)
    _check_home(run, target, up.well, up.r2, "home up", book)
    error = 2 * se + abs(gap) / 2
    run.found["nats"] = value
    run.found["entropy"] = run.beta * run.found["mean_loss"] - value
    return run.theta * value, run.theta * error


def _ladder(part, name, walk) -> Ladder:
    saved = part.get(name)
    if saved is not None:
        return Ladder.of(saved)
    found = walk(part.part(name + " so far"))
    part.put(name, found.arrays(), forget=name + " so far")
    return found


def _islands(a, n):
    """Mean of each island of samples (moves, W)."""
    return np.array([a[:, p].mean() for p in np.array_split(np.arange(a.shape[1]), n)])


def _combined(run, target, up, down):
    """Value, up - down and standard error in nats; all the numbers beside them into `run.found`."""
    n = run.plan.n_islands
    above, below = sums_of(up, n), sums_of(down, n)
    base = target.beta * target.e0 - target.gaussian.log_z
    gap = above.bennett - below.bennett
    se = math.sqrt(0.5 * max(above.variance, below.variance))    # of few islands a small one may be luck
    run.found |= {"up": base + above.bennett, "down": base + below.bennett, "standard_error": se,
                  "integral": base + 0.5 * (above.integral + below.integral), "ais_up": base + above.ais,
                  "ais_down": base + below.ais, "levels": len(up.s),
                  "acceptance": float(min(up.acceptance.min(), down.acceptance.min())),
                  "path": {"s": up.s, "up": np.array([D.mean() for D in up.D]),
                           "down": np.array([D.mean() for D in down.D])[::-1]}}
    _two_starts(run, target, _islands(down.E, n), _islands(up.E, n), _islands(down.r2, n), _islands(up.r2, n))
    return base + 0.5 * (above.bennett + below.bennett), gap, se


def _two_starts(run, target, E_down, E_up, r2_down, r2_up):
    """Mean loss and learning coefficient from the two starts, and how well they agree."""
    a, b = target.beta * (E_down - target.e0), target.beta * (E_up - target.e0)
    se = math.sqrt(0.5 * max(a.var(ddof=1), b.var(ddof=1)) / a.size)
    gap = a.mean() - b.mean()
    run.found |= {"learning_coefficient": float(a.mean() + b.mean()) / 2, "minimum": float(a.mean()),
                  "gaussian": float(b.mean()), "learning_coefficient_error": float(2 * se + abs(gap) / 2),
                  "mean_loss": float(E_down.mean() + E_up.mean()) / 2, "z": standard_errors(a, b),
                  "z_distance": standard_errors(r2_down, r2_up)}


def _check_starts(run):
    for name, what in (("z", "mean loss"), ("z_distance", "mean squared distance from x0")):
        z = run.found[name]
        if abs(z) > Z_LIMIT:
            run.refuse("two-starts", f"walkers from x0 and walkers from the Gaussian differ in their {what} "
                       f"by {abs(z):.1f} standard errors: they are not in equilibrium; take more moves "
                       "(n_moves=...), a lower theta or a tether")


def _check_ends(run, gap, se):
    _check_starts(run)
    if abs(gap) > max(GAP_NATS, GAP_ERRORS * se):
        run.refuse("gap", f"up and down disagree by {abs(gap):.3g} nats (standard error {se:.2g}): the walk "
                   "is not in equilibrium; take more moves (n_moves=...), a lower theta or a tether")
    if run.found["acceptance"] < ACCEPTANCE:
        run.refuse("acceptance", f"at some level only {run.found['acceptance']:.2f} of the moves are "
                   "accepted: the loss is too rough for its gradient (kinks, a wall that cuts the well); "
                   "smooth it or lower theta")


def _check_home(run, target, y, r2, name, book):
    """Where walkers y (whitened) fall back to; breaks the rule "left"."""
    if not run.is_free:
        return
    saved = book.get(name)
    if saved is None:
        run.plan.told("where the walkers fall back to")
        X = target.gaussian.place(y)
        far = np.argsort(((X - target.x0)**2).sum(1))[-max(8, len(y) // 2):]   # who has left is far away
        away = len(far) * (1 - share_home(target, X[far], math.sqrt(float(r2.mean()))))
        saved = {"share": np.array(1 - away / len(y))}
        book.put(name, saved)
    home = float(saved["share"])
    run.found["home"] = min(home, run.found.get("home", 1.0))
    if home < 1:
        run.refuse("left", f"only {home:.0%} of the walkers fall back to x0: at theta {run.theta:g} the well "
                   "is left within the run (at best it is metastable); lower theta, or give a wall or a "
                   "tether (which then decides the answer)")


def _coefficient(run: _Run, book: Part) -> tuple[float, float]:
    """beta (<E> - E0) and its error, from x0 and from the Gaussian."""
    target, start = _prepared(run, book)
    for reason in run.reasons:
        if reason.code == "lower":
            run.refuse("lower", reason.text)
    n_moves = run.n_moves or int(np.clip(math.ceil(PER_CORRELATION * start.correlation), N_MOVES, MOST_MOVES))
    plan = replace(run.plan, n_moves=n_moves, turns=start.turns)
    up = _ladder(book, "up", lambda p: climb(target, plan, 10, start.step, book=p))
    long, n = replace(plan, n_moves=FINAL * n_moves), plan.n_islands
    ends = [climb(target, long, stage, up.step, np.array([1.0]), y)
            for stage, y in ((12, start.y), (13, up.well))]
    run.found |= {"levels": len(up.s), "n_moves": n_moves,
                  "acceptance": float(min(up.acceptance.min(), *(e.acceptance.min() for e in ends)))}
    a, b = ends
    _two_starts(run, target, _islands(a.E, n), _islands(b.E, n), _islands(a.r2, n), _islands(b.r2, n))
    _check_starts(run)
    _check_home(run, target, b.well, b.r2, "home up", book)
    run.found["entropy"] = NAN
    return run.found["learning_coefficient"], run.found["learning_coefficient_error"]
