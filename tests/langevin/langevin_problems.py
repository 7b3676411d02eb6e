"""Potentials and exact answers that the tests of paths share."""
import numpy as np

import fpkit as fp

WELL = "(x**2 - 1)**2"
SCHEMES = {"euler-maruyama": {}, "leimkuhler-matthews": {}, "heun": {}, "mala": {},
           "baoab": {"friction": 1.5}}


def double_well():
    return fp.Potential(WELL)


def tilted_plane():
    return fp.Potential("(x**2 - 1)**2 + 0.5*y**2 + 0.3*x*y")


def distance_to_gibbs(values, f, theta, low, high):
    """Kolmogorov-Smirnov distance of a sample to exp(-f/theta) on [low, high], times sqrt(n)."""
    g = np.linspace(low, high, 20001)
    e = f(g)
    w = np.exp(-(e - e.min()) / theta)
    cdf = np.concatenate([[0], np.cumsum((w[1:] + w[:-1]) / 2)])
    F, i = np.interp(np.sort(values), g, cdf / cdf[-1]), np.arange(values.size)
    return max((F - i / values.size).max(), ((i + 1) / values.size - F).max()) * values.size**0.5


KS_LIMIT = 1.95                                                  # 1e-3 by accident
