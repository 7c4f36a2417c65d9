"""Makes the virtual environment of the book and keeps it up to date.

Runs on any Python from 3.11 to 3.13 with nothing installed, on Debian, macOS and Windows:

    python tools/environment.py --torch-cpu-index URL

It makes `.venv`, installs torch as a CPU build, then what requirements.txt and constraints.txt pin, then this package
in editable mode. A stamp inside the environment holds a hash of all of these: when nothing changed, a second run does
nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 13)
STAMP = "book-environment"
INPUTS = ("requirements.txt", "constraints.txt", "pyproject.toml", "tools/environment.py")
GPU_VERSION = re.compile(r"\+(cu\d|rocm|xpu)")
NO_NETWORK = re.compile(
    r"name resolution|NameResolutionError|Network is unreachable|Failed to establish|ConnectTimeout|ProxyError"
    r"|Connection (refused|reset|aborted|to \S+ timed out)|nodename nor servname|getaddrinfo",
    re.IGNORECASE,
)


class Stop(Exception):
    """Something the reader must mend first. Its text is the whole message."""


def python_of(venv: Path) -> Path:
    """The Python inside a virtual environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment_variables(venv: Path) -> dict[str, str]:
    """The variables under which notebooks are executed: this environment's kernel, no user settings, one thread."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JUPYTER_PATH")}
    return variables | {
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_DATA_DIR": str(venv.absolute() / "share" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(venv.absolute() / "etc" / "jupyter"),
        "IPYTHONDIR": str(venv.absolute() / "etc" / "ipython"),
        "OMP_NUM_THREADS": "1",  # sums in the same order everywhere
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def use_environment_variables(venv: Path) -> None:
    """Take the variables of `environment_variables` for this process and what it starts."""
    wanted = environment_variables(venv)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def torch_requirement(requirements: str) -> str:
    """The line of requirements.txt that pins torch."""
    found = re.search(r"^torch==\S+$", requirements, re.MULTILINE)
    if not found:
        raise Stop("requirements.txt must hold one line 'torch==VERSION'.")
    return found[0]


def gpu_packages(plan: dict) -> list[str]:
    """What makes a pip plan (the report of `pip install --dry-run --report`) a GPU build; empty for a CPU build."""
    packages = [
        (item["metadata"]["name"].lower().replace("_", "-"), item["metadata"]["version"]) for item in plan["install"]
    ]
    if "torch" not in dict(packages):
        raise Stop("pip's plan for torch holds no torch.")
    return [
        f"{name} {version}"
        for name, version in packages
        if name.startswith("nvidia-") or (name == "torch" and GPU_VERSION.search(version))
    ]


def torch_source(plan: Callable[[list[str]], dict], cpu_index: str | None) -> list[str]:
    """The pip options that give a CPU build of torch: none when pip's own plan is one, else the CPU index.

    `plan(options)` returns pip's plan under these options or raises `Stop`.
    """
    found = gpu_packages(plan([]))
    if not found:
        return []
    if not cpu_index:
        raise Stop(
            f"pip would install torch with GPU libraries ({found[0]} and {len(found) - 1} more), and no CPU index was"
            " named. Name one with --torch-cpu-index (the Makefile's TORCH_CPU_INDEX)."
        )
    options = ["--index-url", cpu_index]
    try:
        found = gpu_packages(plan(options))
    except Stop as problem:
        raise Stop(
            f"pip would install torch with GPU libraries, and the CPU index {cpu_index} could not be used instead:\n"
            f"{problem}"
        ) from problem
    if found:
        raise Stop(
            f"Neither pip's default index nor {cpu_index} gives a CPU build of torch: both plan {found[0]}."
            " Set TORCH_CPU_INDEX to an index of CPU builds."
        )
    return options


def explain_pip(output: str) -> str:
    """One sentence for a failed pip, followed by pip's own last words."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()[-3:]
    if NO_NETWORK.search(output):
        sentence = "pip could not reach the package index: is there a network (or a proxy to name)?"
    elif "from versions: none" in output:
        sentence = (
            "pip found no version at all: either it could not reach the package index (is there a network?), or there"
            " is no build for this Python and this machine (torch has none for Intel Macs)."
        )
    elif "No space left" in output:
        sentence = "The disk is full: the environment needs about 2.5 GB."
    else:
        sentence = "pip could not install what the book needs."
    return "\n".join([sentence, *errors])


