"""Text files, MATLAB, HDF5 under common names, mode connectivity and data frames: each gives back the surface
that was written in that form."""
import json

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.writing import write_landscape

X, Y = np.linspace(-1.5, 1.5, 13), np.linspace(-1, 1, 9)
LOSS = (X**2 - 1) ** 2 + 0.2 * X + Y[:, None] ** 2
ROWS = np.stack([*(a.ravel() for a in np.meshgrid(X, Y)), LOSS.ravel()], axis=1)
SHUFFLED = ROWS[np.random.default_rng(0).permutation(len(ROWS))]


def text(rows, separator=","):
    return "\n".join(separator.join(f"{v:.10g}" for v in r) for r in rows) + "\n"


def is_the_surface(land, atol=1e-8):
    assert np.allclose(land.loss, LOSS, atol=atol) and np.allclose(land.x, X) and np.allclose(land.y, Y)
    return True


def plumed():
    head = ("#! FIELDS phi psi file.free der_phi der_psi\n#! SET min_phi -pi\n#! SET periodic_phi true\n#! "
            "SET periodic_psi false\n")
    return head + "\n".join(text([[*r, 0, 0] for r in ROWS[k:k + X.size]],
                                 " ") for k in range(0, len(ROWS), X.size))


@pytest.mark.parametrize("name, content", [
    ("a.csv", "x,y,loss\n" + text(SHUFFLED)), ("b.csv", text(SHUFFLED)), ("c.csv", text(SHUFFLED, ";")),
    ("d.dat", "# x y loss acc\n" + text([[*r, 50] for r in SHUFFLED], " ")),
    ("e.txt", text(ROWS[::-1], "   ")),
    ("f.csv", "," + text([X]) + "\n".join(f"{b:.10g}," + text([r]).strip() for b, r in zip(Y, LOSS))),
    ("fes.dat", plumed()),
    ("g.json", json.dumps({"x": X.tolist(), "y": Y.tolist(), "loss": LOSS.tolist()})),
])
def test_text_files_hold_the_surface_in_any_order_with_or_without_a_heading(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    land = fp.read_landscape(tmp_path / name)
    assert is_the_surface(land) and not land.axis_order_assumed


def test_further_columns_are_further_surfaces_and_a_key_chooses(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,train_loss,test_loss,other\n"
                                    + text([[*r, r[2] + 1, 7] for r in SHUFFLED]))
    land = fp.read_landscape(tmp_path / "a.csv")
    assert np.allclose(land.test_loss, LOSS + 1) and land.key == "train_loss"
    assert np.allclose(fp.read_landscape(tmp_path / "a.csv", key="other").loss, 7)


def test_a_plain_grid_of_numbers_takes_the_callers_ranges(tmp_path):
    (tmp_path / "a.csv").write_text(text(LOSS))
    land = fp.read_landscape(tmp_path / "a.csv", x=(-1.5, 1.5), y=(-1, 1))
    assert is_the_surface(land) and land.axis_order_assumed and "index order" in land.warnings[0]


def test_a_line_is_two_columns(tmp_path):
    (tmp_path / "a.dat").write_text(text(np.stack([X, X**2], axis=1), " "))
    land = fp.read_landscape(tmp_path / "a.dat")
    assert land.ndim == 1 and np.allclose(land.loss, X**2)


def test_gromacs_matrices_are_read_from_the_top_to_the_values_of_their_legend(tmp_path):
    levels = np.linspace(LOSS.min(), LOSS.max(), 40)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    nearest = np.abs(LOSS[..., None] - levels).argmin(-1)
    lines = ["/* XPM */", "static char *gromacs_xpm[] = {", f'"{X.size} {Y.size}   {levels.size} 1",',
             *(f'"{signs[k]}  c #FF00{k:02X} " /* "{v:.8g}" */,' for k, v in enumerate(levels)),
             "/* x-axis:  " + " ".join(f"{v:.8g}" for v in X) + " */",
             "/* y-axis:  " + " ".join(f"{v:.8g}" for v in Y) + " */",
             *(f'"{"".join(signs[k] for k in row)}",' for row in nearest[::-1]), "};"]
    (tmp_path / "g.xpm").write_text("\n".join(lines))
    assert is_the_surface(fp.read_landscape(tmp_path / "g.xpm"), atol=0.51 * (levels[1] - levels[0]))


def test_mode_connectivity_brings_metric_surfaces_and_the_bends_of_the_curve(tmp_path):
    grid = np.stack(np.meshgrid(X, Y, indexing="ij"), axis=-1)
    bends = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.9]])
    np.savez(tmp_path / "plane.npz", ts=np.arange(3.0), bend_coordinates=bends, alphas=X, betas=Y, grid=grid,
             tr_loss=LOSS.T, tr_acc=100 - LOSS.T, te_loss=LOSS.T + 1, te_acc=90 - LOSS.T, tr_nll=LOSS.T)
    land = fp.read_landscape(tmp_path / "plane.npz")
    assert is_the_surface(land) and np.array_equal(land.gram,
                                                   np.eye(2)) and np.array_equal(land.trajectory, bends)
    assert np.allclose(land.test_loss, LOSS + 1) and np.allclose(land.train_acc, 100 - LOSS)


