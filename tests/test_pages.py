"""The prose pages: their code runs and says what they show, their questions are answered right, their API is whole."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from bs4 import BeautifulSoup

from mi_lite.data import read_table, synthetic_world

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("MI_SITE_FOLDER", ROOT / "_build" / "html"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.M | re.S)
CATEGORIES = ("garden", "kitchen", "tools", "books", "games", "sport", "music", "travel")


def source(name: str) -> str:
    return (ROOT / "book" / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str | None]]:
    """Each python block of a page, and the text block that follows at once: what it prints or raises."""
    found = list(BLOCK.finditer(text))
    pairs = []
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.group(1) == "python":
            shown = None
            if following and following.group(1) == "text" and not text[block.end() : following.start()].strip():
                shown = following.group(2)
            pairs.append((block.group(2), shown))
    return pairs


def words(text: str) -> str:
    """Line breaks are for the page's width only."""
    return " ".join(text.split())


def run(code: str, names: dict[str, Any]) -> str:
    """What a block prints, or the error that ends it, as the page shows it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(code, "page", "exec"), names)
        except (ValueError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
    return said.getvalue()


def write_log(path: Path) -> None:
    """A made-up shop's log: eight categories, some items bought again, rows in the order of time."""
    world = synthetic_world(
        120, 400, 8, dim=16, concepts_per_user=(1, 3), history_length=(20, 28), zipf=0.8, repeats=False, seed=5
    )
    table = world.interactions
    rows = list(zip((table.time + 1_770_000_000).tolist(), table.user.tolist(), table.item.tolist(), strict=True))
    rows += [(time + 60 * 24 * 3600, user, item) for n, (time, user, item) in enumerate(rows) if n % 131 < 2]
    lines = []
    for time, user, item in sorted(rows):
        concept = int(world.item_concept[item])
        categories = CATEGORIES[concept] + (f"|{CATEGORIES[(concept + 1) % 8]}" if item % 10 == 0 else "")
        lines.append(f"u{user},i{item},{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S},{categories}")
    path.write_text("\n".join(["user,item,time,category", *lines]) + "\n", encoding="utf-8")


def run_page(name: str) -> dict[str, Any]:
    """Run a page's blocks in order; compare what is shown. A block without shown output must not raise."""
    names: dict[str, Any] = {}
    for code, shown in blocks(source(name)):
        said = run(code, names)
        if shown is not None:
            assert words(said) == words(shown), f"{name}, after:\n{code}"
        else:
            assert not re.match(r"(Value|Type)Error: ", said), f"{name}:\n{code}\n{said}"
    return names


def test_a_page_that_shows_something_else_is_noticed() -> None:
    text = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n\n```python\nint('x')\n```\n"
    (first, shown), (second, none) = blocks(text)
    assert words(run(first, {})) == "2" != words(shown or "")
    assert none is None and run(second, {}).startswith("ValueError: ")


def test_before_you_start_runs() -> None:
    names = run_page("before_you_start.md")
    assert names["x"].grad.item() == 6


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The page *Your own data* run in an empty folder that holds only a log."""
    folder = tmp_path_factory.mktemp("own")
    write_log(folder / "log.csv")
    with contextlib.chdir(folder):
        return run_page("your_own_data.md"), folder


def test_your_own_data_runs(own_data: tuple[dict[str, Any], Path]) -> None:
    names, folder = own_data
    assert sorted(names["rows"]) == ["MIND", "item to item", "most popular", "single vector"]
    assert (folder / "mind.pt").exists() and (folder / "items.json").exists()
    assert len(set(names["best"].items[0].tolist())) == 10
    assert not set(names["best"].items[0].tolist()) & set(names["met"][0].tolist())


def test_the_core_is_ten_lines() -> None:
    core = next(code for code, _ in blocks(source("your_own_data.md")) if "save(model" in code)
    lines = [line for line in core.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert all(name in core for name in ("read_table", "leave_one_out", "MIND", "train(", "evaluate(", "save("))


def test_the_file_shown_can_be_read(tmp_path: Path) -> None:
    shown = next(m.group(2) for m in BLOCK.finditer(source("your_own_data.md")) if m.group(2).startswith("user,item"))
    (tmp_path / "log.csv").write_text(shown)
    table = read_table(tmp_path / "log.csv", category="category")
    assert (table.num_users, table.num_items, table.category_names) == (2, 2, ("garden", "kitchen", "tools"))


def test_numbers_of_the_memory_section(own_data: tuple[dict[str, Any], Path]) -> None:
    train = own_data[0]["splits"].train
    assert train.history.nbytes / len(train) == 400  # 8 bytes a place, 50 places
    assert round(512 * 4 * 100_000 / 1e6) == 205 and round(512 * 4 * 100_000 * 4 / 1e9, 1) == 0.8
    model = own_data[0]["model"]
    assert model.items.weight.element_size() == 4
    assert 1_000_000 * 32 * 4 == 128_000_000


def test_repeats(tmp_path: Path) -> None:
    """`repeats="first"` keeps the earliest of each pair, numbers as before, and says how many rows went."""
    path = tmp_path / "log.csv"
    path.write_text("user,item,time,category\nu,a,9,x\nu,b,2,y\nv,a,3,z\nu,a,1,x\nu,b,2,w\n")
    kept, first = (read_table(path, category="category", repeats=how) for how in ("keep", "first"))
    assert kept.source.endswith("5 rows, 2 of them repeat a (user, item) pair")
    assert first.source == kept.source + " and are left out"
    assert [(int(u), int(i), int(t)) for u, i, t in zip(first.user, first.item, first.time, strict=True)] == [
        (0, 1, 1),
        (0, 2, 2),
        (1, 1, 3),
    ]
    assert first.item_labels == kept.item_labels and (first.categories == kept.categories).all()
    with pytest.raises(ValueError, match="repeats must be one of 'keep', 'first'; got 'last'"):
        read_table(path, repeats="last")


def test_labels_stay_when_rows_are_added(own_data: tuple[dict[str, Any], Path]) -> None:
    _, folder = own_data
    old, new = (read_table(folder / name) for name in ("log.csv", "grown.csv"))
    assert new.item_labels[: len(old.item_labels)] == old.item_labels
    assert new.item_labels[len(old.item_labels) :] == ("a new item",)


# ---- the ten questions ----


def questions() -> list[tuple[str, dict[str, str], str]]:
    """Each question's text, its options by letter, and its answer."""
    found = []
    for part in re.split(r"^### \d+\. ", source("before_you_start.md").split("## Ten questions")[1], flags=re.M)[1:]:
        asked, answer = part.split("<details>")
        options = dict(re.findall(r"^- \*\*([a-d])\.\*\* (.*)$", asked, flags=re.M))
        found.append((asked, options, answer))
    return found


