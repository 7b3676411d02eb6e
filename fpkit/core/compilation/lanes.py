"""Loads and stores that tell LLVM which rows cannot overlap, so that a lane loop over many rows vectorises.

LLVM guards a vector loop by comparing the address ranges of all rows at run time, and gives up when there are
more than a few (10 rows in, 10 out: scalar code). Here each access carries a scope number: different scopes
are promised not to overlap (LLVM metadata alias.scope and noalias), and the comparisons disappear. Rows of
one contiguous (d, n) array keep the promise; two arrays in one loop must not overlap.

    for j in range(X.shape[1]):
        a = load(X, (0, j), 0, 3)        # array, index, scope, number of scopes (literal integers)
        b = load(X, (1, j), 1, 3)
        store(out, (j,), a * b, 2, 3)
"""
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic


def _mark(module, instruction, scope, n_scopes):
    domain = module.add_metadata([ir.MetaDataString(module, "fpkit lanes")])
    scopes = [module.add_metadata([ir.MetaDataString(module, f"fpkit row {k}"), domain])
              for k in range(n_scopes)]
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[scope]]))
    instruction.set_metadata("noalias", module.add_metadata([s for k, s in enumerate(scopes) if k != scope]))


def _pointer(context, builder, kind, array, indices, index_types):
    wide = [context.cast(builder, v, t, types.intp) for v, t in zip(indices, index_types)]
    return cgutils.get_item_pointer(context, builder, kind, context.make_array(kind)(context, builder, array),
                                    wide, wraparound=False)


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, scope, n_scopes):
    """array[index], index a tuple, with the promise of its scope."""
    def code(context, builder, signature, args):
        at = cgutils.unpack_tuple(builder, args[1])
        value = builder.load(_pointer(context, builder, array, args[0], at, list(index)))
        _mark(builder.module, value, scope.literal_value, n_scopes.literal_value)
        return impl_ret_untracked(context, builder, array.dtype, value)
    return array.dtype(array, index, scope, n_scopes), code


@intrinsic(prefer_literal=True)
def store(typingctx, array, index, value, scope, n_scopes):
    """array[index] = value, index a tuple, with the promise of its scope."""
    def code(context, builder, signature, args):
        at = cgutils.unpack_tuple(builder, args[1])
        wide = context.cast(builder, args[2], value, array.dtype)
        done = builder.store(wide, _pointer(context, builder, array, args[0], at, list(index)))
        _mark(builder.module, done, scope.literal_value, n_scopes.literal_value)
        return context.get_dummy_value()
    return types.void(array, index, value, scope, n_scopes), code


if config.DISABLE_JIT:                         # intrinsics have no Python body
    def load(array, index, scope, n_scopes):   # noqa: F811
        return array[index]

    def store(array, index, value, scope, n_scopes):   # noqa: F811
        array[index] = value
