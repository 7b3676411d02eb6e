"""Learning as diffusion: problems, learners, and the experiments behind the claims.

dw = -grad L(w) dt + sqrt(2 theta) dW for the weights w of a network with loss L. M. Welling, Y. W. Teh,
Bayesian Learning via Stochastic Gradient Langevin Dynamics, ICML (2011).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "problem": "LearningProblem",
    "modular_addition": "ModularAddition circle",
    "classifiers": "digits wine",
    "factorisation": "MatrixFactorisation",
    "training": "TrainingRun train",
    "sgld": "SgldRun sgld",
    "own_problem": "OwnProblem",
    "walkers": "LearnerRun learn",
    "solutions": "solutions",
    "sweep": "fit_laws sweep",
    "models": "ravine chamber",
    "curvature": "spectrum",
    "figures": "figure_data QUICK",
}, modules=("sgld", "solutions", "sweep"))
