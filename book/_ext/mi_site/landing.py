"""The front page's live figure, buttons and list of chapters."""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mi_lite.explorables import OneOrSeveralFigure

from .math import chapter_of
from .meta import cut, lead


class mi_hero(nodes.General, nodes.Element):
    """Stands for the two buttons and the figure until addresses are known."""


class mi_chapters(nodes.General, nodes.Element):
    """Stands for the list of chapters until their titles are known."""


class Hero(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [mi_hero()]


class Chapters(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [mi_chapters()]


def chapters(app: Sphinx) -> list[str]:
    return sorted(name for name in app.env.found_docs if chapter_of(name) and name in app.env.titles)


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    def address(page: str) -> str:
        return app.builder.get_relative_uri(docname, page)

    for hero in list(doctree.findall(mi_hero)):
        first = chapters(app)
        read = f'<a class="mi-button" href="{address(first[0])}">Read</a>' if first else ""
        buttons = f'<p class="mi-buttons">{read}<a class="mi-button mi-quiet" href="#run">Run</a></p>'
        hero.replace_self(nodes.raw("", buttons + (OneOrSeveralFigure().still() or ""), format="html"))
    for place in list(doctree.findall(mi_chapters)):
        items = "".join(
            f'<li><a href="{address(name)}"><span class="mi-num">{chapter_of(name)}</span>'
            f"{escape(app.env.titles[name].astext())}</a>"
            f"<p>{escape(cut(lead(app.env.get_doctree(name)), 220))}</p></li>"
            for name in chapters(app)
        )
        place.replace_self(nodes.raw("", f'<ul class="mi-chapters">{items}</ul>' if items else "", format="html"))


def setup(app: Sphinx) -> None:
    app.add_node(mi_hero)
    app.add_node(mi_chapters)
    app.add_directive("mi-hero", Hero)
    app.add_directive("mi-chapters", Chapters)
    app.connect("doctree-resolved", fill)
