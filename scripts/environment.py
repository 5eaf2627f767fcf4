"""Virtual environments of the scripts that need packages from PyPI."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pair2score"


def enter(name, requirements, options=(), failed=None, **variables):
    """Starts the script again inside an environment of the cache, which is made when it is missing or out of date.

    `requirements` is a file beside the scripts, `options` go to pip, `failed` is called where it cannot install, and
    `variables` are set in the environment.
    """
    folder = CACHE / name
    python = folder / "venv" / "bin" / "python"
    if Path(sys.prefix).resolve() == (folder / "venv").resolve():
        return
    requirements = Path(__file__).parent / requirements
    stamp = folder / "requirements.txt"
    wanted = requirements.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"installing {requirements.name} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *options, "-r", requirements]
        if subprocess.run(install, check=failed is None).returncode != 0:
            failed()
        stamp.write_text(wanted)
    os.environ.update(variables)
    os.execv(python, [python, *sys.argv])
