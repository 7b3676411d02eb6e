"""Networks of minima and saddles in the text files of topsearch: the bridge to disconnectivity graphs of
other programs."""
from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.files import replacing
from ..surface.merge_tree import Branch, MergeTree
from .checked_hdf5 import LandscapeFormatError

MAX_BYTES = 8 * 2**20                                # of one text file
FILES = ("min.data", "min.coords", "ts.data", "ts.coords", "pairlist")


@dataclass(frozen=True, repr=False, eq=False)
class Network:
    """Minima, and the saddles that join two of them: no grid, so no density and no rates, but a merge tree.

    Attributes
    ----------
    energies : ndarray, shape (n_minima,)
        Loss at the minima.
    points : ndarray, shape (n_minima, ndim)
    pairs : ndarray of int, shape (n_saddles, 2)
        Places of the two minima of each saddle.
    saddle_energies : ndarray, shape (n_saddles,)
    saddle_points : ndarray, shape (n_saddles, ndim)
    path : str
        The folder it was read from, "" otherwise.
    """
    energies: np.ndarray
    points: np.ndarray
    pairs: np.ndarray
    saddle_energies: np.ndarray
    saddle_points: np.ndarray
    path: str = ""

    key = "min.data"
    refusal = ("this is a network of minima and saddles without a surface, so there is nothing to integrate "
               "over; its depths and barriers are in read_landscape(...).merge_tree()")

    @property
    def ndim(self) -> int:
        return self.points.shape[1]

    def merge_tree(self) -> MergeTree:
        """Merge tree by the elder rule: branches with `.index` (minimum,), `.minimum`, `.death`,
        `.saddle_index` (saddle,)."""
        rank = np.empty(self.energies.size, int)
        order = np.argsort(self.energies, kind="stable")
        rank[order] = np.arange(order.size)
        home, ends = list(range(rank.size)), {}

        def root(i):
            while home[i] != i:
                home[i] = home[home[i]]
                i = home[i]
            return i

        for k in np.argsort(self.saddle_energies, kind="stable"):
            a, b = (root(int(i)) for i in self.pairs[k])
            if a != b:
                old, young = (a, b) if rank[a] < rank[b] else (b, a)
                home[young] = old
                ends[young] = (float(self.saddle_energies[k]), (int(k),), int(rank[old]))
        branches = [Branch((int(i),), float(self.energies[i]), *ends.get(int(i), (None, None, None)))
                    for i in order]
        return MergeTree(branches, None, None)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the facts."""
        tree = self.merge_tree()
        return {"kind": "network", "file": os.path.basename(os.path.normpath(self.path)) if self.path else "",
                "minima": self.energies.size, "saddles": self.saddle_energies.size, "ndim": self.ndim,
                "components": len(tree.roots), "lowest": {"value": tree[0].minimum, "index": tree[0].index[0],
                                                          "point": self.points[tree[0].index[0]].tolist()},
                "analysis": f"refused: {self.refusal}"}

    def write(self, folder: str | os.PathLike) -> str:
        """Write topsearch's text files (min.data, min.coords, ts.data, ts.coords, pairlist) into a folder;
        its path."""
        folder = os.fspath(folder)
        with suppress(FileExistsError):
            os.mkdir(folder)
        numbered = lambda energies, *columns: [" ".join([*map(str, row), f"{e:.17g}"]) for *row,
                                               e in zip(*columns, energies.tolist())]
        tables = {"min.data": numbered(self.energies, range(self.energies.size)),
                  "min.coords": _rows(self.points), "ts.data": numbered(self.saddle_energies,
                                                                        *self.pairs.T.tolist()),
                  "ts.coords": _rows(self.saddle_points),
                  "pairlist": [f"{a} {b}" for a, b in np.sort(self.pairs, axis=1).tolist()]}
        for name, lines in tables.items():
            with replacing(os.path.join(folder, name)) as temporary, open(temporary, "w",
                                                                          encoding="ascii") as stream:
                stream.writelines(line + "\n" for line in lines)
        return folder

    def __repr__(self):
        return (f"network of {self.energies.size} minima and {self.saddle_energies.size} saddles in "
                f"{self.ndim} dimensions\n{self.merge_tree()}")


def network_of(landscape: Any, persistence: float = 0.0, neighbours: int = 8) -> Network:
    """Network of the grid minima of a landscape whose persistence exceeds the given one, each joined at its
    saddle to the elder minimum.

    Its disconnectivity graph is that of the landscape.
    """
    tree = landscape.merge_tree(neighbours)
    kept = tree.kept(persistence)
    place = {k: n for n, k in enumerate(kept)}
    joins = [k for k in kept if tree[k].death is not None]
    at = lambda indices: np.array([landscape.point(i) for i in indices]).reshape(-1, landscape.ndim)
    return Network(np.array([tree[k].minimum for k in kept]), at([tree[k].index for k in kept]),
                   np.array([(place[tree[k].parent], place[k]) for k in joins], int).reshape(-1, 2),
                   np.array([tree[k].death for k in joins], float), at([tree[k].saddle_index for k in joins]))


# ---- reading ----

def is_network(path):
    """Whether `path` is a folder with a min.data, or a file of that name (a suffix may follow)."""
    name = os.path.basename(os.path.normpath(path))
    return name.startswith("min.data") or (os.path.isdir(path)
                                           and os.path.lexists(os.path.join(path, "min.data")))


def read_network(path):
    """`Network` of a folder of topsearch's text files, or of one of its min.data files."""
    suffix = ""
    folder = path
    if not os.path.isdir(path):
        folder, name = os.path.split(path)
        suffix = name[len("min.data"):]
    tables = {name: _table(folder, name + suffix) for name in FILES[:4]}

    def fail(key, reason):
        raise LandscapeFormatError(path, key, reason)

    minima, saddles = tables["min.data"], tables["ts.data"]
    if minima is None or minima.ndim != 2 or minima.shape[1] != 2:
        fail("min.data", "expected lines of a number and an energy")
    labels = minima[:, 0]
    is_whole = np.isfinite(minima).all() and (labels == np.floor(labels)).all()
    if not is_whole or len(set(labels.tolist())) != len(labels):
        fail("min.data", "the minima are not numbered by different whole numbers with finite energies")
    saddles = np.empty((0, 3)) if saddles is None else saddles
    if saddles.shape[1] != 3:
        fail("ts.data", "expected lines of two numbers of minima and an energy")
    place = {int(n): k for k, n in enumerate(labels)}
    if not np.isfinite(saddles).all() or not all(a in place and b in place for a,
                                                 b in saddles[:, :2].tolist()):
        fail("ts.data", "a saddle names a minimum that is not in min.data, or has no finite energy")
    points = _points(fail, "min.coords", tables["min.coords"], len(minima), None)
    saddle_points = _points(fail, "ts.coords", tables["ts.coords"], len(saddles), points.shape[1])
    pairs = np.array([(place[a], place[b]) for a, b in saddles[:, :2].tolist()], int).reshape(-1, 2)
    return Network(minima[:, 1].copy(), points, pairs, saddles[:, 2].copy(), saddle_points, path)


