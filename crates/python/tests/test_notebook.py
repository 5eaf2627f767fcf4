"""The notebook of the documents runs as it stands. `UPDATE=1` writes what it shows into it."""

import os

import nbformat
from nbclient import NotebookClient

from conftest import ROOT

FILE = ROOT / "docs" / "notebook.ipynb"


def test_the_notebook_runs():
    notebook = nbformat.read(FILE, as_version=4)
    # As Jupyter does, in its own folder.
    where = {"metadata": {"path": str(FILE.parent)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where, record_timing=False)
    client.execute()
    if os.environ.get("UPDATE"):
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
        nbformat.write(notebook, FILE)
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in shown if output.output_type == "stream"], "warnings and prints"
    assert len(shown) >= 6
