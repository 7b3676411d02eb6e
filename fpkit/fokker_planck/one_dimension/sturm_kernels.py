"""Sums of exponentials and Sturm counts of a line of panels, for any range of exponents.

A panel with reflecting or absorbing neighbours acts, for an eigenvalue lambda below the first one it has
between two absorbing ends, as a spring of resistance R(lambda) with a mass at either end: the solution of
psi' = r J, J' = -lambda m psi passes it as

    J -= lambda mL psi;   psi += R J;   J -= lambda mR psi.

At lambda = 0 these are the resistance of the panel and the masses of its two committor hats; the power series
in lambda corrects them, so that the chain is exact at every lambda. R, mL, mR are positive, and the sweep
below is the stationary qd algorithm in z = R J/psi: each rounding is a small relative change of some R or m,
hence each eigenvalue, however small, comes out with full relative accuracy.
"""
import math

import numpy as np
from numba import njit, types

from ...core.compilation import flag, helper, integer, kernel, number, numbers_1d, numbers_2d
from ...core.compilation.special import exp, log, log1p, options

SHIFT = 256.0  # z is held as a number times exp(shift), shift a multiple of SHIFT beside log lambda
FLAT = 1e-9  # lambda over the fastest rates of a ring, below which matrices in floats do not see it
PLAIN = -200.0                     # above exp(PLAIN) shift is 0


@kernel(types.void(numbers_1d, numbers_1d))
def running_log_sums(logs, out):
    """out[0] = -inf, out[i + 1] = log of the sum of exp(logs[:i + 1])."""
    top, total = -math.inf, 0.0
    out[0] = -math.inf
    for i in range(logs.size):
        a = logs[i]
        if a > top:
            total = (total * exp(top - a) if total > 0.0 else 0.0) + 1.0
            top = a
        elif a > -math.inf:
            total += exp(a - top)
        out[i + 1] = top + log(total) if total > 0.0 else -math.inf


@helper
def _series(a, i, x):
    """sum_k a[i, k] (-x)^k."""
    value = a[i, a.shape[1] - 1]
    for k in range(a.shape[1] - 2, -1, -1):
        value = a[i, k] - x * value
    return value


@njit(**options)
def _count(base, x, is_free_left, is_free_right, ratio, rho, left, right):
    """Eigenvalues below lambda = exp(base) x of a line with reflecting ("free") or absorbing ends.

    ratio[i] = R_i / R_{i-1} at lambda = 0; rho, left, right (P, K): power series of R / R(0), R mL and R mR
    in -lambda.
    """
    P, n = ratio.size, 0
    lam = exp(base) * x
    shift, unit = 0.0, lam
    if is_free_left and base < PLAIN:
        shift, unit = base, x
    ceiling = exp(min(SHIFT, -150.0 - shift))  # beyond it a scaled z is rescaled: 1 + z = 1 must hold
    z = -unit * _series(left, 0, lam)
    here = _series(rho, 0, lam)
    for i in range(P):
        if i == 0 and not is_free_left:
            w = 1.0
        elif shift == 0.0:
            d = 1.0 + z
            if d < 0.0:
                n += 1
            elif d == 0.0:
                d = 1e-300
            w = z / d
        else:
            w = z
        out = w - unit * _series(right, i, lam)
        if i == P - 1:
            if is_free_right and out < 0.0:
                n += 1
            break
        there = _series(rho, i + 1, lam)
        z = ratio[i + 1] * (there / here) * out - unit * _series(left, i + 1, lam)
        here = there
        size = abs(z)
        if shift == 0.0:
            if base < PLAIN and size < 1e-130:
                shift = -SHIFT
                z *= exp(SHIFT)
                unit = exp(base + SHIFT) * x
                ceiling = exp(SHIFT - 150.0)
        elif size > ceiling:
            if shift + log(size) > -151.0:
                z *= exp(shift)
                shift, unit = 0.0, lam
            else:
                shift += SHIFT
                z *= exp(-SHIFT)
                unit = exp(base - shift) * x
                ceiling = exp(min(SHIFT, -150.0 - shift))
        elif size < 1e-130 and shift > base:
            shift -= SHIFT
            z *= exp(SHIFT)
            unit = exp(base - shift) * x
            ceiling = exp(min(SHIFT, -150.0 - shift))
    return n


