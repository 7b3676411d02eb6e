from .core.grid import Grid as Grid
from .core.results import Estimate as Estimate, Field as Field, ResolutionWarning as ResolutionWarning
from .fokker_planck.convergence import refinement_table as refinement_table
from .fokker_planck.evolution.result import Evolution as Evolution
from .fokker_planck.fokker_planck import FokkerPlanck as FokkerPlanck
from .fokker_planck.results import QuasiStationary as QuasiStationary, Spectrum as Spectrum
from .landscapes.analysis.analyse import analyse as analyse
from .landscapes.analysis.comparison import compare_landscapes as compare_landscapes
from .landscapes.analysis.temperature import (
    equipartition_temperature as equipartition_temperature,
    sgd_temperature as sgd_temperature,
)
from .landscapes.export.export import export_landscape as export_landscape
from .landscapes.export.planes import Plane as Plane
from .landscapes.files.checked_hdf5 import LandscapeFormatError as LandscapeFormatError
from .landscapes.files.directions import read_directions as read_directions
from .landscapes.files.reading import read_landscape as read_landscape
from .landscapes.surface.landscape import Landscape as Landscape
from .langevin.averages.sample import sample as sample
from .langevin.dynamics.divergence import DivergenceError as DivergenceError
from .langevin.dynamics.walls import Walls as Walls
from .langevin.first_passage.exit_time import exit_time as exit_time
from .langevin.first_passage.fleming_viot import fleming_viot as fleming_viot
from .langevin.first_passage.splitting import multilevel_splitting as multilevel_splitting
from .langevin.gradient_flow import gradient_flow as gradient_flow
from .langevin.simulate import simulate as simulate
from .plotting import plot as plot
from .potentials import catalogue as catalogue
from .potentials.diffusion import Diffusion as Diffusion
from .potentials.grid_potential import GridPotential as GridPotential
from .potentials.potential import Potential as Potential
from .potentials.regions.level_sets import Basin as Basin, Sublevel as Sublevel
from .potentials.regions.shapes import Ball as Ball, Box as Box, HalfSpace as HalfSpace, Region as Region
from .potentials.stationary.critical import critical_points as critical_points, find_wells as find_wells
from .potentials.stationary.energy_path import minimum_energy_path as minimum_energy_path
from .rates.comparison import compare_rates as compare_rates
from .rates.eyring_kramers import eyring_kramers as eyring_kramers
from .rates.free_energy import (
    free_energy as free_energy,
    free_energy_form as free_energy_form,
    free_energy_rate as free_energy_rate,
)
from .rates.friction import kramers_turnover as kramers_turnover
from .rates.network import WellNetwork as WellNetwork, well_network as well_network
from .rates.picture import transition_picture as transition_picture
from .rates.table import RatesTable as RatesTable

__version__: str
__all__: list[str]
