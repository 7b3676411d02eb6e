"""How the documentation is built: python -m sphinx -W docs docs/_build (extra `docs`)."""
import os
import re
import sys
from pathlib import Path

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ.setdefault("PYTHONPATH", str(HERE.parent))            # for processes that examples start

from make_api import api_page  # noqa: E402

import fpkit  # noqa: E402

(HERE / "api.rst").write_text(api_page(), encoding="utf-8")
project, author = "fpkit", "the fpkit authors"
version = release = fpkit.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.mathjax",
              "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "chapters", "examples"]
html_theme = "furo"
html_title = f"fpkit {version}"
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
autosummary_generate = True
autodoc_typehints = "none"                                       # the docstrings say it in words
autodoc_default_options = {"members": True, "inherited-members": False}
napoleon_use_rtype, napoleon_use_ivar = False, True
# a name such as ndim belongs to several classes; the function among our settings cannot be stored
suppress_warnings = ["ref.python", "config.cache"]


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are written for terminals: |x|, a*b, lambda_ and [1]_ are texts there and no markup."""
    in_doctest, literal_indent = False, None
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            in_doctest = False
            continue
        in_doctest = in_doctest or line.lstrip().startswith(">>>")
        if literal_indent is not None and indent <= literal_indent:
            literal_indent = None
        if in_doctest or literal_indent is not None:
            continue
        parts = re.split(r"(``.+?``|`[^`]+`)", re.sub(r"^(\s*)\.\. \[(\d+)\]", r"\1[\2]", line))
        for i in range(0, len(parts), 2):
            text = re.sub(r"\[(\d+)\]_", r"[\1]", parts[i])
            text = re.sub(r"(?<!\*)\*(?!\*)|\|", lambda m: "\\" + m[0], text)
            parts[i] = re.sub(r"(\w)_(?=[^\w`]|$)", r"\1\\_", text)
        lines[k] = "".join(parts)
        if line.rstrip().endswith("::"):
            literal_indent = indent


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain_text, priority=100)          # before napoleon


def figures(block, block_vars, gallery_conf):
    """Pictures of a block: each new Figure among its variables, and each new animation by its path."""
    paths = []
    named = [v for name, v in block_vars["example_globals"].items() if not name.startswith("_")]
    for value in named:
        if isinstance(value, Figure) and not getattr(value, "is_drawn", False):
            value.is_drawn = True
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=110, bbox_inches="tight")
            paths.append(path)
        elif isinstance(value, Path) and value.suffix == ".gif" and value.exists():
            path = Path(next(block_vars["image_path_iterator"])).with_suffix(".gif")
            value.replace(path)
            paths.append(str(path))
    return figure_rst(paths, gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": ["chapters", "examples"], "gallery_dirs": ["guide", "gallery"],
    "filename_pattern": "/plot_", "image_scrapers": (figures,), "reset_modules": (),
    "abort_on_example_error": True, "min_reported_time": 10_000, "write_computation_times": False,
    "show_memory": False, "remove_config_comments": True, "within_subsection_order": "FileNameSortKey",
    "default_thumb_file": None,
}
