"""Strings to potentials without eval: a whitelist over Python's ``ast``, walked with the tracer's own
operations.

Names: x, y, z are coordinates, pi and e constants, every other name is a parameter. Nothing else resolves:
attributes, subscripts, text, comprehensions, lambdas and calls other than the listed functions do not exist
for the walker, whatever the string says. Numbers are floats from the start, so no giant integer is ever
formed; length, number of terms and depth are bounded before anything walks down.
"""
import ast
import math
import unicodedata

import numpy as np

from ...core import checks
from ...core.calls import did_you_mean
from .formula import Formula, is_number
from .graph import LOGIC, ExpressionError, Node

FUNCTIONS = ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "abs", "where", "minimum",
             "maximum"]
MORE_FUNCTIONS = ["log1p", "expm1", "log2", "log10", "exp2", "cbrt", "arcsin", "arccos", "arctan", "arcsinh",
                  "arccosh", "arctanh", "arctan2", "hypot", "sign", "square", "floor", "ceil", "mod",
                  "logaddexp", "heaviside"]
CALLS = {name: getattr(np, name) for name in FUNCTIONS + MORE_FUNCTIONS}
ALIASES = {"max": np.maximum, "min": np.minimum, "ln": np.log, "asin": np.arcsin, "acos": np.arccos,
           "atan": np.arctan, "atan2": np.arctan2, "asinh": np.arcsinh, "acosh": np.arccosh,
           "atanh": np.arctanh, "fabs": np.abs, "absolute": np.abs, "Abs": np.abs, "Max": np.maximum,
           "Min": np.minimum, "fmax": np.maximum, "fmin": np.minimum, "fmod": np.mod,
           "pow": lambda a, b: a**b, "power": lambda a, b: a**b}
CALLS |= ALIASES
TWO_ARGUMENTS = {"maximum", "minimum", "max", "min", "hypot", "arctan2", "atan2", "mod", "logaddexp",
                 "heaviside", "Max", "Min", "fmax", "fmin", "fmod", "pow", "power"}
PREFIXES = {"np", "numpy", "math", "sp", "sympy", "torch", "jnp", "numexpr", "ne", "cmath"}
BINARY = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
          ast.Div: lambda a, b: a / b, ast.Pow: lambda a, b: a**b, ast.Mod: lambda a, b: np.mod(a, b)}
COMPARE = {ast.Lt: lambda a, b: a < b, ast.Gt: lambda a, b: a > b, ast.LtE: lambda a, b: a <= b,
           ast.GtE: lambda a, b: a >= b}
COORDINATES = "xyz"
CONSTANTS = {"pi": math.pi, "e": math.e}
MAX_LENGTH, MAX_TERMS, MAX_DEPTH, MAX_BRACKETS = 10_000, 2_000, 300, 90


def _fail(text, node, what):
    line = text.replace("\n", " ")
    at = getattr(node, "col_offset", 0)
    shown = line if len(line) <= 60 else ("..." if at > 20 else "") + line[max(0, at - 20): at + 30] + "..."
    raise ExpressionError(f"{what}; in the expression {shown!r}.") from None


