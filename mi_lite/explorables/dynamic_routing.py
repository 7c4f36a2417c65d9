"""The live figure of routing: a bench with every switch of chapter 3."""

from __future__ import annotations

from mi_lite.explorables.base import Choice, Explorable, Number, Points, Whole
from mi_lite.routing import AXES, UPDATES

_FILMS = [
    [0.97, 0.15, 0],
    [0.23, 0.97, 1],
    [-0.73, 0.46, 2],
    [1.10, -0.08, 0],
    [0.02, 0.80, 1],
    [-0.98, 0.30, 2],
    [0.75, 0.36, 0],
    [0.30, 0.70, 1],
    [-0.82, 0.68, 2],
]


class DynamicRoutingFigure(Explorable):
    """Behaviour-to-interest routing of up to twelve films in the plane; the shared map S is the identity.

    Example::

        bench = DynamicRoutingFigure(iterations=10)
        bench                       # the last line of a cell shows it
        bench.start = "zero"        # the interests fall together; drag a film, and read bench.films
    """

    title = "The routing bench"
    task = (
        "Three iterations at scale 1 leave the interests nearly parallel. Find three ways to bring their mean cosine "
        "below 0.3. Then start the logits at zero and try again. Last, take the softmax over the history, mask after "
        "it, and pad to 50 places: what becomes of the mean length?"
    )
    notice = (
        "Equal logits stay equal for ever. Accumulated logits grow in straight lines and never settle; the weights do. "
        "Over interests padding changes nothing, whatever the mask."
    )

    films = Points(
        _FILMS, [-1.3, -1.3, 0], [1.3, 1.3, 2], least=2, most=12, whole=(2,),
        help="x, y and true taste (0, 1 or 2) of each film, oldest first",
    )  # fmt: skip
    num_interests = Whole(3, 1, 5, help="K")
    scale = Number(1.0, 0.5, 20, help="what the films' vectors are multiplied by before routing")
    iterations = Whole(3, 1, 30, help="R")
    iteration = Whole(3, 1, 30, help="which iteration is shown; past the last one, the last")
    start = Choice("random", ("random", "zero", "far apart"), help="where the logits start")
    sigma = Number(1.0, 0, 3, help="deviation of a random start")
    seed = Whole(1, 0, 999, help="the dice of a random start")
    logits_of = Choice("film", ("film", "place"), help="whether the dice belong to films or to places of the history")
    update = Choice("accumulate", UPDATES, help="what agreement does to the logits")
    axis = Choice("interests", AXES, help="what the weights sum to one over")
    places = Choice(0, (0, 12, 50), help="places of the history with padding; 0: as many as films")
    masking = Choice("before", ("before", "after"), help="padding is masked before or after the softmax")
