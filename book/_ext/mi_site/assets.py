"""One stylesheet inside each page, one script beside it, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from .listings import colours, simplify_all
from .math import render, table_of

# Runs before the first paint, so that a chosen theme does not flash. The only inline script of the site.
# On a first visit the page appears in a font that the machine has; book.js brings the book's own right after that.
THEME_SCRIPT = (
    'try{document.body.dataset.theme=localStorage.getItem("theme")||"auto";'
    'if(!localStorage.getItem("fonts"))document.getElementById("mi-fonts").media="print"}catch{}'
)

DARK = 'body[data-theme="dark"]'
SYSTEM_DARK = 'body:not([data-theme="light"])'


def policy() -> str:
    digest = base64.b64encode(hashlib.sha256(THEME_SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "style-src-elem 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


def palette(root: Path) -> str:
    """CSS variables from the file that the package's figures read too."""
    colours = json.loads((root / "mi_lite" / "palette.json").read_text(encoding="utf-8"))
    light, dark = (
        "".join(f"--mi-{name}:{value};" for name, value in colours[mode].items()) for mode in ("light", "dark")
    )
    return (
        f"body{{{light}}}\n@media not print{{{DARK}{{{dark}}}\n"
        f"@media (prefers-color-scheme:dark){{{SYSTEM_DARK}{{{dark}}}}}}}\n"
    )


def code_colours(light: str, dark: str) -> str:
    return (
        colours(light, ".highlight")
        + "@media not print{"
        + colours(dark, f"{DARK} .highlight")
        + "@media (prefers-color-scheme:dark){"
        + colours(dark, f"{SYSTEM_DARK} .highlight")
        + "}}\n"
    )


def shrink(css: str) -> str:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r"\s*([{};,>])\s*", r"\1", css).replace(";}", "}").strip()


@lru_cache(maxsize=8)
def stylesheet(root: Path, light: str, dark: str, with_math: bool, static: str) -> str:
    folder = root / "book" / "_static"
    parts = [palette(root), (folder / "book.css").read_text(encoding="utf-8"), code_colours(light, dark)]
    if with_math:
        parts.append(
            (folder / "katex" / "katex.css").read_text(encoding="utf-8").replace("url(fonts/", "url(katex/fonts/")
        )
    css = shrink("\n".join(parts))
    if "</" in css:
        raise ExtensionError("The stylesheet holds '</', which would end its element on the page.")
    return re.sub(r"url\((?!data:)([^)]+)\)", lambda m: f"url({static}{m.group(1)})", css)


Rule = tuple[str, str | list["Rule"]]


def rules(css: str) -> list[Rule]:
    """The rules of a shrunken stylesheet: selector and declarations, or a condition and the rules inside it."""
    found: list[Rule] = []
    start = 0
    while (brace := css.find("{", start)) >= 0:
        end, depth = brace + 1, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        head, inside = css[start:brace], css[brace + 1 : end - 1]
        found.append((head, rules(inside) if head.startswith("@media") else inside))
        start = end
    return found


@lru_cache(maxsize=8)
def parsed(css: str) -> list[Rule]:
    return rules(css)


def needed(found: list[Rule], classes: set[str]) -> str:
    """The rules whose every class is among those given. What stands in :is(), :not() or :has() is not looked at."""
    kept = []
    for head, inside in found:
        if isinstance(inside, list):
            body = needed(inside, classes)
        else:
            body = inside
            if not head.startswith("@"):
                parts = [
                    part
                    for part in re.split(r",(?![^(]*\))", head)
                    if set(re.findall(r"\.([A-Za-z_][\w-]*)", re.sub(r"\([^)]*\)", "", part))) <= classes
                ]
                head, body = ",".join(parts), inside if parts else ""
        if body:
            kept.append(f"{head}{{{body}}}")
    return "".join(kept)


def classes_in(markup: str) -> set[str]:
    return {name for value in re.findall(r'class="([^"]*)"', markup) for name in value.split()}


@lru_cache(maxsize=1)
def classes_of_every_page(root: Path) -> frozenset[str]:
    """The classes that the page's frame has, or that a script of the site may add."""
    folder = root / "book"
    frame = (folder / "_templates" / "page.html").read_text(encoding="utf-8")
    scripts = (folder / "_static" / "book.js", *(root / "mi_lite").rglob("*.js"))
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    inside = re.sub(r"{%.*?%}", " ", frame, flags=re.S)
    return frozenset(classes_in(inside) | set(re.findall(r"\bmi-[\w-]+", script)))


def add_assets(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    with_math = doctree is not None and any(
        True for kind in (nodes.math, nodes.math_block) for _ in doctree.findall(kind)
    )
    # Extensions that come with the builder add scripts for live code; the policy forbids them, nothing here uses them.
    body = re.sub(r"<script\b.*?</script>\s*", "", context.get("body") or "", flags=re.S)
    body = re.sub(r'(<figure class="mi-figure">)<style>[^<]*</style>', r"\1", body)  # for notebooks' dark themes
    body = simplify_all(body)
    for scrolls in ('<div class="table-wrapper', '<figure class="mi-figure'):
        body = body.replace(scrolls, scrolls.replace(" class", ' tabindex="0" class'))
    context["body"] = body
    static = context["pathto"]("_static/", resource=True)
    css = stylesheet(Path(app.srcdir), app.config.pygments_style, app.config.mi_dark_style, with_math, static)
    if doctree is not None:
        # An equation of another page may be shown in a preview, so its rules are needed too.
        linked = {label for label in re.findall(r'href="[^"]*#(eq-[\w-]+)"', body) if label in table_of(app.env)}
        shown = [
            body,
            context.get("mi_contents") or "",
            *(render(table_of(app.env)[label][2], True) for label in linked),
        ]
        css = needed(parsed(css), set(classes_of_every_page(Path(app.srcdir))).union(*map(classes_in, shown)))
    faces = "".join(re.findall(r"@font-face\{[^}]*url\([^}]*\}", css))
    css = re.sub(r"@font-face\{[^}]*url\([^}]*\}", "", css)
    context.update(mi_fonts=faces, mi_css=css, mi_policy=policy(), mi_theme_script=THEME_SCRIPT)


def setup(app: Sphinx) -> None:
    app.add_config_value("mi_dark_style", "a11y-dark", "html", types=[str])
    app.connect("html-page-context", add_assets, priority=700)
