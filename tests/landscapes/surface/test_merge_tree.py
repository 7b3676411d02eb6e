"""The merge tree: equal to the plain reference bit for bit, saddles are minimax levels, basins cover the
plane."""
import heapq
import time

import numpy as np
import pytest

from fpkit.landscapes.surface.cells import components, neighbourhood, offsets
from fpkit.landscapes.surface.merge_tree import merge_tree


def near(index, shape, neighbours):
    for step in offsets(len(shape), neighbours):
        j = tuple(int(a + b) for a, b in zip(index, step))
        if all(0 <= a < n for a, n in zip(j, shape)):
            yield j


def reference(loss, valid, neighbours):
    """Ascending flooding with the elder rule, the shortest code that is obviously right: (minimum, index,
    death, saddle)."""
    order = sorted(zip(loss[valid].tolist(), map(tuple, np.argwhere(valid).tolist())))
    parent, birth, tree = {}, {}, []

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for value, i in order:
        parent[i], birth[i] = i, (value, i)
        for j in near(i, loss.shape, neighbours):
            if j in parent and root(i) != root(j):
                old, young = sorted((root(i), root(j)), key=birth.get)
                parent[young] = old
                if birth[young][0] < value:
                    tree.append((*birth[young], value, i))
    tree += [(*birth[r], None, None) for r in {root(i) for i in parent}]
    return sorted(tree, key=lambda t: t[:2])


def rough(seed, shape, levels=None, holes=0.0):
    rng = np.random.default_rng(seed)
    loss = rng.normal(size=shape)
    if levels:
        loss = np.round(loss * levels) / levels               # plateaus
    loss[rng.random(shape) < holes] = np.nan
    return loss


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("shape", [(9, 13), (1, 20), (17, 4), (25,)])
@pytest.mark.parametrize("levels, holes", [(None, 0.0), (2, 0.0), (1, 0.3), (None, 0.4)])
def test_equals_the_plain_reference_bit_for_bit(shape, levels, holes, neighbours):
    for seed in range(8):
        loss = rough(seed, shape, levels, holes)
        tree = merge_tree(loss, neighbours=neighbours)
        found = [(b.minimum, b.index, b.death, b.saddle_index) for b in tree]
        assert found == reference(loss, np.isfinite(loss), neighbours)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_branches_are_the_plateaus_without_a_lower_neighbour(neighbours):
    for seed in range(10):
        loss = rough(seed, (12, 9), 1, 0.2)
        count = 0
        for level in np.unique(loss[np.isfinite(loss)]):
            plateaus = components(loss == level, neighbours)
            for k in range(plateaus.max() + 1):
                count += not (neighbourhood(plateaus == k, neighbours) & (loss < level)).any()
        assert len(merge_tree(loss, neighbours=neighbours)) == count


def test_deaths_are_minimax_levels():
    loss = rough(3, (14, 14), None, 0.1)
    tree = merge_tree(loss)
    for b in tree:
        lower = {c.index for c in tree if (c.minimum, c.index) < (b.minimum, b.index)}
        best, heap = {b.index: b.minimum}, [(b.minimum, b.index)]
        reached = None
        while heap:  # Dijkstra with the maximum along the way as its length
            level, i = heapq.heappop(heap)
            if i in lower:
                reached = level
                break
            for j in near(i, loss.shape, 8):
                if np.isfinite(loss[j]) and max(level, loss[j]) < best.get(j, np.inf):
                    best[j] = max(level, loss[j])
                    heapq.heappush(heap, (best[j], j))
        assert reached == b.death


@pytest.mark.parametrize("levels", [None, 2])
def test_basins_follow_the_lowest_neighbour(levels):
    loss = rough(5, (15, 11), levels, 0.15)
    tree = merge_tree(loss)
    basins = tree.basins()
    assert np.array_equal(basins >= 0, np.isfinite(loss))
    for k, b in enumerate(tree):
        assert basins[b.index] == k
    for i in map(tuple, np.argwhere(np.isfinite(loss))):
        below = [(loss[j], j) for j in near(i, loss.shape, 8) if np.isfinite(loss[j])]
        if below and min(below)[0] < loss[i]:
            assert basins[i] == basins[min(below)[1]]


def test_merged_basins_keep_only_persistent_wells():
    loss = rough(7, (30, 30))
    tree = merge_tree(loss)
    counts = [len(tree.kept(p)) for p in (0.0, 0.5, 1.0, 2.0, 5.0)]
    assert counts == sorted(counts, reverse=True) and counts[-1] == len(tree.roots) == 1
    for p in (0.5, 1.0, 2.0):
        assert set(np.unique(tree.basins(p))) == set(tree.kept(p))
        assert len(tree.wells(p / 3)) == len(tree.kept(p))


def test_adding_a_constant_or_mirroring_changes_no_tree():
    loss = np.round(rough(11, (13, 10)) * 64) / 64            # exactly representable, so that sums are exact
    tree = merge_tree(loss)
    moved = merge_tree(loss + 1024.0)
    assert [(b.index, b.death) for b in tree] == [(b.index, None if b.death is None else b.death - 1024.0)
                                                  for b in moved]
    turned = merge_tree(np.ascontiguousarray(rough(11, (13, 10))[::-1]))
    assert sorted(b.persistence for b in merge_tree(rough(11,
                                                          (13, 10)))) == sorted(b.persistence for b in turned)


def test_huge_values_are_compared_and_not_computed_with():
    loss = np.array([[1e308, -1e308, 1e308], [0.0, 1e300, -1e300], [5e-324, 0.0, 1.0]])
    assert [b.minimum for b in merge_tree(loss, neighbours=4)][0] == -1e308


def test_a_large_plane_takes_a_blink():
    rng = np.random.default_rng(0)
    loss = np.cumsum(np.cumsum(rng.normal(size=(101, 101)), 0), 1)
    merge_tree(loss)                                           # compiles or loads
    spent = []
    for _ in range(5):
        start = time.process_time()
        merge_tree(loss)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1, spent
