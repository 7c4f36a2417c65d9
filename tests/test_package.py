"""The package: one version, what the wheel holds, that it works alone, and which way its parts depend on each other."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import mi_lite

NOT_NEEDED = (
    "matplotlib",
    "plotly",
    "ipywidgets",
    "anywidget",
    "IPython",
    "tqdm",
    "pyarrow",
    "pandas",
    "yaml",
    "faiss",
)
DATA_FILES = {".json", ".js", ".css", ".typed"}
#: Folders of a clone that a Python started there could import from.
OF_THE_CLONE = ("experiments", "benchmarks", "tests", "tools", "book")
#: Chapters that read stored results.
WITH_RESULTS = sorted(
    path.stem
    for path in (Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb")
    if re.search(r"from mi_lite(\.results import| import results)", path.read_text(encoding="utf-8"))
)
FOR_FIGURES = ("figures", "explore", "explorables", "exercises")


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a user would build it, with no network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: building leaves a folder behind
    source.mkdir()
    names = ["pyproject.toml", "README.md", "LICENSE"] + [str(p.relative_to(root)) for p in sources(root, every=True)]
    # What must stay out is put beside it, so that the test would see it come in.
    names += ["conftest.py", "tests/conftest.py", "tools/book.py", "requirements.txt"]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((root / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


def sources(root: Path, every: bool = False) -> list[Path]:
    """The Python files of the package; with `every`, its data files too."""
    files = (
        path for path in sorted((root / "mi_lite").rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    )
    return [path for path in files if path.suffix == ".py" or (every and path.suffix in DATA_FILES)]


def test_the_version_stands_in_one_place(root: Path, wheel: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", mi_lite.__version__)
    assert "version" in tomllib.loads((root / "pyproject.toml").read_text())["project"]["dynamic"]
    assert wheel.name == f"mi_lite-{mi_lite.__version__}-py3-none-any.whl"
    assert f"\nversion: {mi_lite.__version__}\n" in (root / "CITATION.cff").read_text()
    assert f"## {mi_lite.__version__}" in (root / "CHANGELOG.md").read_text()


def test_the_wheel_holds_the_package_and_nothing_else(root: Path, wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    info = f"mi_lite-{mi_lite.__version__}.dist-info/"
    metadata = {info + name for name in ("METADATA", "WHEEL", "RECORD", "top_level.txt", "licenses/LICENSE")}
    package = {str(path.relative_to(root).as_posix()) for path in sources(root, every=True)}
    assert {"mi_lite/__init__.py", "mi_lite/py.typed", "mi_lite/palette.json"} <= package
    assert held == package | metadata


def test_every_file_of_the_package_is_of_a_known_kind(root: Path) -> None:
    files = {path for path in (root / "mi_lite").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert files - set(sources(root, every=True)) == set()


def test_the_wheel_asks_for_three_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        (name,) = [name for name in held.namelist() if name.endswith("METADATA")]
        lines = held.read(name).decode().splitlines()
    needed = [line.split(": ")[1] for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert sorted(re.split("[>=<]", line)[0] for line in needed) == ["numpy", "scikit-learn", "torch"]


ALONE = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {folder!r})
import mi_lite
assert mi_lite.__file__.startswith({folder!r}), mi_lite.__file__
"""
EVERY_MODULE = """
for module in pkgutil.walk_packages(mi_lite.__path__, "mi_lite."):
    if module.name.split(".")[1] not in {for_figures!r}:
        importlib.import_module(module.name)
        print(module.name)
"""
READ_RESULTS = """
import json
from mi_lite import results
read = {name: results.stored(name) for name in results.names()}
assert all(results.hits(result).shape == (len(result["runs"]), result["users"]) for result in read.values())
print(json.dumps({name: [len(result["runs"]), result["users"]] for name, result in read.items()}))
"""


@pytest.fixture(scope="session")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, and nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "alone"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return folder


def test_the_wheel_works_alone(alone: Path, tmp_path: Path) -> None:
    """Installed by itself, every module but the figures imports with torch, numpy and scikit-learn alone."""
    program = ALONE.format(refused=NOT_NEEDED, folder=str(alone)) + EVERY_MODULE.format(for_figures=FOR_FIGURES)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "mi_lite.capsules" in done.stdout and "mi_lite.results" in done.stdout


def test_the_wheel_holds_the_stored_results(root: Path, alone: Path, tmp_path: Path) -> None:
    program = ALONE.format(refused=(*NOT_NEEDED, *OF_THE_CLONE), folder=str(alone)) + READ_RESULTS
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = {path.stem: json.loads(path.read_text()) for path in (root / "mi_lite" / "results").glob("*.json")}
    runs = {name: [len(result["runs"]), result["users"]] for name, result in there.items()}
    assert runs and json.loads(done.stdout) == runs


@pytest.mark.kernel
@pytest.mark.parametrize("name", WITH_RESULTS)
def test_chapters_run_with_the_wheel_alone(root: Path, alone: Path, tmp_path: Path, name: str) -> None:
    """As on Colab: one notebook in an empty folder, mi_lite installed, no clone of the book anywhere."""
    cells = json.loads((root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    (tmp_path / f"{name}.py").write_text(
        ALONE.format(refused=OF_THE_CLONE, folder=str(alone))
        + "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"),
        encoding="utf-8",
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MPLBACKEND": "agg"}
    done = subprocess.run([sys.executable, f"{name}.py"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


def test_chapters_import_nothing_of_the_clone(root: Path) -> None:
    """What a chapter imports is in a wheel: mi_lite's or another package's."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        found = re.findall(r"^\s*(?:import|from) (\w+)", code, flags=re.M)
        assert "mi_lite" in found and not set(OF_THE_CLONE) & set(found), path.name


def imported(path: Path, package: str) -> set[str]:
    """The modules of mi_lite that a file imports, as dotted names, wherever in the file it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "mi_lite"}


def test_models_import_nothing_of_figures(root: Path) -> None:
    """Dependencies point one way: figures, explorables and exercises know the models, never the other way round."""
    checked = 0
    for path in sources(root):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[1] in FOR_FIGURES:
            continue
        checked += 1
        for name in imported(path, ".".join(parts[:-1])):
            assert name.split(".")[1:2] not in [[part] for part in FOR_FIGURES], f"{path.name} imports {name}"
    assert checked > 5


def test_imports_are_seen_in_every_form(tmp_path: Path) -> None:
    forms = [
        "import mi_lite.figures",
        "from mi_lite import figures",
        "from . import figures",
        "from .figures import show",
    ]
    for form in [*forms, f"def f():\n    {forms[0]}"]:
        path = tmp_path / "module.py"
        path.write_text(form)
        assert "mi_lite.figures" in imported(path, "mi_lite"), form
    path.write_text("from ..figures import show")
    assert "mi_lite.figures" in imported(path, "mi_lite.data")