@pytest.mark.parametrize("arrays", [{"X": np.meshgrid(X, Y)[0], "Y": np.meshgrid(X, Y)[1], "Z": LOSS},
                                    {"X": np.meshgrid(X, Y)[0].T, "Y": np.meshgrid(X, Y)[1].T, "Z": LOSS.T},
                                    {"alphas": X, "betas": Y, "losses": LOSS.T}])
def test_meshes_and_alphas_and_betas_tell_their_order(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    land = fp.read_landscape(tmp_path / "a.npz")
    assert is_the_surface(land) and not land.axis_order_assumed
    assert "does not tell" not in " ".join(land.warnings)


def test_hdf5_and_matlab_are_read_under_common_names_or_the_callers(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"], file["loss"] = X, Y, LOSS
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["ex"], file["why"], file["el"] = X, Y, LOSS
    from scipy.io import savemat

    savemat(tmp_path / "c.mat", {"x": X, "y": Y, "loss": LOSS})
    assert (is_the_surface(fp.read_landscape(tmp_path / "a.h5"))
            and is_the_surface(fp.read_landscape(tmp_path / "c.mat")))
    assert is_the_surface(fp.read_landscape(tmp_path / "b.h5", key="el", x_key="ex", y_key="why"))
    with pytest.raises(fp.LandscapeFormatError, match="no such array"):
        fp.read_landscape(tmp_path / "b.h5", key="el", x_key="nothing", y_key="why")


def test_rows_of_numbers_in_a_bare_array_are_rows(tmp_path):
    np.save(tmp_path / "a.npy", SHUFFLED)
    assert is_the_surface(fp.read_landscape(tmp_path / "a.npy"))


def test_data_frames_and_data_arrays_are_taken_as_they_are():
    pandas = pytest.importorskip("pandas")
    assert is_the_surface(fp.read_landscape(pandas.DataFrame(SHUFFLED, columns=["x", "y", "loss"])))


def test_a_minus_one_is_data_unless_the_writer_is_known_to_fill_with_it(tmp_path):
    loss = LOSS.copy()
    loss[4, 5] = -1.0
    np.savez(tmp_path / "a.npz", x=X, y=Y, loss=loss)
    land = fp.read_landscape(tmp_path / "a.npz")
    assert land.valid.all() and land.minimum_index == (4, 5)


@pytest.mark.parametrize("fill", [0.0, 1e10, 100.0, np.finfo(np.float32).max, np.finfo(float).max])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_values_put_in_for_infinities_are_no_losses(tmp_path, fill, share):
    mask = np.random.default_rng(3).random(LOSS.shape) < share
    np.savez(tmp_path / "a.npz", x=X, y=Y, loss=np.where(mask, fill, LOSS + 1.0))
    land = fp.read_landscape(tmp_path / "a.npz")
    assert np.array_equal(land.valid, ~mask)
    assert fill > 1e30 or "put in for losses" in " ".join(land.warnings)


def test_an_interpolated_or_quantised_floor_stays_data(tmp_path):
    flat = np.maximum(LOSS - 0.3, 0.0)
    np.savez(tmp_path / "a.npz", x=X, y=Y, loss=flat)
    np.savez(tmp_path / "b.npz", x=X, y=Y, loss=np.round(LOSS, 1))
    np.savez(tmp_path / "c.npz", x=X, y=Y, loss=np.minimum(LOSS, 1.0))          # and so does a clipped rim
    assert all(fp.read_landscape(tmp_path / f"{n}.npz").valid.all() for n in "abc")


@pytest.mark.parametrize("n", [21, 101])
def test_coordinates_rounded_in_print_are_even(tmp_path, n):
    x = np.round(np.linspace(-1, 1, n) / 3, 5)
    np.savez(tmp_path / "a.npz", x=x, y=np.round(Y, 3), loss=x**2 + Y[:, None] ** 2)
    land = fp.read_landscape(tmp_path / "a.npz")
    assert land.is_uniform and "decimals" in " ".join(land.warnings)
    np.savez(tmp_path / "b.npz", x=x + 0.3 * x**2, y=Y, loss=x**2 + Y[:, None] ** 2)
    assert not fp.read_landscape(tmp_path / "b.npz").is_uniform


@pytest.mark.parametrize("name, head, words",
                         [("m.pt", b"PK\x03\x04abc", "checkpoint of a model"),
                          ("i.png", b"\x89PNG\r\n\x1a\n1", "a picture"),
                          ("v.vti", b'<?xml version="1.0"?><VTKFile type="ImageData">', "pyvista.read"),
                          ("t.txt", b"a b\nc d\n", "no row"), ("p.parquet", b"PAR1", "pandas"),
                          ("r.csv", b"x,y,loss\n0,0,1\n0,1,2\n1,0,3\n1,2,4\n", "do not fill a grid"),])
def test_what_is_no_surface_is_named_with_what_converts_it(tmp_path, name, head, words):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(fp.LandscapeFormatError, match=words):
        fp.read_landscape(tmp_path / name)


def test_tables_and_image_data_are_written(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, train_loss=LOSS, test_loss=LOSS + 1)
    land = fp.read_landscape(tmp_path / "a.npz")
    again = fp.read_landscape(land.save(tmp_path / "b.csv"))
    assert np.array_equal(again.loss, land.loss) and np.array_equal(again.test_loss, land.test_loss)
    from xml.etree import ElementTree

    root = ElementTree.parse(land.save(tmp_path / "c.vti")).getroot()
    assert root[0].attrib["WholeExtent"] == "0 12 0 8 0 0"
    values = {a.attrib["Name"]: [float(v) for v in a.text.split()] for a in root.iter("DataArray")}
    assert values["train_loss"] == LOSS.ravel().tolist()


def test_plumed_tells_which_angles_close_on_themselves(tmp_path):
    (tmp_path / "fes.dat").write_text(plumed())
    assert fp.read_landscape(tmp_path / "fes.dat").periodic == (True, False)
    assert fp.read_landscape(tmp_path / "fes.dat", periodic="xy").periodic == (True, True)


def test_default_temperatures_see_every_low_solution_and_no_blown_up_cell(tmp_path):
    x = np.linspace(-3, 3, 61)
    three = np.minimum.reduce([(x + 2) ** 2, 0.02 + x**2, (x - 2) ** 2 + 0.01]) + 0.3 * x[:, None] ** 2
    blown = np.where(np.abs(x[:, None]) > 0.8, 1e12, three)
    for loss in (three, blown):
        np.savez(tmp_path / "a.npz", x=x, y=x, loss=loss)
        report = fp.analyse(tmp_path / "a.npz", n_paths=4)
        assert len(report.wells) >= 3 and 1e-3 < report.theta[0] < report.theta[-1] < 2


def test_structured_grids_for_paraview_keep_uneven_axes(tmp_path):
    from xml.etree import ElementTree

    x, y = np.array([0.0, 1.0, 3.0]), np.array([-1.0, 2.0])
    np.savez(tmp_path / "a.npz", x=x, y=y, loss=y[:, None] + x)
    root = ElementTree.parse(fp.read_landscape(tmp_path / "a.npz").save(tmp_path / "a.vts")).getroot()
    grid = root.find("StructuredGrid")
    assert root.get("type") == "StructuredGrid" and grid.get("WholeExtent") == "0 2 0 1 0 0"
    numbers = lambda at: np.array(grid.find(at).text.split(), float)
    points = numbers("Piece/Points/DataArray").reshape(-1, 3)
    assert np.array_equal(points[:, :2].sum(axis=1), numbers("Piece/PointData/DataArray"))
    assert not points[:, 2].any()


def test_netcdf_is_written_where_xarray_is_installed(tmp_path):
    np.savez(tmp_path / "a.npz", x=[0.0, 1, 2], y=[0.0, 1], loss=np.arange(6.0).reshape(2, 3))
    land = fp.read_landscape(tmp_path / "a.npz")
    try:
        import xarray
    except ImportError:
        with pytest.raises(ValueError, match="pip install xarray"):
            land.save(tmp_path / "a.nc")
        return
    with xarray.open_dataset(land.save(tmp_path / "a.nc")) as data:
        assert np.array_equal(data[land.key].sel(y=1.0), [3, 4, 5])
        again = fp.read_landscape(data[land.key])
    assert np.array_equal(again.loss, land.loss)


@pytest.mark.parametrize("heading", ["y,x,loss", "loss,x,y", "x,epoch,y,loss"])
def test_columns_are_read_by_their_names_wherever_they_stand(tmp_path, heading):
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-1, 1, 7))
    columns = {"x": x, "y": y, "loss": (x - 1) ** 2 + 3 * y**2, "epoch": 0 * x + 3}
    names = heading.split(",")
    path = tmp_path / "rows.csv"
    np.savetxt(path, np.stack([columns[n].ravel() for n in names], axis=1), delimiter=",", header=heading,
               comments="")
    land = fp.read_landscape(path)
    assert land.x[0] == -2 and land.y[0] == -1 and land.minimum_index == (3, 6)


