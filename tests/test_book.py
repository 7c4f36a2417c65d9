"""What `make book` promises after the build: pages, figures, live figures, checked equations, and no traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import book

PAGE = (
    '<div id="eq-one"></div><details class="mi-checked"></details>'
    '<figure tabindex="0" class="mi-figure"></figure><figure class="mi-live" data-module="squash"></figure>'
)
CODE = ("fig, ax = made()\nshow(fig, alt='a line')", "SquashFigure()", "show(other)", "x = show(third)")
TAGS = ([], [], ["exercise"], [])


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A tiny project and its site, with nothing missing."""
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- caption: One\n  chapters:\n  - file: notebooks/01_one\n", encoding="utf-8"
    )
    cells = [
        {"cell_type": "code", "metadata": {"tags": tags}, "source": code} for code, tags in zip(CODE, TAGS, strict=True)
    ]
    for name, text in {
        "notebooks/01_one.ipynb": json.dumps({"cells": cells}),
        "mi_lite/explorables/squash.py": "class SquashFigure(Explorable):\n    pass\n",
        "_build/contracts.json": json.dumps([{"id": "eq-one", "notebook": "01_one", "passed": True}]),
        "_build/html/index.html": "<p>Front</p>",
        "_build/html/notebooks/01_one.html": PAGE,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def found(root: Path) -> list[str]:
    return book.faults(root, root / "_build" / "html")


def test_a_whole_site_has_no_fault(whole: Path) -> None:
    assert found(whole) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('class="mi-figure"', "", "notebooks/01_one shows 0 figures; its notebook makes 1"),
        ('data-module="squash"', 'data-module="other"', "live figure squash is not on the page"),
        ('class="mi-checked"', "", "has 0 checked equations; its notebook numbers 1"),
        ('id="eq-one"', "", "numbers 1: eq-one"),
        ("<div", "<pre>Traceback (most recent call last)</pre><div", "traceback stands on the page notebooks/01_one"),
    ],
)
def test_what_is_missing_is_named(whole: Path, old: str, new: str, message: str) -> None:
    assert old in PAGE
    (whole / "_build/html/notebooks/01_one.html").write_text(PAGE.replace(old, new), encoding="utf-8")
    (one,) = found(whole)
    assert message in one


def test_a_missing_page_is_named(whole: Path) -> None:
    (whole / "_build/html/notebooks/01_one.html").unlink()
    assert found(whole) == ["The page notebooks/01_one of _toc.yml was not built."]


def test_a_contract_that_fails_stops_the_build_at_once(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (whole / "_config.yml").write_text("title: A book\n", encoding="utf-8")
    (whole / "contracts").mkdir()
    (whole / "contracts" / "__main__.py").write_text(
        "import sys\nprint('eq-one does not hold', file=sys.stderr)\nsys.exit(1)\n", encoding="utf-8"
    )
    monkeypatch.setattr(book, "ROOT", whole)
    assert book.build() == 1
    text = capfd.readouterr()
    assert "eq-one does not hold" in text.err and "The book was not built" in text.err
    assert "Building" not in text.out


# ------------------------------------------------------------------------------------ what the extension does with it

EQUATION = "# Squash\n\nHow can one vector say two things at once?\n\n## A part\n\n$$ v = s $$ (eq-squash)\n"
ROW = {
    "id": "eq-squash", "notebook": "02_squash", "number": "2.1", "passed": True,
    "sentence": "It <keeps> the direction.", "test": "tests/test_contracts.py::test_contract[eq-squash]",
    "seconds": 0.1, "package": True, "alone": "", "chapter": ["squash", "lengths"], "mistake": "Has one half & no more",
}  # fmt: skip


def built(folder: Path, root: Path, rows: list[dict]) -> subprocess.CompletedProcess[str]:
    """Build a page with one equation, with these outcomes of its contracts."""
    for name in ("book", "mi_lite", "tests", "requirements.txt"):
        (folder / name).symlink_to(root / name)
    (folder / "notebooks").mkdir()
    cell = {"cell_type": "markdown", "metadata": {}, "source": EQUATION, "id": "one"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}}}
    (folder / "notebooks" / "02_squash.ipynb").write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}))
    config = (root / "_config.yml").read_text(encoding="utf-8")
    config = re.sub(r"execute_notebooks: \w+", 'execute_notebooks: "off"', config)
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: book/what_is_checked\nchapters:\n- file: notebooks/02_squash\n"
    )
    (folder / "_build").mkdir()
    (folder / "_build" / "contracts.json").write_text(json.dumps(rows), encoding="utf-8")
    command = [sys.executable, "-c", book.BUILD, "build", ".", "-W", "--keep-going"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"COLUMNS": "400"})