@njit(**options)
def _add(s, a, t, b):
    """s exp(a) + t exp(b) as sign and logarithm."""
    if a == -math.inf and b == -math.inf:
        return 1.0, -math.inf
    if a < b:
        s, a, t, b = t, b, s, a
    if s == t:
        return s, a + log1p(exp(b - a))
    gap = b - a
    if gap == 0.0:
        return s, a - 37.0                               # equal to rounding: what is left is of its size
    return s, a + log(-math.expm1(gap))


@njit(**options)
def _one_plus(s, a):
    """1 + s exp(a) as sign and logarithm."""
    if a < -38.0:
        return 1.0, s * exp(a)
    if a < 300.0:
        d = 1.0 + s * exp(a)
        if d == 0.0:
            d = 1e-17
        return (1.0, log(d)) if d > 0.0 else (-1.0, log(-d))
    return s, a


@njit(**options)
def _arcs(lnlam, backwards, log_R, rho, left, right, out):
    """Arcs of a ring from node 0 to each node i = 1 .. P - 1 on one way round, their inner nodes eliminated.

    Eliminating node i joins node 0 to node i + 1: R' becomes R' (1 + z), its mass mu goes by mu q/(1 + z) and
    mu/(1 + z) to the two ends, with q = R_i/R', z = q - lambda R_i mu. out (12, P + 1): sign and log of
    lambda times the mass at node 0, the same at node i, 1/R', then the number of negative pivots 1 + z and
    the log of the smallest; and for node i eliminated, sign and log of q and of 1 + z.
    """
    P = log_R.size
    lam = exp(lnlam)
    i = P - 1 if backwards else 0
    lr = log_R[i] + log(_series(rho, i, lam))
    sq, lq = 1.0, 0.0
    sk, lk = 1.0, lnlam + log(_series(left if backwards else right, i, lam))
    sm, lm = 1.0, lnlam + log(_series(right if backwards else left, i, lam))
    sz, lz = _add(1.0, 0.0, -1.0, lk)
    n, smallest = 0, 0.0
    for step in range(1, P):
        node = P - step if backwards else step
        # everything is in units of 1/R of the last panel: q = R/R', k = lambda R m at node i, sm exp(lm) at
        # node 0
        out[0, node], out[1, node] = sm, lm - lr
        out[2, node], out[3, node] = sk, lk - lr
        out[4, node], out[5, node] = sq, lq - lr
        out[6, node], out[7, node] = n, smallest
        i = P - 1 - step if backwards else step
        last = lr
        lr = log_R[i] + log(_series(rho, i, lam))
        own = lnlam + log(_series(right if backwards else left, i, lam))
        lg = lr - last
        lq += lg
        sk, lk = _add(sk, lk + lg, 1.0, own)
        sz, lz = _add(sz, lz + lg, -1.0, own)
        lm += lg
        sd, ld = _one_plus(sz, lz)
        if sd < 0.0:
            n += 1
        smallest = min(smallest, ld)
        out[8, node], out[9, node], out[10, node], out[11, node] = sq, lq, sd, ld
        sq *= sd
        lq -= ld
        sm, lm = _add(sm, lm, sk * sq, lk + lq)
        sk *= sd
        lk -= ld
        sz *= sd
        lz -= ld
        bead = lnlam + log(_series(left if backwards else right, i, lam))
        sk, lk = _add(sk, lk, 1.0, bead)
        sz, lz = _add(sz, lz, -1.0, bead)


@njit(**options)
def _determinant_sign(d, e):
    """Sign of the determinant of a symmetric matrix with diagonal d, e[i] between i and i + 1 and e[-1] in
    the corners, by rotations."""
    P = d.size
    x, y, w = d[0], e[0], e[P - 1]
    l0, l1, l2, lz = e[P - 1], 0.0, 0.0, d[P - 1]  # the last row, in columns i, i + 1, i + 2 and P - 1
    far = e[P - 2]                                             # and in column P - 2 beyond them
    if P == 3:
        l1, far = far, 0.0
    if P == 4:
        l2, far = far, 0.0
    for i in range(P - 2):
        s, dd = e[i], d[i + 1]
        u = e[i + 1] if i + 2 < P - 1 else 0.0
        v = e[i + 1] if i + 2 == P - 1 else 0.0
        r = math.hypot(x, s)
        c, n = (x / r, s / r) if r > 0.0 else (1.0, 0.0)
        y, dd = c * y + n * dd, c * dd - n * y
        t, u = n * u, c * u
        w, v = c * w + n * v, c * v - n * w
        r2 = math.hypot(r, l0)
        c, n = (r / r2, l0 / r2) if r2 > 0.0 else (1.0, 0.0)
        l1, l2, lz = c * l1 - n * y, c * l2 - n * t, c * lz - n * w
        x, y, w = dd, u, v
        far *= c
        l0, l1, l2 = l1, l2, (far if i + 3 == P - 2 else 0.0)
    return 1.0 if x * lz - w * l0 > 0.0 else -1.0


