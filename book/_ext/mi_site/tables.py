"""The notation and glossary pages, each made from one data file beside it, so that a symbol is explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

NOTATION_KEYS = {"group", "symbol", "code", "shape", "meaning", "from"}
GLOSSARY_KEYS = {"en", "zh", "chapter", "text"}


def entries(path: Path, keys: set[str]) -> list[dict[str, Any]]:
    """The rows of a data file; a missing or unknown key is an error that names the row."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    for number, row in enumerate(rows, start=1):
        if set(row) != keys:
            raise ExtensionError(f"{path.name}, row {number}: has the keys {sorted(row)}, expected {sorted(keys)}.")
    return rows


def anchor(english: str) -> str:
    return "term-" + nodes.make_id(english)


class FromData(SphinxDirective):
    """Writes Markdown from the rows and lets the page's own parser read it."""

    file: str
    kind: str

    def text(self, path: Path) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir, "book", self.file)
        self.env.note_dependency(str(path))
        place = nodes.container(classes=[self.kind])
        self.state.nested_parse(StringList(self.text(path), source=str(path)), 0, place)
        return [place]


class Notation(FromData):
    """The symbols of one group: `{mi-notation} Sizes`."""

    file, kind = "notation.yml", "mi-notation"
    required_arguments, final_argument_whitespace = 1, True

    def text(self, path: Path) -> list[str]:
        rows = [row for row in entries(path, NOTATION_KEYS) if row["group"] == self.arguments[0]]
        if not rows:
            raise ExtensionError(f"{path.name} has no group {self.arguments[0]!r}, which {self.env.docname} asks for.")
        lines: list[str] = []
        for row in rows:
            code = f"`{row['code']}`, " if row["code"] else ""
            lines += [
                f"${row['symbol']}$",
                f": {row['meaning']}",
                "",
                f"  {code}{row['shape']}. *{where(row['from'])}*",
                "",
            ]
        return lines


class Glossary(FromData):
    file, kind = "glossary.yml", "mi-glossary"

    def text(self, path: Path) -> list[str]:
        lines: list[str] = []
        for row in sorted(entries(path, GLOSSARY_KEYS), key=lambda row: row["en"].lower()):
            chinese = f'<span lang="zh-Hans">{row["zh"]}</span>'
            lines += [
                f"[{row['en']}]{{#{anchor(row['en'])}}} {chinese}",
                f": {row['text']} *{where(row['chapter'])}*",
                "",
            ]
        return lines


def where(chapter: Any) -> str:
    return (
        f"Chapter\u00a0{chapter}."
        if isinstance(chapter, int)
        else f"Chapters\u00a0{chapter}."
        if chapter
        else "A later chapter."
    )


def announce_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Lets other pages link to a term: `../book/glossary.md#term-squash`."""
    for term in doctree.findall(nodes.term):
        for span in term.findall(nodes.inline):
            for name in span["ids"]:
                app.env.metadata[app.env.docname].setdefault("myst_slugs", {})[name] = (0, name, span.astext())


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", announce_terms)
    app.add_directive("mi-notation", Notation)
    app.add_directive("mi-glossary", Glossary)