def right(answer: str) -> str:
    found = re.search(r"^\*\*([a-d])\*\* is right: ", answer, flags=re.M)
    assert found, answer
    return found.group(1)


def test_every_option_is_explained() -> None:
    assert len(questions()) == 10
    for asked, options, answer in questions():
        assert list(options) == ["a", "b", "c", "d"], asked
        assert right(answer) in options
        assert re.findall(r"^- \*\*([a-d])\*\* ", answer, flags=re.M) == list(options), asked
        assert "\nMissed it? " in answer, asked
        assert answer.lstrip().startswith("<summary>Answer</summary>\n\n") and "\n\n</details>" in answer
    assert len({right(answer) for _, _, answer in questions()}) == 4


def test_the_right_answers_are_right() -> None:
    """Each right option holds what the computation gives, and no other option does."""
    logits = torch.randn(2, 5, 3)
    one_over_interests = [d for d in range(3) if torch.softmax(logits, d).sum(2).allclose(torch.ones(2, 5))]
    angle = torch.deg2rad(torch.tensor(60.0))
    ranked, hidden = torch.arange(1000)[:, None] + torch.arange(20), torch.arange(1000)
    hidden[300:] += 20  # 300 of 1,000 lists hold the hidden film
    hits = int((ranked == hidden[:, None]).any(1).sum())
    with pytest.raises(RuntimeError, match=r"size of tensor a \(50\) must match the size of tensor b \(64\)"):
        torch.ones(8, 50) * torch.ones(8, 50, 64)
    assert (torch.ones(8, 50)[:, :, None] * torch.ones(8, 50, 64)).shape == (8, 50, 64)
    smooth = torch.tensor([10.0, 2.0, 1.0]).logsumexp(0).item()
    vectors = torch.randn(4, 3, requires_grad=True)
    ((vectors - vectors.detach()) ** 2).sum().backward()
    mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).mean(0)
    score = float(mean @ torch.tensor([1.0, 0.0]))
    said = {
        1: ", ".join(f"{share:g}" for share in torch.softmax(torch.full((4,), 7.0), 0).tolist()),
        2: f"{torch.cos(angle).item():.1f}",
        3: f"dim={one_over_interests[0]}",
        4: f"about {hits} users",
        5: "denominator",
        6: "`weights[:, :, None] * vectors` works",
        7: f"{smooth:.0f}, their maximum",
        8: "zero: the difference is zero" if not vectors.grad.any() else "not zero",
        9: "after the ones it is tested on",
        10: f"{score:.0f}, as it scores every film",
    }
    assert one_over_interests == [2]
    for number, (_, options, answer) in enumerate(questions(), start=1):
        holding = [letter for letter, option in options.items() if said[number] in option]
        assert holding == [right(answer)], (number, said[number])


def test_numbers_in_the_explanations() -> None:
    text = source("before_you_start.md")
    assert f"gives {torch.tensor([10.0, 2.0, 1.0]).double().logsumexp(0).item():.4f}." in text
    assert f"$e^{{10}}$ is {torch.tensor(10.0).exp().item():,.0f}" in text
    assert round(float(torch.softmax(torch.tensor([2.0, 0, 0, 0]), 0)[1:].sum()), 2) == 0.29 and "about 0.29" in text


