"""What the Python scripts share: the repository, the cache, and virtual environments in it.

Scripts lie in folders beside this file and reach it with

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

Shell scripts get the Python of an environment from `python3 scripts/environment.py NAME`.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pair2score"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target"))


def made(name):
    """The Python of the virtual environment of this name.

    The environment lies in the cache and has the packages of `scripts/requirements/NAME.txt`. It is made when it is
    missing or that file has changed; exit code 2 where it cannot be made.
    """
    folder = CACHE / name
    python = folder / "venv" / "bin" / "python"
    requirements = ROOT / "scripts" / "requirements" / f"{name}.txt"
    stamp = folder / "requirements.txt"
    wanted = requirements.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"installing the packages of {requirements} into {folder}", file=sys.stderr)
        for command in (
            [sys.executable, "-m", "venv", folder / "venv"],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements],
        ):
            if subprocess.run(command, stdout=sys.stderr).returncode != 0:
                print(f"error: cannot install the packages of {requirements}; is there a network?", file=sys.stderr)
                sys.exit(2)
        stamp.write_text(wanted)
    return python


def enter(name, **variables):
    """Starts the script again in the virtual environment of this name, with these environment variables."""
    if Path(sys.prefix).resolve() == (CACHE / name / "venv").resolve():
        return
    python = made(name)
    os.environ.update(variables)
    os.execv(python, [python, *sys.argv])


def program(path=None):
    """The program to check: the given one, or the debug build."""
    path = Path(path or TARGET / "debug" / "pair2score").resolve()
    if not path.is_file():
        print(f"error: {path} is no program; build it with cargo build -p pair2score-cli", file=sys.stderr)
        sys.exit(2)
    return path


if __name__ == "__main__":
    print(made(sys.argv[1]))
