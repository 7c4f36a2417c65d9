"""Live figures: each is a Python class and the JavaScript file of the same name beside it.

In a notebook with a kernel a figure is a widget whose traits follow the reader, and the reader's picture follows the
traits. On the site the same figure computes in the browser alone. ``book/make_an_explorable.md`` says how to make one.

Needs anywidget; nothing else in mi_lite imports this package.
"""

try:
    import anywidget as _anywidget  # noqa: F401
except ImportError:
    raise ImportError(
        "The live figures need the package anywidget, which is missing here: pip install anywidget"
    ) from None

from mi_lite.explorables.base import BadValue, Explorable
from mi_lite.explorables.dynamic_routing import DynamicRoutingFigure
from mi_lite.explorables.squash import SquashFigure

__all__ = ["BadValue", "DynamicRoutingFigure", "Explorable", "SquashFigure"]
