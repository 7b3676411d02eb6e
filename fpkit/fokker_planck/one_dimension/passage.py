"""First passage on one piece of a line, by integrals of positive functions in logarithms.

With r = exp(beta f)/(theta M), m = exp(-beta f), S(x, y) = int_x^y r, a solution of -theta (M exp(-beta f)
u')' = s m, s >= 0, is

    u(x) = int_x^b r(y) int_a^y s m         a reflects, b absorbs
    u(x) = [S(x, b) int_a^x S(a, z) s m dz + S(a, x) int_x^b S(z, b) s m dz] / S(a, b)     both absorb

[1]_: no term has another sign than the rest, so nothing cancels at any temperature.

References
----------
.. [1] P. Haenggi, P. Talkner, M. Borkovec, Rev. Mod. Phys. 62, 251 (1990), section VII.
"""
from __future__ import annotations

import numpy as np

from .panels import Running

NONE = -np.inf


class Green:
    """log u for one source, log_source = log (s m) at the nodes of the piece; the left, the right or both
    ends absorb."""

    def __init__(self, piece, log_source):
        p = piece.panels
        self.panels = p
        self.absorbs = piece.absorbs
        r = p.resistance
        if self.absorbs == (True, True):
            self.from_left = Running(p, r.nodes_left + log_source)
            self.from_right = Running(p, r.nodes_right + log_source)
            used = r, self.from_left, self.from_right
        else:
            inner = Running(p, log_source)
            self.source = inner.nodes_left if self.absorbs[1] else inner.nodes_right
            self.outer = Running(p, p.log_r + self.source)
            used = inner, self.outer
        if p.is_steep:
            self.unresolved = np.any([u.steep.unresolved for u in used], axis=0)

    @property
    def nodes(self):
        """log u at the nodes (P, n)."""
        if self.absorbs == (False, True):
            return self.outer.nodes_right
        if self.absorbs == (True, False):
            return self.outer.nodes_left
        r = self.panels.resistance
        return np.logaddexp(r.nodes_right + self.from_left.nodes_left,
                            r.nodes_left + self.from_right.nodes_right) - r.log_total

    @property
    def log_flux(self):
        """log of the size of theta M exp(-beta f) u' at the nodes."""
        if self.absorbs != (True, True):
            return self.source
        a, b = self.from_left.nodes_left, self.from_right.nodes_right
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(a == b, NONE, np.log(-np.expm1(-np.abs(a - b))))
        return np.maximum(a, b) + gap - self.panels.resistance.log_total

    def __call__(self, x):
        """log u at points of the piece."""
        at = self.panels.place(x)
        if self.absorbs == (False, True):
            return self.outer.at_right(*at)
        if self.absorbs == (True, False):
            return self.outer.at_left(*at)
        r = self.panels.resistance
        return np.logaddexp(r.at_right(*at) + self.from_left.at_left(*at),
                            r.at_left(*at) + self.from_right.at_right(*at)) - r.log_total


def mean_time(piece, moment=1):
    """log of the mean of the `moment`-th power of the time to the absorbing ends: the source of the n-th is n
    times the one before."""
    def solution(piece):
        g = Green(piece, -piece.panels.B)
        for n in range(2, moment + 1):
            before, g = g, Green(piece, np.log(n) + g.nodes - piece.panels.B)
            if piece.panels.is_steep:
                g.unresolved |= before.unresolved
        return g
    return piece.resolved(solution)


def variance(piece):
    """log of the variance of that time: its source is 2 theta M (tau')^2, so that it is not the difference of
    two moments."""
    def solution(piece):
        tau = Green(piece, -piece.panels.B)
        found = Green(piece, np.log(2) + 2 * tau.log_flux + piece.panels.log_r)
        if piece.panels.is_steep:
            found.unresolved |= tau.unresolved
        return found
    return piece.resolved(solution)


def log_splitting(piece):
    """Functions log q and log (1 - q), q the probability to end at the right one of two absorbing ends."""
    r, place = piece.panels.resistance, piece.panels.place
    return (lambda x: r.at_left(*place(x)) - r.log_total), (lambda x: r.at_right(*place(x)) - r.log_total)


def log_committor_mass(piece, of_right):
    """log of int q m over a piece between two absorbing ends, q the probability to end at the right (or left)
    one."""
    p, r = piece.panels, piece.panels.resistance
    q = r.nodes_left if of_right else r.nodes_right
    return Running(p, q - r.log_total - p.B).log_total
