"""Folders of topsearch: minima and saddles of a network's loss, and their merge tree."""
import os

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.reading import describe
from fpkit.landscapes.files.topsearch import Network, network_of

NETWORK = Network(np.array([1.5, -2.0, 0.25]), np.array([[0.0, 1.0], [2.0, 3.0], [1 / 3, 5.0]]),
                  np.array([[0, 1], [1, 2], [0, 2]]), np.array([3.0, 0.5, 2.0]),
                  np.array([[1.0, 2.0], [1.5, 4.0], [0.1, 3.0]]))


def test_networks_survive_being_written_and_read(tmp_path):
    found = fp.read_landscape(NETWORK.write(tmp_path / "net"))
    for name in ("energies", "points", "pairs", "saddle_energies", "saddle_points"):
        assert np.array_equal(getattr(found, name), getattr(NETWORK, name))
    assert sorted(os.listdir(tmp_path / "net")) == ["min.coords", "min.data", "pairlist", "ts.coords",
                                                    "ts.data"]
    assert describe(tmp_path / "net")["minima"] == 3 and fp.read_landscape(tmp_path / "net"
                                                                           / "min.data").ndim == 2


def test_the_merge_tree_of_a_network_follows_the_elder_rule():
    tree = NETWORK.merge_tree()
    assert [(b.index, b.minimum, b.death, b.saddle_index, b.parent) for b in tree] == [
        ((1,), -2.0, None, None, None), ((2,), 0.25, 0.5, (1,), 0), ((0,), 1.5, 2.0, (2,), 0)]


def test_a_landscape_becomes_a_network_with_the_same_tree(shared_landscapes, tmp_path):
    land = fp.read_landscape(shared_landscapes / "resnet50_cifar10_pca_31x31_clean.h5")
    found = fp.read_landscape(land.save(tmp_path / "net"))
    assert [(b.minimum, b.death) for b in found.merge_tree()] == [(b.minimum, b.death)
                                                                  for b in land.merge_tree()]
    assert len(network_of(land, persistence=0.1).energies) == 3


@pytest.mark.parametrize("name, text, words", [
    ("min.data", "0 1.0\n1 x\n", "something else than numbers"), ("min.data", "0 1.0\n1\n", "columns"),
    ("min.data", "0 1.0 2\n", "a number and an energy"),
    ("min.data", "0 1\n0 2\n", "different whole numbers"), ("min.data", "0 nan\n", "finite"),
    ("ts.data", "0 7 1.0\n", "not in min.data"),
    ("min.coords", "0 1\n", "3 lines"), ("ts.coords", "1\n2\n3\n", "those of the minima have 2"),
    ("min.data", "", "a number and an energy"),
])
def test_bad_networks_are_refused(tmp_path, name, text, words):
    NETWORK.write(tmp_path / "net")
    (tmp_path / "net" / name).write_text(text)
    with pytest.raises(fp.LandscapeFormatError, match=words):
        fp.read_landscape(tmp_path / "net")


def test_a_link_in_a_network_folder_is_not_followed(tmp_path):
    NETWORK.write(tmp_path / "net")
    (tmp_path / "secret").write_text("13.25 13.25\n" * 3)
    (tmp_path / "net" / "min.coords").unlink()
    (tmp_path / "net" / "min.coords").symlink_to(tmp_path / "secret")
    with pytest.raises(fp.LandscapeFormatError, match="a link is not followed"):
        fp.read_landscape(tmp_path / "net")