def test_a_mark_unfolds_to_property_and_test(root: Path, tmp_path: Path) -> None:
    done = built(tmp_path, root, [ROW])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = (tmp_path / "_build/html/notebooks/02_squash.html").read_text(encoding="utf-8")
    (mark,) = re.findall(r'<details class="mi-checked">.*?</details>', page, re.S)
    assert 'aria-label="Equation 2.1 is checked: what, and how"' in mark
    assert "It &lt;keeps&gt; the direction." in mark and ROW["test"] in mark
    assert "<code>squash</code> and <code>lengths</code>. A version that has one half &amp; no more fails." in mark
    assert 'href="../what_is_checked.html"' in mark
    page = (tmp_path / "_build/html/what_is_checked.html").read_text(encoding="utf-8")
    assert 'href="notebooks/02_squash.html#eq-squash">(2.1)</a> It &lt;keeps&gt; the direction.' in page
    assert "1 of 1 numbered equations hold" in page and "not measured" in page


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "contracts.json is missing"),
        ([], r"notebooks/02_squash: equation \(2.1\), eq-squash, has no contract"),
        ([ROW | {"passed": False, "error": "it does not hold for mi_lite"}], "did not pass: it does not hold"),
    ],
)
def test_no_page_without_its_contract(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[dict] | None, message: str
) -> None:
    monkeypatch.syspath_prepend(root / "book" / "_ext")
    from mi_site.contracts import keep_promises
    from sphinx.errors import ExtensionError

    if rows is not None:
        (tmp_path / "contracts.json").write_text(json.dumps(rows), encoding="utf-8")
    app = SimpleNamespace(srcdir=tmp_path, config=SimpleNamespace(mi_contracts="contracts.json"))
    env = SimpleNamespace(mi_equations={"eq-squash": ("notebooks/02_squash", "2.1", "v = s")})
    with pytest.raises(ExtensionError, match=message):
        keep_promises(app, env)
    app.config.mi_contracts = ""
    keep_promises(app, env)  # a book that promises no contracts


def test_a_notebook_is_measured_under_a_hash_of_its_code(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(root / "book" / "_ext")
    from mi_site.measure import measured, measuring

    cells = [{"cell_type": "code", "source": ["x = 1\n", "x"]}, {"cell_type": "markdown", "source": "Text."}]
    path = tmp_path / "one.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert measured(tmp_path, path) is None
    kernel = "import time; mebibytes = bytearray(60 << 20); time.sleep(1)  # ipykernel"

    def execute(notebook: dict) -> str:
        subprocess.run([sys.executable, "-c", kernel], check=True)
        return "executed"

    joined = [cells[0] | {"source": "x = 1\nx"}, cells[1] | {"source": "Other text."}]
    assert measuring(execute, tmp_path / "cache")({"cells": joined}) == "executed"
    seconds, mebibytes = measured(tmp_path / "cache", path)
    assert 0 <= seconds < 30 and 60 < mebibytes < 300
    cells[0]["source"] = "x = 2"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert measured(tmp_path / "cache", path) is None