def formula_of(text, ndim=None, parameters=None):
    """Formula of an expression. A parameter without a value is refused; the time t is 0 unless told."""
    parameters = dict(parameters or {})
    tree = _tree(text)
    names, called = _names(tree, text)
    for name, value in parameters.items():
        if name in FUNCTIONS or name in CONSTANTS or name in COORDINATES:
            raise ExpressionError(f"the parameter {name!r} would hide a coordinate, a constant or a "
                                  "function; rename it.")
        if not is_number(value):
            raise ExpressionError(f"the parameter {name} must be a number, got {type(value).__name__}.")
    used = [c for c in COORDINATES if c in names]
    if not used and ndim is None:
        raise ExpressionError(f"the expression {text[:60]!r} contains no coordinate; coordinates are x, y "
                              "and z.")
    highest = COORDINATES.index(used[-1]) + 1 if used else 1
    if ndim is None:
        ndim = highest
    if not highest <= ndim <= 3:
        raise ExpressionError(f"ndim is {ndim}, and the expression uses {', '.join(used)}; strings have one "
                              "to three coordinates.")
    for name in names:
        if name in FUNCTIONS:
            raise ExpressionError(f"{name} is a function and needs an argument: {name}(x).")
    free = [n for n in names if n not in COORDINATES and n not in CONSTANTS]
    missing = [n for n in free if n not in parameters and n != "t"]
    if missing:
        listed = ", ".join(missing[:6])
        raise ExpressionError(f"the expression needs a value for {listed}: Potential(..., "
                              f"{missing[0][:30]}=1.0); coordinates are x, y, z, functions "
                              f"{', '.join(FUNCTIONS)}.")
    unused = [n for n in parameters if n not in free]
    if unused:
        raise ExpressionError(f"the parameter {', '.join(unused)} does not occur in the expression "
                              f"{text[:60]!r}.")
    defaults = {name: checks.number(f"parameter {name}", parameters.get(name, 0.0)) for name in free}

    def rule(xs, values):
        f = _walk(tree, dict(zip(COORDINATES, xs)) | values | CONSTANTS, text)
        if getattr(f, "op", None) in LOGIC:
            raise ExpressionError(f"the expression {text[:60]!r} is a comparison, not a potential; "
                                  "where(condition, a, b) chooses between two.")
        return f
    return Formula(rule, ndim, defaults, " ".join(text.split()))


def component_texts(text):
    """The texts of the components of "(y, -x)" or "[[1, x], [x, 2]]", nested as they are; a text without
    brackets and commas is one component.

    >>> from fpkit.potentials.symbolic.expressions import component_texts
    >>> component_texts("(a*y, -x)"), component_texts("1 + x")
    (['a * y', '-x'], '1 + x')
    """
    def parts(node):
        if isinstance(node, (ast.Tuple, ast.List)):
            if not node.elts:
                _fail(text, node, "there is an empty list of components")
            return [parts(entry) for entry in node.elts]
        return ast.unparse(node)

    tree = _tree(text)
    if not isinstance(tree, (ast.Tuple, ast.List)):
        return text
    inner = [entry for node in tree.elts for entry in (node.elts if isinstance(node, (ast.Tuple, ast.List))
                                                       else [node])]
    for node in inner:
        _names(node, text)               # bounds size and depth before anything recursive runs
    return parts(tree)


def _tree(text):
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(text)} characters, more than {MAX_LENGTH}; write a "
                              "Python function instead.")
    text = text.strip()
    if not text:
        raise ExpressionError("the expression is empty; an example is '(x**2 - 1)**2'.")
    odd = next((c for c in text if not c.isascii() or not (c.isprintable() or c in "\t\n\r")), None)
    if odd is not None:
        raise ExpressionError(f"the expression holds the character {unicodedata.name(odd, repr(odd))}; plain "
                              "ASCII was expected.")
    if "^" in text:
        raise ExpressionError(f"'^' is not a power here, write **; in the expression {text[:60]!r}.")
    if "#" in text or "\\" in text:
        raise ExpressionError("the expression holds a '#' or a backslash; comments and escapes are not "
                              "allowed.")
    depth = deepest = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_BRACKETS:
        raise ExpressionError(f"the expression nests {deepest} brackets, more than {MAX_BRACKETS}; write a "
                              "Python function instead.")
    try:
        return _without_prefixes(ast.parse(" ".join(text.split()), mode="eval")).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(getattr(error, "msg", None) or error).split())[:80]
        raise ExpressionError(f"{text[:60]!r} is not an expression ({reason}).") from None


