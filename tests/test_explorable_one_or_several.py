"""One vector against several: the figure serves what the package would, and its caption is true."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from traitlets import TraitError

from mi_lite.explorables import OneOrSeveralFigure
from mi_lite.explorables.base import call
from mi_lite.retrieval import top_n
from mi_lite.routing import far_apart_logits

STATES = [
    {}, {"num_interests": 1}, {"num_interests": 3, "n": 12, "others": 0}, {"num_interests": 4, "others": 80, "n": 1},
    {"score": "dot"}, {"score": "dot", "num_interests": 4, "spread": 25}, {"spread": 4, "n": 9},
    {"tastes": [[0.6, 0.3], [0.55, 0.35]]}, {"tastes": [[0.95, 0.02], [-0.95, 0.02]], "num_interests": 3},
    {"tastes": [[0, 0.02], [0, 0.02]], "score": "dot"}, {"tastes": [[-0.2, 0.1], [0.8, 0.6]], "score": "dot", "n": 12},
    {"tastes": [[0.3, 0.75], [0.3, 0.75]], "num_interests": 4},
]  # fmt: skip


def compute(**state: object) -> dict:
    return call("one_or_several", "compute", OneOrSeveralFigure(**state).state())


def k_means(vectors: np.ndarray, K: int) -> np.ndarray:
    """scikit-learn's means, begun with the groups around films far apart."""
    group = far_apart_logits(torch.tensor(vectors)[None], K)[0].argmax(1).numpy()
    start = np.array([vectors[group == k].mean(0) for k in range(K) if (group == k).any()])
    return KMeans(len(start), init=start, n_init=1, max_iter=100, tol=0).fit(vectors).cluster_centers_


@pytest.mark.parametrize("seed", range(30))
def test_k_means_is_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    T, K, D = int(draw.integers(4, 30)), int(draw.integers(1, 5)), int(draw.integers(2, 6))
    vectors = draw.standard_normal((T, D)) + 2 * draw.standard_normal((K, D))[draw.integers(K, size=T)]
    ours = call("one_or_several", "kMeans", vectors.tolist(), K, 100)
    np.testing.assert_allclose(ours, k_means(vectors, K), rtol=1e-5, atol=1e-5)


def test_k_means_of_few_films_has_fewer_means() -> None:
    assert call("one_or_several", "kMeans", [[1, 0], [1, 0]], 3) == [[1, 0]]
    assert call("one_or_several", "kMeans", [[3, 4]], 2) == [[3, 4]]


@pytest.mark.parametrize("seed", range(30))
def test_the_list_is_top_n(seed: int) -> None:
    draw = np.random.default_rng(seed)
    N, K, D = int(draw.integers(3, 90)), int(draw.integers(1, 5)), int(draw.integers(1, 6))
    interests, items = draw.standard_normal((K, D)), draw.standard_normal((N, D))
    if seed % 3 == 0:  # many equal scores
        interests, items = np.rint(interests), np.rint(items)
    n = int(draw.integers(1, N + 1))
    ours = call("one_or_several", "bestFilms", interests.tolist(), items.tolist(), n)
    theirs = top_n(torch.tensor(interests)[None], torch.tensor(np.vstack([np.zeros(D), items])), n)
    assert [film["item"] + 1 for film in ours] == theirs.items[0].tolist()
    assert [film["interest"] for film in ours] == theirs.interest[0].tolist()


@pytest.mark.parametrize("state", STATES, ids=str)
def test_what_is_served_is_what_the_package_serves(state: dict) -> None:
    figure, result = OneOrSeveralFigure(**state), compute(**state)
    watched, unseen = np.array(result["films"]["watched"]), np.array(result["films"]["unseen"])
    assert len(watched) == 10 and len(unseen) == 12 + figure.others
    form = (lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)) if figure.score == "cosine" else (lambda v: v)
    beams = [math.degrees(math.atan2(y, x)) for x, y in figure.tastes]
    for name, K in (("one", 1), ("several", figure.num_interests)):
        interests = k_means(form(watched), K)
        np.testing.assert_allclose(result[name]["interests"], interests, rtol=1e-5, atol=1e-5)
        items = torch.tensor(np.vstack([np.zeros(2), form(unseen)]))
        theirs = top_n(torch.tensor(form(interests))[None], items, figure.n)
        ours = items[[film["item"] + 1 for film in result[name]["list"]]] @ torch.tensor(form(interests)).T
        np.testing.assert_allclose(ours.amax(1), theirs.scores[0], rtol=1e-5)  # films at one place may change places
        found = theirs.items[0].numpy() - 1
        angles = np.degrees(np.arctan2(*unseen[found].T[::-1]))
        off = np.abs(angles[:, None] - np.array(beams)).min(1)
        assert result[name]["hits"] == (off <= figure.spread + 1e-9).sum()
    np.testing.assert_allclose(result["one"]["interests"], [form(watched).mean(0)], atol=1e-9)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_curve_is_what_dragging_finds(state: dict) -> None:
    figure, result = OneOrSeveralFigure(**state), compute(**state)
    assert len(result["sweep"]) == 31
    for i in (0, 3, 10, 23, 30):
        tastes = call("one_or_several", "apart", figure.tastes, 5 * i)
        turned = compute(**{**state, "tastes": tastes})
        assert abs(turned["angle"] - 5 * i) < 0.05 or min(np.linalg.norm(figure.tastes, axis=1)) < 0.5
        assert result["sweep"][i] == [turned["one"]["hits"], turned["several"]["hits"]]


# ---- what the caption promises ----


def as_good_until(sweep: list[list[int]]) -> int:
    """The angle up to which one vector finds as many films as several."""
    return 5 * next((i for i, (one, several) in enumerate(sweep) if one < several), len(sweep)) - 5


