"""Reading: index order, classes of cells, keys, coordinates, and what is refused for analysis."""
import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.reading import describe

X, Y = np.linspace(-1, 2, 7), np.linspace(0, 3, 4)


def surface(x, y):
    """No symmetry at all, so that any transposition or reflection shows."""
    return (x - 0.3) ** 2 + 0.1 * x * y + 0.7 * y + 2.0


SHEET = surface(X[None, :], Y[:, None])                        # [iy, ix]


def write(path, attributes=None, **datasets):
    with h5py.File(path, "w") as f:
        for name, values in {"xcoordinates": X, "ycoordinates": Y, **datasets}.items():
            if values is not None:
                f[name.replace("__", "/")] = values
        f.attrs.update(attributes or {})
    return path


def scrambled(sheet):
    """What tomgoldstein's writer stores: declared (nx, ny), filled with x running fastest."""
    return sheet.ravel().reshape(sheet.shape[::-1])


@pytest.mark.parametrize("stored, attributes, layout", [
    (scrambled(SHEET), {}, None),
    (SHEET, {}, None),
    (SHEET, {"axis_order": "yx"}, None),
    (SHEET, {"axis_order": "[y, x]"}, "xy"),
    (SHEET.T, {"axis_order": "xy"}, None),
    (SHEET.T, {}, "xy"),
    (scrambled(SHEET), {}, "yx"),
    (SHEET, {"format": "fpkit-landscape", "format_version": "1.0"}, None),
])
def test_every_layout_of_a_non_square_plane_gives_the_same_function(tmp_path, stored, attributes, layout):
    land = fp.read_landscape(write(tmp_path / "a.h5", attributes, train_loss=stored), layout=layout)
    assert land.shape == (4, 7) and np.array_equal(land.loss, SHEET)
    assert np.array_equal(land.x, X) and np.array_equal(land.y, Y)
    assert not any("square" in w for w in land.warnings) and not land.axis_order_assumed
    assert any("running fastest" in w for w in land.warnings) == (stored.shape == (7, 4) and layout != "xy"
                                                                  and "axis_order" not in attributes)
    i, j = land.minimum_index
    assert land.loss[i, j] == surface(*land.point((i, j)))


def test_the_potential_is_the_transposed_surface(tmp_path):
    y = np.linspace(0, 3, 5)
    sheet = surface(X[None, :], y[:, None])
    land = fp.read_landscape(write(tmp_path / "a.h5", ycoordinates=y, train_loss=scrambled(sheet)))
    points = np.stack(np.meshgrid(X, y, indexing="xy"), axis=-1)
    assert np.abs(land.potential()(points) - sheet).max() < 1e-12


def test_a_surface_with_cliffs_keeps_its_small_values_in_the_spline(tmp_path):
    y = np.linspace(0, 3, 5)
    sheet = surface(X[None, :], y[:, None])
    sheet[:, -1] *= 1e33
    land = fp.read_landscape(write(tmp_path / "a.h5", ycoordinates=y, train_loss=sheet))
    points = np.stack(np.meshgrid(X, y, indexing="xy"), axis=-1)[:, :-1]
    assert np.abs(land.potential()(points) - sheet[:, :-1]).max() < 1e-9


def test_a_square_matrix_without_a_name_is_flagged(tmp_path):
    x = np.linspace(0, 1, 4)
    square = surface(x[None, :], x[:, None])
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=x, ycoordinates=x, train_loss=square))
    assert land.axis_order_assumed and np.array_equal(land.loss, square) and any("index order" in w
                                                                                 for w in land.warnings)
    other = fp.read_landscape(tmp_path / "a.h5", layout="xy")
    assert not other.axis_order_assumed and np.array_equal(other.loss, square.T)


