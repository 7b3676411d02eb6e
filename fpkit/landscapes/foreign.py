"""Companions of a foreign surface: the Gram matrix from its direction file, the trajectory from its projection file."""
from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from .hostile import MAX_NAMES, open_checked

GROUPS = ("xdirection", "ydirection", "zdirection")
ORTHONORMAL = 1e-6


def gram_matrix(path, ndim=2):
    """Gram matrix (ndim, ndim) of the directions in a file of tomgoldstein's layout, and remarks.

    Each of the groups xdirection, ydirection holds one dataset a tensor, in the same order. Integer tensors and single numbers (the counters
    of batch normalisation) are no parameters and stay out.

    Raises
    ------
    LandscapeFormatError
        When the file is not one of directions, or its tensors do not match.
    """
    G, left_out, is_own = np.zeros((ndim, ndim)), 0, False
    with open_checked(path) as file:
        groups = [f"fpkit/directions/{n}" for n in "xyz"[:ndim]]
        is_own = all(file.has(g) for g in groups)
        if is_own:
            tensors = [[file.array(g, ndim=1) for g in groups]]
        else:
            groups = GROUPS[:ndim]
            for g in groups:
                if not file.has(g):
                    file.fail(g, f"it is missing, so this is no file of {ndim} direction(s)")
            names = [file.names(g) for g in groups]
            if any(sorted(n) != sorted(names[0]) for n in names):
                file.fail(groups[-1], "its tensors are not those of the first direction")
            if len(names[0]) >= MAX_NAMES:
                file.fail(groups[0], f"it has {MAX_NAMES} tensors or more, which is more than is read")
            tensors = _tensors(file, groups, names[0])
        for parts in tensors:
            if parts is None:
                left_out += 1
                continue
            if any(p is None or p.shape != parts[0].shape for p in parts):
                file.fail(groups[-1], "a tensor differs in shape from that of the first direction, or was never written")
            if not all(np.isfinite(p).all() for p in parts):
                file.fail(groups[0], "a tensor holds values that are not finite")
            flat = np.stack([p.ravel() for p in parts])
            G += flat @ flat.T
        if not (np.linalg.eigvalsh(G) > 1e-12 * np.trace(G)).all():
            file.fail(groups[-1], "the directions are zero or parallel, so they span no plane")
    said = [f"The metric comes from the directions in {os.path.basename(os.fspath(path))!r}."]
    if left_out:
        said.append(f"{left_out} integer or single-number tensors of the direction file (counters) are left out of the metric.")
    return G, said


def _tensors(file, groups, names):
    for name in names:
        sets = [file.dataset(f"{g}/{name}") for g in groups]
        yield None if any(d.dtype.kind not in "f" or d.shape in ((), None) for d in sets) else [file.array(f"{g}/{name}") for g in groups]


def projected_trajectory(path, gram=None, ndim=2):
    """Points (n, ndim) of a projection file, in the coordinates of the plane, and remarks.

    proj_xcoord and proj_ycoord of the common 'cos' projection are arc lengths p_i = d_i.v/|d_i|; the coefficients are
    c = G^-1 (|d_i| p_i). The two agree for orthonormal directions only.
    """
    keys = ("proj_xcoord", "proj_ycoord", "proj_zcoord")[:ndim]
    with open_checked(path) as file:
        if not all(file.has(k) for k in keys):
            file.fail(keys[0], "there is no trajectory (proj_xcoord, proj_ycoord) in this file")
        columns = [file.array(k, ndim=1) for k in keys]
        if any(c is None or c.size != columns[0].size or not np.isfinite(c).all() for c in columns):
            file.fail(keys[0], "the coordinates of the trajectory do not fit together, or are not finite")
    points = np.stack(columns, axis=-1)
    name = os.path.basename(os.fspath(path))
    if "lstsq" in name:
        return points, ["The trajectory is taken as coefficients (a least-squares projection, by its name)."]
    if gram is None:
        return points, ["Without the directions the trajectory is taken as coefficients; if its projection was 'cos' and the directions are not orthonormal, it is "
                        "off by their lengths."]
    lengths = np.sqrt(np.diag(gram))
    if np.abs(gram - np.eye(ndim)).max() < ORTHONORMAL:
        return points, []
    return np.linalg.solve(gram, (points * lengths).T).T, ["The trajectory was turned from arc lengths along the directions into coefficients, with their Gram matrix."]


def with_companions(land, directions=None, trajectory=None):
    """The landscape with the metric of a direction file and the path of a projection file."""
    said = []
    if directions is not None:
        gram, more = gram_matrix(directions, land.ndim)
        land, said = replace(land, gram=gram), said + more
    if trajectory is not None:
        points, more = projected_trajectory(trajectory, land.gram, land.ndim)
        land, said = replace(land, trajectory=points, trajectory_steps=None), said + more
    return replace(land, warnings=(*land.warnings, *said)) if said else land
