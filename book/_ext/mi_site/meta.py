"""What search engines and link previews read: a description from the page's first paragraph, social tags, addresses."""

from __future__ import annotations

import re
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from docutils import nodes
from markupsafe import Markup
from sphinx.application import Sphinx

from .boxes import mi_box
from .cards import FOLDER, SIZE, name_of
from .urls import short

LONGEST = 158


def lead(doctree: nodes.document) -> str:
    """The first paragraph that is running text (not in a box, a quotation, a list, a table or a cell)."""
    inside = (mi_box, nodes.block_quote, nodes.list_item, nodes.entry, nodes.container, nodes.definition)
    for paragraph in doctree.findall(nodes.paragraph):
        above, boxed = paragraph.parent, False
        while above is not None:
            boxed, above = boxed or isinstance(above, inside), above.parent
        text = re.sub(r"\s+", " ", paragraph.astext()).strip()
        if not boxed and len(text) > 30:
            return text
    return ""


def cut(text: str, longest: int = LONGEST) -> str:
    if len(text) <= longest:
        return text
    sentence = text[: longest + 1].rfind(". ")
    if sentence > 60:
        return text[: sentence + 1]
    return text[:longest].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def add_meta(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    book = app.config.html_title
    title = Markup(context.get("title", "")).striptags().replace("\xa0", " ") or book
    description = cut(lead(doctree)) if doctree is not None else ""
    if not description:
        description = f"{title}. A page of the book {book}: multi-interest recommendation, from scratch."
    front = pagename == app.config.root_doc
    full = f"{book}: multi-interest recommendation from scratch" if front else f"{title} · {book}"
    tags = [
        f"<title>{escape(full)}</title>",
        f'<meta name="description" content="{escape(description)}">',
        f'<meta property="og:title" content="{escape(title)}">',
        f'<meta property="og:description" content="{escape(description)}">',
        f'<meta property="og:type" content="{"book" if front else "article"}">',
        f'<meta property="og:site_name" content="{escape(book)}">',
    ]
    site = app.config.mi_site_url
    if site and doctree is not None:
        address = site.rstrip("/") + "/" + ("" if front else short(pagename) + ".html")
        tags += [
            f'<link rel="canonical" href="{escape(address)}">',
            f'<meta property="og:url" content="{escape(address)}">',
            f'<meta property="og:image" content="{escape(site.rstrip("/"))}/{FOLDER}/{name_of(pagename)}">',
            f'<meta property="og:image:width" content="{SIZE[0]}">',
            f'<meta property="og:image:height" content="{SIZE[1]}">',
            f'<meta property="og:image:alt" content="{escape(title)}">',
            '<meta name="twitter:card" content="summary_large_image">',
        ]
    else:
        tags.append('<meta name="twitter:card" content="summary">')
    context["mi_meta"] = "\n".join(tags)
    context["mi_links"] = links(app.config.mi_repository_url, pagename, title) if doctree is not None else []


def links(repository: str, pagename: str, title: str) -> list[tuple[str, str]]:
    """Where else a page can be read, run and reported; addresses outside this site only when the repository's is known.

    The download comes first on a chapter's page: the notebook lies beside it.
    """
    chapter = pagename.startswith("notebooks/")
    found = [("Download the notebook", f"../_sources/{pagename}.ipynb")] if chapter else []
    repository = repository.rstrip("/")
    if repository.startswith("https://github.com/"):
        name, source = repository.removeprefix("https://github.com/"), f"{pagename}.ipynb"
        if chapter:
            found += [
                ("Open in Colab", f"https://colab.research.google.com/github/{name}/blob/main/{source}"),
                ("Open in Binder", f"https://mybinder.org/v2/gh/{name}/main?labpath={quote(source, safe='')}"),
                ("Source", f"{repository}/blob/main/{source}"),
            ]
        found.append(
            ("Report an error", f"{repository}/issues/new?{urlencode({'title': f'Error on the page: {title}'})}")
        )
    return found


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_meta, priority=600)
