"""What a run is made of, by content: the same in every process, another one when a constant, a closure, a
global or the data of an object changes."""
from __future__ import annotations

import dis
import functools
import hashlib
import itertools
import os
import sys
import sysconfig
import types

import numpy as np

_ENVIRONMENT = tuple(vars(os)[k] for k in ("environ", "environb", "getenv", "getenvb") if hasattr(os, k))
_READS = "{} reads the environment (os.environ, os.getenv) of the process: pass what is read as a parameter"
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
LIBRARIES = tuple(os.path.realpath(p) + os.sep for p in {sysconfig.get_paths()[k] for k in
                                                           ("stdlib", "platstdlib", "purelib", "platlib")})
REMEDY = "give its class a __getstate__ that returns plain data (numbers, texts, arrays, functions)"


class NotIdentified(TypeError):
    """Something of which no content can be told, such as an open file, a lock or a running generator."""


def content_of(value) -> str:
    """Hexadecimal SHA-256 of the content of a value.

    Numbers, texts, arrays and containers of them count by value. A function counts by its code, constants,
    defaults, the contents of its closure and of the globals that it reads, and those of the functions that it
    calls; an object by its class (with the code of its methods) and its state. Functions and classes of
    installed packages count by name. No memory address enters.

    Raises
    ------
    NotIdentified
        One sentence: what has no content that could be told.
    """
    found = _Content()
    found.add(value, "it")
    return found.total.hexdigest()


def is_library(name: str) -> bool:
    """Whether a module belongs to Python, to an installed package or to fpkit."""
    if name.split(".")[0] in (__name__.split(".")[0], "builtins"):
        return True
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if module is None or name == "__main__":
        return False
    return path is None or os.path.realpath(path).startswith(LIBRARIES)


