"""The environment of open_clip: a venv of its own with the torch, Pillow, numpy and transformers of this one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

OPEN_CLIP = "3.3.0"
SHARED = ("torch", "pillow", "numpy", "transformers", "tokenizers")  # the same versions on both sides
LOOK = "import json, sys; from importlib.metadata import version; print(json.dumps([version(n) for n in sys.argv[1:]]))"


def open_clip_python(folder: Path) -> Path:
    """The Python of an environment with open_clip in `folder`; made there unless one with these versions exists."""
    python = folder / "bin" / "python"
    wanted = {name: version(name) for name in SHARED}
    wanted |= {"torchvision": torchvision_of(wanted["torch"]), "open_clip_torch": OPEN_CLIP}
    if _holds(python, wanted):
        return python
    print(f"making the environment of open_clip in {folder}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("".join(f"{name}=={each}\n" for name, each in wanted.items()))
        constraints.flush()
        pip += ["-c", constraints.name]
        # torch first, in the very build of this environment; torchvision alone: it asks for torch's other build.
        subprocess.run([*pip, "torch"], check=True)
        subprocess.run([*pip, "--no-deps", "torchvision"], check=True)
        subprocess.run([*pip, f"open_clip_torch[training]=={OPEN_CLIP}"], check=True)
    if not _holds(python, wanted):
        raise SystemExit(f"{folder} lacks one of {wanted}; give another folder by --environment")
    return python


def torchvision_of(torch: str) -> str:
    """The torchvision that belongs to a torch 2.N: 0.(N + 15)."""
    major, minor, *_ = torch.split(".")
    if major != "2":
        raise SystemExit(f"torch is {torch}; which torchvision belongs to it is known for torch 2 only")
    return f"0.{int(minor) + 15}.0"


def _holds(python: Path, wanted: dict[str, str]) -> bool:
    if not python.exists():
        return False
    found = subprocess.run([python, "-c", LOOK, *wanted], capture_output=True, text=True)
    if found.returncode:
        return False
    versions = dict(zip(wanted, json.loads(found.stdout), strict=True))
    return all(each in (versions[name], versions[name].partition("+")[0]) for name, each in wanted.items())
