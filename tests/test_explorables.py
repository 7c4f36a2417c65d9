"""The live figures without a browser: their numbers are torch's, their traits refuse nonsense, their stills are whole.

The JavaScript runs in mini-racer, the engine that also draws the stills.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from traitlets import TraitError

import mi_lite.explorables
from mi_lite.capsules import SQUASHES, lengths, squash
from mi_lite.explorables import DynamicRoutingFigure, Explorable, SquashFigure
from mi_lite.explorables.base import FOLDER, SHARED, call, engine, module_text
from mi_lite.metrics import agreement, mean_cosine
from mi_lite.routing import b2i_routing, coupling_weights, far_apart_logits

FIGURES = [
    value for value in vars(mi_lite.explorables).values() if isinstance(value, type) and getattr(value, "module", "")
]
CLOSE = dict(atol=1e-5, rtol=1e-5)


def close(ours: object, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(np.array(ours, dtype=float), theirs.detach().numpy(), **CLOSE)


# ---- the same numbers as torch ----


@pytest.mark.parametrize("variant", SQUASHES)
@pytest.mark.parametrize("seed", range(4))
def test_squash_is_torchs(variant: str, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    size = int(torch.randint(1, 9, (1,), generator=draw))
    for n in (0.0, 1e-12, 1e-5, 3e-5, 0.3, 0.9999, 1.0, 1.0001, 4.0, 1e3, 1e8):
        v = torch.randn(size, dtype=torch.float64, generator=draw)
        v = n * v / v.norm()
        close(call("squash", "squash", v.tolist(), variant), squash(v, variant=variant))
        close(call("squash", "newLength", float(v.norm()), variant), lengths(squash(v, variant=variant))[0])


@pytest.mark.parametrize("variant", SQUASHES)
@pytest.mark.parametrize("n", [0.0, 1e-4, 0.1, 0.577, 1.0, 2.5, 50.0])
def test_slopes_are_autograds(variant: str, n: float) -> None:
    """At zero too: the slopes there are the gradient that a training step would see."""
    s = torch.tensor([n, 0.0], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: squash(x, variant=variant), s)
    close(call("squash", "slopes", n, variant), jacobian.diagonal())


def history(seed: int) -> dict:
    """A random user: shapes, mask, interests and switches from the seed."""
    draw = np.random.default_rng(seed)
    T, K, D = (int(draw.integers(1, high)) for high in (14, 7, 6))
    mask = np.arange(T) < draw.integers(1, T + 1)
    if seed % 3 == 0:
        draw.shuffle(mask)  # holes in the middle
    exists = draw.random(K) < 0.7
    exists[draw.integers(K)] = True
    size = float(draw.choice([0.5, 1, 5, 20]))
    return dict(
        behaviors=size * draw.standard_normal((T, D)),
        bilinear=draw.standard_normal((int(draw.integers(1, 5)), D)) if seed % 2 else None,
        logits=float(draw.choice([0, 0.5, 1, 3])) * draw.standard_normal((T, K)),
        mask=mask, exists=exists, iterations=int(draw.integers(1, 12)),
        update=str(draw.choice(["accumulate", "assign"])), axis=str(draw.choice(["interests", "behaviors"])),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_routing_is_torchs(seed: int) -> None:
    user = history(seed)
    arguments = {
        "behaviors": user["behaviors"].tolist(),
        "bilinear": None if user["bilinear"] is None else user["bilinear"].tolist(),
        "logits": user["logits"].tolist(),
        "mask": user["mask"].tolist(),
        "interestMask": user["exists"].tolist(),
        **{key: user[key] for key in ("iterations", "update", "axis")},
    }
    trace = call("dynamic_routing", "b2iRouting", arguments)
    batch = {key: torch.tensor(user[key])[None] for key in ("behaviors", "logits", "mask", "exists")}
    theirs = b2i_routing(
        batch["behaviors"], None if user["bilinear"] is None else torch.tensor(user["bilinear"]), len(user["exists"]),
        mask=batch["mask"], interest_mask=batch["exists"], logits=batch["logits"], iterations=user["iterations"],
        update=user["update"], axis=user["axis"],
    )  # fmt: skip
    assert len(trace) == user["iterations"]
    for r, ours in enumerate(trace):
        close(ours["weights"], theirs.weights[r][0])
        real = user["mask"]  # nobody reads the logits of padding
        close(np.array(ours["logits"])[real], theirs.logits[r][0][real])
        close(ours["interests"], theirs.interests_by_iteration[r][0])
    cosine = call("dynamic_routing", "meanCosine", trace[-1]["interests"])
    expected = mean_cosine(theirs.interests)[0]
    assert (cosine is None and np.isnan(expected)) or np.isclose(cosine, expected, **CLOSE)


@pytest.mark.parametrize("axis", ["interests", "behaviors"])
@pytest.mark.parametrize("seed", range(4))
def test_padding_masked_after_the_softmax(axis: str, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 9, 3, dtype=torch.float64, generator=draw)
    mask = torch.arange(9)[None] < 5
    weigh = ["dynamic_routing", "couplingWeights", logits[0].tolist(), mask[0].tolist(), [True] * 3, axis]
    late = torch.softmax(logits, dim=2 if axis == "interests" else 1) * mask[:, :, None]
    close(call(*weigh, "after"), late[0])
    exact = coupling_weights(logits, mask, axis=axis)
    close(call(*weigh, "before"), exact[0])
    assert torch.allclose(late, exact) == (axis == "interests")


@pytest.mark.parametrize("seed", range(12))
def test_far_apart_start_is_torchs(seed: int) -> None:
    user = history(seed)
    K, votes = len(user["exists"]), torch.tensor(user["behaviors"])[None]
    ours = call("dynamic_routing", "farApartLogits", user["behaviors"].tolist(), K, user["mask"].tolist())
    theirs = far_apart_logits(votes, K, mask=torch.tensor(user["mask"])[None])[0]
    close(np.array(ours)[user["mask"]], theirs[torch.tensor(user["mask"])])


BENCH = [
    {}, {"num_interests": 1}, {"num_interests": 5, "iterations": 30, "scale": 20.0}, {"start": "zero", "iterations": 9},
    {"start": "far apart", "places": 50}, {"sigma": 0}, {"sigma": 3, "update": "assign"},
    {"axis": "behaviors", "places": 12},
    {"axis": "behaviors", "places": 50, "masking": "after", "iterations": 6}, {"places": 50, "masking": "after"},
    {"films": [[0, 0, 0], [0, 0, 1]], "num_interests": 3}, {"logits_of": "place", "places": 12, "seed": 7},
]  # fmt: skip


@pytest.mark.parametrize("state", BENCH, ids=json.dumps)
def test_the_bench_routes_as_the_package_does(state: dict) -> None:
    bench = DynamicRoutingFigure(**state)
    result = call("dynamic_routing", "compute", bench.state())
    T, length = len(bench.films), max(len(bench.films), bench.places)
    assert result["padding"] == length - T and len(result["trace"]) == bench.iterations
    films = torch.zeros(1, length, 2, dtype=torch.float64)
    films[0, :T] = bench.scale * torch.tensor(bench.films, dtype=torch.float64)[:, :2]
    mask = torch.arange(length)[None] < T
    logits = torch.tensor(result["trace"][0]["logits"], dtype=torch.float64)[None]
    if bench.start == "zero":
        assert not logits.any()
    elif bench.start == "far apart":
        close(logits[0, :T].tolist(), far_apart_logits(films, bench.num_interests, mask=mask)[0, :T])
    elif bench.sigma == 0:
        assert not logits.any()
    for r, ours in enumerate(result["trace"]):  # each iteration from the one before it
        if bench.masking == "after":
            weights = torch.softmax(logits, dim=2 if bench.axis == "interests" else 1) * mask[:, :, None]
        else:
            weights = coupling_weights(logits, mask, axis=bench.axis)
        interests = squash(weights.transpose(1, 2) @ films)
        close(ours["logits"], logits[0])
        close(ours["weights"], weights[0])
        close(ours["interests"], interests[0])
        truth = torch.tensor([[film[2] for film in bench.films]])
        assert np.isclose(result["measures"][r]["purity"], agreement(weights[:, :T], truth)["purity"][0])
        agreed = films @ interests.transpose(1, 2)
        logits = agreed if bench.update == "assign" else logits + agreed


def test_dice_are_normal_and_belong_to_films_or_to_places() -> None:
    draws = np.array(json.loads(engine("squash").eval("JSON.stringify(Array.from({length: 4000}, normals(3)))")))
    assert abs(draws.mean()) < 0.05 and abs(draws.std() - 1) < 0.05
    for whose, stays in (("film", True), ("place", False)):
        bench = DynamicRoutingFigure(logits_of=whose)
        before = call("dynamic_routing", "compute", bench.state())["trace"][0]["logits"]
        bench.films = [*bench.films, [0, 1, 0]]
        after = call("dynamic_routing", "compute", bench.state())["trace"][0]["logits"]
        assert (before == after[:9]) == stays
        assert (before == after[1:]) != stays


def test_what_the_caption_promises_of_the_bench() -> None:
    def last(**state: object) -> dict:
        return call("dynamic_routing", "compute", DynamicRoutingFigure(**state).state())["measures"][-1]

    assert last()["cosine"] > 0.9
    for better in (dict(iterations=30), dict(start="far apart"), dict(scale=10.0)):
        assert last(**better)["cosine"] < 0.3, better
    for R in (1, 3, 30):
        assert last(start="zero", iterations=R)["cosine"] > 1 - 1e-9
    padded = {(a, m): [last(axis=a, masking=m, places=p)["length"] for p in (0, 12, 50)]
              for a in ("interests", "behaviors") for m in ("before", "after")}  # fmt: skip
    for which, (none, twelve, fifty) in padded.items():
        if which == ("behaviors", "after"):
            assert none > 1.3 * twelve > 5 * fifty
        else:
            assert np.isclose(none, twelve) and np.isclose(none, fifty), which


def test_what_the_caption_promises_of_squash() -> None:
    n = np.linspace(0.01, 2, 200)
    radial = [call("squash", "slopes", float(x), "paper")[0] for x in n]
    assert abs(n[int(np.argmax(radial))] - 3**-0.5) < 0.01  # the length to be found
    assert all(call("squash", "newLength", float(x), "paper") <= x / 2 + 1e-12 for x in n)
    at_zero = {v: max(call("squash", "slopes", 0, v)) for v in SQUASHES}
    assert {v for v, slope in at_zero.items() if slope > 0} == {"root", "exponential"}


# ---- traits ----


BAD = {
    (SquashFigure, "variant"): ("papers", "", None, 1),
    (SquashFigure, "vector"): ([1], [1, 2, 3], [2.1, 0], ["1", 0], [float("nan"), 0], "ab", None, 3),
    (DynamicRoutingFigure, "num_interests"): (0, 6, 2.5, "3", True, None),
    (DynamicRoutingFigure, "scale"): (0, -1, 20.5, float("nan"), float("inf"), "1", True),
    (DynamicRoutingFigure, "places"): (11, "12", False),
    (DynamicRoutingFigure, "films"): ([], [[0, 0, 0]], [[0, 0, 3]] * 3, [[0, 0, 0.5]] * 3, [[0, 0, 0]] * 13),
    (DynamicRoutingFigure, "axis"): ("history",),
    (DynamicRoutingFigure, "start"): ("zeros",),
    (DynamicRoutingFigure, "seed"): (-1, 0.5),
}


@pytest.mark.parametrize(("figure", "name", "bad"), [(*which, bad) for which, values in BAD.items() for bad in values])
def test_bad_values_are_refused_by_name(figure: type[Explorable], name: str, bad: object) -> None:
    made = figure()
    before = getattr(made, name)
    with pytest.raises(ValueError, match=f"^{name} must be "):
        setattr(made, name, bad)
    assert getattr(made, name) == before
    with pytest.raises(TraitError, match=f"^{name} must be "):
        figure(**{name: bad})


def test_unknown_names_are_refused() -> None:
    with pytest.raises(TypeError, match="SquashFigure has no sigma; it has"):
        SquashFigure(sigma=1)


def test_good_values_are_stored_in_one_form() -> None:
    bench = DynamicRoutingFigure(
        scale=2, films=((0, 1, 2), (1, 0, 0.0)), num_interests=np.int64(2), sigma=np.float32(0.5)
    )
    assert bench.films == [[0.0, 1.0, 2], [1.0, 0.0, 0]] and bench.scale == 2.0 and bench.num_interests == 2
    assert json.loads(json.dumps(bench.state())) == bench.state()


@pytest.mark.parametrize("figure", FIGURES)
def test_traits_are_synced_and_described(figure: type[Explorable]) -> None:
    for key in figure.rules():
        trait = figure.class_traits()[key]
        assert trait.metadata.get("sync") and len(trait.help) > 0, f"{key} has no help"
    made = figure()
    assert set(made.rules()) <= set(made.get_state())
    assert {key: rule["start"] for key, rule in made.get_state()["_schema"].items()} == made.state()
    made.set_state(made.state())  # what a browser sends back is taken


def test_a_figure_composes_with_other_widgets() -> None:
    import ipywidgets

    bench, slider = DynamicRoutingFigure(), ipywidgets.IntSlider(min=1, max=30)
    ipywidgets.link((slider, "value"), (bench, "iterations"))
    slider.value = 12
    assert bench.iterations == 12
    seen = []
    bench.observe(lambda change: seen.append(change["new"]), names="start")
    bench.start = "zero"
    assert seen == ["zero"]
    assert ipywidgets.VBox([slider, bench]).children[1] is bench


# ---- what stands on a page ----


class Tags(HTMLParser):
    """All tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("figure", FIGURES)
