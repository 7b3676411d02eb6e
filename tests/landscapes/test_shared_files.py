"""Facts of real exported landscapes, pinned exactly; each was computed by two independent programs."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.analysis.sampled_chain import SampledDiffusion
from fpkit.landscapes.analysis.thermodynamics import thermodynamics
from fpkit.landscapes.files.reading import describe
from fpkit.landscapes.surface.wells import find_wells

SINGLE, THREE, LINE = ("resnet56_cifar10_filter_101x101",
                       "resnet56_cifar10_three_checkpoints_51x51_nonfinite",
                       "resnet56_cifar10_line_101_diverged")
CLEAN, ADVERSARIAL = "resnet50_cifar10_pca_31x31_clean", "resnet50_cifar10_pca_31x31_adversarial"
UNFINISHED, NEGATIVE, SMALL = ("mnist_small_dense_25x25_unfinished", "mnist_cnn_15x15_negative_loss",
                               "cifar10_net_pca_10x10")
TRAJECTORY, SETUP, DIGITS = ("cifar10_net_pca_trajectory", "cifar10_net_setup_only",
                             "own_digits_mlp_three_minima_41x41")

# file: shape, x range, y range, (valid, unfinished, diverged), minimum, index, maximum, minima with 8 and 4
# neighbours
FACTS = {
    SINGLE: ((101, 101), (-1, 1), (-1, 1), (10201, 0, 0), 0.21325223572731017, (49, 51), 38129.0109325, 1, 1),
    THREE: ((51, 51), (-0.5, 1.5), (-0.5, 1.5), (1938, 0, 663), 0.10192231113433838, (12, 13),
            224055614913.90463, 21, 74),
    LINE: ((101,), (-0.5, 1.5), None, (81, 0, 20), 0.3879278496074677, (75,), 18.154662141723634, 4, 4),
    CLEAN: ((31, 31), (-20, 25), (-20, 20), (961, 0, 0), 0.7566362403869629, (15, 13), 8.160712865085368e35,
            5, 8),
    ADVERSARIAL: ((31, 31), (-20, 25), (-20, 20), (961, 0, 0), 1.1422800552368164, (15, 13),
                  8.219512546617316e35, 6, 8),
    UNFINISHED: ((25, 25), (-1, 1), (-1, 1), (100, 525, 0), 0.49893812686602274, (3, 8), 1.8265175510406495,
                 1, 1),
    NEGATIVE: ((15, 15), (-1, 1), (-1, 1), (225, 0, 0), -1979.7117608723959, (0, 0), -1053.5636928059896, 3,
               3),
    SMALL: ((10, 10), (-1, 3), (-1, 1), (100, 0, 0), 1.1548556734085083, (5, 1), 2.5833272579956055, 1, 1),
    DIGITS: ((41, 41), (-0.5, 1.5), (-0.5, 1.5), (1681, 0, 0), 1.2876800929959592e-4, (8, 32),
             3.706060667587501, 3, 8),
}
# branches without the root: minimum, [iy, ix], death, saddle where it is known
TREES = {
    DIGITS: [(0.0029447550598413756, (32, 8), 0.3018590123623921, (22, 19)),
             (1.71466325591565e-4, (9, 9), 0.2778797653983436, (6, 23))],
    CLEAN: [(1.9660683311462402, (24, 13), 2.2758936912536623, None),
            (2.168708642578125, (27, 12), 2.347959790802002, None),
            (2.2638157527923584, (29, 11), 2.290020803833008, None),
            (2.4149347534179686, (12, 7), 2.4171223194122313, None)],
    ADVERSARIAL: [(1.9938280160903932, (24, 13), 2.2923325614929198, None),
                  (2.1797514530181883, (27, 12), 2.3474797386169435, None),
                  (2.030800080871582, (20, 14), 2.0551631576538085, None),
                  (2.2689452320098877, (29, 11), 2.292254623413086, None),
                  (2.41506227645874, (12, 7), 2.417191582489014, None)],
    NEGATIVE: [(-1928.70107421875, (0, 14), -1807.6254960286458, None),
               (-1430.0613447916667, (14, 0), -1317.0791860677084, None)],
    LINE: [(1.9345184749221802, (24,), 2.5245225634002684, None),
           (2.30643312210083, (11,), 5.652051027526856, None),
           (3.6521539554595948, (89,), 18.154662141723634, None)],
}
MEANS = {                                     # at theta 0.01, 0.1, 1
    SINGLE: (0.2227869189211086, 0.29777752334122504, 0.8576872303014782),
    DIGITS: (0.005077023585204827, 0.039894603731499605, 0.2431713958748297),
    CLEAN: (0.7566364883259536, 0.7971385200741612, 2.3828723627258284),
    ADVERSARIAL: (1.1422800564724747, 1.1729067527940669, 2.488863606300676),
    THREE: (0.10317899241556572, 0.16121900032867462, 1.9340917036459957),
}


@pytest.fixture(scope="module")
def land(shared_landscapes):
    kept = {}

    def read(name):
        if name not in kept:
            kept[name] = fp.read_landscape(shared_landscapes / f"{name}.h5")
        return kept[name]
    return read


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_a_file(land, name):
    shape, x, y, counts, minimum, index, maximum, eight, four = FACTS[name]
    found = land(name)
    assert found.shape == shape and (found.x[0], found.x[-1]) == x
    assert (y is None and found.y is None) or (found.y[0], found.y[-1]) == y
    assert (found.n_valid, found.n_unfinished, found.n_diverged) == counts
    assert np.isnan(found.loss).sum() == counts[1] + counts[2]
    assert np.nanmin(found.loss) == minimum and found.minimum_index == index
    assert np.nanmax(found.loss) == pytest.approx(maximum, rel=1e-15) and found.n_components() == 1
    assert len(found.minima(neighbours=8)) == eight and len(found.minima(neighbours=4)) == four
    assert found.minima()[0].value == minimum and found.minima()[0].index == index


@pytest.mark.parametrize("name", TREES)
def test_merge_trees_are_bit_exact(land, name):
    branches = {b.index: b for b in land(name).merge_tree(neighbours=8)}
    for minimum, index, death, saddle in TREES[name]:
        assert (branches[index].minimum, branches[index].death) == (minimum, death)
        assert saddle is None or branches[index].saddle_index == saddle
    roots = [b for b in branches.values() if b.death is None]
    assert len(branches) == len(TREES[name]) + 1 and len(roots) == 1 and roots[0].saddle_index is None


@pytest.mark.parametrize("name", MEANS)
def test_gibbs_means(land, name):
    for theta, mean in zip((0.01, 0.1, 1.0), MEANS[name]):
        assert land(name).gibbs_mean(theta) == pytest.approx(mean, rel=1e-12)


def test_diverged_cells_of_the_line(land):
    line = land(LINE)
    assert (line.stored["train_loss"] == np.finfo(float).min).sum() == 19
    assert line.stored["train_loss"][0] == -1 and line.stored["train_acc"][0] == 10 and line.diverged[0]


def test_diverged_cells_of_the_three_checkpoints(land):
    three = land(THREE)
    assert (three.stored["train_acc"][three.diverged] == 10.0).all()
    edge = {m.index for m in three.minima() if m.touches_edge}
    beside = {m.index for m in three.minima() if m.touches_invalid}
    assert edge == {(50, 37), (45, 50), (0, 48)} and beside == {(12, 13), (6, 25), (4, 31), (3, 35)}
    tree = three.merge_tree()
    assert [len(tree.wells(theta)) for theta in (0.1, 1.0, 10.0)] == [7, 2, 2]
    (deep,) = [b for b in tree if b.index == (50, 37)]
    assert (deep.minimum, deep.death) == (2.3196762088775635, 677088973.78304)


def test_all_minima_of_the_negative_surface_lie_in_corners(land):
    assert {m.index for m in land(NEGATIVE).minima(4)} == {(0, 0), (0, 14), (14, 0)}


def test_spacings_differ_between_the_axes(land):
    assert (land(CLEAN).spacing == pytest.approx((1.5, 4 / 3))
            and land(SMALL).spacing == pytest.approx((4 / 9, 2 / 9)))


def test_the_unfinished_file_is_refused_with_both_reasons(land, shared_landscapes):
    rows = np.flatnonzero(land(UNFINISHED).valid.all(axis=1))
    assert rows.tolist() == [0, 1, 2, 3]
    with pytest.raises(fp.LandscapeFormatError, match="525 of 625 cells .* touches cells that were never "
                       "computed.*allow_partial") as caught:
        fp.analyse(shared_landscapes / f"{UNFINISHED}.h5")
    assert "\n" not in str(caught.value)


def test_setup_and_trajectory_files_are_told_apart(shared_landscapes):
    with pytest.raises(fp.LandscapeFormatError, match="set up, never computed"):
        fp.read_landscape(shared_landscapes / f"{SETUP}.h5")
    with pytest.raises(fp.LandscapeFormatError, match="trajectory of 20 points"):
        fp.read_landscape(shared_landscapes / f"{TRAJECTORY}.h5")
    facts = describe(shared_landscapes / f"{SETUP}.h5")
    assert facts["kind"] == "set up, never computed" and facts["shape"] == [51, 51]
    facts = describe(shared_landscapes / f"{TRAJECTORY}.h5")
    assert (facts["points"] == 20 and facts["last"] == [0.0, 0.0]
            and facts["first"] == pytest.approx([2.38013506, 0.34895596], abs=1e-8))


def test_the_pair_under_the_clean_gibbs_density(land):
    means = {0.003: 1.1422800552368164, 0.03: 1.1445929804129835, 0.1: 1.2039605417742603,
             0.3: 1.6133829353974294, 1: 2.451163667399577}
    for theta, mean in means.items():
        assert land(CLEAN).gibbs_mean(theta, of=land(ADVERSARIAL)) == pytest.approx(mean, rel=1e-12)


def test_digits_file(land):
    digits = land(DIGITS)
    for theta, mean in {1e-3: 0.17929884818323663, 0.01: 0.2010135820297761, 0.1: 0.2589249266408448}.items():
        assert digits.gibbs_mean(theta, of="test_loss") == pytest.approx(mean, rel=1e-12)
    assert np.array_equal(digits.gram, [[1374.5076992225863, 580.6457706080399],
                                        [580.6457706080399, 996.5179098511682]])
    assert not digits.axis_order_assumed and digits.warnings == ()
    basins = digits.merge_tree().basins()
    assert {b.index: int((basins == k).sum()) for k,
            b in enumerate(digits.merge_tree())} == {(8, 32): 659, (9, 9): 478, (32, 8): 544}


def test_occupation_and_border_of_the_digits_file(land):
    digits = land(DIGITS)
    wells, basins = find_wells(digits, digits.merge_tree(), 0.02)
    found = thermodynamics(digits, wells, basins, [1e-3, 0.01, 0.1])
    assert [w.index for w in wells] == [(8, 32), (9, 9), (32, 8)]
    assert found.occupation[2] == pytest.approx([0.364, 0.428, 0.208], abs=6e-4)
    assert found.edge_mass == pytest.approx([1.5e-5, 0.015, 0.068], rel=0.04)


def test_the_metric_sets_the_slow_times_of_the_digits_file(land):
    from scipy.sparse.linalg import eigsh

    digits = land(DIGITS)
    for theta, slow in {0.02: 5.995e-11, 0.05: 5.814e-7, 0.1: 2.051e-5}.items():
        chain = SampledDiffusion(digits, theta, np.linalg.inv(digits.gram))
        S, _ = chain.chain.symmetric_generator()
        values = np.sort(-eigsh(S, k=2, sigma=1e-9, return_eigenvectors=False))
        assert values[1] == pytest.approx(slow, rel=3e-4) and abs(values[0]) < 1e-15