def _without_prefixes(tree):
    """np.sin, math.pi, ... as sin and pi: what follows the dot is looked up in our own list like any other
    name. Goes through the tree without recursion."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = map(_bare, value)
            elif isinstance(value, ast.Attribute):
                setattr(node, name, _bare(value))
    return tree


def _bare(node):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PREFIXES \
            and (node.attr in CALLS or node.attr in CONSTANTS):
        return ast.copy_location(ast.Name(node.attr, ast.Load()), node)
    return node


def _names(tree, text):
    """Names used, in order, without those that are called. Bounds size and depth before anything recursive
    runs."""
    names, called, n_terms, waiting = {}, set(), 0, [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        n_terms += 1
        if n_terms > MAX_TERMS or depth > MAX_DEPTH:
            raise ExpressionError(f"the expression has more than {MAX_TERMS} terms or {MAX_DEPTH} levels; "
                                  "write a Python function instead.")
        children = list(ast.iter_child_nodes(node))
        match node:
            case ast.Call(func=ast.Name(id=name)):
                called.add(name)
                if name not in CALLS:
                    _fail(text, node, f"unknown function {name[:40]!r}, known are {', '.join(FUNCTIONS)}"
                          + did_you_mean(name[:40], CALLS).removesuffix("?").replace(" Did", "; did"))
                children.remove(node.func)
            case ast.Name(id=name):
                if "__" in name:
                    _fail(text, node, f"the name {name[:40]!r} is not allowed")
                names[name] = node
            case (ast.BinOp() | ast.UnaryOp() | ast.Compare() | ast.Constant() | ast.operator()
                  | ast.unaryop() | ast.cmpop() | ast.Load()):
                pass
            case ast.Call():
                _fail(text, node, f"{type(node.func).__name__} cannot be called")
            case _:
                _fail(text, node, f"{type(node).__name__} is not allowed")
        waiting += [(c, depth + 1) for c in reversed(children)]
    return list(names), called


def _walk(node, scope, text):
    match node:
        case ast.Constant(value=bool() | complex() | str() | bytes() | None):
            _fail(text, node, f"only real numbers are allowed, not {str(node.value)[:20]!r}")
        case ast.Constant(value=int() | float()):
            try:
                value = float(node.value)
            except OverflowError:
                value = math.inf
            return value if math.isfinite(value) else _fail(text, node, "a number is too large")
        case ast.Name(id=name) if name in scope:
            return scope[name]
        case ast.BinOp(op=op) if type(op) in BINARY:
            return _checked(BINARY[type(op)], (_walk(node.left, scope, text), _walk(node.right, scope, text)),
                            text, node)
        case ast.UnaryOp(op=ast.USub()):
            return -_walk(node.operand, scope, text)
        case ast.UnaryOp(op=ast.UAdd()):
            return _walk(node.operand, scope, text)
        case ast.Compare(ops=[op], comparators=[right]) if type(op) in COMPARE:
            a, b = _walk(node.left, scope, text), _walk(right, scope, text)
            if not (isinstance(a, Node) or isinstance(b, Node)):
                _fail(text, node, "a comparison of two constants decides nothing")
            return COMPARE[type(op)](a, b)
        case ast.Compare():
            _fail(text, node, "one comparison with < > <= >= was expected")
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in CALLS:
            count = 3 if name == "where" else 2 if name in TWO_ARGUMENTS else 1
            if len(node.args) != count:
                _fail(text, node, f"{name} takes {count} argument{'s' * (count > 1)}, got {len(node.args)}")
            return _checked(CALLS[name], tuple(_walk(a, scope, text) for a in node.args), text, node)
        case ast.Call():
            _fail(text, node, "arguments by name are not allowed")
    _fail(text, node, f"{type(getattr(node, 'op', node)).__name__} is not allowed")


def _checked(rule, args, text, node):
    """rule(*args); constant parts must stay real and finite, so that nothing hides in them."""
    try:
        with np.errstate(all="ignore"):
            result = rule(*args)
    except (ZeroDivisionError, OverflowError):
        _fail(text, node, "a constant part divides by zero or overflows")
    if isinstance(result, Node):
        if result.op == "constant" and not math.isfinite(result.value):
            _fail(text, node, "a constant part is not a finite number")
        return result
    if isinstance(result, complex) or not math.isfinite(result):
        _fail(text, node, "a constant part is not a finite real number")
    return float(result)
