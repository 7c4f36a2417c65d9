"""The mark by each numbered equation that unfolds to what is checked of it, and the page *What is checked*.

Marks are made from the outcome of a run (`python -m contracts` writes it, see `contracts/`), whose place is
`mi_contracts` in _config.yml. Where that is set, every numbered equation is promised a contract: one that is missing
or did not pass stops the build.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Callable
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from mi_lite import exercises, explorables, results
from mi_lite.data import movielens

from .assets import shrink
from .math import chapter_of, table_of
from .measure import measured

PAGE = "book/what_is_checked"


class mi_checked(nodes.General, nodes.Element):
    """Stands for one part of the page until all notebooks are read."""


class Checked(SphinxDirective):
    """``{mi-checked} contracts``: one of PARTS."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in PARTS:
            raise ExtensionError(f"{self.env.docname}: mi-checked takes one of {', '.join(PARTS)}.")
        return [mi_checked(part=self.arguments[0])]


# ---------------------------------------------------------------------------------------------------- beside equations


def outcome(app: Sphinx) -> dict[str, dict[str, Any]]:
    """Equation id → what the run of its contract said; empty where the book promises no contracts."""
    if not app.config.mi_contracts:
        return {}
    path = Path(app.srcdir, app.config.mi_contracts)
    if not path.exists():
        raise ExtensionError(f"{app.config.mi_contracts} is missing: run 'python -m contracts', or 'make book'.")
    return {row["id"]: row for row in json.loads(path.read_text(encoding="utf-8"))}


def keep_promises(app: Sphinx, env: BuildEnvironment) -> None:
    """Stop where a numbered equation has no contract, or one that did not pass."""
    if not app.config.mi_contracts:
        return
    rows = outcome(app)
    for label, (page, number, _) in table_of(env).items():
        if label not in rows or "sentence" not in rows[label]:
            raise ExtensionError(f"{page}: equation ({number}), {label}, has no contract; see contracts/.")
        if not rows[label]["passed"]:
            raise ExtensionError(f"{page}: the contract of equation ({number}) did not pass: {rows[label]['error']}")


def listed(names: list[str]) -> str:
    marked = [f"<code>{escape(name)}</code>" for name in names]
    return " and ".join([", ".join(marked[:-1])] * (len(marked) > 1) + marked[-1:])


def mark(row: dict[str, Any], number: str, page: str) -> str:
    """The fold below an equation."""
    own = f"this chapter's {listed(row['chapter'])}"
    holds = f"<code>mi_lite</code> and for {own}" if row["package"] else f"{own} ({escape(row['alone'])})"
    mistake = row["mistake"][:1].lower() + row["mistake"][1:]
    return (
        f'<details class="mi-checked"><summary aria-label="Equation {number} is checked: what, and how">'
        f'<span aria-hidden="true">✓ </span>checked</summary><p>{escape(row["sentence"])}</p>'
        f'<p class="mi-how">Holds for {holds}. A version that {escape(mistake)} fails. '
        f"Test: <code>{escape(row['test'])}</code>. "
        f'<a href="{page}">All that is checked</a></p></details>\n'
    )


