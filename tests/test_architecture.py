"""The house, read from the sources: floors, circles, late imports, sizes, annotations. Run this file to print
the figures."""
import ast
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fpkit"

# What a package may import beside itself.
BELOW = {
    "core": set(),
    "plotting": {"core"},                     # draws results by what they carry and knows no solver
    "potentials": {"core"},
    "fokker_planck": {"core", "potentials"},
    "langevin": {"core", "potentials"},
    "rates": {"core", "potentials", "fokker_planck", "langevin"},
    "landscapes": {"core", "potentials", "fokker_planck", "langevin", "rates", "plotting"},
    "learning": {"core", "potentials", "fokker_planck", "langevin", "rates", "plotting"},
}
BELOW["commands"] = set(BELOW)                # the command line stands on everything

# Floors inside a package, lowest first: folders and files; those in one set do not import each other.
FLOORS = {
    "fokker_planck": [{"extrapolation"}, {"results"}, {"gibbs"}, {"discretisation", "one_dimension"},
                      {"solvers"},
                      {"evolution", "boundary_values"}, {"spectrum"}, {"questions", "currents"},
                      {"driven"},
                      {"fokker_planck"}, {"averages", "phase_space"}, {"convergence"}],
    "langevin": [{"dynamics"}, {"runs"}, {"averages", "first_passage"}, {"simulate", "gradient_flow"}],
    "potentials": [{"symbolic", "spline"}, {"stationary"}, {"terms", "pieces"}, {"black_box"}, {"potential"},
                   {"grid_potential"},
                   {"regions"}, {"catalogue"}, {"vector_field"}, {"force"}, {"mobility"}, {"diffusion"}],
    "landscapes": [{"surface"}, {"report"}, {"files"}, {"full_space"}, {"adapters"}, {"export"},
                   {"analysis"}],
}
# These take what the public calls above them take, one for one.
BEHIND_PUBLIC = ("fpkit.langevin.dynamics.ensemble.__init__",
                 "fpkit.landscapes.files.writing.write_landscape")
# The aim for the whole package is 35,000 lines; the bar on it is where it stands, so that it is seen to grow.
TOP = {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md",
       "CITATION.cff", ".gitignore", ".ci", "docs", "fpkit", "validation", "tests", "data"}
LARGEST = {"files in a folder": 16, "late imports": 20, "line": 110, "function": 120, "arguments": 12,
           "lines of fpkit": 63_450}


