"""The figure of label-aware attention: torch's numbers, and what its caption says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from traitlets import TraitError

from mi_lite.explorables import LabelAwareFigure
from mi_lite.explorables.base import call
from mi_lite.explorables.label_aware_attention import STOPS, power_at
from mi_lite.mind import FORMS, label_aware_attention

CLOSE = dict(atol=1e-5, rtol=1e-5)
POWERS = (0, 0.5, 1, 2, 3, 7.25, 59, 119, math.inf)
TIE = dict(interests=[[0.8, 0.6], [0.8, -0.6], [-0.9, 0.3]], target=[1, 0])


def attention(interests: torch.Tensor, target: torch.Tensor, p: float, mask: torch.Tensor | None, form: str) -> dict:
    """One user's weights and vector in JavaScript; None where it refuses. JSON has no infinity: null stands for it."""
    function = "((v, e, p, mask, form) => labelAwareAttention(v, e, p ?? Infinity, mask, form))"
    return call(
        "label_aware_attention", function, interests.tolist(), target.tolist(), None if math.isinf(p) else p,
        None if mask is None else mask.tolist(), form,
    )  # fmt: skip


def same(interests: torch.Tensor, target: torch.Tensor, p: float, mask: torch.Tensor | None, form: str) -> bool:
    """Compare JavaScript with the package; True where both refuse."""
    ours = attention(interests, target, p, mask, form)
    try:
        some = None if mask is None else mask[None]
        theirs = label_aware_attention(interests[None], target[None], p, some, form)
    except ValueError:
        assert ours is None
        return True
    np.testing.assert_allclose(ours["weights"], theirs.weights[0], **CLOSE)
    np.testing.assert_allclose(ours["user"], theirs.user[0], **CLOSE)
    return False


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(8))
def test_attention_is_torchs(form: str, seed: int) -> None:
    """Over shapes, masks, negative scores, and every kind of p."""
    draw = torch.Generator().manual_seed(seed)
    K, D = (int(torch.randint(1, 7, (1,), generator=draw)) for _ in range(2))
    interests = torch.randn(K, D, generator=draw, dtype=torch.float64)
    target = torch.randn(D, generator=draw, dtype=torch.float64)
    mask = torch.rand(K, generator=draw) < 0.6
    mask[int(torch.randint(K, (1,), generator=draw))] = True
    for p, some, towards in itertools.product(POWERS, (None, mask), (target, -target, target.abs())):
        same(interests, towards, p, some, form)


