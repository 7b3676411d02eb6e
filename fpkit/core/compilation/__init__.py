"""Compiled code: kernels with explicit signatures, block functions of potentials, and the cache that keeps
both.

value(X[d, n], p[k], out[n]), gradient(X, p, out[d, n]), hessian(X, p, out[d, d, n]): n points a call, p the
parameters. S. K. Lam, A. Pitrou, S. Seibert, Numba: a LLVM-based Python JIT compiler, Proc. LLVM-HPC (2015).
"""
from .blocks import load
from .cache import VERSIONS, DiskCache, cache_folder, compiled, source_text
from .kernels import (
                      FUNCTION,
                      PARALLEL_LOCK,
                      SIGNATURES,
                      Kernel,
                      flag,
                      helper,
                      integer,
                      integers_1d,
                      integers_2d,
                      kernel,
                      number,
                      numbers_1d,
                      numbers_2d,
                      numbers_3d,
                      singles_2d,
                      unsigned,
)

__all__ = ["FUNCTION", "PARALLEL_LOCK", "SIGNATURES", "VERSIONS", "DiskCache", "Kernel", "cache_folder",
           "compiled", "flag", "helper",
           "integer", "integers_1d", "integers_2d", "kernel", "load", "number", "numbers_1d", "numbers_2d",
           "numbers_3d",
           "singles_2d", "source_text", "unsigned"]
