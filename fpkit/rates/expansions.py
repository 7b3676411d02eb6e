"""The first correction in theta to the Eyring-Kramers formula, in any number of dimensions.

    k = k_0 (1 - c theta + O(theta^2)),   c = c_well + c_saddle

Well: the ordinary Laplace correction of Z = int exp(-beta f),

    c_well = -(1/8) sum G_ii G_jj f_iijj + (1/8) sum f_iik G_kk f_kjj G_ii G_jj
             + (1/12) sum f_ijk^2 G_ii G_jj G_kk,   G = H^-1

in the axes of the Hessian. Saddle: the committor near it is h = Phi(l/sqrt(theta)) with the normal
distribution function Phi and l = l_0 + theta l_1 + O(theta^2), where theta lap h = grad f . grad h order by
order means

    l_0 |grad l_0|^2 + grad f . grad l_0 = 0,
    lap l_0 - l_1 |grad l_0|^2 - 2 l_0 grad l_0 . grad l_1 - grad f . grad l_1 = 0.

Solved as power series around the saddle (l_0 = a s + q xx/2 + c xxx/6, l_1 = b_0 + b x, s the unstable
coordinate, a^2 = mu = |lambda_-|) with e = (mu, h_2, ..., h_d), T and Q the third and fourth derivatives of
f:

    q_ij = -a T_1ij/(mu + e_i + e_j)
    c_ijk = -6 Sym[a q_ij q_1k + a d_i1 (q q)_jk + T_mij q_mk/2 + a Q_1ijk/6]/(mu + e_i + e_j + e_k)
    b_0 = tr q/mu,     b_i = (sum_k c_kki - 2 a b_0 q_1i)/(mu + e_i).

The capacity is the flux through the plane s = 0, cap = sqrt(theta/(2 pi)) int d_1 l exp(-(f + l^2/2)/theta)
dy, an ordinary Gaussian integral over the stable directions z ~ N(0, 1/h):

    -c_saddle = E[c_1ij z z/(2a) + b_1/a - Q zzzz/24 + (T zzz/6)^2/2 - (q zz/2 + b_0)^2/2 - (q z)_1 (T zzz)/(6
    a)].

In one dimension this is c = [f4/(8 f2^2) + 5 f3^2/(24 |f2|^3)] at the top + [-f4/(8 f2^2) + 5 f3^2/(24 f2^3)]
in the well. (Laplace's method with the indefinite inverse Hessian at the saddle, which looks like a shorter
way, gives a wrong answer for d > 1.)
"""
from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

LARGEST_DIMENSION = 24  # d^3 derivatives from 4 d Hessians: beyond it the correction is not computed
STEP = 0.1  # of the thermal width sqrt(theta/|h|), for differences of the Hessian
ROUGH_STEP = 0.5                                 # the same for potentials whose Hessian comes by differences


@dataclass(frozen=True)
class Correction:
    """Coefficient c of theta, and a yardstick for the coefficient of theta^2.

    `square` is the sum over the axes of the squared sum of the sizes of all terms of that axis: additive for
    separable f, as the second-order term itself is, and blind to cancellations in c. """

    c: float
    square: float


def derivatives(V, x, theta, root):
    """Axes of the Hessian in the coordinates y of x = x_0 + A y, its eigenvalues, f_ijk and f_iijk along
    them.

    `root` is A with A A^T = mobility: in y the mobility is one. Differences of the exact Hessian at 1 and 2
    steps of a tenth of the thermal width, extrapolated once: relative error 1e-4 of the next two derivatives
    times theta, far below what is done with them.
    """
    h = root.T @ V.hessian(x) @ root
    w, axes = np.linalg.eigh(h)
    d = len(w)
    to_x = root @ axes
    small = ROUGH_STEP if V.is_black_box else STEP
    step = small * np.sqrt(theta / np.maximum(np.abs(w), 1e-6 * np.abs(w).max()))
    shifts = np.array([-2.0, -1.0, 1.0, 2.0])
    points = x + shifts[:, None, None] * (step[:, None] * to_x.T)  # (4, d, d): shift, axis, coordinate
    hessians = np.einsum("ai,skab,bj->skij", to_x, V.hessian(points), to_x)
    far, near = hessians[3] - hessians[0], hessians[2] - hessians[1]
    third = (8 * near - far) / (12 * step[:, None, None])
    far2, near2 = hessians[3] + hessians[0], hessians[2] + hessians[1]
    fourth = (16 * near2 - far2 - 30 * np.diag(w)) / (12 * step[:, None, None] ** 2)
    third = sum(third.transpose(p) for p in itertools.permutations(range(3))) / 6
    return w, third.reshape(d, d, d), fourth