class _Content:
    """A hash that walks through a value."""

    def __init__(self):
        self.total, self.seen, self.alive = hashlib.sha256(), {}, []

    def put(self, *texts):
        for text in texts:
            data = text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")
            self.total.update(len(data).to_bytes(8, "little") + data)

    def add(self, value, path):
        """Take a value that was reached by `path`, which error messages name."""
        if isinstance(value, PLAIN):
            self.put(type(value).__name__, repr(value))
            return
        if any(value is one for one in _ENVIRONMENT):
            raise NotIdentified(_READS.format(path))
        if id(value) in self.seen:                               # met before: the same object again
            self.put("again", self.seen[id(value)])
            return
        self.seen[id(value)] = len(self.seen)
        self.alive.append(value)                                 # an address must not be used twice
        if hasattr(type(value), "identifying"):                  # it says itself what it consists of
            texts, parts, name = value.identifying()
            self.put(*texts)
            self.add(parts, name)
            return
        for kinds, take in self._RULES:
            if isinstance(value, kinds):
                take(self, value, path)
                return
        self._object(value, path)

    def _array(self, value, path):
        self.put("array", value.dtype.str if value.dtype.names is None else repr(value.dtype), value.shape)
        if value.dtype.hasobject:
            for k, item in enumerate(value.ravel()):
                self.add(item, f"{path}[{k}]")
        else:
            self.put(np.ascontiguousarray(value).tobytes())

    def _sequence(self, value, path):
        self.put(type(value).__name__, len(value))
        for k, item in enumerate(value):
            self.add(item, f"{path}[{k}]")
        if type(value) not in (list, tuple):
            self._class(type(value), path)

    def _set(self, value, path):
        self.put("set", len(value), *sorted(content_of(item) for item in value))

    def _dictionary(self, value, path):
        self.put("dict", len(value))
        for key, item in sorted(((content_of(key), (key, item)) for key, item in value.items()),
                                key=lambda pair: pair[0]):
            self.put(key)
            self.add(item[1], f"{path}[{item[0]!r}]")

    def _function(self, f, path):
        if is_library(f.__module__ or "builtins") and "<" not in f.__qualname__:
            self.put("function", f.__module__, f.__qualname__)
            return
        self.put("function")
        self._code(f.__code__)
        self.add(f.__defaults__, f"the defaults of {f.__name__}")
        self.add(f.__kwdefaults__, f"the defaults of {f.__name__}")
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            try:
                inner = cell.cell_contents
            except ValueError:                                   # not yet filled
                self.put("empty")
                continue
            if isinstance(inner, types.ModuleType):              # imported in the function around it
                self._module(inner, f.__code__, path)
            else:
                self.add(inner, f"{name} of {f.__name__}")
        for name in sorted(_global_names(f.__code__)):
            self.put(name)
            if name in f.__globals__:
                used = f.__globals__[name]
                if isinstance(used, types.ModuleType):
                    self._module(used, f.__code__, path)
                else:
                    self.add(used, f"the global {name} of {f.__name__}")

    def _code(self, code):
        if "os" in code.co_names and {"environ", "getenv"} & set(code.co_names):  # imported where it is used
            raise NotIdentified(_READS.format(code.co_name))
        self.put("code", code.co_code, code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_names,
                 code.co_varnames[:code.co_argcount])
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self.add(constant, "a constant")

    def _module(self, module, code, path):
        """A module by name; of one that is no library also the values that the code may take from it."""
        self.put("module", module.__name__)
        for name in sorted(set(_all_names(code)) & set(vars(module))):
            if any(vars(module)[name] is one for one in _ENVIRONMENT):
                raise NotIdentified(_READS.format(path))
        if not is_library(module.__name__):
            for name in sorted(set(_all_names(code)) & set(vars(module))):
                self.put(name)
                if not isinstance(vars(module)[name], types.ModuleType):
                    self.add(vars(module)[name], f"{module.__name__}.{name}")

    def _method(self, value, path):
        self.add(value.__func__, path)
        self.add(value.__self__, f"the object of {value.__func__.__name__}")

    def _builtin(self, value, path):
        owner = getattr(value, "__self__", None)
        self.put("builtin", getattr(value, "__module__", None) or "", value.__qualname__)
        if owner is not None and not isinstance(owner, (types.ModuleType, type)):
            self.add(owner, f"the object of {value.__name__}")

    def _partial(self, value, path):
        self.put("partial")
        self.add((value.func, value.args, value.keywords), path)

    def _class(self, kind, path):
        self.put("class", kind.__module__ if is_library(kind.__module__) else "", kind.__qualname__)
        if is_library(kind.__module__) or self.seen.get(("class", kind)) is not None:
            return
        self.seen["class", kind] = True
        for base in kind.__bases__:
            self._class(base, path)
        for name in sorted(set(vars(kind)) - _NO_CONTENT):
            item = vars(kind)[name]
            if isinstance(item, (staticmethod, classmethod)):
                item = item.__func__
            elif isinstance(item, functools.cached_property):
                item = item.func
            elif isinstance(item, property):
                item = (item.fget, item.fset)
            elif isinstance(item, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                continue
            self.put(name)
            self.add(item, f"{kind.__name__}.{name}")

    def _type(self, value, path):
        self._class(value, path)

    def _seeds(self, value, path):
        self.put("seeds")
        self.add((value.entropy, value.spawn_key), path)

    def _generator(self, value, path):
        self.put("generator")
        self.add(value.bit_generator.state, path)

    def _object(self, value, path):
        kind = type(value)
        self._class(kind, path)
        inner = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None)
        if isinstance(inner, types.FunctionType):                # compiled or cached functions
            self.add(inner, path)
            return
        if isinstance(value, np.ufunc):
            self.put(value.__name__)
            return
        if hasattr(value, "__array__") and not isinstance(value, type):
            self.add(np.asarray(value.detach().cpu() if hasattr(value, "detach") else value), path)
            return
        try:
            state = value.__reduce_ex__(4)
        except Exception as error:
            raise NotIdentified(f"{path}, a {kind.__name__}, has no content that could be told "
                                f"({error})") from None
        if isinstance(state, tuple):                             # items come as iterators
            state = tuple(list(part) if hasattr(part, "__next__") else _lasting(part, kind) for part in state)
        self.add(state, path)

    def _refuse(self, value, path):
        raise NotIdentified(f"{path}, a {type(value).__name__}, has no content that could be told")

    _RULES = (
        (np.ndarray, _array), (np.generic, _array), (np.random.SeedSequence, _seeds),
        (np.random.Generator, _generator), ((list, tuple), _sequence), ((set, frozenset), _set),
        (dict, _dictionary), (types.FunctionType, _function), (types.MethodType, _method),
        ((types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType,
          types.MethodDescriptorType), _builtin), (functools.partial, _partial), (type, _type),
        ((types.GeneratorType, types.CoroutineType, types.FrameType, itertools.count), _refuse))


_NO_CONTENT = {"__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__qualname__",
               "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl",
               "__dataclass_fields__", "__dataclass_params__", "__slots__", "__slotnames__", "__match_args__",
               "__hash__"}


def _lasting(state, kind):
    """The state of an object without what a cached property has left in it."""
    if not isinstance(state, dict):
        return state
    return {name: item for name, item in state.items()
            if not isinstance(getattr(kind, str(name), None), functools.cached_property)}


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _global_names(code):
    """Names of globals that a function and those inside it read."""
    return {instruction.argval for inner in _codes(code) for instruction in dis.get_instructions(inner)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


def _all_names(code):
    return {name for inner in _codes(code) for name in inner.co_names}
