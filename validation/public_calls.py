"""The results of many public calls, bit by bit, so that two versions of fpkit can be compared.

    python -m validation.public_calls --save before.json                          # in the old version
    python -m validation.public_calls --compare before.json --save after.json     # in the new one
    python -m validation.public_calls --compare before.json --after after.json    # two files, nothing is run

A refactoring shall change no result, no message and no public name. Each call below is small, uses public
names alone, has a sentence as its label, and its result is taken apart into arrays of numbers and texts: all
public fields, the error beside each value, the printed form, the warnings. Times, paths, versions and
provenance are left out. The comparison prints a table and returns 1 when a call differs by more than it may:
by nothing at all, unless the call says otherwise (``allowance=``, ``within_error=``, ``changes=``).

This is a tool and no validation of a claim; the runner leaves it out. As a plain file it runs on the fpkit of
the current folder. Paths below fpkit are imported where they are called, so that one that is gone is a
difference of its call and not the end of all.
"""
from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import json
import math
import numbers
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

if __name__ == "__main__":     # before NumPy is imported: sums must not depend on the number of threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["COLUMNS"] = "100"                                                # the width of the help texts
    if os.path.isfile(os.path.join("fpkit", "__init__.py")):
        sys.path.insert(0, os.getcwd())

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402

import fpkit as fp  # noqa: E402

FORMAT = 1
LEFT_OUT = {"inputs", "problem", "fpkit", "version", "seconds", "created_utc", "rule", "state"}  # provenance
STATED = {"value": "error", "values": "error", "eigenvalues": "errors"}     # a number, its stated error
FOLLOWS = ("error", "errors", "log10")           # what may change with a number that stays within its error
LARGEST_EXACT = 2**53                            # whole numbers above are kept as texts
SHOWN = 6                                        # differences of one call that the table prints


@dataclasses.dataclass(frozen=True)
class Call:
    """One public call, and how far its result may be from the one before.

    Attributes
    ----------
    label : str
        A sentence-like name.
    make : callable
        Returns the result.
    allowance : float
        Relative difference that any of its numbers may have.
    within_error : bool
        Numbers that state an error may differ by it (quadratures that were written anew).
    changes : str
        Why the result is meant to change; the difference is then shown and not judged.
    is_wrong : bool
        A wrong call: its result is the sentence of the error.
    """
    label: str
    make: object
    allowance: float = 0.0
    within_error: bool = False
    changes: str = ""
    is_wrong: bool = False


CALLS: dict[str, Call] = {}


def call(label, make=None, **options):
    """Put a call on the list; without a function a decorator."""
    if make is None:
        return lambda function: call(label, function, **options)
    if label in CALLS:
        raise ValueError(f"two calls have the label {label!r}.")
    CALLS[label] = Call(label, make, **options)
    return make


def wrong(label, make):
    """Put a wrong call on the list, for the sentence that it gets."""
    call(f"the message for {label}", make, is_wrong=True)


# --------------------------------------------------------------------------------------- taking results apart
def flattened(result, folder=""):
    """Numbers and texts of any result: {"numbers": {path: array}, "texts": {path: text}}."""
    found = {"numbers": {}, "texts": {}}
    _flatten("", result, found, functools.partial(cleaned, folder=folder))
    return found


def cleaned(text, folder=""):
    """A text without what differs between two runs of one version: folders and addresses."""
    for place, name in ((folder, "<folder>"), (str(data_folder()), "<data>"), (os.getcwd(), "<here>")):
        text = text.replace(place, name) if place else text
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _flatten(path, value, found, clean):
    into = lambda name, part: _flatten(f"{path}.{name}" if path else str(name), part, found, clean)
    array = _as_array(value)
    if array is not None:
        if np.iscomplexobj(array):
            into("real", array.real)
            into("imag", array.imag)
        else:
            found["numbers"][path] = array
    elif value is None or isinstance(value, (str, bytes, numbers.Integral)):
        found["texts"][path] = clean(value if isinstance(value, str) else repr(value))
    elif isinstance(value, float):  # an Estimate, with all that came along
        for name, part in vars(value).items():
            if _is_kept(name):
                into(name, part)
        into("repr", repr(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if _is_kept(field.name):
                into(field.name, getattr(value, field.name))
        if not hasattr(type(value).__repr__, "__wrapped__"):       # written by hand, not by dataclasses
            into("repr", repr(value))
    elif isinstance(value, dict):
        for name, part in value.items():
            if _is_kept(str(name)):
                into(name, part)
        into("keys", " ".join(sorted(str(name) for name in value if _is_kept(str(name)))))
    elif sparse.issparse(value):
        matrix = value.tocsr().sorted_indices()
        for name in ("shape", "data", "indices", "indptr"):
            into(name, getattr(matrix, name))
    elif isinstance(value, (list, tuple, np.ndarray)):
        into("length", len(value))
        for k, part in enumerate(value):
            into(k, part)
        if type(value).__repr__ not in (list.__repr__, tuple.__repr__, np.ndarray.__repr__):
            into("repr", repr(value))
    elif callable(value) and not hasattr(value, "ndim"):
        found["texts"][path] = "a function"
    else:  # a region, a potential, a grid
        found["texts"][path] = clean(repr(value))


def _as_array(value):
    """Numbers as an array, plain lists of numbers included; None for anything else."""
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "biufc" else None
    if isinstance(value, (list, tuple)):
        is_plain = type(value).__repr__ in (list.__repr__, tuple.__repr__)
        return np.array(value) if value and is_plain and all(_is_number(v) for v in value) else None
    return np.array(value) if _is_number(value) else None


def _is_number(value):
    if isinstance(value, numbers.Integral):
        return abs(int(value)) <= LARGEST_EXACT
    return isinstance(value, numbers.Number) and not hasattr(value, "log10")     # an Estimate is more


def _is_kept(name):
    return not name.startswith("_") and name not in LEFT_OUT


def recorded(chosen, say=lambda text: None):
    """{label: entry} of the chosen calls, and a sentence for each that did not do what was expected of it."""
    entries, surprises = {}, []
    for label in chosen:
        start = time.process_time()
        entry, raised = _made(CALLS[label])
        if (raised is None) == CALLS[label].is_wrong:
            surprises.append(f"{label}: {'went through' if raised is None else raised}")
        entries[label] = entry
        say(f"{time.process_time() - start:7.2f} s  {label}\n")
    return entries, surprises


def _made(entry):
    """Numbers and texts of one call, its warnings among them, and the sentence of the error or None."""
    raised = None
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = entry.make(folder) if entry.make.__code__.co_argcount else entry.make()
            found = flattened(result, folder)
        except Exception as error:             # a failure is a result as well: it must stay the same
            raised = cleaned(f"{type(error).__name__}: {error}", folder)
            found = {"numbers": {}, "texts": {"raised": raised}}
        said = {cleaned(f"{w.category.__name__}: {w.message}", folder)
                for w in heard if issubclass(w.category, fp.ResolutionWarning)}
    if said:
        found["texts"]["warnings"] = "\n".join(sorted(said))
    return found, raised


# -------------------------------------------------------------------------------------------------- the files
def save(path, entries):
    """Write the entries as JSON; floats are written so that they read back to the same bits."""
    plain = {}
    for label, entry in entries.items():
        arrays = {name: {"shape": list(a.shape), "kind": "f" if a.dtype.kind == "f" else "i",
                         "values": a.ravel().tolist()} for name, a in entry["numbers"].items()}
        plain[label] = {"numbers": arrays, "texts": entry["texts"]}
    with open(path, "w") as file:
        json.dump({"format": FORMAT, "calls": plain}, file)


def load(path):
    """The entries of a file that `save` wrote."""
    with open(path) as file:
        stored = json.load(file)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ValueError(f"{path} is no file of public calls of format {FORMAT}; write one with --save.")
    entries = {}
    for label, entry in stored["calls"].items():
        arrays = {name: np.array(a["values"], float if a["kind"] == "f" else None).reshape(a["shape"])
                  for name, a in entry["numbers"].items()}
        entries[label] = {"numbers": arrays, "texts": entry["texts"]}
    return entries


# ------------------------------------------------------------------------------------------------- comparison
@dataclasses.dataclass(frozen=True)
class Difference:
    """One call before and after.

    Attributes
    ----------
    label : str
    is_same : bool
        Whether all numbers have the same bits and all texts the same letters.
    relative : float
        Largest |a - b| / max(|a|, |b|), number by number; inf where shapes or infinities differ, or one of
        the two is missing.
    over_error : float or None
        Largest |a - b| over the stated error, of the numbers that differ and state one.
    passes : bool
    notes : tuple of str
        What differs, and why that may be.
    """
    label: str
    is_same: bool
    relative: float
    over_error: float | None
    passes: bool
    notes: tuple = ()


def compared(before, after):
    """A `Difference` for each call of `before`, and for those of `after` that are new."""
    rows = []
    for label, old in before.items():
        if label in after:
            rows.append(_difference(CALLS.get(label, Call(label, None)), old, after[label]))
        else:
            rows.append(Difference(label, False, math.inf, None, False, ("the call is not made any more",)))
    return rows + [Difference(label, True, 0.0, None, True, ("a new call",))
                   for label in after if label not in before]


def _difference(rule, old, new):
    raised = new["texts"].get("raised")
    if raised is not None and "raised" not in old["texts"]:
        return Difference(rule.label, False, math.inf, None, False, (f"it fails now: {raised}",))
    relative, over_error, free, failed, notes, has_moved = 0.0, None, set(), [], [], False
    for path, a in old["numbers"].items():
        b = new["numbers"].get(path)
        if b is not None and same_bits(a, b):
            continue
        largest = relative_difference(a, b)
        relative = max(relative, largest)
        ratio = _over_stated_error(path, old, a, b)
        if ratio is not None:
            over_error = max(over_error or 0.0, ratio)
        if rule.within_error and ratio is not None and ratio <= 1:
            free.update(_beside(path, name) for name in FOLLOWS)
            has_moved = True
        elif 0 < largest <= rule.allowance:
            has_moved = True
        else:
            failed.append((path, f"{path or 'the number'}: {_told(a, b, largest)}"))
    for path, a in old["texts"].items():
        b = new["texts"].get(path)
        if a != b:
            failed.append((path, f"{path or 'the text'}: {_told_text(a, b)}"))
    added = [path for kind in ("numbers", "texts") for path in new[kind] if path not in old[kind]]
    if "warnings" in added:
        failed.append(("warnings", f"it warns now: {new['texts']['warnings']}"))
    elif added:
        notes.append(f"{len(added)} entries are new, such as {added[0]}")
    is_same = not failed and not has_moved
    # with numbers that may move, their printed forms may as well
    is_free = lambda path: path in free or (has_moved and path.rpartition(".")[2] == "repr")
    judged = [note for path, note in failed if not is_free(path)]
    if rule.changes and not is_same:
        return Difference(rule.label, False, relative, over_error, True,
                          (f"meant to change: {rule.changes}", *notes))
    return Difference(rule.label, is_same, relative, over_error, not judged, (*judged, *notes))


def same_bits(a, b):
    """Whether two arrays have one shape and the same bits; NaN is NaN, and 0.0 is not -0.0."""
    if a.shape != b.shape:
        return False
    a, b = np.asarray(a, float), np.asarray(b, float)
    return bool(((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))).all())


def relative_difference(a, b):
    """Largest |a - b| / max(|a|, |b|); inf where there is no such number."""
    if b is None or a.shape != b.shape:
        return math.inf
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    if (~(np.isfinite(a) & np.isfinite(b)) & ~equal).any():
        return math.inf
    a, b = a[~equal], b[~equal]
    with np.errstate(over="ignore"):
        return float((np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))).max(initial=0.0))