def test_it_opens_on_the_point() -> None:
    result = compute()
    assert (result["one"]["hits"], result["several"]["hits"]) == (0, 6)


@pytest.mark.parametrize("n", [4, 6, 10])
@pytest.mark.parametrize("spread", [8, 14, 20, 25])
def test_one_vector_is_as_good_while_the_beams_touch(spread: int, n: int) -> None:
    """The angle that the task asks for: about twice the breadth of a taste."""
    sweep = compute(spread=spread, n=n)["sweep"]
    assert abs(as_good_until(sweep) - 2 * spread) <= 6
    assert all(one == 0 for one, _ in sweep[20:])  # from 100 degrees on it finds nothing
    assert all(several >= n - 1 for _, several in sweep)


def test_without_other_films_one_vector_is_enough_at_every_angle() -> None:
    for state in ({}, {"num_interests": 4}, {"spread": 5}, {"n": 12}, {"score": "dot"}):
        assert all(one == several for one, several in compute(others=0, **state)["sweep"]), state
    lost = [sum(one for one, _ in compute(others=count)["sweep"]) for count in (0, 5, 10, 20, 40, 80)]
    assert lost == sorted(lost, reverse=True) and lost[0] > 3 * lost[-1]


def test_the_mean_points_between_the_tastes_and_is_short() -> None:
    result = compute()
    (x, y), middle = result["one"]["interests"][0], 90
    assert abs(math.degrees(math.atan2(y, x)) - middle) < 3
    assert abs(math.hypot(x, y) - math.cos(math.radians(result["angle"] / 2))) < 0.03
    noir, musicals = ([math.degrees(math.atan2(y, x))] for x, y in result["several"]["interests"])
    assert abs(noir[0] - 142) < 5 and abs(musicals[0] - 38) < 5, "interest 1 is film noir, as its colour"


# ---- hands on ----


def hand(i: int, state: dict, x: float, y: float) -> dict:
    return call("one_or_several", "((i, s, x, y) => handles(s, compute(s))[i].to(x, y))", i, state, x, y)


def handle(i: int, state: dict) -> dict:
    return call("one_or_several", "((i, s) => handles(s, compute(s))[i])", i, state)


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize("to", [(40, 60), (160, 30), (290, 150), (12, 160)])
def test_the_knob_of_a_taste_is_where_it_was_dragged(i: int, to: tuple[float, float]) -> None:
    state = OneOrSeveralFigure().state()
    moved = {**state, **hand(i, state, *to)}
    assert [a == b for a, b in zip(moved["tastes"], state["tastes"], strict=True)] == [i % 2 != 0, i % 2 != 1]
    knob = handle(i, moved)
    assert abs(knob["x"] - to[0]) < 1.5 and abs(knob["y"] - to[1]) < 1.5
    OneOrSeveralFigure(**moved)  # the traits take it


@pytest.mark.parametrize("i", range(5))
@pytest.mark.parametrize("to", [(160, 30), (-500, -500), (1000, 1000), (160, 168), (160, 400), (0, 0)])
def test_wherever_a_knob_is_dragged_the_traits_take_it(i: int, to: tuple[float, float]) -> None:
    state = OneOrSeveralFigure().state()
    moved = OneOrSeveralFigure(**{**state, **hand(i, state, *to)})
    assert "NaN" not in moved.still()
    knob = handle(i, moved.state())
    assert 0 <= knob["x"] <= 320 and 0 <= knob["y"] <= 190, "out of the picture"


def test_the_knob_of_the_angle_turns_both_tastes() -> None:
    state = OneOrSeveralFigure().state()
    moved = {**state, **hand(4, state, 26 + 280 * 60 / 150, 0)}
    assert abs(compute(**moved)["angle"] - 60) < 0.1
    for before, after in zip(state["tastes"], moved["tastes"], strict=True):
        assert math.isclose(math.hypot(*before), math.hypot(*after), abs_tol=1e-3)


def test_drifting_apart_ends() -> None:
    state = OneOrSeveralFigure().state()
    press, play = (f"(s => figure.controls[5].{name}(s))" for name in ("press", "play"))
    state |= call("one_or_several", press, state)
    assert abs(compute(**state)["angle"] - 8) < 0.1
    steps = 0
    while steps < 100 and (after := call("one_or_several", play, state)):
        state |= after
        steps += 1
    assert 40 < steps < 60 and 103 < compute(**state)["angle"] < 107


@pytest.mark.parametrize("state", STATES, ids=str)
def test_every_state_is_drawn_with_few_elements(state: dict) -> None:
    still = OneOrSeveralFigure(**state).still()
    assert "NaN" not in still and "undefined" not in still and "Infinity" not in still
    for picture in still.split("<svg")[1:]:
        assert picture[: picture.index("</svg>")].count("<") < 90


BAD = {
    "tastes": ([[0, 0.5]], [[0, 0.5]] * 3, [[0, 0.5], [0, 0]], [[0, 0.5], [2, 0.5]], "ab", None, [[0, 0.5], [0, "1"]]),
    "num_interests": (0, 5, 1.5, "2", True), "n": (0, 13, None), "others": (-1, 81), "spread": (3, 26, float("nan")),
    "score": ("inner product", "Cosine", None),
}  # fmt: skip


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, values in BAD.items() for bad in values])
def test_bad_values_are_refused_by_name(name: str, bad: object) -> None:
    figure = OneOrSeveralFigure()
    before = getattr(figure, name)
    with pytest.raises(ValueError, match=f"^{name} must be "):
        setattr(figure, name, bad)
    assert getattr(figure, name) == before
    with pytest.raises(TraitError, match=f"^{name} must be "):
        OneOrSeveralFigure(**{name: bad})
