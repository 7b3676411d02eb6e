"""The potential f(x; parameters): however it was given, block functions for the kernels and plain calls for
people."""
from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import did_you_mean
from ..core.compilation import SIGNATURES, load
from . import terms
from .black_box import BlackBox, BlackBoxSum
from .pieces import CompiledPiece, compiled_piece
from .symbolic import block_source, expressions, jumps
from .symbolic.formula import Formula, formula_of
from .symbolic.graph import TraceError
from .terms import Parts

RECORDING = threading.RLock()          # derivatives grow the graph of a formula, which threads may share


class Potential:
    """The potential f of a diffusion, with exact gradient and Hessian.

    Parameters
    ----------
    function : callable or str
        - A NumPy-style function of the coordinates, ``lambda x, y, a=1.0: a*(x**2 - 1)**2 + np.sin(y)``. It
          is called once with symbols; gradient and Hessian are derived from what it does, so they are exact.
        - With `ndim`, a function of one array, ``lambda x: np.sum((x**2 - 1)**2)`` with ``x[0] .. x[ndim -
          1]``.
        - A string in x, y, z, e.g. ``"(x**2 - 1)**2 + a*y**2"``, with exp log sqrt sin cos tan sinh cosh tanh
          abs where minimum maximum, pi and e; other names are parameters. Strings are parsed, never executed.
        - A SymPy expression, when SymPy is installed.
    ndim : int, optional
        Number of coordinates, for functions of one array. Long sums over coordinates are written out:
        recording suits about 64 coordinates for paths, 16 where Hessians are needed; beyond that see
        `compiled` and `black_box`.
    **parameters
        Values of named parameters; numbers given as defaults in the function are parameters too. Changing
        them later with `with_params` compiles nothing. A parameter called ``t`` is the time.

    Attributes
    ----------
    ndim : int
    params : dict
        Name -> value.
    p : ndarray, float64
        Parameters as the block functions take them (a fresh copy).
    is_time_dependent : bool
    time_index : int or None
        Place of ``t`` in `p`.
    bounds : list of (low, high) or None
        Box outside which the potential means nothing (`GridPotential`).
    domain : callable or None
        ``domain(points)``: True where the potential is valid.
    minima, saddles, barriers
        Known exactly for potentials of the catalogue, else None.

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2 + a*y**2", a=0.5)
    >>> V
    Potential (x**2 - 1)**2 + a*y**2, 2 coordinates, a = 0.5
    >>> float(V([2.0, 1.0])), V.gradient([2.0, 1.0])
    (9.5, array([24.,  1.]))
    >>> V.with_params(a=2.0).hessian([1.0, 0.0])
    array([[8., 0.],
           [0., 4.]])
    >>> W = fp.Potential(lambda x, y: np.where(x > 0, np.sqrt(1 + x**2), 1.0) + abs(y))
    >>> float((V + 2*W).tilted([1.0, 0.0])([0.0, 1.0]))
    5.5
    """

    minima: Any = None
    saddles: Any = None
    barriers: Any = None
    bounds: Any = None
    domain: Any = None
    box: Any = None                    # a box worth looking at, and the axes on which its walls are one:
    periodic_axes: Any = None          # known for potentials of the catalogue
    facts_complete = False
    _is_held = False
    _jump: Any = None                  # what `jump_of` was asked last, and its answer
    __array_ufunc__ = None             # numpy_number * V is ours to answer
    __hash__ = object.__hash__

    def __init__(self, function: Any, ndim: int | None = None, **parameters: float) -> None:
        if ndim is not None:
            ndim = checks.whole("ndim", ndim, 1)
        if parameters.get("t", 0.0) != 0.0:
            raise ValueError(f"t = {checks.shown(parameters['t'])}: t is the time, which begins at 0; give a "
                             "constant another name, such as tau.")
        if isinstance(function, str):
            formula = expressions.formula_of(function, ndim, parameters)
        elif hasattr(function, "free_symbols") and not callable(getattr(function, "py_func", None)):
            formula = _from_sympy(function, ndim, parameters)
        elif isinstance(function, Potential):
            raise TypeError("this is a Potential already; use it as it is, or with_params for other "
                            "parameters.")
        elif type(function).__module__.startswith("scipy.interpolate"):
            raise TypeError(f"a {type(function).__name__} cannot be recorded; fpkit.GridPotential(f) takes "
                            "it as it is and makes a C2 spline with exact derivatives of its samples.")
        elif callable(function):
            formula = formula_of(getattr(function, "py_func", function), ndim, parameters)
        else:
            raise TypeError(f"a potential is a function or a string, got {checks.shown(function)}; samples "
                            "on a grid go to GridPotential(axes, values).")
        values = {name: checks.number(f"parameter {name}", v) for name, v in formula.defaults.items()}
        self._start(Parts(formula.ndim, formula, values, (), formula.text))
        self._recording()              # now, so that what cannot be recorded is refused here and not later

    def _start(self, parts: Parts, black_box: BlackBox | BlackBoxSum | None = None) -> None:
        self.ndim, self._parts, self._black_box = parts.ndim, parts, black_box
        self._blocks, self._recorded, self._data = {}, None, None
        self._layout()

    @staticmethod
    def _of(parts: Parts, black_box: BlackBox | BlackBoxSum | None = None) -> Potential:
        made = object.__new__(Potential)
        made._start(parts, black_box)
        return made

    # ---- other constructors ----
    @staticmethod
    def compiled(value: Callable, gradient: Callable | None = None, ndim: int | None = None,
                 hessian: Callable | None = None, **parameters: float) -> Potential:
        """Potential from point-by-point functions with control flow, compiled by Numba.

        Parameters
        ----------
        value : callable
            ``value(x, *parameters) -> float`` for one point x of shape (ndim,), in the subset of Python that
            Numba compiles (or already decorated with ``numba.njit``).
        gradient, hessian : callable, optional
            ``gradient(x, *parameters)`` returns ndim numbers (array or tuple), ``hessian`` ndim x ndim.
            Without a gradient central differences take its place, error about 1e-10 (1 + |f|) for functions
            of order one in curvature; the Hessian comes by differences of the gradient (1e-10), or of the
            value (1e-7) when both are missing.
        ndim : int
        **parameters
            Run-time parameters, in the order in which the functions take them after x.

        Examples
        --------
        >>> def value(x, a):
        ...     s = 0.0
        ...     for i in range(3):
        ...         if x[i] > 0:
        ...             s += a * x[i]**2
        ...     return s
        >>> float(fp.Potential.compiled(value, ndim=3, a=2.0)([1.0, -1.0, 0.5]))
        2.5
        """
        ndim, values = _described("compiled", ndim, parameters)
        piece = compiled_piece(value, gradient, hessian, ndim, values)
        return Potential._of(Parts(ndim, None, values, ((None, piece),),
                                   f"{getattr(value, '__name__', 'f')}(x[{ndim}])"))

    @staticmethod
    def black_box(value: Callable, gradient: Callable | None = None, ndim: int | None = None, *,
                  batched: bool = True, **parameters: float) -> Potential:
        """Potential that is never compiled, e.g. the loss of a network: finite volumes evaluate it once,
        paths step in NumPy.

        Parameters
        ----------
        value : callable
            ``value(points, **parameters)`` for points (n, ndim), returns (n,). With ``batched=False`` it gets
            one point (ndim,) and returns a number.
        gradient : callable, optional
            Returns (n, ndim), or (ndim,) when not batched. Without it: central differences, 2 ndim
            evaluations, error about 1e-10 (1 + |f|). The Hessian is made by differences of the gradient.
        ndim : int

        Examples
        --------
        >>> V = fp.Potential.black_box(lambda x: (x**2).sum(axis=1), lambda x: 2*x, ndim=2)
        >>> float(V([3.0, 4.0])), V.gradient([3.0, 4.0])
        (25.0, array([6., 8.]))
        """
        if not callable(value) or not (gradient is None or callable(gradient)):
            raise TypeError("value and gradient of a black box must be functions of points (n, ndim).")
        ndim, values = _described("black_box", ndim, parameters)
        text = f"black box {getattr(value, '__name__', type(value).__name__)}(x[{ndim}])"
        return Potential._of(Parts(ndim, None, values, (), text), BlackBox(value, gradient, batched, values))

    # ---- parameters ----
    @property
    def params(self) -> dict[str, float]:
        return {k: v for k, v in self._parts.values.items() if not k.startswith("#")}

    def with_params(self, **changes: float) -> Potential:
        """The same potential with other parameter values; nothing is compiled.

        Examples
        --------
        >>> fp.Potential("a*x**2", a=1.0).with_params(a=3.0).params
        {'a': 3.0}
        """
        known = self.params
        for name, value in changes.items():
            if name not in known:
                listed = f"it has {', '.join(known)}" if known else "it has none"
                raise TypeError(f"the potential has no parameter {name!r}; {listed}."
                                + did_you_mean(name, known))
            changes[name] = checks.number(f"parameter {name}", value)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._parts = self._parts._replace(values={**self._parts.values, **changes})
        if self._black_box is not None:
            other._black_box = self._black_box.with_params(changes)
        other._layout()
        return other

    def held(self, t: float) -> Potential:
        """The same potential standing still as it is at time t, where it depends on the time."""
        if not self.is_time_dependent:
            return self
        other = self.with_params(t=t)
        other._is_held = True
        return other

    @property
    def p(self) -> np.ndarray:
        return self._p.copy()

    @property
    def is_time_dependent(self) -> bool:
        return "t" in self._parts.values and not self._is_held

    @property
    def time_index(self) -> int | None:
        return list(self._parts.values).index("t") if self.is_time_dependent else None

    def _layout(self):
        """p = [values, one offset a piece, data of the pieces]; at least one number. A lone piece: its data
        alone."""
        numbers, pieces = list(self._parts.values.values()), [piece for _, piece in self._parts.pieces]
        if self._is_lone and not numbers:
            self._p = pieces[0].data
        else:
            if self._data is None:
                sizes = [piece.data.size for piece in pieces]
                offsets = len(numbers) + len(pieces) + np.cumsum([0, *sizes[:-1]])[:len(pieces)]
                self._data = np.concatenate([offsets, *(piece.data for piece in pieces)])
            self._p = np.concatenate([numbers, self._data]).astype(float)
        if self._p.size == 0:
            self._p = np.zeros(1)

    @property
    def _is_lone(self):
        pieces = self._parts.pieces
        return self._parts.formula is None and len(pieces) == 1 and pieces[0][0] is None

    # ---- block functions ----
    @property
    def is_black_box(self) -> bool:
        """Whether f is a plain Python function, which no kernel can call."""
        return self._black_box is not None

    @property
    def has_single_gradient(self) -> bool:
        """Whether block("gradient_single") exists: for potentials that were recorded."""
        return not self._parts.pieces and not self.is_black_box

    def block(self, kind: str) -> Any:
        """The compiled block function, compiled or loaded when first asked for.

        ``value(X[d, n], p, out[n])``, ``gradient(X, p, out[d, n])``, ``hessian(X, p, out[d, d, n])``, and for
        recorded potentials ``gradient_single`` in float32, for drifts (relative error about 1e-5). `out` must
        not overlap `X`; p is `V.p`.

        Examples
        --------
        >>> V, X, out = fp.Potential("x*y"), np.array([[1.0, 2.0], [3.0, 4.0]]), np.empty(2)
        >>> V.block("value")(X, V.p, out)
        >>> out
        array([3., 8.])
        """
        if self.is_black_box:
            raise ValueError("a black-box potential has no compiled functions; evaluate it with V(x) and "
                             "V.gradient(x).")
        if kind not in self._blocks:
            names = {}
            for _, piece in self._parts.pieces:
                names |= piece.names
            with RECORDING:
                source = self._source(kind)
            self._blocks[kind] = load(kind, source, names or None)
        return self._blocks[kind]

    def _recording(self):
        """(node of f, nodes of the coordinates) of the formula."""
        if self._recorded is None:
            self._recorded = self._parts.formula.record(list(self._parts.values))
        return self._recorded

    def jump_of(self, starts: np.ndarray, theta: float, box: np.ndarray | None = None):
        """`symbolic.jumps.jump_of` for the recorded part of f, found once; None for a black box, for samples
        and for pieces that Numba compiles."""
        if self._parts.formula is None:
            return None
        key = (starts[:64].tobytes(), theta, None if box is None else box.tobytes())
        if self._jump is None or self._jump[0] != key:
            with RECORDING:
                self._jump = key, jumps.jump_of(self._recording()[0], self._p, starts[:64], theta, box)
        return self._jump[1]

    def jump_along(self, path: np.ndarray):
        """Likewise between the places (n, ndim) of a path that follow each other."""
        with RECORDING:
            has_formula = self._parts.formula is not None
            return jumps.jump_along(self._recording()[0], self._p, path) if has_formula else None

    def _source(self, kind):
        checks.choice("kind", kind, SIGNATURES)
        if kind == "gradient_single" and not self.has_single_gradient:
            raise ValueError("there is no float32 gradient of a sampled or compiled potential; use "
                             "precision='double'.")
        _, formula, values, pieces, _ = self._parts
        lines = None if formula is None else block_source.loop(*self._recording(), kind)
        if not pieces:
            return block_source.function(kind, lines)
        index = {name: k for k, name in enumerate(values)}
        if self._is_lone and (not values or isinstance(pieces[0][1], CompiledPiece)):
            return pieces[0][1].source(kind, kind, index)
        parts = []
        for number, (weight, piece) in enumerate(pieces):
            name = f"{type(piece).__name__}{number if piece.parameters or piece.names else ''}"
            data = "p" if piece.parameters or not piece.data.size else f"p[int(p[{len(index) + number}]):]"
            parts.append((piece.source(kind, name, index), name, data, "1.0" if weight is None
                          else f"p[{index[weight]}]"))
        return block_source.composite(kind, self.ndim, lines, parts)

    # ---- calls ----
    def __call__(self, x: ArrayLike) -> Any:
        """f at points (..., ndim), shape (...). On a line an array of coordinates will do:
        ``V(np.linspace(-2, 2, 101))``, which has the shape of the array, and so have gradient and Hessian."""
        return self._evaluated("value", x, ())

    def gradient(self, x: ArrayLike) -> np.ndarray:
        """Gradient at points (..., ndim), shape (..., ndim)."""
        return self._evaluated("gradient", x, (self.ndim,))

    def hessian(self, x: ArrayLike) -> np.ndarray:
        """Hessian at points (..., ndim), shape (..., ndim, ndim)."""
        return self._evaluated("hessian", x, (self.ndim, self.ndim))

    def _evaluated(self, kind, x, tail):
        x, are_coordinates = self._points(x)
        flat = x.reshape(-1, self.ndim)
        out = np.empty(tail + (len(flat),))
        if self._black_box is not None:
            out = np.moveaxis(self._black_box.evaluated(kind, flat), 0, -1)
        elif len(flat):
            X = np.ascontiguousarray(flat.T)
            self.block(kind)(X if X.flags.writeable else X.copy(), self._p, out)
        result = np.ascontiguousarray(np.moveaxis(out, -1, 0)).reshape(
            x.shape[:-1] + (() if are_coordinates else tail))
        return result[()]

    def _points(self, x):
        """Points (..., ndim), and whether they were given as coordinates on a line."""
        try:
            x = np.asarray(x, float)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"points must be numbers of shape (..., {self.ndim}), got "
                            f"{checks.shown(x)}.") from None
        if x.ndim == 0 and self.ndim == 1:
            return x[None], False
        if self.ndim == 1 and x.shape[-1] != 1:
            return x[..., None], True
        if x.ndim == 0 or x.shape[-1] != self.ndim:
            raise ValueError(f"points must have shape (..., {self.ndim}), got {x.shape}: the last index "
                             "counts the coordinates.")
        return x, False

    # ---- operators ----
    def _sum(self, weighted, text, rule=None, values=None):
        """The potential sum_k weight_k V_k + rule of pairs (V, weight or None), with common bounds and
        domain."""
        potentials = [V for V, _ in weighted]
        extra = None if rule is None else Formula(rule, self.ndim, values, text)
        if any(V.is_black_box for V in potentials):
            rest = [] if extra is None else [(Potential._of(Parts(self.ndim, extra, values, (), text)), 1.0)]
            box = BlackBoxSum([(V, 1.0 if w is None else w) for V, w in weighted] + rest, text)
            made = Potential._of(Parts(self.ndim, None, terms.shared([V.params for V in potentials]), (),
                                       text), box)
        else:
            made = Potential._of(terms.weighted_sum([(V._parts, w) for V, w in weighted], extra, text))
        made._is_held = any(V._is_held for V in potentials) and not any(
            V.is_time_dependent for V in potentials)
        made.bounds = terms.common_bounds([V.bounds for V in potentials])
        made.domain = terms.common_domain([V.domain for V in potentials if V.domain is not None])
        return made

    def __add__(self, other: Any) -> Potential:
        if isinstance(other, Potential):
            terms.same_dimension(self.ndim, other.ndim)
            return self._sum([(self, None), (other, None)], f"{self._short} + {other._short}")
        if not terms.is_number(other):
            raise TypeError("a potential can be added to a potential or a number, got "
                            f"{checks.shown(other)}; wrap a function first: Potential(f).")
        constant = checks.number("the constant", other)
        return self._sum([(self, None)], f"{self._short} + {constant:g}", lambda xs, v: v["#c"] + 0.0,
                         {"#c": constant})

    __radd__ = __add__

    def __sub__(self, other: Any) -> Potential:
        if isinstance(other, Potential):
            terms.same_dimension(self.ndim, other.ndim)
            return self._sum([(self, None), (other, -1.0)], f"{self._short} - ({other._short})")
        if not terms.is_number(other):
            raise TypeError("a potential or a number can be subtracted from a potential, got "
                            f"{checks.shown(other)}.")
        return self + -other

    def __rsub__(self, other: Any) -> Potential:
        return -1.0 * self + other

    def __mul__(self, factor: float) -> Potential:
        if isinstance(factor, Potential):
            raise TypeError("the product of two potentials is not defined; write one function of the "
                            "coordinates instead.")
        if not terms.is_number(factor):
            raise TypeError(f"a potential can be multiplied by a number, got {checks.shown(factor)}.")
        factor = checks.number("the factor", factor)
        return self._sum([(self, factor)], f"{factor:g}*({self._short})")

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Potential:
        if not terms.is_number(divisor):
            raise TypeError(f"a potential can be divided by a number, got {checks.shown(divisor)}.")
        divisor = checks.number("the divisor", divisor)
        if divisor == 0:
            raise ValueError("a potential cannot be divided by zero.")
        return self * (1.0 / divisor)

    def __neg__(self) -> Potential:
        return self * -1.0

    def __pos__(self) -> Potential:
        return self

    def tilted(self, slope: ArrayLike) -> Potential:
        """f(x) + slope . x, with slope of shape (ndim,): a constant force -slope.

        Examples
        --------
        >>> fp.Potential("x**2").tilted([1.0]).gradient([0.0])
        array([1.])
        """
        rule, values, text = terms.tilt(slope, self.ndim)
        return self._sum([(self, None)], f"{self._short} + {text}", rule, values)

    def confined(self, stiffness: float, centre: ArrayLike | None = None) -> Potential:
        """f(x) + stiffness/2 |x - centre|^2, around the origin unless told.

        Examples
        --------
        >>> float(fp.Potential("cos(x)").confined(2.0)([3.0]) - np.cos(3.0))
        9.0
        """
        rule, values, text = terms.confinement(stiffness, centre, self.ndim)
        return self._sum([(self, None)], f"{self._short} + {text}", rule, values)

    # ---- provenance ----
    def __getstate__(self):  # compiled functions are found again in the cache of the process that unpickles
        return {**self.__dict__, "_blocks": {}, "_recorded": None}

    @property
    def text(self) -> str:
        """Short text of the formula."""
        return self._parts.text

    @property
    def _short(self):
        return self.text if len(self.text) <= 40 else self.text[:37] + "..."

    @property
    def source(self) -> str:
        """Text that determines the function: its formula as generated code, and what its pieces are made
        of."""
        if self._black_box is not None:
            return f"# {self.text}\n{self._black_box.described}\n"
        pieces = "\n".join(f"+ {weight or 1} * {piece.text}" for weight, piece in self._parts.pieces)
        text = self.text
        if self._parts.formula is not None:
            with RECORDING:
                text = block_source.function("value", block_source.loop(*self._recording(), "value"))
        return f"# {self.text}\n{text}\n{pieces}".rstrip() + "\n"

    @property
    def functions(self) -> tuple:
        """The Python functions of which f is made: those of a black box, or of pieces that Numba compiles."""
        if self._black_box is not None:
            return self._black_box.functions
        return tuple((weight, piece.value, piece.gradient, piece.hessian)
                     for weight, piece in self._parts.pieces if isinstance(piece, CompiledPiece))

    def identifying(self) -> tuple[tuple, Any, str]:
        """What tells it from others, for `fpkit.core.runs.identity`: texts, parts, and a name for them."""
        if self.is_black_box:
            return ("black box", self.ndim), (self.functions, self.params, self.bounds,
                                              self.domain), "the black box"
        return ("potential", self.digest), self.functions, "the functions of the potential"

    @property
    def digest(self) -> str:
        """Hash of source, parameter names and values (64 hexadecimal digits)."""
        h = hashlib.sha256(self.source.encode())
        h.update(repr(sorted(self._parts.values.items())).encode())
        h.update(self._p.tobytes() + b"held" * self._is_held)
        return h.hexdigest()

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        values = "".join(f", {k} = {v:.6g}" for k, v in self.params.items())
        return f"{type(self).__name__} {text}, {self.ndim} coordinate{'s' * (self.ndim > 1)}{values}"


