"""Landscapes of known functions for the referee of the reports: f is known between the samples too."""
from __future__ import annotations

import numpy as np

from fpkit.landscapes.surface.landscape import Landscape

FLAT = np.eye(2)
BOX = [(-1.8, 1.8), (-1.8, 1.8)]


def landscape(name, f, box=BOX, n=(41, 41), gram=FLAT, hole=None, noise=0.0, periodic=(), test=None, **more):
    """(Landscape of f on a box, f, test): samples at its corners, NaN in the hole."""
    axes = [np.linspace(*b, m, endpoint=not (periodic and periodic[k]))
            for k, (b, m) in enumerate(zip(box, n))]
    mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    loss = np.asarray(f(*mesh), float) + 0 * mesh[0]
    loss = loss + noise * np.random.default_rng(0).standard_normal(loss.shape)
    loss = loss if hole is None else np.where(hole(*mesh), np.nan, loss)
    surfaces = {"train_loss": loss} | ({} if test is None else {"test_loss": test(*mesh) + 0 * mesh[0]})
    valid = np.isfinite(loss)
    return Landscape(name, "train_loss", tuple(axes), loss, surfaces, dict(surfaces), valid,
                     np.zeros_like(valid), ~valid, gram=gram, periodic=periodic, **more)


def two(x, y):
    """Two wells at (-1, 0) and (1, 0), as deep as each other, and a pass between them at 1."""
    return (x**2 - 1) ** 2 + y**2 / 2


def tilted(x, y):
    return two(x, y) + 0.1 * x


def mueller_brown(x, y):
    rows = ((-200, -1, 0, -10, 1, 0), (-100, -1, 0, -10, 0, 0.5), (-170, -6.5, 11, -6.5, -0.5, 1.5),
            (15, 0.7, 0.6, 0.7, -1, 1))
    return sum(A * np.exp(a * (x - p) ** 2 + b * (x - p) * (y - q) + c * (y - q) ** 2)
               for A, a, b, c, p, q in rows)


def hollows(*wells):
    """Gaussian hollows (x, y, depth, width) in a flat bowl."""
    return lambda x, y: 0.02 * (x**2 + y**2) - sum(
        d * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s * s)) for a, b, d, s in wells)


def _tilted_box(x, y, z):
    return tilted(x, y) + z**2


