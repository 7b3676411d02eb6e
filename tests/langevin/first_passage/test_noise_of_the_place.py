"""Passages of processes whose noise depends on the place: compiled steps beside those in NumPy, rates beside
finite volumes."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.langevin.first_passage import exit_time
from fpkit.langevin.first_passage.exit_numpy import WholeExitRun

KINDS = {"number": "1 + 0.3*x**2", "diagonal": ["1 + 0.3*x**2", "0.5 + 0.2*cos(y)"],
         "matrix": [["1 + 0.3*x**2", "0.2*sin(y)"], ["0.2*sin(y)", "0.6"]]}


@pytest.mark.parametrize("walls", [None, [(-1.6, 1.6), (-1, 1.2)]])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_steps_meet_the_target_where_steps_in_numpy_do(monkeypatch, kind, walls):
    process = fp.Diffusion(fp.Potential("(x**2 - 1)**2 + y**2/2"), 0.6, mobility=KINDS[kind],
                           force="(0.3*y, -0.1*x)")
    run = lambda: fp.exit_time(process, x0=np.tile([-1.0, 0.3], (300, 1)), target=fp.Ball([1, 0], 0.4),
                               dt=0.02, n_paths=300, seed=3, walls=walls)
    a = run()
    monkeypatch.setattr(exit_time, "ExitRun", lambda probe, targets, X, n, most, threads, span:
                        WholeExitRun(probe, targets, n, most, span))
    b = run()
    assert np.allclose(a.times, b.times, rtol=1e-5) and np.allclose(a.exit_points, b.exit_points, atol=1e-4)


def test_a_drift_with_a_constant_degenerate_noise_is_compiled_too(monkeypatch):
    process = fp.Diffusion.from_sde("(y, x - x**3 - y)", [[0, 0], [0, 0.5]], "ito")
    run = lambda: fp.exit_time(process, x0=np.tile([-1.0, 0.0], (300, 1)), target=fp.HalfSpace([1, 0], 0.5),
                               dt=0.02, n_paths=300, seed=3)
    a = run()
    monkeypatch.setattr(exit_time, "ExitRun", lambda probe, targets, X, n, most, threads, span:
                        WholeExitRun(probe, targets, n, most, span))
    assert np.allclose(a.times, run().times, rtol=1e-5)


def test_rates_out_of_a_well_are_those_of_finite_volumes():
    process = fp.Diffusion.from_sde("(x - x**3 + 0.2*y, -y - 0.1*x)", "0.15*(1 + 0.3*x**2)", "ito")
    A, B = fp.Ball([-1, 0], 0.25), fp.Ball([1, 0], 0.25)
    D = fp.FokkerPlanck(process, grid=fp.Grid([(-3, 3)] * 2, (96, 96)))
    time, rate = D.mfpt(B).at([-1, 0]), D.exit_rate(B)
    splitting = fp.multilevel_splitting(process, source=A, target=B, dt=0.01, n_replicas=60, n_repeats=16)
    systems = fp.fleming_viot(process, target=B, x0=[-1, 0], dt=0.01, n_walkers=200, t=30.0)
    # a bias of 2 % at this time step is allowed for
    assert abs(splitting - time) <= 1.5 * splitting.error + time.error + 0.02 * time
    assert abs(systems - rate) <= 1.5 * systems.error + rate.error + 0.02 * rate
