"""What a link shows on hover, focus or tap: the equation, the glossary's definition or the paper it leads to.

`_static/previews.json` maps an id (`eq-squash`, `term-capsule`, `sabour2017`) to HTML. book.js asks for it once, when
the first such link is pointed at. The first mention of each glossary term in a chapter becomes a link here.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx

from .math import render, table_of
from .tables import GLOSSARY_KEYS, anchor, entries

# Text in here is no running text, or is a link or a sign already.
KEPT_PLAIN = (nodes.reference, nodes.literal, nodes.math, nodes.strong, nodes.entry, nodes.caption, nodes.definition)


def glossary(root: Path) -> list[dict[str, str]]:
    return entries(root / "book" / "glossary.yml", GLOSSARY_KEYS)


def pattern(english: str) -> str:
    """The term as it stands in a sentence: in either case, in singular or plural, without what is in brackets."""
    words = re.escape(re.sub(r"\s*\(.*\)", "", english))
    return rf"\b(?:{words})s?\b"


def link_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if not docname.startswith("notebooks/"):
        return
    page = app.builder.get_relative_uri(docname, "book/glossary")
    left = {row["en"]: re.compile(pattern(row["en"]), re.I) for row in glossary(Path(app.srcdir))}
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            above, plain = text.parent, True
            while above is not None:
                plain, above = plain and not isinstance(above, KEPT_PLAIN), above.parent
            if not plain:
                continue
            rest, pieces = str(text), []
            while found := [(m.start(), -len(m.group()), name, m) for name, p in left.items() if (m := p.search(rest))]:
                start, _, name, match = min(found, key=lambda one: one[:2])
                link = nodes.reference(
                    "", match.group(), refuri=f"{page}#{anchor(name)}", internal=True, classes=["mi-term"]
                )
                pieces += [nodes.Text(rest[:start]), link]
                rest = rest[match.end() :]
                del left[name]
            if pieces:
                text.parent.replace(text, [*pieces, nodes.Text(rest)])


def previews(app: Sphinx) -> dict[str, str]:
    found = {
        label: f'<div class="mi-scroll">{render(tex, True)}</div><p>Equation ({number})</p>'
        for label, (_, number, tex) in table_of(app.env).items()
    }
    for row in glossary(Path(app.srcdir)):
        words = f'<b>{escape(row["en"])}</b> <span lang="zh-Hans">{row["zh"]}</span>'
        found[anchor(row["en"])] = f"<p>{words}<br>{escape(row['text'])}</p>"
    papers = Path(app.outdir, "references.html")
    if papers.exists():
        page = BeautifulSoup(papers.read_text(encoding="utf-8"), "html.parser")
        for place in page.select("article p[id], article span[id]"):
            paper = place if place.name == "p" else place.find_next("p")
            if paper is not None:
                found[place["id"]] = f"<p>{paper.decode_contents()}</p>"
    return found


def write_previews(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    text = json.dumps(previews(app), ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, "_static", "previews.json").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("doctree-resolved", link_terms)
    app.connect("build-finished", write_previews, priority=960)  # after what no page asks for was removed
