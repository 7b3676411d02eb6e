"""Coordinates of a surface and the index order of its values, for every layout."""
from __future__ import annotations

import numpy as np

from ...core import checks

UNIFORM = 1e-6                                     # of the mean spacing
FLOATS = {np.float32: "single", np.float16: "half"}
EXCHANGE = ' (layout="xy" or "yx" exchanges the axes)'
ORDERS = {"yx": "yx", "y,x": "yx", "xy": "xy", "x,y": "xy", "zyx": "yx", "z,y,x": "yx", "xyz": "xy",
          "x,y,z": "xy", "x": "yx"}


def order_named(text):
    """"yx" (x runs fastest) or "xy" (x runs slowest) for an attribute such as "yx", "[y, x]" or "zyx"; None
    for others."""
    return ORDERS.get("".join(text.lower().split()).strip("[]()"))


def ascending(fail, name, a, warnings):
    """Checked coordinates in rising order, and whether they had to be turned round."""
    if a is None or a.ndim != 1 or a.size < 2:
        fail(name, "expected at least two coordinates on one axis")
    if not np.isfinite(a).all():
        fail(name, f"{int((~np.isfinite(a)).sum())} of {a.size} coordinates are not finite")
    with np.errstate(over="ignore", invalid="ignore"):
        steps, span = np.diff(a), a[-1] - a[0]
    if not ((steps > 0).all() or (steps < 0).all()):
        fail(name, "the coordinates neither rise nor fall throughout")
    if not np.isfinite(span):
        fail(name, "the coordinates span more than a floating-point number holds")
    is_falling = bool(steps[0] < 0)
    a = a[::-1].copy() if is_falling else a
    h = (a[-1] - a[0]) / (a.size - 1)
    if np.abs(np.diff(a) - h).max() > UNIFORM * h:
        even = np.linspace(a[0], a[-1], a.size)
        digits = _decimals(a)
        # each coordinate and both ends may be off by half a digit
        if digits is not None and 4 * 10.0**-digits < h and np.abs(a - even).max() < 1.01 * 10.0**-digits:
            warnings.append(f"The {name} are evenly spaced up to their {digits} decimals and are taken as "
                            "even.")
            a = even
        elif (kind := next((t for t in FLOATS if _is_rounded_to(t, a, even)), None)) is not None:
            a = even                                     # torch.linspace, for example
            warnings.append(f"The {name} are evenly spaced up to {FLOATS[kind]} precision and are taken as "
                            "even.")
        elif (digits := _significant(a, even, h)) is not None:
            a = even
            warnings.append(f"The {name} are evenly spaced up to their {digits} significant digits and are "
                            "taken as even.")
        else:
            warnings.append(f"The {name} are not evenly spaced.")
    if is_falling:
        warnings.append(f"The {name} fall; they are turned round together with the data.")
    return a, is_falling


def _is_rounded_to(kind, a, even):
    """Whether coordinates are evenly spaced ones in a type of few digits."""
    with np.errstate(over="ignore"):                     # beyond its range: inf, and so not even
        return bool((a == a.astype(kind)).all()
                    and (np.abs(a - even) <= 2 * float(np.finfo(kind).eps) * np.abs(a).max()).all())


def _significant(a, even, h):
    """Significant digits, from 2 to 8, that evenly spaced coordinates were rounded to, as %g does; None where
    they were not."""
    size = np.floor(np.log10(np.maximum(np.abs(a), 1e-300)))
    for k in range(2, 9):
        last = 10.0 ** (size - k + 1)                    # the place of the last digit of each
        with np.errstate(over="ignore", invalid="ignore"):
            if (np.abs(a / last - np.rint(a / last)) < 1e-6).all():
                return k if 4 * last.max() < h and (np.abs(a - even) <= 0.51 * (last + last.max())).all(
                    ) else None
    return None


def _decimals(a):
    """Decimals that the coordinates were rounded to, from 2 to 8; None where they have more."""
    for k in range(2, 9):
        with np.errstate(over="ignore", invalid="ignore"):       # coordinates near the end of floats
            scaled = a * 10.0**k
            is_rounded = (np.abs(scaled - np.rint(scaled)) < 1e-9 * (1 + np.abs(scaled))).all()
        if is_rounded:
            return k
    return None


def given_axis(name, spec, n):
    """Coordinates that the caller gave for n samples: (low, high), (low, high, n) or an array."""
    if isinstance(spec, (tuple, list)) and len(spec) in (2, 3) and len(spec) != n:
        low, high = checks.number(name, spec[0]), checks.number(name, spec[1])
        if len(spec) == 3 and checks.whole(f"the number of samples of {name}", spec[2], 2) != n:
            raise ValueError(f"{name} was given {spec[2]} samples and the file has {n} on that "
                             f"axis{EXCHANGE}.")
        return np.linspace(low, high, n)
    a = np.asarray(spec, float)
    if a.shape != (n,):
        raise ValueError(f"{name} was given {a.size} coordinates and the file has {n} samples on that "
                         f"axis{EXCHANGE}.")
    return a


def check_shape(fail, key, shape, sizes, order):
    """Refuse a shape that does not fit the coordinates; asked before anything is read. See `arranged`."""
    natural, slow = tuple(sizes[::-1]), tuple(sizes)
    if order == "xy":
        fits = shape == slow
    else:
        fits = shape == natural or (len(sizes) == 1 and sorted(shape) == [1, *sizes])
        if order == "declared":
            fits = fits or (len(sizes) == 2 and shape == slow) or shape == (int(np.prod(sizes)),)
    if not fits:
        hint = (" (layout=\"xy\" reads an array whose first index counts x)" if shape == slow
                and order != "xy" else "")
        fail(key, f"its shape {tuple(shape)} does not fit the coordinates, expected "
             f"{slow if order == 'xy' else natural}{hint}")


def arranged(fail, key, values, sizes, order, flips):
    """Values as an array (nz, ny, nx), (ny, nx) or (nx,) along rising coordinates.

    `sizes` is (nx,), (nx, ny) or (nx, ny, nz). `order` is "yx" (x runs fastest), "xy" (x runs slowest) or
    "declared": as tomgoldstein's writer does, which declares (nx, ny) but fills it with x running fastest, so
    that for nx != ny only ``flat.reshape(ny, nx)`` is right.
    """
    check_shape(fail, key, values.shape, sizes, order)
    values = values.T if order == "xy" else values.reshape(sizes[::-1])
    for axis, is_flipped in zip(range(values.ndim - 1, -1, -1), flips):
        values = np.flip(values, axis) if is_flipped else values
    return np.ascontiguousarray(values)


def mesh_axes(fail, X, Y):
    """Coordinates (x, y) of two arrays made by meshgrid, and the order that they imply."""
    if X.shape != Y.shape or X.ndim != 2 or min(X.shape) < 2:
        fail("X", f"the grids X {X.shape} and Y {Y.shape} do not belong together")
    for order, a, b in (("yx", X, Y), ("xy", X.T, Y.T)):
        if (a == a[:1]).all() and (b == b[:, :1]).all():
            return a[0].copy(), b[:, 0].copy(), order
    fail("X", "X and Y are no rectangular grid of coordinates")
