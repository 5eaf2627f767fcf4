"""The licence texts of what a release contains, which most of these licences ask to be passed on.

    python3 scripts/release/licences.py PARTS.cdx.json OUTPUT.txt

Every text once, below the parts that carry it; parts that carry none have their licence by name. Reads what cargo and npm have
fetched, so the pages must have been built.
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT  # noqa: E402
from parts import output  # noqa: E402

TEXT = re.compile(r"(un)?licen[cs]e|copying|notice", re.IGNORECASE)
RULE = "=" * 100


def folders():
    """Where the sources of each crate lie, by name and version."""
    packages = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1"))["packages"]
    return {(crate["name"], crate["version"]): Path(crate["manifest_path"]).parent for crate in packages}


def texts(folder):
    """Licences of a package, lines without trailing blanks, so that equal ones are equal."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and TEXT.match(path.name)]
    for path in files:
        lines = path.read_text(errors="replace").splitlines()
        yield "\n".join(line.rstrip() for line in lines).strip()


def main():
    document, target = sys.argv[1:]
    crates = folders()
    carriers, without = {}, []
    for part in json.loads(Path(document).read_text())["components"]:
        purl = part.get("purl", "")
        if not purl or part["scope"] != "required":
            continue
        name, version = part["name"], part["version"]
        folder = crates[name, version] if purl.startswith("pkg:cargo") else ROOT / "web/node_modules" / name
        found = list(texts(folder))
        for text in found:
            carriers.setdefault(text, []).append(f"{name} {version}")
        if not found:
            without.append(f"{name} {version}: {part['licenses'][0]['expression']}")
    sections = [f"{RULE}\n{', '.join(names)}\n{RULE}\n\n{text}\n" for text, names in sorted(carriers.items(), key=lambda item: item[1])]
    head = "Pair2Score is under the MIT licence (LICENSE). It contains the following.\n"
    tail = f"{RULE}\nWithout a text of their own:\n{RULE}\n\n" + "\n".join(without) + "\n"
    Path(target).write_text("\n".join([head, *sections, tail]))


if __name__ == "__main__":
    main()
