"""The notebook of the first page, cell by cell; its pictures are the values of their cells."""
import json
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE, NOTEBOOK = HERE / "chapters" / "plot_00_ten_minutes.py", HERE / "ten_minutes.ipynb"


def notebook() -> str:
    """The text of ten_minutes.ipynb."""
    _, head, body = PAGE.read_text(encoding="utf-8").split('"""', 2)
    title, _, rest = head.strip().partition("\n")
    cells = [markdown(f"# {title}\n\n" + rest.split("\n", 1)[1].strip())]
    for k, block in enumerate(body.strip().split("# %%\n")):
        lines = block.strip().splitlines()
        n = 0 if k == 0 else next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        if n:
            cells.append(markdown("\n".join(line[2:] for line in lines[:n])))
        code = re.sub(r"^\w+ = (fp\.plot\(.*\))$", r"\1", "\n".join(lines[n:]), flags=re.M)
        cells.append({"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
                      "source": code.splitlines(keepends=True)})
    for k, cell in enumerate(cells):
        cell["id"] = f"cell{k}"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1,
                      ensure_ascii=False) + "\n"


def markdown(text):
    """A cell of text; formulas as notebooks write them."""
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
