"""Layouts of other exporters: losscape, one dataset a point, Landscaper, bare arrays, three axes; directions
and saving."""
from pathlib import Path

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.directions import read_directions
from fpkit.landscapes.files.reading import describe

X, Y, Z = np.linspace(-1, 2, 7), np.linspace(0, 3, 4), np.linspace(-2, 0, 5)


def surface(x, y):
    return (x - 0.3) ** 2 + 0.1 * x * y + 0.7 * y + 2.0


SHEET = surface(X[None, :], Y[:, None])                        # [iy, ix]
BLOCK = SHEET + 0.3 * Z[:, None, None] ** 2 * (1 + X)          # [iz, iy, ix]


def write(path, attributes=None, **datasets):
    with h5py.File(path, "w") as f:
        for name, values in datasets.items():
            f[name.replace("__", "/")] = values
        f.attrs.update(attributes or {})
    return path


def is_the_sheet(land):
    assert np.array_equal(land.loss, SHEET) and np.array_equal(land.x, X) and np.array_equal(land.y, Y)
    return True


# ---- HDF5 ----

@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("turn", [1, -1])
def test_losscape_files_say_their_order_by_their_grids(tmp_path, indexing, turn):
    x = X[::turn]
    A, B = np.meshgrid(x, Y, indexing=indexing)
    land = fp.read_landscape(write(tmp_path / "a.h5", X=A, Y=B, losses=surface(A, B)))
    assert is_the_sheet(land) and land.key == "losses" and land.meta["format"] == "losscape"
    assert any("fall" in w for w in land.warnings) == (turn < 0)


def test_losscape_grids_that_are_no_grid_are_refused(tmp_path):
    A, B = np.meshgrid(X, Y)
    with pytest.raises(fp.LandscapeFormatError, match="rectangular grid"):
        fp.read_landscape(write(tmp_path / "a.h5", X=A + B, Y=B, losses=A))
    with pytest.raises(fp.LandscapeFormatError, match="does not fit"):
        fp.read_landscape(write(tmp_path / "b.h5", X=A, Y=B, losses=A.T))


def points(order):
    """One dataset a point, with i counting x (the writer's order) or y."""
    return {f"{kind}_{i}_{j}": value for i in range(7) for j in range(4)
            for kind, value in (("loss", SHEET[j, i]), ("acc", 50.0))} if order == "xy" else \
        {f"loss_{j}_{i}": SHEET[j, i] for i in range(7) for j in range(4)}


@pytest.mark.parametrize("order", ["xy", "yx"])
def test_one_dataset_a_point_needs_coordinates(tmp_path, order):
    path = write(tmp_path / "a.h5", **points(order))
    with pytest.raises(fp.LandscapeFormatError, match="no coordinates; give x=\\(low, high\\)"):
        fp.read_landscape(path)
    layout = None if order == "xy" else "yx"
    assert is_the_sheet(fp.read_landscape(path, x=(-1, 2), y=Y, layout=layout))
    with pytest.raises(ValueError, match="9 coordinates and the file has 7"):
        fp.read_landscape(path, x=np.arange(9.0), y=(0, 3), layout=layout)


def test_missing_points_are_unfinished(tmp_path):
    datasets = points("xy")
    del datasets["loss_6_3"]
    land = fp.read_landscape(write(tmp_path / "a.h5", **datasets), x=(-1, 2), y=(0, 3))
    assert land.n_unfinished == 1 and land.unfinished[3, 6] and land.n_diverged == 0
    with pytest.raises(fp.LandscapeFormatError, match="do not make up a grid"):
        fp.read_landscape(write(tmp_path / "b.h5", loss_0_0=1.0, loss_900_900=2.0), x=(0, 1), y=(0, 1))