def _over_stated_error(path, old, a, b):
    """Largest difference over the error that stands beside the number; None where none is stated."""
    error = old["numbers"].get(_beside(path, STATED.get(path.rpartition(".")[2], "")))
    if error is None or b is None or a.shape != b.shape or error.shape not in ((), a.shape):
        return None
    a, b, error = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float), np.asarray(error, float))
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(all="ignore"):
        ratio = np.abs(a - b)[differs] / error[differs]
    return float(np.where(np.isnan(ratio), math.inf, ratio).max(initial=0.0))


def _beside(path, name):
    return f"{path.rpartition('.')[0]}.{name}" if "." in path else name


def _told(a, b, largest):
    if b is None:
        return "is missing"
    if a.shape != b.shape:
        return f"had shape {a.shape}, has {b.shape}"
    if a.size == 1:
        return f"was {a.ravel()[0]!r}, is {b.ravel()[0]!r}"
    n = int((np.asarray(a, float).ravel() != np.asarray(b, float).ravel()).sum())
    return f"{n} of {a.size} numbers differ, by {largest:.2g} at most"


def _told_text(a, b, length=70):
    if b is None:
        return "is missing"
    start = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    cut = slice(max(0, start - 20), start + length)
    return f"was {a[cut]!r}, is {b[cut]!r}"


def table(rows):
    """The comparison as a text: one line a call, what differs below it, and a last line that counts."""
    width = max(len("call"), *(len(r.label) for r in rows))
    lines = [f"{'call':{width}}  same bits  relative  over error  verdict", "-" * (width + 42)]
    for r in rows:
        over = "-" if r.over_error is None else f"{r.over_error:.1e}"
        verdict = "same" if r.is_same else "may differ" if r.passes else "DIFFERS"
        bits = "yes" if r.is_same else "no"
        lines.append(f"{r.label:{width}}  {bits:>9}  {r.relative:>8.1e}  {over:>10}  {verdict}")
        lines += [f"    {note}" for note in r.notes[:SHOWN]]
        if len(r.notes) > SHOWN:
            lines.append(f"    and {len(r.notes) - SHOWN} more")
    same, bad = sum(r.is_same for r in rows), sum(not r.passes for r in rows)
    may = len(rows) - same - bad
    lines.append(f"{len(rows)} calls: {same} with the same bits, {may} that may differ, {bad} that differ")
    return "\n".join(lines)


