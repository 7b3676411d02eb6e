"""Cases for the validations of rates: catalogue potentials with a source and a target well, and cold and warm
temperatures."""
from __future__ import annotations

from dataclasses import dataclass, field

METHODS = ("rate", "mfpt", "gap", "exit-rate", "free-energy", "eyring-kramers", "next-order", "resummed",
           "network")


@dataclass(frozen=True)
class Case:
    """One transition: the potential by name, the two wells as numbers of its minima, and whether
    Eyring-Kramers applies."""

    name: str
    parameters: dict = field(default_factory=dict)
    source: int = 0
    target: int = 1
    # False: the guard must refuse or tell the reason at every temperature; None: several gates, of which one
    # wins only when it is very cold
    harmonic: bool | None = True
    cells: int = 96
    label: str = ""
    # default: that of the catalogue; in 3D a narrow one saves cells in corners that hold nothing
    box: tuple = ()

    @property
    def title(self):
        return self.label or self.name

    def potential(self):
        import fpkit as fp
        return fp.catalogue.get(self.name, **self.parameters)


CASES = (
    Case("double_well"), Case("tilted_double_well", source=1, target=0),
    Case("triple_well", label="triple_well, to the middle"),
    Case("sharp_and_wide"), Case("sharp_and_wide", source=1, target=0, label="sharp_and_wide, back"),
    Case("flat_bottomed", harmonic=False),
    Case("rugged", harmonic=False), Case("coupled_double_well"), Case("wide_and_narrow"),
    Case("wide_and_narrow", source=1, target=0, label="wide_and_narrow, back"), Case("narrow_gate"),
    Case("three_hole", source=0, target=2, harmonic=None),
    Case("mueller_brown", source=0, target=2, label="mueller_brown, to the middle"),
    Case("quartic_chain", {"d": 2, "coupling": 0.5}, source=0, target=2,
         label="quartic_chain, one element of two", harmonic=None),
    Case("coupled_double_well", {"d": 3}, cells=24, label="coupled_double_well in 3D",
         box=((-1.8, 1.8), (-1.4, 1.4), (-1.6, 1.6))),
)


def temperatures(V, case, heights):
    """theta for barriers of so many theta from source to target."""
    barrier = V.barriers[case.source, case.target]
    return [barrier / h for h in heights]


def grid_of(V, case):
    import fpkit as fp
    return fp.Grid(case.box or V.box, (case.cells if V.ndim > 1 else 200,) * V.ndim)