SGD = {"tensor": np.diag([0.03, 0.03]), "lr": 0.1, "batch": 32.0, "momentum": 0.9}
# name: (f, options of the landscape, options of the analysis)
SURFACES = {
    "symmetric": (two, {}, {}),
    "tilted": (tilted, {"n": (31, 31)}, {}),
    "between the samples": (two, {"n": (40, 40)}, {"start": [0.0, 0.0]}),
    "skew metric": (lambda x, y: tilted(x, y) + 0.3 * x * y,
                    {"n": (45, 39), "gram": np.array([[1374.0, 580.0], [580.0, 996.0]])}, {"lr": 0.1}),
    "slow axis": (tilted, {"gram": np.diag([1.0, 1e4])}, {}),
    "no metric": (tilted, {"n": (25, 25), "gram": None}, {}),
    "high start": (lambda x, y: (x - 15) ** 2 / 2 + y**2,
                   {"box": [(-1, 21), (-4, 4)], "n": (111, 41)}, {"theta": [0.05, 0.1], "start": [0.0, 0.0]}),
    "high up two wells": (lambda x, y: 30 * two(x, y) + x, {"box": [(-2.5, 2.5)] * 2, "n": (51, 51)},
                          {"start": [2.4, 2.4]}),
    "noisy": (tilted, {"noise": 0.03}, {}),
    "more noise than depth": (tilted, {"noise": 0.3}, {}),
    "nothing but noise": (lambda x, y: 0 * x, {"noise": 1.0, "n": (31, 31)}, {}),
    "blown-up rim": (lambda x, y: np.where(x**2 + y**2 > 2.2, 1e12 * (x**2 + y**2), tilted(x, y)), {}, {}),
    "growing rim": (lambda x, y: two(x, y) + 0.2 * x + np.exp(8 * (x**2 + y**2) - 16),
                    {"box": [(-3, 3)] * 2, "n": (51, 51)}, {}),
    "two angles": (lambda x, y: 1 + 0.5 * np.cos(x) + 0.5 * np.cos(2 * y) + 0.1 * np.sin(y),
                   {"box": [(-np.pi, np.pi)] * 2, "n": (36, 36), "periodic": (True, True)}, {}),
    "one quartic well": (lambda x, y: x**4 + y**2, {"n": (31, 31), "test":
                                                    lambda x, y: 0.5 + x**4 + y**2 + 0.2 * x}, {}),
    "no well": (lambda x, y: x + 0.5 * y, {"n": (31, 31)}, {}),
    "wells on the edge": (lambda x, y: y**2 - x**2 - 0.1 * x, {"n": (31, 31)}, {}),
    "line": (lambda x: 0.3 * np.cos(4 * x) + 0.1 * x**2 + 0.05 * x,
             {"box": [(-3, 3)], "n": (101,), "gram": np.eye(1)}, {}),
    "box": (_tilted_box, {"box": [(-1.6, 1.6), (-1.4, 1.4), (-1.6, 1.6)], "n": (17, 15, 17),
                          "gram": np.eye(3)}, {}),
    "not square": (lambda x, y: tilted(x, y) - 0.05 * x + 0.1 * x * y,
                   {"box": [(-1.8, 1.8), (-2.5, 2.5)], "n": (61, 17)}, {}),
    "hole": (tilted, {"hole": lambda x, y: (x - 0.1) ** 2 + y**2 < 0.3}, {}),
    "two parts": (tilted, {"hole": lambda x, y: np.abs(x) < 0.06}, {}),
    "plateaus": (lambda x, y: np.clip(tilted(x, y), 0.05, 0.8), {}, {}),
    "many equal wells": (lambda x, y: 1 - (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) / 2,
                         {"box": [(-1.5, 1.5)] * 2, "n": (49, 49)}, {}),
    "tiny differences": (lambda x, y: 1000 + 1e-9 * tilted(x, y), {}, {}),
    "narrow and deep, wide": (hollows((-1, 0, 1.05, 0.2), (1, 0, 1.0, 0.55)), {"n": (61, 61)}, {}),
    "crossover": (hollows((-1, 0, 1.1, 0.35), (1, 0, 1.0, 0.6)), {"n": (61, 61)}, {}),
    "thinner than the samples": (hollows((-1, 0, 1.3, 0.06), (1, 0, 1.0, 0.5)), {"n": (31, 31)}, {}),
    "steep and coarse": (lambda x, y: 40 * two(x, y) + 2 * x, {"n": (13, 13)}, {}),
    "seven by five": (tilted, {"n": (7, 5)}, {}),
    "Mueller-Brown": (mueller_brown, {"box": [(-1.7, 1.2), (-0.4, 2.1)], "n": (59, 51)}, {}),
    "bent valley": (lambda x, y: 10 * (y - x**2) ** 2 + 0.3 * (x**2 - 1) ** 2 + 0.1 * x,
                    {"box": [(-1.8, 1.8), (-0.8, 2.8)], "n": (61, 61)}, {}),
    "waving valley": (lambda x, y: 2 * (x**2 - 1) ** 2 + 20 * (y - 0.5 * np.sin(3 * x)) ** 2 + 0.1 * x,
                      {}, {}),
    "four wells": (lambda x, y: (x**2 - 1) ** 2 + (y**2 - 1) ** 2, {}, {}),
    "ripples": (lambda x, y: tilted(x, y) + 0.06 * np.sin(9 * x) * np.cos(8 * y), {"n": (81, 81)}, {}),
    "train and test": (tilted, {"test": lambda x, y: 0.3 + two(x + 0.05, y)}, {}),
    "an optimiser's own noise": (lambda x, y: 0.3 * tilted(x, y), {"gram": 100 * FLAT, "temperature": SGD},
                                 {"n_steps": 5000}),
    "flat": (lambda x, y: 0.7 + 0 * x, {"n": (21, 21)}, {}),
}
