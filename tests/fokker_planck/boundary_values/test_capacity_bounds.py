"""Dirichlet's and Thomson's bounds of a capacity hold the exact one and close with order two."""
import math

import numpy as np
import pytest

import fpkit as fp

LINE, ACROSS = "(x**2 - 1)**2 + 0.3*x", "2*(y - 0.2)**2 + 0.3*sin(2*y)"
A, B = fp.HalfSpace([-1, 0], 1.0), fp.HalfSpace([1, 0], 1.0)


def plane(n, theta, **options):
    return fp.FokkerPlanck(fp.Potential(f"{LINE} + {ACROSS}"), theta, fp.Grid([(-2, 2), (-1.5, 1.8)], (n, n)),
                           **options)


def exact(theta):
    """log10 of the capacity per partition function: that of the first factor."""
    return fp.FokkerPlanck(fp.Potential(LINE), theta,
                           fp.Grid([(-2, 2)], 50)).reactive_flux(fp.HalfSpace([-1], 1.0),
                                                                 fp.HalfSpace([1], 1.0)).log10


@pytest.mark.parametrize("theta", [0.3, 0.05])
def test_bounds_hold_the_exact_capacity_and_close_with_order_two(theta):
    gaps = []
    for n in (24, 48, 96):
        low, high = np.subtract(plane(n, theta).reactive_flux(A, B, bracket=True).inputs["bracket_log10"],
                                exact(theta))
        assert low < 0 < high
        gaps.append([-low, high])
    orders = np.log2(np.array(gaps[1]) / gaps[2])
    assert ((orders > 1.8) & (orders < 2.7)).all() and max(gaps[2]) < 0.02


def test_bounds_in_one_dimension_hold_the_quadrature():
    for theta, end in ((0.2, 0.8), (0.01, 0.8), (0.2, 0.83)):
        D = fp.FokkerPlanck(fp.Potential(LINE), theta, fp.Grid([(-2, 2)], 80))
        cap = D.capacity(fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], end), bracket=True)
        low, high = cap.inputs["bracket_log10"]
        assert low <= cap.log10 <= high < cap.log10 + 0.1
        if end == 0.8:  # on a face; the flow is known there but for its amount
            assert low == pytest.approx(cap.log10, abs=1e-8)


def test_bounds_hold_where_boundaries_cut_cells_and_walls_stand():
    V = fp.Potential("(x**2 - 1)**2 + y**2*(1 + 0.3*x)")
    channel = lambda x: (np.abs(x[..., 0]) > 0.25) | (np.abs(x[..., 1]) < 0.5)
    discs = fp.Ball([-1, 0], 0.35), fp.Ball([1, 0], 0.3)
    for regions, mask in (((A, B), channel), (discs, None), (discs, channel)):
        make = lambda n, mask=mask: fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2)] * 2, (n, n), mask=mask),
                                         mobility=[1.0, 2.0])
        truth = make(32).capacity(*regions, refine=True)
        low, high = make(40).capacity(*regions, bracket=True).inputs["bracket"]
        assert low < truth + truth.error and truth - truth.error < high < 1.3 * low


def test_bounds_cap_the_stated_error_of_a_coarse_grid():
    W = fp.Potential("cos(x) + cos(y) + 0.3*sin(x + y)")
    D = fp.FokkerPlanck(W, 0.4, fp.Grid([(0, 2 * np.pi)] * 2, (24, 24), periodic=True))
    source, target = fp.Box([(np.pi - np.pi / 4, np.pi + np.pi / 4)] * 2), fp.Box([(0, np.pi / 4)] * 2)
    cap = D.capacity(source, target, bracket=True)
    low, high = cap.inputs["bracket"]
    assert low < high < 1.2 * low and cap.error <= max(high - cap, cap - low) * (1 + 1e-12)


def test_the_rate_carries_the_bracket_of_its_capacity():
    D = plane(40, 0.15)
    low, high = D.rate(A, B, bracket=True).inputs["bracket"]
    k = 1 / (fp.FokkerPlanck(fp.Potential(LINE), 0.15,
                             fp.Grid([(-2, 2)], 50)).mfpt(fp.HalfSpace([1], 1.0)).at([-1.0]))
    assert low < k < high < 1.2 * low


def test_a_full_mobility_tensor_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="along the axes"):
        plane(20, 0.3, mobility=[[1.0, 0.3], [0.3, 1.0]]).capacity(A, B, bracket=True)
    assert math.isfinite(plane(20, 0.3).capacity(A, B).error)