def test_periodic_axes_are_named_or_told_one_by_one_and_nothing_else(tmp_path):
    path = tmp_path / "rows.csv"
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-1, 1, 7))
    np.savetxt(path, np.stack([x.ravel(), y.ravel(), (x**2 + y).ravel()], axis=1))
    assert fp.read_landscape(path, periodic="x").wraps == fp.read_landscape(path,
                                                                            periodic=(True, False)).wraps
    for wrong in ("q", 1, (True,)):
        with pytest.raises(ValueError, match="periodic must be"):
            fp.read_landscape(path, periodic=wrong)


def test_a_temperature_at_which_nothing_moves_is_refused(tmp_path):
    x = np.linspace(-1, 1, 21)
    path = tmp_path / "line.csv"
    np.savetxt(path, np.stack([x, x**2], axis=1))
    with pytest.raises(ValueError, match="nothing moves but downhill"):
        fp.analyse(path, theta=1e-300)


def test_the_dimensions_of_a_data_array_have_names():
    xarray = pytest.importorskip("xarray")
    x, y = np.linspace(-2, 2, 9), np.linspace(-1, 1, 7)
    data = xarray.DataArray((x[:, None] - 1) ** 2 + 3 * y**2, dims=("x", "y"), coords={"x": x, "y": y})
    for given in (data, data.transpose("y", "x")):
        land = fp.read_landscape(given)
        assert land.x[0] == -2 and land.y[0] == -1 and land.minimum_index == (3, 6)
    both = xarray.Dataset({"train_loss": data, "test_loss": data + 1, "seed": 3})
    again = fp.read_landscape(both)
    assert np.array_equal(again.loss, land.loss)
    assert np.array_equal(again.surfaces["test_loss"], land.loss + 1)
    assert np.array_equal(fp.read_landscape(again.to_xarray()).loss, land.loss)