def main(argv=None):
    """Record, compare, or both. Returns 0, 1 when something differs or a call failed, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="public_calls", description=__doc__.splitlines()[0])
    parser.add_argument("--save", metavar="FILE", help="write the results to this JSON file")
    parser.add_argument("--compare", metavar="FILE", help="compare with the results of an earlier version")
    parser.add_argument("--after", metavar="FILE", help="compare this file and run nothing")
    parser.add_argument("--only", metavar="WORDS", default="",
                        help="only the calls whose label contains these words")
    parser.add_argument("--list", action="store_true", help="print the labels and run nothing")
    options = parser.parse_args(argv)
    chosen = [label for label in CALLS if options.only in label]
    if options.list:
        print("\n".join(chosen))
        return 0
    try:
        before = load(options.compare) if options.compare else None
        after = load(options.after) if options.after else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"public_calls: {error}", file=sys.stderr)
        return 2
    if after is not None and before is None:
        print("public_calls: --after wants --compare FILE, the results of the version before.",
              file=sys.stderr)
        return 2
    surprises = []
    if after is None:
        start, say = time.process_time(), lambda text: print(text, end="", file=sys.stderr, flush=True)
        after, surprises = recorded(chosen, say)
        spent = time.process_time() - start
        say(f"{len(chosen)} calls of {fp.__file__} in {spent:.1f} s of processor time\n")
    if options.save:
        save(options.save, after)
    for text in surprises:
        print(f"unexpected: {text}", file=sys.stderr)
    if before is None:
        return 1 if surprises else 0
    rows = compared({label: entry for label, entry in before.items() if options.only in label},
                    {label: entry for label, entry in after.items() if options.only in label})
    print(table(rows) if rows else "no call has such a label")
    return 1 if surprises or not rows or any(not r.passes for r in rows) else 0


# ------------------------------------------------------------------------------------ pieces that calls share
LEFT, RIGHT = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 0.9)
LEFT_2D, RIGHT_2D = fp.HalfSpace([-1, 0], 0.95), fp.HalfSpace([1, 0], 0.9)
LEFT_DISC, RIGHT_DISC = fp.Ball([-1, 0], 0.25), fp.Ball([1, 0], 0.3)
LEFT_BALL, RIGHT_BALL = fp.Ball([-1.03, 0, 0], 0.35), fp.Ball([0.96, 0, 0], 0.35)
BOX_1D, BOX_2D, BOX_3D = [(-2, 2)], [(-2, 2), (-1.5, 1.7)], [(-1.8, 1.8), (-1.2, 1.2), (-1.2, 1.2)]
RING = [(0, 2 * np.pi)]
TENSOR = [[1.0, 0.4], [0.4, 0.7]]


@functools.cache
def line():
    return fp.Potential("(x**2 - 1)**2 + a*x", a=0.3)


@functools.cache
def plane():
    return fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2*(1 + 0.3*x)")


@functools.cache
def space():
    return fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2*(1 + 0.3*x) + 1.2*z**2 + 0.3*y*z")


@functools.cache
def torus():
    return fp.Potential("cos(x) + cos(y) + 0.3*sin(x + y)")


def bowl_value(points):
    """Value of a black box, (n, 2) -> (n,)."""
    return (points[:, 0] ** 2 - 1) ** 2 + 0.5 * points[:, 1] ** 2


def bowl_gradient(points):
    """Gradient of the same, (n, 2) -> (n, 2)."""
    return np.column_stack([4 * points[:, 0] * (points[:, 0] ** 2 - 1), points[:, 1]])


def black_box():
    return fp.Potential.black_box(bowl_value, bowl_gradient, ndim=2)


def on_line(n=60, theta=0.1, **options):
    return fp.FokkerPlanck(line(), theta, fp.Grid(BOX_1D, n), **options)


def on_plane(n=32, theta=0.15, mask=None, **options):
    return fp.FokkerPlanck(plane(), theta, fp.Grid(BOX_2D, (n, n - 4), mask=mask), **options)


def in_space(theta=0.2, **options):
    return fp.FokkerPlanck(space(), theta, fp.Grid(BOX_3D, (16, 10, 12)), **options)


def on_torus(theta=0.4, n=24, **options):
    return fp.FokkerPlanck(torus(), theta, fp.Grid(RING * 2, (n, n), periodic=True), **options)


def chambers(points):
    """Mask of two chambers and a door between them."""
    return (np.abs(points[..., 0]) > 0.3) | (np.abs(points[..., 1]) < 0.6)


def quick_mobility(points):
    """A mobility that is a function of the place, (..., 2) -> (..., 2)."""
    return np.stack([1 + 0.3 * np.sin(points[..., 0]), 1.5 + 0.2 * points[..., 1] ** 2], axis=-1)


def spread(n, bounds, seed=7):
    """n fixed points in a box."""
    low, high = np.array(bounds, float).T
    return low + (high - low) * np.random.default_rng(seed).random((n, len(low)))


def derivatives(V, points):
    """Value, gradient and Hessian of a potential."""
    return {"value": V(points), "gradient": V.gradient(points), "hessian": V.hessian(points), "repr": repr(V)}


def at(field, *points):
    """A field and what it says at points."""
    return [field, *(field.at(p) for p in points)]


def with_bracket(estimate):
    """A capacity or rate with its two bounds."""
    return [estimate, estimate.inputs["bracket"]]


def command(*argv):
    """Exit code and output of one line of the shell; a JSON output is read."""
    from fpkit.cli import main as fpkit

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = fpkit([str(a) for a in argv])
        except SystemExit as leaving:
            code = leaving.code
    text = out.getvalue()
    return {"code": code, "out": json.loads(text) if "--json" in argv and text else text,
            "err": err.getvalue()}


def drawn(figure):
    """What a figure shows: texts, lines, images and collections, axis by axis."""
    from matplotlib import pyplot

    found = []
    for axes in figure.axes:
        legend = axes.get_legend()
        found.append({"title": axes.get_title(), "labels": [axes.get_xlabel(), axes.get_ylabel()],
                      "limits": [*axes.get_xlim(), *axes.get_ylim()],
                      "lines": [np.asarray(a.get_xydata(), float) for a in axes.lines],
                      "images": [np.ma.filled(a.get_array(), np.nan) for a in axes.images],
                      "texts": [a.get_text() for a in axes.texts], "collections": len(axes.collections),
                      "legend": [] if legend is None else [t.get_text() for t in legend.get_texts()]})
    pyplot.close(figure)
    return found


@functools.cache
def data_folder():
    """Folder of the landscapes and data sets that come with fpkit."""
    from fpkit.cli import demo_file

    return Path(demo_file()).parent


def two_wells(folder):
    """A small landscape of two wells, exported from a loss of three parameters."""
    path = Path(folder) / "two_wells.h5"
    plane = fp.Plane.from_directions(np.zeros(3), [1.0, 0.0, 0.0], [0.0, 1.0, 1.0], orthonormal=False)
    steps = np.linspace(0, 1, 6)[:, None] * [1.1, 0.3, 0.2] + [-1.0, 0.1, 0.0]
    return fp.export_landscape(path, two_wells_loss, plane, x=(-1.5, 1.5, 25), y=(-1, 1, 17),
                               trajectory=steps, created_utc=None)


def two_wells_loss(w):
    """Training and test loss of three parameters."""
    risk = (w[0] ** 2 - 1) ** 2 + 0.2 * w[0] + 0.5 * w[1] ** 2 + 0.5 * w[2] ** 2
    return {"train_loss": risk, "test_loss": risk + 0.1 * w[0]}


# ------------------------------------------------------------------------------------------------- potentials
call("value, gradient and Hessian of a string in one dimension",
     lambda: derivatives(line(), spread(9, BOX_1D)))
call("value, gradient and Hessian of a string in the plane", lambda: derivatives(plane(), spread(9, BOX_2D)))
call("value, gradient and Hessian of a string in space", lambda: derivatives(space(), spread(9, BOX_3D)))
call("a string with every function that strings know", lambda: derivatives(
        fp.Potential("exp(-x**2) + log(2 + x**2) + sqrt(1 + y**2) + sin(x)*cos(y) + tan(0.3*x) + sinh(0.2*y) "
                     "+ cosh(x) + tanh(y) + abs(x) + where(x > y, x, y)**2 + minimum(x, y) + maximum(x, "
                     "0.5*y) + pi*x + e*y + x**2.5 + b**x", b=1.5), spread(11, [(0.1, 2), (-1, 1)])))


@call("a potential from a function of coordinates with a parameter")
def _():
    V = fp.Potential(lambda x, y, a=0.5: (x**2 - 1) ** 2 + a * y**2 + np.where(x > 0, x, 0.0) ** 3)
    return [derivatives(W, spread(9, BOX_2D)) for W in (V, V.with_params(a=2.0))] + [V.params]


@call("a potential from a function of one array in five dimensions")
def _():
    V = fp.Potential(lambda x: sum((x[k + 1] - x[k] ** 2) ** 2 for k in range(4)) + x[0] ** 4, ndim=5)
    return derivatives(V, spread(7, [(-1, 1)] * 5))


@call("sums, tilts and confinements of potentials")
def _():
    V = 2.0 * plane() + fp.Potential("sin(x*y)") - 1.5
    return [derivatives(W, spread(7, BOX_2D))
            for W in (V, plane().tilted([0.3, -0.2]), plane().confined(0.5, [0.1, 0.2]), -1 * plane())]


@call("a compiled potential with control flow and no gradient")
def _():
    def value(x, a):
        total = 0.0
        for k in range(2):
            if x[k] > 0:
                total += a * x[k] ** 2
            else:
                total += x[k] ** 4
        return total
    return derivatives(fp.Potential.compiled(value, ndim=2, a=1.5), spread(7, BOX_2D))


@call("a black box with a gradient and one of single points without")
def _():
    single = fp.Potential.black_box(lambda x: float(np.sum(x**4)), ndim=3, batched=False)
    return derivatives(black_box(), spread(7, BOX_2D)), derivatives(single, spread(5, BOX_3D))


@call("samples on a line as a potential")
def _():
    x = np.linspace(-2, 2, 41)
    V = fp.GridPotential([x], (x**2 - 1) ** 2)
    return derivatives(V, spread(15, [(-2.1, 2.1)])), V.bounds


@call("samples on a plane with missing ones as a potential")
def _():
    x, y = np.linspace(-2, 2, 31), np.linspace(-1.5, 1.5, 25)
    values = (x[:, None] ** 2 - 1) ** 2 + y**2 + 0.3 * x[:, None] * y
    values[20:24, 10:13] = np.nan
    V = fp.GridPotential([x, y], values)
    return derivatives(V, spread(15, BOX_2D)), V.domain(spread(40, BOX_2D))


@call("samples in space as a potential")
def _():
    x, y, z = np.linspace(-1, 1, 13), np.linspace(0, 2, 11), np.linspace(-1, 1, 9)
    return derivatives(fp.GridPotential([x, y, z], np.sin(x)[:, None, None] + y[:, None] ** 2 * z),
                       spread(9, [(-1, 1), (0, 2), (-1, 1)]))


@call("what every catalogue potential knows of itself")
def _():
    known = {}
    for name, V in fp.catalogue.all().items():
        known[name] = {"minima": V.minima, "saddles": V.saddles, "barriers": V.barriers, "box": V.box,
                       "temperatures": V.temperatures, "periodic": V.periodic_axes, "start": V.start,
                       "complete": V.facts_complete, "note": V.facts_note, "goal": V.goal, "params": V.params}
    return known


@call("values and derivatives of every catalogue potential")
def _():
    return {name: derivatives(V, spread(3, V.box)) for name, V in fp.catalogue.all().items() if V.ndim <= 3}


call("catalogue facts that follow the parameters", lambda: [
    [V.minima, V.saddles, V.barriers]
    for V in (fp.catalogue.double_well(barrier=2.0), fp.catalogue.tilted_double_well(),
              fp.catalogue.get("three_hole"))])
call("wells of a string in a box", lambda: fp.find_wells(plane(), BOX_2D))
call("wells on the walls of a box",
     lambda: fp.find_wells(fp.Potential("x*y + 0.1*x**2"), [(-1, 1), (-1, 1)], walls=True))
call("stationary points of Mueller and Brown", lambda: fp.critical_points(fp.catalogue.mueller_brown()))
call("stationary points on a torus", lambda: fp.critical_points(torus(), RING * 2, periodic=True))
call("stationary points of a black box", lambda: fp.critical_points(black_box(), BOX_2D))


@call("the minimum-energy path of Mueller and Brown")
def _():
    V = fp.catalogue.mueller_brown()
    path = fp.minimum_energy_path(V, V.minima[0], V.minima[1])
    return path, path.barrier


@call("regions, their combinations and distances")
def _():
    V, points = plane(), spread(30, BOX_2D)
    made = [fp.Ball([0, 0], 0.7), fp.HalfSpace([1, 2], 0.3), fp.Box([(-1, 0.5), (0, 1)]),
            LEFT_DISC | RIGHT_DISC, ~LEFT_DISC & RIGHT_2D,
            fp.Sublevel(V, -0.1), fp.Sublevel(V, 0.4, around=[-1, 0]), fp.Basin(V, [1, 0])]
    distances = [R.signed_distance(points) for R in made[:5]]
    return [[R.contains(points) for R in made], distances, [R.to_dict() for R in made[:5]],
            [repr(R) for R in made]]


@call("grids, their volumes, refinements and masks")
def _():
    uneven = fp.Grid.from_edges([np.linspace(-1, 1, 9) ** 3, [0.0, 0.1, 0.4, 1.0]])
    made = [fp.Grid(BOX_2D, (6, 5), mask=chambers), uneven, fp.Grid(RING, 8, periodic=True).refined(2)]
    return [[g.volumes, g.points, g.inside, repr(g)] for g in made] + [made[0].locate([0.6, 0.2])]


# -------------------------------------------------------------------------------------------------- densities
call("the Gibbs density in one dimension",
     lambda: [on_line().gibbs, on_line().log_partition, on_line().cell_log_mass])
call("the Gibbs density in the plane", lambda: [on_plane().gibbs, on_plane().log_partition])
call("the Gibbs density in space", lambda: [in_space().gibbs, in_space().log_partition])
call("the Gibbs density behind a mask and at low temperature",
     lambda: [on_plane(theta=0.004, mask=chambers).gibbs, on_plane(theta=0.004).cell_log_mass])


@call("the Gibbs density of samples with missing ones")
def _():
    x, y = np.linspace(-2, 2, 31), np.linspace(-1.5, 1.5, 25)
    values = (x[:, None] ** 2 - 1) ** 2 + y**2
    values[20:24, 10:13] = np.nan
    return fp.FokkerPlanck(fp.GridPotential([x, y], values), 0.2,
                           fp.Grid([(-2, 2), (-1.5, 1.5)], (24, 20))).gibbs


call("the Gibbs density of a black box",
     lambda: fp.FokkerPlanck(black_box(), 0.2, fp.Grid(BOX_2D, (16, 14))).gibbs)
call("probabilities of regions in one, two and three dimensions", lambda: [
    on_line().probability(RIGHT), on_line(theta=0.002).probability(RIGHT),
    on_plane().probability(LEFT_DISC | RIGHT_2D),
    on_plane().probability(fp.Ball([0.9, 0.2], 0.5), refine=True), in_space().probability(RIGHT_BALL)])
call("the generator in one dimension", lambda: on_line(40).generator)
call("the generator in the plane", lambda: on_plane(12).generator)
call("the generator in space", lambda: fp.FokkerPlanck(space(), 0.2, fp.Grid(BOX_3D, (6, 5, 4))).generator)
call("the generator behind a mask, with a full mobility, absorbed in a disc", lambda: [
    on_plane(12, mask=chambers).generator, on_plane(12, mobility=TENSOR).generator,
    on_plane(12, absorbing=RIGHT_DISC).generator])
call("masses and conductances of the chain in one dimension",
     lambda: [on_line().log_mass, on_line().log_conductance, on_line().edges])
call("masses and conductances of the chain in the plane",
     lambda: [on_plane().log_mass, on_plane().log_conductance, on_plane().edges])
call("masses and conductances of the chain in space",
     lambda: [in_space().log_mass, in_space().log_conductance, in_space().edges])
call("masses and conductances of the chain with mobilities", lambda: [
    [D.log_mass, D.log_conductance, D.edges]
    for D in (on_plane(16, mobility=m) for m in (2.0, [1.0, 3.0], TENSOR, quick_mobility))])
call("masses and conductances of the chain on a torus and behind a mask", lambda: [
    [D.log_mass, D.log_conductance, D.edges, D.components]
    for D in (on_torus(), on_plane(20, mask=lambda p: np.abs(p[..., 0]) > 0.2))])
call("killing of the chain by an absorbing disc and an absorbing wall", lambda: [
    [D.log_mass, D.log_conductance, D.ground]
    for D in (on_plane(20, absorbing=RIGHT_DISC), on_line(40, absorbing=fp.HalfSpace([1], 2.0)))])
call("masses and conductances of the chain by named schemes", lambda: [
    [D.log_mass, D.log_conductance] for s in ("scharfetter-gummel", "midpoint/cell", "quadrature/node")
    for D in [on_plane(12, scheme=s)]])
TIMES = [0.05, 1.0, 100.0, 1e5]
call("evolution from a point in one dimension", lambda: on_line().evolve([-1.0], TIMES))
call("evolution from a point in the plane", lambda: on_plane(24).evolve([-1.0, 0.0], TIMES))
call("evolution from a Gaussian in space",
     lambda: fp.FokkerPlanck(space(), 0.3, fp.Grid(BOX_3D, (10, 8, 8))).evolve(([-1, 0, 0], 0.4), [0.1, 10]))
call("positive evolution in the plane", lambda: on_plane(20).evolve([-1.0, 0.0], [0.1, 10.0], positive=True))
call("evolution from an array and a function, with a tolerance and given steps", lambda: [
    on_line(40).evolve(np.linspace(0, 1, 40), [0.3], tol=1e-4),
    on_line(40).evolve(lambda p: np.exp(-p[..., 0] ** 2), [0.3], n_steps=12)])
call("evolution at a temperature that moves",
     lambda: on_line(40, theta=lambda t: 0.1 + 0.2 * np.exp(-t)).evolve(([-1.0], 0.3), [0.5, 2.0]))
call("evolution in a potential that moves", lambda: fp.FokkerPlanck(
    fp.Potential("0.5*(x - sin(t))**2", t=0.0), 0.2, fp.Grid([(-3, 3)], 40)).evolve(([0.0], 0.4), [0.5, 1.5]))
call("evolution behind a mask", lambda: on_plane(24, mask=chambers).evolve([-1.0, 0.0], [0.2, 50.0]))
call("evolution with a scalar mobility",
     lambda: on_plane(20, mobility=3.0).evolve(([-1, 0], 0.4), [0.2, 20.0]))
call("evolution with a diagonal mobility",
     lambda: on_plane(20, mobility=[1.0, 3.0]).evolve(([-1, 0], 0.4), [0.2, 20.0]))
call("evolution with a full mobility",
     lambda: on_plane(20, mobility=TENSOR).evolve(([-1, 0], 0.4), [0.2, 20.0]))
call("evolution with a mobility that is a function",
     lambda: on_plane(20, mobility=quick_mobility).evolve(([-1, 0], 0.4), [0.2, 20.0]))
call("evolution into an absorbing disc",
     lambda: on_plane(20, theta=0.3, absorbing=RIGHT_DISC).evolve(([-1, 0], 0.4), [0.5, 50.0]))
call("evolution towards an absorbing wall",
     lambda: on_line(40, absorbing=fp.HalfSpace([1], 2.0)).evolve([-1.0], [0.5, 50.0]))
call("evolution on a torus and a ring", lambda: [
    on_torus().evolve(([2.0, 2.0], 0.5), [0.3, 30.0]),
    fp.FokkerPlanck(fp.Potential("cos(x)"), 0.3, fp.Grid(RING, 32, periodic=True)).evolve([1.0], [0.5, 20])])
call("evolution of a black box and by a named scheme", lambda: [
    fp.FokkerPlanck(black_box(), 0.3, fp.Grid(BOX_2D, (16, 14))).evolve(([-1, 0], 0.4), [0.3]),
    on_plane(16, theta=0.3, scheme="scharfetter-gummel").evolve(([-1, 0], 0.4), [0.3, 30.0])])
call("evolution on uneven axes", lambda: fp.FokkerPlanck(plane(), 0.2, fp.Grid.from_edges(
    [np.sinh(np.linspace(-1.5, 1.5, 25)), np.linspace(-1.5, 1.7, 17)])).evolve(([-1, 0], 0.3), [0.5, 20.0]))


@call("an evolution that was saved and read again")
def _(folder):
    path = os.path.join(folder, "evolution.h5")
    on_line(30).evolve([-1.0], [0.5, 50.0]).save(path)
    again = fp.Evolution.load(path)
    return again, again.error, again.field(-1), again.probabilities(0)


@call("currents, free energy and distances of a density")
def _():
    D = on_plane(20)
    u = D.evolve(([-1, 0], 0.4), [0.3]).field(-1)
    flow = D.currents(u)
    return [flow.flow, flow.divergence, flow.vector, D.free_energy(u),
            *(D.distance(u, kind) for kind in ("l1", "tv", "chi2", "entropy"))]


# ---------------------------------------------------------------------------------- spectra and first passage
call("the spectrum of an interval", lambda: on_line().spectrum(5))
call("the spectrum of an interval at 300 theta", lambda: on_line(theta=0.003).spectrum(3))
call("the spectrum of the chain of an interval", lambda: on_line().spectrum(4, exact=False))
call("the spectrum in the plane", lambda: on_plane().spectrum(5))
call("the spectrum in the plane, refined", lambda: on_plane(20).spectrum(3, refine=True))
call("the spectrum in the plane at low temperature", lambda: on_plane(theta=0.01).spectrum(2))
call("the spectrum in space", lambda: in_space().spectrum(2))
call("the spectrum on a torus and with absorption",
     lambda: [on_torus().spectrum(3), on_plane(20, absorbing=RIGHT_DISC).spectrum(2)])
call("mean first passage times in one dimension", lambda: at(on_line().mfpt(RIGHT), [-1.0], [0.3]))
call("mean first passage times of the chain in one dimension",
     lambda: at(on_line().mfpt(RIGHT, exact=False), [-1.0], [0.3]))
call("mean first passage times in the plane",
     lambda: at(on_plane().mfpt(RIGHT_DISC), [-1.0, 0.0], [0.3, 0.4]))
call("mean first passage times in the plane, refined",
     lambda: at(on_plane(20).mfpt(RIGHT_DISC, refine=True), [-1.0, 0.0]))
call("mean first passage times in space", lambda: at(in_space().mfpt(RIGHT_BALL), [-1.0, 0.0, 0.0]))
call("the variance of a first passage time", lambda: at(on_line().mfpt_variance(RIGHT), [-1.0]))
call("committors in one dimension", lambda: [*at(on_line().committor(LEFT, RIGHT), [0.0]),
                                             *at(on_line().committor(LEFT, RIGHT, exact=False), [0.0])])
call("committors in the plane",
     lambda: at(on_plane().committor(LEFT_DISC, RIGHT_DISC), [0.0, 0.0], [0.2, -0.5]))
call("committors in space", lambda: at(in_space().committor(LEFT_BALL, RIGHT_BALL), [0.0, 0.1, 0.0]))
call("capacities, fluxes and rates in one dimension", lambda: [
    [getattr(D, name)(LEFT, RIGHT) for name in ("capacity", "reactive_flux", "rate")]
    for D in (on_line(), on_line(theta=0.001))])
call("capacities, fluxes and rates of the chain in one dimension", lambda: [
    getattr(on_line(), name)(LEFT, RIGHT, exact=False) for name in ("capacity", "reactive_flux", "rate")])
call("capacities, fluxes and rates in the plane",
     lambda: [getattr(on_plane(), name)(LEFT_2D, RIGHT_2D) for name in ("capacity", "reactive_flux", "rate")])
call("the capacity and the rate in the plane, refined", lambda: [
    on_plane(20).capacity(LEFT_DISC, RIGHT_DISC, refine=True),
    on_plane(20).rate(LEFT_DISC, RIGHT_DISC, refine=True)])
call("the rate in space", lambda: [in_space().rate(LEFT_BALL, RIGHT_BALL),
                                   in_space().capacity(LEFT_BALL, RIGHT_BALL)])
call("the capacity in the plane between two bounds",
     lambda: with_bracket(on_plane(24).capacity(LEFT_2D, RIGHT_2D, bracket=True)))
call("the rate and the flux in the plane between two bounds",
     lambda: [*with_bracket(on_plane(24).rate(LEFT_2D, RIGHT_2D, bracket=True)),
              *with_bracket(on_plane(24).reactive_flux(LEFT_2D, RIGHT_2D, bracket=True))])
call("rates in the plane at 600 theta", lambda: [on_plane(20, theta=0.002).rate(LEFT_2D, RIGHT_2D),
                                                 on_plane(20, theta=0.002).exit_rate(RIGHT_2D)])
call("rates in the plane with mobilities", lambda: [on_plane(20, mobility=m).rate(LEFT_2D, RIGHT_2D)
                                                    for m in (2.0, [1.0, 3.0], TENSOR, quick_mobility)])
call("rates on a torus, behind a mask and of a black box", lambda: [
    on_torus().rate(fp.Ball([np.pi, np.pi], 0.6), fp.Ball([1, 1], 0.6)),
    on_plane(24, mask=chambers).rate(LEFT_DISC, RIGHT_DISC),
    fp.FokkerPlanck(black_box(), 0.2, fp.Grid(BOX_2D, (20, 18))).rate(LEFT_2D, RIGHT_2D)])
call("exit rates in one dimension",
     lambda: [on_line().exit_rate(RIGHT), on_line(theta=0.002).exit_rate(RIGHT),
              on_line().exit_rate(RIGHT, exact=False)])
call("exit rates in the plane and in space", lambda: [
    on_plane().exit_rate(RIGHT_DISC), on_plane(20).exit_rate(RIGHT_DISC, refine=True),
    in_space().exit_rate(RIGHT_BALL)])


@call("the quasi-stationary state in one dimension")
def _():
    Q = on_line().quasi_stationary(RIGHT | fp.HalfSpace([-1], 1.6))
    return Q, Q.mean_exit_time, Q.exit_probability(RIGHT)


@call("the quasi-stationary state in the plane")
def _():
    Q = on_plane().quasi_stationary(RIGHT_DISC)
    return Q, Q.mean_exit_time, Q.exit_probability(fp.HalfSpace([0, 1], 0.0))


@call("effective diffusion and mean velocity on a ring")
def _():
    D = fp.FokkerPlanck(fp.Potential("cos(x) + 0.3*sin(2*x)"), 0.5, fp.Grid(RING, 32, periodic=True))
    return [D.effective_diffusion(), D.effective_diffusion(exact=False), D.effective_diffusion(force=0.4),
            D.velocity(0.4)]


call("effective diffusion on a torus",
     lambda: [on_torus().effective_diffusion(), on_torus(mobility=[1.0, 2.0]).effective_diffusion()])
call("refinement tables in one dimension", lambda: [
    fp.refinement_table(line(), 0.2, fp.Grid(BOX_1D, 32), q, ["recommended", "scharfetter-gummel"])
    for q in ("transient", "stationary", "mean energy", "gap")])
call("a refinement table in the plane",
     lambda: fp.refinement_table(plane(), 0.3, fp.Grid(BOX_2D, (16, 16)), "stationary",
                                 ["recommended", "midpoint/cell"]))

# ------------------------------------------------------------------------------------------------------ paths
PATHS_2D = dict(theta=0.2, x0=[-1.0, 0.0], dt=0.01, n_steps=120, n_paths=12, save_every=60, seed=3)
call("paths by Euler and Maruyama", lambda: fp.simulate(plane(), **PATHS_2D))
call("paths by Leimkuhler and Matthews, Heun and MALA", lambda: [
    fp.simulate(plane(), **PATHS_2D, scheme=s) for s in ("leimkuhler-matthews", "heun", "mala")])
call("paths by BAOAB, with velocities drawn and given", lambda: [
    fp.simulate(plane(), **PATHS_2D, scheme="baoab", friction=0.5),
    fp.simulate(plane(), **PATHS_2D, scheme="baoab", friction=20.0, velocity=[0.3, -0.1])])
call("paths in single precision and with three-point noise", lambda: [
    fp.simulate(plane(), **PATHS_2D, precision="single"),
    fp.simulate(plane(), **PATHS_2D, scheme="leimkuhler-matthews", noise="three-point")])
call("paths between mirrors and on a periodic axis", lambda: [
    fp.simulate(plane(), **PATHS_2D, walls=[(-1.2, 0.2), (-0.3, 0.3)]),
    fp.simulate(torus(), **{**PATHS_2D, "theta": 2.0},
                walls=fp.Walls([(-np.pi, np.pi), (-1, 1)], kind=["periodic", "reflecting"]))])
call("paths until an absorbing wall", lambda: fp.simulate(plane(), **PATHS_2D, walls=fp.Walls(
    [(-1.3, 0.0), (-0.5, 0.5)], kind=["absorbing", ("reflecting", "absorbing")])))
call("paths with a constant mobility",
     lambda: [fp.simulate(plane(), **PATHS_2D, mobility=m) for m in (2.0, [1.0, 3.0], TENSOR)])
call("paths with a mobility that depends on the place", lambda: [
    fp.simulate(plane(), **PATHS_2D, mobility=m)
    for m in ("1 + 0.3*sin(x)", fp.Potential("1 + 0.1*x**2 + 0*y"), quick_mobility,
              (lambda p: 1 + p[:, 0] ** 2, lambda p: np.column_stack([2 * p[:, 0], 0 * p[:, 1]])))])
call("paths with schedules of temperature, time step and potential", lambda: [
    fp.simulate(plane(), **{**PATHS_2D, "theta": lambda t: 0.1 + 0.2 * np.exp(-t)}),
    fp.simulate(plane(), **{**PATHS_2D, "dt": np.linspace(0.005, 0.02, 120)}),
    fp.simulate(plane(), **{**PATHS_2D, "dt": lambda k: 0.01 / (1 + 0.01 * k)}),
    fp.simulate(fp.Potential("0.5*(x - sin(t))**2", t=0.0), **{**PATHS_2D, "x0": [0.0], "scheme": "heun"})])
call("paths without noise, of a black box and of samples",
     lambda: [fp.simulate(plane(), **{**PATHS_2D, "theta": 0.0}), fp.simulate(black_box(), **PATHS_2D),
              fp.simulate(fp.GridPotential([np.linspace(-2, 2, 21)], (np.linspace(-2, 2, 21) ** 2 - 1) ** 2),
                          **{**PATHS_2D, "x0": [-1.0]})])
call("paths of a chain of ten coordinates", lambda: [
    fp.simulate(fp.catalogue.quartic_chain(), 0.2, np.full(fp.catalogue.quartic_chain().ndim, 0.5), dt=0.01,
                n_steps=50, n_paths=5, seed=2, scheme=s)
    for s in ("euler-maruyama", "leimkuhler-matthews")])
SAMPLES = dict(theta=0.3, dt=0.05, n_steps=800, n_paths=40, seed=5)


@call("a sample with histogram, regions and observables")
def _():
    grid = fp.Grid(BOX_2D, (10, 8))
    stats = fp.sample(plane(), x0=[-1.0, 0.0], **SAMPLES, histogram=grid, walls=grid,
                      regions={"left": LEFT_2D, "right": RIGHT_2D},
                      observables={"radius": lambda p: np.hypot(p[:, 0], p[:, 1])})
    return stats, stats.compare(fp.FokkerPlanck(plane(), 0.3, grid).gibbs), stats.to_dict()


call("samples by every scheme", lambda: [
    fp.sample(line(), x0=[-1.0], **SAMPLES, scheme=s, friction=2.0 if s == "baoab" else None)
    for s in ("euler-maruyama", "heun", "mala", "baoab")])
call("a sample with a marginal histogram, a mobility and its own burn-in", lambda: fp.sample(
    space(), x0=[-1.0, 0.0, 0.0], **SAMPLES, histogram=fp.Grid([(-2, 2), (-1.5, 1.5)], (8, 6)),
    marginal=(0, 2), mobility=[1.0, 2.0, 0.5], burn_in=100, every=5))
call("a sample extrapolated in the time step, and one of a black box", lambda: [
    fp.sample(line(), x0=[-1.0], **SAMPLES, extrapolate=True),
    fp.sample(black_box(), x0=[-1.0, 0.0], **{**SAMPLES, "n_steps": 200})])


@call("a sample that was stopped at a checkpoint and resumed")
def _(folder):
    path = os.path.join(folder, "sample.h5")
    first = fp.sample(line(), x0=[-1.0], **{**SAMPLES, "n_steps": 400}, burn_in=100, checkpoint=path)
    return first, fp.sample(line(), x0=[-1.0], **SAMPLES, burn_in=100, checkpoint=path, resume=True)


call("the gradient flow of points, at given times and with a mobility", lambda: [
    fp.gradient_flow(plane(), [0.3, 1.0], 3.0),
    fp.gradient_flow(plane(), [[0.3, 1.0], [-0.2, -1.0]], [0.5, 2.0], mobility=TENSOR)])
call("the time of exit into a region", lambda: [
    t for tau in [fp.exit_time(line(), 0.3, [-1.0], RIGHT, dt=0.01, n_paths=200, seed=4)]
    for t in (tau, tau.rate, tau.survival([1.0, 10.0, 50.0]))])
call("the time of exit to one of two targets, extrapolated", lambda: fp.exit_time(
    plane(), 0.3, [0.0, 0.0], {"left": LEFT_DISC, "right": RIGHT_DISC}, dt=0.02, n_paths=150,
    extrapolate=True, walls=fp.Grid(BOX_2D, (8, 8))))
call("the time of exit, underdamped",
     lambda: fp.exit_time(line(), 0.3, [-1.0], RIGHT, dt=0.05, n_paths=100, scheme="baoab", friction=1.0))
call("the time of exit with censored paths, a mobility, and a sublevel set", lambda: [
    fp.exit_time(line(), 0.2, [-1.0], RIGHT, dt=0.02, n_paths=60, t_max=20.0),
    fp.exit_time(plane(), 0.3, [-1.0, 0.0], RIGHT_2D, 0.02, 60, mobility=TENSOR),
    fp.exit_time(plane(), 0.3, [0.9, 0.0], ~fp.Sublevel(plane(), 0.4, around=[1, 0]), dt=0.02, n_paths=30)])
call("multilevel splitting on a line", lambda: [
    t for tau in [fp.multilevel_splitting(line(), 0.12, fp.HalfSpace([-1], 0.9), RIGHT, 0.02, 40, 5,
                                          x0=[-1.0])] for t in (tau, tau.rate)])
call("multilevel splitting in the plane by a committor", lambda: fp.multilevel_splitting(
    plane(), 0.15, LEFT_DISC, RIGHT_DISC, 0.02, 30, 4,
    reaction_coordinate=on_plane(20).committor(LEFT_DISC, RIGHT_DISC)))
call("Fleming and Viot's particles on a line",
     lambda: fp.fleming_viot(line(), 0.3, RIGHT, [-1.0], dt=0.02, n_walkers=60, t=20.0, n_systems=4))
call("Fleming and Viot's particles with two targets, extrapolated", lambda: fp.fleming_viot(
    line(), 0.5, {"left": fp.HalfSpace([-1], 1.5), "right": RIGHT}, [-1.0], dt=0.02, n_walkers=40, t=8.0,
    n_systems=4, extrapolate=True))

# ------------------------------------------------------------------------------------------------------ rates
call("Eyring and Kramers in every order", lambda: [
    fp.eyring_kramers(V, V.minima[0], V.saddles[0], theta, order=order)
    for V in (fp.catalogue.double_well(), fp.catalogue.mueller_brown())
    for order in ("leading", "next", "resummed", "integral") for theta in V.temperatures[:1]])
call("Eyring and Kramers with a mobility, with friction, and over two saddles", lambda: [
    fp.eyring_kramers(V, V.minima[2], V.saddles[:2], 0.05, **more)
    for V in [fp.catalogue.three_hole()] for more in ({}, {"mobility": TENSOR}, {"friction": 5.0})])
call("Eyring and Kramers at a quartic top and where they are refused", lambda: [
    fp.eyring_kramers(fp.Potential("x**6 - 1.5*x**4"), [-1], [0], 0.02, order=order)
    for order in ("leading", "integral")])
call("Kramers' turnover", lambda: [fp.kramers_turnover(fp.catalogue.double_well(), [-1], [0], 0.1, g)
                                   for g in (1e-3, 0.1, 1.0, 100.0)])


@call("the network of wells of Mueller and Brown")
def _():
    N = fp.well_network(fp.catalogue.mueller_brown(), 0.2)
    return [N, N.rate(0, 1), N.mfpt(0, 2), N.escape_rate(1, 0), N.committor(1, 0, 2), N.eigenvalues,
            N.hierarchy, N.stationary, N.log_rates, N.to_dict()]


call("the network of three wells, in the next order, with a mobility",
     lambda: [fp.well_network(fp.catalogue.three_hole(), 0.1,
                              grid=fp.Grid(fp.catalogue.three_hole().box, (20, 20)), **more)
              for more in ({}, {"order": "next"}, {"mobility": TENSOR})])
ROUTES = ["rate", "mfpt", "gap", "exit-rate", "free-energy", "eyring-kramers", "next-order", "resummed",
          "integral", "network"]


@call("a table of rates on a line, saved and read again")
def _(folder):
    made = fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.2, 0.1, 0.05, 0.002], methods=ROUTES)
    made.save(os.path.join(folder, "table.h5"))
    again = fp.RatesTable.load(os.path.join(folder, "table.h5"))
    return [made, again, made.log10, made.relative_errors, made.difference, made.agreement, made.agrees,
            made.best_method, made.arrhenius, made.to_dict()]


call("a table of rates in the plane, with a mobility", lambda: [
    fp.compare_rates(V, V.minima[0], V.minima[1], theta, methods=ROUTES[:7], grid=fp.Grid(V.box, (24, 24)),
                     mobility=m)
    for V in [fp.catalogue.wide_and_narrow()] for theta, m in ((0.2, None), (0.1, [1.0, 2.0]))])
call("a table of rates between regions, refined", lambda: fp.compare_rates(
    plane(), LEFT_DISC, RIGHT_DISC, [0.2], methods=["rate", "mfpt"], grid=fp.Grid(BOX_2D, (20, 18)),
    refine=True))
call("a table of rates with paths and splitting", lambda: fp.compare_rates(
    fp.catalogue.double_well(), [-1], [1], [0.3, 0.2], methods=["mfpt", "paths", "splitting"], n_paths=60))
call("free energies of sets", lambda: [
    fp.free_energy(line(), 0.1, RIGHT, fp.Grid(BOX_1D, 80)),
    fp.free_energy(plane(), 0.1, fp.HalfSpace([1, 0], 0.0), fp.Grid(BOX_2D, (32, 32)))])
call("a rate as a difference of free energies", lambda: [
    fp.free_energy_form(on_line(), LEFT, RIGHT), fp.free_energy_form(on_plane(24), LEFT_DISC, RIGHT_DISC)])
call("the rate from the free energy along a line", lambda: [
    fp.free_energy_rate(line(), 0.1, [-1.03], [0.96], bounds=BOX_1D),
    fp.free_energy_rate(plane(), 0.1, [-1, 0], [1, 0], bounds=BOX_2D)])


@call("the picture of a transition")
def _():
    V = fp.catalogue.mueller_brown()
    return fp.transition_picture(V, 0.4, V.minima[0], V.minima[1], grid=fp.Grid(V.box, (28, 30)))


# ------------------------------------------------------------------------------------------------- landscapes
@call("what the landscape files say that come with fpkit")
def _():
    told = {}
    for path in sorted(data_folder().glob("*.h5")):
        land = fp.read_landscape(path)
        told[path.name] = {"facts": land.to_dict(), "summary": land.summary(), "axes": land.axes,
                           "loss": land.loss, "gram": land.gram, "counts": land.counts,
                           "refusal": land.refusal, "minimum": land.minimum_index, "warnings": land.warnings,
                           "height": land.height(0.5), "trajectory": land.trajectory,
                           "volumes": float(land.volumes.sum())}
    return told


@call("merge trees and minima of the landscape files")
def _():
    told = {}
    for name in ("digits_plane.h5", "grokking_p31_plane.h5"):
        land = fp.read_landscape(data_folder() / name)
        for neighbours in (8, 4):
            tree = land.merge_tree(neighbours)
            told[f"{name}, {neighbours} neighbours"] = [list(tree), land.minima(neighbours), tree.basins(),
                                                        tree.wells(0.1), repr(tree)]
    return told


@call("Gibbs means over a landscape, and its potential")
def _():
    land = fp.read_landscape(data_folder() / "digits_plane.h5")
    V = land.potential()
    means = [[land.gibbs_mean(theta, of=of) for of in (None, "test_loss")] for theta in (0.01, 0.1, 1.0)]
    return means, land.gibbs_weights(0.1), derivatives(V, spread(9, [(a[0], a[-1]) for a in land.axes]))


@call("every other sample of a landscape, and one that was saved again")
def _(folder):
    land = fp.read_landscape(data_folder() / "modular_addition_plane.h5", every=2)
    path = os.path.join(folder, "again.h5")
    land.save(path)
    again = fp.read_landscape(path)
    return land.loss, land.axes, again.loss, again.gram, again.surfaces, repr(land)


@call("an exported landscape")
def _(folder):
    land = two_wells(folder)
    return [land.loss, land.surfaces, land.axes, land.gram, land.counts,
            land.trajectory, land.trajectory_loss, land.trajectory_residual, land.origin_norm, land.summary(),
            fp.read_directions(land.path)]


@call("a landscape exported in two shares")
def _(folder):
    path, plane = os.path.join(folder, "shared.h5"), fp.Plane.line(np.zeros(3), np.array([1.0, 0.5, 0.0]))
    for k in (0, 1):
        fp.export_landscape(path, two_wells_loss, plane, x=(-1, 2, 15), share=(k, 2), created_utc=None)
    return fp.export_landscape(path, two_wells_loss, plane, x=(-1, 2, 15), created_utc=None).surfaces


@call("the analysis of an exported landscape")
def _(folder):
    report = fp.analyse(two_wells(folder), theta=[0.05, 0.1], n_paths=40, lr=0.05, momentum=0.5, n_steps=2000)
    return report.to_dict(), repr(report)


@call("the analysis of a landscape file, with the temperatures found")
def _():
    report = fp.analyse(fp.read_landscape(data_folder() / "digits_plane.h5", every=2), n_paths=20)
    return report.to_dict(), repr(report)


@call("the comparison of two landscapes on one plane")
def _(folder):
    land = two_wells(folder)
    both = fp.compare_landscapes([fp.analyse(land, theta=[0.05, 0.2], n_paths=2)] * 2, theta=[0.05, 0.1])
    return both.to_dict(), repr(both)


call("planes through solutions, along directions, at random, of components and curvatures",
     lambda: [[P.directions, P.gram, P.points, P.kind, P.facts, P.at([0.3] * P.ndim), P.box(), P.describe(),
               P.project(spread(4, [(-1, 1)] * 8))] for start, far, other in [spread(3, [(-1, 1)] * 8)] for P
              in (fp.Plane.through(start, far, other), fp.Plane.through(start, far, other, orthonormal=False),
                  fp.Plane.line(start, far), fp.Plane.from_directions(start, far, other),
                  fp.Plane.random(start, seed=3), fp.Plane.random(start, ndim=1),
                  fp.Plane.random([start.reshape(2, 4)], seed=2), fp.Plane.pca(spread(6, [(-1, 1)] * 8)),
                  fp.Plane.hessian(start, gradient=lambda w: np.arange(1, 9) * w + 0.1 * w**3))])


@call("random planes of tensors, normalised in every way")
def _():
    from fpkit.landscapes.adapters import array_parameters

    vector, layout, fill = array_parameters([spread(4, [(-1, 1)] * 3), np.ones(4)])
    fill(vector)
    return [fp.Plane.random(vector, layout, normalisation=n, one_dimensional=one, seed=1).given
            for n in ("filter", "layer", "weight", "none") for one in ("zero", "copy")]


@call("temperatures of gradients and of a stationary run")
def _():
    g = spread(60, [(-1, 1)] * 6)
    P = fp.Plane.through(np.zeros(6), np.ones(6), np.arange(6.0))
    told = [fp.sgd_temperature(g, 0.1, plane=P, batch=5),
            fp.sgd_temperature(g, 0.1, momentum=0.9, batch=5, n_data=50, replacement=False, injected=0.01)]
    found = fp.equipartition_temperature(g, 2 * g + 0.1 * spread(60, [(-1, 1)] * 6, seed=8))
    return told, [t.to_dict() for t in told], found


# --------------------------------------------------------------------------------------------------- learning
@call("learning problems: risks, gradients and Hessians")
def _():
    from fpkit.learning.classifiers import digits, wine
    from fpkit.learning.modular_addition import ModularAddition

    told = {}
    for problem in (wine(width=4), digits(width=3, n_train=60), ModularAddition(modulus=5, width=4)):
        x = problem.start()
        told[repr(problem)] = [x, problem.scores(x), problem.losses(x), problem.gradient(x),
                               problem.hessian_vector(x, x), problem.gap(x)]
    return told


@call("trainings by AdamW and by SGD with minibatches, and one that went on")
def _():
    from fpkit.learning.classifiers import wine
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.training import train

    sums = ModularAddition(modulus=7, width=16, fraction=0.8)
    first = train(sums, 100, save_every=50)
    return [first, train(sums, 200, resume=first),
            train(wine(width=4), 100, optimiser="sgd", learning_rate=0.02, momentum=0.9, batch=16,
                  weight_decay=0.01)]


@call("SGLD of a network, of the whole sample and of minibatches")
def _():
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.sgld import sgld

    problem = ModularAddition(modulus=5, width=4)
    return [sgld(problem, 1e-4, problem.start(), 0.02, 120, l2=1e-3, n_paths=2, record_every=40, batch=batch)
            for batch in (None, 8)]


@call("the landscape of a trained network by way of the adapter")
def _(folder):
    from fpkit.landscapes.adapters import problem_loss
    from fpkit.learning.classifiers import wine
    from fpkit.learning.training import train

    ends = [train(wine(width=3), 60, start=wine(width=3, seed=s).start(), weight_decay=0.1).x
            for s in range(3)]
    land = fp.export_landscape(os.path.join(folder, "run.h5"), problem_loss(wine(width=3)),
                               fp.Plane.through(*ends), x=(-1, 6, 9), y=(-1, 6, 8), created_utc=None)
    return land.surfaces, land.gram, list(land.merge_tree()), repr(land.merge_tree())


# ---------------------------------------------------------------------------------------------------- figures
call("the figures of a density, an evolution and paths", lambda: [
    drawn(fp.plot(r)) for r in (on_line(30).gibbs, on_line(30).evolve([-1.0], [0.1, 10.0]),
                                fp.simulate(line(), 0.2, [-1.0], 0.01, 50, 3, save_every=10))])
call("the figures of a potential and a table of rates", lambda: [
    drawn(fp.plot(fp.catalogue.double_well())),
    drawn(fp.plot(fp.compare_rates(fp.catalogue.double_well(), [-1], [1], [0.2, 0.1, 0.05],
                                   methods=["rate", "eyring-kramers"])))])
call("the figure of a landscape", lambda folder: drawn(fp.plot(two_wells(folder))))

# ----------------------------------------------------------------------------------------------- command line
DOUBLE = "(x**2 - 1)**2 + a*x"
call("the help of every command", lambda: {name or "fpkit": command(*name.split(), "--help") for name in (
    "", "info", "analyse", "demo", "evolve", "sample", "refine", "rates", "export", "learn", "learn sgld",
    "learn ravine")})
call("fpkit info", lambda: [command("info", data_folder() / "digits_plane.h5", *more)
                            for more in ((), ("--json",))])
call("fpkit evolve", lambda: [command("evolve", DOUBLE, "--set", "a=0.3", "--x", -2, 2, "--cells", 40,
                                      "--theta", 0.1, "--start", -1, "--times", 0.1, 1e6, *more)
                              for more in ((), ("--json",), ("--positive",))])
call("fpkit sample", lambda: command("sample", "double_well", "--theta", 0.3, "--steps", 600, "--paths", 40,
                                     "--json"))
call("fpkit rates", lambda: [command("rates", "double_well", "--from", -1, "--to", 1, "--theta", 0.2, 0.1,
                                     "--methods", "rate", "mfpt", "eyring-kramers", *more)
                             for more in ((), ("--json",))])
call("fpkit refine", lambda: command("refine", DOUBLE, "--set", "a=0.3", "--x", -2, 2, "--cells", 32,
                                     "--theta", 0.2, "--quantity", "stationary"))
call("fpkit analyse", lambda folder: command("analyse", two_wells(folder).path, "--theta", 0.05, 0.1,
                                             "--paths", 10, "-o", os.path.join(folder, "report"), "--json"))
call("fpkit learn ravine", lambda: command("learn", "ravine", "--lengths", 1, 2, "--paths", 40, "--json"))
call("fpkit refuses in one sentence", lambda: [command(*argv) for argv in (
    ("analyse", "no_such_file.h5"), ("evolve", "x**2", "--theta", 1),
    ("evolve", "x**2", "--x", -1, 1, "--theta", -1),
    ("rates", "duble_well", "--from", -1, "--to", 1, "--theta", 1),
    ("evolve", "__import__('os').system('true')", "--x", -1, 1, "--theta", 1),
    ("sample", "a*x**2", "--x", -1, 1, "--theta", 1))])

# ------------------------------------------------------------------------------------------------ wrong calls
wrong("a negative temperature", lambda: on_line(theta=-0.1))
wrong("a grid of another dimension", lambda: fp.FokkerPlanck(plane(), 0.2, fp.Grid(BOX_1D, 40)))
wrong("a scheme that is spelt wrongly", lambda: on_line(scheme="scharfeter-gummel").generator)
wrong("a potential that is not periodic",
      lambda: fp.FokkerPlanck(fp.Potential("x"), 0.2, fp.Grid(BOX_1D, 10, periodic=True)).gibbs)
wrong("a mobility that is not symmetric", lambda: on_plane(8, mobility=[[1, 1], [0, 1]]).gibbs)
wrong("a mobility of another shape", lambda: on_line(mobility=np.eye(3)).gibbs)
wrong("a start outside the box", lambda: on_line().evolve([5.0], [1.0]))
wrong("times that decrease", lambda: on_line().evolve([0.5], [2.0, 1.0]))
wrong("regions that overlap", lambda: on_plane(12).rate(fp.Ball([0, 0], 0.6), fp.Ball([0.2, 0], 0.6)))
wrong("a region that selects nothing", lambda: on_plane(12).mfpt(fp.Ball([9.0, 9.0], 0.1)))
wrong("a hostile expression", lambda: fp.Potential("x.__class__"))
wrong("a parameter without a value", lambda: fp.Potential("a*x"))
wrong("a branch on a coordinate", lambda: fp.Potential(lambda x: x if x > 0 else -x))
wrong("samples of another shape", lambda: fp.GridPotential([np.linspace(0, 1, 9)] * 2, np.ones((9, 8))))
wrong("an integrator that does not exist", lambda: fp.simulate(plane(), **PATHS_2D, scheme="euler"))
wrong("underdamped paths without friction", lambda: fp.simulate(plane(), **PATHS_2D, scheme="baoab"))
wrong("a time step that is too large", lambda: fp.simulate(line(), 0.2, [3.0], 5.0, 2000, 2))
wrong("a start in the target", lambda: fp.exit_time(line(), 0.3, [1.0], RIGHT, dt=0.01, n_paths=10))
wrong("a point that is no minimum", lambda: fp.eyring_kramers(fp.catalogue.double_well(), [-0.6], [0], 0.1))
wrong("two points in one well", lambda: fp.compare_rates(fp.catalogue.double_well(), [-1], [-0.9], 0.1))
wrong("a catalogue name that is spelt wrongly", lambda: fp.catalogue.get("duble_well"))
wrong("a file that is missing", lambda: fp.read_landscape("no_such_file.h5"))
wrong("a plane through one solution", lambda: fp.Plane.through(np.zeros(3)))
wrong("a result without a figure", lambda: fp.plot(3))
wrong("a name that fpkit does not have", lambda: fp.no_such_name)


if __name__ == "__main__":
    sys.exit(main())