# ---- the API page ----

MODULES = [
    "mi_lite.data" if path.stem == "data" else f"mi_lite.{path.stem}"
    for path in sorted((ROOT / "mi_lite").iterdir())
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.name.startswith("_")
]


def definitions(path: Path) -> list[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """The public functions, classes and methods of a file, read and not imported."""

    def inside(body: list[ast.stmt], prefix: str) -> list[tuple[str, ast.FunctionDef | ast.ClassDef]]:
        found: list[tuple[str, ast.FunctionDef | ast.ClassDef]] = []
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                found.append((prefix + node.name, node))
                if isinstance(node, ast.ClassDef):
                    found += inside(node.body, f"{prefix}{node.name}.")
        return found

    return inside(ast.parse(path.read_text(encoding="utf-8")).body, "")


def public(module: str) -> list[str]:
    """The public names of a module: its `__all__`, else what its file defines."""
    stated = getattr(importlib.import_module(module), "__all__", None)
    if stated is not None:
        return list(stated)
    names = [name for name, _ in definitions(ROOT / f"{module.replace('.', '/')}.py")]
    return [name for name in names if "." not in name]


# An exercise's functions are what a reader would write: their task says what they take, not a docstring.
FILES = [
    path
    for path in sorted((ROOT / "mi_lite").rglob("*.py"))
    if path.name != "__init__.py" and "\nEXERCISES = " not in path.read_text(encoding="utf-8")
]


def raised(function: ast.FunctionDef) -> set[str]:
    """The errors that a function raises itself, or by one of the checks of arguments."""
    checks = {"check", "check_mask", "choose", "at_least_one", "not_negative"}
    names, waiting = set(), list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            names.add(ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in checks:
            names.add("ValueError")
        waiting += ast.iter_child_nodes(node)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "mi_lite").as_posix())
def test_docstrings_say_shapes_and_errors(path: Path) -> None:
    shape = re.compile(r"``\([A-Za-z…][^`)]*\)``")
    arrays = re.compile(r"\b(Tensor|ArrayLike|NDArray|Ids|Floats|Targets|TextIO)\b")
    for name, node in definitions(path):
        doc = ast.get_docstring(node) or ""
        assert doc, f"{name} has no docstring"
        assert not re.search(r"^(Parameters|Raises|Returns)\n-+$", doc, flags=re.M), f"{name}: not in Google's style"
        makers = [f for f in getattr(node, "body", []) if getattr(f, "name", "") in ("__init__", "__post_init__")]
        functions = [node] if isinstance(node, ast.FunctionDef) else makers
        for function in functions:
            errors = re.split(r"^Raises:$", doc, flags=re.M)[1:]
            for error in raised(function):
                assert errors and re.search(rf"\b{error}\b", errors[0]), (
                    f"{name} raises {error}; its docstring does not"
                )
            arguments = [*function.args.args, *function.args.kwonlyargs]
            if any(a.annotation and arrays.search(ast.unparse(a.annotation)) for a in arguments):
                assert shape.search(doc), f"{name} takes arrays; its docstring gives no shape"


def test_the_api_page_has_every_module() -> None:
    assert len(MODULES) > 8
    assert sorted(re.findall(r"^```\{mi-api\} (\S+)$", source("api.md"), flags=re.M)) == MODULES


def test_the_api_page_says_what_mi_lite_exports() -> None:
    import mi_lite

    paragraph = next(line for line in source("api.md").splitlines() if line.startswith("These names"))
    assert re.findall(r"`(\w+)`", paragraph)[1:] == mi_lite.__all__
    for name in mi_lite.__all__:
        value = getattr(mi_lite, name)
        assert name in public(value.__module__), f"{name} is exported by mi_lite and not public in {value.__module__}"


@pytest.mark.site
@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_on_the_api_page(module: str) -> None:
    assert (SITE / "api.html").exists(), f"There is no API page in {SITE}. Run 'make book' first."
    page = BeautifulSoup((SITE / "api.html").read_text(encoding="utf-8"), "html.parser")
    assert public(module)
    for name in public(module):
        place = page.find("dt", id=f"{module}.{name}")
        assert place is not None, f"{module}.{name} is not on the API page; run 'make book'"
        described = place.find_next_sibling("dd")
        doc = getattr(importlib.import_module(module), name).__doc__
        opening = re.findall(r"[A-Za-z]+", re.split(r":math:|``", doc.strip().split("\n")[0])[0])
        shown = re.findall(r"[A-Za-z]+", described.get_text())
        assert shown[: len(opening)] == opening and len(shown) > 3, f"{module}.{name}: {doc[:60]!r}"
        assert page.find("a", href=f"#{module}.{name}"), f"{module}.{name}: no link leads to it"
