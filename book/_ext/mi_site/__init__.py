"""The book's own Sphinx extension: one small file for each idea.

cache     notebooks are executed again when the package or a stored result changes, and only then
math      formulas become HTML and MathML at build time; labelled ones get the chapter's number
boxes     block quotes that begin with a known word become boxes and margin notes
tables    the notation and glossary pages, each from one data file
api       the API page, from the package's own signatures and docstrings
landing   the figure, buttons and list of chapters of the front page
urls      prose pages live at the top of the site: book/index.md is /index.html
nav       the table of contents beside every page, with the sections of the page being read
meta      title, description and social tags of each page
listings  code with a few colours and no more elements than those need
assets    one inlined stylesheet, one script, the policy that forbids everything else
previews  what a link to an equation, a term or a paper shows before it is followed
cards     the picture of a shared link, while the site's address is set
pages     404.html, .nojekyll, sitemap, and only those static files that a page asks for
live      the files that make live figures move, on the pages that have one
explore   the charts behind stills, each a file that is asked for by a press of its button
measure   how long each notebook computed, and its memory
contracts the mark by each equation that says what is checked of it, and the page of all that is checked
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from . import (
    api,
    assets,
    boxes,
    cache,
    cards,
    contracts,
    explore,
    landing,
    live,
    math,
    measure,
    meta,
    nav,
    pages,
    previews,
    tables,
    urls,
)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("mi_repository_url", "", "html", types=[str])
    app.add_config_value("mi_site_url", "", "html", types=[str])
    parts = (cache, math, boxes, tables, api, landing, urls, nav, meta, assets, previews, cards, pages, live, explore)
    for part in (*parts, measure, contracts):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
