"""The exercises: solutions pass, mistakes get their own message, unknown wrong answers never pass."""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mi_lite import exercises
from mi_lite.exercises import Coding, Parsons, Research, check, find, hint, names, solution

NAMES = names()
CODING = [name for name in NAMES if isinstance(find(name), Coding)]
CHAPTERS = list(dict.fromkeys(name.split(".")[0] for name in NAMES))


def function(source: str, exercise: Coding) -> Callable[..., Any]:
    """The function that a cell with this source defines, among the names that its solution can see."""
    seen = dict(inspect.getmodule(exercise.solve).__dict__)
    scope = {key: value for key, value in seen.items() if not key.startswith("_")}
    exec(compile(source, "cell", "exec"), scope)
    name = ast.parse(source).body[-1].name  # type: ignore[attr-defined]
    made: Callable[..., Any] = scope[name]
    return made


def plain(exercise: Coding) -> str:
    """A solution's source without annotations, as a reader would type it."""
    tree = ast.parse(exercise.source())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args + node.args.kwonlyargs:
                argument.annotation = None
    return ast.unparse(tree)


# ---- what a chapter has ----


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_enough(chapter: str) -> None:
    own = [find(name) for name in names(chapter)]
    assert len(own) >= 4 and sum(isinstance(e, Coding) for e in own) >= 3
    for exercise in own:
        assert len(exercise.hints) == 3 and len(set(exercise.hints)) == 3
        assert exercise.task and exercise.title and solution(exercise.name)


def test_every_kind_occurs() -> None:
    every = [find(name) for name in NAMES]
    assert any(isinstance(e, Parsons) for e in every) and any(isinstance(e, Research) for e in every)
    assert any(isinstance(e, Coding) and e.mend for e in every)


@pytest.mark.parametrize("name", CODING)
def test_cases_tell_dimensions_apart(name: str) -> None:
    exercise = find(name)
    assert isinstance(exercise, Coding)
    assert len(exercise.mistakes) >= 6
    assert len({m.message for m in exercise.mistakes}) == len(exercise.mistakes)
    for case in exercise.cases():
        sizes: dict[str, int] = {}
        for argument, letters in exercise.inputs.items():
            value = case[argument]
            if not isinstance(value, torch.Tensor):
                assert letters == ""
                continue
            assert len(letters.split()) == value.dim(), argument
            for letter, size in zip(letters.split(), value.shape, strict=True):
                assert sizes.setdefault(letter, size) == size, f"{letter} has two sizes in {argument}"
        assert len(set(sizes.values())) == len(sizes), f"two dimensions of one size: {sizes}"


# ---- right answers ----


@pytest.mark.parametrize("name", CODING)
def test_stub_is_open_and_solution_is_right(name: str) -> None:
    exercise = find(name)
    assert isinstance(exercise, Coding)
    report = check(name, function(exercise.stub, exercise))
    assert report.verdict == "open" and not report
    assert "Not attempted yet" in repr(report)
    answer = function(plain(exercise), exercise)
    assert check(name, answer).verdict == "right", check(name, answer)


@pytest.mark.parametrize("name", CODING)
def test_a_touched_stub_is_not_open(name: str) -> None:
    exercise = find(name)
    assert isinstance(exercise, Coding)
    if exercise.mend:
        report = check(name, lambda *args, **kwargs: function(exercise.stub, exercise)(*args, **kwargs))
        assert report.verdict == "wrong" and report.named, report
        return
    touched = exercise.stub.replace("    ...\n", "    forgotten = 1\n")
    report = check(name, function(touched, exercise))
    assert report.verdict == "wrong" and "return" in report.message


@pytest.mark.parametrize("name", CODING)
def test_float64_inside_is_right(name: str) -> None:
    exercise = find(name)
    assert isinstance(exercise, Coding)

    def answer(**case: Any) -> Any:
        wide = {k: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for k, v in case.items()}
        return exercise.solve(**wide)

    assert check(name, answer), check(name, answer)


@pytest.mark.parametrize("name", CODING)
def test_a_check_is_quick(name: str) -> None:
    import time

    exercise = find(name)
    assert isinstance(exercise, Coding)
    started = time.process_time()
    check(name, exercise.mistakes[-1].wrong)
    assert time.process_time() - started < 1


# ---- named mistakes ----

MISTAKES = [(name, i) for name in CODING for i in range(len(find(name).mistakes))]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "number"), MISTAKES)
def test_a_mistake_gets_its_own_message(name: str, number: int) -> None:
    exercise = find(name)
    assert isinstance(exercise, Coding)
    mistake = exercise.mistakes[number]
    report = check(name, mistake.wrong)
    assert report.verdict == "wrong" and report.named
    assert report.message == mistake.message


# ---- wrong answers that nobody wrote: the solution with one thing changed ----


