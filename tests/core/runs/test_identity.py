"""What a run is made of: the same content in every process, another one when anything of it changes."""
import functools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fpkit as fp
from fpkit.core.runs.identity import NotIdentified, content_of

SCALE = 1.0


def line(a, b=0.0):
    return lambda points: a * points[:, 0] + b


class Model:
    def __init__(self, weights, gain=1.0):
        self.weights, self.gain = np.asarray(weights, float), gain

    def __call__(self, points):
        return self.gain * points @ self.weights


def scaled(points):
    return SCALE * points[:, 0]


def with_default(a):
    def f(points, slope=a):
        return slope * points[:, 0]
    return f


PAIRS = {
    "closure": (lambda: line(1.0), lambda: line(2.0)),
    "second closure": (lambda: line(1.0, 1.0), lambda: line(1.0, 2.0)),
    "default": (lambda: with_default(1.0), lambda: with_default(2.0)),
    "array in an object": (lambda: Model([1, 2]), lambda: Model([1, 3])),
    "number in an object": (lambda: Model([1, 2]), lambda: Model([1, 2], 2.0)),
    "partial": (lambda: functools.partial(line, 1.0), lambda: functools.partial(line, 1.5)),
    "bound method": (lambda: Model([1.0]).__call__, lambda: Model([2.0]).__call__),
    "code": (lambda: lambda p: p[:, 0] + 1, lambda: lambda p: p[:, 0] - 1),
    "constant": (lambda: lambda p: p[:, 0] + 1, lambda: lambda p: p[:, 0] + 2),
    "inner function": (lambda: lambda p: sum(x * 2 for x in p), lambda: lambda p: sum(x * 3 for x in p)),
    "black box": (lambda: fp.Potential.black_box(line(1.0), ndim=1),
                  lambda: fp.Potential.black_box(line(2.0), ndim=1)),
    "black box that is scaled": (lambda: 2 * fp.Potential.black_box(line(1.0), ndim=1),
                                 lambda: 3 * fp.Potential.black_box(line(1.0), ndim=1)),
    "region": (lambda: fp.Ball([0, 1], 0.5), lambda: fp.Ball([0, 1], 0.6)),
    "potential": (lambda: fp.Potential("a*x", a=1.0), lambda: fp.Potential("a*x", a=2.0)),
    "pair": (lambda: (line(1.0), line(0.0)), lambda: (line(1.0), line(0.1))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_content_is_recognised_and_a_change_is_noticed(name):
    one, other = PAIRS[name]
    assert content_of(one()) == content_of(one()) != content_of(other())


def test_a_global_that_a_function_reads_is_part_of_it(monkeypatch):
    before = content_of(scaled)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert content_of(scaled) != before


@pytest.mark.parametrize("make", [threading.Lock, lambda: (k for k in range(3)),
                                  lambda: open(os.devnull)])                         # noqa: SIM115
def test_what_has_no_content_is_named(make):
    held = make()
    with pytest.raises(NotIdentified, match="has no content that could be told"):
        content_of({"observable": lambda p: held})
    if hasattr(held, "close"):
        held.close()


def _shadowed(x):
    import os as system
    return float(system.environ["QQ"]) * x


@pytest.mark.parametrize("reads", [lambda x: float(os.environ["QQ"]) * x, lambda x: os.getenv("QQ"),
                                   lambda x, get=os.environ: float(get["QQ"]) * x, _shadowed, os.getenv,
                                   lambda x: [float(os.environ["QQ"]) * y for y in x]])
def test_what_reads_the_environment_is_not_identified(reads):
    with pytest.raises(NotIdentified, match="reads the environment .* pass what is read as a parameter"):
        content_of({"potential": reads})
    content_of(lambda x: os.path.join(x, "environ"))              # the module alone is no reason


SCRIPT = """
import numpy as np, fpkit as fp
K = {"stiffness": 2.0, "names": {"a", "b", "c"}}
class Trap:
    def __init__(self, k): self.k = k
    def value(self, p): return 0.5 * self.k * (p**2).sum(-1)
    def gradient(self, p): return self.k * p
trap = Trap(K["stiffness"])
V = fp.Potential.black_box(trap.value, trap.gradient, ndim=1)
mobility = (lambda p: 1 + 0.1 * np.tanh(p[:, 0]), lambda p: 0.1 / np.cosh(p)**2)
far = lambda p: (abs(p[:, 0]) > K["stiffness"] / 4).astype(float)
out = fp.sample(V, 0.5, [0.3], 0.05, N, 20, "euler-maruyama", burn_in=10, every=5, checkpoint=FILE,
                mobility=mobility, observables={"far": far}, resume=RESUME)
print(out.energy.value.hex(), out.observables["far"].value.hex())
"""


def test_the_same_script_in_another_process_goes_on_where_it_was(tmp_path):
    def run(n, resume, seed):
        text = SCRIPT.replace("FILE", repr(str(tmp_path / "run.h5"))).replace("RESUME",
                                                                              str(resume)).replace("N,",
                                                                                                   f"{n},")
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True,
                              env={**os.environ, "PYTHONHASHSEED": seed,
                                   "PYTHONPATH": os.pathsep.join(sys.path)})
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
    run(60, None, "1")
    resumed = run(120, True, "2")
    (tmp_path / "run.h5").unlink()
    assert resumed == run(120, None, "3")


FRESH = dict(theta=0.5, x0=[0.3], dt=0.05, n_paths=20, scheme="euler-maruyama", burn_in=10, every=5)


@pytest.mark.parametrize("name", ["closure", "default", "array in an object", "number in an object"])
@pytest.mark.parametrize("place", ["potential", "observable", "mobility"])
def test_another_problem_is_not_resumed(name, place, tmp_path):
    def run(f, n):
        trap = fp.Potential.black_box(lambda p: 0.5 * (p**2).sum(-1), lambda p: p, ndim=1)
        kinds = {"potential": lambda: dict(potential=trap
                                           + fp.Potential.black_box(lambda p: 0 * f(p), ndim=1)),
                 "observable": lambda: dict(potential=trap, observables={"o": f}),
                 "mobility": lambda: dict(potential=trap, mobility=lambda p: 1 + 0 * f(p))}
        return fp.sample(**kinds[place](), **FRESH, n_steps=n, checkpoint=tmp_path / "run.h5")
    pairs = {**PAIRS, "array in an object": (lambda: Model([1.0]), lambda: Model([2.0])),
             "number in an object": (lambda: Model([1.0]), lambda: Model([1.0], 2.0))}
    one, other = pairs[name]
    run(one(), 30)
    run(one(), 60)
    with pytest.raises(ValueError, match="belongs to another potential or other settings"):
        run(other(), 90)


def test_what_cannot_be_identified_is_never_resumed(tmp_path):
    lock = threading.Lock()

    def seen(points):
        with lock:
            return points[:, 0]
    run = lambda **more: fp.sample(fp.Potential("x**2/2"), **FRESH, observables={"o": seen}, n_steps=60,
                                   checkpoint=tmp_path / "run.h5", **more)
    with pytest.warns(UserWarning, match="cannot be resumed later: .*__getstate__"):
        run()
    with pytest.raises(ValueError, match="is not resumed: .*a lock.*__getstate__"):
        run()
    with pytest.warns(UserWarning, match="cannot be resumed later"):
        run(resume=False)


def test_a_walk_of_a_learning_problem_with_other_data_is_not_resumed(tmp_path):
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.sgld import sgld

    def run(problem, n):
        return sgld(problem, 1e-4, start, 0.01, n, l2=1e-3, n_paths=2, record_every=5,
                    checkpoint=tmp_path / "walk.h5")
    problem = ModularAddition(modulus=5, width=3)
    start = problem.start()
    first = run(problem, 10)
    again = run(ModularAddition(modulus=5, width=3), 20)
    assert np.array_equal(again.history["train_loss"][:3], first.history["train_loss"])
    other = ModularAddition(modulus=5, width=3)
    changed = next(name for name, value in sorted(vars(other).items())
                   if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size)
    values = getattr(other, changed).copy()
    values.flat[0] = (values.flat[0] + 1) % 5
    object.__setattr__(other, changed, values)
    with pytest.raises(ValueError, match="belongs to another"):
        run(other, 30)


def test_the_displacement_of_one_walker_is_measured_from_its_start():
    from fpkit.learning.modular_addition import ModularAddition
    from fpkit.learning.sgld import sgld

    problem = ModularAddition(modulus=5, width=3)
    start = problem.start()
    run = sgld(problem, 1e-4, start, 0.01, 20, n_paths=1, record_every=10)
    assert np.isclose(run.history["displacement"][-1, 0],
                      ((run.x[0] - start) ** 2).sum()) and run.x[0] is not start
    assert run.history["displacement"][-1, 0] > 0
