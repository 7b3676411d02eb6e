"""The potential f(x; parameters): however it was given, block functions for the kernels and plain calls for
people."""
import hashlib

import numpy as np

from ..core import checks
from ..core.compilation import SIGNATURES, load
from . import terms
from .pieces import CompiledPiece
from .symbolic import block_source
from .symbolic import expressions
from .symbolic.formula import Formula, formula_of
from .symbolic.graph import TraceError


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

    minima = saddles = barriers = None
    bounds = domain = box = periodic_axes = None
    facts_complete = False
    is_black_box = False
    __array_ufunc__ = None            # numpy_number * V is ours to answer
    __hash__ = object.__hash__

    def __init__(self, function, ndim=None, **parameters):
        if ndim is not None:
            ndim = checks.whole("ndim", ndim, 1)
        if isinstance(function, str):
            formula = expressions.formula_of(function, ndim, parameters)
        elif hasattr(function, "free_symbols") and not callable(getattr(function, "py_func", None)):
            formula = _from_sympy(function, ndim, parameters)
        elif isinstance(function, Potential):
            raise TypeError("this is a Potential already; use it as it is, or with_params for other "
                            "parameters.")
        elif callable(function):
            formula = formula_of(getattr(function, "py_func", function), ndim, parameters)
        else:
            raise TypeError(f"a potential is a function or a string, got {checks.shown(function)}; samples "
                            "on a grid go to GridPotential(axes, values).")
        values = {name: checks.number(f"parameter {name}", v) for name, v in formula.defaults.items()}
        self._start(formula.ndim, formula, values, [], formula.text)
        self._node, self._xs  # recorded now, so that what cannot be is refused here and not at the first call

    def _start(self, ndim, formula, values, pieces, text):
        self.ndim, self._formula, self._values, self._pieces, self._text = ndim, formula, {k: float(v) for k,
                                                                                           v
                                                                                           in values.items()}, list(pieces), text
        self._blocks, self._recorded, self._data = {}, None, None
        self._layout()

    # ------------------------------------------------------------------------------------------------ other
    # constructors
    @staticmethod
    def compiled(value, gradient=None, ndim=None, hessian=None, **parameters):
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
        from .compiled import compiled_piece
        if ndim is None:
            raise TypeError("Potential.compiled needs ndim, the number of coordinates.")
        ndim = checks.whole("ndim", ndim, 1)
        values = {name: checks.number(f"parameter {name}", v) for name, v in parameters.items()}
        piece = compiled_piece(value, gradient, hessian, ndim, values)
        self = object.__new__(Potential)
        self._start(ndim, None, values, [(None, piece)], f"{getattr(value, '__name__', 'f')}(x[{ndim}])")
        return self

    @staticmethod
    def black_box(value, gradient=None, ndim=None, *, batched=True, **parameters):
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
        from .black_box import BlackBox
        return BlackBox(value, gradient, ndim, batched, parameters)

    # ---------------------------------------------------------------------------------------------------------
    # parameters
    @property
    def params(self):
        return {k: v for k, v in self._values.items() if not k.startswith("#")}

    def with_params(self, **changes):
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
                raise TypeError(f"the potential has no parameter {name!r}; {listed}.")
            changes[name] = checks.number(f"parameter {name}", value)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._values = {**self._values, **changes}
        other._layout()
        return other

    @property
    def p(self):
        return self._p.copy()

    @property
    def is_time_dependent(self):
        return "t" in self._values

    @property
    def time_index(self):
        return list(self._values).index("t") if "t" in self._values else None

    def _layout(self):
        """p = [values, one offset a piece, data of the pieces]; at least one number. A lone piece: its data
        alone."""
        numbers = list(self._values.values())
        if self._is_lone and not numbers:
            self._p = self._pieces[0][1].data
        else:
            if self._data is None:
                at, offsets = len(numbers) + len(self._pieces), []
                for _, piece in self._pieces:
                    offsets.append(at)
                    at += piece.data.size
                self._data = np.concatenate([offsets,
                                             *(piece.data for _,
                                               piece in self._pieces)]) if self._pieces else np.empty(0)
            self._p = np.concatenate([numbers, self._data]).astype(float)
        if self._p.size == 0:
            self._p = np.zeros(1)

    @property
    def _is_lone(self):
        return self._formula is None and len(self._pieces) == 1 and self._pieces[0][0] is None

    # ---------------------------------------------------------------------------------------------------
    # block functions
    @property
    def has_single_gradient(self):
        """Whether block("gradient_single") exists: for potentials that were recorded."""
        return not self._pieces and not self.is_black_box

    def block(self, kind):
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
        if kind not in self._blocks:
            names = {}
            for _, piece in self._pieces:
                names |= piece.names
            self._blocks[kind] = load(kind, self._source(kind), names or None)
        return self._blocks[kind]

    @property
    def _node(self):
        if self._recorded is None and self._formula is not None:
            self._recorded = self._formula.record(list(self._values))
        return self._recorded and self._recorded[0]

    @property
    def _xs(self):
        return self._recorded[1]

    def _source(self, kind):
        checks.choice("kind", kind, SIGNATURES)
        if kind == "gradient_single" and not self.has_single_gradient:
            raise ValueError("there is no float32 gradient of a sampled or compiled potential; use "
                             "precision='double'.")
        lines = None if self._formula is None else block_source.loop(self._node, self._xs, kind)
        if not self._pieces:
            return block_source.function(kind, lines)
        index = {name: k for k, name in enumerate(self._values)}
        if self._is_lone and not self._values or self._is_lone and isinstance(self._pieces[0][1],
                                                                              CompiledPiece):
            return self._pieces[0][1].source(kind, kind, index)
        parts = []
        for number, (weight, piece) in enumerate(self._pieces):
            name = f"{type(piece).__name__}{number if piece.parameters or piece.names else ''}"
            data = "p" if piece.parameters or not piece.data.size else f"p[int(p[{len(index) + number}]):]"
            parts.append((piece.source(kind, name, index), name, data, "1.0" if weight is None
                          else f"p[{index[weight]}]"))
        return block_source.composite(kind, self.ndim, lines, parts)

    # --------------------------------------------------------------------------------------------------------------
    # calls
    def __call__(self, x):
        """f at points (..., ndim), shape (...)."""
        return self._evaluated("value", x, ())

    def gradient(self, x):
        """Gradient at points (..., ndim), shape (..., ndim)."""
        return self._evaluated("gradient", x, (self.ndim,))

    def hessian(self, x):
        """Hessian at points (..., ndim), shape (..., ndim, ndim)."""
        return self._evaluated("hessian", x, (self.ndim, self.ndim))

    def _evaluated(self, kind, x, tail):
        x = self._points(x)
        flat = x.reshape(-1, self.ndim)
        out = np.empty(tail + (len(flat),))
        if self.is_black_box:
            out = np.moveaxis(self._direct(kind, flat), 0, -1)
        elif len(flat):
            X = np.ascontiguousarray(flat.T)
            self.block(kind)(X if X.flags.writeable else X.copy(), self._p, out)
        result = np.ascontiguousarray(np.moveaxis(out, -1, 0)).reshape(x.shape[:-1] + tail)
        return result[()]

    def _points(self, x):
        try:
            x = np.asarray(x, float)
        except (TypeError, ValueError):
            raise TypeError(f"points must be numbers of shape (..., {self.ndim}), got {checks.shown(x)}.") from None
        if x.ndim == 0 and self.ndim == 1:
            return x[None]
        if x.ndim == 0 or x.shape[-1] != self.ndim:
            hint = "; for many points of one coordinate pass x[:, None]" if self.ndim == 1 and x.ndim == 1 else ": the last index counts the coordinates"
            raise ValueError(f"points must have shape (..., {self.ndim}), got {x.shape}{hint}.")
        return x

    # ----------------------------------------------------------------------------------------------------------
    # operators
    def __add__(self, other): return terms.add(self, other)
    def __radd__(self, other): return terms.add(self, other)
    def __sub__(self, other): return terms.subtract(self, other)
    def __rsub__(self, other): return terms.add(terms.scale(self, -1.0), other)
    def __mul__(self, other): return terms.scale(self, other)
    def __rmul__(self, other): return terms.scale(self, other)
    def __truediv__(self, other): return terms.divide(self, other)
    def __neg__(self): return terms.scale(self, -1.0)
    def __pos__(self): return self

    def tilted(self, slope):
        """f(x) + slope . x, with slope of shape (ndim,): a constant force -slope.

        Examples
        --------
        >>> fp.Potential("x**2").tilted([1.0]).gradient([0.0])
        array([1.])
        """
        return terms.tilt(self, slope)

    def confined(self, stiffness, centre=None):
        """f(x) + stiffness/2 |x - centre|^2, around the origin unless told.

        Examples
        --------
        >>> float(fp.Potential("cos(x)").confined(2.0)([3.0]) - np.cos(3.0))
        9.0
        """
        return terms.confine(self, stiffness, centre)

    # ---------------------------------------------------------------------------------------------------------
    # provenance
    def __getstate__(self):  # compiled functions are found again in the cache of the process that unpickles
        return {**self.__dict__, "_blocks": {}, "_recorded": None}

    @property
    def source(self):
        """Text that determines the function: its formula as generated code, and what its pieces are made
        of."""
        pieces = "\n".join(f"+ {weight or 1} * {piece.text}" for weight, piece in self._pieces)
        text = self._text if self._formula is None else block_source.function("value",
                                                                         block_source.loop(self._node, self._xs,
                                                                                      "value"))
        return f"# {self._text}\n{text}\n{pieces}".rstrip() + "\n"

    @property
    def digest(self):
        """Hash of source, parameter names and values (64 hexadecimal digits)."""
        h = hashlib.sha256(self.source.encode())
        h.update(repr(sorted(self._values.items())).encode())
        h.update(self._p.tobytes())
        return h.hexdigest()

    def __repr__(self):
        text = self._text if len(self._text) <= 60 else self._text[:57] + "..."
        values = "".join(f", {k} = {v:.6g}" for k, v in self.params.items())
        return f"{type(self).__name__} {text}, {self.ndim} coordinate{'s' * (self.ndim > 1)}{values}"