def test_holes_and_the_index_of_a_data_frame_are_read_from_tables(tmp_path):
    x, y = np.linspace(-1, 1, 7), np.linspace(-1, 1, 5)
    loss = x**2 + y[:, None] ** 2
    loss[0, 0] = loss[2, 3] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=y, loss=loss)
    land = fp.read_landscape(tmp_path / "a.npz")
    land.save(tmp_path / "a.csv")
    again = fp.read_landscape(tmp_path / "a.csv")
    assert np.array_equal(again.valid, land.valid) and np.array_equal(again.loss[again.valid],
                                                                      land.loss[land.valid])
    rows = ["" if not k else str(k - 1) for k in range(36)]
    text = [",x,y,loss"] + [f"{rows[k + 1]},{a},{b},{a**2 + b**2}" for k, (b, a) in
                            enumerate((b, a) for b in y for a in x)]
    (tmp_path / "frame.csv").write_text("\n".join(text))
    assert fp.read_landscape(tmp_path / "frame.csv").shape == (5, 7)


@pytest.mark.parametrize("arrays, options", [
    ({"run/loss": LOSS, "run/x": X, "run/y": Y}, {}),
    ({"run/f": LOSS, "run/x": X, "run/y": Y, "other": np.arange(3.0)}, {"key": "run/f"}),
    ({"run/f": LOSS, "run/a": X, "run/b": Y}, {"key": "run/f", "x_key": "run/a", "y_key": "run/b"}),
    ({"alphas": X, "betas": Y, "losses": LOSS}, {}), ({"x": X[None], "y": Y[:, None], "loss": LOSS}, {}),
])
def test_hdf5_groups_and_the_columns_of_matlab_are_read(tmp_path, arrays, options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, a in arrays.items():
            file[name] = a
    is_the_surface(fp.read_landscape(tmp_path / "a.h5", **options))


def test_series_and_pivot_tables_are_read():
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame({"x": np.tile(X, len(Y)), "y": np.repeat(Y, len(X)), "loss": LOSS.ravel()})
    over = rows.set_index(["x", "y"])
    for data in (over, over["loss"], rows.pivot(index="y", columns="x", values="loss"),
                 rows.pivot(index="x", columns="y", values="loss")):
        is_the_surface(fp.read_landscape(data))


def test_archives_of_any_shape_are_written_and_netcdf_keeps_the_rings(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, loss=LOSS)
    land = fp.read_landscape(tmp_path / "a.npz", periodic="x")
    is_the_surface(fp.read_landscape(land.save(tmp_path / "b.npz")))
    pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    assert fp.read_landscape(land.save(tmp_path / "b.nc")).periodic == (True, False)


def test_an_accuracy_or_a_standard_deviation_is_no_loss(tmp_path):
    for heading in ("alpha,beta,val_accuracy,validation_loss", "x,y,accuracy,objective",
                    "x,y,loss_std,mean_loss"):
        rows = np.c_[ROWS[:, :2], -ROWS[:, 2], ROWS[:, 2]]
        (tmp_path / "a.csv").write_text(heading + "\n" + text(rows))
        is_the_surface(fp.read_landscape(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("x,y,accuracy,loss_std\n" + text(rows))
    with pytest.raises(fp.LandscapeFormatError, match="key="):
        fp.read_landscape(tmp_path / "a.csv")


def test_a_last_sample_that_only_nearly_repeats_the_first_stays(tmp_path):
    a, b = np.arange(12) * np.pi / 6, np.linspace(-1, 1, 9)
    np.savez(tmp_path / "a.npz", x=a, y=b, loss=-2.3e5 + 0.1 * np.cos(a) + 0.05 * np.sin(a) + b[:, None] ** 2)
    assert fp.read_landscape(tmp_path / "a.npz", periodic="x").shape == (9, 12)


def test_the_corner_of_a_table_tells_what_runs_down(tmp_path):
    for corner, grid, down, across in (("x\\y", LOSS.T, X, Y), ("", LOSS, Y, X)):
        rows = [",".join([corner, *map(repr, across.tolist())])]
        rows += [",".join(map(repr, [v, *row])) for v, row in zip(down.tolist(), grid.tolist())]
        (tmp_path / "a.csv").write_text("\n".join(rows))
        is_the_surface(fp.read_landscape(tmp_path / "a.csv"))


def test_a_dataset_is_its_surface_and_not_its_profile():
    xarray = pytest.importorskip("xarray")
    data = xarray.Dataset({"profile": ("x", X), "loss": (("y", "x"), LOSS)}, coords={"x": X, "y": Y})
    is_the_surface(fp.read_landscape(data))


def test_losses_and_coordinates_may_stand_in_different_groups(tmp_path):
    import h5py

    path, x, y = tmp_path / "a.h5", np.linspace(-1.5, 1.5, 21), np.linspace(-1, 1, 15)
    loss = (x**2 - 1) ** 2 + y[:, None] ** 2 + 0.2 * x
    for names, options in ((("axes/x", "axes/y", "run/loss"), {}), (("x", "y", "run/loss"), {}),
                           (("axes/a", "axes/b", "run/values"),
                            dict(key="run/values", x_key="axes/a", y_key="axes/b"))):
        with h5py.File(path, "w") as file:
            for name, values in zip(names, (x, y, loss)):
                file[name] = values
        land = fp.read_landscape(path, **options)
        assert np.array_equal(land.loss, loss) and np.array_equal(land.axes[0], x)
    with h5py.File(path, "w") as file:
        file["x"], file["y"], file["loss"] = x, y, loss > 1
    with pytest.raises(fp.LandscapeFormatError, match="'bool' is not plain numbers; store an array"):
        fp.read_landscape(path)
    with h5py.File(path, "w") as file:
        file["train/loss"], file["test/loss"] = loss, loss
    with pytest.raises(fp.LandscapeFormatError, match="it holds test/loss, train/loss; key="):
        fp.read_landscape(path)


@pytest.mark.parametrize("heading", ["x,y,z", "x,y,z,accuracy", "x,y,z,z_std"])
def test_a_column_z_is_the_loss_where_it_is_no_coordinate(tmp_path, heading):
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)))
    columns = [x, y, x**2 + 0.3 * y, 1 + x][:heading.count(",") + 1]
    np.savetxt(tmp_path / "a.csv", np.stack(columns, axis=1), delimiter=",", header=heading, comments="")
    land = fp.read_landscape(tmp_path / "a.csv")
    assert land.shape == (7, 9) and np.allclose(land.loss.ravel(), x**2 + 0.3 * y)


