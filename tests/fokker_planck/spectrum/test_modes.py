"""Spectra that a chain cannot resolve say so, and absorbing sets need no deep well."""
import warnings

import numpy as np
import pytest
from scipy.linalg import eigh

import fpkit as fp

SEPARABLE = fp.Potential("(x**2 - 1)**2 + y**2")


@pytest.mark.parametrize("shape", [(11, 11), (32, 32), (9, 14), (20, 7)])
@pytest.mark.parametrize("theta", [1e-3, 1e-4])
def test_cold_spectra_on_coarse_grids_are_resolved_or_say_that_they_are_not(shape, theta):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        S = fp.FokkerPlanck(SEPARABLE, theta, fp.Grid([(-2, 2)] * 2, shape)).spectrum()
    assert S.eigenvalues[0] == 0 and not np.isnan(S.log10).any()
    for k, log10 in enumerate(S.log10):
        # the wells' curvatures are 8 and 2: no eigenvalue but 0 and the rate is far below 2, none of the
        # first six far above 8
        assert S[k].status != "ok" or log10 < 1.0
    assert S.status != "ok" and ("unresolved" in S.status or "missing" in S.status)
    assert "nan" not in repr(S) and "inf" not in repr(S)


def test_a_potential_that_falls_to_a_corner_leaves_no_foreign_error():
    for n in (8, 16, 24):
        S = fp.FokkerPlanck(fp.Potential("x*y"), 0.005, fp.Grid([(2, 17)] * 2, (n, n))).spectrum()
        assert S.eigenvalues[0] == 0 and "missing" in S.status


def test_masks_of_few_cells_have_as_many_eigenvalues_as_cells():
    for cells in ([(2, 3)], [(2, 3), (2, 4)], [(2, 3), (2, 4), (3, 4)], [(1, 1), (4, 4)]):
        mask = np.zeros((6, 6), bool)
        mask[tuple(np.transpose(cells))] = True
        S = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 1.0,
                            fp.Grid([(-1, 1)] * 2, (6, 6), mask=mask)).spectrum()
        assert len(S) == len(cells) and S.eigenvalues[0] == 0 and "missing" in S.status


@pytest.mark.parametrize("seed", range(10))
def test_spectra_with_an_absorbing_set_and_no_deep_well_are_those_of_the_matrix(seed):
    rng = np.random.default_rng(seed)
    d = 2 + seed % 2
    a = rng.uniform(0.2, 2.0, d)
    V = fp.Potential(" + ".join(f"{k}*{x}**2" for k, x in zip(a, "xyz")) + f" + {rng.uniform(0, 1)}*x*y")
    n = (18, 15) if d == 2 else (8, 7, 8)
    hole = fp.Ball(rng.uniform(-0.5, 0.5, d), rng.uniform(0.3, 0.8))
    D = fp.FokkerPlanck(V, rng.uniform(0.5, 2.0), fp.Grid([(-1.3, 1.3)] * d, n), absorbing=hole)
    S = D.spectrum(4)
    chain = D.chain.in_range()
    at = np.isfinite(chain.log_mass)
    m, L = np.exp(chain.log_mass[at]), chain.generator().toarray()[np.ix_(at, at)]
    truth = eigh(-np.sqrt(m)[:, None] * L / np.sqrt(m), eigvals_only=True)[:4]
    assert np.allclose(S.eigenvalues, truth, rtol=1e-6) and S.status == "ok" and (S.eigenvalues > 0).all()


def test_missing_modes_are_told_and_the_first_ones_kept():
    D = fp.FokkerPlanck(fp.Potential("1e-3*x**2 + y**2"), 1.0, fp.Grid([(-1, 1)] * 2, (3, 2)))
    S = D.spectrum(20)
    assert len(S) < 20 and "missing" in S.status and S.eigenvalues[0] == 0
