"""Stored notebooks: in the normal form, within the rules, and compared by nbval as they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebooks as tool

URL = "https://github.com/someone/book"
STORED = sorted(tool.NOTEBOOKS.glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def a_notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook in the normal form with these cells behind its title."""
    return tool.normalise(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), URL)


def test_there_are_notebooks() -> None:
    assert STORED


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_in_the_normal_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    again = tool.written(
        tool.normalise(nbformat.reads(text, as_version=4), tool.repository_url(), tool.chapter_of(path))
    )
    assert text == again, f"{path.name} is not in the stored form: run make notebooks"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_within_the_rules(path: Path) -> None:
    assert tool.problems(read(path), tool.repository_url()) == []


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_notebook_is_small(path: Path) -> None:
    assert path.stat().st_size < 300_000, "a stored notebook holds text only; this one is too large for that"


def test_every_notebook_is_in_the_book(root: Path) -> None:
    contents = (root / "_toc.yml").read_text(encoding="utf-8")
    assert [path.stem for path in STORED if f"notebooks/{path.stem}" not in contents] == []


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_address_comes_from_the_config(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert text == tool.addressed(name, text, tool.repository_url())


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_address_is_written_and_removed(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert "someone/book" in tool.addressed(name, text, URL)
    without = tool.addressed(name, tool.addressed(name, text, URL), "")
    assert "someone/book" not in without
    if name == "CITATION.cff":
        assert yaml.safe_load(tool.addressed(name, text, URL))["repository-code"] == URL


def test_address_from_config(tmp_path: Path) -> None:
    config = tmp_path / "_config.yml"
    assert tool.repository_url(config) == ""
    config.write_text("sphinx:\n  config:\n    mi_repository_url: ''\n")
    assert tool.repository_url(config) == ""
    config.write_text(f"sphinx:\n  config:\n    mi_repository_url: {URL}/\n")
    assert tool.repository_url(config) == URL


def test_normal_form_keeps_text_only() -> None:
    rich = {"text/plain": "Figure", "image/png": "iVBORw0K", "text/html": "<b>x</b>"}
    cell = new_code_cell(
        "plot()",
        execution_count=7,
        metadata={"scrolled": True, "tags": ["hide-input"]},
        outputs=[
            new_output("stream", name="stdout", text="a\n"),
            new_output("stream", name="stdout", text="b\n"),
            new_output("display_data", data=dict(rich), metadata={"image/png": {"width": 3}}),
            new_output("display_data", data={"text/html": "<b>only rich</b>"}),
        ],
    )
    stored = a_notebook(cell).cells[-1]
    assert [output.output_type for output in stored.outputs] == ["stream", "display_data"]
    assert stored.outputs[0].text == "a\nb\n"
    assert stored.outputs[1].data == {"text/plain": "Figure"}
    assert stored.execution_count == 2  # behind the cell that fetches mi_lite
    assert stored.metadata == {"tags": ["hide-input"]}


def test_normal_form_is_stable_and_ids_follow_the_text() -> None:
    first = a_notebook(new_code_cell("1"), new_code_cell("1"), new_markdown_cell("Text."))
    text = tool.written(first)
    assert tool.written(tool.normalise(nbformat.reads(text, as_version=4), URL)) == text
    longer = a_notebook(new_markdown_cell("New."), new_code_cell("1"), new_code_cell("1"), new_markdown_cell("Text."))
    ids = [cell.id for cell in longer.cells]
    assert len(set(ids)) == len(ids)
    assert ids[-1] == first.cells[-1].id


def test_setup_cell_is_first_and_replaced() -> None:
    notebook = a_notebook(new_code_cell("import torch"))
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code"]
    assert notebook.cells[1].source == tool.setup_source(URL)
    moved = tool.normalise(notebook, "")
    assert [cell.source for cell in moved.cells if tool.is_setup(cell)] == [tool.setup_source("")]


@pytest.mark.parametrize("url", ["", URL])
def test_setup_cell_is_short_and_leaves_torch_alone(url: str) -> None:
    source = tool.setup_source(url)
    assert len(source.splitlines()) <= 8
    assert "--no-deps" in source
    assert "torch" not in source.replace("torch stays as it is", "")


def test_setup_cell_without_address_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    source = tool.setup_source("")
    exec(source, {})  # mi_lite is here: nothing happens
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install --no-deps -e \."):
        exec(source, {})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```{note}\nx\n```", "directive"),
        (":::{margin}\nx\n:::", "directive"),
        ("see {ref}`here`", "role"),
        ("(eq-squash)=\n# Title", "target"),
        ("% a comment", "comment"),
        ("+++ {}", "block break"),
        ("now {{ version }}", "substitution"),
    ],
)
def test_site_only_markdown_is_found(text: str, what: str) -> None:
    assert any(
        what in problem for problem in tool.problems(a_notebook(new_markdown_cell(text), new_code_cell("1")), URL)
    )


