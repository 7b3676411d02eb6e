"""The page of the API: every public name, by the module that it comes from."""
from pathlib import Path

import fpkit

TITLES = {"core": "Numbers, fields, grids", "potentials": "Potentials and regions",
          "fokker_planck": "Densities and what they answer", "langevin": "Paths", "rates": "Rates",
          "landscapes": "Loss landscapes", "plotting": "Figures"}


def api_page() -> str:
    """The text of api.rst."""
    parts = ["API", "===", ""]
    for package, title in TITLES.items():
        names = sorted(n for home, given in fpkit.HOMES.items() if home.split(".")[0] == package
                       for n in given.split() if n != "catalogue")
        parts += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: api", "   :nosignatures:"]
        parts += [""]
        parts += [f"   fpkit.{n}" for n in names] + [""]
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(__file__).parent / "api.rst").write_text(api_page(), encoding="utf-8")
