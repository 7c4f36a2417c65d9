"""The API page: signatures and docstrings read from the package itself (autodoc), one directive a module.

`{mi-api} mi_lite.routing` writes the module's own words, a line of links to its names, and each public function and
class with its signature and docstring. Public is what a module defines and does not begin with an underscore.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

logger = logging.getLogger(__name__)


def public_names(module: ModuleType) -> list[str]:
    """The functions and classes that a module offers, in the order in which they are written."""
    package = module.__name__ if hasattr(module, "__path__") else None
    if package:  # what a package re-exports from its own modules
        return sorted(module.__all__, key=str.lower)
    own = [
        (inspect.getsourcelines(value)[1], name)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]
    return [name for _, name in sorted(own)]


class Api(SphinxDirective):
    """Everything public of one module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            module = importlib.import_module(self.arguments[0])
        except ImportError as error:
            raise ExtensionError(f"{self.env.docname}: {self.arguments[0]} can't be imported: {error}") from error
        names = public_names(module)
        if not names:
            raise ExtensionError(f"{self.env.docname}: {module.__name__} has no public functions or classes.")
        self.env.note_dependency(str(inspect.getsourcefile(module)))
        lines = ["```{eval-rst}", f".. py:module:: {module.__name__}", ""]
        lines += [
            inspect.getdoc(module) or "",
            "",
            ".. container:: mi-names",
            "",
            f"   ``{module.__name__}``: " + " · ".join(f":py:obj:`~{module.__name__}.{name}`" for name in names),
            "",
        ]
        for name in names:
            kind = "class" if inspect.isclass(getattr(module, name)) else "function"
            lines += [f".. auto{kind}:: {module.__name__}.{name}", *(["   :members:"] if kind == "class" else []), ""]
        text = "\n".join([*lines, "```"]).splitlines()
        place = nodes.container(classes=["mi-api"])
        self.state.nested_parse(StringList(text, source=str(inspect.getsourcefile(module))), 0, place)
        return [place]


def tidy(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Fields of named tuples that say nothing of themselves, and Python's own text about them, say nothing here."""
    if lines and re.match(r"Alias for field number \d+$", lines[0]):
        lines[:] = []


def find_by_last_name(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element) -> Any:
    """A docstring's `Routing` means the one object of that name, in whichever module; an unknown name is a warning."""
    if node.get("refdomain") != "py" or not isinstance(content, nodes.literal):  # a type in a signature is no literal
        return None
    target = node["reftarget"]
    objects = env.get_domain("py").objects
    found = [name for name in objects if name == target or name.endswith(f".{target}")]
    if len(found) != 1:
        logger.warning("a docstring names `%s`, which %s", target, "is not public" if not found else f"may be {found}")
        return None
    place = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, content, found[0])


def lighten(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """A signature is words: the elements around each of them, which nothing here styles, double the page's weight.

    Its arguments, one a line, come as a list of definitions without terms, which a screen reader trips over.
    """
    if doctree is None or not any("mi-api" in node["classes"] for node in doctree.findall(nodes.container)):
        return
    body, found = context["body"], 1
    while found:
        body, found = re.subn(r'<span class="(?:pre|w|p|n|o|k|default_value)">([^<]*)</span>', r"\1", body)
    body = re.sub(r'<dd>(<em class="sig-param">.*?)</dd>', r'<span class="mi-param">\1</span>', body)
    context["body"] = re.sub(r'<dl>\s*((?:<span class="mi-param">.*\s)+)</dl>', r"\1", body)


def setup(app: Sphinx) -> None:
    sys.path.insert(0, str(app.srcdir))  # this clone's package, whatever else is installed
    for extension in ("sphinx.ext.autodoc", "sphinx.ext.napoleon"):
        app.setup_extension(extension)
    for name, value in {
        "add_module_names": False,
        "autodoc_member_order": "bysource",
        "autodoc_preserve_defaults": True,
        "autodoc_typehints": "signature",
        "autodoc_typehints_format": "short",
        "default_role": "py:obj",
        "napoleon_numpy_docstring": False,
        "napoleon_use_rtype": False,
        "python_maximum_signature_line_length": 66,
        "python_use_unqualified_type_names": True,
        "toc_object_entries": False,
    }.items():
        app.config[name] = value
    app.connect("autodoc-process-docstring", tidy)
    app.connect("missing-reference", find_by_last_name)
    app.connect("html-page-context", lighten)
    app.add_directive("mi-api", Api)