@kernel(types.void(number, numbers_1d, numbers_2d, numbers_2d, numbers_2d, numbers_1d, numbers_1d, numbers_1d,
                   numbers_1d))
def ring_matrix(lam, log_R, rho, left, right, d, e, ahead, behind):
    """The ring as the symmetric matrix M^-1/2 K M^-1/2 - lambda, and 1/sqrt(R_i m_i), 1/sqrt(R_i m_{i+1}).
    Only ratios of neighbours enter."""
    _ring_matrix(lam, log_R, rho, left, right, d, e, ahead, behind)


@njit(**options)
def _ring_matrix(lam, log_R, rho, left, right, d, e, ahead, behind):
    P = log_R.size
    for i in range(P):
        j = i - 1 if i else P - 1
        # R_i / R_{i-1}
        q = exp(min(max(log_R[i] - log_R[j], -690.0), 690.0)) * _series(rho, i, lam) / _series(rho, j, lam)
        mass = _series(left, i, lam) + q * _series(right, j, lam)  # R_i m_i
        d[i] = (1.0 + q) / mass - lam
        ahead[i] = 1.0 / math.sqrt(mass)
        behind[j] = math.sqrt(q / mass)
    for i in range(P):
        e[i] = -ahead[i] * behind[i]


@njit(**options)
def _ring_count(base, x, log_R, rho, left, right):
    """Eigenvalues below lambda of a ring, zero included.

    With node 0 held there are n of them, by the sweep of a line, and with it free n or n + 1: the sign of a
    determinant says which. It is right unless lambda is within rounding of the fastest rates of an
    eigenvalue. Below FLAT of those, the 2 x 2 matrix decides.
    """
    P = log_R.size
    lam = exp(base) * x
    fastest = left[0, 0]
    for i in range(P):
        fastest = min(fastest, left[i, 0])
    if lam * fastest < FLAT:
        return _flat_ring_count(base, x, log_R, rho, left, right)
    ratio = np.ones(P)
    for i in range(1, P):
        ratio[i] = exp(min(max(log_R[i] - log_R[i - 1], -690.0), 690.0))
    n = _count(base, x, False, False, ratio, rho, left, right)
    d, e, ahead, behind = np.empty(P), np.empty(P), np.empty(P), np.empty(P)
    _ring_matrix(lam, log_R, rho, left, right, d, e, ahead, behind)
    return n if (_determinant_sign(d, e) > 0.0) == (n % 2 == 0) else n + 1


@njit(**options)
def _flat_ring_count(base, x, log_R, rho, left, right):
    """The same: negative pivots of both arcs between node 0 and a node c, and negative eigenvalues of the 2 x
    2 matrix that is left. c is where no pivot is small: one arc alone would lose half the digits of a double
    eigenvalue, at which its last pivot vanishes."""
    P = log_R.size
    lnlam = base + log(x)
    there, back = np.empty((12, P + 1)), np.empty((12, P + 1))
    _arcs(lnlam, False, log_R, rho, left, right, there)
    _arcs(lnlam, True, log_R, rho, left, right, back)
    c, best = 1, -math.inf
    for i in range(1, P):
        quality = min(there[7, i], back[7, i])
        if quality > best:
            c, best = i, quality
    n = int(there[6, c] + back[6, c])
    s0, l0 = _add(there[0, c], there[1, c], back[0, c], back[1, c])
    sc, lc = _add(there[2, c], there[3, c], back[2, c], back[3, c])
    sb, lb = _add(there[4, c], there[5, c], back[4, c], back[5, c])
    # matrix [[b - m0, -b], [-b, b - mc]]: determinant m0 mc - b (m0 + mc)
    st, lt = _add(s0, l0, sc, lc)
    sign, _ = _add(s0 * sc, l0 + lc, -sb * st, lb + lt)
    if sign < 0.0:
        return n + 1
    first, _ = _add(sb, lb, -s0, l0)
    return n + 2 if first < 0.0 else n