def test_the_still_is_whole(figure: type[Explorable]) -> None:
    made = figure()
    data, _ = made._repr_mimebundle_()
    page = Tags(data["text/html"])
    (outer,) = [attrs for tag, attrs in page.tags if tag == "figure"]
    assert outer["data-module"] == figure.module and len(outer["aria-label"]) > 10
    schema = json.loads(outer["data-schema"])
    assert {key: rule["start"] for key, rule in schema.items()} == made.state()
    assert made.task in page.text and made.notice in page.text
    pictures = data["text/html"].split("<svg")[1:]
    assert len(pictures) == len(call(figure.module, "(() => figure.panels)"))
    for picture in pictures:
        root = ElementTree.fromstring("<svg" + picture[: picture.index("</svg>") + 6])
        assert root.get("role") == "img" and len(root.get("aria-label").split()) > 8
    assert "NaN" not in data["text/html"] and "undefined" not in data["text/html"]
    assert "var(--mi-1,#" in data["text/html"], "colours have a fallback"
    assert not any(tag == "script" or any(key.startswith("on") for key in attrs) for tag, attrs in page.tags)
    named = [attrs for tag, attrs in page.tags if tag in ("input", "select")]
    assert len(named) == data["text/html"].count("<label><span>") > 0


@pytest.mark.parametrize("figure", FIGURES)
def test_repr_is_fixed_and_short(figure: type[Explorable]) -> None:
    assert repr(figure()) == repr(figure()) == f"[live figure] {figure.title}"
    assert len(repr(figure())) <= 110  # older ipywidgets cut what is longer
    assert figure()._repr_mimebundle_()[0]["text/plain"] == repr(figure())
    assert "application/vnd.jupyter.widget-view+json" in figure()._repr_mimebundle_()[0]


