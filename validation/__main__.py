"""Run validations and print their verdicts: ``python -m validation [NAME ...] [--quick] [--figures DIR]
[--json]``."""
from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
import time
import traceback
from pathlib import Path

# before NumPy is imported: validations run several small problems at a time, and threads of the matrix
# products would only wait for one another
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from . import load, names  # noqa: E402
from .verdict import Table, formed  # noqa: E402


def main(argv=None):
    """Run the named validations (all by default); returns 0, 1 when one fails, 2 for a wrong call, 130 when
    interrupted."""
    parser = argparse.ArgumentParser(prog="validation",
                                     description="Measure the claims of fpkit and judge each by its rule.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="validations to run, or the first word of "
                        "several, such as learning (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds instead of minutes; "
                        "validations without a quick form are skipped")
    parser.add_argument("--figures", metavar="DIR", help="write one figure for each validation into this "
                        "folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run the validations on the workers of a dask "
                        "cluster")
    parser.add_argument("--list", action="store_true", help="print the names and claims, run nothing")
    options = parser.parse_args(argv)
    known = names()
    options.names = [name for given in options.names for name in (group(given, known) or [given])]
    for name in options.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            print(f"validation {name!r} is unknown; known are "
                  f"{', '.join(known)}.{f' Did you mean {near[0]!r}?' if near else ''}", file=sys.stderr)
            return 2
    if options.list:
        for name in options.names or known:
            print(f"{name}: {load(name).CLAIM}")
        return 0
    folder = None
    if options.figures:
        folder = Path(options.figures)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            print(f"the folder {options.figures!r} for the figures cannot be made: {problem.strerror}.",
                  file=sys.stderr)
            return 2
    from fpkit.commands.common import executor_at

    with executor_at(options.scheduler) as executor:
        results, interrupted = run_all(options.names or known, options.quick, folder, not options.json,
                                       executor)
    if options.json:
        print(json.dumps({"quick": options.quick, "interrupted": interrupted,
                          "validations": {n: r["json"] for n, r in results.items()}}, allow_nan=False))
    else:
        print(summary(results))
    if interrupted:
        return 130
    return 1 if any(r["outcome"] in ("fails", "error") for r in results.values()) else 0


def group(word, known):
    """Names that begin with `word` and an underscore, unless `word` is a name itself."""
    return [] if word in known else [name for name in known if name.startswith(f"{word}_")]


def run_all(chosen, quick, folder, talk, executor=None):
    """Results by name, and whether Ctrl-C ended the run early (what is done is kept). With an executor each
    validation is a job for its workers, which draw its figure where they are and print nothing."""
    from fpkit.core.sharing import finished

    results, order = {}, iter(chosen)
    told = lambda: say(f"[{len(results) + 1}/{len(chosen)}] {next(order)} ... ") if executor is None else None
    told()
    try:
        for k, found in finished(executor, measured, [(name,) for name in chosen],
                                 (quick, folder, talk and executor is None)):
            results[chosen[k]] = found
            name = "" if executor is None else f"{chosen[k]}: "
            say(f"{name}{found['outcome']} ({found['seconds']:.1f} s)\n")
            if len(results) < len(chosen):
                told()
    except KeyboardInterrupt:
        say("interrupted\n")
        return results, True
    return {name: results[name] for name in chosen}, False


def measured(quick, folder, talk, name):
    """The result of one validation with the time it took; an error is a result too."""
    start = time.perf_counter()
    try:
        found = run_one(name, quick, folder, talk)
    except Exception as problem:  # one broken validation must not hide the verdicts of the others
        traceback.print_exc()
        text = f"{type(problem).__name__}: {problem}"
        found = {"outcome": "error", "reason": text, "json": {"outcome": "error", "reason": text}}
    found["seconds"] = time.perf_counter() - start
    found["json"]["seconds"] = round(found["seconds"], 3)
    return found


def run_one(name, quick, folder, talk):
    """Outcome, reason and JSON form of one validation; prints its table and writes its figure."""
    module = load(name)
    if quick and getattr(module, "SLOW", False):
        reason = "has no quick form"
        return {"outcome": "not measured", "reason": reason,
                "json": {"outcome": "not measured", "reason": reason}}
    verdict = formed(module.run(quick), quick)
    form = " (provisional)" if verdict.is_provisional else ""
    result = {"outcome": verdict.outcome, "shown": verdict.outcome + form, "reason": verdict.reason,
              "json": verdict.to_dict()}
    if talk:
        print(f"\n== {name}\n{verdict}\n", flush=True)
    is_empty = verdict.outcome == "not measured" and not verdict.numbers
    if folder is not None and hasattr(module, "figure") and not is_empty:
        import matplotlib  # only when a figure is asked for

        from fpkit.plotting import style
        with matplotlib.rc_context(style.RULES):
            made = module.figure(verdict)
        result["json"]["figure"] = str(style.save(made, folder / f"{name}.png"))
    return result


def summary(results):
    """Table of verdicts, and one line that counts them."""
    rows = [(name, r.get("shown", r["outcome"]), round(r["seconds"], 1), r["reason"]) for name,
            r in results.items()]
    bad = sum(r["outcome"] in ("fails", "error") for r in results.values())
    return (f"{Table(('validation', 'outcome', 'seconds', 'reason'), rows)}\n{len(results) - bad} of "
            f"{len(results)} without failure")


def say(text):
    """Progress goes to standard error, so that standard output holds results only."""
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