def pip(python: Path, arguments: list[str], quiet: bool = False) -> str:
    """Run pip in the environment; show what it does unless `quiet`; return its standard output."""
    command = [str(python), "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else subprocess.STDOUT
    )
    if quiet:
        output, errors = process.communicate()
    else:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith(("Collecting", "Downloading", "  Downloading", "Installing", "Successfully", "ERROR")):
                print("  " + line.rstrip()[:110], flush=True)
        process.wait()
        output, errors = "".join(lines), "".join(lines)
    if process.returncode:
        raise Stop(explain_pip(errors))
    return output


def quieten_kernels(venv: Path) -> None:
    """Have this environment's kernels say errors only: by default each warns about its local connection."""
    settings = Path(environment_variables(venv)["IPYTHONDIR"]) / "profile_default" / "ipython_kernel_config.py"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("c = get_config()\nc.IPKernelApp.log_level = 40\n")


def fingerprint(cpu_index: str | None) -> str:
    """A hash of everything that decides what is installed."""
    digest = hashlib.sha256(f"{cpu_index} {ROOT}".encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    digest.update(version().encode())
    return digest.hexdigest()


def version() -> str:
    """The version in mi_lite/__init__.py: the installed metadata must follow it."""
    found = re.search(r'__version__ = "(.+?)"', (ROOT / "mi_lite/__init__.py").read_text(encoding="utf-8"))
    if not found:
        raise Stop("mi_lite/__init__.py must hold one line '__version__ = \"X.Y.Z\"'.")
    return found[1]


def check_python() -> None:
    """Stop on a Python that is too old, too new, or can't make environments (Debian packs that apart)."""
    here = ".".join(map(str, sys.version_info[:2]))
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise Stop(
            f"Python {here} was found; the book needs Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.12"
        )
    try:
        importlib.import_module("ensurepip")
        importlib.import_module("venv")
    except ImportError:
        raise Stop(
            f"This Python {here} can't make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv"
        ) from None


def make_environment(venv: Path) -> Path:
    """Make the virtual environment unless it is there; return its Python."""
    python = python_of(venv)
    works = python.exists() and subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True)
    if not works or works.returncode:
        check_python()
        print(f"Making the environment {venv} with Python {sys.version.split()[0]}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True)
        if made.returncode:
            raise Stop("The environment could not be made:\n" + made.stdout + made.stderr)
    return python


def install(python: Path, cpu_index: str | None) -> None:
    """Install torch (CPU), the pinned requirements and this package into the environment of `python`."""
    torch = torch_requirement((ROOT / "requirements.txt").read_text(encoding="utf-8"))

    def plan(options: list[str]) -> dict:
        arguments = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", *options, torch]
        return json.loads(pip(python, arguments, quiet=True))

    is_cpu = (
        "import torch, sys; sys.exit(torch.version.cuda is not None or torch.__version__.split('+')[0] != sys.argv[1])"
    )
    if subprocess.run([str(python), "-c", is_cpu, torch.split("==")[1]], capture_output=True).returncode:
        print(f"Asking pip how it would install {torch}", flush=True)
        source = torch_source(plan, cpu_index)
        print(f"Installing {torch}, CPU build, from {source[1] if source else 'the default package index'}", flush=True)
        pip(python, ["install", "--force-reinstall", "--no-deps", *source, torch])
    print("Installing what requirements.txt pins", flush=True)
    pip(python, ["install", "-r", "requirements.txt", "-c", "constraints.txt"])
    pip(python, ["install", "--no-deps", "--no-build-isolation", "-e", "."])
    if subprocess.run([str(python), "-c", is_cpu, torch.split("==")[1]], capture_output=True).returncode:
        raise Stop(f"After the installation {torch} is not there as a CPU build. Remove .venv and try again.")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="where the environment is (default: .venv)")
    parser.add_argument("--torch-cpu-index", help="where CPU builds of torch are, if pip's default has none")
    parser.add_argument("--here", action="store_true", help="install into this very Python (Binder) instead of a .venv")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    try:
        if options.here:
            install(Path(sys.executable), options.torch_cpu_index)
            return 0
        stamp, wanted = options.venv / STAMP, fingerprint(options.torch_cpu_index)
        if stamp.exists() and stamp.read_text() == wanted and python_of(options.venv).exists():
            return 0
        python = make_environment(options.venv)
        install(python, options.torch_cpu_index)
        quieten_kernels(options.venv)
        stamp.write_text(wanted)
        print(f"The environment {options.venv} is ready", flush=True)
    except Stop as problem:
        print(f"\n{problem}\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
