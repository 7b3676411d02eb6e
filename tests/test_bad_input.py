"""Wrong calls and the sentence that each gets. `python tests/test_bad_input.py` prints the table."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.cli import main

AXIS = np.linspace(0, 1, 9)
BOX = [(-2, 2)]


def well():
    return fp.Potential("(x**2 - 1)**2")


def plane():
    return fp.Potential("(x**2 - 1)**2 + y**2")


def diffusion(**options):
    return fp.FokkerPlanck(well(), **({"theta": 0.2, "grid": fp.Grid(BOX, 40)} | options))


def paths(**options):
    return fp.simulate(well(), **({"theta": 0.2, "x0": [0.0], "dt": 0.01, "n_steps": 10, "n_paths": 2}
                                  | options))


def branching(x):
    return x if x > 0 else -x


def jump_outside(x):
    return math.exp(x)


# what is wrong, the call, words that the sentence must hold
CASES = [
    ("negative temperature", lambda: diffusion(theta=-0.1), "theta must be positive.*gradient_flow"),
    ("temperature zero on a grid", lambda: diffusion(theta=0), "theta must be positive.*gradient_flow"),
    ("temperature NaN", lambda: diffusion(theta=math.nan), "theta must be finite"),
    ("temperature as text", lambda: diffusion(theta="warm"), "theta must be a number"),
    ("grid of another dimension", lambda: fp.FokkerPlanck(plane(), 0.2, fp.Grid(BOX, 40)), "2.*1|1.*2"),
    ("four grid axes", lambda: fp.Grid([(0, 1)] * 4, (4,) * 4), "one to three axes.*paths"),
    ("empty grid", lambda: fp.Grid(BOX, 0), "at least 2"),
    ("bounds the wrong way round", lambda: fp.Grid([(2, -2)], 10), "low < high"),
    ("bounds without an end", lambda: fp.Grid([(0, math.inf)], 10), "finite"),
    ("shape of another length", lambda: fp.Grid(BOX, (10, 10)), "one number of cells an axis"),
    ("fractional number of cells", lambda: fp.Grid(BOX, 10.5), "whole number"),
    ("mask that leaves nothing", lambda: fp.Grid(BOX, 10, mask=lambda p: np.zeros(p.shape[:-1], bool)),
     "no cell inside"),
    ("mask of another shape", lambda: fp.Grid(BOX, 10, mask=np.ones(7, bool)), "shape"),
    ("unknown scheme", lambda: diffusion(scheme="scharfeter-gummel"),
     "unknown.*Did you mean 'scharfetter-gummel'"),
    ("potential that is not periodic", lambda: fp.FokkerPlanck(fp.Potential("x"), 0.2,
                                                               fp.Grid(BOX, 10, periodic=True)), "periodic"),
    ("potential NaN on the grid", lambda: fp.FokkerPlanck(fp.Potential("sqrt(x)"), 0.2,
                                                          fp.Grid(BOX, 10)).gibbs, "nan|NaN|not finite"),
    ("mobility that is not positive", lambda: diffusion(mobility=-1.0), "mobility"),
    ("mobility of another shape", lambda: diffusion(mobility=np.eye(3)), "mobility"),
    ("mobility not symmetric", lambda: fp.FokkerPlanck(plane(), 0.2, fp.Grid(BOX * 2, (8, 8)),
                                                       mobility=[[1, 1], [0, 1]]), "symmetric"),
    ("start outside the box", lambda: diffusion().evolve([5.0], [1.0]), "outside"),
    ("start of another shape", lambda: diffusion().evolve(np.ones(7), [1.0]), "shape"),
    ("start with negative values", lambda: diffusion().evolve(np.r_[-1.0, np.ones(39)], [1.0]), "negative"),
    ("times that decrease", lambda: diffusion().evolve([0.5], [2.0, 1.0]), "ascending|increasing|order"),
    ("negative time", lambda: diffusion().evolve([0.5], [-1.0]), "negative|positive"),
    ("tolerance zero", lambda: diffusion().evolve([0.5], [1.0], tol=0), "tol"),
    ("region of another dimension", lambda: diffusion().probability(fp.Ball([0, 0], 1.0)),
     "dimension|coordinates|axes"),
    ("region that selects nothing", lambda: diffusion().probability(fp.Ball([9.0], 0.1)),
     "no cell|nothing|outside|selects"),
    ("ball of negative radius", lambda: fp.Ball([0.0], -1.0), "radius"),
    ("half-space without a normal", lambda: fp.HalfSpace([0.0, 0.0], 1.0), "normal"),
    ("attribute in an expression", lambda: fp.Potential("x.__class__"), "."),
    ("unknown function", lambda: fp.Potential("open(x)"), "open"),
    ("parameter without a value", lambda: fp.Potential("a*x"), "a"),
    ("huge power", lambda: fp.Potential("9**9**9**9*x"), "."),
    ("ten thousand brackets", lambda: fp.Potential("(" * 10_000 + "x" + ")" * 10_000), "."),
    ("empty expression", lambda: fp.Potential(""), "empty|expression"),
    ("branch on a coordinate", lambda: fp.Potential(branching), "where"),
    ("math instead of numpy", lambda: fp.Potential(jump_outside), "numpy"),
    ("function that returns nothing", lambda: fp.Potential(lambda x: None), "return"),
    ("vector potential", lambda: fp.Potential(lambda x, ndim=None: np.array([x, x])), "one"),
    ("unknown parameter", lambda: well().with_params(b=1.0), "b"),
    ("point of another dimension", lambda: plane()([1.0, 2.0, 3.0]), "shape|coordinates"),
    ("samples of another shape", lambda: fp.GridPotential([AXIS, AXIS], np.ones((9, 8))), "shape|match"),
    ("sampled axis not increasing", lambda: fp.GridPotential([np.zeros(9)], np.ones(9)), "axis|axes"),
    ("all samples missing", lambda: fp.GridPotential([AXIS], np.full(9, np.nan)), "valid|finite|NaN|nan"),
    ("sum of different dimensions", lambda: well() + plane(), "dimension|coordinates"),
    ("negative time step", lambda: paths(dt=-0.01), "dt"),
    ("no steps", lambda: paths(n_steps=-1), "n_steps"),
    ("no paths", lambda: paths(n_paths=0), "n_paths"),
    ("unknown integrator", lambda: paths(scheme="euler"), "unknown"),
    ("start of another dimension", lambda: paths(x0=[0.0, 0.0]), "x0|start"),
    ("start NaN", lambda: paths(x0=[math.nan]), "x0|start|finite"),
    ("negative temperature of a path", lambda: paths(theta=-1.0), "theta"),
    ("underdamped without friction", lambda: paths(scheme="baoab"), "friction"),
    ("time step too large", lambda: paths(dt=5.0, n_steps=2000, x0=[3.0]), "dt"),
    ("walls of another dimension", lambda: paths(walls=[(-1, 1), (-1, 1)]), "wall"),
    ("start outside the walls", lambda: paths(walls=[(-1, 1)], x0=[3.0]), "wall|outside"),
    ("paths that do not fit in memory", lambda: paths(n_paths=10**6, n_steps=10**7, save_every=1),
     "sample|memory"),
    ("unknown catalogue name", lambda: fp.catalogue.get("duble_well"), "double_well"),
    ("missing file", lambda: fp.read_landscape("no_such_file.h5"), "no_such_file"),
    ("folder as a file", lambda: fp.read_landscape("."), "folder|directory|regular"),
    ("result without a figure", lambda: fp.plot(3), "no figure"),
]

COMMANDS = [
    ("missing file", ["analyse", "no_such_file.h5"], "no_such_file"),
    ("missing bounds", ["evolve", "x**2", "--theta", "1"], "--x LOW HIGH"),
    ("negative temperature", ["evolve", "x**2", "--x", "-1", "1", "--theta", "-1"], "theta"),
    ("hostile expression", ["evolve", "__import__('os').system('true')", "--x", "-1", "1", "--theta", "1"],
     "."),
    ("bad parameter", ["sample", "a*x**2", "--x", "-1", "1", "--theta", "1", "--set", "a=b"], "NAME=NUMBER"),
    ("bounds for a missing axis", ["evolve", "x**2", "--x", "-1", "1", "--y", "-1", "1", "--theta", "1"],
     "--y"),
]


def sentence(call):
    """The message of the error that a wrong call raises."""
    try:
        call()
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        return " ".join(str(error).split())
    raise AssertionError("the wrong call went through")


@pytest.mark.parametrize("what, call, words", CASES, ids=[c[0] for c in CASES])
def test_a_wrong_call_gets_one_clear_sentence(what, call, words):
    import re

    text = sentence(call)
    assert re.search(words, text), text
    assert 15 < len(text) < 500 and "Traceback" not in text and "numba" not in text.lower(), text


@pytest.mark.parametrize("what, argv, words", COMMANDS, ids=[c[0] for c in COMMANDS])
def test_a_wrong_command_ends_with_one_sentence_and_code_two(what, argv, words, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and words.strip(".") in captured.err
    assert captured.err.startswith("fpkit: ") and captured.err.count("\n") == 1


if __name__ == "__main__":
    for what, call, _ in CASES:
        print(f"{what:38s} {sentence(call)}")


HUGE = 10**400                                     # a whole number beyond the range of floats


@pytest.mark.parametrize("call", [
    lambda: fp.Potential("a*x", a=HUGE), lambda: fp.Potential(lambda x, a=HUGE: a * x),
    lambda: fp.Potential("a*x", a=1.0).with_params(a=HUGE), lambda: fp.Potential("x*1" + "0" * 400),
    lambda: fp.Potential(lambda x: x * HUGE), lambda: fp.Potential("x")([HUGE]),
    lambda: fp.Potential("x", ndim=HUGE), lambda: fp.Potential("x") + HUGE, lambda: HUGE * fp.Potential("x"),
    lambda: fp.Potential("x").tilted([HUGE]), lambda: fp.Grid([(0, HUGE)], 4),
    lambda: fp.Grid([(0, 1)], HUGE),
    lambda: fp.Ball([HUGE], 1.0), lambda: fp.Ball([0], HUGE), lambda: fp.Box([(0, HUGE)]),
    lambda: diffusion(mobility=HUGE), lambda: fp.Diffusion(fp.Potential("x"), HUGE),
    lambda: fp.GridPotential([[0, 1, 2, 3, HUGE]], [0, 1, 2, 3, 4.0]), lambda: fp.Walls([(0, HUGE)]),
    lambda: fp.simulate(fp.Potential("x**2"), 0.1, [HUGE], 0.1, 2),
    lambda: fp.simulate(fp.Potential("x**2"), 0.1, [0], 0.1, HUGE),
    lambda: fp.find_wells(fp.Potential("x**2"), [(-1, 1)], n_starts=HUGE),
    lambda: fp.find_wells(fp.Potential("x**2"), [(-HUGE, HUGE)]),
    lambda: diffusion().evolve([HUGE], [1.0]), lambda: diffusion().evolve([0.0], [HUGE]),
    lambda: fp.catalogue.double_well(barrier=HUGE), lambda: fp.Grid([(0, 10**6000)], 4),
], ids=lambda call: "")
def test_a_giant_integer_gets_a_sentence(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and 15 < len(text) < 400