def _described(maker, ndim, parameters):
    """Checked number of coordinates and values of the parameters."""
    if ndim is None:
        raise TypeError(f"Potential.{maker} needs ndim, the number of coordinates.")
    return (checks.whole("ndim", ndim, 1),
            {name: checks.number(f"parameter {name}", v) for name, v in parameters.items()})


def _from_sympy(expression, ndim, parameters):
    """Formula of a SymPy expression: symbols x, y, z are coordinates, the others parameters."""
    import sympy
    symbols = {s.name: s for s in expression.free_symbols}
    used = [c for c in expressions.COORDINATES if c in symbols]
    if not used and ndim is None:
        raise TraceError(f"the SymPy expression {str(expression)[:60]} contains none of the symbols x, y, z.")
    count = ndim or expressions.COORDINATES.index(used[-1]) + 1
    coordinates = list(expressions.COORDINATES[:count])
    free = [n for n in sorted(symbols) if n not in coordinates]
    missing = [n for n in free if n not in parameters and n != "t"]
    if missing:
        raise TraceError(f"the SymPy expression needs a value for {', '.join(missing)}: "
                         f"Potential(..., {missing[0]}=1.0).")
    unknown = [n for n in parameters if n not in free]
    if unknown:
        raise TypeError(f"the parameter {', '.join(unknown)} does not occur in the SymPy expression.")
    function = sympy.lambdify([symbols.get(n, sympy.Symbol(n)) for n in coordinates + free], expression,
                              modules="numpy")
    return Formula(lambda xs, values: function(*xs, *(values[n] for n in free)), count,
                   {n: checks.number(f"parameter {n}", parameters.get(n, 0.0)) for n in free},
                   str(expression))
