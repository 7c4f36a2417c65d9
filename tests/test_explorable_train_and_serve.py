"""The figure of training against serving: torch's scores, gradients and measures, and what its caption says."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from traitlets import TraitError

from mi_lite.data import Examples
from mi_lite.explorables import TrainAndServeFigure
from mi_lite.explorables.base import call
from mi_lite.losses import RULES, candidate_scores, full_softmax
from mi_lite.metrics import evaluate
from mi_lite.retrieval import top_n

CLOSE = dict(atol=1e-5, rtol=1e-5)
DOUBLE = torch.float64
FIRST = 6


def run(name: str, *arguments: object, p: float = 1.0) -> object:
    """Call a function of the figure whose fifth argument is p; null stands for infinity, which JSON lacks."""
    function = f"((v, films, targets, rule, p, more) => {name}(v, films, targets, rule, p ?? Infinity, more))"
    v, films, targets, rule, *more = arguments
    return call("train_and_serve", function, v, films, targets, rule, None if math.isinf(p) else p, *more)


def trained_scores(v: torch.Tensor, films: torch.Tensor, targets: list[int], rule: str, p: float) -> torch.Tensor:
    """The package's scores (targets, films): each target as one more user with the same interests."""
    return candidate_scores(v.expand(len(targets), -1, -1), films[targets], films, rule=rule, power=p)


