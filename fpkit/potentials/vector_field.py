"""Fields of vectors made of potentials, compiled as potentials are: forces, drifts, and what paths step
along."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.compilation import load
from .pieces import described
from .potential import RECORDING, Potential
from .symbolic import block_source, derivatives
from .symbolic.graph import Graph
from .symbolic.numpy_rules import Symbol


class Jet:
    """What a field may use of one of its sources at a point: value, gradient[i]; symbols or arrays."""

    def __init__(self, value: Any, gradient: Any) -> None:
        self.value, self.gradient = value, gradient


class _Linear:
    """The rule of a constant matrix times a field."""

    def __init__(self, rule: Callable, matrix: np.ndarray) -> None:
        self.rule, self.matrix = rule, matrix.tolist()

    def __call__(self, jets, values):
        return product(self.matrix, self.rule(jets, values))


def product(M: Sequence, v: Sequence) -> list:
    """M v for rows of numbers, symbols or arrays; numbers that are zero take no part."""
    return [sum((m * a for m, a in zip(row, v) if not isinstance(m, float) or m != 0), 0.0) for row in M]


class PointFunction:
    """v(points) -> (n, ndim) as it is, never compiled: a source that is a field by itself."""

    is_time_dependent, is_black_box, params = False, True, {}

    def __init__(self, function: Callable, ndim: int) -> None:
        self.function, self.ndim = function, ndim

    @property
    def source(self) -> str:
        return described(self.function)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Rows (ndim, n) at points (n, ndim)."""
        v = np.asarray(self.function(points.copy()), float)
        if v.shape != points.shape:
            raise ValueError(f"the force gave shape {v.shape} for {len(points)} points, expected "
                             f"{points.shape}.")
        return v.T


