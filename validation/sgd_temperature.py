"""The temperature of SGD, measured from its gradients and from its path, is the exact one of a quadratic
loss."""
from __future__ import annotations

import numpy as np

from .verdict import Table, ruled

CLAIM = ("The noise of SGD's gradients gives its temperature, over all parameters and as a tensor in a plane "
         "of any directions; a stationary run gives the same by equipartition, up to the finite learning "
         "rate.")
SOURCE = ("w <- w - v, v <- mu v + lr (A w + noise of covariance C): the stationary <w_i (A w)_i> is lr c_i "
          "(1 + mu) / ((1 - mu) (2 (1 + mu) - lr a_i)), exactly, and lr c_i / (2 (1 - mu)) to leading order.")
CRITERION = ("At most two of nine estimates lie outside their stated error (two standard errors), none "
             "outside twice that, and no error exceeds 10 % of the value.")

CURVATURE = np.array([0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
SPREAD = np.array([1.0, 0.3, 2.0, 0.5, 1.0, 0.2])             # standard deviations of the gradient's noise
CASES = ((0.02, 0.0), (0.1, 0.0), (0.02, 0.9))                # learning rate, momentum
BATCH = 4
STEPS, QUICK_STEPS = 400_000, 60_000
SEED = 11


def measure(quick=False):
    """One row for each learning rate, momentum and quantity: estimate, its error, the exact value."""
    import fpkit as fp

    n = QUICK_STEPS if quick else STEPS
    rng = np.random.default_rng(SEED)
    d = CURVATURE.size
    plane = fp.Plane.through(np.zeros(d), rng.normal(size=d), 30 * rng.normal(size=d), orthonormal=False)
    rows = []
    for lr, momentum in CASES:
        samples = SPREAD * rng.standard_normal((min(n, 40_000), d))
        found = fp.sgd_temperature(samples, lr, plane, momentum, batch=BATCH)
        scale = lr / (2 * (1 - momentum) * BATCH)
        root = inverse_root(plane.gram) @ plane.directions
        rows.append(row(lr, momentum, "all parameters", found.theta_noise, scale * (SPREAD**2).mean()))
        rows.append(row(lr, momentum, "in the plane", found.theta,
                        scale * np.trace(root @ np.diag(SPREAD**2) @ root.T) / 2))
        w = path(lr, momentum, n, rng)
        exact = lr * SPREAD**2 / BATCH * (1 + momentum) / ((1 - momentum)
                                                           * (2 * (1 + momentum) - lr * CURVATURE))
        rows.append(row(lr, momentum, "equipartition", fp.equipartition_temperature(w, w * CURVATURE),
                        exact.mean()))
    return rows


def path(lr, momentum, n, rng):
    """Positions of a stationary run, after a tenth of its length to forget the start."""
    forget = n // 10
    kicks = SPREAD / np.sqrt(BATCH) * rng.standard_normal((n + forget, CURVATURE.size))
    w, v = np.zeros(CURVATURE.size), np.zeros(CURVATURE.size)
    found = np.empty_like(kicks)
    for k in range(n + forget):
        v = momentum * v + lr * (CURVATURE * w + kicks[k])
        w = w - v
        found[k] = w
    return found[forget:]


def inverse_root(gram):
    """Symmetric G^-1/2."""
    powers, vectors = np.linalg.eigh(gram)
    return (vectors / np.sqrt(powers)) @ vectors.T


def row(lr, momentum, name, estimate, exact):
    """One line of the table."""
    return {"learning rate": lr, "momentum": momentum, "temperature": name, "estimate": float(estimate),
            "error": estimate.error, "exact": float(exact),
            "errors off": abs(float(estimate) - float(exact)) / estimate.error}


def judge(rows):
    """Within the error; one in 20 may lie beyond two standard errors by chance, none beyond four."""
    misses = [f"{r['temperature']} at lr {r['learning rate']}, momentum {r['momentum']} is "
              f"{r['errors off']:.1f} errors off" for r in rows if r["errors off"] > 2]
    if sum(r["errors off"] > 1 for r in rows) > 2:
        misses.append(f"{sum(r['errors off'] > 1 for r in rows)} of {len(rows)} estimates lie outside their "
                      "error")
    misses += [f"{r['temperature']}: the error is {r['error'] / r['exact']:.0%} of the value"
               for r in rows if r["error"] > 0.1 * r["exact"]]
    return ruled(globals(), Table.of(rows), misses, "the largest deviation is "
                 f"{max(r['errors off'] for r in rows):.2f} of the stated error")


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(rows):
    """Numbers that must flip the verdict."""
    return [{**rows[0], "errors off": 5.0}, *rows[1:]]