@pytest.mark.parametrize("stored, attributes, layout", [
    (BLOCK, {}, None), (BLOCK, {"axis_order": "zyx"}, "xy"), (BLOCK.T, {"axis_order": "[x, y, z]"}, None),
    (BLOCK.T, {}, "xy"),
    (BLOCK, {"format": "fpkit-landscape", "format_version": "1.0"}, None),
])
def test_three_axes_are_z_y_x(tmp_path, stored, attributes, layout):
    path = write(tmp_path / "a.h5", attributes, xcoordinates=X, ycoordinates=Y, zcoordinates=Z,
                 train_loss=stored)
    land = fp.read_landscape(path, layout=layout)
    assert np.array_equal(land.loss, BLOCK) and land.ndim == 3 and np.array_equal(land.z, Z)
    assert land.point((1, 2, 3)).tolist() == [X[3], Y[2],
                                              Z[1]] and land.index(land.point((1, 2, 3))) == (1, 2, 3)
    assert land.volumes.shape == land.shape and land.volumes.sum() == pytest.approx(3.5 * 4 * 2.5)
    assert (len(land.minima()) >= 1 and np.isfinite(land.gibbs_mean(0.1))
            and describe(path, layout=layout)["shape"] == [5, 4, 7])


def test_three_axes_in_the_other_order_ask_for_the_layout(tmp_path):
    with pytest.raises(fp.LandscapeFormatError, match='layout="xy"'):
        fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, zcoordinates=Z,
                                train_loss=BLOCK.T))


# ---- what occurs in the wild ----

def test_single_precision_and_integers_are_read_exactly(tmp_path):
    for dtype in ("f4", "<f2", ">f8", "i4"):
        land = fp.read_landscape(write(tmp_path / f"{dtype[-2:]}.h5", xcoordinates=X, ycoordinates=Y,
                                       train_loss=SHEET.astype(dtype)))
        assert np.array_equal(land.loss, SHEET.astype(dtype).astype(float))


def test_coordinates_in_single_precision_are_even(tmp_path):
    x = np.linspace(-1, 1, 101).astype("f4")
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=x, ycoordinates=Y,
                                   train_loss=np.zeros((4, 101))))
    assert land.is_uniform and (land.x[0],
                                land.x[-1]) == (-1, 1) and any("single precision" in w for w in land.warnings)
    x = x + np.float32(1e-3) * (np.arange(101) == 50)
    assert not fp.read_landscape(write(tmp_path / "b.h5", xcoordinates=x, ycoordinates=Y,
                                       train_loss=np.zeros((4, 101)))).is_uniform


def test_what_a_reduction_leaves_in_single_precision_is_diverged(tmp_path):
    loss = SHEET.astype("f4")
    loss[0, 0] = np.finfo("f4").min
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=loss))
    assert land.n_diverged == 1 and land.diverged[0, 0]


def test_a_second_axis_of_one_sample_is_a_line(tmp_path):
    for name, shape in (("a", (7, 1)), ("b", (1, 7)), ("c", (7,))):
        land = fp.read_landscape(write(tmp_path / f"{name}.h5", xcoordinates=X, ycoordinates=[0.0],
                                       train_loss=SHEET[0].reshape(shape)))
        assert land.ndim == 1 and np.array_equal(land.loss,
                                                 SHEET[0]) and any("one value" in w for w in land.warnings)


def test_a_training_loss_that_was_never_computed_gives_way_to_the_test_loss(tmp_path):
    empty = np.full(SHEET.shape, -1.0)
    path = write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=empty, train_acc=empty,
                 test_loss=SHEET)
    land = fp.read_landscape(path)
    assert land.key == "test_loss" and is_the_sheet(land) and any("never computed" in w for w
                                                                  in land.warnings) and land.refusal is None
    assert fp.read_landscape(path, key="train_loss").n_unfinished == SHEET.size


def test_a_loss_of_another_name_is_found_and_named(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, val_loss=SHEET))
    assert is_the_sheet(land) and any("val_loss" in w for w in land.warnings)


def test_eigenvalues_are_kept_beside_the_loss_and_may_be_chosen(tmp_path):
    scrambled = (2 * SHEET).ravel().reshape(7, 4)
    path = write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=SHEET, max_eig=scrambled,
                 note="hello", table=np.eye(3))
    land = fp.read_landscape(path)
    assert (np.array_equal(land.others["max_eig"], 2 * SHEET) and land.others["note"] == "hello"
            and np.array_equal(land.others["table"], np.eye(3)))
    assert np.array_equal(fp.read_landscape(path, key="max_eig").loss, 2 * SHEET)
    path = write(tmp_path / "b.h5", xcoordinates=X, ycoordinates=Y, max_eig=SHEET)
    with pytest.raises(fp.LandscapeFormatError, match="holds max_eig; key=... analyses another"):
        fp.read_landscape(path)