@pytest.mark.parametrize("form", ["%g", "%.3e", "%.4g", "%.6e"])
def test_coordinates_in_significant_digits_are_even(tmp_path, form):
    x, y = np.linspace(-1.3, 1.3, 27), np.linspace(-np.pi, np.pi, 31)
    with open(tmp_path / "a.csv", "w") as file:
        file.write("x,y,loss\n")
        for b in y:
            for a in x:
                file.write(f"{form % a},{form % b},{a * a + b:.9f}\n")
    assert fp.read_landscape(tmp_path / "a.csv").is_uniform


def test_uneven_coordinates_stay_uneven(tmp_path):
    x = np.r_[np.linspace(-1, 0, 11), np.linspace(0.11, 1, 10)]
    np.savez(tmp_path / "a.npz", x=np.round(x, 3), y=np.arange(5.0), loss=np.outer(np.arange(5.0), x**2))
    assert not fp.read_landscape(tmp_path / "a.npz").is_uniform


def test_missing_values_metrics_and_given_coordinates(tmp_path):
    x, y = np.linspace(-1, 1, 7), np.linspace(-1, 1, 6)
    loss = x**2 + y[:, None]
    rows = [f"{a},{b},{'NA' if (i, j) == (2, 3) else loss[i, j]}" for i, b in enumerate(y)
            for j, a in enumerate(x)]
    (tmp_path / "a.csv").write_text("x,y,loss\n" + "\n".join(rows))
    land = fp.read_landscape(tmp_path / "a.csv")
    assert not land.valid[2, 3] and land.n_valid == 41
    gram = np.array([[2.0, 0.3], [0.3, 1.0]])
    np.savez(tmp_path / "a.npz", x=x, y=y, loss=loss, gram=gram)
    assert np.array_equal(fp.read_landscape(tmp_path / "a.npz").gram, gram)
    written = write_landscape(tmp_path / "a.h5", x, y, {"train_loss": loss})
    with pytest.raises(fp.LandscapeFormatError, match="has its own coordinates; leave it out") as told:
        fp.read_landscape(written, x=(0, 1))
    assert "damaged" not in str(told.value)