def well_correction(V, x, theta, root):
    """Correction of 1/Z of the well: k grows by (1 - c theta)."""
    w, third, fourth = derivatives(V, x, theta, root)
    quartic, cubic = _gaussian_terms(third, fourth, 1 / w)
    rows = np.abs(quartic).sum(1) + cubic
    return Correction(float(cubic.sum() - quartic.sum()), float((rows ** 2).sum()))


def _gaussian_terms(third, fourth, g):
    """E[Q zzzz]/24 as its terms (i, j) and E[(T zzz)^2]/72 by the axis k of its terms, for independent z of
    variances g."""
    quartic = np.einsum("ijj,i,j->ij", fourth, g, g) / 8
    trace = np.einsum("iik,i->k", third, g)
    return quartic, g * (trace ** 2 / 8 + np.einsum("ijk,i,j->k", third ** 2, g, g) / 12)


def saddle_correction(V, x, theta, root):
    """Correction of the capacity of a saddle of index 1: cap shrinks by (1 - c theta)."""
    w, third, fourth = derivatives(V, x, theta, root)
    d, mu = len(w), -w[0]
    a, e, one = np.sqrt(mu), w.copy(), np.zeros(d)
    e[0], one[0] = mu, 1.0
    first = np.zeros((d, d, d))  # Q_1ijk where at least two of i, j, k are equal or one of them is 1
    for i in range(d):
        for j in range(d):
            first[0, i, j] = first[i, 0, j] = first[i, j, 0] = fourth[0, i, j]          # Q_11ij
    for k in range(1, d):
        for i in range(1, d):
            first[k, k, i] = first[k, i, k] = first[i, k, k] = fourth[k, 0, i]          # Q_kk1i
    q = -a * third[0] / (mu + e[:, None] + e)
    b0 = np.trace(q) / mu
    terms = (a * np.einsum("ij,k->ijk", q, q[0]) + a * np.einsum("i,jk->ijk", one, q @ q)
             + 0.5 * np.einsum("mij,mk->ijk", third, q) + a / 6 * first)
    total = sum(terms.transpose(p) for p in itertools.permutations(range(3)))
    c = -total / (mu + e[:, None, None] + e[:, None] + e)
    b = (np.einsum("kki->i", c) - 2 * a * b0 * q[0]) / (mu + e)
    g = np.where(np.arange(d) > 0, 1 / np.where(e == 0, 1.0, e), 0.0)  # covariance of z, 0 along s
    bent = np.diag(c[0]) * g / (2 * a)
    bent[0] += b[0] / a
    quartic, cubic = _gaussian_terms(third, fourth, g)
    spread = np.diag(q) * g
    spread[0] = 2 * b0                                              # (q zz + 2 b0)/2 = q zz/2 + b0
    shifted = -(0.25 * np.einsum("ij,i,j->i", q ** 2, g, g) + 0.125 * spread * spread.sum())
    # E[(q z)_1 T zzz] = 3 sum q_1i G_ii (T:G)_i
    turned = -0.5 / a * q[0] * g * np.einsum("iij,i->j", third, g)
    rows = np.abs(bent) + np.abs(quartic).sum(1) + cubic + np.abs(shifted) + np.abs(turned)
    return Correction(float(quartic.sum() - cubic.sum() - (bent + shifted + turned).sum()),
                      float((rows ** 2).sum()))
