"""The cache of compiled functions on disk, which cannot go stale.

Numba's own index looks at the date of ONE source file and does not see that an imported helper changed. Here
each compiled function is one file, named by the hash of: the text of its module and of every fpkit module
that it imports (directly or through others), its name, signature and options, the processor, and the versions
of Numba, NumPy, llvmlite and Python. Files are written to a temporary name and moved, and start with a
checksum of the rest, since damaged machine code would not raise but crash. A cache that fails in any way is
not used; the function is then compiled in memory.
"""
import contextlib
import hashlib
import importlib.util
import os
import pickle
import re
import sys
import tempfile

import llvmlite
import numba
import numpy as np
from numba import config

from . import special

VERSIONS = "\0".join([numba.__version__, llvmlite.__version__, np.__version__, sys.version])


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


class DiskCache:
    """One compiled function, one file. Has the methods that Numba's dispatcher asks of a cache."""

    def __init__(self, folder, name, key):
        self.cache_path, self._key = folder, key
        self._name = re.sub(r"\W", "", name)[:40]

    def _path(self, signature, codegen):
        text = "\0".join([self._key, str(signature), repr(codegen.magic_tuple()), VERSIONS])
        return os.path.join(self.cache_path,
                            f"{self._name}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.fpk")

    def load_overload(self, signature, target_context):
        try:
            target_context.refresh()
            with open(self._path(signature, target_context.codegen()), "rb") as file:
                content = file.read()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            from numba.core.compiler import CompileResult
            return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        # no file, another Numba, a full disk: a cache is a convenience, never a reason to fail
        except Exception:
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
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    def enable(self): pass

    def disable(self): pass

    def flush(self): pass


def cache_folder():
    """The first usable of FPKIT_CACHE_DIR, the user's cache folder and a private folder for temporary files;
    else None.

    The files in it hold code, so a folder that belongs to somebody else, or that others may write to, is not
    used.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None
    who = owner if owner is not None else re.sub(r"\W", "", os.environ.get("USERNAME", "user"))
    version = f"numba-{numba.__version__}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for folder in (os.environ.get("FPKIT_CACHE_DIR"), os.path.join(home, "fpkit"),
                   os.path.join(tempfile.gettempdir(), f"fpkit-{who}")):
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


# Imports at the top of a module only: those inside functions may or may not have happened yet, and the key
# must not depend on that.
_IMPORTS = re.compile(r"^from\s+(\.*[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)|^import\s+([\w.]+)", re.MULTILINE)
_texts = {}


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
                target = importlib.util.resolve_name(origin,
                                                     package) if origin.startswith(".") else origin or plain
            except ImportError:
                continue
            found.add(target)
            found.update(f"{target}.{item.strip().split(' ')[0]}" for item in items.strip("()").split(","))
        root = __name__.split(".")[0]
        _texts[name] = text, sorted(m for m in found if m.split(".")[0] == root and m in sys.modules)
    return _texts[name]


def source_text(name):
    """Text of a module and of all modules of this package that it reaches: what a compiled function of it may
    depend on."""
    seen, waiting = {}, [name]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen[module], imports = _text_and_imports(module)
            waiting += imports
    return "\0".join(f"{module}\0{seen[module]}" for module in sorted(seen))
