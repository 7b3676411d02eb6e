"""The walls of a box: mirrors, periodic axes and absorbing sides."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ...core import checks
from ...core.grid import Grid

KINDS = ("none", "reflecting", "periodic", "absorbing")          # the position is the code in the kernels


@dataclass(frozen=True, repr=False)
class Walls:
    """What happens to a path at the sides of a box.

    Parameters
    ----------
    bounds : sequence of (low, high)
        One pair an axis, in the units of the coordinates; ``-inf`` or ``inf`` for a side without a wall.
    kind : str, or one entry an axis
        ``"reflecting"``: the path is mirrored (weak order 1 for normal reflection [1]_), repeatedly until
        inside. ``"periodic"``: the two sides are one; the winding number is kept.
        ``"absorbing"``: the path ends there; exit time and side are recorded, with the Brownian-bridge test
        inside a step. An entry may be a pair for the lower and the upper side: ``("reflecting",
        "absorbing")``.

    Examples
    --------
    >>> fp.Walls([(-1, 1), (0, np.inf)], kind=["periodic", "reflecting"])
    Walls: axis 0 in [-1, 1] periodic, axis 1 in [0, inf] reflecting

    References
    ----------
    .. [1] M. Bossy, E. Gobet, D. Talay, J. Appl. Probab. 41, 877 (2004).
    """
    bounds: tuple
    kind: tuple = "reflecting"
    table: np.ndarray = field(init=False, compare=False)

    def __post_init__(self):
        try:
            pairs = tuple((float(low), float(high)) for low, high in self.bounds)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("bounds must be one (low, high) pair an axis, got "
                             f"{checks.shown(self.bounds)}.") from None
        kinds = [self.kind] * len(pairs) if isinstance(self.kind, str) else list(self.kind)
        if len(kinds) != len(pairs):
            raise ValueError(f"kind names {len(kinds)} axes and bounds have {len(pairs)}; give one kind an "
                             "axis, or one for all.")
        table, named = np.zeros((4, len(pairs))), []
        for k, ((low, high), entry) in enumerate(zip(pairs, kinds)):
            sides = (entry, entry) if isinstance(entry, str) else tuple(entry)
            if len(sides) != 2:
                raise ValueError(f"kind of axis {k} must be one word or a pair (lower, upper), got "
                                 f"{checks.shown(entry)}.")
            sides = tuple(checks.choice("the kind of wall", side, KINDS) for side in sides)
            if math.isnan(low) or math.isnan(high) or not low < high:
                raise ValueError(f"bounds of axis {k} must have low < high, got ({low:g}, {high:g}).")
            if "periodic" in sides and (sides[0] != sides[1]
                                        or not (math.isfinite(low) and math.isfinite(high))):
                raise ValueError(f"axis {k} is periodic only when both its sides are and both bounds are "
                                 f"finite, got {sides} on ({low:g}, {high:g}).")
            for side, place in enumerate((low, high)):
                table[side, k] = KINDS.index(sides[side]) if math.isfinite(place) else 0
                table[2 + side, k] = place
            named.append(sides[0] if sides[0] == sides[1] else sides)
        table.setflags(write=False)
        for name, value in (("bounds", pairs), ("kind", tuple(named)), ("table", table)):
            object.__setattr__(self, name, value)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.bounds)

    def has(self, kind: str) -> bool:
        """Whether a side of this kind exists."""
        return bool((self.table[:2] == KINDS.index(kind)).any())

    def __repr__(self):
        axes = (f"axis {k} in [{low:g}, {high:g}] {kind if isinstance(kind, str) else ' / '.join(kind)}"
                for k, ((low, high), kind) in enumerate(zip(self.bounds, self.kind)))
        return "Walls: " + ", ".join(axes)


def walls_of(walls, potential):
    """The `walls=` argument as Walls or None: Walls, a Grid, a list of (low, high); without one, the
    potential's own box."""
    if walls is None:
        bounds = potential.bounds
        return None if bounds is None else Walls(tuple(map(tuple, bounds)), "reflecting")
    if isinstance(walls, Grid):
        if walls.mask is not None:
            raise ValueError("walls from a grid take its box; its mask cannot bound a path. Pass "
                             "Walls(grid.bounds), and give the domain as a GridPotential with NaN outside.")
        walls = Walls(walls.bounds, ["periodic" if p else "reflecting" for p in walls.periodic])
    if not isinstance(walls, Walls):
        walls = Walls(tuple(walls) if isinstance(walls, (list, tuple, np.ndarray)) else walls)
    if walls.ndim != potential.ndim:
        raise ValueError(f"walls have {walls.ndim} axes and the potential has {potential.ndim} coordinates; "
                         "give one (low, high) each.")
    return walls
