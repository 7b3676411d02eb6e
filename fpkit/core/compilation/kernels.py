"""Compilation of kernels: functions of this package with explicit signatures, built or loaded when first
called.

How to write a kernel (any package, in a file named ``*kernels*.py``)::

    from numba import types
    from ..core.compilation import FUNCTION, helper, integer, kernel, number, numbers_1d, numbers_2d
    from ..core.special import exp, log

    @helper                                   # used inside kernels: inlined, compiled with its caller
    def half(x):
        return 0.5 * x

    @kernel(types.void(numbers_2d, FUNCTION["gradient"], numbers_1d, number, integer), parallel=True)
    def march(X, gradient, p, dt, n_steps):
        ...

    march(X, V.block("gradient"), V.p, 1e-3, 100)

- The signature is explicit, so there is one version, and it is compiled (or read from disk) at the FIRST
  CALL, never at import. Arrays in it are C-contiguous. Return types may be anything: ``number(number,
  numbers_1d)``.
- Kernels get `special.options` (contract, nsz, arcp; NumPy's division rules; no bounds checks). ``kernel(sig,
  fastmath=False)`` and the like override them.
- A kernel may be called from another kernel or helper. Functions for inner use without a signature: `helper`
  (inlined; it allocates nothing and returns no arrays) or plain ``numba.njit(**options)``, with
  `special.bare` for small ones that allocate nothing.
- Parallel kernels run under `PARALLEL_LOCK`: Numba's thread pools abort when two Python threads enter them at
  once. They abort as well in a process that was forked after the pools were started; there each kernel is
  built anew without threads, which gives the same numbers.
- Whatever compiles holds Numba's own lock from the first look-up on, so that any number of threads may ask
  for new functions.
- With NUMBA_DISABLE_JIT=1 the Python body runs (under ``np.errstate(all="ignore")``).
"""
import functools
import importlib
import os
import sys
import threading

import numpy as np
from numba import config, types
from numba.core.compiler_lock import global_compiler_lock

from . import special
from .cache import compiled, source_text

PARALLEL_LOCK = threading.RLock()

number, integer, unsigned, flag = types.float64, types.int64, types.uint64, types.boolean
numbers_1d, numbers_2d, numbers_3d = (types.Array(types.float64, d, "C") for d in (1, 2, 3))
singles_2d = types.Array(types.float32, 2, "C")
integers_1d, integers_2d = (types.Array(types.int64, d, "C") for d in (1, 2))

# Block functions: many points a call, one column a point. `out` must not overlap `X`.
SIGNATURES = {
    "value": types.void(numbers_2d, numbers_1d, numbers_1d),              # X[d, n], p[k], out[n]
    "gradient": types.void(numbers_2d, numbers_1d, numbers_2d),           # out[d, n]
    "hessian": types.void(numbers_2d, numbers_1d, numbers_3d),            # out[d, d, n]
    "gradient_single": types.void(singles_2d, numbers_1d, singles_2d),    # float32, for drifts only
}
FUNCTION = {kind: types.FunctionType(signature) for kind, signature in SIGNATURES.items()}


class Kernel:
    """A compiled function that is built when first called. `py_func` is its Python body."""

    def __init__(self, function, signature, options):
        functools.update_wrapper(self, function)
        self.py_func, self.signature, self.options = function, signature, options
        self._built = self._serial = None
        self._is_parallel = bool(options.get("parallel"))

    @property
    def dispatcher(self):
        """Numba's dispatcher, compiled or loaded now if it was not yet."""
        if self._built is None:
            with global_compiler_lock:           # one lock for all: two kernels may wait for each other's
                if self._built is None:
                    self._built = self._compiled(self.options)
        return self._built

    def _compiled(self, options):
        key = "\0".join([self.py_func.__module__, self.py_func.__qualname__, _options_text(options),
                         source_text(self.py_func.__module__)])
        return compiled(self.py_func, self.signature, key, options)

    def _without_threads(self):
        if self._serial is None:
            self._serial = self._compiled({k: v for k, v in self.options.items() if k != "parallel"})
        return self._serial

    @property
    def _numba_type_(self):                  # lets other compiled functions call this one
        return types.Dispatcher(self.dispatcher)

    def __call__(self, *arguments):
        if config.DISABLE_JIT:
            with np.errstate(all="ignore"):
                return self.py_func(*arguments)
        if self._is_parallel:
            if _FORKED or config.NUMBA_NUM_THREADS == 1:    # then threads cost compilation and give nothing
                return self._without_threads()(*arguments)
            with PARALLEL_LOCK:
                return (self._built or self.dispatcher)(*arguments)
        return (self._built or self.dispatcher)(*arguments)

    def __reduce__(self):                    # by name, as a function
        return _by_name, (self.py_func.__module__, self.py_func.__qualname__)

    def __repr__(self):
        return f"kernel {self.py_func.__module__}.{self.py_func.__qualname__}{self.signature}"


_FORKED = False                      # whether this process is the fork of one whose thread pools had started


def _after_fork():
    """The pools and the threads that held locks stayed in the parent."""
    global _FORKED
    pools = sys.modules.get("numba.np.ufunc.parallel")
    _FORKED = _FORKED or bool(getattr(pools, "_is_initialized", False))
    PARALLEL_LOCK._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _options_text(options):
    """The same text in every process: a set of flags prints in an order that changes with the hash seed."""
    return repr(sorted((k, sorted(v) if isinstance(v, (set, frozenset)) else v) for k, v in options.items()))


def _by_name(module, name):
    return getattr(importlib.import_module(module), name)


def kernel(signature, parallel=False, **changes):
    """Decorator: a package kernel with an explicit signature; see the top of this file."""
    options = {**special.options, **({"parallel": True} if parallel else {}), **changes}
    options = {k: v for k, v in options.items() if v is not None}
    return lambda function: Kernel(function, signature, options)


helper = special.inlined


PARALLEL_CELLS = 100_000  # below, a barrier between threads costs more than the second thread gives