def world(seed: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    draw = torch.Generator().manual_seed(seed)
    K, N = (int(torch.randint(*span, (1,), generator=draw)) for span in ((1, 5), (2, 24)))
    v = 0.7 * torch.randn(K, 2, generator=draw, dtype=DOUBLE)
    films = torch.randn(N, 2, generator=draw, dtype=DOUBLE)
    return v, films, torch.randperm(N, generator=draw)[: 1 + N // 2].tolist()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("p", [0, 0.5, 1, 6, math.inf])
@pytest.mark.parametrize("seed", range(5))
def test_candidate_scores_are_the_packages(rule: str, p: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    K, D, M = (int(torch.randint(1, high, (1,), generator=draw)) for high in (6, 6, 9))
    v, e, films = (torch.randn(*shape, D, generator=draw, dtype=DOUBLE) for shape in ((K,), (), (M,)))
    mask = torch.rand(K, generator=draw) < 0.6
    mask[int(torch.randint(K, (1,), generator=draw))] = True
    for some in (None, mask):
        theirs = candidate_scores(
            v[None], e[None], films, rule=rule, power=p, interest_mask=None if some is None else some[None]
        )
        ours = call(
            "train_and_serve", "((v, e, films, rule, p, mask) => candidateScores(v, e, films, rule, p ?? 1 / 0, mask))",
            v.tolist(), e.tolist(), films.tolist(), rule, None if math.isinf(p) else p,
            None if some is None else some.tolist(),
        )  # fmt: skip
        np.testing.assert_allclose(ours, theirs[0], **CLOSE)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("p", [0, 1, 4.5, math.inf])
@pytest.mark.parametrize("seed", range(5))
def test_loss_and_gradient_are_autograds(rule: str, p: float, seed: int) -> None:
    v, films, targets = world(seed)
    v.requires_grad_()
    scores = trained_scores(v, films, targets, rule, p)
    padded = torch.cat([torch.zeros(len(targets), 1, dtype=DOUBLE), scores], dim=1)
    loss = full_softmax(padded, torch.tensor(targets) + 1)
    loss.backward()
    ours = run("lossAndGradient", v.tolist(), films.tolist(), targets, rule, p=p)
    np.testing.assert_allclose(ours["loss"], loss.item(), **CLOSE)
    np.testing.assert_allclose(ours["gradients"], v.grad, **CLOSE)


def test_equal_interests_share_the_gradient_of_the_maximum() -> None:
    v = torch.tensor([[0.4, 0.1], [0.4, 0.1], [-0.5, 0.2]], dtype=DOUBLE, requires_grad=True)
    films = torch.tensor([[1.0, 0.5], [0.3, -1.0], [-1.0, 0.4]], dtype=DOUBLE)
    loss = torch.nn.functional.cross_entropy(trained_scores(v, films, [0], "max", 1), torch.tensor([0]))
    loss.backward()
    np.testing.assert_allclose(
        run("lossAndGradient", v.tolist(), films.tolist(), [0], "max")["gradients"], v.grad, **CLOSE
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("p", [1, math.inf])
def test_training_is_projected_gradient_descent(rule: str, p: float) -> None:
    start, films, targets = world(3)
    v = start / start.norm(dim=1, keepdim=True).clamp_min(1)
    for _ in range(7):
        free = v.clone().requires_grad_()
        torch.nn.functional.cross_entropy(
            trained_scores(free, films, targets, rule, p), torch.tensor(targets)
        ).backward()
        v = v - 0.2 * free.grad
        v = v / v.norm(dim=1, keepdim=True).clamp_min(1)
    np.testing.assert_allclose(run("train", start.tolist(), films.tolist(), targets, rule, 7, p=p), v, **CLOSE)


class Fixed(SimpleNamespace):
    """A model with the same interests for every user, for `evaluate`."""

    def interests(self, history: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(vectors=self.v.expand(len(history), -1, -1), mask=None)

    def item_vectors(self) -> torch.Tensor:
        return torch.cat([torch.zeros(1, 2, dtype=DOUBLE), self.films])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("state", [{}, {"steps": 0}, {"steps": 20, "seed": 7}, {"sharpness": 120, "target": [-1.5, 1]}])
def test_served_and_agreement_are_what_evaluate_measures(rule: str, state: dict) -> None:
    """With the trained interests of each rule: recall of the first six, agreement of the leading interest, ranks."""
    figure = TrainAndServeFigure(**state)
    result = call(figure.module, "compute", figure.state())
    found, hers = result["rules"][rule], result["hers"]
    v, films = (torch.tensor(x, dtype=DOUBLE)[:, :2] for x in (found["interests"], result["films"]))
    examples = Examples(
        user=np.arange(len(hers)), history=np.ones((len(hers), 1), dtype=np.int64), target=np.array(hers) + 1
    )
    served = evaluate(Fixed(v=v, films=films), examples, None, ns=(FIRST, len(films)))
    assert found["served"] == pytest.approx(served.recall[FIRST].mean())
    assert served.agreement is not None and found["agreement"] == pytest.approx(served.agreement.mean())
    assert [i + 1 for i in found["first"]] == served.ranked[0, :FIRST].tolist()
    assert found["lead"] == served.winner[0, 0]
    places = [int((row == t + 1).argmax()) + 1 for row, t in zip(served.ranked, hers, strict=True)]
    assert [r["served"] for r in found["ranks"]] == places
    scores = trained_scores(v, films, hers, rule, figure.power)
    assert found["loss"] == pytest.approx(
        float(torch.nn.functional.cross_entropy(scores, torch.tensor(hers))), abs=1e-5
    )
    order = scores.sort(dim=1, descending=True, stable=True).indices
    places = (order == torch.tensor(hers)[:, None]).int().argmax(1) + 1
    assert [r["trained"] for r in found["ranks"]] == places.tolist()
    assert found["trained"] == pytest.approx((places <= FIRST).double().mean())
    if rule == "target_picks":  # what the chapter calls serving by peeking
        picked = torch.nn.functional.one_hot((films[hers] @ v.T).argmax(1), len(v)).bool()
        peeked = top_n(
            v.expand(len(hers), -1, -1), Fixed(films=films).item_vectors(), FIRST, interest_mask=picked
        ).items
        assert found["trained"] == pytest.approx((peeked == torch.tensor(hers)[:, None] + 1).any(1).double().mean())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sharpness", [0, 60, 120])
def test_the_target_in_focus(rule: str, sharpness: int) -> None:
    figure = TrainAndServeFigure(rule=rule, sharpness=sharpness, steps=4)
    result = call(figure.module, "compute", figure.state())
    v = torch.tensor(result["rules"][rule]["interests"], dtype=DOUBLE, requires_grad=True)
    films = torch.tensor(result["films"], dtype=DOUBLE)[:, :2]
    loss = torch.nn.functional.cross_entropy(trained_scores(v, films, [0], rule, figure.power), torch.tensor([0]))
    loss.backward()
    sizes = v.grad.norm(dim=1)
    np.testing.assert_allclose(result["target"]["shares"], sizes / sizes.sum(), **CLOSE)
    assert result["target"]["loss"] == pytest.approx(loss.item(), abs=1e-5)
    raw = (
        v.detach() @ films[0]
    ).requires_grad_()  # the weight in its score: what a nudge of that interest's score does
    if rule == "logsumexp":
        raw.logsumexp(0).backward()
        np.testing.assert_allclose(result["target"]["weights"], raw.grad, **CLOSE)
    elif rule == "max":
        raw.max().backward()
        np.testing.assert_allclose(result["target"]["weights"], raw.grad, **CLOSE)
    else:
        user = torch.tensor(result["target"]["weights"], dtype=DOUBLE) @ v.detach()
        np.testing.assert_allclose(result["user"], user, **CLOSE)
        np.testing.assert_allclose(films @ user, trained_scores(v, films, [0], rule, figure.power)[0].detach(), **CLOSE)


def rules(**state: object) -> dict:
    return call("train_and_serve", "compute", TrainAndServeFigure(**state).state())["rules"]


def test_what_the_caption_promises() -> None:
    result = call("train_and_serve", "compute", TrainAndServeFigure().state())
    found, groups = result["rules"], call("train_and_serve", "((s) => catalogue(s).map((f) => f[2]))", 1)
    first = found["target_picks"]["first"]
    assert sum(i > 0 and groups[i - 1] == 2 for i in first) == 5, "nearly all of the first six are not hers"
    assert found["target_picks"]["lead"] == 2 and result["target"]["shares"][2] == 0, "interest 3, no share"
    assert result["target"]["picked"] == 0
    for rule in ("max", "logsumexp"):
        assert all(i == 0 or groups[i - 1] != 2 for i in found[rule]["first"]), "the rings are on her films"
        assert found[rule]["agreement"] > 0.5
    assert found["label_aware"]["served"] < 0.1
    assert found["target_picks"]["loss"] == min(r["loss"] for r in found.values())
    assert found["target_picks"]["served"] == min(r["served"] for r in found.values()) < 0.1
    assert found["target_picks"]["trained"] > 0.9 and found["target_picks"]["agreement"] == 0
    assert len(result["hers"]) == 12 and max(r["served"] for r in found.values()) == 0.5
    zero = rules(steps=0)
    assert len({str(r["first"]) for r in zero.values()}) == 1, "before training all rules serve the same list"


@pytest.mark.parametrize("seed", range(0, 100, 7))
def test_what_holds_for_every_catalogue(seed: int) -> None:
    """Under max both ranks are the same. An interest that nobody picks moves under max, not where the target picks."""
    state = dict(seed=seed, steps=10)
    found, start = rules(**state), TrainAndServeFigure().interests
    assert all(r["trained"] == r["served"] for r in found["max"]["ranks"])
    assert found["max"]["loss"] > found["target_picks"]["loss"]
    assert found["target_picks"]["trained"] >= 0.75 and found["target_picks"]["served"] < 0.5
    assert found["max"]["served"] == found["logsumexp"]["served"] == 0.5
    on_the_way = [rules(seed=seed, steps=n)["target_picks"]["picked"][:12] for n in range(10)]  # her films come first
    for k in {0, 1, 2} - {k for picked in on_the_way for k in picked}:
        assert found["target_picks"]["interests"][k] == pytest.approx(start[k])
        assert math.dist(found["max"]["interests"][k], start[k]) > 0.3
    endless = rules(**state, sharpness=120)
    assert endless["label_aware"] == endless["target_picks"], "p = ∞ is the target's pick"


def test_handles_and_lengths() -> None:
    figure = TrainAndServeFigure(interests=[[1, 1], [0, -1]])
    long = call(figure.module, "compute", figure.state())["start"][0]
    assert math.hypot(*long) == pytest.approx(1)
    moved = call(figure.module, "((s) => handles(s, compute(s))[1].to(314, 6))", figure.state())["interests"]
    assert math.hypot(*moved[0]) == pytest.approx(1, abs=1e-2) and moved[1] == [0, -1]
    assert call(figure.module, "((s) => handles(s, compute(s))[0].to(160, -99))", figure.state()) == {
        "target": [0, 2.1]
    }


@pytest.mark.parametrize(
    "state",
    [{"interests": [[0, 0], [0, 0]]}, {"interests": [[0.5, 0.5]] * 4, "rule": "max"},
     {"target": [0, 0], "sharpness": 0}, {"rule": "label_aware", "sharpness": 120},
     {"rule": "logsumexp", "steps": 20, "seed": 99}],
    ids=str,
)  # fmt: skip
def test_edge_states_are_drawn(state: dict) -> None:
    still = TrainAndServeFigure(**state).still()
    assert still is not None and "NaN" not in still and "undefined" not in still


BAD = {
    "interests": ([[1, 0]], [[1, 0]] * 5, [[1.1, 0], [0, 0]], None),
    "target": ([2.2, 0], [0], "ab"),
    "rule": ("power", None),
    "sharpness": (-1, 121, 0.5),
    "steps": (-1, 21, True),
    "seed": (100, -1),
}


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, values in BAD.items() for bad in values])
def test_bad_values_are_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(TraitError, match=f"^{name} must be "):
        TrainAndServeFigure(**{name: bad})


def test_power_follows_the_slider() -> None:
    assert [TrainAndServeFigure(sharpness=s).power for s in (0, 60, 120)] == [0, 1, math.inf]