@pytest.mark.parametrize("scale, size", [((1, 1e307), "lower half of the losses spans"),
                                         ((1, 1e-320), "lower half of the losses spans"),
                                         ((1e200, 1), "samples along x are"),
                                         ((1e-200, 1), "samples along x")])
def test_sizes_that_no_double_carries_are_refused(tmp_path, scale, size):
    x = np.linspace(-1, 1, 9)
    np.savez(tmp_path / "a.npz", x=x * scale[0], y=x, loss=(x**2 + 0.5 * x[:, None] ** 2) * scale[1])
    with pytest.raises(ValueError, match=size):
        fp.analyse(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("dims", [("x", "y"), ("y", "x")])
def test_the_dimensions_of_a_square_netcdf_file_tell_its_order(tmp_path, dims):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    axes = {"x": np.linspace(-2, 2, 9), "y": np.linspace(-1, 1, 9)}
    mesh = dict(zip(dims, np.meshgrid(*(axes[d] for d in dims), indexing="ij")))
    loss = (mesh["x"] + 1) ** 2 + (mesh["y"] - 0.25) ** 2
    xarray.DataArray(loss, dims=dims, coords=axes, name="loss").to_netcdf(tmp_path / "a.nc")
    land = fp.read_landscape(tmp_path / "a.nc")
    assert land.point(land.minimum_index) == pytest.approx([-1, 0.25]) and not land.axis_order_assumed


def test_columns_of_single_points_are_read(tmp_path):
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)))
    loss = x**2 + 0.3 * y
    np.savez(tmp_path / "a.npz", x=x, y=y, loss=loss)
    assert np.allclose(fp.read_landscape(tmp_path / "a.npz").loss.ravel(), loss)