def test_dir_path_of_the_tensorflow_port_is_shown(tmp_path):
    path = write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=SHEET,
                 dir_path="models/dir.h5")
    assert fp.read_landscape(path).meta["dir_file"] == "models/dir.h5"


def test_cells_that_do_not_touch_are_counted(tmp_path):
    loss = SHEET.copy()
    loss[:, 3] = np.nan
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=loss))
    assert land.n_components() == 2 and any("2 parts" in w
                                            for w in land.warnings) and len(land.merge_tree().roots) == 2


def test_every_second_sample_of_everything(tmp_path):
    path = write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=SHEET, max_eig=2 * SHEET)
    land = fp.read_landscape(path, every=2)
    assert (np.array_equal(land.loss, SHEET[::2, ::2]) and np.array_equal(land.x, X[::2])
            and np.array_equal(land.others["max_eig"], 2 * SHEET[::2, ::2]))
    with pytest.raises(fp.LandscapeFormatError, match="fewer than two samples"):
        fp.read_landscape(path, every=4)


# ---- NumPy ----

def test_landscapers_archive_is_read_with_its_first_index_along_x(tmp_path):
    np.savez(tmp_path / "a.npz", loss=surface(X[:, None], X[None, :]), coordinates=[X, X])
    land = fp.read_landscape(tmp_path / "a.npz")
    assert np.array_equal(land.loss, surface(X[None, :], X[:, None])) and any("labels of distance" in w
                                                                              for w in land.warnings)
    np.savez(tmp_path / "b.npz", loss=np.arange(7.0), coordinates=[X])
    assert fp.read_landscape(tmp_path / "b.npz").ndim == 1
    np.savez(tmp_path / "c.npz", loss=np.arange(343.0).reshape(7, 7, 7), coordinates=[X, X, X])
    assert fp.read_landscape(tmp_path / "c.npz").loss[1, 2, 3] == np.arange(343).reshape(7, 7, 7)[3, 2, 1]


@pytest.mark.parametrize("array, options", [
    (SHEET, {"x": (-1, 2), "y": (0, 3)}), (SHEET, {"x": X, "y": Y, "layout": "yx"}),
    (SHEET.T, {"x": (-1, 2), "y": (0, 3), "layout": "xy"}),
    (np.asfortranarray(SHEET), {"x": X, "y": Y}), (SHEET[::-1], {"x": X, "y": (3, 0)}),
])
def test_bare_arrays_take_the_callers_coordinates(tmp_path, array, options):
    np.save(tmp_path / "a.npy", array)
    assert is_the_sheet(fp.read_landscape(tmp_path / "a.npy", **options))
    np.savez_compressed(tmp_path / "b.npz", array)
    assert is_the_sheet(fp.read_landscape(tmp_path / "b.npz", **options))
    with pytest.raises(fp.LandscapeFormatError, match="no coordinates; give x="):
        fp.read_landscape(tmp_path / "a.npy")


def test_archives_bring_their_own_coordinates(tmp_path):
    np.savez(tmp_path / "a.npz", train_loss=SHEET, test_loss=SHEET + 1, x=X, y=Y)
    land = fp.read_landscape(tmp_path / "a.npz")
    assert is_the_sheet(land) and np.array_equal(land.test_loss, SHEET + 1) and not land.axis_order_assumed
    np.savez(tmp_path / "b.npz", Z=SHEET.T, x=X, y=Y)
    land = fp.read_landscape(tmp_path / "b.npz")
    assert is_the_sheet(land) and any("loss[x, y]" in w for w in land.warnings)
    A, B = np.meshgrid(X, Y, indexing="ij")
    np.savez(tmp_path / "c.npz", Z=SHEET.T, X=A, Y=B)
    assert is_the_sheet(fp.read_landscape(tmp_path / "c.npz"))
    np.savez(tmp_path / "d.npz", a=SHEET, b=SHEET)
    with pytest.raises(fp.LandscapeFormatError, match="key=... tells which"):
        fp.read_landscape(tmp_path / "d.npz", x=X, y=Y)
    assert is_the_sheet(fp.read_landscape(tmp_path / "d.npz", key="b", x=X, y=Y))
    with pytest.raises(ValueError, match="has its own coordinates"):
        fp.read_landscape(tmp_path / "a.npz", x=X)


