"""The arguments killing= and resetting= of paths."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ...potentials.force import components_of


class PathSources:
    """Killing at a rate k(x) and resetting, (rate, place), as `FokkerPlanck` takes them."""

    def __init__(self, killing, resetting, ndim: int) -> None:
        self.has_killing, self.rate, self.place = killing is not None, 0.0, np.zeros(ndim)
        parts = components_of(0.0 if killing is None else killing, ndim, "killing rate")[0]
        if getattr(parts, "shape", None) != () or parts[()].is_black_box:
            raise ValueError("the killing rate of paths must be a number or one formula of the coordinates.")
        self.k = parts[()]
        if resetting is not None:
            if not isinstance(resetting, (tuple, list)) or len(resetting) != 2:
                raise TypeError(f"resetting must be (rate, point), got {checks.shown(resetting)}.")
            self.rate = checks.number("the rate of resetting", resetting[0], positive=True)
            self.place = checks.points("the place of resetting", np.atleast_1d(resetting[1]), ndim).copy()
            if self.place.ndim > 1:
                raise ValueError("paths are reset to one point.")

        self.given = {"killing": None if killing is None else self.k.text,
                      "resetting": None if resetting is None else [self.rate, self.place.tolist()]}

    def check(self, points: np.ndarray) -> None:
        """Refuse rates at points (n, ndim) that are negative or no numbers."""
        rates = np.asarray(self.k(points), float)
        if not ((rates >= 0) & np.isfinite(rates)).all():
            raise ValueError(f"the killing rate must be finite and not negative, got {rates.min():g}.")

    def table(self, key):
        """What the kernels take: the block function of k, and `Sources`."""
        from .source_kernels import Sources
        return self.k.block("value"), Sources(self.rate, self.place, self.k.p, self.has_killing,
                                              np.uint64(key))


def sources_of(killing, resetting, ndim, scheme) -> PathSources | None:
    """`PathSources`, or None where there are none."""
    if killing is None and resetting is None:
        return None
    if scheme not in ("euler-maruyama", "heun"):
        raise ValueError(f'killing and resetting are known to "euler-maruyama" and "heun", got "{scheme}".')
    return PathSources(killing, resetting, ndim)
