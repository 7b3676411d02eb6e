"""One step of each integrator, and what it meets: walls, mobility, schedules, noise.

Leimkuhler-Matthews: X_{n+1} = X_n - dt grad f(X_n) + sqrt(theta dt/2) (G_n + G_{n+1}), order 2 in the Gibbs
measure. B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34.
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "ensemble": "Ensemble",
    "walls": "Walls",
    "schedule": "Schedule",
    "divergence": "DivergenceError",
})
