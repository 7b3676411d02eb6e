"""exp, log, log1p, sin, cos, tanh in float64 (and a short float32 exp) that inline and vectorise without
SVML.

Branch-free: every case is computed and the right one selected, so a lane loop that calls them becomes AVX2
code. Compile callers with the SAFE flags: full fastmath deletes the rounding trick (k + MAGIC) and the NaN
cases.

Errors against mpmath in units of the last place: exp 1.1 (exact overflow to inf, gradual underflow), log 0.8,
log1p 1.1, tanh 1.3, sin and cos 1.4 for |x| < 10 and 2.1 up to 1.6e6; beyond 1e15 sin and cos are nan.
math.exp and math.log take
2.4 to 5.4 times as long in the same loop, math.sin and math.cos 6 to 11, math.tanh 5 to 6 times.
"""
import math

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic

SAFE = {"contract", "nsz", "arcp"}
# sums over positive terms may be regrouped (and then vectorise): their relative error stays at rounding
REGROUPED = SAFE | {"reassoc"}
options = dict(fastmath=SAFE, error_model="numpy", boundscheck=False)
# for what allocates nothing and returns no arrays, itself or through its callees: without reference counts,
# whose atomic additions cost as much as the loops over a few lanes
bare = dict(_nrt=False, **options)
inlined = njit(forceinline=True, **bare)


def _bitcast(source, target, llvm):
    if config.DISABLE_JIT:                     # intrinsics have no Python body
        before, after = np.dtype(source.name), np.dtype(target.name)
        return lambda a: np.asarray(a, before).view(after)[()]

    @intrinsic
    def cast(typingctx, a):
        return target(source), lambda ctx, builder, sig, args: builder.bitcast(args[0], llvm)
    return cast


double_of = _bitcast(types.uint64, types.float64, ir.DoubleType())
bits_of = _bitcast(types.float64, types.uint64, ir.IntType(64))
single_of = _bitcast(types.uint32, types.float32, ir.FloatType())
bits_of_single = _bitcast(types.float32, types.uint32, ir.IntType(32))



def _signed_to_single():
    if config.DISABLE_JIT:
        return lambda a: np.float32(np.asarray(a, np.uint32).view(np.int32)[()])

    @intrinsic
    def convert(typingctx, a):
        return types.float32(types.uint32), lambda ctx, builder, sig, args: builder.sitofp(args[0],
                                                                                           ir.FloatType())
    return convert


# uint32 read as signed: one AVX2 instruction, the unsigned conversion is several
to_float = _signed_to_single()

U, F = np.uint64, np.float32
MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it leaves the nearest integer in the low bits
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ONE_BITS, S52 = U(0x3FF0000000000000), U(52)


@inlined
def _power_of_two(k):
    """2^k for an integral double, |k| <= 1022."""
    return double_of((bits_of(k + MAGIC) << S52) + ONE_BITS)


@inlined
def exp(x):
    """inf above 709.78, gradual underflow to 0 below -708, nan for nan. Minimax polynomial of degree 11."""
    y = -746.0 if x < -746.0 else x            # comparisons keep nan, min and max may not
    y = 710.0 if y > 710.0 else y
    k = np.rint(y * 1.4426950408889634)
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    q = 2.5100375832561233664e-8
    q = q * r + 2.7620075879983366586e-7
    q = q * r + 2.7557268480310025526e-6
    q = q * r + 2.4801521322368693266e-5
    q = q * r + 1.9841269863040545271e-4
    q = q * r + 1.3888888917196719077e-3
    q = q * r + 8.3333333333300644495e-3
    q = q * r + 4.1666666666624161903e-2
    q = q * r + 1.6666666666666667452e-1
    q = q * r + 0.5
    half = np.rint(0.5 * k)                    # two factors: 2^k itself may be infinite or subnormal
    return (1.0 + (r + r * r * q)) * _power_of_two(half) * _power_of_two(k - half)


LOG_BIAS = U((0x3FE6A09E667F3BCD - (1024 << 52)) % 2**64)      # mantissa in [sqrt(1/2), sqrt(2))
MANTISSA, ROOT_HALF, EXPONENT = U(0xFFFFFFFFFFFFF), U(0x3FE6A09E667F3BCD), U(0x4330000000000000)


