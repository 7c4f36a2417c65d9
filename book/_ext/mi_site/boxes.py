"""Plain conventions of the notebooks' text, decorated on the site.

A block quote whose first words are one of WORDS in bold becomes a box; everywhere else it stays a block quote.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

WORDS = {
    "Predict.": "predict",
    "Definition.": "definition",
    "Note.": "note",
    "In the wild.": "wild",
    "Try it.": "try",
}


MARGIN_LETTERS = 2.2  # letters of text beside one letter of a note, at equal height


class mi_box(nodes.General, nodes.Element):
    """A box on the page; `kind` is its class, `label` what a screen reader says first."""


def visit_box(self: Any, node: mi_box) -> None:
    self.body.append(f'<div class="mi-box mi-{node["kind"]}" role="note" aria-label="{node["label"]}">\n')


def depart_box(self: Any, node: mi_box) -> None:
    self.body.append("</div>\n")


def decorate(app: Sphinx, doctree: nodes.document) -> None:
    for quote in list(doctree.findall(nodes.block_quote)):
        first = quote.children[0] if quote.children else None
        words = [child for child in first.children if child.astext()] if isinstance(first, nodes.paragraph) else []
        lead = words[0] if words else None
        if not isinstance(lead, nodes.strong) or lead.astext() not in WORDS:
            continue
        word = lead.astext()
        lead["classes"].append("mi-label")
        box = mi_box("", *quote.children, kind=WORDS[word], label=word.rstrip("."))
        quote.replace_self(box)
        if WORDS[word] == "note":
            put_beside(box)


def put_beside(note: mi_box) -> None:
    """A note stands in the margin of the paragraphs before it, as many as are about as high as the narrow note."""
    section, end = note.parent, note.parent.index(note)
    start, height = end, 0
    while (
        start > 0
        and height < MARGIN_LETTERS * len(note.astext())
        and isinstance(section[start - 1], (nodes.paragraph, nodes.bullet_list, nodes.enumerated_list))
        and not isinstance(section[start - 2], nodes.title)
    ):
        start -= 1
        height += len(section[start].astext())
    if start < end and isinstance(section, nodes.section):
        text = section[start:end]
        del section[start : end + 1]
        section.insert(start, nodes.container("", nodes.container("", *text), note, classes=["mi-beside"]))


def number_titles(app: Sphinx, doctree: nodes.document) -> None:
    """A chapter's number comes from its file's name, so one typed into the title is taken off."""
    if not re.match(r"notebooks/\d+_", app.env.docname):
        return
    title = next(iter(doctree.findall(nodes.title)), None)
    if title and title.children and isinstance(title.children[0], nodes.Text):
        text = title.children[0].astext()
        bare = re.sub(r"^(Chapter\s+)?\d+\s*[.:·—–-]?\s+", "", text)
        title.children[0].parent.replace(title.children[0], nodes.Text(bare))


class HeadingLinks(SphinxTransform):
    """JupyterLab keeps a heading's capitals in its anchor, GitHub and this site don't: `#In-the-wild` works in all."""

    default_priority = 690

    def apply(self, **kwargs: Any) -> None:
        for link in self.document.findall(nodes.reference):
            if link.get("id_link"):
                link["refuri"] = link["refuri"].lower()


def setup(app: Sphinx) -> None:
    app.add_node(mi_box, html=(visit_box, depart_box))
    app.add_transform(HeadingLinks)
    app.connect("doctree-read", decorate)
    app.connect("doctree-read", number_titles, priority=10)
