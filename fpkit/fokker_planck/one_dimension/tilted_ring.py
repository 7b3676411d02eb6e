"""A ring under a constant force: mean velocity and diffusion at long times, exactly and without a term of
another sign.

With phi = f - F x, r = exp(beta phi)/(theta M), m = exp(-beta phi), the time to advance by one period L from
any point has

    mean      (1/(1 - q)) int_0^L r(y) w(y) dy,               w(y) = int_{y-L}^y m,   q = exp(-beta F L),
    variance  (2/(1 - q)^3) int_0^L r(y) int_{y-L}^y r w^2,

since the past repeats itself with the factor q each period. Successive times are independent, so v = L/mean
[1]_ and D = L^2 variance / (2 mean^3) [2]_. As F tends to 0 this is Lifson and Jackson's D.

References
----------
.. [1] R. L. Stratonovich, Radiotekhnika i elektronika 3, 497 (1958); H. Risken, The Fokker-Planck equation,
section 11.
.. [2] P. Reimann, C. Van den Broeck, H. Linke, P. Haenggi, J. M. Rubi, A. Perez-Madrid, Phys. Rev. Lett. 87,
010602 (2001).
"""
from __future__ import annotations

import math

import numpy as np

from .panels import Panels, Running

STEP = 4.0                     # change of beta F x on a panel


def log_velocity_and_diffusion(line, beta, force):
    """log |v| and log D on a ring; log |v| is -inf without a force."""
    panels, period = line.panels, line.high - line.low
    if force < 0:
        panels = panels.mirrored()
    tilt, log_q = beta * abs(force), -beta * abs(force) * period
    panels = _tilted(panels, line, tilt, force < 0)
    m, r = -panels.B, panels.log_r

    def last_period(log_g):
        """log of int_{y-L}^y g at the nodes, where g one period earlier is q times g."""
        whole = Running(panels, log_g)
        return np.logaddexp(whole.nodes_left, log_q + whole.nodes_right)

    w = last_period(m)
    mean = Running(panels, r + w).log_total
    spread = Running(panels, r + last_period(r + 2 * w)).log_total
    with np.errstate(divide="ignore"):
        log_v = math.log(period) + float(np.log(-np.expm1(log_q))) - mean
    return log_v, 2 * math.log(period) + spread - 3 * mean


def _tilted(panels, line, tilt, is_mirrored):
    """Panels with phi in place of f, short enough for the tilt."""
    sign = -1.0 if is_mirrored else 1.0
    n = np.ceil(tilt * panels.width / STEP)
    if (n > 1).any():
        edges = np.concatenate([np.linspace(a, b, int(k), endpoint=False) for a, b, k
                                in zip(panels.edges[:-1], panels.edges[1:], np.maximum(n, 1))])
        panels = panels.cut_at(edges, lambda x: line.function(sign * x))
    phi = tilt * (panels.nodes - panels.edges[0])
    return Panels(panels.edges, panels.B - phi, panels.log_r - phi, panels.error)