class Import:
    """One import of a module of this package: who, whom, on which line, whether inside a function."""

    def __init__(self, home: str, target: str, line: int, is_late: bool):
        self.home, self.target, self.line, self.is_late = home, target, line, is_late

    def __repr__(self):
        return f"{self.home}:{self.line} -> {self.target}"


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(tree: ast.Module, home: str, is_package: bool, known) -> list[Import]:
    """Every import of a module in `known` by the module `home`, inside functions too; names of a package
    count as its modules."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda))
              for n in ast.walk(f)}
    checked_only = {id(n) for f in ast.walk(tree) if isinstance(f, ast.If)
                    and ast.unparse(f.test).endswith("TYPE_CHECKING")
                    for n in ast.walk(f)}
    found, base = [], home.split(".") if is_package else home.split(".")[:-1]
    for node in ast.walk(tree):
        if id(node) in checked_only:
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join([*(base[:len(base) + 1 - node.level] if node.level else []),
                               *([node.module] if node.module else [])])
            targets = [f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in known else origin
                       for alias in node.names]
        else:
            continue
        found += [Import(home, target, node.lineno, id(node) in inside) for target in targets
                  if target in known]
    return found


@cache
def all_imports() -> list[Import]:
    known = sources()
    return [i for name, path in known.items()
            for i in imports_in(tree_of(path), name, path.name == "__init__.py", known)]


def circles(edges) -> list[list[str]]:
    """Strongly connected components with more than one member (Tarjan)."""
    after: dict[str, list[str]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
        after.setdefault(b, [])
    number, low, stack, found = {}, {}, [], []

    def visit(v):
        number[v] = low[v] = len(number)
        stack.append(v)
        for w in after[v]:
            if w not in number:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], number[w])
        if low[v] == number[v]:
            k = stack.index(v)
            if len(stack) - k > 1:
                found.append(sorted(stack[k:]))
            del stack[k:]

    for v in list(after):
        if v not in number:
            visit(v)
    return found


def upward(imports, floors=FLOORS, below=BELOW) -> list[Import]:
    """Imports that run up, or sideways between rooms of one floor."""
    wrong = []
    for i in imports:
        a, b = i.home.split(".")[1:], i.target.split(".")[1:]
        if not a or not b or a[0] not in below or b[0] not in below:
            continue
        if a[0] != b[0]:
            if b[0] not in below[a[0]]:
                wrong.append(i)
        elif len(a) > 1 and len(b) > 1 and a[1] != b[1] and a[0] in floors:
            level = {room: k for k, rooms in enumerate(floors[a[0]]) for room in rooms}
            if level.get(b[1], 99) >= level.get(a[1], -1):
                wrong.append(i)
    return wrong


def is_allowed_exception(i: Import) -> bool:
    """`Landscape.save` loads its writer when it is called: the one arrow that runs up."""
    writer = ("fpkit.landscapes.surface.landscape", "fpkit.landscapes.files.saving")
    return (i.home, i.target) == writer and i.is_late


def late_imports() -> list[Import]:
    return [i for i in all_imports() if i.is_late and not i.target.rpartition(".")[2].endswith("kernels")]


def functions():
    """(module, function, its node, whether it is public) of all functions and methods."""
    for name, path in sources().items():
        waiting = [(n, not path.stem.startswith("_")) for n in tree_of(path).body]
        while waiting:
            node, is_public = waiting.pop()
            if isinstance(node, ast.ClassDef):
                waiting += [(n, is_public and not node.name.startswith("_")) for n in node.body]
            elif isinstance(node, ast.FunctionDef):
                yield name, node, is_public and (not node.name.startswith("_") or node.name == "__init__")
                waiting += [(n, False) for n in node.body]


def arguments_of(node: ast.FunctionDef) -> list[ast.arg]:
    a = node.args
    return [x for x in [*a.posonlyargs, *a.args, *a.kwonlyargs] if x.arg not in ("self", "cls")]


def public_names() -> dict[str, str]:
    """From a module to the names that users reach as `fpkit.X`, separated by spaces."""
    import fpkit

    return fpkit.HOMES


def users_functions() -> list[tuple[str, ast.FunctionDef]]:
    """Functions `fpkit.X`, and the public methods of classes in modules that hold a public name."""
    found = []
    for module, names in public_names().items():
        path = sources()[f"fpkit.{module}"]
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef) and node.name in names.split():
                found.append((module, node))
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found += [(module, n) for n in node.body if isinstance(n, ast.FunctionDef)
                          and (not n.name.startswith("_") or n.name in ("__init__", "__call__"))]
    return found


def annotated_share() -> float:
    given = [(a.annotation is not None) for _, node in users_functions() for a in arguments_of(node)]
    return sum(given) / len(given)


def long_lines() -> list[str]:
    return [f"{path.relative_to(ROOT)}:{k}" for folder in ("fpkit", "tests", "validation", "data")
            for path in sorted((ROOT / folder).rglob("*.py"))
            for k, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > LARGEST["line"]]


def lines_by_package() -> Counter:
    return Counter({package: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in sources().values()
                                 if (p.relative_to(PACKAGE).parts[0] if p.parent != PACKAGE else "top")
                                 == package)
                    for package in ["top", *BELOW]})


def figures() -> dict[str, object]:
    """The figures of the house."""
    folders = Counter(str(p.parent.relative_to(ROOT)) for p in sources().values())
    return {
        "circles": circles((i.home, i.target) for i in all_imports()),
        "upward imports": [i for i in upward(all_imports()) if not is_allowed_exception(i)],
        "late imports of plain modules": late_imports(),
        "folders with too many files": {f: n for f, n in folders.items() if n > LARGEST["files in a folder"]},
        "long lines": long_lines(),
        "long functions": [f"{m}.{n.name}" for m, n, _ in functions()
                           if n.end_lineno - n.lineno >= LARGEST["function"]],
        "private functions with many arguments": [
            f"{m}.{n.name}" for m, n, _ in functions() if len(arguments_of(n)) > LARGEST["arguments"]
            and not is_users(m, n) and f"{m}.{n.name}" not in BEHIND_PUBLIC],
        "annotated public arguments": annotated_share(),
        "lines": dict(lines_by_package()) | {"fpkit": sum(lines_by_package().values())},
    }


@cache
def users_lines() -> set[tuple[str, int]]:
    return {(f"fpkit.{module}", node.lineno) for module, node in users_functions()}


def is_users(module: str, node: ast.FunctionDef) -> bool:
    """Whether users call the function: those of `fpkit.X` and of the public modules of learning and
    landscapes."""
    public = module.startswith("fpkit.learning.") or module == "fpkit.landscapes.adapters"
    return (module, node.lineno) in users_lines() or public and not node.name.startswith("_")


def test_no_circle_at_any_level_of_imports():
    assert figures_once()["circles"] == []


def test_imports_point_down_only():
    assert figures_once()["upward imports"] == []


def test_plain_imports_stand_at_the_top():
    assert len(figures_once()["late imports of plain modules"]) <= LARGEST["late imports"], late_imports()


def test_folders_functions_and_lines_can_be_overlooked():
    found = figures_once()
    assert found["folders with too many files"] == {}
    assert found["long lines"] == []
    assert found["long functions"] == []
    assert found["private functions with many arguments"] == []


def test_public_arguments_are_annotated():
    assert figures_once()["annotated public arguments"] >= 0.9


def test_the_top_level_holds_what_was_agreed():
    """No files of trials: what the repository tracks, where it is one."""
    if shutil.which("git"):
        told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert {name.split("/")[0] for name in told.stdout.split()} <= TOP


def test_the_package_stays_small():
    assert figures_once()["lines"]["fpkit"] <= LARGEST["lines of fpkit"]


def test_matplotlib_belongs_to_plotting_alone():
    for name, path in sources().items():
        for node in ast.walk(tree_of(path)):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] \
                if isinstance(node, ast.ImportFrom) and not node.level else []
            assert name.startswith("fpkit.plotting") or not any(n.split(".")[0] == "matplotlib"
                                                                for n in named), \
                f"{name}:{node.lineno}"


def test_the_two_sides_do_not_know_each_other():
    assert "langevin" not in BELOW["fokker_planck"] and "fokker_planck" not in BELOW["langevin"]


def test_every_room_has_a_floor():
    for package, floors in FLOORS.items():
        rooms = {p.stem if p.is_file() else p.name for p in (PACKAGE / package).iterdir()
                 if p.suffix == ".py" or (p / "__init__.py").exists()} - {"__init__"}
        assert rooms <= set().union(*floors), rooms - set().union(*floors)


def test_a_circle_inside_functions_is_seen():
    known = {"fpkit.a": None, "fpkit.b": None}
    first = imports_in(ast.parse("def f():\n    from . import b"), "fpkit.a", False, known)
    second = imports_in(ast.parse("from .a import f"), "fpkit.b", False, known)
    assert first[0].is_late and not second[0].is_late
    assert circles((i.home, i.target) for i in first + second) == [["fpkit.a", "fpkit.b"]]


def test_an_arrow_that_runs_up_is_seen():
    up = Import("fpkit.fokker_planck.gibbs.x", "fpkit.fokker_planck.spectrum.y", 1, False)
    down = Import("fpkit.fokker_planck.spectrum.y", "fpkit.fokker_planck.gibbs.x", 1, False)
    beside = Import("fpkit.langevin.simulate", "fpkit.fokker_planck.questions", 1, True)
    assert upward([up, down, beside]) == [up, beside]


@cache
def figures_once():
    return figures()


if __name__ == "__main__":
    for what, value in figures().items():
        print(f"{what}: {len(value) if isinstance(value, list) else value}")
        if isinstance(value, list):
            print("".join(f"    {v}\n" for v in value), end="")