def test_texts_and_objects_beside_the_numbers_are_left_out_unread(tmp_path):
    np.savez(tmp_path / "a.npz", train_loss=SHEET, x=X, y=Y, title="a title",
             config=np.array({"lr": 0.1}, dtype=object), flags=np.ones(3, bool))
    assert is_the_sheet(fp.read_landscape(tmp_path / "a.npz"))
    with pytest.raises(fp.LandscapeFormatError, match="no such array"):
        fp.read_landscape(tmp_path / "a.npz", key="config")


def test_a_square_array_is_flagged(tmp_path):
    np.save(tmp_path / "a.npy", SHEET[:, :4])
    assert fp.read_landscape(tmp_path / "a.npy", x=(0, 1), y=(0, 1)).axis_order_assumed
    assert not fp.read_landscape(tmp_path / "a.npy", x=(0, 1), y=(0, 1), layout="xy").axis_order_assumed


def test_the_zig_zag_of_loss_landscapes_is_undone_exactly(tmp_path):
    n = 6
    x, y = np.linspace(-1, 1, n), np.linspace(0, 5, n)
    step = y[1] - y[0]
    rows, place = [], y[0]
    for i, a in enumerate(x):                      # the loop of that program: it moves before it measures
        row = []
        for _ in range(n):
            if i % 2 == 0:
                place += step
                row.append(surface(a, place))
            else:
                place -= step
                row.insert(0, surface(a, place))
        rows.append(row)
    np.save(tmp_path / "a.npy", np.array(rows))
    land = fp.read_landscape(tmp_path / "a.npy", x=x, y=y, fix_serpentine=True)
    assert land.loss == pytest.approx(surface(x[None, :], y[1:, None]),
                                      abs=1e-12) and np.array_equal(land.y, y[1:])
    assert any("zig-zag" in w for w in land.warnings)


# ---- directions and trajectories ----

def direction_file(path, counters=True):
    rng = np.random.default_rng(5)
    with h5py.File(path, "w") as f:
        for group in ("xdirection", "ydirection"):
            for k, shape in enumerate([(4, 3), (4,), (2, 4)]):
                f[f"{group}/{k}"] = rng.normal(size=shape).astype("f4")
            if counters:
                f[f"{group}/3"], f[f"{group}/10"] = np.int64(40000), np.float32(30000)
    return path


def test_counters_and_0d_tensors_stay_out_of_the_metric(tmp_path):
    found = read_directions(direction_file(tmp_path / "a.h5"))
    D = np.array(found.vectors)
    assert (D.shape == (2, 24) and found.gram == pytest.approx(D @ D.T, rel=1e-14)
            and found.left_out == ("3", "10") and found.norms.max() < 10)
    assert describe(tmp_path / "a.h5")["gram"] == found.gram.tolist()
    plane = fp.Plane.from_directions(np.zeros(24), tmp_path / "a.h5", orthonormal=False)
    assert plane.gram == pytest.approx(found.gram)


def test_a_direction_file_gives_the_metric_and_straightens_the_trajectory(tmp_path):
    surface_file = write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=SHEET)
    D = np.array(read_directions(direction_file(tmp_path / "d.h5")).vectors)
    inside = np.array([[0.5, 1.0], [0.2, 0.1], [0, 0]])
    arcs = (inside @ D) @ D.T / np.linalg.norm(D, axis=1)  # their 'cos' projection: dot/|d|
    write(tmp_path / "d.h5_proj_cos.h5", proj_xcoord=arcs[:, 0], proj_ycoord=arcs[:, 1])
    land = fp.read_landscape(surface_file, directions=tmp_path / "d.h5",
                             trajectory=tmp_path / "d.h5_proj_cos.h5")
    assert land.gram == pytest.approx(D @ D.T) and land.trajectory == pytest.approx(inside, abs=1e-12)
    land = fp.read_landscape(surface_file, trajectory=tmp_path / "d.h5_proj_cos.h5")
    assert np.array_equal(land.trajectory, arcs) and any("arc lengths" in w for w in land.warnings)
    with pytest.raises(fp.LandscapeFormatError, match="no directions"):
        fp.read_landscape(surface_file, directions=surface_file)
    with pytest.raises(fp.LandscapeFormatError, match="no trajectory"):
        fp.read_landscape(surface_file, trajectory=surface_file)


# ---- versions and saving ----