def add_marks(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    rows = outcome(app) if app.builder.format == "html" else {}
    for block in list(doctree.findall(nodes.math_block)) if rows else ():
        row = rows.get(block.get("mi_label", ""), {})
        if row.get("passed"):
            page = app.builder.get_relative_uri(docname, PAGE)
            place = block.parent.index(block) + 1
            block.parent.insert(place, nodes.raw("", mark(row, block["mi_number"], page), format="html"))


# ------------------------------------------------------------------------------------------------------ what is checked


def grid(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """A table; its cells are HTML."""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="mi-table-wrap" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="mi-table">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def chapters(app: Sphinx) -> list[str]:
    return sorted(name for name in app.env.found_docs if chapter_of(name))


def link(app: Sphinx, docname: str, anchor: str = "", text: str = "") -> str:
    address = app.builder.get_relative_uri(PAGE, docname) + (f"#{anchor}" if anchor else "")
    return f'<a href="{address}">{text or escape(app.env.titles[docname].astext())}</a>'


def contracts(app: Sphinx) -> str:
    rows, text = outcome(app), ""
    shown = {label: row for label, row in rows.items() if row["passed"] and label in table_of(app.env)}
    for name in chapters(app):
        own = [row for row in shown.values() if f"notebooks/{row['notebook']}" == name]
        items = "".join(
            f"<li>{link(app, name, row['id'], '(' + row['number'] + ')')} {escape(row['sentence'])} "
            f"<code>{escape(row['id'])}</code></li>"
            for row in own
        )
        text += f"<h3>{link(app, name)}</h3><ul class='mi-promises'>{items}</ul>" if own else ""
    seconds = sum(row["seconds"] for row in shown.values())
    first = next(iter(shown.values()), {"test": ""})["test"]
    pattern = re.sub(r"\[.*\]", "[<i>id</i>]", escape(first))
    alone = "".join(
        f" ({row['number']}) is held to the chapter's code only: {escape(row['alone'])}."
        for row in shown.values()
        if row["alone"]
    )
    return (
        f"<p>{len(shown)} of {len(table_of(app.env))} numbered equations hold, tested in {seconds:.0f} s. The test of "
        f"each is <code>{pattern}</code>.{alone}</p>{text}"
    )


def notebooks(app: Sphinx) -> str:
    rows = []
    for name in chapters(app):
        found = measured(Path(app.config.nb_execution_cache_path), Path(app.srcdir, f"{name}.ipynb"))
        rows.append(
            [link(app, name), *([f"{found[0]:.0f} s", f"{found[1]:.0f} MiB"] if found else ["not measured"] * 2)]
        )
    return grid("Time and memory of each notebook", ["notebook", "processor time", "most memory"], rows)


def versions(app: Sphinx) -> str:
    text = Path(app.srcdir, "requirements.txt").read_text(encoding="utf-8")
    names = ["mi_lite", *re.findall(r"^([\w.-]+)==", text, re.M)]
    rows = [["Python", platform.python_version()], *([name, version(name)] for name in names)]
    return grid("Versions", ["what", "version"], [[escape(cell) for cell in row] for row in rows])


def commit(app: Sphinx) -> str:
    command = ["git", "-C", str(app.srcdir), "log", "-1", "--format=%cs"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "<p>The date of the commit is not known here: this computer has no git.</p>"
    if done.returncode:
        return "<p>The date of the commit is not known here: this is no clone of the repository.</p>"
    return f"<p>The last commit is of <b>{escape(done.stdout.strip())}</b>.</p>"


def data(app: Sphinx) -> str:
    files = {"the table made from either source": movielens.TABLE_SHA256}
    files |= movielens.GROUPLENS_FILES | movielens.RECBOLE_FILES
    rows = [[escape(name), f"<code>{digest}</code>"] for name, digest in files.items()]
    return grid("SHA-256 of the data files", ["MovieLens-100K", "SHA-256"], rows)


def figures() -> dict[str, str]:
    """Live figures: class → the name of its files."""
    every = [getattr(explorables, name) for name in explorables.__all__]
    kinds = [one for one in every if isinstance(one, type) and issubclass(one, explorables.Explorable)]
    return {one.__name__: one.__module__.rpartition(".")[2] for one in kinds if one is not explorables.Explorable}


def parity_test(root: Path, kind: str, name: str) -> str:
    """The file that holds a figure's numbers to the package's."""
    for path in (root / "tests" / f"test_explorable_{name}.py", root / "tests" / "test_explorables.py"):
        if path.exists() and kind in path.read_text(encoding="utf-8"):
            return f"tests/{path.name}"
    raise ExtensionError(f"The live figure {kind} has no test that compares its numbers with the package's.")


def live(app: Sphinx) -> str:
    rows = []
    for kind, name in figures().items():
        pages = []
        for page in sorted(app.env.found_docs):
            source = Path(app.env.doc2path(page))
            if source.suffix == ".ipynb":
                cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
                code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
                if re.search(rf"\b{kind}\(", code):
                    pages.append(link(app, page))
        where = ", ".join(pages) or "no page yet"
        rows.append([f"<code>{kind}</code>", where, f"<code>{parity_test(Path(app.srcdir), kind, name)}</code>"])
    return grid("Live figures", ["figure", "page", "test of its numbers"], rows)


def tasks(app: Sphinx) -> str:
    rows = []
    for name in chapters(app):
        own = exercises.names(name.partition("_")[2])
        codes = ", ".join(f"<code>{escape(one.partition('.')[2])}</code>" for one in own)
        rows.append([link(app, name), str(len(own)), codes])
    return grid("Exercises", ["chapter", "exercises", "their names"], rows)


def experiments(app: Sphinx) -> str:
    rows = []
    for name in results.names():
        one = results.stored(name)
        rows.append(
            [f"<code>{escape(name)}</code>", escape(one["question"]), str(len(one["runs"])), escape(one["date"])]
        )
    return grid("Stored experiments", ["experiment", "question", "runs", "date"], rows)


PARTS: dict[str, Callable[[Sphinx], str]] = {
    "contracts": contracts,
    "notebooks": notebooks,
    "figures": live,
    "exercises": tasks,
    "experiments": experiments,
    "data": data,
    "versions": versions,
    "commit": commit,
}


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for place in list(doctree.findall(mi_checked)):
        place.replace_self(nodes.raw("", PARTS[place["part"]](app), format="html"))


def add_look(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if any(name in (context.get("body") or "") for name in ('class="mi-checked"', "mi-promises")):
        context["mi_css"] += shrink(Path(__file__).with_suffix(".css").read_text(encoding="utf-8"))


def setup(app: Sphinx) -> None:
    app.add_config_value("mi_contracts", "", "html", types=[str])
    app.add_node(mi_checked)
    app.add_directive("mi-checked", Checked)
    app.connect("env-updated", keep_promises, priority=100)
    app.connect("doctree-resolved", add_marks)
    app.connect("doctree-resolved", fill)
    app.connect("html-page-context", add_look, priority=750)  # after the page's own styles are settled
