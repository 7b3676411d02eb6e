"""Diffusion in a potential, seen from both sides.

The density of dX = -grad f dt + sqrt(2 theta) dW obeys du/dt = theta div[exp(-beta f) grad(u exp(beta f))],
beta = 1/theta, and relaxes to the Gibbs density exp(-beta f)/Z. Every public name below is loaded when it is
first used, so that ``import fpkit`` costs little more than ``import numpy``.
"""
from .core.lazy import lazy_names

__version__ = "0.1.0"

# From a module to the public names that it gives.
HOMES = {
    "core.results": "Estimate Field ResolutionWarning",
    "core.grid": "Grid",
    "potentials.potential": "Potential",
    "potentials.grid_potential": "GridPotential",
    "potentials.catalogue": "catalogue",
    "potentials.diffusion": "Diffusion",
    "potentials.force": "Rotation",
    "potentials.stationary.critical": "find_wells critical_points",
    "potentials.stationary.energy_path": "minimum_energy_path",
    "potentials.regions.shapes": "Ball HalfSpace Box Region",
    "potentials.regions.level_sets": "Sublevel Basin",
    "fokker_planck.fokker_planck": "FokkerPlanck",
    "fokker_planck.evolution.result": "Evolution",
    "fokker_planck.results": "Spectrum QuasiStationary",
    "fokker_planck.convergence": "refinement_table",
    "fokker_planck.phase_space.klein_kramers": "KleinKramers",
    "langevin.simulate": "simulate",
    "langevin.averages.sample": "sample",
    "langevin.first_passage.exit_time": "exit_time",
    "langevin.first_passage.splitting": "multilevel_splitting",
    "langevin.first_passage.fleming_viot": "fleming_viot",
    "langevin.dynamics.divergence": "DivergenceError",
    "langevin.gradient_flow": "gradient_flow",
    "langevin.dynamics.walls": "Walls",
    "rates.eyring_kramers": "eyring_kramers",
    "rates.network": "well_network WellNetwork",
    "rates.comparison": "compare_rates",
    "rates.table": "RatesTable",
    "rates.picture": "transition_picture",
    "rates.sweep": "sweep SweepTable",
    "rates.friction": "kramers_turnover",
    "rates.free_energy": "free_energy free_energy_form free_energy_rate",
    "landscapes.files.reading": "read_landscape",
    "landscapes.files.checked_hdf5": "LandscapeFormatError",
    "landscapes.surface.landscape": "Landscape",
    "landscapes.export.planes": "Plane",
    "landscapes.files.directions": "read_directions",
    "landscapes.export.export": "export_landscape",
    "landscapes.analysis.temperature": "sgd_temperature equipartition_temperature",
    "landscapes.analysis.analyse": "analyse",
    "landscapes.analysis.comparison": "compare_landscapes",
    "landscapes.full_space.well": "well_free_energy local_learning_coefficient WellFreeEnergy",
    "landscapes.full_space.solutions": "compare_solutions SolutionComparison",
    "plotting.drawing": "plot",
}
__getattr__, __dir__, __all__ = lazy_names(__name__, HOMES, modules=("catalogue",))