def test_a_newer_minor_version_is_read_and_a_newer_major_one_refused(tmp_path):
    own = {"format": "fpkit-landscape", "format_version": "1.7"}
    land = fp.read_landscape(write(tmp_path / "a.h5", own, xcoordinates=X, ycoordinates=Y, train_loss=SHEET))
    assert is_the_sheet(land) and any("1.7" in w for w in land.warnings)
    with pytest.raises(fp.LandscapeFormatError, match="newer than this program"):
        fp.read_landscape(write(tmp_path / "b.h5", {**own, "format_version": "2.0"}, xcoordinates=X,
                                ycoordinates=Y, train_loss=SHEET))


def test_unknown_entries_survive_a_rewrite(tmp_path):
    own = {"format": "fpkit-landscape", "format_version": "1.7", "axis_order": "yx", "complete": 1,
           "laboratory": "north", "n_params": 9, "created_utc": "2020-01-01"}
    path = write(tmp_path / "a.h5", own, xcoordinates=X, ycoordinates=Y, train_loss=SHEET, hessian_norm=2
                 * SHEET, remark="kept", fpkit__novelty=np.arange(3.0), fpkit__gram=np.eye(2) * 2,
                 fpkit__loss_stderr=0.1 * SHEET, fpkit__trajectory__x=[0.0, 1], fpkit__trajectory__y=[0.0, 1],
                 fpkit__trajectory__step=[0, 5], fpkit__temperature__tensor=np.eye(2) * 1e-4,
                 fpkit__temperature__lr=0.1, fpkit__temperature__source="sgd")
    first = fp.read_landscape(path)
    land = fp.read_landscape(first.save(tmp_path / "b.h5"))
    assert (is_the_sheet(land) and np.array_equal(land.gram, 2 * np.eye(2))
            and np.array_equal(land.loss_stderr, 0.1 * SHEET))
    assert (np.array_equal(land.others["hessian_norm"], 2 * SHEET) and land.others["remark"] == "kept"
            and land.others["fpkit/novelty"].tolist() == [0, 1, 2])
    assert land.meta["attributes"]["laboratory"] == "north" and land.meta["attributes"]["n_params"] == 9
    assert land.trajectory.tolist() == [[0, 0], [1, 1]] and land.trajectory_steps.tolist() == [0, 5]
    assert (land.temperature["theta"] == 1e-4 and land.temperature["lr"] == 0.1
            and land.temperature["source"] == "sgd")
    assert (land.meta["attributes"]["format_version"] == "1.0" and land.meta["attributes"]["created_utc"]
            == "2020-01-01")


def test_a_foreign_file_becomes_one_of_our_own(shared_landscapes, tmp_path):
    for name in ("resnet56_cifar10_three_checkpoints_51x51_nonfinite", "resnet56_cifar10_line_101_diverged",
                 "mnist_small_dense_25x25_unfinished"):
        land = fp.read_landscape(shared_landscapes / f"{name}.h5")
        again = fp.read_landscape(land.save(tmp_path / f"{name}.h5"))
        for part in ("loss", "valid", "unfinished", "diverged"):
            assert np.array_equal(getattr(land, part), getattr(again, part), equal_nan=True)
        assert again.meta["format"] == "fpkit-landscape" and not again.axis_order_assumed


def test_landscapers_layout_is_written_as_it_is_read(tmp_path):
    square = surface(X[None, :], X[:, None])
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=X, train_loss=square))
    with np.load(land.save(tmp_path / "a.npz")) as f:
        assert np.array_equal(f["loss"], square.T) and f["coordinates"].shape == (2, 7)
    assert np.array_equal(fp.read_landscape(tmp_path / "a.npz").loss, square)
    with pytest.raises(ValueError, match="written as .h5"):
        land.save(tmp_path / "a.xyz")


def test_vtk_files_hold_the_samples_with_x_running_fastest(tmp_path):
    land = fp.read_landscape(write(tmp_path / "a.h5", xcoordinates=X, ycoordinates=Y, train_loss=SHEET))
    text = Path(land.save(tmp_path / "a.vtk")).read_text().split("\n")
    assert text[3:5] == ["DATASET RECTILINEAR_GRID", "DIMENSIONS 7 4 1"]
    start = text.index("SCALARS train_loss double 1") + 2
    assert [float(v) for v in " ".join(text[start:start + 4]).split()] == SHEET.ravel().tolist()