def test_descending_coordinates_are_turned_round_with_the_data(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X[::-1], train_loss=SHEET[:, ::-1]))
    assert np.array_equal(land.x, X) and np.array_equal(land.loss, SHEET)
    land = fp.read_landscape(write(tmp_path / "b.h5", ycoordinates=Y[::-1], train_loss=SHEET[::-1]))
    assert np.array_equal(land.y, Y) and np.array_equal(land.loss, SHEET)


def test_uneven_coordinates_are_flagged_and_have_no_spline(tmp_path):
    x = X + np.r_[0, 0.1, np.zeros(5)]
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=x, train_loss=SHEET))
    assert any("evenly" in w for w in land.warnings)
    with pytest.raises(ValueError, match="evenly spaced"):
        land.potential()


def test_a_line_needs_no_second_axis(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", ycoordinates=None, train_loss=SHEET[0]))
    assert land.ndim == 1 and land.shape == (7,) and land.y is None and land.minima()[0].index == (3,)


def test_test_loss_alone_becomes_the_potential_and_says_so(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", test_loss=SHEET))
    assert land.key == "test_loss" and land.train_loss is None and any("test_loss" in w
                                                                       for w in land.warnings)


def test_a_key_may_be_chosen(tmp_path):
    write(tmp_path / "a.h5", train_loss=SHEET, adversarial_loss=SHEET + 1)
    assert np.array_equal(fp.read_landscape(tmp_path / "a.h5", key="adversarial_loss").loss, SHEET + 1)
    with pytest.raises(fp.LandscapeFormatError, match="no such dataset"):
        fp.read_landscape(tmp_path / "a.h5", key="los")


# ---- classes of cells ----

def test_unfinished_cells_are_minus_one_in_loss_and_accuracy(tmp_path):
    loss, accuracy = SHEET.copy(), np.full(SHEET.shape, 50.0)
    loss[3, 6] = accuracy[3, 6] = -1
    loss[0, 6], accuracy[0, 6] = -1, 10.0                     # diverged under a parallel maximum
    loss[1, 6] = np.finfo(float).min
    loss[2, 6] = np.inf
    land = fp.read_landscape(write(tmp_path / "a.h5", train_loss=loss, train_acc=accuracy))
    assert (land.n_valid, land.n_unfinished, land.n_diverged) == (24, 1, 3)
    assert land.unfinished[3, 6] and land.diverged[:3, 6].all() and np.isnan(land.loss[:, 6]).all()
    assert land.stored["train_loss"][1, 6] == np.finfo(float).min  # nothing is replaced in what was stored
    assert land.refusal is None  # 1 of 28, and the minimum is elsewhere


def test_negative_losses_are_losses(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", train_loss=SHEET - 100,
                                   train_acc=np.full(SHEET.shape, 90.0)))
    assert land.n_valid == SHEET.size
    loss = SHEET - 100
    loss[2, 2] = -1.0
    land = fp.read_landscape(write(tmp_path / "b.h5", train_loss=loss, train_acc=np.full(SHEET.shape, 90.0)))
    assert land.n_valid == SHEET.size and any("count as valid" in w for w in land.warnings)
    land = fp.read_landscape(write(tmp_path / "c.h5", train_loss=loss))
    assert land.n_unfinished == 1 and any("tell them apart" in w for w in land.warnings)


def test_much_unfinished_is_refused_and_the_remedy_works(tmp_path):
    loss = SHEET.copy()
    loss[:, 5:] = -1
    path = write(tmp_path / "a.h5", train_loss=loss, train_acc=np.where(loss == -1, -1, 50.0))
    land = fp.read_landscape(path)
    assert "8 of 28 cells (29 %)" in land.refusal and "allow_partial=True" in land.refusal
    with pytest.raises(fp.LandscapeFormatError, match="allow_partial"):
        fp.analyse(land)
    assert fp.read_landscape(path, allow_partial=True).refusal is None


def test_a_minimum_beside_an_unfinished_cell_is_refused(tmp_path):
    loss = SHEET.copy()
    iy, ix = np.unravel_index(loss.argmin(), loss.shape)
    loss[iy + 1, ix + 1] = -1
    land = fp.read_landscape(write(tmp_path / "a.h5", train_loss=loss))
    assert land.n_unfinished == 1 and "touches cells that were never computed" in land.refusal


def test_status_of_the_own_format_decides(tmp_path):
    loss, status = SHEET.copy(), np.ones(SHEET.shape, "u1")
    loss[0, 0], status[0, 0] = np.nan, 2
    loss[0, 1], status[0, 1] = np.nan, 0
    loss[3, 3] = -1.0                                          # a number like any other in this format
    land = fp.read_landscape(write(tmp_path / "a.h5", {"format": "fpkit-landscape", "axis_order": "yx"},
                                   train_loss=loss, fpkit__status=status))
    assert (land.n_valid, land.n_unfinished, land.n_diverged) == (26, 1, 1) and land.loss[3, 3] == -1


def test_all_invalid_opens_and_is_not_analysed(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", train_loss=np.full(SHEET.shape, np.nan)))
    assert (land.refusal == "the surface has no valid cell" and len(land.merge_tree()) == 0
            and land.minima() == ())
    with pytest.raises(fp.LandscapeFormatError, match="no valid cell"):
        fp.analyse(land)
    assert "no valid cell" in describe(tmp_path / "a.h5")["analysis"]


# ---- what else a file may hold ----

def test_gram_trajectory_and_description_are_read(tmp_path):
    gram = np.array([[4.0, 1.0], [1.0, 2.0]])
    path = write(tmp_path / "a.h5", {"format": "fpkit-landscape", "format_version": "1.3"}, train_loss=SHEET,
                 fpkit__gram=gram, fpkit__trajectory__x=[0.0, 1.0, 2.0], fpkit__trajectory__y=[3.0, 2.0, 1.0],
                 fpkit__trajectory__step=[0, 10, 20], fpkit__meta='{"model": "mlp"}')
    land = fp.read_landscape(path)
    assert np.array_equal(land.gram, gram) and np.array_equal(land.trajectory, [[0, 3], [1, 2], [2, 1]])
    assert land.meta["meta"] == {"model": "mlp"} and any("version 1.3" in w for w in land.warnings)
    with pytest.raises(fp.LandscapeFormatError, match="newer than this program"):
        fp.read_landscape(write(tmp_path / "b.h5", {"format": "fpkit-landscape", "format_version": "2.0"},
                                train_loss=SHEET))


def test_a_gram_matrix_that_is_none_is_not_used(tmp_path):
    path = write(tmp_path / "a.h5", {"format": "fpkit-landscape"}, train_loss=SHEET,
                 fpkit__gram=[[1.0, 2.0], [2.0, 1.0]])
    land = fp.read_landscape(path)
    assert land.gram is None and any("Gram" in w for w in land.warnings)


def test_what_a_foreign_file_lacks_is_named(tmp_path):
    with pytest.raises(fp.LandscapeFormatError, match="set up, never computed"):
        fp.read_landscape(write(tmp_path / "a.h5"))
    with pytest.raises(fp.LandscapeFormatError, match="trajectory of 3 points"):
        fp.read_landscape(write(tmp_path / "b.h5", xcoordinates=None, ycoordinates=None,
                                proj_xcoord=np.ones(3), proj_ycoord=np.ones(3)))
    assert describe(tmp_path / "a.h5")["kind"] == "set up, never computed"
    assert describe(tmp_path / "b.h5")["first"] == [1.0, 1.0]


def test_means_refuse_weights_without_values(tmp_path):
    test = SHEET.copy()
    test[0, :] = np.nan
    land = fp.read_landscape(write(tmp_path / "a.h5", train_loss=SHEET, test_loss=test))
    with pytest.raises(ValueError, match="without a value"):
        land.gibbs_mean(0.1, of="test_loss")
    assert land.gibbs_mean(0.1, of=SHEET + 1) == pytest.approx(land.gibbs_mean(0.1) + 1, rel=1e-14)
