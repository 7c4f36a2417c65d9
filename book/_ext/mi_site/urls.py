"""Addresses: `book/notation.md` is `/notation.html`, `book/index.md` is `/index.html` (a page, not a redirect)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError


def short(docname: str) -> str:
    return docname.removeprefix("book/")


def shorten(app: Sphinx) -> None:
    builder = app.builder
    if builder.format != "html":
        return
    Path(builder.outdir, "_static", "searchtools.js").unlink(missing_ok=True)  # changed below: comes anew each time
    builder.get_target_uri = lambda docname, typ=None: quote(short(docname)) + builder.link_suffix
    builder.get_outfilename = lambda page: str(Path(builder.outdir, short(page) + builder.out_suffix))


def write_everything(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Every page shows the contents and numbers of the others: all are written again (a second or two)."""
    return list(env.all_docs)


def shorten_search(app: Sphinx, exception: Exception | None) -> None:
    path = Path(app.outdir, "searchindex.js")
    if exception or app.builder.format != "html" or not path.exists():
        return
    head, tail = "Search.setIndex(", ")"
    index = json.loads(path.read_text(encoding="utf-8").removeprefix(head).removesuffix(tail))
    index["docnames"] = [short(name) for name in index["docnames"]]
    path.write_text(head + json.dumps(index, ensure_ascii=False, separators=(",", ":")) + tail, encoding="utf-8")


def clean_summaries(app: Sphinx, exception: Exception | None) -> None:
    """The search page quotes pages; the formulas' second copy, for screen readers, is left out of the quotation."""
    path = Path(app.outdir, "_static", "searchtools.js")
    if exception or app.builder.format != "html" or not path.exists():
        return
    left_out = '[".headerlink", "script", "style"]'
    text = path.read_text(encoding="utf-8")
    if left_out not in text:
        raise ExtensionError(
            "searchtools.js has changed: the list of elements that a search result leaves out is not there."
        )
    path.write_text(text.replace(left_out, '[".headerlink", ".katex-mathml", "script", "style"]'), encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", shorten)
    app.connect("env-updated", write_everything)
    app.connect("build-finished", shorten_search)
    app.connect("build-finished", clean_summaries)