@pytest.mark.parametrize(
    "text",
    [
        "$$\nv = \\frac{s}{\\|s\\|}\n$$ (eq-squash)",
        "$\\{x\\}$ and `{code}`",
        "<details><summary>Why?</summary>\n\nSo.\n\n</details>",
        "```python\nx = {1}\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "> a quote",
        "[link](02_squash.ipynb)",
    ],
)
def test_plain_markdown_is_left_alone(text: str) -> None:
    assert tool.problems(a_notebook(new_markdown_cell(text), new_code_cell("1")), URL) == []


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (new_code_cell("\n".join(["x = 1"] * 26)), "26 lines"),
        (
            new_code_cell("1/0", outputs=[new_output("error", ename="ZeroDivisionError", evalue="x", traceback=[])]),
            "error",
        ),
        (new_code_cell("f()", outputs=[new_output("stream", name="stderr", text="50%|###")]), "stderr"),
        (new_code_cell("# NBVAL_IGNORE_OUTPUT\nf()"), "takes itself out"),
        (new_code_cell("f()", metadata={"tags": ["nbval-skip"]}), "takes itself out"),
    ],
)
def test_broken_rules_are_found(cell: nbformat.NotebookNode, what: str) -> None:
    assert any(what in problem for problem in tool.problems(a_notebook(cell), URL))


def test_wrong_first_cells_are_found() -> None:
    notebook = a_notebook(new_code_cell("1"))
    del notebook.cells[:2]
    found = " ".join(tool.problems(notebook, URL))
    assert "title" in found
    assert "fetches mi_lite" in found


def nbval(folder: Path, root: Path, **variables: str) -> tuple[int, str]:
    """Run nbval as `make test` does on the notebooks of a folder; return its status and what it printed."""
    shutil.copy(root / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", str(folder)]
    environment = os.environ | variables | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


RICH_CELL = """class Rich:
    def __repr__(self):
        return "three dots"
    def _repr_html_(self):
        return f"<i>{id(self)}</i>"
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "application/vnd.plotly.v1+json": {"at": id(self)}, "image/svg+xml": "<svg/>"}
Rich()"""


@pytest.mark.kernel
def test_nbval_compares_text_and_leaves_rich_outputs_out(tmp_path: Path, root: Path) -> None:
    """Executed and stored without its rich outputs, a notebook passes; one changed digit of its text fails."""
    notebook = tool.normalise(
        new_notebook(cells=[new_markdown_cell("# T"), new_code_cell(RICH_CELL), new_code_cell("print('loss', 0.25)")]),
        "",
    )
    tool.execute(notebook, tmp_path)
    assert "image/svg+xml" in notebook.cells[2].outputs[0].data
    tool.normalise(notebook, "")
    assert [list(output.data) for output in notebook.cells[2].outputs] == [["text/plain"]]
    path = tmp_path / "tiny.ipynb"
    path.write_text(tool.written(notebook))
    status, output = nbval(tmp_path, root)
    assert status == 0, output
    assert "4 passed" in output  # three code cells and the bounds
    assert "MiB  tiny.ipynb" in output
    status, output = nbval(tmp_path, root, NOTEBOOK_SECONDS="0")
    assert status == 1
    assert "a notebook may take 0 s" in output
    changed_path = tmp_path / "changed" / "tiny.ipynb"
    changed_path.parent.mkdir()
    for place, key, text in [(3, "text", "loss 0.26\n"), (2, "data", {"text/plain": "four dots"})]:
        changed = read(path)
        changed.cells[place].outputs[0][key] = text
        changed_path.write_text(tool.written(changed))
        status, output = nbval(changed_path.parent, root)
        assert status == 1, output
        assert "Cell outputs differ" in output


@pytest.mark.kernel
def test_execution_uses_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel named python3 that someone installed for himself is not taken."""
    other = tmp_path / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text('{"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebook = new_notebook(cells=[new_code_cell("import sys; print(sys.executable)")])
    before = dict(os.environ)
    try:
        tool.execute(notebook, tmp_path)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert notebook.cells[0].outputs[0].text.strip() == sys.executable


# ---- exercises ----


def test_exercises_stand_behind_their_heading_and_keep_their_outputs() -> None:
    def made(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
        return tool.normalise(notebook, URL, "dynamic_routing")

    notebook = made(new_notebook(cells=[new_markdown_cell("# Title"), new_markdown_cell("## Exercises\n\nTry."),
                                        new_markdown_cell("## Summary")]))  # fmt: skip
    own = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    assert len(own) > 10 and notebook.cells[-1].source == "## Summary"
    assert any(cell.source == 'check("dynamic_routing.weights", weights)' for cell in own)
    text = tool.written(notebook)
    assert tool.written(made(nbformat.reads(text, as_version=4))) == text
    stub = next(cell for cell in own if cell.source.startswith("def weights"))
    stub.source += "\n    return 1"  # whoever edits a stub in the stored notebook gets the given one back
    check = next(cell for cell in own if cell.source.startswith("check("))
    check.outputs = [new_output("execute_result", {"text/plain": "said"}, execution_count=1)]
    again = made(notebook)
    assert "return 1" not in "".join(cell.source for cell in again.cells if cell.source.startswith("def weights"))
    assert "said" in tool.written(again)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_exercise_stands_in_its_chapter(path: Path) -> None:
    from mi_lite.exercises import find, names

    text = "\n".join(cell.source for cell in read(path).cells)
    assert [name for name in names(tool.chapter_of(path)) if f"### {find(name).title}" not in text] == []
