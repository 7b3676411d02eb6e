"""Steps of exp(-t L) for a sparse L whose spectrum lies in the right half plane, oscillations included."""
from __future__ import annotations

import numpy as np
from scipy.sparse import identity
from scipy.sparse.linalg import splu

POLES = 5                        # of the Pade approximant: order 9, L-stable
MOST_HALVINGS = 13
LARGEST_FIRST = 5                # halvings that the first guess may ask for


def _partial_fractions(k):
    """Poles and residues of the (k - 1, k) Pade approximant of exp(z) with poles in the upper half plane."""
    denominator, numerator, c = [1.0], [1.0], 1.0
    d = 1.0
    for j in range(1, k + 1):
        c *= -(k + 1 - j) / ((2 * k - j) * j)
        denominator.append(c)
        if j < k:
            d *= (k - j) / ((2 * k - j) * j)
            numerator.append(d)
    q = np.polynomial.Polynomial(denominator)
    poles = q.roots()
    residues = np.polynomial.Polynomial(numerator)(poles) / q.deriv()(poles)
    upper = poles.imag > -1e-12
    return [(p.real, r.real, 1.0) if abs(p.imag) < 1e-9 else (p, r, 2.0)
            for p, r in zip(poles[upper], residues[upper])]


FRACTIONS = _partial_fractions(POLES)


class Steps:
    """exp(-t L) c by the (4, 5) Pade approximant: mass and stationary states are kept, fast modes damped.

    One real and two complex factorisations for each length of a step; the last few lengths are kept.
    """

    def __init__(self, L):
        self.L, self.identity = L.tocsc(), identity(L.shape[0], format="csc")
        self.kept, self.n_factorisations = {}, 0

    def _factors(self, dt):
        if dt not in self.kept:
            if len(self.kept) >= 3:
                del self.kept[next(iter(self.kept))]
            self.kept[dt] = [splu((-dt * self.L - p * self.identity).tocsc()) for p, _, _ in FRACTIONS]
            self.n_factorisations += len(FRACTIONS)
        return self.kept[dt]

    def advance(self, c, time, n_steps):
        """c after `time`, in n equal steps."""
        factors = self._factors(time / n_steps)
        for _ in range(n_steps):
            new = np.zeros_like(c)
            for lu, (p, r, twice) in zip(factors, FRACTIONS):
                new += twice * (r * lu.solve(c if np.isrealobj(p) else c.astype(complex))).real
            c = new
        return c


def controlled(steps, c, time, guess, tol, distance):
    """c after `time`, its error in `distance`, and the number of steps: halved until two results agree."""
    first = int(np.clip(np.ceil(np.log2(max(guess, 1.0))), 0, LARGEST_FIRST))
    last = steps.advance(c, time, 2 ** first)
    for j in range(first + 1, MOST_HALVINGS + 1):
        new = steps.advance(c, time, 2 ** j)
        error = distance(new, last)
        if error <= tol:
            return new, error, 2 ** j
        last = new
    return new, error, 2 ** j
