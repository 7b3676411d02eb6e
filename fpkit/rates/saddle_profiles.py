"""Saddles that are no parabolas: integrals along the soft direction in place of a Gaussian.

Along a direction v of the saddle the other coordinates are relaxed: for each u the point x(u) = x_s + u v +
rest where the gradient has no component across v, with the rise g(u) = f(x(u)) - f_s and the Hessian across
v, with eigenvalues -mu(u) (if v is stable) and h_i(u). Then [1]_

    v stable:    cap = theta exp(-f_s/theta) int du exp(-g/theta) sqrt(mu/(2 pi theta)) P(u)
    v unstable:  1/cap = exp(f_s/theta)/theta int du exp(g/theta)/P(u),    P = prod sqrt(2 pi theta/h_i).

With g a parabola both are the Eyring-Kramers formula. For a quartic top, g = -c u^4, the second integral is
Gamma(1/4)/(2 (beta c)^(1/4)); for a pitchfork, g = h u^2/2 + c u^4, the first one is a Bessel function of
order 1/4. Here any g is integrated numerically. In one dimension the second form is exact up to
exp(-barrier/theta); above, the error is of the order of sqrt(theta).

.. [1] N. Berglund, B. Gentz, Markov Processes Relat. Fields 16, 549 (2010).
"""
from __future__ import annotations

import numpy as np

from ..core.quadrature import log_integral, simpson

N_POINTS = 81  # Simpson's rule; the integrand is smooth and at its ends below e^-30
DEEP = 30.0                                      # theta: where the profile counts as finished
NEWTON_STEPS = 30


class SoftDirectionError(ValueError):
    """The profile along the soft direction cannot be followed far enough."""


def log_capacity(V, saddle, theta, root, soft):
    """log of the capacity of a saddle, with the profile along the `soft` axis of the Hessian (0: the unstable
    one).

    Returns the logarithm and a relative error: what replacing the stiff directions along the profile by their
    values at the saddle would change, which is of the order of the terms left out. """
    h = root.T @ V.hessian(saddle.x) @ root
    w, axes = np.linalg.eigh(h)
    to_x = root @ axes
    u, rise, others = _profile(V, saddle, to_x, w, theta, soft)
    base = np.log(theta) - saddle.value / theta
    if soft == 0:
        if (others <= 0).any():
            raise SoftDirectionError("the valley is lost along it")
        log_rest = -0.5 * np.log(2 * np.pi * theta / others).sum(1)
        sign = 1.0
    else:
        unstable, stable = others[:, 0], others[:, 1:]
        if (unstable >= 0).any() or (stable <= 0).any():
            raise SoftDirectionError("the ridge is lost along it")
        log_rest = 0.5 * np.log(-unstable / (2 * np.pi * theta))
        log_rest = log_rest + 0.5 * np.log(2 * np.pi * theta / stable).sum(1)
        sign = -1.0
    weight = _simpson(u)
    log_total = log_integral(sign * rise / theta + log_rest, weight)
    plain = log_integral(sign * rise / theta, weight) + log_rest[np.argmin(np.abs(u))]
    return float(base - sign * log_total), float(abs(np.expm1(log_total - plain)))


def _profile(V, saddle, to_x, w, theta, soft):
    """Points u on both sides until g has changed by DEEP theta: u (n,), g(u) - f_s (n,), eigenvalues of the
    Hessian across (n, d - 1)."""
    keep = [k for k in range(len(w)) if k != soft]
    scale = np.sqrt(theta / max(np.abs(w[keep]).max() if keep else np.abs(w).max(), 1e-300))
    up = -1.0 if soft == 0 else 1.0
    reach = []
    for side in (1.0, -1.0):
        far = scale if scale > 0 and np.isfinite(scale) else 1.0
        far = min(far, 1.0)
        for _ in range(60):
            at = np.linspace(0, side * far, 33)[1:]
            rise = _relaxed(V, saddle.x, to_x, keep, soft, at)[1] - saddle.value
            if not np.isfinite(rise).all():
                raise SoftDirectionError("the profile leaves the domain of the potential")
            if (up * rise).max() >= DEEP * theta:
                break
            if soft == 0 and (up * rise)[-1] < (up * rise).max() - theta:
                far = abs(at[np.argmax(up * rise)])
                break                            # past the bottom of the well: what follows does not count
            far *= 1.3
        else:
            raise SoftDirectionError("f does not change enough along the soft direction")
        reach.append(side * far)
    u = np.linspace(reach[1], reach[0], N_POINTS) if reach[0] == -reach[1] else np.concatenate(
        [np.linspace(reach[1], 0, N_POINTS)[:-1], np.linspace(0, reach[0], N_POINTS)])
    points, value = _relaxed(V, saddle.x, to_x, keep, soft, u)
    if keep:
        across = np.einsum("ai,nab,bj->nij", to_x[:, keep], V.hessian(points), to_x[:, keep])
        others = np.linalg.eigvalsh(across)
    else:
        others = np.empty((len(u), 0))
    return u, value - saddle.value, others


def _relaxed(V, x0, to_x, keep, soft, u):
    """Points x0 + u v + rest with no gradient across v, followed outwards from u = 0 by Newton."""
    points = np.empty((len(u), len(x0)))
    rest_near = {1.0: np.zeros(len(keep)), -1.0: np.zeros(len(keep))}
    for k in np.argsort(np.abs(u), kind="stable"):
        side = 1.0 if u[k] >= 0 else -1.0
        rest = rest_near[side].copy()
        for _ in range(NEWTON_STEPS if keep else 0):
            x = x0 + to_x[:, soft] * u[k] + to_x[:, keep] @ rest
            g = to_x[:, keep].T @ V.gradient(x)
            step = np.linalg.solve(to_x[:, keep].T @ V.hessian(x) @ to_x[:, keep], -g)
            rest += step
            if np.abs(step).max() < 1e-10:
                break
        points[k] = x0 + to_x[:, soft] * u[k] + to_x[:, keep] @ rest
        rest_near[side] = rest
    return points, V(points)


def _simpson(u):
    """Weights of Simpson's rule on one or two even pieces joined at 0."""
    if np.allclose(np.diff(u), u[1] - u[0]):
        pieces = [(0, len(u) - 1)]
    else:
        middle = int(np.argmin(np.abs(u)))
        pieces = [(0, middle), (middle, len(u) - 1)]
    weight = np.zeros(len(u))
    for a, b in pieces:
        weight[a:b + 1] += simpson(b - a + 1) * (u[b] - u[a]) / (b - a) / 3
    return weight

