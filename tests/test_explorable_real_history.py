"""The figure of a real history: what MIND routes, what the lines under the groups say, what the caption says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from traitlets import TraitError

from mi_lite.data import Splits, leave_one_out, synthetic_world
from mi_lite.explorables import BadValue, RealHistoryFigure
from mi_lite.explorables.base import call
from mi_lite.mind import MIND
from mi_lite.models import SingleVector

CLOSE = dict(atol=1e-5, rtol=1e-5)
MODELS: list[dict[str, Any]] = [
    {}, {"recency": True}, {"start": "learned", "recency": True, "features": True}, {"start": "place", "recency": True},
    {"start": "place", "iterations": 1}, {"start": "zero"}, {"start": "far_apart", "recency": True},
    {"adaptive": True, "recency": True}, {"adaptive": True, "rounding": "ceil", "num_interests": 5},
    {"adaptive": True, "start": "far_apart", "rounding": "round"}, {"update": "assign", "iterations": 7},
    {"axis": "behaviors"}, {"axis": "behaviors", "adaptive": True, "start": "place"}, {"num_interests": 1},
    {"num_interests": 8, "iterations": 12, "init_std": 3.0}, {"hidden": 0}, {"profile": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def splits() -> Splits:
    world = synthetic_world(40, 400, 8, 6, (1, 4), history_length=(7, 30), seed=0)
    return leave_one_out(world.interactions, max_history=24)


def mind(splits: Splits, size: float = 2.0, **options: Any) -> MIND:
    """An untrained model in evaluation mode whose vectors are long enough for routing to do something."""
    options = {"dim": 6, "num_interests": 4, "features": False, "profile": False, "seed": 3, **options}
    model: MIND = MIND.for_data(splits.interactions, max_history=24, **options)
    with torch.no_grad():
        model.items.weight.mul_(size)
        if model.recency is not None:
            model.recency.copy_(torch.linspace(1.0, -1.0, 24))
    return model.eval()


def trace_of(model: MIND, ids: np.ndarray) -> Any:
    """Routing of this history as the model does it."""
    with torch.no_grad():
        profile = torch.zeros(1, len(model.profile_sizes), dtype=torch.int64) if model.profile_sizes else None
        return model.interests(torch.from_numpy(ids)[None], profile=profile).trace


def compute(figure: RealHistoryFigure) -> dict[str, Any]:
    result: dict[str, Any] = call("real_history", "compute", figure.state())
    return result


def same(result: dict[str, Any], trace: Any) -> None:
    assert len(result["trace"]) == len(trace.weights)
    for r, ours in enumerate(result["trace"]):
        np.testing.assert_allclose(ours["weights"], trace.weights[r][0], **CLOSE)
        np.testing.assert_allclose(ours["logits"], trace.logits[r][0], **CLOSE)
        np.testing.assert_allclose(ours["interests"], trace.interests_by_iteration[r][0], **CLOSE)


@pytest.mark.parametrize("options", MODELS, ids=json.dumps)
def test_it_routes_as_the_model_does(splits: Splits, options: dict) -> None:
    model = mind(splits, **options)
    for user in splits.interactions.user_labels[:4]:
        figure = RealHistoryFigure.from_model(model, splits, user=user, films=24, digits=9)
        example = splits.test.subset([splits.interactions.user_labels.index(user)])
        ids = example.history[0][example.history[0] > 0]
        assert len(figure.titles) == len(ids) and figure.iterations == figure.iteration == model.options["iterations"]
        same(compute(figure), trace_of(model, ids))
        # Without some of the films: as if they had not been watched, with places and numbers of the shorter history.
        out = [1, len(ids) - 1, len(ids)]
        figure.left_out = out
        kept = np.delete(ids, [i - 1 for i in out])
        result = compute(figure)
        assert result["kept"] == [i for i in range(len(ids)) if i + 1 not in out]
        same(result, trace_of(model, kept))


@pytest.mark.parametrize("films", [2, 5, 20])
def test_the_latest_films_are_a_history_of_their_own(splits: Splits, films: int) -> None:
    model = mind(splits, recency=True)
    user = splits.interactions.user_labels[int(splits.test.lengths.argmax())]
    figure = RealHistoryFigure.from_model(model, splits, user=user, films=films, digits=9)
    ids = splits.test.history[splits.test.user == splits.interactions.user_labels.index(user)][0]
    same(compute(figure), trace_of(model, ids[ids > 0][-films:]))


def test_rounding_changes_no_weight_that_is_shown(splits: Splits) -> None:
    model = mind(splits, recency=True)
    for user in splits.interactions.user_labels[:10]:
        rounded = RealHistoryFigure.from_model(model, splits, user=user)
        exact = RealHistoryFigure.from_model(model, splits, user=user, digits=9)
        assert max(len(str(abs(x))) for row in rounded.votes for x in row) <= 7
        for ours, theirs in zip(compute(rounded)["trace"], compute(exact)["trace"], strict=True):
            np.testing.assert_allclose(ours["weights"], theirs["weights"], atol=5e-3)


def test_other_starts_are_the_packages(splits: Splits) -> None:
    stored, user = mind(splits, recency=True), splits.interactions.user_labels[0]
    figure = RealHistoryFigure.from_model(stored, splits, user=user, films=24, digits=9)
    ids = splits.test.history[0][splits.test.history[0] > 0]
    stored.start = "far_apart"
    same(compute(RealHistoryFigure(**{**figure.state(), "start": "far apart"})), trace_of(stored, ids))
    stored.start = "zero"
    same(compute(RealHistoryFigure(**{**figure.state(), "start": "zero"})), trace_of(stored, ids))
    same(compute(RealHistoryFigure(**{**figure.state(), "sharpness": 0})), trace_of(stored, ids))
    stored.start, table = "item", stored.start_logits
    assert table is not None
    table.mul_(2.5)
    same(compute(RealHistoryFigure(**{**figure.state(), "sharpness": 2.5})), trace_of(stored, ids))


@pytest.mark.parametrize("seed", range(6))
def test_the_lines_under_the_groups(splits: Splits, seed: int) -> None:
    """Against a plain recount."""
    draw = np.random.default_rng(seed)
    kinds = ["A", "B", "C, A", "B, C", ""]
    T = int(draw.integers(2, 24))
    figure = RealHistoryFigure(
        titles=[f"film {i}" for i in range(T)], genres=[kinds[i] for i in draw.integers(0, 5, T)],
        votes=2 * draw.standard_normal((T, 5)), start_logits=draw.standard_normal((T, 3)), recency=[1.0] * T,
        numbers=[3] * T, left_out=[1] if T > 2 else [],
    )  # fmt: skip
    result = compute(figure)
    kept = np.array(result["kept"])
    lanes = np.array(result["now"]).argmax(1)
    start = np.array(figure.start_logits)[kept].argmax(1)
    votes = torch.tensor(figure.votes)[kept]
    unit = torch.nn.functional.normalize(votes, dim=1)
    alike = (unit @ unit.T).fill_diagonal_(-2).argmax(1).numpy()
    trust = result["trust"]
    assert result["lane"] == lanes.tolist() and trust["stayed"] == (lanes == start).sum()
    assert trust["together"] == (lanes == lanes[alike]).sum()
    shuffled = [draw.permutation(lanes) for _ in range(4000)]
    by_chance = np.mean([(some == some[alike]).sum() for some in shuffled])
    assert abs(trust["chance"] - by_chance) < 0.2
    genres = [set(figure.genres[i].split(", ")) - {""} for i in kept]
    pairs: dict[bool, list[bool]] = {True: [], False: []}
    for a in range(len(kept)):
        for b in range(a):
            pairs[bool(lanes[a] == lanes[b])].append(bool(genres[a] & genres[b]))
    for name, which in (("inside", True), ("across", False)):
        assert trust[name] == (None if not pairs[which] else pytest.approx(np.mean(pairs[which])))
    for j, group in enumerate(result["groups"]):
        assert sorted(group["films"]) == kept[lanes == j].tolist()
        rows = [int(np.flatnonzero(kept == i)[0]) for i in group["films"]]
        pulls = [result["now"][q][j] * np.linalg.norm(figure.votes[kept[q]]) for q in rows]
        assert pulls == sorted(pulls, reverse=True)
        if group["genre"]:
            assert group["here"] == sum(group["genre"] in genres[q] for q in np.where(lanes == j)[0])
            assert group["all"] == sum(group["genre"] in some for some in genres)
    assert np.allclose(result["sharp"], [np.max(step["weights"], axis=1).mean() for step in result["trace"]])


# ---- what the caption says ----


def planted(seed: int, **state: Any) -> RealHistoryFigure:
    """Twenty films of three tastes in eight dimensions, and dice."""
    draw = np.random.default_rng(seed)
    tastes = np.eye(8)[[i % 3 for i in range(20)]]
    return RealHistoryFigure(
        titles=[f"film {i}" for i in range(20)], genres=["drama"] * 20, start_logits=draw.standard_normal((20, 3)),
        votes=1.2 * (tastes + 0.25 * draw.standard_normal((20, 8))), recency=[1.0] * 20, numbers=[3] * 20, **state,
    )  # fmt: skip


def test_at_iteration_1_the_films_lie_where_the_start_put_them() -> None:
    for figure in (RealHistoryFigure(iteration=1), *(planted(seed, iteration=1) for seed in range(5))):
        result = compute(figure)
        assert result["trust"]["stayed"] == len(figure.titles)
        assert result["lane"] == result["from"] == np.argmax(figure.start_logits, axis=1).tolist()
    assert compute(RealHistoryFigure())["trust"]["stayed"] < 9, "no film moves"
    assert compute(RealHistoryFigure())["film"] == 4
    first, last = (compute(RealHistoryFigure())["lanes"][r][4] for r in (0, -1))
    assert first != last, "the film that is looked at first is one that moves"


def test_with_more_iterations_alike_films_gather_and_weights_sharpen() -> None:
    few, many = ([compute(planted(seed, iterations=R, iteration=R)) for seed in range(12)] for R in (1, 10))
    for a, b in zip(few, many, strict=True):
        assert b["trust"]["together"] > a["trust"]["together"] and b["trust"]["stayed"] < a["trust"]["stayed"]
        assert b["sharp"][-1] > b["sharp"][0] + 0.1
    gathered = sum(b["trust"]["together"] - b["trust"]["chance"] for b in many) / 12
    assert gathered > 5, "hardly more than by chance"
    a, b = (compute(RealHistoryFigure(iterations=R, iteration=R))["trust"] for R in (1, 10))
    assert b["together"] > max(a["together"], b["chance"] + 1) and b["stayed"] < a["stayed"]


def test_genres_have_no_part_in_routing() -> None:
    one = compute(RealHistoryFigure())
    other = compute(RealHistoryFigure(genres=["Drama"] * 9))
    assert one["trace"] == other["trace"]
    assert one["trust"]["across"] < 1 and other["trust"]["across"] == other["trust"]["inside"] == 1


def test_from_zero_nothing_falls_anywhere() -> None:
    for figure in (RealHistoryFigure(start="zero", iterations=30), planted(0, start="zero", iterations=30)):
        for step, lanes in zip(compute(figure)["trace"], compute(figure)["lanes"], strict=True):
            assert np.allclose(step["weights"], 1 / 3) and set(lanes) == {-1}
        assert compute(figure)["trust"]["stayed"] is None
        assert "no film belongs anywhere" in (figure.still() or "")


def test_who_is_taken_out_changes_the_others() -> None:
    whole, less = compute(RealHistoryFigure()), compute(RealHistoryFigure(left_out=[9]))
    moved = np.abs(np.array(whole["now"])[:8] - np.array(less["now"])).max()
    assert less["kept"] == list(range(8)) and moved > 0.01


def test_the_button_takes_out_and_puts_back() -> None:
    figure = RealHistoryFigure(film=4)
    out = call("real_history", "toggle", figure.state())
    assert out == {"left_out": [4]}
    figure.left_out = [2, 4, 7]
    assert call("real_history", "toggle", figure.state()) == {"left_out": [2, 7]}
    figure.left_out = [i for i in range(1, 10) if i != 4]
    assert call("real_history", "toggle", figure.state()) == {}, "the last film stays"


# ---- pictures ----


def test_titles_are_shortened_for_the_eye_only() -> None:
    for long, short in {
        "Truth About Cats & Dogs, The (1996)": "The Truth About Cats & Dogs",
        "Shanghai Triad (Yao a yao yao dao waipo qiao) (1995)": "Shanghai Triad",
        "Grand Day Out, A (1992)": "A Grand Day Out",
        "Good, The Bad and The Ugly, The (1966)": "The Good, The Bad and The Ugly",
        "Fargo": "Fargo",
        "1900": "1900",
    }.items():
        assert call("real_history", "shortTitle", long) == short
    title = "Dr. Strangelove or: How I Learned to Stop Worrying"
    cut = call("real_history", "cut", title, 158, 11.5)
    assert cut.endswith("…") and title.startswith(cut[:-1]) and len(cut) > 20
    assert call("real_history", "cut", "Fargo", 158, 11.5) == "Fargo"
    still = RealHistoryFigure(titles=[title + " (1963)", *RealHistoryFigure().titles[1:]]).still() or ""
    assert title + " (1963)" in still.split("aria-label")[3] and title[:25] in still


EDGES: list[dict[str, Any]] = [
    {}, {"start": "zero"}, {"left_out": [1, 2, 3, 4, 5, 6, 7, 8]}, {"film": 9, "left_out": [9]}, {"iterations": 30},
    {"iterations": 1}, {"iteration": 30}, {"sharpness": 0}, {"start": "far apart", "axis": "behaviors"},
]  # fmt: skip


def sized(T: int, K: int, D: int = 2, title: str = "A film of some <length> & 'more' (1990)") -> RealHistoryFigure:
    draw = np.random.default_rng(0)
    return RealHistoryFigure(
        titles=[title] * T, genres=["Drama"] * T,
        votes=draw.standard_normal((T, D)).round(4), start_logits=draw.standard_normal((T, K)).round(4),
        recency=[1.0] * T, numbers=[K] * T,
    )  # fmt: skip


@pytest.mark.parametrize(
    "figure",
    [*(RealHistoryFigure(**state) for state in EDGES), *(sized(T, K) for T in (1, 2, 24) for K in (1, 5, 8))],
)
def test_every_state_is_drawn(figure: RealHistoryFigure) -> None:
    still = figure.still() or ""
    assert "NaN" not in still and "undefined" not in still and "Infinity" not in still
    pictures = still.split("<svg")[1:]
    assert len(pictures) == 3
    for picture in pictures:
        root = ElementTree.fromstring("<svg" + picture[: picture.index("</svg>") + 6])
        assert sum(1 for _ in root.iter()) <= 160
        assert all(float(e.get("font-size", 11)) >= 11 for e in root.iter())
    (label,) = [p for p in pictures if "The last" in p[:200]]
    assert all(f" {i + 1} " in label for i in range(len(figure.titles)))


def test_the_figure_is_small() -> None:
    """Twenty films in 32 dimensions, as in the chapter."""
    assert len((sized(20, 4, 32, "A title of usual length (1990)").still() or "").encode()) <= 25_600


# ---- traits ----


def test_data_stands_in_the_page_and_not_in_an_address(splits: Splits) -> None:
    figure = RealHistoryFigure.from_model(mind(splits), splits, user=splits.interactions.user_labels[0], film=1)
    schema, state = figure.get_state()["_schema"], figure.state()
    assert schema["votes"] == {"kind": "data", "start": figure.votes}
    T = len(figure.titles)
    changed = {**state, "film": 2, "left_out": [1, 3], "titles": ["another"]}
    fragment = call("real_history", "toFragment", "live-x", schema, changed)
    assert json.loads(unquote(fragment.split(":", 1)[1])) == {"film": 2, "left_out": [1, 3]}

    def read(found: object) -> dict:
        return call("real_history", "fromFragment", "#live-x:" + quote(json.dumps(found)), "live-x", schema)

    assert read({"left_out": [3, 1], "film": 1}) == {"left_out": [3, 1], "film": 1}
    assert read({"titles": ["<img>"], "votes": [[1]], "numbers": [], "start_logits": None}) == {}
    for bad in ([0], [T + 1], [1, 1], [1.5], ["1"], 3, None, {"length": 1}, list(range(1, T + 1))):
        assert read({"left_out": bad}) == {}, bad
    assert read({"film": 99}) == {"film": T}


def test_data_is_given_once() -> None:
    figure = RealHistoryFigure()
    figure.votes = [list(row) for row in figure.votes]  # what a browser sends back
    with pytest.raises(BadValue, match=r"^votes is given where the figure is made and can't be changed"):
        figure.votes = [[0.0, 0.0, 0.0]] * 9
    with pytest.raises(BadValue, match=r"^titles is given where"):
        figure.titles = ["another"] * 9
    assert figure.titles[0] == "The Third Man"
    assert RealHistoryFigure(votes=np.ones((9, 2), np.float32)).votes == [[1.0, 1.0]] * 9


BAD: dict[str, tuple] = {
    "titles": ([], "film", [1] * 9, ["a"] * 25, None, [b"a"]),
    "votes": ([[1, 2], [1]], [[]], [], [[float("nan")]], [["1"]], [1, 2], [[1] * 129], 3, [[True]], "ab"),
    "numbers": (["1"] * 9, [None], [float("inf")], 4),
    "film": (0, 10, 1.5, "1", True),
    "left_out": ([0], [10], [1, 1], 3, ["1"], list(range(1, 10)), None, [1.5]),
    "start": ("item", None), "sharpness": (-1, 3.1, "1"), "iterations": (0, 31), "axis": ("films",),
}  # fmt: skip


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, values in BAD.items() for bad in values])
def test_bad_values_are_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be ") as error:
        RealHistoryFigure(**{name: bad})
    assert isinstance(error.value, TraitError) and len(str(error.value)) < 300
    figure = RealHistoryFigure()
    before = getattr(figure, name)
    with pytest.raises(BadValue, match=f"^{name} must be "):
        setattr(figure, name, bad)
    assert getattr(figure, name) == before


def test_parts_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ValueError, match="genres has length 9; there are 2 titles"):
        RealHistoryFigure(titles=["a", "b"])
    with pytest.raises(ValueError, match="recency has length 3; there are 9 titles"):
        RealHistoryFigure(recency=[1, 1, 1])
    for numbers in ([4] * 9, [0] * 9, [1.5] * 9):
        with pytest.raises(ValueError, match="numbers must be whole, from 1 to the 3 interests of start_logits"):
            RealHistoryFigure(numbers=numbers)
    zeros = np.zeros((9, 3))
    for given in ({}, {"start": "stored"}):
        with pytest.raises(ValueError, match="start must be 'far apart' or 'zero' where start_logits are all zero"):
            RealHistoryFigure(start_logits=zeros, **given)
    figure = RealHistoryFigure(start_logits=zeros, start="zero")
    assert figure.get_state()["_schema"]["start"]["options"] == ["far apart", "zero"]
    with pytest.raises(BadValue, match=r"^start must be"):
        figure.start = "stored"


def test_rules_are_narrowed_to_the_films_that_are_there() -> None:
    schema = RealHistoryFigure(film=3).get_state()["_schema"]
    assert schema["film"]["high"] == schema["left_out"]["high"] == 9 and schema["left_out"]["most"] == 8
    assert schema["film"]["start"] == 3 and RealHistoryFigure.rules()["film"]["high"] == 24


def test_models_that_cannot_be_shown_are_refused(splits: Splits) -> None:
    make, user = RealHistoryFigure.from_model, splits.interactions.user_labels[0]
    with pytest.raises(TypeError, match="model must be a MIND, got SingleVector"):
        make(SingleVector(splits.interactions.num_items), splits, user=user)
    with pytest.raises(ValueError, match="model must have one shared map, got maps='own'"):
        make(mind(splits, maps="own"), splits, user=user)
    with pytest.raises(ValueError, match="model must have a fixed start"):
        make(mind(splits, start="fresh"), splits, user=user)
    model = mind(splits)
    for films in (1, 25, 2.5, "20", True, None):
        with pytest.raises(ValueError, match="films must be a whole number from 2 to 24"):
            make(model, splits, user=user, films=films)
    with pytest.raises(ValueError, match="no user is called 'nobody'; the data has users such as"):
        make(model, splits, user="nobody")
    with pytest.raises(BadValue, match="start_logits must be"):
        make(mind(splits, num_interests=9), splits, user=user)
    with pytest.raises(TypeError, match="RealHistoryFigure has no color"):
        make(model, splits, user=user, color="red")


def test_the_first_look_is_at_a_film_that_moves(splits: Splits) -> None:
    model, found = mind(splits, size=3.0), 0
    for user in splits.interactions.user_labels[:10]:
        result = compute(RealHistoryFigure.from_model(model, splits, user=user))
        moves = [a != b for a, b in zip(result["lanes"][0], result["lanes"][-1], strict=True)]
        found += any(moves)
        assert moves[result["row"]] or not any(moves)
    assert found > 5
    assert RealHistoryFigure.from_model(model, splits, user=splits.interactions.user_labels[0], film=2).film == 2
