"""Networks with one hidden layer on data: classifiers of handwritten digits and of wines, and a student that
learns a teacher."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core import checks
from ..core.files import shipped
from .problem import CrossEntropy, HalfSquaredError, LearningProblem, relu, views


class _OneHiddenLayer(LearningProblem):
    """out = g(X A + a) B + b with X (members, inputs); x holds A (inputs, width), a, B (width, outputs),
    b."""

    def _prepare(self, inputs, n_outputs, is_train):
        inputs = np.ascontiguousarray(inputs, float)
        inputs.setflags(write=False)
        for name, value in (("_inputs", inputs), ("_n_outputs", n_outputs), ("_cost", float(self.width)),
                            ("_index", {"train": np.flatnonzero(is_train),
                                        "test": np.flatnonzero(~is_train)})):
            object.__setattr__(self, name, value)

    @property
    def n_params(self) -> int:
        """Length of a parameter vector."""
        return (self._inputs.shape[1] + 1) * self.width + (self.width + 1) * self._n_outputs

    def layers(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views A (..., inputs, width), a (..., 1, width), B (..., width, outputs), b (..., 1, outputs) into
        parameter vectors."""
        i, w, o = self._inputs.shape[1], self.width, self._n_outputs
        return views(x, (i, w), (1, w), (w, o), (1, o))

    def start(self, scale: float = 1.0, seed: int | None = None) -> np.ndarray:
        """Random initial parameters: each layer scale * N(0, gain/(its inputs)), gain 2 for ReLU, 1 for tanh;
        no offsets."""
        x = np.random.default_rng([self.seed if seed is None else seed, 3]).normal(size=self.n_params) * scale
        A, a, B, b = self.layers(x)
        A *= np.sqrt((2.0 if self._is_relu else 1.0) / A.shape[0])
        B /= np.sqrt(self.width)
        a[:], b[:] = 0.0, 0.0
        return x

    def _outputs(self, X, members):
        A, a, B, b = self.layers(X)
        inputs = self._inputs[members]
        before = inputs @ A + a
        hidden = relu(before) if self._is_relu else np.tanh(before)

        def back(slope):
            g = np.empty((len(X), self.n_params), slope.dtype)
            gA, ga, gB, gb = self.layers(g)
            gB[:] = hidden.transpose(0, 2, 1) @ slope
            gb[:] = slope.sum(1, keepdims=True)
            inner = slope @ B.transpose(0, 2, 1)
            inner *= (before.real > 0) if self._is_relu else 1.0 - hidden * hidden
            gA[:] = inputs.T @ inner
            ga[:] = inner.sum(1, keepdims=True)
            return g
        return hidden @ B + b, back


@dataclass(frozen=True, repr=False)
class Classifier(CrossEntropy, _OneHiddenLayer):
    """A ReLU network with one hidden layer and the cross-entropy loss on given data.

    Parameters
    ----------
    inputs : ndarray, shape (n_members, n_inputs)
    labels : ndarray of int, shape (n_members,)
        Classes 0, 1, ...
    width : int
        Hidden units.
    n_members_train : int, optional
        Members of the training sample (default: half); the rest is the test sample.
    label_noise : float
        Share of the TRAINING labels replaced by a random other class.
    seed : int
        Decides the split, the wrong labels and, with `start`, the initial parameters.

    Examples
    --------
    >>> from fpkit.learning.classifiers import wine
    >>> wine(width=8)
    wine: 89 training and 89 test members of 13 inputs and 3 classes, 8 ReLU units, 139 parameters, seed 0
    """
    inputs: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    width: int = 16
    n_members_train: int | None = None
    label_noise: float = 0.0
    seed: int = 0
    name: str = "data"
    _is_relu = True

    def __post_init__(self):
        X, y = np.asarray(self.inputs, float), np.asarray(self.labels)
        if X.ndim != 2 or y.shape != (len(X),) or not np.isfinite(X).all() or not (np.equal(y, y.astype(int))
                                                                                   & (y >= 0)).all():
            raise ValueError("inputs must be finite of shape (n, k) and labels n whole numbers from 0, got "
                             f"shapes {X.shape} and {y.shape}.")
        checks.whole("width", self.width, 1)
        n = len(X) // 2 if self.n_members_train is None else checks.whole("n_members_train",
                                                                          self.n_members_train, 1)
        if not 0 < n < len(X):
            raise ValueError(f"n_members_train must leave members in each sample, got {n} of {len(X)}.")
        noise = checks.number("label_noise", self.label_noise, non_negative=True)
        rng = np.random.default_rng([checks.whole("seed", self.seed, 0), 5])
        is_train = np.zeros(len(X), bool)
        is_train[rng.permutation(len(X))[:n]] = True
        n_classes = int(y.max()) + 1
        y = y.astype(int).copy()
        wrong = rng.permutation(np.flatnonzero(is_train))[:round(noise * n)]
        y[wrong] = (y[wrong] + rng.integers(1, n_classes, wrong.size)) % n_classes
        object.__setattr__(self, "_labels", y)
        self._prepare(X, n_classes, is_train)

    def __repr__(self) -> str:
        return (f"{self.name}: {self.n_train} training and {self.n_test} test members of "
                f"{self._inputs.shape[1]} inputs and {self._n_outputs} classes, "
                f"{self.width} ReLU units, {self.n_params} parameters, seed {self.seed}")