@pytest.mark.parametrize("form", FORMS)
def test_both_refuse_the_same(form: str) -> None:
    v = torch.tensor([[0.9], [0.3], [-0.95]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    refused = {p for p in POWERS if same(v, one, p, None, form)}
    assert refused == {"scaled": set(), "power": {0.5, 7.25, math.inf}, "signed_power": {math.inf}}[form]
    assert not same(v[:2], one, 0.5, None, form), "no negative score, no refusal"


@pytest.mark.parametrize("p", POWERS)
def test_ties_and_masks_at_every_power(p: float) -> None:
    v = torch.tensor([[0.2, 0.9], [0.7, -0.5], [0.7, 0.5], [0.7, 0.0]], dtype=torch.float64)
    e = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for mask in ([True] * 4, [False, True, True, True], [False, False, True, True], [True, False, False, False]):
        same(v, e, p, torch.tensor(mask), "scaled")
    first = attention(v, e, math.inf, None, "scaled")["weights"]
    assert first == [0, 1, 0, 0]
    hidden = attention(v, e, math.inf, torch.tensor([True, False, True, True]), "scaled")["weights"]
    assert hidden == [0, 0, 1, 0]


def test_the_slider_of_p() -> None:
    stops = call("label_aware_attention", "(() => Array.from({length: 120}, (_, s) => powerAt(s)))")
    assert stops == [power_at(s) for s in range(STOPS)] and stops == sorted(stops)
    assert call("label_aware_attention", "(() => STOPS)") == STOPS
    assert call("label_aware_attention", "(() => powerAt(STOPS) === Infinity)") and power_at(STOPS) == math.inf
    assert [power_at(s) for s in (0, 60, 80, 90, 119)] == [0, 1, 2, 3, 119]
    assert [LabelAwareFigure(sharpness=s).power for s in (0, 60, 120)] == [0, 1, math.inf]
    assert call("label_aware_attention", "((s) => s.map(powerText))", [0, 95, 119, 120]) == [
        "0.00",
        "3.80",
        "119.0",
        "∞",
    ]
    seen, s = [], 0
    while s < STOPS:
        s = call("label_aware_attention", "nextWhole", {"sharpness": s})["sharpness"]
        seen.append(power_at(s))
    assert seen == [1, 2, 3, 4, 5, 7, 9, 11, 14, 19, 23, 29, 39, 59, 119, math.inf]
    assert call("label_aware_attention", "nextWhole", {"sharpness": STOPS}) == {"sharpness": 0}


STATES = [
    {},
    {"sharpness": 60}, {"sharpness": 0}, {"sharpness": 120}, {"form": "power", "sharpness": 80},
    {"form": "power", "sharpness": 30},
    {"form": "signed_power", "sharpness": 100}, {"form": "signed_power", "sharpness": 120}, {**TIE, "sharpness": 119},
    {"interests": [[0, 0], [0, 0]], "target": [0, 0]}, {"interests": [[1.3, -1.3]] * 5, "sharpness": 7},
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_figure_shows_the_packages_numbers(state: dict) -> None:
    figure = LabelAwareFigure(**state)
    result = call(figure.module, "compute", figure.state())
    v = torch.tensor(figure.interests, dtype=torch.float64)[None]
    e = torch.tensor(figure.target, dtype=torch.float64)[None]
    np.testing.assert_allclose(result["scores"], (v @ e[0])[0], **CLOSE)
    np.testing.assert_allclose(result["average"], v.mean(1)[0], **CLOSE)
    for s, (ours, mixed) in enumerate(zip(result["walk"], result["mixed"], strict=True)):
        try:
            theirs = label_aware_attention(v, e, power_at(s), form=figure.form)
        except ValueError:
            assert ours is None and mixed is None
            continue
        np.testing.assert_allclose(ours["weights"], theirs.weights[0], **CLOSE)
        np.testing.assert_allclose(mixed, (theirs.user * e).sum(), **CLOSE)
    assert result["now"] == result["walk"][figure.sharpness]
    still = figure.still()
    assert still is not None and "NaN" not in still and "undefined" not in still
    assert (result["now"] is None) == ("refused" in still.split("<figcaption>")[0])


def walk(**state: object) -> list[dict | None]:
    return call("label_aware_attention", "compute", LabelAwareFigure(**state).state())["walk"]


def test_the_task_can_be_found() -> None:
    first = [at["weights"][0] for at in walk()]
    smallest = next(s for s, w in enumerate(first) if w >= 0.9)
    assert first == sorted(first) and power_at(smallest) == pytest.approx(3.8), "the p to be found"
    scores = call("label_aware_attention", "compute", LabelAwareFigure().state())["scores"]
    assert scores == [0.9, 0.3, -0.95], "the three scores of the chapter"
    printed = walk(form="power")
    leads = [
        power_at(s) for s, at in enumerate(printed) if at and max(at["weights"]) == at["weights"][2] > at["weights"][0]
    ]
    assert leads == [2, 4, 14], "where the interest that dislikes the target leads"


def test_at_a_tie_the_user_jumps_and_the_score_does_not() -> None:
    press = call("label_aware_attention", "(() => figure.controls.find((c) => c.label === 'A tie').press({}))")
    assert press == TIE
    result = call("label_aware_attention", "compute", LabelAwareFigure(**press).state())
    late, last = result["walk"][119], result["walk"][120]
    np.testing.assert_allclose(late["weights"], [0.5, 0.5, 0], atol=1e-6)
    assert last["weights"] == [1, 0, 0]
    assert math.dist(late["user"], last["user"]) > 0.5
    assert abs(result["mixed"][119] - result["mixed"][120]) < 1e-6
    steps = [math.dist(a["user"], b["user"]) for a, b in itertools.pairwise(result["walk"][:120])]
    assert max(steps) < 0.1, "before the end nothing jumps"
    assert result["average"] == pytest.approx(result["walk"][0]["user"])


@pytest.mark.parametrize("seed", range(10))
def test_a_larger_p_never_lowers_the_score(seed: int) -> None:
    draw = np.random.default_rng(seed)
    figure = LabelAwareFigure(
        interests=draw.uniform(-1.3, 1.3, (draw.integers(2, 6), 2)).tolist(), target=draw.uniform(-1.3, 1.3, 2).tolist()
    )
    mixed = call(figure.module, "compute", figure.state())["mixed"]
    assert (np.diff(mixed) > -1e-9).all()


def test_the_printed_power_ends_at_the_average_and_refuses_fractions() -> None:
    result = call("label_aware_attention", "compute", LabelAwareFigure(form="power", sharpness=119).state())
    assert max(map(abs, result["scores"])) < 1
    np.testing.assert_allclose(result["now"]["weights"], [1 / 3] * 3, atol=0.01)
    np.testing.assert_allclose(result["now"]["user"], result["average"], atol=0.01)
    assert [s for s, at in enumerate(result["walk"]) if at] == [s for s in range(STOPS) if power_at(s).is_integer()]
    said = call(
        "label_aware_attention", "((s) => say(s, compute(s)))", LabelAwareFigure(form="power", sharpness=30).state()
    )
    assert said == "Softmax of score^p, as printed, p = 0.33 is refused: a negative score has no power 0.33."


def test_handles_move_what_they_name() -> None:
    state = LabelAwareFigure().state()

    def move(i: int, x: float, y: float) -> dict:
        return call("label_aware_attention", f"((s) => handles(s, compute(s))[{i}].to({x}, {y}))", state)

    assert move(0, 160, 8) == {"target": [0, 1.3]} and move(0, 999, 160) == {"target": [1.3, 0]}
    assert move(2, 160, 160)["interests"] == [[0.9, 0.35], [0, 0], [-0.95, 0.4]]
    assert move(4, 40, 0) == {"sharpness": 0} and move(4, 304, 0) == {"sharpness": 120}
    state["form"] = "power"
    assert move(4, 218, 0) == {"sharpness": 80}, "drawn to a p that is not refused"


BAD = {
    "interests": ([], [[1, 0]], [[1, 0]] * 6, [[1, 0], [1.4, 0]], [[1], [1]], "ab", None),
    "target": ([1], [1.31, 0], [float("nan"), 0], None),
    "sharpness": (-1, 121, 1.5, math.inf, "1", True),
    "form": ("literal", None, 1),
}


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, values in BAD.items() for bad in values])
def test_bad_values_are_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(TraitError, match=f"^{name} must be "):
        LabelAwareFigure(**{name: bad})
