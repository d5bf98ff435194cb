"""Notebooks as they are stored: no outputs, no counts, fixed metadata and ids.

``cd tests && ../.venv/bin/python -m notebooks`` makes them so after they were run or edited.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import experiments

FOLDER = Path(experiments.__file__).parent / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read(path: Path) -> dict[str, Any]:
    """The notebook as it is."""
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def code_of(notebook: dict[str, Any]) -> list[str]:
    """The text of every code cell."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def cleaned(notebook: dict[str, Any]) -> str:
    """The text of the file that holds it and nothing of its runs."""
    cells = []
    for number, cell in enumerate(notebook["cells"], 1):
        kept = {"cell_type": cell["cell_type"], "id": f"cell-{number:02}", "metadata": {}}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        source = "".join(cell["source"]).strip("\n")
        cells.append(dict(sorted((kept | {"source": source.splitlines(keepends=True)}).items())))
    whole = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in FILES:
        each.write_text(cleaned(read(each)), encoding="utf-8")
