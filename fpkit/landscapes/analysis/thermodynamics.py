"""Gibbs occupation, energy, free energy and entropy of the basins of a landscape, as exact sums over its
samples."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.plain_json import plain
from ...core.views.tables import Tabular
from ..surface.cells import neighbourhood, on_edge, seam
from ..surface.harmonic import harmonic_free_energy, quadratic_fit
from ..surface.noise import noise_of
from ..surface.resampling import can_be_thinned, nearest, refined, sharpened, thinned
from ..surface.wells import WELL_FACTOR

ROUNDING = 1e-12                     # of a free energy
SAFETY = 2.0                         # over the change of a free energy on a finer surface
REFINED_UP_TO = 60_000               # samples of a surface that is refined for the error of its free energies
THIN_WELL = 0.25  # share of a well in its lowest cell above which the cells are too coarse for it


@dataclass(frozen=True, repr=False, eq=False)
class Thermodynamics(Tabular):
    """Wells against temperature; arrays are (n_theta,) or (n_theta, n_wells).

    Attributes
    ----------
    theta : ndarray
    occupation : ndarray
        Gibbs probability of each basin. The basins are those of the lowest temperature, at all temperatures.
    energy, free_energy, entropy : ndarray
        E = <f>, F = -theta log sum(v exp(-f/theta)) with v the cell volumes, S = (E - F)/theta; exp(S) is the
        effective width of the well, an area (a length on a line) in the coordinates of the plane. E and F in
        units of the loss.
    is_well : ndarray of bool
        The barrier of the basin still exceeds 3 theta.
    lowest_cell : ndarray
        Share of the basin's probability in its fullest cell; near one, the samples do not resolve the well.
    edge_share : ndarray
        Share of the basin's probability in cells at the border of the box.
    free_energy_error : ndarray
        How far the free energy may be off, by what lies between the samples and by their noise.
    seam_share : ndarray
        Share of the basin's probability in cells beside another basin: which of the two they belong to is
        open by as much.
    harmonic, harmonic_error : ndarray
        Free energy of the quadratic fit at the lowest sample, and what its curvature leaves open; NaN where
        there is no such fit.
    edge_mass : ndarray, shape (n_theta,)
        Probability of the cells at the border of the box.
    hole_mass : ndarray, shape (n_theta,)
        Probability of the cells beside samples without a loss.
    mean_loss : dict of ndarray, shape (n_theta,)
        Gibbs mean of every surface of the file (NaN where it has no value at cells of weight).
    across : ndarray or None
        Occupation with the curvature across the plane, from f + theta/2 log det H_perp, where the file holds
        log det H_perp: what the directions that are not in the plane add to the entropy of each well, in the
        harmonic approximation.
    """
    theta: np.ndarray
    occupation: np.ndarray
    energy: np.ndarray
    free_energy: np.ndarray
    entropy: np.ndarray
    is_well: np.ndarray
    lowest_cell: np.ndarray
    edge_share: np.ndarray
    free_energy_error: np.ndarray
    seam_share: np.ndarray
    harmonic: np.ndarray
    harmonic_error: np.ndarray
    edge_mass: np.ndarray
    hole_mass: np.ndarray
    mean_loss: dict
    across: np.ndarray | None = None

    @property
    def width(self) -> np.ndarray:
        """exp(S), capped where it overflows."""
        return np.exp(np.minimum(self.entropy, 700.0))

    def to_dict(self) -> dict[str, Any]:
        found = plain(self.__dict__ | {"width": self.width})
        return found | {"mean": found.pop("mean_loss")}


def thermodynamics(land, wells, basins, thetas, with_means=True):
    """Occupation, E, F and S of each basin at each temperature, summed over the samples.

    The loss counts as constant in the cell around each sample; within that reading the sums are exact, and
    they stay exact when exp(-f/theta) underflows, since only differences within a basin are exponentiated.
    """
    thetas = np.asarray(thetas, float)
    n, m = thetas.size, len(wells)
    energy, free, thin, occupation, at_edge, at_hole, at_seam, harmonic, harmonic_error = (
        np.full((n, m), np.nan) for _ in range(9))
    members = [np.flatnonzero((basins == k).ravel()) for k in range(m)]
    loss, volumes = land.loss.ravel(), land.volumes.ravel()
    ends = ((at_edge, on_edge(land.shape, land.wraps).ravel()),)
    if with_means:
        ends += ((at_hole, neighbourhood(~land.valid, 8, land.wraps).ravel()),)
        at_seam = _held_beside(land, basins, thetas, m)
    lowest = np.array([loss[cells].min() for cells in members])
    with np.errstate(under="ignore", over="ignore"):
        for i, theta in enumerate(thetas):
            log_z = np.empty(m)
            for k, cells in enumerate(members):
                above = loss[cells] - lowest[k]
                weight = np.exp(-(above / theta)) * volumes[cells]
                total = weight.sum()
                energy[i, k] = lowest[k] + (np.where(weight > 0, above, 0.0) * weight).sum() / total
                log_z[k] = np.log(total)
                free[i, k] = lowest[k] - theta * log_z[k]
                thin[i, k] = weight.max() / total
                for share, here in ends:
                    share[i, k] = weight[here[cells]].sum() / total
            log_p = log_z - (lowest - lowest.min()) / theta
            p = np.exp(log_p - log_p.max())
            occupation[i] = p / p.sum()
    if with_means:
        for k, w in enumerate(wells):
            fit, _ = quadratic_fit(land, w.index)
            if fit is not None and fit.index == 0:
                harmonic[:, k], harmonic_error[:, k] = harmonic_free_energy(fit, thetas)
    means = {}
    for name, values in land.surfaces.items():
        if with_means and values.shape == land.shape:
            means[name] = np.array([_mean(land, theta, name) for theta in thetas])
    across = None
    has_across = with_means and np.shape(land.logdet_perp) == land.shape
    if has_across and np.isfinite(land.logdet_perp[land.valid]).all():
        bent = lambda theta: replace(land, loss=land.loss + theta / 2 * land.logdet_perp, logdet_perp=None)
        across = np.concatenate([thermodynamics(bent(theta), wells, basins, [theta],
                                                with_means=False).occupation for theta in thetas])
    depth = np.array([w.persistence for w in wells])
    error = (sum(free_energy_errors(land, wells, basins, thetas, free)) if with_means
             else np.full((n, m), np.nan))
    return Thermodynamics(thetas, occupation, energy, free, (energy - free) / thetas[:, None],
                          depth[None, :] > WELL_FACTOR * thetas[:, None], thin, at_edge, error, at_seam,
                          harmonic, harmonic_error, (occupation * at_edge).sum(axis=1),
                          (occupation * at_hole).sum(axis=1), means, across)


@dataclass(frozen=True, repr=False, eq=False)
class Risk:
    """Training and test loss under the Gibbs distribution of the analysed loss, against temperature.

    Attributes
    ----------
    theta, train, test, gap : ndarray (n,)
        gap = test - train.
    best_theta, best_test : float
        Where the mean test loss is least.
    is_at_end : bool
        That temperature is the first or the last one considered, so the minimum lies beyond.
    test_error : ndarray (n,)
        Two standard errors of the mean test loss by the noise of its samples; 0 where no noise is seen.
    """
    theta: np.ndarray
    train: np.ndarray
    test: np.ndarray
    gap: np.ndarray
    best_theta: float
    best_test: float
    is_at_end: bool
    test_error: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        return plain(self.__dict__)


def gibbs_risk(land, thetas):
    """`Risk` at each temperature; None without a training and a test loss of which the Gibbs means exist."""
    if land.train_loss is None or land.test_loss is None or land.test_loss.shape != land.shape:
        return None
    thetas = np.asarray(thetas, float)
    train, test = (np.array([_mean(land, t, name) for t in thetas]) for name in ("train_loss", "test_loss"))
    known = np.isfinite(train) & np.isfinite(test)
    if not known.any():
        return None
    k = int(np.nanargmin(np.where(known, test, np.inf)))
    return Risk(thetas, train, test, test - train, float(thetas[k]), float(test[k]),
                k in (0, thetas.size - 1),
                2 * test_noise(land) * np.array([np.linalg.norm(land.gibbs_weights(t)) for t in thetas]))


def test_noise(land):
    """Standard deviation of the noise of the test loss, 0 where none is seen."""
    if land.test_loss is None or land.test_loss.shape != land.shape:
        return 0.0
    return noise_of(replace(land, loss=land.test_loss, loss_stderr=None)).sigma


def _mean(land, theta, name):
    try:
        return land.gibbs_mean(theta, of=name)
    except ValueError:
        return np.nan


@dataclass(frozen=True)
class Crossover:
    """Two wells (numbers) that are equally occupied at temperature `theta`; above it `wider` holds more,
    below it `deeper`.

    `error` is how far the temperature moves when the difference of the free energies moves by its own error
    (where it is above the temperature, the samples' crossover may not be that of the loss); `occupation` is
    the probability that each of the two holds there; `is_resolved` is False where one cell holds a quarter of
    one of them, or the error is above a tenth of the temperature.
    """
    deeper: int
    wider: int
    theta: float
    occupation: float
    is_resolved: bool
    error: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def crossover_temperatures(land, wells, basins, scanned):
    """All roots of F_i(theta) = F_j(theta) between the scanned temperatures, while both wells exist there
    (depth > 3 theta), that stand out of their error: on both sides of it the difference is larger than what a
    finer surface through the same samples makes of it. Wells that are equal by symmetry have none."""
    scanned = np.asarray(scanned, float)
    found = []
    if len(wells) < 2 or scanned.size < 2:
        return ()
    coarse = thermodynamics(land, wells, basins, scanned, with_means=False).free_energy
    between, narrow = free_energy_errors(land, wells, basins, scanned, coarse)
    error, border = between + narrow, _held_beside(land, basins, scanned, len(wells))
    for i in range(len(wells)):
        for j in range(i + 1, len(wells)):
            gap = coarse[:, i] - coarse[:, j]
            limit = min(wells[i].persistence, wells[j].persistence) / WELL_FACTOR
            exists = scanned < limit
            rest = (ROUNDING * (np.abs(coarse[:, i]) + np.abs(coarse[:, j]))
                    + scanned * (border[:, i] + border[:, j]) / 2)
            seen = between[:, i] + between[:, j] + rest
            sure = (np.abs(gap) > seen) & exists
            doubt = error[:, i] + error[:, j] + rest
            for k in np.flatnonzero(np.signbit(gap[:-1]) != np.signbit(gap[1:])):
                below, above = sure[:k + 1], sure[k + 1:]
                if not (exists[k] and (below & (np.signbit(gap[:k + 1]) == np.signbit(gap[k]))).any()
                        and (above & (np.signbit(gap[k + 1:]) == np.signbit(gap[k + 1]))).any()):
                    continue
                root = _root(land, [wells[i], wells[j]], basins, *scanned[k:k + 2], np.signbit(gap[k]))
                if root >= limit:
                    continue
                slope = np.abs(np.diff(gap)[k] / np.diff(scanned)[k])
                if not max(seen[k:k + 2]) < slope * root:    # no temperature is known to be its place
                    continue
                moves = float(max(doubt[k:k + 2]) / slope)
                deeper, wider = (i, j) if np.signbit(gap[k]) else (j, i)
                at = _pair(land, [wells[i], wells[j]], basins, root)
                held = thermodynamics(land, wells, basins, [root], with_means=False).occupation[0, i]
                found.append(Crossover(deeper + 1, wider + 1, float(root), float(held),
                                       bool((at.lowest_cell[0] < THIN_WELL).all() and moves < 0.1 * root),
                                       moves))
    return tuple(sorted(found, key=lambda c: c.theta))


def _root(land, pair, basins, low, high, sign):
    """The temperature between two at which the free energies of a pair of wells are equal."""
    for _ in range(50):
        middle = np.sqrt(low * high)
        at = _pair(land, pair, basins, middle)
        if np.signbit(at.free_energy[0, 0] - at.free_energy[0, 1]) == sign:
            low = middle
        else:
            high = middle
    return middle


def free_energy_errors(land, wells, basins, thetas, coarse):
    """How far free energies may be off, two parts of shape (n_theta, n_wells) that add up; zero where the
    axes are uneven or short.

    By what lies between the samples: the larger of twice their change when smooth samples are put between
    those of the surface and a third of that when every second one is left out, and their noise. By what is as
    narrow as the samples: half of their change when pits and ridges become sharper (`sharpened`).
    """
    between, narrow = np.zeros_like(coarse), np.zeros_like(coarse)
    if land.is_uniform and min(land.shape) >= 3:
        change = lambda surface, home: np.abs(thermodynamics(
            surface, wells, np.where(surface.valid, home, -1), thetas, with_means=False).free_energy - coarse)
        if land.loss.size <= REFINED_UP_TO:
            between = SAFETY * change(refined(land, 2, is_smooth=True), nearest(basins, 2, land.wraps))
        if can_be_thinned(land):
            home = basins[(slice(None, None, 2),) * land.ndim]
            if np.isin(np.arange(len(wells)), home).all():
                between = np.fmax(between, change(thinned(land, 2), home) / 3)
        narrow = change(sharpened(land), basins) / 2
    return between + _free_energy_noise(land, basins, thetas, len(wells)), narrow


def _held_beside(land, basins, thetas, n):
    """Share of each basin's probability in cells beside another basin, (n_theta, n): which of the two they
    belong to is open."""
    beside, found = seam(basins, land.wraps), np.zeros((len(thetas), n))
    for k in range(n):
        its = basins == k
        f, v, at = land.loss[its], land.volumes[its], beside[its]
        with np.errstate(under="ignore", over="ignore"):
            for i, theta in enumerate(thetas):
                w = v * np.exp(-(f - f.min()) / theta)
                found[i, k] = w[at].sum() / w.sum()
    return found


def _free_energy_noise(land, basins, thetas, n):
    """Two standard errors of the free energies by the noise sigma of the samples: 2 sigma (sum of the squared
    weights of the basin's cells)^1/2."""
    found = np.zeros((len(thetas), n))
    for k in range(n) if land.noise.sigma else ():
        f, v = land.loss[basins == k], land.volumes[basins == k]
        with np.errstate(under="ignore", over="ignore"):
            for i, theta in enumerate(thetas):
                w = v * np.exp(-(f - f.min()) / theta)
                found[i, k] = 2 * land.noise.sigma * np.linalg.norm(w) / w.sum()
    return found


def _pair(land, pair, basins, theta):
    numbers = [w.number - 1 for w in pair]
    local = np.full(basins.shape, -1)
    for k, n in enumerate(numbers):
        local[basins == n] = k
    return thermodynamics(land, pair, local, [theta], with_means=False)