def test_the_still_follows_the_state() -> None:
    assert SquashFigure(variant="root").still() != SquashFigure().still()
    assert "iteration 7 of 9" in DynamicRoutingFigure(iterations=9, iteration=7).still()


def test_edge_states_are_drawn() -> None:
    for state in BENCH:
        assert "NaN" not in DynamicRoutingFigure(**state).still()
    for variant in SQUASHES:
        for vector in ([0, 0], [-2, 2], [1e-9, 0]):
            assert "NaN" not in SquashFigure(variant=variant, vector=vector).still()


def test_what_an_address_says_is_not_trusted() -> None:
    schema = DynamicRoutingFigure().get_state()["_schema"]

    def read(state: object) -> dict:
        return call("dynamic_routing", "fromFragment", "#live-x:" + quote(json.dumps(state)), "live-x", schema)

    assert read({"sigma": 2, "start": "zero", "films": [[0, 0, 0], [1, 1, 1]]}) == {
        "sigma": 2,
        "start": "zero",
        "films": [[0, 0, 0], [1, 1, 1]],
    }
    assert read({"sigma": 99, "iterations": 2.6}) == {"sigma": 3, "iterations": 3}
    bad = {
        "start": "<img>",
        "films": [[0, 0]],
        "scale": None,
        "__proto__": 1,
        "axis": ["interests"],
        "num_interests": "3",
    }
    assert read(bad) == {}
    assert read("nonsense") == {} and read(None) == {}
    assert call("dynamic_routing", "fromFragment", "#live-x:%7B", "live-x", schema) == {}
    assert call("dynamic_routing", "fromFragment", "#elsewhere", "live-x", schema) == {}


