"""The live figure of a real history: films with titles fall into interests as routing runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import traitlets

from mi_lite.data import Splits
from mi_lite.explorables.base import BadValue, Choice, Data, Explorable, Number, Whole, Wholes
from mi_lite.mind import MIND
from mi_lite.models import UserModel
from mi_lite.routing import AXES, UPDATES, adaptive_num_interests, b2i_routing

MOST_FILMS, MOST_INTERESTS, MOST_DIMENSIONS = 24, 8, 128
STARTS = ("stored", "far apart", "zero")

# A history to try the figure on without a model: three planted tastes, and dice as they came.
_FILMS = {
    "The Third Man": ("Film-Noir, Thriller", [1.0, 0.1, 0.0], [0.3, -0.6, 1.1]),
    "Fantasia": ("Animation, Musical", [0.0, 1.1, 0.1], [-0.5, 0.9, 0.2]),
    "High Noon": ("Western", [0.1, 0.0, 1.0], [0.8, 0.1, 0.4]),
    "Double Indemnity": ("Film-Noir, Crime", [1.2, 0.0, 0.2], [1.0, 0.4, -0.3]),
    "Bambi": ("Animation, Drama", [0.2, 0.9, 0.1], [-0.2, 0.6, 0.7]),
    "Rio Bravo": ("Western, Drama", [0.0, 0.2, 1.2], [-0.9, 0.2, 0.5]),
    "Laura": ("Film-Noir, Mystery", [0.9, 0.2, 0.1], [0.7, -1.2, 0.2]),
    "Pinocchio": ("Animation, Musical", [0.1, 1.2, 0.0], [0.1, -0.1, -0.4]),
    "Stagecoach": ("Western", [0.2, 0.1, 0.9], [-0.3, 0.2, 0.6]),
}


class RealHistoryFigure(Explorable):
    """Routing of one user's last films, in all dimensions of a model. `from_model` fills it from a trained MIND.

    Without arguments it shows nine planted films in three dimensions. In what is given, T films are oldest first;
    the vectors are votes, that is, after the map S.

    Example::

        figure = RealHistoryFigure.from_model(model, splits, user=1)
        figure                      # the last line of a cell shows it
        figure.left_out = [3, 7]    # as if he had not watched these two; figure.film is the film that is looked at

    Raises:
        ValueError: besides the above, where titles, genres, vectors, logits, recency and numbers are not of one length,
            where start is "stored" and start_logits are all zero, or where no film is left.
    """

    title = "A real user's history falls into interests"
    task = (
        "Go back to iteration 1: the films lie where the start put them. Step on: which film moves first? Can you name "
        "what the films of one interest share? Now raise R to 10. Then take out the latest film, and last start the "
        "logits at zero."
    )
    notice = (
        "With few iterations the start decides. With more, films gather that are alike to the model, which need not "
        "mean one genre; the lines under the groups say how far it goes. From zero nothing falls anywhere: equal "
        "logits stay equal."
    )

    titles = Data(list(_FILMS), (MOST_FILMS,), str, help="the films' titles, oldest first")
    genres = Data([g for g, _, _ in _FILMS.values()], (MOST_FILMS,), str, help="each film's genres, with commas")
    votes = Data(
        [v for _, v, _ in _FILMS.values()], (MOST_FILMS, MOST_DIMENSIONS), help="(T, D), each film's vector after S"
    )
    start_logits = Data([b for _, _, b in _FILMS.values()], (MOST_FILMS, MOST_INTERESTS), help="(T, K)")
    recency = Data([1.0] * len(_FILMS), (MOST_FILMS,), help="what a film is multiplied by, the latest film first")
    numbers = Data([3.0] * len(_FILMS), (MOST_FILMS,), help="how many interests a user with 1, 2, … of these films has")
    film = Whole(5, 1, MOST_FILMS, help="which film is looked at")
    left_out = Wholes([], 1, MOST_FILMS, most=MOST_FILMS - 1, help="films as if not watched")
    iterations = Whole(3, 1, 30, help="R")
    iteration = Whole(3, 1, 30, help="which iteration is shown; past the last one, the last")
    start = Choice("stored", STARTS, help="where the logits start: the given ones, far apart, or all zero")
    sharpness = Number(1.0, 0, 3, help="what the starting logits are multiplied by")
    logits_of = Choice("film", ("film", "place"), help="whether given logits belong to films or to places")
    update = Choice("accumulate", UPDATES, help="what agreement does to the logits")
    axis = Choice("interests", AXES, help="what the weights sum to one over")

    def __init__(self, **state: Any) -> None:
        if "titles" in state and "film" not in state:
            state["film"] = 1
        super().__init__(**state)
        for name in ("genres", "votes", "start_logits", "recency", "numbers"):
            if len(getattr(self, name)) != len(self.titles):
                raise ValueError(f"{name} has length {len(getattr(self, name))}; there are {len(self.titles)} titles")
        if self.start == "stored" and not np.any(self.start_logits):
            raise ValueError("start must be 'far apart' or 'zero' where start_logits are all zero, got 'stored'")
        K = len(self.start_logits[0])
        if not all(n == int(n) and 1 <= n <= K for n in self.numbers):
            raise ValueError(f"numbers must be whole, from 1 to the {K} interests of start_logits, got {self.numbers}")

    @traitlets.validate("film", "left_out")
    def _among_the_films(self, proposal: Any) -> Any:
        name, value, T = proposal["trait"].name, proposal["value"], len(self.titles)
        if name == "film" and value > T:
            raise BadValue(f"film must be a whole number from 1 to {T}, got {value}")
        if name == "left_out" and (len(value) >= T or max(value, default=1) > T):
            raise BadValue(f"left_out must be a list of at most {T - 1} numbers of films from 1 to {T}, got {value}")
        return value

    @traitlets.validate("start")
    def _something_stored(self, proposal: Any) -> Any:
        if proposal["value"] == "stored" and not np.any(self.start_logits):
            raise BadValue("start must be 'far apart' or 'zero' where start_logits are all zero, got 'stored'")
        return proposal["value"]

    def schema(self) -> dict[str, dict[str, Any]]:
        """The rules, narrowed to this history: its films, and a stored start only where there is one."""
        schema, T = super().schema(), len(self.titles)
        schema["film"]["high"] = schema["left_out"]["high"] = T
        schema["left_out"]["most"] = T - 1
        if not np.any(self.start_logits):
            schema["start"]["options"] = [option for option in STARTS if option != "stored"]
        return schema

    @classmethod
    def from_model(
        cls, model: UserModel, splits: Splits, *, user: Any, films: int = 20, digits: int = 4, **state: Any
    ) -> RealHistoryFigure:
        """A test user's last films, routed as by the model's own ``interests`` with these films for a history.

        Args:
            model: a trained `mi_lite.mind.MIND` with one shared map, whose logits have a start that is not drawn anew.
            splits: the data it was trained on.
            user: the user's label in the data, ``1`` for MovieLens' first.
            films: T, how many of the latest films, 2 to 24; fewer where the history is shorter.
            digits: decimal places that vectors and logits are rounded to, to keep the page small.
            state: any trait of the figure, to start it in another state.

        Raises:
            TypeError: for another kind of model.
            ValueError: for a model that cannot be shown, an unknown user, or ``films`` out of range.
        """
        if not isinstance(model, MIND):
            raise TypeError(f"model must be a MIND, got {type(model).__name__}")
        if model.maps != "shared":
            raise ValueError(f"model must have one shared map, got maps={model.maps!r}")
        if model.start == "fresh":
            raise ValueError("model must have a fixed start: with start='fresh' every call draws other logits")
        most = min(MOST_FILMS, model.max_history)
        if isinstance(films, bool) or not isinstance(films, (int, np.integer)) or not 2 <= films <= most:
            raise ValueError(f"films must be a whole number from 2 to {most}, got {films!r}")
        data = splits.interactions
        if user not in data.user_labels:
            raise ValueError(f"no user is called {user!r}; the data has users such as {data.user_labels[0]!r}")
        mine = splits.test.user == data.user_labels.index(user)
        if not mine.any():
            raise ValueError(f"user {user!r} has too few films: the splits left that user out")
        history = splits.test.history[mine][0]
        ids = history[history != 0][-films:]
        T, K = len(ids), model.num_interests
        with torch.no_grad():
            votes = model.transform(model.item_vectors(torch.from_numpy(ids)))
            rows = torch.arange(T).flip(0) if model.start == "place" else torch.from_numpy(ids)
            logits = torch.zeros(T, K) if model.start_logits is None else model.start_logits[rows]
            recency = torch.ones(T) if model.recency is None else model.recency[:T].exp()
        some = torch.arange(1, T + 1)
        numbers = adaptive_num_interests(some, K, model.rounding) if model.adaptive else torch.full((T,), K)
        names = [str(x) for x in (data.titles or data.item_labels)]
        kinds = [""] * T
        if data.categories is not None:
            kinds = [", ".join(np.array(data.category_names)[data.categories[i]].tolist()) for i in ids]
        options: dict[str, Any] = dict(model.options)
        behaviors = (votes * recency.flip(0)[:, None])[None]
        routing = b2i_routing(behaviors, None, K, logits=logits[None], **options)
        first, last = routing.weights[0][0], routing.weights[-1][0]
        moved = first.argmax(1) != last.argmax(1)
        start = {"zero": "zero", "far_apart": "far apart"}.get(model.start, "stored")
        R = options["iterations"]
        given: dict[str, Any] = dict(
            titles=[names[i] for i in ids], genres=kinds, votes=_rounded(votes, digits),
            start_logits=_rounded(logits, digits), recency=_rounded(recency, digits), numbers=numbers.tolist(),
            film=int((moved + last.amax(1)).argmax()) + 1, iterations=R, iteration=R, start=start,
            logits_of="place" if model.start == "place" else "film", update=options["update"], axis=options["axis"],
        )  # fmt: skip
        return cls(**given | state)


def _rounded(values: torch.Tensor, digits: int) -> list[Any]:
    """As a list, without the digits that only make a page longer."""
    rounded: list[Any] = np.round(values.double().cpu().numpy(), digits).tolist()
    return rounded
