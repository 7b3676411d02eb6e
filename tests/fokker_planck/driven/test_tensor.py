"""Diffusion matrices with entries off the diagonal that depend on x: known densities and currents."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.discretisation.tensor_stencil import selling
from fpkit.fokker_planck.driven.tensor_rates import selling_field

V = fp.Potential("x**2/2 + y**2/2 + 0.3*x*y + 0.2*sin(2*x)*cos(y)")
TURN = "(0.5*x + 0.3*y + 0.2)"


def matrix(k):
    """Axes 1 and k that turn with x."""
    k = f"({k}*(1 + 0.5*sin(x)))"
    off = f"(1 - {k})*cos{TURN}*sin{TURN}"
    return f"[[cos{TURN}**2 + {k}*sin{TURN}**2, {off}], [{off}, sin{TURN}**2 + {k}*cos{TURN}**2]]"


def grid(n):
    return fp.Grid([(-4.5, 4.5)] * 2, (n, n))


def turning(p):
    """rot(exp(-V)) over exp(-V): it drives a current and keeps exp(-V)."""
    g = V.gradient(p)
    return 0.7 * np.stack([-g[:, 1], g[:, 0]], axis=1)


def test_sellings_weights_of_a_field_are_those_of_each_matrix():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 2, 2)) * 10**rng.uniform(-1, 1, (40, 1, 2))
    E = A @ A.swapaxes(1, 2)
    offsets, weights = selling_field(E)
    assert (weights >= 0).all()
    assert np.allclose(np.einsum("nk,nki,nkj->nij", weights, offsets, offsets), E, rtol=1e-10)
    for e, o, w in zip(E, offsets, weights):
        known = {tuple(x * np.sign(x[np.flatnonzero(x)[0]])): y for x, y in zip(*selling(e, np.ones(2)))}
        for x, y in zip(o, w):
            if y > 1e-9 * w.max():
                assert known[tuple(x * np.sign(x[np.flatnonzero(x)[0]]))] == pytest.approx(y, rel=1e-7)


@pytest.mark.parametrize("ratio", [1 / 3, 0.02])
def test_without_a_force_gibbs_is_stationary_to_rounding_whatever_the_axes(ratio):
    D = fp.FokkerPlanck(V, 1.0, grid(20), matrix(ratio))
    state = D.stationary()
    p = np.exp(-V(D.grid.points))
    assert np.ptp(state.log_density.values + V(D.grid.points)) < 1e-10 and p.min() > 0
    assert state.is_gibbs and (D.gibbs.values == fp.FokkerPlanck(V, 1.0, grid(20)).gibbs.values).all()
    assert D.stationary().entropy_production < 1e-12


@pytest.mark.parametrize("form", ["equation", "force"])
def test_a_known_current_in_a_turning_matrix_is_found_within_the_stated_error(form):
    M = fp.Diffusion(V, 1.0, matrix(1 / 3))
    if form == "equation":
        process = fp.Diffusion.from_sde(lambda p: M.drift(p) + turning(p), matrix(1 / 3), "ito")
        make = lambda n: fp.FokkerPlanck(process, grid=grid(n))
    else:
        force = lambda p: np.linalg.solve(M.mobility(p), turning(p)[..., None])[..., 0]
        make = lambda n: fp.FokkerPlanck(V, 1.0, grid(n), matrix(1 / 3), force=force)
    gaps = []
    for n in (18, 36):
        D = make(n)
        state, p = D.stationary(), np.exp(-V(D.grid.points))
        p /= p.sum() * D.grid.volumes[0, 0]
        bulk, wrong = p > 1e-4, np.abs(state.log_density.values - np.log(p))
        assert (wrong <= state.log_density.error)[bulk].all()
        gaps.append((np.abs(np.exp(state.log_density.values) - p) * D.grid.volumes).sum())
        x = D.grid.points.reshape(-1, 2)
        v = turning(x)
        exact = float((p.ravel() * np.einsum("ni,nij,nj->n", v, np.linalg.inv(M.mobility(x)), v)).sum()
                      * D.grid.volumes[0, 0])
        assert abs(state.entropy_production - exact) <= state.entropy_production.error
    assert gaps[1] < 0.4 * gaps[0] and gaps[1] < 4e-3


def test_passage_in_a_turning_matrix_agrees_with_a_finer_grid():
    B = fp.HalfSpace([1, 0.3], 1.5)
    ask = lambda n: fp.FokkerPlanck(V, 1.0, grid(n), matrix(1 / 3)).mfpt(B).at([0.0, 0.0])
    a, b = ask(24), ask(48)
    assert abs(a - b) <= a.error + b.error and b.error < 0.5 * b


def test_what_is_not_known_says_so():
    with pytest.raises(ValueError, match="two dimensions"):
        fp.FokkerPlanck(fp.Potential("x*y*z"), 1.0, fp.Grid([(0, 1)] * 3, (4, 4, 4)),
                        lambda p: np.tile(np.eye(3) + 0.1, (len(p), 1, 1)))
    with pytest.warns(fp.ResolutionWarning, match="axes of the diffusion matrix"):
        fp.FokkerPlanck(fp.Diffusion.from_sde("(-x, -y)", matrix(0.02), "ito"), grid=grid(12)).stationary()
