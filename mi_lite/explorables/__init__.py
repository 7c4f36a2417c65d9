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
from mi_lite.explorables.kernel import needs_kernel
from mi_lite.explorables.label_aware_attention import LabelAwareFigure
from mi_lite.explorables.one_or_several import OneOrSeveralFigure
from mi_lite.explorables.real_history import RealHistoryFigure
from mi_lite.explorables.squash import SquashFigure
from mi_lite.explorables.train_and_serve import TrainAndServeFigure

__all__ = [
    "BadValue",
    "DynamicRoutingFigure",
    "Explorable",
    "LabelAwareFigure",
    "OneOrSeveralFigure",
    "RealHistoryFigure",
    "SquashFigure",
    "TrainAndServeFigure",
    "needs_kernel",
]
