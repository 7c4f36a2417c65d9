"""The live figure of squash: a vector, its squash, and how much of a nudge survives."""

from __future__ import annotations

from mi_lite.capsules import SQUASHES
from mi_lite.explorables.base import Choice, Explorable, Point


class SquashFigure(Explorable):
    """A vector in the plane to drag; its squash, the length in against the length out, and both slopes.

    Example::

        figure = SquashFigure(variant="root")
        figure                      # the last line of a cell shows it
        figure.vector = [0.3, 0.4]  # the picture moves; drag it, and read figure.vector
    """

    title = "Squash: length in, length out, and what is left of the gradient"
    task = (
        "Find the length at which a nudge along the vector survives best. Then shrink the vector to zero, and do the "
        "same under root and unit."
    )
    notice = (
        "The direction never changes. Under paper every vector loses at least half of its length. The orange ellipse "
        "is what is left of the grey ring of nudges; at length zero it is a point, except under root and exponential."
    )

    vector = Point([1.2, 0.9], [-2, -2], [2, 2], help="s, two numbers from -2 to 2")
    variant = Choice("paper", SQUASHES, help="which squash; see mi_lite.capsules.squash")
