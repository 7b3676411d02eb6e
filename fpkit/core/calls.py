"""Between a user's call and a function: the words of other books, misspelt names, quantities with units, and
warnings that point at the user's line."""
from __future__ import annotations

import difflib
import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from . import checks

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEMPERATURES = ("kT", "kBT", "kbT", "k_BT", "temperature", "T")
DIFFUSIONS, NOISES, DAMPINGS = ("D", "diffusion", "diffusivity"), ("sigma", "noise_amplitude"), ("gamma",)
# what else people call an argument
SYNONYMS = {"time_step": "dt", "timestep": "dt", "h": "dt", "steps": "n_steps", "nsteps": "n_steps",
            "n_walkers": "n_paths", "n_trajectories": "n_paths", "n_samples": "n_paths", "seeds": "seed",
            "random_state": "seed", "rng": "seed", "bins": "histogram", "start": "x0", "initial": "x0",
            "n_jobs": "n_threads", "threads": "n_threads", "pool": "executor", "box": "bounds",
            "cells": "shape", "n_cells": "shape", "method": "methods"}


def warned(text: str, category: type[Warning]) -> None:
    """Warn at the line outside of this package that led here, however deep the call."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(PACKAGE + os.sep):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """" Did you mean 'x'?", or nothing where no known name is near.

    Examples
    --------
    >>> from fpkit.core.calls import did_you_mean
    >>> did_you_mean("comittor", ["committor", "mfpt"]), did_you_mean("q", ["mfpt"])
    (" Did you mean 'committor'?", '')
    """
    known = list(known)
    by_lower = {k.lower(): k for k in reversed(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def understood(function: Callable[P, R]) -> Callable[P, R]:
    """A public function that also understands the words of other books, and answers misspelt ones.

    ``kT=`` (and ``temperature=``) are theta, ``beta=`` is 1/theta; ``D=`` is theta times the mobility,
    ``sigma=`` is sqrt(2 D), ``gamma=`` is the friction of underdamped paths and 1/mobility otherwise. Any
    other unknown name is refused with the nearest known one. Quantities with units (pint) lose them: those of
    one kind are brought to one unit first.
    """
    signature = inspect.signature(function)
    names = tuple(signature.parameters)
    is_open = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        others = [k for k in kwargs if k not in names]
        if others:
            given = dict(zip(names, args)) | kwargs
            words: dict[str, Any] = kwargs
            _translate(name, names, given, words)
            wrong = [k for k in words if k not in names]
            if wrong and not is_open:
                raise TypeError(_unknown(name, wrong[0], names))
        if not any(map(_has_units, (*args, *kwargs.values()))):
            return function(*args, **kwargs)
        plain_args, plain_kwargs, units = _without_units(name, names, args, kwargs)
        result = function(*plain_args, **plain_kwargs)
        if function.__name__ == "__init__":
            object.__setattr__(args[0], "units_of", units)
        elif isinstance(getattr(result, "inputs", None), dict):
            result.inputs["units"] = {k: str(u) for k, u in units.items()}
        return result
    return call


def understanding(cls: type[T]) -> type[T]:
    """A class whose public methods, and whose making, are `understood`."""
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and (name == "__init__" or not name.startswith("_")):
            setattr(cls, name, understood(method))
    return cls


def _unknown(name, word, names):
    listed = [n for n in names if n != "self"]
    synonym = SYNONYMS.get(word)
    guess = f" Did you mean {synonym!r}?" if synonym in listed else did_you_mean(word, listed)
    return f"{name} has no argument {checks.shown(word)}; it takes {', '.join(listed)}.{guess}"


def _translate(name, names, given, kwargs):
    """Replace words of other books in `kwargs`, or answer with the conversion."""
    def put(word, known, value):
        if known not in names:
            raise TypeError(f"{name} has no {known}, so {word}= means nothing here.")
        if given.get(known) is not None:
            raise TypeError(f"{name} was given {known} and {word}, which say the same; leave one out.")
        kwargs[known] = given[known] = value
        del kwargs[word]

    def number(word):
        return checks.number(word, kwargs[word], positive=True)
    for word in [w for w in TEMPERATURES if w in kwargs and w not in names and "theta" in names]:
        put(word, "theta", kwargs[word])
    if "beta" in kwargs and "beta" not in names and "theta" in names:
        put("beta", "theta", 1 / number("beta"))
    for word in [w for w in (*DIFFUSIONS, *NOISES) if w in kwargs and w not in names and "mobility" in names]:
        what = "D = theta * mobility" if word in DIFFUSIONS else "sigma**2 / 2 = theta * mobility"
        theta = given.get("theta")
        if not isinstance(theta, (int, float)) or theta <= 0:
            raise TypeError(f"{name} takes theta and mobility, and {what}: give theta (a positive number) "
                            f"beside {word}, or mobility.")
        value = number(word) if word in DIFFUSIONS else number(word) ** 2 / 2
        put(word, "mobility", value / float(theta))
    for word in [w for w in DAMPINGS if w in kwargs and w not in names]:
        if "friction" in names and (given.get("scheme") == "baoab" or "mobility" not in names):
            put(word, "friction", kwargs[word])
        elif "mobility" in names:
            put(word, "mobility", 1 / number(word))


# ---- quantities with units ----

def _is_quantity(a):
    return hasattr(a, "magnitude") and hasattr(a, "dimensionality") and hasattr(a, "units")


def _dimension(quantity):
    """Its dimension as a text, such as "[length]^2 [mass] [time]^-2"."""
    return " ".join(k if p == 1 else f"{k}^{p:g}" for k, p in sorted(quantity.dimensionality.items()))


def _has_units(a):
    """Whether an argument is a quantity, or a list of some, or a potential that was made of some."""
    if isinstance(a, (list, tuple)) and 0 < len(a) <= 64:
        return any(map(_has_units, a))
    return _is_quantity(a)


def _without_units(name, names, args, kwargs):
    """(arguments, keyword arguments, dimension -> unit): quantities of one dimension are brought to the unit
    of the potential, or else of the first of them, and stand as plain numbers."""
    units = {}
    for a in (*args, *kwargs.values()):
        units.update({k: v for k, v in (getattr(a, "units_of", None) or {}).items() if k not in units})

    def plain(a):
        if isinstance(a, (list, tuple)) and _has_units(a):
            return type(a)(map(plain, a))
        if not _is_quantity(a):
            return a
        try:
            return a.to(units.setdefault(_dimension(a), a.units)).magnitude
        except Exception as error:
            raise ValueError(f"{name} was given {checks.shown(a)}, whose unit does not convert ({error}).") \
                from None

    def one(key, a):
        if key == "theta" and _is_quantity(a) and _dimension(a) == "[temperature]":
            return _thermal(a, units, name)
        return plain(a)
    return ([one(n, a) for n, a in zip((*names, *[""] * len(args)), args)],
            {k: one(k, a) for k, a in kwargs.items()}, units)


def _thermal(temperature, units, name):
    """k_B T in the unit of energy that the potential was given in."""
    constants = {"[length]^2 [mass] [time]^-2": "boltzmann_constant",
                 "[length]^2 [mass] [substance]^-1 [time]^-2": "molar_gas_constant"}
    registry = type(temperature)
    for energy, constant in constants.items():
        if energy in units:
            return (temperature.to("kelvin") * registry(1, constant)).to(units[energy]).magnitude
    raise ValueError(f"{name} was given the temperature {temperature}; theta is the energy k_B T in the units"
                     " of f, which this potential does not know: give theta as an energy, or make the "
                     "potential by GridPotential with values that have a unit.")
