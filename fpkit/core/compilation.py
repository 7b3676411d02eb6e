"""Compilation of kernels and of block functions, loaded when first called, with a cache on disk that cannot go stale.

How to write a kernel (any package, in a file named ``*kernels*.py``)::

    from numba import types
    from ..core.compilation import FUNCTION, helper, integer, kernel, number, numbers_1d, numbers_2d
    from ..core.special import exp, log

    @helper                                   # small function used inside kernels: inlined, compiled with its caller
    def half(x):
        return 0.5 * x

    @kernel(types.void(numbers_2d, FUNCTION["gradient"], numbers_1d, number, integer), parallel=True)
    def march(X, gradient, p, dt, n_steps):
        ...

    march(X, V.block("gradient"), V.p, 1e-3, 100)

- The signature is explicit, so there is one version, and it is compiled (or read from disk) at the FIRST CALL, never at
  import. Arrays in it are C-contiguous. Return types may be anything: ``number(number, numbers_1d)``.
- Kernels get `special.options` (contract, nsz, arcp; NumPy's division rules; no bounds checks). ``kernel(sig, fastmath=False)``
  and the like override them.
- A kernel may be called from another kernel or helper. Functions for inner use without a signature: `helper` (inlined) or
  plain ``numba.njit(**options)``.
- Parallel kernels run under `PARALLEL_LOCK`: Numba's thread pools abort when two Python threads enter them at once.
- With NUMBA_DISABLE_JIT=1 the Python body runs (under ``np.errstate(all="ignore")``).

The cache. Numba's own index looks at the date of ONE source file and does not see that an imported helper changed. Here each
compiled function is one file, named by the hash of: the text of its module and of every fpkit module that it imports (directly
or through others), its name, signature and options, the processor, and the versions of Numba, NumPy, llvmlite and Python. Files
are written to a temporary name and moved, and start with a checksum of the rest, since damaged machine code would not
raise but crash. A cache that fails in any way is not used; the function is then compiled in memory.
"""
import functools
import hashlib
import importlib.util
import itertools
import linecache
import os
import pickle
import re
import sys
import tempfile
import threading
from types import ModuleType

import llvmlite
import numba
import numpy as np
from numba import config, types

from . import special

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

VERSIONS = "\0".join([numba.__version__, llvmlite.__version__, np.__version__, sys.version])


# ------------------------------------------------------------------------------------------------------------- kernels
class Kernel:
    """A compiled function that is built when first called. `py_func` is its Python body."""

    def __init__(self, function, signature, options):
        functools.update_wrapper(self, function)
        self.py_func, self.signature, self.options = function, signature, options
        self._built, self._lock = None, threading.Lock()
        self._is_parallel = bool(options.get("parallel"))

    @property
    def dispatcher(self):
        """Numba's dispatcher, compiled or loaded now if it was not yet."""
        if self._built is None:
            with self._lock:
                if self._built is None:
                    key = "\0".join([self.py_func.__module__, self.py_func.__qualname__, _options_text(self.options),
                                     source_text(self.py_func.__module__)])
                    self._built = compiled(self.py_func, self.signature, key, self.options)
        return self._built

    @property
    def _numba_type_(self):                  # lets other compiled functions call this one
        return types.Dispatcher(self.dispatcher)

    def __call__(self, *arguments):
        if config.DISABLE_JIT:
            with np.errstate(all="ignore"):
                return self.py_func(*arguments)
        if self._is_parallel:
            with PARALLEL_LOCK:
                return (self._built or self.dispatcher)(*arguments)
        return (self._built or self.dispatcher)(*arguments)

    def __reduce__(self):                    # by name, as a function
        return _by_name, (self.py_func.__module__, self.py_func.__qualname__)

    def __repr__(self):
        return f"kernel {self.py_func.__module__}.{self.py_func.__qualname__}{self.signature}"


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


def compiled(function, signature, key=None, options=special.options):
    """Numba dispatcher of `function` for one signature, cached on disk under `key` (None: not cached)."""
    dispatcher = numba.njit(**options)(function)
    if config.DISABLE_JIT:
        return dispatcher
    if key is not None:
        folder = cache_folder()
        if folder is not None:
            dispatcher._cache = DiskCache(folder, function.__qualname__, key)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


# --------------------------------------------------------------------------------------------------------------- cache
class DiskCache:
    """One compiled function, one file. Has the methods that Numba's dispatcher asks of a cache."""

    def __init__(self, folder, name, key):
        self.cache_path, self._key = folder, key
        self._name = re.sub(r"\W", "", name)[:40]

    def _path(self, signature, codegen):
        text = "\0".join([self._key, str(signature), repr(codegen.magic_tuple()), VERSIONS])
        return os.path.join(self.cache_path, f"{self._name}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.fpk")

    def load_overload(self, signature, target_context):
        try:
            target_context.refresh()
            with open(self._path(signature, target_context.codegen()), "rb") as file:
                content = file.read()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            from numba.core.compiler import CompileResult
            return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        except Exception:                    # no file, another Numba, a full disk: a cache is a convenience, never a reason to fail
            return None

    def save_overload(self, signature, result):
        temporary = None
        try:
            from numba.core.serialize import dumps
            if result.lifted or result.library.has_dynamic_globals:
                return
            content = dumps(result._reduce())
            handle, temporary = tempfile.mkstemp(dir=self.cache_path, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, self._path(signature, result.codegen))
        except Exception:
            if temporary is not None and os.path.exists(temporary):
                try:
                    os.unlink(temporary)
                except OSError:
                    pass

    def enable(self): pass

    def disable(self): pass

    def flush(self): pass