# ---- the frame ----


def test_every_script_is_a_pair() -> None:
    scripts = {path.stem for path in FOLDER.glob("*.js")} - {*SHARED}
    assert scripts == {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base", "kernel"}
    assert scripts == {figure.module for figure in FIGURES}


@pytest.mark.parametrize("figure", FIGURES)
def test_the_joined_module_imports_nothing(figure: type[Explorable]) -> None:
    text = module_text(figure.module)
    assert re.findall(r"^(?:import\b|export default)", text, re.M) == ["export default"]
    assert figure().get_state()["_esm"] == text


def test_missing_anywidget_is_one_clear_sentence(root: Path) -> None:
    program = (
        "import sys; sys.modules['anywidget'] = None\nimport mi_lite\nfrom mi_lite.explorables import SquashFigure"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "ImportError: The live figures need the package anywidget, which is missing here: pip install anywidget"
    )
    assert "During handling" not in done.stderr


def test_without_mini_racer_the_figure_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.cache_clear()
    monkeypatch.setitem(sys.modules, "py_mini_racer", None)
    try:
        data, _ = SquashFigure()._repr_mimebundle_()
        assert "text/html" not in data and "application/vnd.jupyter.widget-view+json" in data
        with pytest.raises(RuntimeError, match="pip install mini-racer"):
            call("squash", "norm", [1, 2])
    finally:
        engine.cache_clear()


def test_python_ends_after_a_still(root: Path) -> None:
    """An engine's thread that nobody stops has kept a process alive for ever."""
    program = """
from mi_lite.explorables import DynamicRoutingFigure, SquashFigure
figures = [SquashFigure(), DynamicRoutingFigure()]
assert all(figure.still() for figure in figures)
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], cwd=root, check=True, timeout=60)
