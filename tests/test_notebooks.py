"""The notebooks run on a fresh sweep, say what its records say, and are stored without outputs."""

import json
import os
import statistics
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

pytestmark = pytest.mark.long

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
FIRST = NOTEBOOKS[0]


def execute(cells: slice, folder: Path, **environment: str) -> list[nbformat.NotebookNode]:
    """The executed cells of the first notebook; raises CellExecutionError at the first that fails."""
    notebook = nbformat.read(FIRST, as_version=4)
    notebook.cells = notebook.cells[cells]
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    inherited = {key: value for key, value in os.environ.items() if key != "BAKEOFF_SWEEP"}
    client.execute(env=inherited | environment)
    return notebook.cells


def text_and_figures(cells):
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    return text, [output for output in outputs if "image/png" in output.get("data", {})]


def expected_winner(sweep: Path) -> str:
    """From the outcomes alone: the arm of the highest mean validation accuracy."""
    finals, names = defaultdict(list), {}
    for path in sorted(sweep.glob("*/seed=*/outcome.json")):
        outcome = json.loads(path.read_text())
        finals[path.parts[-3]].append(outcome["metrics"]["val/accuracy"]["final"])
        names[path.parts[-3]] = ", ".join(f"{key}={outcome['arm'][key]}" for key in ("optimizer", "loss", "batch_size"))
    return names[max(finals, key=lambda folder: statistics.mean(finals[folder]))]


def test_first_comparison_names_the_winner_and_draws(small_sweep):
    cells = execute(slice(None), FIRST.parent, BAKEOFF_SWEEP=str(small_sweep))
    text, figures = text_and_figures(cells)
    assert "16 runs in" in text
    assert f"winner: {expected_winner(small_sweep)}\n" in text
    assert "of 7 arms are too close to the winner to call" in text
    assert len(figures) == 5
    stderr = [output.text for cell in cells for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    assert stderr == [], "a warning of ours or of matplotlib"


@pytest.mark.parametrize("start", [".", "notebooks"])
def test_without_a_sweep_it_says_where_it_looked_and_what_to_do(start, tmp_path):
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(CellExecutionError, match=f"no runs in {tmp_path}/outputs/demo: make the demo"):
        execute(slice(2), tmp_path / start)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert [cell.execution_count for cell in code] == [None] * len(code)
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
