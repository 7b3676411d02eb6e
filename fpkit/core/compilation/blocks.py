"""Block functions: the compiled value, gradient and Hessian of one potential, many points a call."""
import functools
import hashlib
import itertools
import linecache
import sys
from types import ModuleType

import numba
import numpy as np
from numba import config
from numba.core.compiler_lock import global_compiler_lock

from . import lanes, special
from .cache import compiled, source_text
from .kernels import SIGNATURES

_numbers = itertools.count()


def _block_names():
    """Names that the source of a block function may use."""
    names = {k: getattr(special, k) for k in special.FOR_BLOCKS}
    names |= {"load": lanes.load, "store": lanes.store, "np": np, "F": special.F, "inf": np.inf,
              "nan": np.nan, "helper": numba.njit(forceinline=True, **special.options),
              "apart": numba.njit(**special.options)}
    return names


def load(kind, source, names=None, signature=None):
    """Compile the source text of one block function ``def KIND(X, p, out)``, or read it from the cache.

    Parameters
    ----------
    kind : str
        A key of `SIGNATURES`, and the name of the function in the text.
    source : str
        Python source. It may use the functions of `special.FOR_BLOCKS`, load, store, np, helper, F, inf and
        nan.
    names : dict, optional
        More names, e.g. a user's compiled functions. The result is then not cached on disk, since what they
        stand for cannot be hashed.

    Returns
    -------
    A dispatcher with the one signature of `kind`, to be passed to kernels; with NUMBA_DISABLE_JIT a Python
    function.
    """
    key = "\0".join([kind, source, *(source_text(m.__name__) for m in (special, lanes))])
    name = f"_fpkit_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    if names:
        return _built(f"{name}_{next(_numbers)}", kind, source, names, signature, None)
    found = getattr(sys.modules.get(name), "block", None)
    if found is None:
        with global_compiler_lock:       # a module is registered before it is filled; none may see it so
            found = getattr(sys.modules.get(name), "block", None)
            if found is None:
                found = _built(name, kind, source, {}, signature, key)
    return found


def _built(name, kind, source, names, signature, key):
    """The block function of a module made of the source text."""
    module = ModuleType(name)
    module.__dict__.update(_block_names() | names)
    # for tracebacks and debuggers
    linecache.cache[f"<{name}>"] = (len(source), None, source.splitlines(True), f"<{name}>")
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    function = getattr(module, kind)
    # before compiling: else Numba stores it as '<dynamic>' and cannot read it back
    sys.modules[name] = module
    try:
        module.block = _quiet(function) if config.DISABLE_JIT else _settled(
            compiled(function, signature or SIGNATURES[kind], key), signature or SIGNATURES[kind])
    except BaseException:
        del sys.modules[name]
        raise
    return module.block


def _settled(dispatcher, signature):
    """The dispatcher, its one version found once: Numba looks it up, slowly, whenever it is passed to a
    kernel."""
    found = dispatcher.get_compile_result(signature)
    dispatcher.get_compile_result = lambda signature: found
    return dispatcher


def _quiet(function):
    @functools.wraps(function)
    def block(X, p, out):
        with np.errstate(all="ignore"):
            function(X, p, out)
    return block
