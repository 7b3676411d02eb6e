"""Diffusion in a potential, seen from both sides.

The density of dX = -grad f dt + sqrt(2 theta) dW obeys du/dt = theta div[exp(-beta f) grad(u exp(beta f))],
beta = 1/theta, and relaxes to the Gibbs density exp(-beta f)/Z. Every public name below is loaded when it is
first used, so that ``import fpkit`` costs little more than ``import numpy``.
"""
import importlib

__version__ = "0.1.0"

_HOME = {
    "core.results": "Estimate Field ResolutionWarning",
    "core.grid": "Grid",
    "potentials.potential": "Potential",
    "potentials.grid_potential": "GridPotential",
    "potentials.catalogue": "catalogue",
    "potentials.critical": "find_wells critical_points",
    "potentials.energy_path": "minimum_energy_path",
    "potentials.regions": "Ball HalfSpace Box Sublevel Basin Region",
    "fokker_planck.face": "FokkerPlanck",
    "fokker_planck.evolution": "Evolution",
    "fokker_planck.passage_results": "Spectrum QuasiStationary",
    "fokker_planck.refinement": "refinement_table",
    "langevin.face": "simulate sample",
    "langevin.exit_times": "exit_time",
    "langevin.splitting": "multilevel_splitting",
    "langevin.fleming_viot": "fleming_viot",
    "langevin.divergence": "DivergenceError",
    "langevin.flow": "gradient_flow",
    "langevin.walls": "Walls",
    "rates.eyring_kramers": "eyring_kramers",
    "rates.network": "well_network WellNetwork",
    "rates.comparison": "compare_rates",
    "rates.table": "RatesTable",
    "rates.picture": "transition_picture",
    "rates.friction": "kramers_turnover",
    "rates.free_energy": "free_energy free_energy_form free_energy_rate",
    "landscapes.reading": "read_landscape LandscapeFormatError Landscape",
    "landscapes.planes": "Plane",
    "landscapes.directions": "read_directions",
    "landscapes.export": "export_landscape",
    "landscapes.temperature": "sgd_temperature equipartition_temperature",
    "landscapes.analysis": "analyse",
    "landscapes.comparison": "compare_landscapes",
    "plotting": "plot",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}
_MODULES = {"catalogue"}                     # public names that are modules themselves
__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"fpkit has no name {name!r}")
    module = importlib.import_module("." + _MODULE_OF[name], __name__)
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
