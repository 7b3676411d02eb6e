"""Wells of a loss in the space of all parameters: exp(-F/theta) = int exp(-E/theta) dx over the well.

A Gaussian fitted to the well is turned into it, level by level, and back. D. Frenkel, A. J. C. Ladd, J. Chem.
Phys. 81, 3188 (1984); C. H. Bennett, J. Comput. Phys. 22, 245 (1976).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "well": "well_free_energy local_learning_coefficient WellFreeEnergy LearningCoefficient",
    "solutions": "compare_solutions SolutionComparison",
})
