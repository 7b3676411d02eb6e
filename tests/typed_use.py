"""How users call fpkit, for the type checker: mypy reads this file, nobody runs it."""
from pathlib import Path
from typing import assert_type

import numpy as np

import fpkit as fp
from fpkit.core.results import Estimate, Field
from fpkit.fokker_planck.evolution.result import Evolution
from fpkit.fokker_planck.fokker_planck import FokkerPlanck
from fpkit.fokker_planck.results import Spectrum
from fpkit.landscapes.surface.landscape import Landscape
from fpkit.potentials.potential import Potential
from fpkit.rates.table import RatesTable


def density() -> None:
    V = fp.Potential("(x**2 - 1)**2 + a*y**2", a=0.5)
    assert_type(V.with_params(a=2.0), Potential)
    grid = fp.Grid([(-2, 2), (-2, 2)], shape=(96, 80))
    D = fp.FokkerPlanck(V, theta=0.1, grid=grid, mobility=[1.0, 2.0])
    assert_type(D, FokkerPlanck)
    assert_type(D.gibbs, Field)
    assert_type(D.evolve([-1.0, 0.0], times=[0.1, 1, 100]), Evolution)
    assert_type(D.probability(fp.HalfSpace([1, 0], 0.0)), Estimate)


def passage() -> None:
    D = fp.FokkerPlanck(fp.catalogue.double_well(), 0.2, fp.Grid([(-2, 2)], shape=200))
    A, B = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0)
    assert_type(D.rate(A, B), Estimate)
    assert_type(D.committor(A, B), Field)
    assert_type(D.spectrum(3), Spectrum)
    assert_type(float(D.exit_rate(B)), float)


def paths_and_rates() -> None:
    V = fp.catalogue.double_well()
    run = fp.simulate(V, theta=0.1, x0=[-1.0], dt=0.01, n_steps=2000, n_paths=4, save_every=10, seed=1)
    assert_type(run.x, np.ndarray)
    assert_type(fp.compare_rates(V, [-1], [1], theta=[0.2, 0.1]), RatesTable)
    fp.exit_time(V, 0.3, [-1.0], fp.HalfSpace([1], 1.0), dt=0.01, n_paths=100, seed=1)


def landscape(path: Path) -> None:
    land = fp.read_landscape(path)
    assert isinstance(land, Landscape)           # a folder of topsearch gives a Network
    fp.analyse(land, theta=[0.1, 0.2]).save("report")
