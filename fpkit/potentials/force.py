"""Forces that are no gradients: the one reading of every ``force=``, and forces given by a stream
function."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import checks
from .grid_potential import GridPotential
from .potential import Potential
from .symbolic.expressions import component_texts
from .symbolic.formula import Formula, formula_of
from .symbolic.graph import ExpressionError, Graph, TraceError
from .symbolic.numpy_rules import Symbol, plain
from .terms import Parts
from .vector_field import PointFunction, VectorField

WAYS = ("a text such as '(y, -x)', a function of the coordinates that returns {ndim} values, a function of "
        "points (n, {ndim}) that returns (n, {ndim}), {ndim} numbers or potentials, or fpkit.Rotation(psi)")


class Rotation:
    """A force that leaves the Gibbs density as it is, given by its stream function psi, in two dimensions.

    M F exp(-f/theta) = rot(psi exp(-f/theta)), rot g = (dg/dy, -dg/dx): the current that F drives is free of
    divergence. A constant psi = -w theta gives M F = w (df/dy, -df/dx), along the level sets of f.

    Parameters
    ----------
    psi : number, str, callable or Potential
        In the units of theta M. On walls it counts as zero: nothing flows through them.

    Examples
    --------
    >>> X = fp.Diffusion(fp.Potential("x**2/2 + y**2"), theta=0.5, force=fp.Rotation(-0.5))
    >>> X.force([1.0, 1.0])                # w = 1: (df/dy, -df/dx)
    array([ 2., -1.])
    """

    def __init__(self, psi: float | str | Callable | Potential) -> None:
        if isinstance(psi, (str, Potential)):
            self.psi = psi if isinstance(psi, Potential) else Potential(psi, ndim=2)
        elif callable(psi):
            self.psi = Potential(psi, ndim=2) if n_coordinates(psi) == 1 else Potential(psi)
        else:
            self.psi = Potential(repr(checks.number("psi", psi)), ndim=2)
        if self.psi.ndim != 2:
            raise ValueError(f"psi must be a function of two coordinates, got {self.psi.ndim}.")
        if self.psi.is_time_dependent:
            raise ValueError("psi must not depend on the time t.")

    def of(self, potential: Potential, theta: float) -> VectorField:
        """M F for a potential and a temperature."""
        if potential.ndim != 2:
            raise ValueError(f"a stream function makes a force in two dimensions, and the potential has "
                             f"{potential.ndim}; give the force itself.")
        return VectorField(2, [(self.psi, ("value", "gradient")), (potential, ("gradient",))], _Rotated(),
                           f"rotation by psi = {self.psi.text}", {"theta": theta})

    def __repr__(self) -> str:
        return f"Rotation({self.psi.text})"


class _Rotated:
    def __call__(self, jets, values):
        psi, g, theta = jets[0], jets[1].gradient, values["theta"]
        return [psi.gradient[1] - psi.value * g[1] / theta, psi.value * g[0] / theta - psi.gradient[0]]


class _Values:
    """The values of the sources, one a component."""

    def __call__(self, jets, values):
        return [jet.value for jet in jets]


class _Whole:
    """The one source is a field."""

    def __call__(self, jets, values):
        return list(jets[0].value)


def force_of(force: Any, ndim: int, name: str = "force") -> VectorField:
    """The one reading of a force or of the drift of an equation.

    Parameters
    ----------
    force : str, callable, sequence of ndim or VectorField
        A text "(y, -x)"; a function of the coordinates, or of the array of all, that returns `ndim` values
        (recorded and compiled); a function of points (n, ndim) that returns (n, ndim); `ndim` numbers, texts,
        functions or potentials (samples: `GridPotential`).
    ndim : int
    name : str
        What it is called in messages.

    Examples
    --------
    >>> from fpkit.potentials.force import force_of
    >>> force_of("(y, -x)", 2)([1.0, 2.0]), force_of(lambda x, y, a=2.0: (a*y, -x), 2)([1.0, 2.0])
    (array([ 2., -1.]), array([ 4., -1.]))
    """
    if isinstance(force, VectorField):
        if force.ndim != ndim:
            raise ValueError(f"the {name} has {force.ndim} coordinates, expected {ndim}.")
        return force
    parts, text = components_of(force, ndim, name, is_vector=True)
    if isinstance(parts, PointFunction):
        return VectorField(ndim, [(parts, ("value",))], _Whole(), text)
    if parts.shape == () and ndim == 1:
        parts = parts.reshape(1)
    if parts.shape != (ndim,):
        raise ValueError(f"the {name} must have {ndim} component{'s' * (ndim > 1)}, got "
                         f"{'one' if parts.shape == () else 'x'.join(map(str, parts.shape))}.")
    return VectorField(ndim, [(V, ("value",)) for V in parts], _Values(), text)


def components_of(given: Any, ndim: int, name: str, is_vector: bool = False) -> tuple[Any, str]:
    """Potentials, one a component, as an object array of shape (), (n,) or (n, n), or a `PointFunction`; and
    a text.

    Texts, functions and nested sequences; functions that cannot be recorded are taken as functions of points.
    """
    if isinstance(given, str):
        texts = component_texts(given)
        return _array(texts, lambda t: _potential(t, ndim, name)), " ".join(given.split())
    if isinstance(given, Potential):
        return _array(given, lambda V: _potential(V, ndim, name)), given.text
    if callable(given):
        return _of_function(given, ndim, name, is_vector)
    if isinstance(given, (Sequence, np.ndarray)) or np.isscalar(given):
        parts = _array(given.tolist() if isinstance(given, np.ndarray) else given,
                       lambda c: _potential(c, ndim, name))
        return parts, _listed(parts)
    raise TypeError(f"the {name} must be {WAYS.format(ndim=ndim)}; got {checks.shown(given)}.")


def _listed(parts):
    if parts.shape == ():
        return parts[()].text
    texts = (_listed(part) if isinstance(part, np.ndarray) else part.text for part in parts)
    return f"({', '.join(texts)})"


def _array(nested, make):
    """Object array of what `make` gives for each entry of nested sequences."""
    if not isinstance(nested, (list, tuple)):
        out = np.empty((), object)
        out[()] = make(nested)
        return out
    rows = [_array(entry, make) for entry in nested]
    if len({row.shape for row in rows}) != 1:
        raise ValueError("components must form a list or a square of lists of equal lengths.")
    out = np.empty((len(rows), *rows[0].shape), object)
    for k, row in enumerate(rows):
        out[k] = row[()] if row.shape == () else row
    return out


def _potential(component, ndim, name):
    """One component as a Potential."""
    if isinstance(component, Potential):
        if component.ndim != ndim:
            raise ValueError(f"a component of the {name} has {component.ndim} coordinates, expected {ndim}.")
        return component
    try:
        if isinstance(component, str):
            return Potential(component, ndim=ndim)
        if callable(component):
            return Potential(component, ndim=ndim) if n_coordinates(component) == 1 else Potential(component)
    except (ExpressionError, TraceError) as error:
        raise _renamed(error, name) from None
    value = checks.number(f"a component of the {name}", component)
    return Potential._of(Parts(ndim, Formula(_Constant(), ndim, {"#c": value}, f"{value:g}"), {"#c": value},
                               (), f"{value:g}"))


class _Constant:
    def __call__(self, xs, values):
        return values["#c"] + 0.0


class _Component:
    """The rule of one component of a function that returns several."""

    def __init__(self, formula, index):
        self.formula, self.index = formula, index

    def __call__(self, xs, values):
        return _flat(self.formula.rule(xs, values))[self.index]


def _flat(returned):
    return plain(np.array(returned, object)).ravel() if isinstance(returned, (list, tuple)) else plain(
        returned).ravel()


def n_coordinates(function):
    """How many arguments without a default a function has."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(a.default is inspect.Parameter.empty and a.name != "t"
               and a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) for a in arguments)


