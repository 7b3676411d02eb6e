"""Block iteration on large grids against elimination on the same chain, and against one-dimensional gaps."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.spectrum import slow_modes
from fpkit.fokker_planck.spectrum.modes import lowest_modes

BOX = [(-2, 2), (-1.8, 1.8), (-1.7, 1.7)]
WELLS = "(x**2 - 1)**2 + 1.5*y**2 + 1.2*z**2 + 0.3*x*y + 0.2*y*z"
FOUR = "(x**2 - 1)**2 + 0.8*(y**2 - 1)**2 + 1.3*z**2 + 0.1*x*y"
CELLS = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (18, 17, 16)), indexing="ij"), -1)
HOLE = (np.abs(CELLS[..., 0]) > 0.15) | (np.hypot(CELLS[..., 1], CELLS[..., 2]) < 0.35)
KINDS = {
    "coupled": dict(V=WELLS, theta=0.3),
    "deep wells": dict(V=WELLS, theta=0.06),
    "four deep wells": dict(V=FOUR, theta=0.05),
    "four shallow wells": dict(V=FOUR, theta=0.4),
    "wall with a hole": dict(V="0.5*x**2 + y**2 + z**2", theta=0.5, mask=HOLE),
    "two chambers apart": dict(V=WELLS, theta=0.3, mask=np.abs(CELLS[..., 0]) > 0.15),
    "absorbing ball": dict(V=WELLS, theta=0.3, absorbing=fp.Ball([1, 0, 0], 0.35)),
    "absorbing ball, deep": dict(V=FOUR, theta=0.05, absorbing=fp.Ball([1, 1, 0], 0.35)),
    "periodic": dict(V="cos(x) + cos(y) + 0.5*cos(z) + 0.2*sin(x + y)", theta=0.7, box=[(0, 2 * np.pi)] * 3,
                     periodic=True),
    "mobility by axis": dict(V=WELLS, theta=0.3, mobility=[1.0, 0.1, 0.02]),
    "full mobility": dict(V=WELLS, theta=0.3, mobility=[[1, 0.4, 0.1], [0.4, 1, 0.2], [0.1, 0.2, 0.8]]),
    "long box": dict(V="x**2/2 + y**2 + z**2", theta=0.5, box=[(-6, 6), (-2, 2), (-2, 2)],
                     shape=(40, 14, 12)),
}


def diffusion(V, theta, box=BOX, shape=(18, 17, 16), mask=None, periodic=False, **options):
    return fp.FokkerPlanck(fp.Potential(V), theta, fp.Grid(box, shape, periodic, mask), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_iteration_and_elimination_find_the_same_modes_of_one_chain(kind, monkeypatch):
    iterated, eliminated = diffusion(**KINDS[kind]), diffusion(**KINDS[kind])
    monkeypatch.setattr(slow_modes, "ITERATED", {3: 600})
    logs, functions = lowest_modes(iterated, 4)
    monkeypatch.setattr(slow_modes, "ITERATED", {3: 10**9})
    expected, same = lowest_modes(eliminated, 4)
    assert np.array_equal(np.isneginf(logs), np.isneginf(expected))
    at = np.isfinite(expected)
    assert np.abs(logs[at] - expected[at]).max() < 5e-9
    m = np.exp(iterated.chain.log_mass)
    m /= m.sum()
    seen = np.isfinite(functions[0].ravel()) & np.isfinite(same[0].ravel())
    F, G = functions.reshape(4, -1)[:, seen], same.reshape(4, -1)[:, seen]
    overlap = (F * m[seen]) @ G.T
    gaps = np.diff(np.r_[-np.inf, np.maximum(expected, -1e3)])
    is_apart = at & (gaps > 1e-3) & np.r_[gaps[1:] > 1e-3, False]          # of a cluster any basis will do
    assert np.allclose(np.abs(np.diag(overlap))[is_apart], 1.0, atol=1e-5)


def test_gaps_of_separable_wells_agree_with_the_interval_down_to_thirty_decades():
    for theta, n in ((0.1, 24), (0.0145, 40)):
        V = fp.Potential("(x**2 - 1)**2 + y**2 + 1.5*z**2")
        wide = max(0.6, 6 * np.sqrt(theta))
        box = [(-1.6, 1.6), (-wide, wide), (-wide, wide)]
        found = fp.FokkerPlanck(V, theta, fp.Grid(box, (n, 12, 12))).spectrum(2)
        line = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), theta, fp.Grid([(-1.6, 1.6)], n)).spectrum(2)
        assert abs(found.log10[1] - line.log10[1]) * np.log(10) < np.log1p(found.relative_errors[1])
        assert found.relative_errors[1] < 0.5


@pytest.mark.slow
def test_grids_that_elimination_cannot_hold_are_answered():
    V = fp.Potential(WELLS)
    found = fp.FokkerPlanck(V, 0.3, fp.Grid(BOX, (52, 50, 48))).spectrum(3)
    finer = fp.FokkerPlanck(V, 0.3, fp.Grid(BOX, (26, 25, 24))).spectrum(3, refine=True)
    assert (np.abs(found.eigenvalues - finer.eigenvalues) <= found.errors + finer.errors).all()
    assert (found.errors[1:] < 0.3 * found.eigenvalues[1:]).all()