def _points(fail, key, table, n, width):
    """Coordinates, one row a stationary point; without a file, rows of no coordinates."""
    if table is None:
        return np.empty((n, width or 0))
    if len(table) != n or not np.isfinite(table).all():
        fail(key, f"expected {n} lines of finite coordinates")
    if width is not None and table.shape[1] != width:
        fail(key, f"a point has {table.shape[1]} coordinates, those of the minima have {width}")
    return table


def _table(folder, name):
    """Numbers of a text file, one row a line; None when it is absent or empty."""
    path = os.path.join(folder, name)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        if name.startswith("min.data"):
            raise LandscapeFormatError(path, None, "there is no such file") from None
        return None
    except OSError:
        raise LandscapeFormatError(path, None, "it cannot be opened as a file of this folder (a link is not "
                                   "followed)") from None
    with open(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise LandscapeFormatError(path, None,
                                       f"expected a regular text file of at most {MAX_BYTES} bytes")
        lines = [line.split(b"#")[0].split() for line in stream.read(MAX_BYTES).splitlines()]
    rows = [line for line in lines if line]
    if not rows:
        return None
    if len({len(r) for r in rows}) > 1:
        raise LandscapeFormatError(path, None, "its lines do not have the same number of columns")
    try:
        return np.array([[float(v) for v in r] for r in rows])
    except ValueError:
        raise LandscapeFormatError(path, None, "it holds something else than numbers") from None


def _rows(points):
    return [" ".join(f"{v:.17g}" for v in p) for p in points.tolist()]
