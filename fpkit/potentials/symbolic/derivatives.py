"""Gradient and Hessian of a recorded function, exact, by the reverse mode over its graph."""
# ruff: noqa: E701  (a table of rules: one rule a line)
import math

from .graph import LOGIC, STEPS, TraceError, live


def partials(n):
    """Derivatives of one operation with respect to its arguments; None where it has none that is asked
    for."""
    a, graph = n.args, n.graph
    match n.op:
        case "+": return 1.0, 1.0
        case "-": return 1.0, -1.0
        case "*": return a[1], a[0]
        case "/": return 1.0 / a[1], -n / a[1]
        case "neg": return -1.0,
        case "exp": return n,
        case "expm1": return n + 1.0,
        case "log": return 1.0 / a[0],
        case "log1p": return 1.0 / (1.0 + a[0]),
        case "sin": return a[0].call("cos"),
        case "cos": return -a[0].call("sin"),
        case "tanh": return 1.0 - n * n,
        case "sinh": return a[0].call("cosh"),
        case "cosh": return a[0].call("sinh"),
        case "sqrt": return 0.5 / n,
        case "arctan": return 1.0 / (1.0 + a[0] * a[0]),
        # (1 - x)(1 + x) and not 1 - x*x: no cancellation near the ends
        case "arcsin": return 1.0 / ((1.0 - a[0]) * (1.0 + a[0])).call("sqrt"),
        case "arccos": return -1.0 / ((1.0 - a[0]) * (1.0 + a[0])).call("sqrt"),
        case "arcsinh": return 1.0 / (1.0 + a[0] * a[0]).call("sqrt"),
        case "arccosh": return 1.0 / ((a[0] - 1.0) * (a[0] + 1.0)).call("sqrt"),
        case "arctanh": return 1.0 / ((1.0 - a[0]) * (1.0 + a[0])),
        case "arctan2":
            square = a[0] * a[0] + a[1] * a[1]
            return a[1] / square, -a[0] / square
        case "erf": return 2 / math.sqrt(math.pi) * (-(a[0] * a[0])).call("exp"),
        case "erfc": return -2 / math.sqrt(math.pi) * (-(a[0] * a[0])).call("exp"),
        case "abs": return graph.node("where", a[0] > 0, 1.0, graph.node("where", a[0] < 0, -1.0, 0.0)),
        case "max" | "min":
            first = a[0] >= a[1] if n.op == "max" else a[0] <= a[1]
            return graph.node("where", first, 1.0, 0.0), graph.node("where", first, 0.0, 1.0)
        case "**":
            base = a[1] * (a[0] ** (a[1].value - 1) if a[1].op == "constant"
                           else graph.node("**", a[0], a[1] - 1.0))
            return base, (None if a[1].op == "constant" else n * a[0].call("log"))
    if n.op in STEPS:
        return 0.0,
    raise TraceError(f"no derivative rule for {n.op}.")


MAX_LEAVES = 4


def _scaled(adjoint, p):
    """adjoint * p; a choice stays outside the product, so that an infinite p of the branch not taken is never
    0 * inf.

    Nested choices would double at each level (25 levels: a hang), so beyond MAX_LEAVES leaves the product is
    formed outside.
    """
    if isinstance(p, float):
        return adjoint if p == 1.0 else -adjoint if p == -1.0 else adjoint * p
    if adjoint.op == "neg":
        return -_scaled(adjoint.args[0], p)
    if adjoint.op == "where" and _leaves(adjoint) <= MAX_LEAVES:
        c, s, t = adjoint.args
        return adjoint.graph.node("where", c, _scaled(s, p), _scaled(t, p))
    return adjoint * p


def _leaves(n, limit=MAX_LEAVES + 1):
    """Ends of a tree of choices, zeros not counted, stopping at limit."""
    if n.op != "where":
        return int(not (n.op == "constant" and n.value == 0))
    first = _leaves(n.args[1], limit)
    return first if first >= limit else first + _leaves(n.args[2], limit - first)


def gradient(f, variables):
    """Nodes of df/dx for each variable: at most a few times the operations of f, for any number of
    variables."""
    graph, zero = f.graph, f.graph.constant(0)
    wanted = {x.index for x in variables}
    order = live([f])
    reaches = {}  # nodes that depend on a variable; the others get no adjoint
    for i in order:
        reaches[i] = i in wanted or any(reaches[c.index] for c in graph.nodes[i].args)
    adjoints = {f.index: graph.constant(1)}
    for i in reversed(order):
        n, adjoint = graph.nodes[i], adjoints.get(i)
        if adjoint is None or not n.args or n.op in LOGIC or not reaches[i]:
            continue
        if n.op == "where":
            c, s, t = n.args
            terms = [(s, graph.node("where", c, adjoint, zero)), (t, graph.node("where", c, zero, adjoint))]
        else:
            terms = [(c, _scaled(adjoint, p)) for c, p in zip(n.args, partials(n)) if reaches[c.index]
                     and p is not None]
        for c, term in terms:
            if reaches[c.index]:
                adjoints[c.index] = adjoints[c.index] + term if c.index in adjoints else term
    return [adjoints.get(x.index, zero) for x in variables]