@kernel(integer(number, number, flag, flag, flag, numbers_1d, numbers_2d, numbers_2d, numbers_2d))
def n_below(base, x, is_ring, is_free_left, is_free_right, ratio, rho, left, right):
    """Eigenvalues below exp(base) x."""
    if is_ring:
        return _ring_count(base, x, ratio, rho, left, right)
    return _count(base, x, is_free_left, is_free_right, ratio, rho, left, right)


@kernel(types.void(integer, number, number, flag, flag, flag, numbers_1d, numbers_2d, numbers_2d, numbers_2d,
                   numbers_1d, numbers_1d))
def bisect(first, low, high, is_ring, is_free_left, is_free_right, ratio, rho, left, right, bases, factors):
    """Eigenvalues number first, first + 1, ... (from 0) between exp(low) and exp(high), as exp(bases) *
    factors: the factor holds the digits that a large logarithm cannot."""
    for j in range(bases.size):
        a, b = low, high
        while b - a > 1e-3:
            c = 0.5 * (a + b)
            n = (_ring_count(c, 1.0, ratio, rho, left, right) if is_ring
                 else _count(c, 1.0, is_free_left, is_free_right, ratio, rho, left, right))
            if n > first + j:
                b = c
            else:
                a = c
        low = a                                          # the next one is not smaller
        u, v = 1.0, exp(b - a)
        while True:
            c = 0.5 * (u + v)
            if c <= u or c >= v or v - u < 1.2e-16:
                break
            n = (_ring_count(a, c, ratio, rho, left, right) if is_ring
                 else _count(a, c, is_free_left, is_free_right, ratio, rho, left, right))
            if n > first + j:
                v = c
            else:
                u = c
        bases[j], factors[j] = a, 0.5 * (u + v)


@kernel(types.void(number, number, flag, numbers_1d, numbers_2d, numbers_2d, numbers_2d, numbers_2d))
def sweep(base, x, is_free_left, ratio, rho, left, right, out):
    """The sweep of `_count` in signed logarithms: out (4, P) holds sign and log of z_i and of 1 + z_i =
    psi_{i+1}/psi_i."""
    P = ratio.size
    lnlam = base + log(x)
    lam = exp(lnlam)
    here = _series(rho, 0, lam)
    sz, lz = -1.0, lnlam + log(_series(left, 0, lam))
    for i in range(P):
        if i == 0 and not is_free_left:
            out[0, 0], out[1, 0], out[2, 0], out[3, 0] = 1.0, math.inf, 1.0, math.inf
            sz, lz = 1.0, 0.0
        else:
            sd, ld = _one_plus(sz, lz)
            out[0, i], out[1, i], out[2, i], out[3, i] = sz, lz, sd, ld
            sz *= sd
            lz -= ld
        if i == P - 1:
            break
        there = _series(rho, i + 1, lam)
        sz, lz = _add(sz, lz, -1.0, lnlam + log(_series(right, i, lam)))
        lz += log(ratio[i + 1] * there / here)
        here = there
        sz, lz = _add(sz, lz, -1.0, lnlam + log(_series(left, i + 1, lam)))


@kernel(types.void(number, number, numbers_1d, numbers_2d, numbers_2d, numbers_2d, numbers_2d, numbers_2d))
def ring_arcs(base, x, log_R, rho, left, right, there, back):
    """Both arcs of `_arcs` at each node, (12, P + 1) each."""
    _arcs(base + log(x), False, log_R, rho, left, right, there)
    _arcs(base + log(x), True, log_R, rho, left, right, back)


@kernel(types.void(integer, numbers_2d, numbers_2d, numbers_1d))
def ring_fill(c, there, back, psi):
    """psi (P + 1,) on a ring from its values at the nodes 0 = P and c: psi_i (1 + z_i) = psi_{i+1} + q_i
    psi_0 along either arc."""
    P = psi.size - 1
    for i in range(c - 1, 0, -1):
        psi[i] = (psi[i + 1] + there[8, i] * exp(there[9, i]) * psi[0]) * there[10, i] * exp(-there[11, i])
    for i in range(c + 1, P):
        psi[i] = (psi[i - 1] + back[8, i] * exp(back[9, i]) * psi[0]) * back[10, i] * exp(-back[11, i])
