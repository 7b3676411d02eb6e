"""What comes before the walk: the minimum, a Gaussian that fits the well, and where walkers fall back to."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm, t as student

from .annealing import SPREADING, Failed, Plan
from .gaussian import Curvature, Gaussian
from .losses import Loss
from .sampler import EVERY, Target, adapted, moved

N_MOVES = 60                     # of the first round of the pilot; each further round takes twice the time
MOST_ROUNDS = 6
SLOW, MOST_TURNS = 8.0, 2        # moves for an independent sample, above which trajectories are made longer
SETTLED = 1.5                    # change of a variance between two rounds
WIDER = 1.1                      # the Gaussian is taken this much wider than the sample
N_CORRELATIONS = 6               # autocorrelation times that the kept half of a round must hold
TRIMMED = 1.3                    # variance of a normal law over that of its inner 15/16
DRIFT = 3.0                      # standard errors
RISES = (0.05, 5.0)              # nats at one standard deviation of the parabola, which rises by a half
N_PROBED = 256                   # flat directions whose width is looked for
FARTHEST = 1e6
N_DESCENT = 150
N_HALVINGS = 5, 8                # at least, and at most while chords of a curved valley look like barriers
WIDENING = 4.0                   # of a variance from one round to the next


def polished(loss: Loss, x: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    """The minimum that L-BFGS finds from x, and its loss."""
    def both(v):
        E, G = loss(v[None])
        return (float(E[0]), G[0]) if np.isfinite(E[0]) else (1e300, np.zeros_like(v))
    found = minimize(both, x, jac=True, method="L-BFGS-B",
                     options={"maxiter": most, "maxfun": 2 * most, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9})
    return found.x, float(found.fun)


def gaussian_at(loss: Loss, x0: np.ndarray, e0: float, curvature: Curvature | None, beta: float,
                tether: float, inside: Callable | None) -> Gaussian:
    """The Gaussian beta H+ + g about x0; where the loss does not rise like its parabola, as wide as theta
    lets it be.

    Raises Failed ("unconfined") where nothing holds a direction.
    """
    d = x0.size
    if curvature is None:
        curvature = Curvature(np.zeros(d), None)
    a = beta * np.maximum(curvature.values, 0.0) + tether
    rest = None if curvature.is_whole else beta * max(curvature.mean_rest, 0.0) + tether
    chosen = np.argsort(a, kind="stable")[:N_PROBED]         # the flattest
    V = np.eye(d)[chosen] if curvature.vectors is None else curvature.vectors[:, chosen].T
    probe = _Probe(loss, x0, e0, beta, tether, inside, V)
    has_width = a[chosen] > 0
    width = 1 / np.sqrt(np.where(has_width, a[chosen], 1.0))
    rise = probe.rise(width)
    wrong = ~(has_width & (rise > RISES[0]) & (rise < RISES[1]))
    if wrong.any():
        a[chosen[wrong]] = 1 / probe.widths(wrong)**2
        if not (a > 0).all():                                # more flat directions than are looked at
            a[a <= 0] = np.exp(np.log(a[chosen[wrong]]).mean())
    if rest is not None and rest <= 0:
        rest = float(a.min())
    return Gaussian(x0, a, curvature.vectors, rest)


class _Probe:
    """How the exponent rises from x0 along directions V (n, d), on the side on which it rises more."""

    def __init__(self, loss, x0, e0, beta, tether, inside, V):
        self.loss, self.x0, self.e0, self.beta = loss, x0, e0, beta
        self.tether, self.inside, self.V, self.is_open = tether, inside, V, np.ones(len(V), bool)

    def rise(self, t, rows=slice(None)):
        """Nats at distances t along the rows; infinite outside the wall and where the loss is not finite."""
        steps = t[:, None] * self.V[rows]
        both = []
        for X in (self.x0 + steps, self.x0 - steps):
            u = self.beta * (self.loss(X)[0] - self.e0) + 0.5 * self.tether * t * t
            is_in = np.isfinite(u)
            if self.inside is not None:
                is_in &= np.asarray(self.inside(X), bool)
            both.append(np.where(is_in, u, np.inf))
        self.is_open = np.minimum(*both) < 1.0                # on one of the sides
        largest = np.maximum(*both)                           # beside a wall the other side tells
        return np.where(np.isfinite(largest), largest, np.minimum(*both))

    def widths(self, rows):
        """Distance at which the exponent has risen by one; Failed where it never does on either side."""
        n = int(np.sum(rows))
        low, high, is_open = np.full(n, -8.0), np.full(n, np.nan), np.ones(n, bool)
        for power in np.arange(-8.0, np.log10(FARTHEST) + 1):
            up = self.rise(np.full(n, 10**power), rows) > 1.0
            is_open &= self.is_open
            fresh = up & np.isnan(high)
            high[fresh] = power
            low[~up & np.isnan(high)] = power
            if not is_open.any():
                break
        if is_open.any():
            raise Failed("unconfined", f"{int(is_open.sum())} directions at x0 are flat as far as "
                         f"{FARTHEST:g}: without L2 in the loss, a tether or a wall there is no Gibbs "
                         "measure; give tether=..., the same for all solutions that are compared")
        for _ in range(6):
            middle = 0.5 * (low + high)
            up = self.rise(10**middle, rows) > 1.0
            low, high = np.where(up, low, middle), np.where(up, middle, high)
        return 10 ** (0.5 * (low + high))


@dataclass(frozen=True)
class Pilot:
    """Walkers that have spread from x0, and the Gaussian fitted to them.

    Attributes
    ----------
    gaussian : Gaussian
    y : ndarray (W, d)
        Walkers at the end, whitened by it.
    E, r2 : ndarray (n, W)
        Loss and squared distance from x0 over the kept half of the last round.
    step, acceptance : float
    turns : int
    correlation : float
        Moves per independent sample, of the slowest coordinate.
    is_settled : bool
    n_rounds : int
    least : float
        The lowest loss that any walker met.
    """
    gaussian: Gaussian
    y: np.ndarray
    E: np.ndarray
    r2: np.ndarray
    step: float
    acceptance: float
    correlation: float
    is_settled: bool
    n_rounds: int
    least: float
    turns: int = 1


def pilot(target: Target, plan: Plan, n_moves: int = N_MOVES, rounds: int = MOST_ROUNDS,
          lowest: float = -np.inf) -> Pilot:
    """Chains from x0 at s = 1, refitted until no variance changes: a curved valley needs several rounds. A
    loss below `lowest`, where x0 is not the minimum, ends them."""
    W, d = plan.n_walkers, target.x0.size
    rng = np.random.default_rng([plan.seed, 1, 0])
    y = target.gaussian.whitened(target.x0[None]) + 1e-3 * rng.normal(size=(W, d))
    step, least, n, turns, spread = 0.1, np.inf, n_moves, 1, 0.0
    for q in range(rounds):
        rng = np.random.default_rng([plan.seed, 1, q + 1])
        now, sums, shares, E, r2 = target.at(y), _Sums(target.gaussian, W), [], [], []
        for m in range(n):
            is_fine = m % EVERY == EVERY - 1
            now, share = moved(target, now, 1.0, step, plan.most_kicks, rng, is_fine, turns)
            plan.told(f"pilot, round {q + 1}" + (SPREADING if spread > WIDENING else ""))
            least = min(least, float(now.E[np.isfinite(now.D)].min(initial=np.inf)))
            if m < n // (3 if q else 2):
                step = step if is_fine else adapted(step, share)
            else:
                sums.add(now.y)
                shares.append(share)
                E.append(now.E)
                r2.append(now.r2)
        E, r2 = np.array(E), np.array(r2)
        mean, variances, across, n_independent, correlation, tails = sums.fitted([E, r2])
        x = target.gaussian.place(now.y)
        gaussian = target.gaussian.refitted(mean, WIDER * variances, None if across is None
                                            else WIDER * across)
        spread = float(variances.max())
        change = float(np.exp(np.abs(np.log(variances)).max()))
        target, y = target._replace(gaussian=gaussian), gaussian.whitened(x)
        is_settled = (change < SETTLED * (1 + 3 * np.sqrt(2 / n_independent))
                      and N_CORRELATIONS * correlation <= len(E)
                      and all(abs(_drift(a)) < DRIFT for a in (E, r2)))
        if q and is_settled:
            break
        if q == rounds - 1 or float(np.mean(shares)) < 0.01 or least < lowest:
            break
        if q and correlation > SLOW and turns < MOST_TURNS:
            turns *= 2
        else:
            n *= 2
    gaussian = gaussian.refitted(np.zeros(d), tails, 1.0)
    y = gaussian.whitened(x)
    return Pilot(gaussian, y, E, r2, step, float(np.mean(shares)), correlation, bool(q and is_settled), q + 1,
                 least, turns)


class _Sums:
    """Sums over the kept moves: of each coordinate of each walker, and their squares."""

    def __init__(self, gaussian, n_walkers):
        self.gaussian, self.n = gaussian, 0
        k = gaussian.precisions.size
        self.first, self.second, self.fourth = np.zeros((n_walkers, k)), np.zeros(k), np.zeros(k)
        self.across, self.mean = 0.0, np.zeros(gaussian.centre.size)

    def add(self, y):
        c, across = self.gaussian.features(y)
        self.n += 1
        self.first += c
        self.second += (c * c).mean(0)
        self.fourth += (c**4).mean(0)
        if across is not None:
            self.across += float(across.mean())
            self.mean += y.mean(0)

    def fitted(self, series):
        """Mean in y, variances along the directions and across them, the number of independent samples, the
        moves that one takes (the largest ratio of the variance of walkers' means to the variance), and the
        variances of the tails over those of the whole: the arms of a cross are longer than the sample."""
        W, n = len(self.first), self.n
        means = self.first / n
        mean, total = means.mean(0), self.second / n
        variances = np.maximum(total - mean**2, 1e-12)
        tau = [float((_spread(means) / variances).max()) * n]
        tau += [n * float(_spread(a.mean(0)[:, None])[0] / max(a.var(), 1e-300)) for a in series]
        correlation = max(1.0, *tau)
        n_independent = W * min(n, max(3.0, n / correlation))
        kurtosis = self.fourth * n / self.second**2
        tails = np.where(kurtosis > 3 + 3 * np.sqrt(24 / n_independent), kurtosis / 3, 1.0)
        mean = mean * (mean**2 > 9 * variances / n_independent)    # a shift must stand out of its error
        if self.gaussian.rest is None:
            return mean, variances, None, n_independent, correlation, tails
        V = self.gaussian.vectors
        shift = self.mean / n
        shift = shift - V @ (V.T @ shift)
        d_across = self.gaussian.centre.size - V.shape[1]
        across, size = self.across / n / d_across, float(shift @ shift)
        real = max(0.0, 1 - d_across * across / (n_independent * max(size, 1e-300)))   # James, Stein
        across = max(across - size * (1 - (1 - real) ** 2) / d_across, 1e-12)
        return V @ mean + real * shift, variances, across, n_independent, correlation, tails


def _spread(means):
    """Variance of the walkers' means (W, k), the outermost one of sixteen left out: a walker that sticks in a
    corner for a while does not stand for all."""
    away = np.sort(np.abs(means - np.median(means, axis=0)), axis=0)[:len(means) - len(means) // 16]
    return TRIMMED * (away**2).sum(0) / (len(away) - 1)


def _drift(a):
    """Standard errors by which the last quarter of a round differs from the one before."""
    h = len(a) // 2
    change = a[h:].mean(0) - a[:h].mean(0)
    return change.mean() / (change.std(ddof=1) / np.sqrt(change.size) + 1e-300)


def standard_errors(a: np.ndarray, b: np.ndarray) -> float:
    """Difference of two means of independent numbers, in standard deviations of a normal law (Welch's t)."""
    va, vb = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    spread = np.sqrt(va + vb)
    if not spread > 0:
        return 0.0 if a.mean() == b.mean() else np.inf
    freedom = (va + vb) ** 2 / (va**2 / (a.size - 1) + vb**2 / (b.size - 1))
    z = (a.mean() - b.mean()) / spread
    return float(np.sign(z) * norm.isf(student.sf(abs(z), freedom)))


def descended(loss: Loss, X: np.ndarray, gaussian: Gaussian, beta: float,
              n: int = N_DESCENT) -> tuple[np.ndarray, np.ndarray]:
    """Where points fall to by descent in the metric of the Gaussian, all at once; points and losses."""
    X = X.copy()
    E, G = loss(X)
    step = np.full(len(X), 0.5)
    for _ in range(n):
        move = gaussian.place(gaussian.pull(beta * G)) - gaussian.centre       # covariance times slopes
        new = X - step[:, None] * move
        En, Gn = loss(new)
        good = En <= E
        X[good], E[good], G[good] = new[good], En[good], Gn[good]
        step = np.where(good, np.minimum(1.3 * step, 1.0), 0.4 * step)
        if step.max() < 1e-8:
            break
    return X, E


def share_home(target: Target, X: np.ndarray, radius: float) -> float:
    """Share of the points X that fall back to x0, or to a point that no barrier above theta parts from it.

    `radius` is the typical distance of walkers from x0. Copies of a solution (permuted units) are as deep as
    it and do not count as home: between them is a barrier.
    """
    loss, x0, theta = target.loss, target.x0, 1 / target.beta
    ends, E = descended(loss, X, target.gaussian, target.beta)
    home = np.zeros(len(X), bool)
    near = lambda x, e: e - target.e0 < theta and np.linalg.norm(x - x0) < max(0.1 * radius, 1e-9)
    checked: list[tuple[np.ndarray, bool]] = []
    for k, (x, e) in enumerate(zip(ends, E)):
        if near(x, e):
            home[k] = True
            continue
        x, e = polished(loss, x, 300)
        if near(x, e):
            home[k] = True
            continue
        known = [found for at, found in checked if np.linalg.norm(at - x) < 0.02 * radius]
        if known:
            home[k] = known[0]
            continue
        home[k] = abs(e - target.e0) < theta and _barrier(target, x) < theta
        checked.append((x, bool(home[k])))
        if len(checked) >= 4 and not any(found for _, found in checked):
            break                                    # enough is known: the rest count as away
    return float(home.mean())


def _barrier(target, x):
    """Height over x0 of a path from x0 to x: midpoints fall into the valley, and so on between them."""
    path, height = np.stack([target.x0, x]), np.inf
    for k in range(1, N_HALVINGS[1] + 1):
        middle, _ = descended(target.loss, 0.5 * (path[1:] + path[:-1]), target.gaussian, target.beta, 40)
        longer = np.empty((2 * len(path) - 1, x.size))
        longer[::2], longer[1::2] = path, middle
        path = longer
        if k >= N_HALVINGS[0]:
            middle = 0.5 * (path[1:] + path[:-1])
            X = np.concatenate([path, middle, 0.5 * (path[1:] + middle), 0.5 * (path[:-1] + middle)])
            height = float(target.loss(X)[0].max() - target.e0)
            if height * target.beta < 1:
                break
    return height
