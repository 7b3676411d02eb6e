"""Every kernel also runs as plain Python (NUMBA_DISABLE_JIT=1), slowly, with the same result up to
rounding."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

SMALL = """
import json, sys
import numpy as np
import fpkit as fp

def potentials():
    V = fp.Potential("(x**2 - 1)**2 + a*y**2 + 0.1*sin(x*y) + where(x > 0, x, 0)*exp(-y**2)", a=0.5)
    x = np.array([[0.3, -0.2], [-1.1, 0.7], [1.5, 0.1]])
    axis = np.linspace(0, 1, 8)
    W = fp.GridPotential([axis], np.cos(3 * axis))
    return [V(x), V.gradient(x), V.hessian(x), W(np.array([[0.31], [0.77]])), W.gradient(np.array([[0.31]]))]

def densities():
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), theta=0.3, grid=fp.Grid([(-2, 2)], 12))
    plane = fp.Grid([(-2, 2), (-2, 2)], (8, 7))
    P = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + y**2"), theta=0.5, grid=plane)
    return [D.gibbs.values, D.generator.toarray(), D.evolve([-1.0], [0.1, 1.0], tol=1e-3).densities,
            P.gibbs.values, P.generator.toarray(), P.evolve([-1.0, 0.0], [0.1], tol=1e-2).densities]

def paths():
    V = fp.Potential("(x**2 - 1)**2")
    out = []
    for scheme in ("euler-maruyama", "leimkuhler-matthews", "heun", "mala", "baoab"):
        friction = 1.0 if scheme == "baoab" else None
        out.append(fp.simulate(V, 0.3, [0.5], 0.01, 6, n_paths=3, scheme=scheme, friction=friction, seed=4,
                               precision="double").x)
    for kind in ("reflecting", "periodic", "absorbing"):
        W = fp.Potential("cos(x)")
        walls = fp.Walls([(-np.pi, np.pi)], kind)
        out.append(fp.simulate(W, 1.0, [0.1], 0.05, 6, n_paths=3, seed=4, walls=walls, precision="double").x)
    stats = fp.sample(V, 0.3, [0.5], 0.01, 20, n_paths=3, seed=4, histogram=fp.Grid([(-2, 2)], 6))
    return out + [stats.histogram.values]

def passages():
    V, A = fp.Potential("(x**2 - 1)**2 + y**2"), fp.Ball([-1, 0], 0.4)
    B = fp.Ball([1, 0], 0.4) | fp.HalfSpace([0, 1], 1.2)
    M = [[1.0, 0.2], [0.2, 0.8]]
    tau = fp.exit_time(V, 0.8, [-1.0, 0.0], B, 0.05, 3, seed=2, mobility=M, walls=[(-2, 2), (-2, 2)])
    slow = fp.exit_time(V, 0.8, [-1.0, 0.0], [B, ~fp.Box([(-3, 2), (-2, 2)])], 0.05, 3, seed=2,
                        scheme="baoab", friction=1.0)
    split = fp.multilevel_splitting(V, 0.4, A, B, 0.05, 4, 4, seed=3, level=0.3)
    viot = fp.fleming_viot(V, 0.8, B, [-1.0, 0.0], 0.05, 4, t=3.0, n_systems=4, seed=4)
    return [tau.times, tau.exit_sides, tau.exit_points.round(2), slow.times, slow.exit_points.round(2),
            split.repeats, split.loop_time, viot.walkers.round(3), viot.exit_points.round(2)]

def trees():
    z = np.cos(np.arange(56.0) ** 1.7).reshape(7, 8)
    from fpkit.landscapes.surface.merge_tree import merge_tree
    tree = merge_tree(z, np.isfinite(z), 8)
    return [np.array([[b.minimum, np.inf if b.death is None else b.death] for b in tree])]

results = globals()[sys.argv[1]]() if len(sys.argv) > 1 else None
if results is not None:
    print(json.dumps([np.nan_to_num(np.asarray(r, float), posinf=1e300).tolist() for r in results]))
"""


@pytest.mark.parametrize("what", ["potentials", "densities", "paths", "passages", "trees"])
def test_kernels_run_without_compilation(what):
    out = []
    for disabled in ("1", "0"):
        environment = dict(os.environ, NUMBA_DISABLE_JIT=disabled, PYTHONPATH=str(ROOT))
        done = subprocess.run([sys.executable, "-c", SMALL, what], env=environment, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        out.append(json.loads(done.stdout.splitlines()[-1]))
    for plain, compiled in zip(*out):
        assert np.allclose(plain, compiled, rtol=1e-6, atol=1e-7)
