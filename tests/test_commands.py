"""The commands: what they do when something is missing, and that the README tells the truth about them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import book, chromium, environment, picture, run_all

PLAN_CPU = [("torch", "2.13.0"), ("numpy", "2.4.6")]
PLAN_GPU = [("torch", "2.13.0"), ("nvidia-cublas", "13.1.1.3"), ("nvidia_nccl_cu13", "2.29.7"), ("triton", "3.7.1")]
INDEX = "https://cpu.example/whl"


def report(packages: list[tuple[str, str]]) -> dict:
    """What `pip install --dry-run --report -` prints, as far as it is read."""
    return {"version": "1", "install": [{"metadata": {"name": n, "version": v}} for n, v in packages]}


def planner(default: object, cpu: object):
    """A pip that answers with these plans; an exception is raised instead of answered."""

    def plan(options: list[str]) -> dict:
        answer = cpu if options else default
        if isinstance(answer, Exception):
            raise answer
        return report(answer)

    return plan


def make(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment_ = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")} | variables
    program = shutil.which("make")
    assert program, "make is not installed"
    return subprocess.run(
        [program, *arguments], cwd=root, env=environment_, capture_output=True, text=True, timeout=120
    )


# Torch


def test_a_cpu_plan_is_taken_as_it_is() -> None:
    assert environment.torch_source(planner(PLAN_CPU, AssertionError("not asked")), INDEX) == []


@pytest.mark.parametrize("default", [PLAN_GPU, [("torch", "2.13.0+cu130")], [("torch", "2.13.0+rocm6.4")]])
def test_a_gpu_plan_sends_torch_to_the_cpu_index(default: list) -> None:
    cpu = [("torch", "2.13.0+cpu")]
    assert environment.torch_source(planner(default, cpu), INDEX) == ["--index-url", INDEX]


def test_no_cpu_build_anywhere_stops_and_says_so() -> None:
    with pytest.raises(environment.Stop, match=r"Neither .* nor https://cpu\.example/whl gives a CPU build"):
        environment.torch_source(planner(PLAN_GPU, PLAN_GPU), INDEX)


def test_an_unreachable_cpu_index_stops_and_says_so() -> None:
    problem = environment.Stop(environment.explain_pip("ERROR: [Errno -3] Temporary failure in name resolution"))
    with pytest.raises(environment.Stop, match="could not be used instead:\npip could not reach the package index"):
        environment.torch_source(planner(PLAN_GPU, problem), INDEX)


def test_a_gpu_plan_without_a_cpu_index_stops_and_says_so() -> None:
    with pytest.raises(environment.Stop, match="no CPU index was named"):
        environment.torch_source(planner(PLAN_GPU, PLAN_CPU), None)


def test_a_plan_without_torch_stops() -> None:
    with pytest.raises(environment.Stop, match="holds no torch"):
        environment.gpu_packages(report([("numpy", "2.4.6")]))


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("WARNING: Retrying: NewConnectionError: Failed to establish a new connection\nERROR: No matching", "network"),
        ("ERROR: Could not find a version that satisfies torch==2 (from versions: none)", "could not reach"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==99", "No matching distribution found for torch==99"),
    ],
)
def test_a_failed_pip_is_explained(output: str, sentence: str) -> None:
    assert sentence in environment.explain_pip(output)


def test_torch_of_this_environment_is_the_pinned_cpu_build(root: Path) -> None:
    import torch

    pinned = environment.torch_requirement((root / "requirements.txt").read_text())
    assert pinned == f"torch=={torch.__version__.split('+')[0]}"
    assert torch.version.cuda is None
    with pytest.raises(environment.Stop, match="torch==VERSION"):
        environment.torch_requirement("numpy==2.4.6\n")


# Requirements


def test_every_requirement_is_pinned_once_and_torch_comes_first(root: Path) -> None:
    lines = {}
    for name in ("requirements.txt", "constraints.txt"):
        text = (root / name).read_text()
        lines[name] = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert [line for line in lines[name] if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert lines["requirements.txt"][0].startswith("torch==")
    names = [line.split("==")[0].lower() for line in lines["requirements.txt"] + lines["constraints.txt"]]
    assert len(names) == len(set(names))


def test_the_cpu_index_stands_in_one_place(root: Path) -> None:
    host = "download.pytorch" + ".org"
    found = [
        path.name
        for path in [*root.glob("*"), *root.glob("binder/*"), *root.glob("tools/*"), *root.glob(".ci/*")]
        if path.is_file() and host in path.read_text(encoding="utf-8", errors="ignore")
    ]
    assert found == ["Makefile"]


# The environment


def test_the_stamp_follows_what_is_installed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = [*environment.INPUTS, "mi_lite/__init__.py"]
    for name in copied:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    first = environment.fingerprint(INDEX)
    assert first == environment.fingerprint(INDEX) != environment.fingerprint(None)
    for name in copied:
        with (tmp_path / name).open("a") as file:
            file.write('\n__version__ = "9.9.9"\n' if name == "mi_lite/__init__.py" else "# changed\n")
    (tmp_path / "mi_lite/__init__.py").write_text('__version__ = "9.9.9"\n')
    assert environment.fingerprint(INDEX) != first


def test_an_unchanged_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(environment, "make_environment", lambda venv: done.append("made") or Path(sys.executable))
    monkeypatch.setattr(environment, "install", lambda python, index: done.append("installed"))
    monkeypatch.setattr(environment, "python_of", lambda venv: Path(sys.executable))
    monkeypatch.chdir(tmp_path)
    arguments = ["--venv", str(tmp_path), "--torch-cpu-index", INDEX]
    with contextlib.redirect_stdout(io.StringIO()):
        assert environment.main(arguments) == 0
        assert done == ["made", "installed"]
        assert environment.main(arguments) == 0
        assert done == ["made", "installed"]
        assert environment.main([*arguments[:3], "https://other.example"]) == 0
    assert done == ["made", "installed"] * 2


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 14, 0)])
def test_a_wrong_python_is_named(version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(environment.Stop, match=r"needs Python 3\.11, 3\.12 or 3\.13"):
        environment.check_python()


def test_a_python_without_venv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(environment.Stop, match="sudo apt install python3-venv"):
        environment.check_python()


# The Makefile


def test_help_lists_every_command_with_a_sentence(root: Path) -> None:
    shown = make(root, "help")
    assert shown.returncode == 0, shown.stderr
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", shown.stdout, re.MULTILINE))
    text = (root / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    assert set(listed) == set(phony) - {"env"}
    assert set(phony) == set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE))
    assert {"book", "test", "check", "notebooks", "experiments", "serve", "bench", "clean", "help"} <= set(listed)


def test_no_python_is_said_plainly(root: Path, tmp_path: Path) -> None:
    for name in ("sh", "awk"):
        (tmp_path / name).symlink_to(shutil.which(name))
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # a Python that is too old answers so
    old.chmod(0o755)
    done = make(root, "env", "SHELL=/bin/sh", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "No Python 3.11, 3.12 or 3.13 was found" in done.stderr
    assert "sudo apt install python3" in done.stderr


def test_no_browser_is_said_before_anything_runs(root: Path) -> None:
    command = [sys.executable, "tools/chromium.py"]
    wrong = os.environ | {"CHROMIUM": "/nowhere/chromium"}
    done = subprocess.run(command, cwd=root, env=wrong, capture_output=True, text=True)
    assert done.returncode == 1
    assert "sudo apt install chromium" in done.stderr
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", (root / "Makefile").read_text(), re.MULTILINE)[1]
    assert "tools/chromium.py" in recipe.splitlines()[0]


def test_a_named_browser_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chrome"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    assert chromium.find_chromium() == str(program)
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "PLACES", ())
    assert chromium.find_chromium() is None
    program.rename(tmp_path / "google-chrome")
    assert chromium.find_chromium() == str(tmp_path / "google-chrome")


def test_a_book_without_its_contents_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(book, "ROOT", tmp_path)
    assert book.build() == 1
    assert "_config.yml, _toc.yml is missing" in capsys.readouterr().err


def test_run_all_runs_programs_and_stops_at_the_first_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    main = 'if __name__ == "__main__":\n    '
    texts = {
        "a": f"from runs.b import x\n{main}print('last', x)",
        "b": f"from runs import shared\nx = 1\n{main}raise SystemExit(shared.status())",
        "c": f"{main}print('alone')",
        "shared": "import os\n\ndef status(): return int(os.environ['STATUS'])",
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(run_all, "ROOT", tmp_path)
    assert run_all.programs(folder) == ["b", "c", "a"]  # a reads what b made; shared is no program
    monkeypatch.setenv("STATUS", "3")
    assert run_all.main(["runs"]) == 3
    shown = capfd.readouterr()
    assert "last" not in shown.out
    assert "runs.b stopped with status 3" in shown.err
    monkeypatch.setenv("STATUS", "0")
    assert run_all.main(["runs"]) == 0
    shown = capfd.readouterr().out
    assert shown.index("runs.b") < shown.index("last 1")
    assert run_all.main(["runs", "shared"]) == 1
    assert "asked for: shared" in capfd.readouterr().err


def test_the_ci_script_is_sound(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert "set -euo pipefail" in script.read_text()
    assert script.read_text().rstrip().endswith("make book\nmake test")


# The README


def test_the_ten_lines_of_the_readme_print_what_they_say(root: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)[1]
    promised = re.findall(r"^print\(.*\) +# (.*?\)|.*?\])(?:: .*)?$", block, re.MULTILINE)
    assert len(block.strip().splitlines()) <= 11
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block, {})
    assert printed.getvalue().splitlines() == promised


def test_the_picture_is_the_front_pages_figure() -> None:
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(), "run python tools/picture.py"


def test_what_the_readme_names_is_there(root: Path) -> None:
    text = (root / "README.md").read_text()
    for target in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (root / target).exists(), target
    for folder in re.findall(r"`(\w+/)`", text):
        assert (root / folder).is_dir(), folder
    commands = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"`+[^`]+`+", text))))
    assert commands <= set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))


def test_pip_is_asked_as_it_answers(root: Path) -> None:
    """The real pip, with no network: the report has the fields that are read."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-index", "--report", "-", "torch"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["install"] == []
