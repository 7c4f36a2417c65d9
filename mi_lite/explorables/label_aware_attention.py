"""The live figure of label-aware attention: a target among a user's interests, and the power p."""

from __future__ import annotations

import math

from mi_lite.explorables.base import Choice, Explorable, Point, Points, Whole
from mi_lite.mind import FORMS

STOPS = 120  #: the last place of the slider of p, where p is infinite


def power_at(sharpness: int) -> float:
    """p at a place of its slider: ``sharpness / (120 - sharpness)``; 1 in the middle, infinite at the end."""
    return math.inf if sharpness == STOPS else sharpness / (STOPS - sharpness)


class LabelAwareFigure(Explorable):
    """Label-aware attention (MIND, section 3.4) of two to five interests in the plane; see `mi_lite.mind`.

    Example::

        figure = LabelAwareFigure(form="power")
        figure                  # the last line of a cell shows it
        figure.sharpness = 90   # p = 3
        figure.power            # 3.0
    """

    title = "Label-aware attention: the target mixes the interests"
    task = (
        "Find the smallest p at which interest 1 has 90 % of the weight. Press A tie: what jumps between p = 119 and "
        "p = ∞, and what does not? Then Reset and take the printed power: which interest leads at p = 2, and at which "
        "other p does it?"
    )
    notice = (
        "Under p times the score, a larger p never lowers the target's score, and the user walks along the dotted line "
        "from the average towards the best interest. At a tie the walk ends between the two; p = ∞ takes the first. "
        "The printed power ends at the average again while all scores are shorter than 1, and a fraction of a negative "
        "score is refused."
    )

    interests = Points(
        [[0.9, 0.35], [0.3, 1.0], [-0.95, 0.4]], [-1.3, -1.3], [1.3, 1.3], least=2, most=5,
        help="the interests, x and y of each",
    )  # fmt: skip
    target = Point([1, 0], [-1.3, -1.3], [1.3, 1.3], help="the target's x and y")
    sharpness = Whole(80, 0, STOPS, help="where the slider of p stands: p = sharpness / (120 - sharpness)")
    form = Choice("scaled", FORMS, help="what becomes of p and a score; see mi_lite.mind.label_aware_attention")

    @property
    def power(self) -> float:
        """p, from 0 to infinity."""
        return power_at(self.sharpness)