def digits(width: int = 16, n_train: int = 500, label_noise: float = 0.0, seed: int = 0) -> Classifier:
    """Classifier of the 1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak, UCI repository, 1998),
    pixels divided by 16.

    Examples
    --------
    >>> from fpkit.learning.classifiers import digits
    >>> problem = digits(width=8, seed=1)
    >>> problem.n_train, problem.n_test, problem.n_params
    (500, 1297, 610)
    """
    table = np.loadtxt(shipped("digits.csv.gz"), delimiter=",")
    return Classifier(table[:, :-1] / 16, table[:, -1].astype(int), width, n_train, label_noise, seed,
                      "digits")


def wine(width: int = 16, n_train: int = 89, label_noise: float = 0.0, seed: int = 0) -> Classifier:
    """Classifier of 178 wines of three cultivars by 13 measurements (Aeberhard and Forina, UCI repository,
    1991), standardised."""
    table = np.loadtxt(shipped("wine.csv"), delimiter=",", skiprows=1)
    X = table[:, :-1]
    return Classifier((X - X.mean(0)) / X.std(0), table[:, -1].astype(int), width, n_train, label_noise, seed,
                      "wine")


@dataclass(frozen=True, repr=False)
class Regression(HalfSquaredError, _OneHiddenLayer):
    """A tanh network with one hidden layer and half the squared error on given data; the last
    `n_members_test` members are the test sample.

    Parameters
    ----------
    inputs : ndarray, shape (n_members, n_inputs)
    targets : ndarray, shape (n_members, n_outputs)
    width : int
    n_members_test : int
    seed : int
        Decides the initial parameters.

    Examples
    --------
    >>> from fpkit.learning.classifiers import Regression
    >>> x = np.linspace(-1, 1, 9)[:, None]
    >>> Regression(x, x**2, width=2)
    tanh network of 2 units: 8 training and 1 test members, 7 parameters
    """
    inputs: np.ndarray = field(repr=False)
    targets: np.ndarray = field(repr=False)
    width: int = 2
    n_members_test: int = 1
    seed: int = 0
    _is_relu = False

    def __post_init__(self):
        X, y = np.asarray(self.inputs, float), np.asarray(self.targets, float)
        if X.ndim != 2 or y.ndim != 2 or len(X) != len(y) or not (np.isfinite(X).all()
                                                                  and np.isfinite(y).all()):
            raise ValueError(f"inputs and targets must be finite of shapes (n, k) and (n, c), got {X.shape} "
                             f"and {y.shape}.")
        checks.whole("width", self.width, 1)
        n_test = checks.whole("n_members_test", self.n_members_test, 1)
        if n_test >= len(X):
            raise ValueError(f"n_members_test must leave a training sample, got {n_test} of {len(X)}.")
        self._prepare(X, y.shape[1], np.arange(len(X)) < len(X) - n_test)
        object.__setattr__(self, "_targets", y)

    def __repr__(self) -> str:
        return (f"tanh network of {self.width} units: {self.n_train} training and {self.n_test} test "
                f"members, {self.n_params} parameters")


@dataclass(frozen=True, repr=False)
class TeacherStudent(HalfSquaredError, _OneHiddenLayer):
    """A tanh network (student) that learns another one (teacher) from n examples with Gaussian inputs; half
    squared error.

    Parameters
    ----------
    n_inputs, width : int
        Of the student.
    teacher_width : int
        With at most `width` teacher units the risk can be zero on both samples.
    n_examples, n_tests : int
    noise : float
        Standard deviation added to the training targets.
    seed : int
        Decides teacher, inputs, noise and, with `start`, the initial parameters.

    Examples
    --------
    >>> from fpkit.learning.classifiers import TeacherStudent
    >>> problem = TeacherStudent(n_inputs=3, width=4, teacher_width=2, n_examples=40)
    >>> float(problem.risk(problem.teacher())), float(problem.risk(problem.teacher(), "test"))
    (0.0, 0.0)
    """
    n_inputs: int = 2
    width: int = 4
    teacher_width: int = 2
    n_examples: int = 30
    n_tests: int = 200
    noise: float = 0.0
    seed: int = 0
    _is_relu = False

    def __post_init__(self):
        for name in ("n_inputs", "width", "teacher_width", "n_examples", "n_tests"):
            checks.whole(name, getattr(self, name), 1)
        if self.teacher_width > self.width:
            raise ValueError(f"teacher_width must be at most width = {self.width}, got {self.teacher_width}.")
        noise = checks.number("noise", self.noise, non_negative=True)
        rng = np.random.default_rng([checks.whole("seed", self.seed, 0), 7])
        n = self.n_examples + self.n_tests
        is_train = np.arange(n) < self.n_examples
        self._prepare(rng.normal(size=(n, self.n_inputs)), 1, is_train)
        object.__setattr__(self, "_teacher", self._drawn_teacher(rng))
        outputs = self._outputs(self._teacher[None], np.arange(n))[0][0]
        outputs[is_train] += noise * rng.normal(size=(self.n_examples, 1))
        object.__setattr__(self, "_targets", outputs)

    def _drawn_teacher(self, rng):
        x = np.zeros(self.n_params)
        A, a, B, _ = self.layers(x)
        k = self.teacher_width
        A[:, :k] = 1.5 * rng.normal(size=(self.n_inputs, k))
        a[:, :k] = rng.normal(size=k)
        B[:k] = rng.choice([-1.0, 1.0], size=(k, 1)) * (0.5 + rng.random((k, 1)))
        return x

    def teacher(self) -> np.ndarray:
        """The teacher as a hypothesis: its units first, the others zero."""
        return self._teacher.copy()

    def __repr__(self) -> str:
        return (f"teacher of {self.teacher_width} and student of {self.width} tanh units, {self.n_inputs} "
                f"inputs: {self.n_examples} training and {self.n_tests} test members, {self.n_params} "
                f"parameters, seed {self.seed}")