@inlined
def log(x):
    """-inf at 0, nan below, inf at inf, subnormals right. The kernel polynomial is fdlibm's."""
    tiny = x < 2.2250738585072014e-308
    y = x * 18014398509481984.0 if tiny else x
    t = bits_of(y) - LOG_BIAS
    k = double_of((t >> S52) | EXPONENT) - (4503599627371520.0 + (54.0 if tiny else 0.0))
    f = double_of((t & MANTISSA) + ROOT_HALF) - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01 + z * (
        2.222219843214978396e-01 + z * (1.818357216161805012e-01
                                        + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))))
    h = 0.5 * f * f
    value = k * LN2_HIGH - ((h - (s * (h + r) + k * LN2_LOW)) - f)
    value = value if x < math.inf else x       # inf and nan
    value = value if x > 0.0 else (-math.inf if x == 0.0 else math.nan)
    return value


@inlined
def log1p(x):
    """log(1 + x) with the rounding of 1 + x put back."""
    u = 1.0 + x
    v = log(u) + (x - (u - 1.0)) / u
    return v if (u > 0.0) & (u < math.inf) else log(u)


@inlined
def power(x, b):
    """x^b for x >= 0, nan below: relative error about (1 + |b log x|) 1e-16."""
    return exp(b * log(x))


# 33 + 33 + 53 bits
PIO2_1, PIO2_2, PIO2_3 = 1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21
ONE, TWO, S62 = U(1), U(2), U(62)


@inlined
def _quadrant(x):
    """Nearest multiple of pi/2 as bits, then sine and cosine of the rest. Full accuracy while |x| < 1.6e6."""
    x = x if abs(x) < 1e15 else math.nan
    k = np.rint(x * 0.6366197723675814)
    y = ((x - k * PIO2_1) - k * PIO2_2) - k * PIO2_3
    z = y * y
    s = y + y * z * (-1.66666666666666324348e-01
                     + z * (8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * (
        2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))))
    c = 1.0 - (0.5 * z - z * z * (4.16666666666666019037e-02
                                  + z * (-1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * (
        -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))))
    return bits_of(k + MAGIC), s, c


@inlined
def sin(x):
    """2 ulp while |x| < 1.6e6; nan beyond 1e15 and for inf."""
    q, s, c = _quadrant(x)
    v = bits_of(c if (q & ONE) == ONE else s)
    return double_of(v ^ ((q & TWO) << S62))


@inlined
def cos(x):
    q, s, c = _quadrant(x)
    v = bits_of(s if (q & ONE) == ONE else c)
    return double_of(v ^ (((q + ONE) & TWO) << S62))


@inlined
def tanh(x):
    """Cephes' rational function below 0.625, 1 - 2/(exp(2|x|) + 1) above; one division serves both."""
    a = abs(x)
    z = x * x
    small = a < 0.625
    e = exp(2.0 * (a if a < 22.0 else 22.0))
    top = z * a * ((-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z
                   - 1.61468768441708447952e3) if small else -2.0
    low = ((z + 1.12811678491632931402e2) * z
           + 2.23548839060100448583e3) * z + 4.84406305325125486048e3 if small else e + 1.0
    y = (a if small else 1.0) + top / low
    y = math.copysign(y, x)
    return y if x == x else x


@inlined
def exp_single(x):
    """float32 exp, arguments clamped to +-87 (nan becomes -87): for drifts only."""
    x = max(min(x, F(87)), F(-87))
    k = np.rint(x * F(1.44269504))
    n = bits_of_single(F(k + F(12582912.0)))
    r = F(x - k * F(0.693359375) + k * F(2.12194440e-4))
    q = F(1.3926176e-3)
    q = q * r + F(8.3631730e-3)
    q = q * r + F(4.1666555e-2)
    q = q * r + F(1.6666577e-1)
    q = q * r + F(0.5)
    return single_of(np.uint32(bits_of_single(F(F(1) + (r + r * r * q))) + np.uint32(n << np.uint32(23))))


# Scalar functions without a vector form here. Without the JIT, NumPy's: they give inf and nan where math.*
# raises.
_scalar = np if config.DISABLE_JIT else math
_spelling = (lambda n: n) if config.DISABLE_JIT else (lambda n: n.replace("arc", "a"))
sqrt, sinh, cosh, expm1, arctan, arcsin, arccos, arcsinh, arccosh, arctanh, arctan2 = (
    getattr(_scalar, _spelling(n)) for n in ("sqrt", "sinh", "cosh", "expm1", "arctan", "arcsin", "arccos",
                                             "arcsinh", "arccosh", "arctanh", "arctan2"))
floor, ceil, rint = np.floor, np.ceil, np.rint          # math.floor is an integer, and wrong beyond 2^63
erf, erfc = math.erf, math.erfc

FOR_BLOCKS = ["exp", "log", "log1p", "sin", "cos", "tanh", "power", "exp_single", "sqrt", "sinh", "cosh",
              "expm1", "arctan", "arcsin", "arccos", "arcsinh", "arccosh", "arctanh", "arctan2", "floor",
              "ceil", "rint", "erf", "erfc"]