def cache_folder():
    """The first usable of FPKIT_CACHE_DIR, the user's cache folder and a private folder for temporary files; else None.

    The files in it hold code, so a folder that belongs to somebody else, or that others may write to, is not used.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None
    who = owner if owner is not None else re.sub(r"\W", "", os.environ.get("USERNAME", "user"))
    version = f"numba-{numba.__version__}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for folder in (os.environ.get("FPKIT_CACHE_DIR"), os.path.join(home, "fpkit"), os.path.join(tempfile.gettempdir(), f"fpkit-{who}")):
        if not folder:
            continue
        folder = os.path.join(os.path.abspath(folder), version)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            for place in (os.path.dirname(folder), folder):
                state = os.stat(place)
                if owner is not None and (state.st_uid != owner or state.st_mode & 0o022 and place == folder):
                    break
            else:
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
        except OSError:
            pass
    return None


# Imports at the top of a module only: those inside functions may or may not have happened yet, and the key must not depend on that.
_IMPORTS = re.compile(r"^from\s+(\.*[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)|^import\s+([\w.]+)", re.MULTILINE)
_texts = {}
_numbers = itertools.count()


def _text_and_imports(name):
    """Source text of one module of this package and the modules of this package that it names."""
    if name not in _texts:
        module = sys.modules.get(name)
        path = getattr(module, "__file__", None)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, TypeError):
            text = ""
        package, found = getattr(module, "__package__", None) or "", set()
        for origin, items, plain in _IMPORTS.findall(text):
            try:
                target = importlib.util.resolve_name(origin, package) if origin.startswith(".") else origin or plain
            except ImportError:
                continue
            found.add(target)
            found.update(f"{target}.{item.strip().split(' ')[0]}" for item in items.strip("()").split(","))
        root = __name__.split(".")[0]
        _texts[name] = text, sorted(m for m in found if m.split(".")[0] == root and m in sys.modules)
    return _texts[name]


def source_text(name):
    """Text of a module and of all modules of this package that it reaches: what a compiled function of it may depend on."""
    seen, waiting = {}, [name]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen[module], imports = _text_and_imports(module)
            waiting += imports
    return "\0".join(f"{module}\0{seen[module]}" for module in sorted(seen))


# ----------------------------------------------------------------------------------------------------- block functions
def _block_names():
    """Names that the source of a block function may use."""
    from . import lanes
    names = {k: getattr(special, k) for k in special.FOR_BLOCKS}
    names |= {"load": lanes.load, "store": lanes.store, "np": np, "helper": helper, "apart": numba.njit(**special.options), "F": special.F, "inf": np.inf, "nan": np.nan}
    return names


def load(kind, source, names=None, signature=None):
    """Compile the source text of one block function ``def KIND(X, p, out)``, or read it from the cache.

    Parameters
    ----------
    kind : str
        A key of `SIGNATURES`, and the name of the function in the text.
    source : str
        Python source. It may use the functions of `special.FOR_BLOCKS`, load, store, np, helper, F, inf and nan.
    names : dict, optional
        More names, e.g. a user's compiled functions. The result is then not cached on disk, since what they stand
        for cannot be hashed.

    Returns
    -------
    A dispatcher with the one signature of `kind`, to be passed to kernels; with NUMBA_DISABLE_JIT a Python function.
    """
    known = _block_names()
    key = "\0".join([kind, source, *(source_text(m.__name__) for m in (special, sys.modules[special.__package__ + ".lanes"]))])
    name = f"_fpkit_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    if not names and name in sys.modules:
        return sys.modules[name].block
    if names:
        name += f"_{next(_numbers)}"
    module = ModuleType(name)
    module.__dict__.update(known)
    module.__dict__.update(names or {})
    linecache.cache[f"<{name}>"] = (len(source), None, source.splitlines(True), f"<{name}>")   # for tracebacks and debuggers
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    function = getattr(module, kind)
    if config.DISABLE_JIT:
        module.block = _quiet(function)
    else:
        sys.modules[name] = module           # before compiling: else Numba stores it as '<dynamic>' and cannot read it back
        module.block = compiled(function, signature or SIGNATURES[kind], None if names else key)
    sys.modules[name] = module
    return module.block


def _quiet(function):
    @functools.wraps(function)
    def block(X, p, out):
        with np.errstate(all="ignore"):
            function(X, p, out)
    return block
