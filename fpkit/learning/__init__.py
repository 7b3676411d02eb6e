"""Learning as diffusion: problems, learners, and the experiments behind the claims.

dw = -grad L(w) dt + sqrt(2 theta) dW for the weights w of a network with loss L.
M. Welling, Y. W. Teh, Bayesian Learning via Stochastic Gradient Langevin Dynamics, ICML (2011).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "modular_addition": "ModularAddition",
    "sgld": "SgldRun",
    "training": "TrainingRun train",
    "problem": "LearningProblem",
    "classifiers": "digits wine",
    "factorisation": "MatrixFactorisation",
})
