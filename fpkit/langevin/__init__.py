"""The path: dX = -M grad f dt + theta div M dt + sqrt(2 theta M) dW, and its second-order form with friction.

X_{n+1} = X_n - dt grad f(X_n) + sqrt(2 theta dt) G_n, and better schemes; averages, passage times, rare
events. B. Leimkuhler, C. Matthews, Molecular Dynamics, Springer (2015).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "averages.sample": "sample",
    "first_passage.exit_time": "exit_time",
    "first_passage.splitting": "multilevel_splitting",
    "first_passage.fleming_viot": "fleming_viot",
    "dynamics.divergence": "DivergenceError",
    "dynamics.walls": "Walls",
})
