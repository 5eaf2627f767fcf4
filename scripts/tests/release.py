"""What a release says of itself: one version everywhere, and its list of parts against the program that the tests have built.

    python3 scripts/tests/release.py [PROGRAM]
"""

import json
import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent / "release")]
from check import require, unnamed  # noqa: E402
from environment import ROOT, program  # noqa: E402
from parts import bill, version  # noqa: E402


def check_versions():
    """Cargo.toml has the version; npm and the changelog repeat it."""
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    repeated = {
        "web/scorer/package.json": json.loads((ROOT / "web/scorer/package.json").read_text())["version"],
        "web/package.json": json.loads((ROOT / "web/package.json").read_text())["dependencies"]["@pair2score/scorer"],
        "web/package-lock.json": packages["scorer"]["version"],
        "docs/CHANGELOG.md": re.search(r"^## (\S+)", (ROOT / "docs/CHANGELOG.md").read_text(), re.MULTILINE)[1],
    }
    for file, found in repeated.items():
        require(found == version(), f"{file} has version {found}, and Cargo.toml {version()}")


def check_parts(binary):
    """Parts hang together, are the same twice, and have every crate whose name stands in the program."""
    document = bill()
    lacking = unnamed(document, binary.read_bytes())
    require(not lacking, f"scripts/release/parts.py lacks crates that are in {binary}: {lacking}")
    references = {part["bom-ref"] for part in document["components"]} | {"pair2score"}
    for entry in document["dependencies"]:
        unknown = {entry["ref"], *entry["dependsOn"]} - references
        require(not unknown, f"scripts/release/parts.py names {unknown}, which are no parts")
    require({entry["ref"] for entry in document["dependencies"]} == references, "a part without its dependencies")
    require(bill() == document, "scripts/release/parts.py gives two lists of one commit")
    return len(document["components"])


check_versions()
print(f"version {version()}, {check_parts(program(*sys.argv[1:2]))} parts")
