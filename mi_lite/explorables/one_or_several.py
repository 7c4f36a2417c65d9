"""The live figure of the whole book: what one vector recommends to somebody with two tastes, and what several do."""

from __future__ import annotations

from mi_lite.explorables.base import Choice, Explorable, Points, Whole


class OneOrSeveralFigure(Explorable):
    """Films on a map, two tastes to drag; the mean of what was watched against the K means of k-means.

    Example::

        figure = OneOrSeveralFigure(num_interests=3)
        figure                  # the last line of a cell shows it
        figure.others = 0       # no other films: one vector is enough at every angle
    """

    title = "One vector against several"
    task = (
        "Drag the two tastes together until one vector is as good as two: at what angle is that? Drag them apart "
        "again, and take the other films away."
    )
    notice = (
        "The mean of two tastes points between them. That costs nothing as long as nothing lies there: one vector "
        "fails in a crowd. (Outlined films lie in a taste's beam: those are to her taste. The K vectors are the means "
        "that k-means finds; a film's score is its best over them.)"
    )

    tastes = Points(
        [[-0.58, 0.45], [0.58, 0.45]], [-0.95, 0.02], [0.95, 0.99], least=2, most=2,
        help="x and y of the centres of film noir and of musicals",
    )  # fmt: skip
    num_interests = Whole(2, 1, 4, help="K, how many vectors the second picture has")
    n = Whole(6, 1, 12, help="N, how many films are recommended")
    others = Whole(40, 0, 80, help="how many films lie about that belong to neither taste's own")
    spread = Whole(14, 4, 25, help="how far a taste reaches to either side, in degrees")
    score = Choice("cosine", ("cosine", "dot"), help="the score of a film: cosine or inner product with a vector")
