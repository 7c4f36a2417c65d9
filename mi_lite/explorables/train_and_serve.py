"""The live figure of training against serving: one user, the four training rules, one list."""

from __future__ import annotations

from mi_lite.explorables.base import Choice, Explorable, Point, Points, Whole
from mi_lite.explorables.label_aware_attention import STOPS, power_at
from mi_lite.losses import RULES


class TrainAndServeFigure(Explorable):
    """One user's interests, trained a few steps by each rule of `mi_lite.losses` and served by their maximum.

    Her next films (the target and two groups of the catalogue) are all trained on at once, by the full softmax over
    the films of the picture. Films stay where they are; an interest stays within length 1, as a capsule does.

    Example::

        figure = TrainAndServeFigure(rule="max")
        figure             # the last line of a cell shows it
        figure.steps = 20  # trained further; drag the target, and read figure.target
    """

    title = "What is trained and what is served: four rules, one user"
    task = (
        "Under “the target picks” nearly all of the first six films as served (rings) are films that she never "
        "watches. Which interest puts them there, and what share of the target's gradient does it get? Find the rules "
        "that bring the rings to her films. Then go back to 0 steps: what do all rules have in common?"
    )
    notice = (
        "The lowest loss comes with the worst list: with the answer known, nearly all of her films stand among the "
        "first six; served, nearly none. Under max the two are the same, and an interest that no film of hers picks is "
        "corrected by the films that it scores too high. With twelve films of hers and six places, half is the most "
        "that any served list can hold."
    )

    interests = Points(
        [[0.6, 0.1], [0.1, 0.55], [-0.75, -0.6]], [-1, -1], [1, 1], least=2, most=4,
        help="the interests before training, x and y of each; longer than 1, they are used at length 1",
    )  # fmt: skip
    target = Point([1.1, 1.05], [-2.1, -2.1], [2.1, 2.1], help="x and y of the target, one of her next films")
    rule = Choice("target_picks", RULES, help="the training rule that the pictures show; see mi_lite.losses")
    sharpness = Whole(60, 0, STOPS, help="p of the label-aware rule: p = sharpness / (120 - sharpness)")
    steps = Whole(10, 0, 20, help="steps of gradient descent, at rate 0.2")
    seed = Whole(1, 0, 99, help="the dice that place the catalogue")

    @property
    def power(self) -> float:
        """p of the label-aware rule, from 0 to infinity."""
        return power_at(self.sharpness)
