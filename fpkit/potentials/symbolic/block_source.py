"""The source text of block functions, from a recorded function or from pieces.

    value(X[d, n], p[k], out[n])    gradient(X, p, out[d, n])    hessian(X, p, out[d, d, n])
    gradient_single: the same in float32

One loop over the n points; what depends on parameters alone is computed before it. Loads and stores carry the
promise that rows do not overlap (`core.lanes`), so the loop vectorises.
"""
# ruff: noqa: E701  (a table of rules: one rule a line)
import math

from ...core.compilation.special import FOR_BLOCKS
from . import derivatives
from .graph import FUNCTIONS, LOGIC, live

VECTORISED = {"exp", "log", "sin", "cos", "tanh", "log1p"}
assert {*FUNCTIONS, *VECTORISED} <= {*FOR_BLOCKS}


def outputs(kind, f, xs):
    """{index text: node} of what a block function of this kind stores."""
    if kind == "value":
        return {"": f}
    g = derivatives.gradient(f, xs)
    if kind in ("gradient", "gradient_single"):
        return {f"{i}, ": n for i, n in enumerate(g)}
    rows = [derivatives.gradient(n, xs) for n in g]
    d = len(xs)
    # symmetric to the last bit
    return {f"{i}, {j}, ": rows[max(i, j)][min(i, j)] for i in range(d) for j in range(d)}


def _number(value, is_single):
    text = "nan" if math.isnan(value) else repr(value)       # repr gives inf and -inf, names of a block
    text = f"({text})" if text.startswith("-") else text
    return f"F({text})" if is_single else text


def _operation(n, a):
    """Text of one operation; `a` are the texts of its arguments."""
    match n.op:
        case "neg": return f"-{a[0]}"
        case "~": return f"not {a[0]}"
        case "&": return f"{a[0]} and {a[1]}"
        case "|": return f"{a[0]} or {a[1]}"
        case "abs": return f"abs({a[0]})"
        case "where": return f"{a[1]} if {a[0]} else {a[2]}"
        case "max": return f"{a[0]} if {a[0]} >= {a[1]} or {a[0]} != {a[0]} else {a[1]}"  # NaN comes through
        case "min": return f"{a[0]} if {a[0]} <= {a[1]} or {a[0]} != {a[0]} else {a[1]}"
        case "**" if n.args[1].op == "constant" and n.args[1].value % 1:
            return f"power({a[0]}, {a[1]})"
        case _ if len(a) == 2 and n.op != "arctan2":
            return f"{a[0]} {n.op} {a[1]}"
    return f"{n.op}({', '.join(a)})"


def _single_operation(n, a):
    """The same in float32. Functions without a short form are computed in float64 and rounded."""
    if n.op in LOGIC:
        return _operation(n, a)
    if n.op == "exp":
        return f"exp_single({a[0]})"
    if n.op in FUNCTIONS and n.op != "sqrt" or n.op in ("**", "arctan2"):
        wide = [x if c.op == "constant" else f"float({x})" for x, c in zip(a, n.args)]
        return f"F({_operation(n, wide)})"
    return f"F({_operation(n, a)})"  # else a mixed operation would silently widen


def loop(f, xs, kind):
    """Lines of the body of a block function of this kind."""
    return loop_over(outputs(kind, f, xs), f.graph, len(xs), kind.endswith("single"))


def loop_over(out, graph, n_rows_in, is_single=False):
    """Lines of the body of a block function that stores nodes, {index text: node}, for X of so many rows."""
    text, before, inside, is_moving, n_rows = {}, [], [], {}, n_rows_in + len(out)
    # numbered in this order: the same function, the same text
    for number, i in enumerate(live(out.values())):
        n = graph.nodes[i]
        a = [text[c.index] for c in n.args]
        is_coordinate = n.op == "variable" and n.value[0] == "x"
        is_moving[i] = is_coordinate or any(is_moving[c.index] for c in n.args)
        if n.op == "constant":
            text[i] = _number(n.value, is_single)
            continue
        text[i] = n.value if is_coordinate else f"t{number}"
        if is_coordinate:
            row = int(n.value[1:])
            expression = f"load(X, ({row}, j), {row}, {n_rows})"
        elif n.op == "variable":
            expression = f"F({n.value})" if is_single else n.value
        else:
            expression = _single_operation(n, a) if is_single else _operation(n, a)
        (inside if is_moving[i] else before).append(f"{text[i]} = {expression}")
    inside += [f"store(out, ({index}j,), {text[n.index]}, {n_rows_in + k}, {n_rows})"
               for k, (index, n) in enumerate(out.items())]
    return [*before, "for j in range(X.shape[1]):", *("    " + line for line in inside)]


def function(name, lines):
    return "\n    ".join([f"def {name}(X, p, out):", *lines]) + "\n"


def composite(kind, ndim, formula_lines, pieces):
    """Block function of a formula (its lines, or None) plus weighted pieces.

    pieces: list of (text of the piece's function, its name, text of its parameter array, text of its weight).
    """
    # compiled apart, not inlined: two sampled landscapes share one function, and it is scalar code that gains
    # nothing
    text = "".join(f"@apart\n{source}\n" for source in dict.fromkeys(source for source, _, _, _ in pieces))
    last = {"value": "j", "gradient": "i, j", "hessian": "i, k, j"}[kind]
    nest = {"value": [], "gradient": [f"for i in range({ndim}):"],
            "hessian": [f"for i in range({ndim}):", f"    for k in range({ndim}):"]}[kind]
    pad = "    " * len(nest)
    lines = list(formula_lines) if formula_lines is not None else ["out[:] = 0.0"]
    if pieces:
        lines.append("part = np.empty(out.shape)")
    for number, (_, name, data, weight) in enumerate(pieces):
        lines += [f"{name}(X, {data}, part)", f"w{number} = {weight}", *nest,
                  f"{pad}for j in range(X.shape[1]):",
                  f"{pad}    out[{last}] += w{number} * part[{last}]"]
    return text + function(kind, lines)