def _of_function(function, ndim, name, is_vector):
    """The components of a function by recording it, else the function of points."""
    try:
        formula = formula_of(function, ndim)
        graph = Graph(Symbol)
        xs = [graph.variable(f"x{i}") for i in range(ndim)]
        with np.errstate(all="ignore"):
            returned = formula.rule(xs, {n: graph.variable(f"v{k}") for k, n in enumerate(formula.defaults)})
        shape = np.shape(returned) if isinstance(returned, np.ndarray) else _nested_shape(returned)
        if returned is None or (is_vector and shape not in ((ndim,), *([()] if ndim == 1 else []))):
            raise TraceError(f"the {name} returned {'nothing' if returned is None else f'shape {shape}'} for "
                             f"one point, expected {ndim} values.")
        made = [Potential._of(Parts(ndim, Formula(_Component(formula, k), ndim, formula.defaults,
                                                  f"{formula.text}[{k}]"), dict(formula.defaults), (),
                                    f"{formula.text}[{k}]")) for k in range(int(np.prod(shape)))]
        for V in made:
            V._recording()
    except Exception as error:                         # user code met symbols: anything may come out
        return _of_points(function, ndim, name, is_vector, error)
    parts = np.empty(shape, object)
    parts.ravel()[:] = made
    return parts, formula.text


def _nested_shape(returned):
    if not isinstance(returned, (list, tuple)):
        return np.shape(returned) if isinstance(returned, np.ndarray) else ()
    return (len(returned), *(_nested_shape(returned[0]) if returned else ()))


def _of_points(function, ndim, name, is_vector, error):
    """A function of points (n, ndim), tried on a few."""
    tried = np.random.default_rng(0).uniform(0.1, 0.9, (5, ndim))
    try:
        shape = np.shape(function(tried.copy()))
    except Exception:                                  # it is no function of points either
        shape = None
    allowed = [(5, ndim)] if is_vector else [(), (5,), (5, ndim), (5, ndim, ndim)]
    if shape in allowed:
        text = getattr(function, "__name__", "F").replace("<lambda>", "F")
        return PointFunction(function, ndim), f"{text}(x)"
    if isinstance(error, (TraceError, TypeError)):
        raise _renamed(error, name) from None
    raise TraceError(f"the {name} cannot be recorded ({' '.join(str(error).split())[:120]}) and is no "
                     f"function of points; give {WAYS.format(ndim=ndim)}.") from None


def _renamed(error, name):
    return type(error)(str(error).replace("the potential", f"the {name}").replace(
        "the expression", f"the {name}"))


def on_grid(force: Any, grid: Any) -> Any:
    """A force given as an array of values at the cell centres of a grid, as splines; others as they are."""
    if not isinstance(force, np.ndarray) or force.ndim < 2 and force.shape != (*grid.shape, grid.ndim):
        return force
    if force.shape == (grid.ndim, *grid.shape) and force.shape != (*grid.shape, grid.ndim):
        force = np.moveaxis(force, 0, -1)
    if force.shape != (*grid.shape, grid.ndim):
        raise ValueError(f"an array for the force must have the shape {(*grid.shape, grid.ndim)} of its "
                         f"values at the cell centres, got {force.shape}.")
    if any(grid.periodic):
        raise ValueError("an array for the force on a periodic axis has no samples beyond the seam; give a "
                         "function or a text.")
    return tuple(GridPotential(grid.centres, force[..., k]) for k in range(grid.ndim))
