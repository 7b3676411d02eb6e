"""Walkers: many learners at once, what they pass and when.

x <- x - lr (grad f(x) + l2 x) + sqrt(2 theta lr) N(0, 1); first passage: min {t: test accuracy >= level}.
M. Welling, Y. W. Teh, Bayesian Learning via Stochastic Gradient Langevin Dynamics, ICML (2011).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "learners": "Every LearnerRun learn",
    "passages": "LifetimeLaw Passages Slope fit_law jackknife slope_of weibull_shape",
    "experiments": "Displacement addition displacement example_entropy first_passages "
                   "gauss_newton persistence",
})
