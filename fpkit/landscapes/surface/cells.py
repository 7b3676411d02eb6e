"""Which cells of an exported surface hold a loss: valid, unfinished (never computed) or diverged."""
from __future__ import annotations

import numpy as np

# what MPI Reduce(MAX) leaves where the loss was NaN
FINFO_MINS = (np.finfo(float).min, float(np.finfo(np.float32).min))
PENDING, OK, NOT_FINITE, FAILED = 0, 1, 2, 3         # /fpkit/status


def classify(loss, accuracy=None, is_own_format=False, status=None, is_complete=True):
    """Masks of valid, unfinished and diverged cells, and sentences about doubtful ones.

    Parameters
    ----------
    loss, accuracy : ndarray
        As stored; accuracy in percent or None.
    is_own_format : bool
        The file follows fpkit's schema: missing is NaN, and -1 is a number like any other.
    status : ndarray or None
        /fpkit/status: 0 pending, 1 ok, 2 not finite, 3 failed.
    is_complete : bool
        False when the file says that its computation is still to be finished.

    Returns
    -------
    valid, unfinished, diverged : ndarray of bool
        Each cell is in exactly one class.
    remarks : list of str

    Notes
    -----
    The writer of tomgoldstein's layout fills loss and accuracy with -1 before it computes. "Loss <= 0 is
    unfinished", the rule of its scheduler, would throw away a legal surface of negative losses; "-1 is
    unfinished" would hide a cell that diverged, where an MPI maximum over NaN left the loss at -1 beside a
    real accuracy.
    """
    loss = np.asarray(loss, float)
    remarks = []
    not_finite = ~np.isfinite(loss)
    if is_own_format:
        if status is not None:
            unfinished = status == PENDING
            diverged = (not_finite | (status == NOT_FINITE) | (status == FAILED)) & ~unfinished
        else:
            unfinished = np.isnan(loss) & (not is_complete)
            diverged = not_finite & ~unfinished
        return ~unfinished & ~diverged, unfinished, diverged, remarks
    is_start_value = loss == -1
    from_reduction = np.isin(loss, FINFO_MINS)
    others_negative = bool((loss[~not_finite & ~is_start_value & ~from_reduction] < 0).any())
    if accuracy is None:
        unfinished = is_start_value
        lost = np.zeros_like(unfinished)
        if others_negative and unfinished.any():
            remarks.append(f"{int(unfinished.sum())} cells hold exactly -1 and count as unfinished, but "
                           "other losses are negative and there is no accuracy to tell them apart.")
    else:
        unfinished = is_start_value & (accuracy == -1)
        lost = is_start_value & ~unfinished
        if lost.any() and others_negative and not from_reduction.any():
            remarks.append(f"{int(lost.sum())} cells hold exactly -1 beside a computed accuracy; other "
                           "losses are negative too, so they count as valid.")
            lost = np.zeros_like(lost)
    diverged = not_finite | from_reduction | lost
    return ~unfinished & ~diverged, unfinished, diverged, remarks


def neighbourhood(mask, neighbours=8):
    """Cells that have a neighbour in `mask` (4 or 8 neighbours in the plane, 2 on a line); the mask's own
    cells may be among them."""
    near = np.zeros_like(mask)
    for step in offsets(mask.ndim, neighbours):
        near[tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, mask.shape))] |= \
            mask[tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, mask.shape))]
    return near


def offsets(ndim, neighbours=8):
    """Steps to the neighbours of a cell, array (n, ndim): 8 or 4 in the plane, 2 on a line (26 or 6 in
    space)."""
    if neighbours not in (4, 8):
        raise ValueError(f"neighbours must be 4 or 8, got {neighbours!r}.")
    steps = np.array([s for s in np.ndindex(*(3,) * ndim)]) - 1
    length = np.abs(steps).sum(axis=1)
    return steps[(length > 0) & ((length == 1) | (neighbours == 8))]


def on_edge(shape):
    """True for the cells at the border of the box."""
    edge = np.zeros(shape, bool)
    for axis in range(len(shape)):
        view = np.moveaxis(edge, axis, 0)
        view[0] = view[-1] = True
    return edge


def components(valid, neighbours=8):
    """Labels of the connected sets of valid cells (-1 elsewhere), numbered in the order of their first
    cell."""
    from scipy import ndimage

    structure = np.zeros((3,) * valid.ndim, bool)
    structure[(1,) * valid.ndim] = True
    for step in offsets(valid.ndim, neighbours):
        structure[tuple(step + 1)] = True
    labels, _ = ndimage.label(valid, structure)
    return labels - 1
