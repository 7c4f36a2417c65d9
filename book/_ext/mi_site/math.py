"""Formulas: rendered by KaTeX while the book is built, numbered by chapter, linked by id.

A display formula with a label, `$$ … $$ (eq-squash)`, is numbered within its chapter (the second file of `notebooks/`
gives 2.1, 2.2, …) and can be linked from any page by `[(2.1)](#eq-squash)`. A formula that does not parse, an id used
twice and a link to an unknown id stop the build with the page's name.
"""

from __future__ import annotations

import atexit
import html
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

NUMBER = re.compile(r"^\(?(\d+|[A-Z])(\.\d+)?\)?$")


@lru_cache(maxsize=1)
def katex() -> MiniRacer:
    engine = MiniRacer()
    atexit.register(engine.close)  # its thread could keep the build from ending
    engine.eval(Path(__file__).with_name("katex.min.js").read_text(encoding="utf-8"))
    engine.eval(
        "const render = (tex, display) => { try { return {html: katex.renderToString(tex,"
        "{displayMode: display, output: 'htmlAndMathml', throwOnError: true, strict: 'ignore', trust: false})}; }"
        "catch (e) { return {error: String(e.message || e)}; } };"
    )
    return engine


@lru_cache(maxsize=4096)
def render(tex: str, display: bool) -> str:
    """HTML and MathML of one formula; raises ValueError with KaTeX's own words."""
    answer = json.loads(katex().eval(f"JSON.stringify(render({json.dumps(tex)}, {json.dumps(display)}))"))
    if "error" in answer:
        raise ValueError(answer["error"])
    # MathML repeats the TeX source, which nobody on the page sees or hears.
    return re.sub(r"<annotation.*?</annotation>", "", answer["html"], flags=re.S)


def rendered(page: str, tex: str, display: bool) -> str:
    try:
        return render(tex, display)
    except ValueError as error:
        raise ExtensionError(f"{page}: this formula does not parse: {tex.strip()!r}. {error}") from None


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(f'<span class="mi-math">{rendered(self.builder.current_docname, node.astext(), False)}</span>')
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    body = rendered(self.builder.current_docname, node.astext(), True)
    label, number = node.get("mi_label"), node.get("mi_number")
    if label:
        self.body.append(
            f'<div class="mi-equation" id="{html.escape(label)}"><div class="mi-scroll" tabindex="0">{body}</div>'
            f'<a class="mi-eqno" href="#{html.escape(label)}" aria-label="Equation {number}">({number})</a></div>\n'
        )
    else:
        self.body.append(f'<div class="mi-equation"><div class="mi-scroll" tabindex="0">{body}</div></div>\n')
    raise nodes.SkipNode


def keep_punctuation(app: Sphinx, doctree: nodes.document) -> None:
    """No line begins with the full stop that belongs behind a formula."""
    for formula in list(doctree.findall(nodes.math)):
        place = formula.parent.index(formula)
        after = formula.parent[place + 1] if place + 1 < len(formula.parent) else None
        mark = re.match(r"[.,;:!?)”’-]+", after.astext()) if isinstance(after, nodes.Text) else None
        if mark:
            parent, rest = formula.parent, nodes.Text(after.astext()[mark.end() :])
            together = nodes.inline("", "", classes=["mi-nowrap"])
            parent.remove(after)
            parent.remove(formula)
            together += [formula, nodes.Text(mark.group(0))]
            parent.insert(place, [together, rest])


def chapter_of(docname: str) -> str:
    """`notebooks/02_squash` is chapter 2; a prose page has no number."""
    found = re.match(r"notebooks/(\d+)_", docname)
    return str(int(found.group(1))) if found else ""


def table_of(env: BuildEnvironment) -> dict[str, tuple[str, str, str]]:
    """Equation id → (page, number, TeX)."""
    if not hasattr(env, "mi_equations"):
        env.mi_equations = {}
    return env.mi_equations


def number_equations(app: Sphinx, doctree: nodes.document) -> None:
    page, table, count = app.env.docname, table_of(app.env), 0
    for node in list(doctree.findall(nodes.math_block)):
        label = node.get("label")
        if not label:
            continue
        if not label.startswith("eq-"):
            raise ExtensionError(f"{page}: the equation id {label!r} should begin with 'eq-'.")
        if table.get(label, (page,))[0] != page:
            raise ExtensionError(f"{page}: the equation id {label!r} is already used in {table[label][0]}.")
        count += 1
        chapter = chapter_of(page)
        number = f"{chapter}.{count}" if chapter else f"{count}"
        if label in table:
            raise ExtensionError(f"{page}: the equation id {label!r} is used twice.")
        table[label] = (page, number, node.astext())
        node["mi_label"], node["mi_number"] = label, number
        anchor = node.parent[node.parent.index(node) - 1] if node.parent.index(node) else None
        if isinstance(anchor, nodes.target) and anchor.get("ids") == [nodes.make_id(f"equation-{label}")]:
            anchor.parent.remove(anchor)


class EquationLinks(SphinxTransform):
    """Takes links to `#eq-…` before MyST looks for a heading of that name."""

    default_priority = 700

    def apply(self, **kwargs: Any) -> None:
        for link in list(self.document.findall(nodes.reference)):
            target = link.get("refuri", "")
            if not target.startswith("#eq-"):
                continue
            pending = addnodes.pending_xref(
                "",
                refdomain="",
                reftype="mi-equation",
                reftarget=target[1:],
                refdoc=self.env.docname,
                refexplicit=True,
                refwarn=False,
            )
            pending += nodes.inline("", link.astext())
            link.replace_self(pending)


def resolve_link(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element) -> Any:
    if node.get("reftype") != "mi-equation":
        return None
    page, label = node["refdoc"], node["reftarget"]
    if label not in table_of(env):
        raise ExtensionError(f"{page}: a link points to #{label}, but no equation has that id.")
    home, number, _ = table_of(env)[label]
    text = content.astext()
    shown = f"({number})" if not text or NUMBER.match(text) else text
    return make_refnode(app.builder, page, home, label, nodes.inline("", shown, classes=["mi-eqref"]))


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    for label in [k for k, (page, *_) in table_of(env).items() if page == docname]:
        del table_of(env)[label]


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("katex", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    app.add_transform(EquationLinks)
    app.connect("doctree-read", number_equations)
    app.connect("doctree-read", keep_punctuation)
    app.connect("missing-reference", resolve_link, priority=100)
    app.connect("env-purge-doc", forget)