class VectorField:
    """v(x; parameters), the d components of which are expressions in potentials and their gradients.

    To the kernels it looks like a potential whose gradient is v: `block`, `p`, `time_index`, `with_params`.

    Parameters
    ----------
    ndim : int
    sources : sequence of (Potential or PointFunction, kinds)
        kinds: those of "value" and "gradient" that `rule` asks for.
    rule : callable
        ``rule(jets, values)`` gives the components from one `Jet` a source, for symbols and arrays alike. An
        instance of a class of a module where the field shall be pickled.
    text : str
    values : dict
        Hidden numbers of the rule (a temperature), run-time parameters.

    Examples
    --------
    >>> from fpkit.potentials.vector_field import VectorField
    >>> V = fp.Potential("x**2 + y**4")
    >>> rule = lambda jets, values: [g + 1.0 for g in jets[0].gradient]
    >>> VectorField(2, [(V, ("gradient",))], rule, "grad f + 1")([1.0, 1.0])
    array([3., 5.])
    """

    def __init__(self, ndim: int, sources: Sequence, rule: Callable, text: str,
                 values: dict[str, float] | None = None) -> None:
        self.ndim, self.sources, self.rule, self.text = ndim, tuple(sources), rule, text
        self.values = dict(values or {})
        self._blocks: dict[str, Any] = {}

    @property
    def is_black_box(self) -> bool:
        """Whether a part is a plain Python function, which no kernel can call."""
        return any(V.is_black_box for V, _ in self.sources)

    @property
    def has_single_gradient(self) -> bool:
        """Whether block("gradient_single") exists: where all parts were recorded."""
        return all(not V.is_black_box and V.has_single_gradient for V, _ in self.sources)

    @property
    def params(self) -> dict[str, float]:
        return {k: v for V, _ in self.sources for k, v in V.params.items()}

    def with_params(self, **changes: float) -> VectorField:
        """The same field with other parameter values; nothing is compiled."""
        unknown = set(changes) - set(self.params)
        if unknown:
            raise TypeError(f"the force has no parameter {sorted(unknown)[0]!r}.")
        mine = lambda V: {k: v for k, v in changes.items() if k in V.params}
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, sources=tuple((V.with_params(**mine(V)) if mine(V) else V, kinds)
                                                           for V, kinds in self.sources))
        return other

    def held(self, t: float) -> VectorField:
        """The same field standing still as it is at time t."""
        sources = [(V.held(t) if V.is_time_dependent else V, kinds) for V, kinds in self.sources]
        return VectorField(self.ndim, sources, self.rule, self.text, self.values)

    @property
    def is_time_dependent(self) -> bool:
        return any(V.is_time_dependent for V, _ in self.sources)

    @property
    def time_index(self) -> int | None:
        """Place of the time in `p`: the first, where there is one."""
        return 0 if self.is_time_dependent else None

    @property
    def p(self) -> np.ndarray:
        """[t,] the numbers of the rule, where each source starts, and the p of each source."""
        times = [V.params["t"] for V, _ in self.sources if V.is_time_dependent][:1]
        head = [*times, *self.values.values()]
        parts = [V.p for V, _ in self.sources]
        starts = len(head) + len(parts) + 1 + np.cumsum([0, *(p.size for p in parts)])
        return np.concatenate([head, starts, *parts]).astype(float)

    def transformed(self, matrix: np.ndarray, text: str | None = None) -> VectorField:
        """A constant matrix times this field."""
        return VectorField(self.ndim, self.sources, _Linear(self.rule, matrix), text or self.text,
                           self.values)

    # ---- calls ----
    def __call__(self, x: ArrayLike) -> np.ndarray:
        """v at points (..., ndim), in their shape."""
        x = checks.points("points", np.atleast_1d(x) if self.ndim == 1 and np.ndim(x) == 0 else x, self.ndim)
        flat = np.ascontiguousarray(x.reshape(-1, self.ndim))
        out = np.empty(flat.T.shape)
        if len(flat) and not self.is_black_box:
            self.block("gradient")(np.ascontiguousarray(flat.T), self.p, out)
        elif len(flat):
            jets = [_evaluated(V, kinds, flat) for V, kinds in self.sources]
            for row, v in zip(out, self.rule(jets, self.values)):
                row[:] = v
        return np.ascontiguousarray(out.T).reshape(x.shape)

    gradient = __call__

    # ---- block functions ----
    def block(self, kind: str = "gradient") -> Any:
        """The compiled block function ``(X[d, n], p, out[d, n])`` of v, kind "gradient" or
        "gradient_single"."""
        if self.is_black_box:
            raise ValueError("a force that is a plain Python function has no compiled form; evaluate it at "
                             "points.")
        if kind not in self._blocks:
            checks.choice("kind", kind, ("gradient", "gradient_single"))
            if kind == "gradient_single" and not self.has_single_gradient:
                raise ValueError("there is no float32 form of sampled or compiled parts; use "
                                 "precision='double'.")
            names = {}
            for V, _ in self.sources:
                for _, piece in V._parts.pieces:
                    names |= piece.names
            with RECORDING:
                source = self._recorded(kind) if self.has_single_gradient else self._composite(kind)
            self._blocks[kind] = load(kind, source, names or None)
        return self._blocks[kind]

    def _places(self):
        """Variables of the numbers of the rule, and the place in p where the starts of the sources stand."""
        first = int(self.is_time_dependent)
        return {name: f"p[{first + k}]" for k, name in enumerate(self.values)}, first + len(self.values)

    def _recorded(self, kind):
        """Source text where all sources are formulas: one graph."""
        graph, (places, table) = Graph(Symbol), self._places()
        xs = [graph.variable(f"x{i}") for i in range(self.ndim)]
        jets, before = [], []
        for number, (V, kinds) in enumerate(self.sources):
            before.append(f"a{number} = int(p[{table + number}])")
            moves = V.is_time_dependent
            given = {name: graph.variable("p[0]" if moves and name == "t" else f"p[a{number} + {k}]")
                     for k, name in enumerate(V._parts.values)}
            f = V._parts.formula.apply(graph, xs, given)
            jets.append(Jet(f, derivatives.gradient(f, xs) if "gradient" in kinds else None))
        values = {name: graph.variable(place) for name, place in places.items()}
        out = {f"{i}, ": graph.wrap(v) for i, v in enumerate(self.rule(jets, values))}
        lines = block_source.loop_over(out, graph, self.ndim, kind.endswith("single"))
        return block_source.function(kind, [*before, *lines])

    def _composite(self, kind):
        """Source text where some sources are samples or compiled functions: their block functions fill rows
        of an array, from which the rule is computed."""
        graph, (places, table) = Graph(Symbol), self._places()
        row, texts, lines, jets = self.ndim, [], [], []
        for number, (V, kinds) in enumerate(self.sources):
            lines.append(f"q = p[int(p[{table + number}]):int(p[{table + number + 1}])]")
            if V.is_time_dependent:
                lines += ["q = q.copy()", f"q[{V.time_index}] = p[0]"]
            jet = Jet(None, None)
            for part in kinds:
                head, _, tail = V._source(part).rpartition(f"def {part}(")
                texts.append(f"{head}@apart\ndef {part}_{number}({tail}")
                if part == "value":
                    lines.append(f"{part}_{number}(X, q, Y[{row}])")
                    jet.value = graph.variable(f"x{row}")
                    row += 1
                else:
                    lines.append(f"{part}_{number}(X, q, Y[{row}:{row + self.ndim}])")
                    jet.gradient = [graph.variable(f"x{row + i}") for i in range(self.ndim)]
                    row += self.ndim
            jets.append(jet)
        values = {name: graph.variable(place) for name, place in places.items()}
        out = {f"{i}, ": graph.wrap(v) for i, v in enumerate(self.rule(jets, values))}
        texts.append("@apart\n" + block_source.function("mixed", block_source.loop_over(out, graph, row)))
        return "\n".join(texts) + "\n" + block_source.function(
            kind, [f"Y = np.empty(({row}, X.shape[1]))", f"Y[:{self.ndim}] = X", *lines, "mixed(Y, p, out)"])

    # ---- provenance ----
    def __getstate__(self):  # compiled functions are found again in the cache of the process that unpickles
        return {**self.__dict__, "_blocks": {}}

    @property
    def source(self) -> str:
        """Text that determines the function."""
        parts = "\n".join(V.source for V, _ in self.sources)
        if self.is_black_box:
            return f"# {self.text}\n{parts}"
        with RECORDING:
            if self.has_single_gradient:
                return self._recorded("gradient")
            return f"{self._composite('gradient')}\n{parts}"

    @property
    def functions(self) -> tuple:
        """The Python functions of which it is made, of parts that are never recorded."""
        found = []
        for V, _ in self.sources:
            found += [V.function] if isinstance(V, PointFunction) else V.functions
        return tuple(found)

    @property
    def digest(self) -> str:
        """Hash of source and numbers (64 hexadecimal digits)."""
        h = hashlib.sha256(self.source.encode())
        for V, _ in self.sources:
            h.update(V.digest.encode() if isinstance(V, Potential) else b"")
        h.update(repr(sorted(self.values.items())).encode())
        return h.hexdigest()

    def __repr__(self) -> str:
        return self.text


def _evaluated(V, kinds, flat):
    """Jet of arrays at points (n, ndim)."""
    if isinstance(V, PointFunction):
        return Jet(V(flat), None)
    return Jet(V(flat) if "value" in kinds else None, V.gradient(flat).T if "gradient" in kinds else None)