def _from_sympy(expression, ndim, parameters):
    """Formula of a SymPy expression: symbols x, y, z are coordinates, the others parameters."""
    import sympy
    names = sorted(s.name for s in expression.free_symbols)
    used = [c for c in expressions.COORDINATES if c in names]
    if not used and ndim is None:
        raise TraceError(f"the SymPy expression {str(expression)[:60]} contains none of the symbols "
                                 "x, y, z.")
    count = ndim or expressions.COORDINATES.index(used[-1]) + 1
    coordinates = list(expressions.COORDINATES[:count])
    missing = [n for n in names if n not in coordinates and n not in parameters and n != "t"]
    if missing:
        raise TraceError(f"the SymPy expression needs a value for {', '.join(missing)}: "
                                 f"Potential(..., {missing[0]}=1.0).")
    free = [n for n in names if n not in coordinates]
    unknown = [n for n in parameters if n not in free]
    if unknown:
        raise TypeError(f"the parameter {', '.join(unknown)} does not occur in the SymPy expression.")
    function = sympy.lambdify([sympy.Symbol(n) for n in coordinates + free]
                              if all(s == sympy.Symbol(s.name) for s in expression.free_symbols)
                              else [next((s for s in expression.free_symbols if s.name == n), sympy.Symbol(n))
                                    for n in coordinates + free], expression, modules="numpy")
    return Formula(lambda xs, values: function(*xs, *(values[n] for n in free)), count,
                           {n: float(parameters.get(n, 0.0)) for n in free}, str(expression))