class Change(ast.NodeTransformer):
    """Makes the n-th possible change of a tree, and counts them."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.count, self.did = wanted, 0, ""

    def now(self, what: str) -> bool:
        self.count += 1
        if self.count - 1 == self.wanted:
            self.did = what
            return True
        return False

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            return node
        for other in (node.value + 1, node.value - 1, 2 * node.value):
            if other != node.value and self.now(f"{node.value} → {other}"):
                return ast.copy_location(ast.Constant(other), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        others = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
        other = others.get(type(node.op))
        if other and self.now(f"{type(node.op).__name__} → {other.__name__}"):
            node.op = other()
            return node
        if self.now("right side left out"):
            return node.left
        if self.now("left side left out"):
            return node.right
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if self.now("sign or not left out") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        inner = node.func.value if isinstance(node.func, ast.Attribute) else (node.args[0] if node.args else None)
        if inner is None or isinstance(inner, ast.Attribute) or ast.unparse(inner) == "torch":
            return node
        return inner if self.now(f"{ast.unparse(node.func)} left out") else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in ("mask", "interest_mask") and self.now(f"{node.id} all true"):
            return ast.parse(f"torch.ones_like({node.id})", mode="eval").body
        return node


def mutants(exercise: Coding) -> Iterator[tuple[str, Callable[..., Any]]]:
    source = plain(exercise)
    number = 0
    while True:
        tree, change = ast.parse(source), Change(number)
        changed = ast.fix_missing_locations(change.visit(tree))
        if not change.did:
            return
        number += 1
        yield change.did, function(ast.unparse(changed), exercise)


def differs(exercise: Coding, answer: Callable[..., Any]) -> bool:
    """By more than 1e-3 on inputs that the check does not use: the cases with every number moved a little."""
    draw = torch.Generator().manual_seed(99)
    for case in exercise.cases():
        moved = {
            k: v * (1 + 0.3 * torch.rand(v.shape, generator=draw))
            if isinstance(v, torch.Tensor) and v.is_floating_point() else v
            for k, v in case.items()
        }  # fmt: skip
        try:
            yours, right = (f(**{k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in moved.items()})
                            for f in (answer, exercise.solve))  # fmt: skip
        except Exception:
            return True
        rows = zip(*((x if isinstance(x, tuple) else (x,)) for x in (yours, right)), strict=False)
        for a, b in rows:
            a, b = (
                x if isinstance(x, torch.Tensor) else torch.tensor(float("nan") if x is None else x) for x in (a, b)
            )
            if a.shape != b.shape or not torch.allclose(a.double(), b.double(), atol=1e-3, rtol=1e-3, equal_nan=True):
                return True
    return False


GENERATED = [(name, did, answer) for name in CODING for did, answer in mutants(find(name))]  # type: ignore[arg-type]


def test_generated_wrong_answers_never_pass_and_most_are_named() -> None:
    wrong = named = 0
    unnamed = []
    for name, did, answer in GENERATED:
        exercise = find(name)
        assert isinstance(exercise, Coding)
        if not differs(exercise, answer):
            continue
        wrong += 1
        report = check(name, answer)
        assert report.verdict == "wrong", f"{name}: {did} passes: {report}"
        named += report.named
        if not report.named:
            unnamed.append(f"{name}: {did}: {report.message}")
    print(f"{wrong} wrong answers, {named} named")
    assert wrong >= 50
    assert named >= 0.9 * wrong, "\n".join(unnamed)


# ---- form ----

W = "dynamic_routing.weights"


def right(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return logits.softmax(dim=2) * mask[:, :, None]


def in_place(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    logits *= mask[:, :, None]
    return logits


def loops(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = []
    for b in range(len(logits)):
        rows.append(
            torch.stack([torch.softmax(row, 0) if ok else row * 0 for row, ok in zip(logits[b], mask[b], strict=True)])
        )
    return torch.stack(rows)


def hangs(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    while True:
        with contextlib.suppress(Exception):
            pass


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "should be a function"),
        (3, "should be a function"),
        (lambda logits: logits, "should take the arguments logits, mask"),
        (lambda logits, mask: None, "a `return` is missing"),
        (lambda logits, mask: right(logits, mask).detach().numpy(), "should be a torch tensor, yours is a ndarray"),
        (lambda logits, mask: (right(logits, mask),), "a stray comma"),
        (lambda logits, mask: right(logits, mask).transpose(1, 2), "two dimensions are swapped"),
        (lambda logits, mask: right(logits, mask).sum(2), "the interests (K) are gone"),
        (lambda logits, mask: right(logits, mask)[..., None], "one dimension too many"),
        (lambda logits, mask: right(logits, mask).round().long(), "floating-point"),
        (in_place, "changes its argument logits in place"),
        (lambda logits, mask: right(logits, mask) * 0 / mask[:, :, None], "holds NaN, first at user 1, behaviour 5"),
        (lambda logits, mask: right(logits, mask).detach(), "no gradient flows back"),
        (lambda logits, mask: right(logits, mask) + 1 / mask[:, :, None], "infinity, first at user 1, behaviour 5"),
        (lambda logits, mask: logits.softmax(3), "IndexError"),
        (lambda logits, mask: logits @ mask, "RuntimeError"),
        (hangs, "more than 5 seconds"),
    ],
)  # fmt: skip
def test_form(answer: Any, words: str) -> None:
    report = check(W, answer)
    assert report.verdict == "wrong" and report.named
    assert words in report.message, report
    assert "Traceback" not in repr(report) and "mi_lite" not in repr(report)


def test_a_gradient_that_is_not_finite_is_seen() -> None:
    def hidden(s: torch.Tensor) -> torch.Tensor:
        n = s.square().sum(1, keepdim=True).sqrt()  # no gradient at the zero vector
        return torch.where(n > 0, n / (1 + n**2) * s, 0 * s)

    report = check("squash.formula", hidden)
    assert report.verdict == "wrong" and report.named
    assert "the gradient at s is not finite, first at user 1, dimension 0" in report.message


def test_an_exception_shows_the_readers_line_and_the_shapes() -> None:
    source = textwrap.dedent("""
        def weights(logits, mask):
            w = logits.softmax(2)
            return w * mask
        """).lstrip()
    scope: dict[str, Any] = {}
    exec(compile(source, "a cell", "exec"), scope)
    report = check(W, scope["weights"])
    assert any("line 3 of your function" in line for line in report.details)
    assert any("logits (B=3, T=7, K=4), mask (B=3, T=7)" in line for line in report.details)


def test_a_difference_that_nobody_knows_is_not_called_named() -> None:
    report = check(W, lambda logits, mask: right((3 * logits).sin(), mask))
    assert report.verdict == "wrong" and not report.named and "differ first at user 0" in report.message


def test_another_style_passes() -> None:
    assert check(W, loops) and check(
        W, lambda logits, mask: torch.einsum("btk,bt->btk", logits.softmax(-1), mask.float())
    )
    assert check(W, lambda logits, mask: (logits.double() - logits.double().logsumexp(2, True)).exp() * mask[..., None])


def test_a_check_moves_no_dice_and_keeps_alarms() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check(W, lambda logits, mask: right(logits, mask) + torch.rand(1))
    assert torch.equal(torch.rand(3), expected)


def test_in_a_thread_it_says_that_it_cannot_stop() -> None:
    import threading

    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(check(W, lambda logits, mask: logits)))
    thread.start()
    thread.join()
    assert any("interrupt the kernel" in line for line in found[0].details)


# ---- lines in order, research, hints ----

PARSONS = [name for name in NAMES if isinstance(find(name), Parsons)]


@pytest.mark.parametrize("name", PARSONS)
def test_orders(name: str) -> None:
    exercise = find(name)
    assert isinstance(exercise, Parsons)
    assert check(name, exercise.order) and check(name, list(exercise.order.lower()))
    assert check(name, None).verdict == "open" and check(name, "").verdict == "open"
    for letter, why in exercise.spare.items():
        assert why in check(name, exercise.order + letter).message
    for before, after, why in exercise.rules:
        swapped = exercise.order.translate(str.maketrans({before: after, after: before}))
        report = check(name, swapped)
        assert report.verdict == "wrong" and report.message.startswith("Line ")
        assert exercise.order.index(before) < exercise.order.index(after) and why
    assert "is missing" in check(name, exercise.order[1:]).message
    assert "2 times" in check(name, exercise.order + exercise.order[0]).message
    assert "no line Z" in check(name, "Z").message
    assert "letters" in check(name, 7).message


def test_the_given_order_is_not_the_answer() -> None:
    for name in PARSONS:
        exercise = find(name)
        assert isinstance(exercise, Parsons)
        assert not check(name, "".join(sorted(exercise.order)))


def test_research_shows_its_rubric() -> None:
    for name in NAMES:
        if isinstance(find(name), Research):
            report = check(name)
            assert report.verdict == "yours to judge" and len(report.details) >= 3 and not report


def test_hints_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercises, "_shown", {})
    said = [hint(W) for _ in range(4)]
    assert [text[:11] for text in said] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert isinstance(hint(W)._repr_markdown_(), str)


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'dynamic_routing\.weights'"):
        check("dynamic_routing.weight", right)
    with pytest.raises(ValueError, match="the exercises are"):
        hint("?")


def test_reports_are_safe_html() -> None:
    report = check(W, lambda logits, mask: "<script>")
    assert "<script>" not in report._repr_html_() and isinstance(report, exercises.Report)
    assert isinstance(right, types.FunctionType)
