"""Which cells of an exported surface hold a loss: valid, unfinished (never computed) or diverged."""
from __future__ import annotations

import numpy as np

from ...core.networks import connected_parts

# what MPI Reduce(MAX) leaves where the loss was NaN
FINFO_MINS = (np.finfo(float).min, float(np.finfo(np.float32).min))
# what nan_to_num and the like put in for an infinity
FINFO_MAXS = (np.finfo(float).max, float(np.finfo(np.float32).max))
FEWEST_FILLED, SHARE_FILLED = 4, 0.02                # cells, and their share, that make a value conspicuous
APART = 0.1                                          # of the lower half of the other losses
PENDING, OK, NOT_FINITE, FAILED = 0, 1, 2, 3         # /fpkit/status


def classify(loss, accuracy=None, is_own_format=False, status=None, is_complete=True,
             fills_with_minus_one=True):
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

    fills_with_minus_one : bool
        The writer fills arrays with -1 before it computes, as tomgoldstein's does; elsewhere -1 is a number.

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
        remarks += [f"{int((loss == v).sum())} cells hold exactly {v:g}, far from every other loss; if that "
                    "stands for a missing value, write NaN."
                    for v in filled_in(np.where(unfinished | diverged, np.nan, loss))]
        return ~unfinished & ~diverged, unfinished, diverged, remarks
    is_start_value = (loss == -1) & fills_with_minus_one
    from_reduction = np.isin(loss, (*FINFO_MINS, *FINFO_MAXS))
    for filled in filled_in(np.where(from_reduction | is_start_value, np.nan, loss)):
        from_reduction |= loss == filled
        remarks.append(f"{int((loss == filled).sum())} cells hold exactly {filled:g}, far from every other "
                       "loss: a value put in for losses that were not finite; they count as diverged.")
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


def filled_in(loss):
    """The lowest and the highest value, each where it is one that a program put in for losses that were not
    finite: held exactly by several cells, and with a gap to all others that no continuous surface has."""
    known, found = loss[np.isfinite(loss)], []
    for is_high in (True, False):
        if known.size < 2:
            break
        end = known.max() if is_high else known.min()
        n, rest = int((known == end).sum()), known[known != end]
        if n < max(FEWEST_FILLED, SHARE_FILLED * known.size) or rest.size < FEWEST_FILLED:
            continue
        if is_high:                            # losses that blew up are high too, but not by one number
            is_apart = end - rest.max() > rest.max() - rest.min()
        else:
            steps = np.diff(np.unique(rest)[:12])        # quantised losses have such gaps everywhere
            typical = float(np.median(steps)) if steps.size else 0.0
            is_apart = rest.min() - end > max(APART * (np.median(rest) - rest.min()), 2 * typical)
        if is_apart:
            found.append(float(end))
            known = rest
    return found


def neighbourhood(mask, neighbours=8, wraps=None):
    """Cells that have a neighbour in `mask` (4 or 8 neighbours in the plane, 2 on a line); the mask's own
    cells may be among them."""
    table = neighbour_table(mask.shape, offsets(mask.ndim, neighbours), wraps)
    return (mask.ravel()[table] & (table >= 0)).any(axis=1).reshape(mask.shape)


def seam(basins, wraps=None):
    """The cells of each basin (numbers, -1 outside) that have a neighbour in another."""
    table = neighbour_table(basins.shape, offsets(basins.ndim), wraps)
    flat = basins.ravel()
    other = np.where(table >= 0, flat[table], -1)
    return ((other >= 0) & (flat[:, None] >= 0) & (other != flat[:, None])).any(axis=1).reshape(basins.shape)


def offsets(ndim, neighbours=8):
    """Steps to the neighbours of a cell, array (n, ndim): 8 or 4 in the plane, 2 on a line (26 or 6 in
    space)."""
    if neighbours not in (4, 8):
        raise ValueError(f"neighbours must be 4 or 8, got {neighbours!r}.")
    steps = np.array([s for s in np.ndindex(*(3,) * ndim)]) - 1
    length = np.abs(steps).sum(axis=1)
    return steps[(length > 0) & ((length == 1) | (neighbours == 8))]


def neighbour_table(shape, steps, wraps=None):
    """Flat index of the cell that each step leads to from each cell, (n_cells, n_steps); -1 beyond the box.

    wraps: for each axis of the array, whether its ends are the same place.
    """
    wraps = wraps or (False,) * len(shape)
    table = np.zeros((int(np.prod(shape)), len(steps)), np.int64)
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    for k, step in enumerate(steps):
        there, inside = np.zeros(shape, np.int64), np.ones(shape, bool)
        for axis, (n, s) in enumerate(zip(shape, step)):
            place = np.arange(n) + int(s)
            ok = np.full(n, True) if wraps[axis] else (place >= 0) & (place < n)
            form = [-1 if a == axis else 1 for a in range(len(shape))]
            there += (place % n * strides[axis]).reshape(form)
            inside &= ok.reshape(form)
        table[:, k] = np.where(inside, there, -1).ravel()
    return table


def on_edge(shape, wraps=None):
    """True for the cells at the border of the box; an axis that wraps has none."""
    edge = np.zeros(shape, bool)
    for axis in range(len(shape)):
        view = np.moveaxis(edge, axis, 0)
        if not (wraps and wraps[axis]):
            view[0] = view[-1] = True
    return edge


def components(valid, neighbours=8, wraps=None):
    """Labels of the connected sets of valid cells (-1 elsewhere), numbered in the order of their first
    cell."""
    table = neighbour_table(valid.shape, offsets(valid.ndim, neighbours), wraps)
    cells = np.flatnonzero(valid)
    here, there = np.repeat(cells, table.shape[1]), table[cells].ravel()
    both = (there > here) & valid.ravel()[there]
    part = connected_parts(valid.size, np.stack([here[both], there[both]], axis=1))
    labels = np.full(valid.size, -1)
    _, first, labels[cells] = np.unique(part[cells], return_index=True, return_inverse=True)
    rank = np.empty(first.size, int)
    rank[np.argsort(first)] = np.arange(first.size)
    labels[cells] = rank[labels[cells]] if cells.size else labels[cells]
    return labels.reshape(valid.shape)
