"""The density: reversible Markov chains on cells for du/dt = div[M exp(-beta f) theta grad(u exp(beta f))].

A chain has masses m and conductances c, L_ij = c_ij/m_i, and the Gibbs cell probabilities are its stationary
state. R. Eymard, T. Gallouet, R. Herbin, Finite Volume Methods, Handbook of Numerical Analysis 7 (2000).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "fokker_planck": "FokkerPlanck",
    "evolution.result": "Evolution",
    "results": "Spectrum QuasiStationary",
    "convergence": "refinement_table",
    "averages": "gibbs_mean",
})
