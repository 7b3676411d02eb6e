"""SIMD vectors as values: a kernel holds a tile of them in registers, which arrays of lanes would not be.

A vector is one row of a C-contiguous array (rows, LANES[dtype]): 16 numbers in float32, 8 in float64, 64
bytes either way. Multiplying and adding is one fused operation, so that the bits of a lane do not depend on
what stands in the others, nor on how wide the registers of the machine are.

    c = fma(load(A, i), load(B, j), load(C, k))       # C[k] + A[i] B[j], lane by lane
    store(C, k, c)
"""
import operator

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

BYTES = 64
LANES = {np.dtype(np.float32): BYTES // 4, np.dtype(np.float64): BYTES // 8}


class Vector(types.Type):
    """Numba's type of one row."""

    def __init__(self, dtype):
        self.dtype, self.n = dtype, BYTES * 8 // dtype.bitwidth
        super().__init__(f"vector({dtype} x {self.n})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        number = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.n))


def _pointer(context, builder, kind, array, row):
    base = context.make_array(kind)(context, builder, array).data
    at = builder.gep(base, [builder.mul(row, ir.Constant(row.type, Vector(kind.dtype).n))])
    return builder.bitcast(at, context.get_value_type(Vector(kind.dtype)).as_pointer())


@intrinsic
def load(typingctx, array, row):
    """Row `row` of the array."""
    kind = Vector(array.dtype)

    def code(context, builder, signature, args):
        value = builder.load(_pointer(context, builder, array, args[0],
                                      context.cast(builder, args[1], row, types.intp)))
        value.align = array.dtype.bitwidth // 8            # rows start at 64 bytes when `aligned` made them
        return value
    return kind(array, row), code


@intrinsic
def store(typingctx, array, row, value):
    """array[row] = value."""
    def code(context, builder, signature, args):
        done = builder.store(args[2], _pointer(context, builder, array, args[0],
                                               context.cast(builder, args[1], row, types.intp)))
        done.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()
    return types.void(array, row, value), code


def _binary(name):
    @intrinsic
    def operation(typingctx, a, b):
        return a(a, b), lambda context, builder, signature, args: getattr(builder, name)(*args)
    return operation


def _called(name, n_arguments):
    """One of LLVM's own functions of vectors."""
    def code(context, builder, signature, args):
        a = signature.return_type
        kind = context.get_value_type(a)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * n_arguments),
                                                  f"llvm.{name}.v{a.n}f{a.dtype.bitwidth}")
        return builder.call(function, args)
    return code


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once."""
    return a(a, b, c), _called("fma", 3)


@intrinsic
def sqrt(typingctx, a):
    """Square root."""
    return a(a), _called("sqrt", 1)


@intrinsic
def filled(typingctx, array, value):
    """A vector of the array's kind with one number in every lane."""
    kind = Vector(array.dtype)

    def code(context, builder, signature, args):
        number = context.cast(builder, args[1], value, array.dtype)
        return _spread(builder, context.get_value_type(kind), number, kind.n)
    return kind(array, value), code


def _spread(builder, kind, number, n):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined),
                                  ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n))


add, sub, mul, div = (_binary(name) for name in ("fadd", "fsub", "fmul", "fdiv"))

if config.DISABLE_JIT:                                     # intrinsics have no Python body
    def load(array, row):                                  # noqa: F811
        return array[row].copy()

    def store(array, row, value):                          # noqa: F811
        array[row] = value

    def fma(a, b, c):                                      # noqa: F811
        return a * b + c

    def filled(array, value):                              # noqa: F811
        return np.full(array.shape[1], value, array.dtype)

    add, sub, mul, div, sqrt = operator.add, operator.sub, operator.mul, operator.truediv, np.sqrt


def aligned(shape, dtype):
    """Zeros whose first number stands at a multiple of 64 bytes: a row is one line of the cache."""
    n = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(n + BYTES, np.uint8)
    first = -room.ctypes.data % BYTES
    return room[first:first + n].view(dtype).reshape(shape)
