"""What the pieces of a release are made of, as CycloneDX says it (a software bill of materials).

    python3 scripts/release/parts.py OUTPUT.cdx.json

Crates are those that cargo compiles for the program, the Python package and the wasm files, on Linux on this machine's
processor; those that only build (build scripts, macros) have the scope "excluded". Hashes are those of Cargo.lock. npm packages
are those of web/package-lock.json that the pages contain. The same commit gives the same bytes.
"""

import base64
import json
import platform
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT  # noqa: E402

LINUX = f"{platform.machine()}-unknown-linux-gnu"
WASM = "wasm32-unknown-unknown"
# The crates that pieces are made from: target, and options that choose features.
PIECES = {
    "pair2score-cli": (LINUX, []),
    "pair2score-python": (LINUX, []),
    "pair2score-web": (WASM, ["--no-default-features", "--features", "cpu-relaxed,webgpu,judgements"]),
}


def output(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"error: {' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


def version():
    """The version of everything: that of the workspace in Cargo.toml."""
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def tree(piece, edges):
    """Lines of `cargo tree` for a piece: depth, name, version, licence, repository."""
    target, features = PIECES[piece]
    format = ["--prefix", "depth", "--format", "|{p}|{l}|{r}"]
    lines = output("cargo", "tree", "--locked", "-p", piece, "--target", target, "-e", edges, *features, *format)
    for line in lines.splitlines():
        depth, package, licence, repository = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        yield int(depth), name, version.removeprefix("v"), licence, repository


def crates():
    """Components and dependencies of all pieces, by purl."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(crate["name"], crate["version"]): crate.get("checksum") for crate in lock}
    components, dependencies = {}, {}
    for piece in PIECES:
        contained = {(name, version) for _, name, version, _, _ in tree(piece, "normal,no-proc-macro")}
        path = []
        for depth, name, version, licence, repository in tree(piece, "normal,build"):
            purl = f"pkg:cargo/{name}@{version}"
            component = components.setdefault(purl, {"type": "library", "bom-ref": purl, "name": name, "version": version})
            if (name, version) in contained or "scope" not in component:
                component["scope"] = "required" if (name, version) in contained else "excluded"
            # Ours are in no registry.
            if checksum := checksums[name, version]:
                component |= {"hashes": [{"alg": "SHA-256", "content": checksum}], "purl": purl}
            component["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", licence)}]
            if repository:
                component["externalReferences"] = [{"type": "vcs", "url": repository}]
            dependencies.setdefault(purl, set())
            path[depth:] = [purl]
            if depth > 0:
                dependencies[path[depth - 1]].add(purl)
    return components, dependencies


def npm():
    """Packages from npm that the pages contain, by purl."""
    components = {}
    for path, package in json.loads((ROOT / "web/package-lock.json").read_text())["packages"].items():
        if not path.startswith("node_modules/") or package.get("dev") or package.get("link"):
            continue
        name = path.removeprefix("node_modules/")
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        algorithm, _, digest = package["integrity"].partition("-")
        components[purl] = {
            "type": "library", "bom-ref": purl, "name": name, "version": package["version"], "scope": "required",
            "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}],
            "licenses": [{"expression": package["license"]}], "purl": purl,
        }
    return components


def bill():
    """The whole document. Pages and their package have no crate, so they are components of their own."""
    ours, commit = version(), output("git", "rev-parse", "HEAD").strip()
    components, dependencies = crates()
    packages = npm()
    wasm = f"pkg:cargo/pair2score-web@{ours}"
    scorer = f"pkg:npm/%40pair2score/scorer@{ours}"
    root = {"type": "application", "bom-ref": "pair2score", "name": "pair2score", "version": ours}
    own = [("@pair2score/scorer", scorer, {wasm}), ("pages", "pages", {wasm, scorer, *packages})]
    for name, reference, needs in own:
        components[reference] = {
            "type": "library" if reference == scorer else "application", "bom-ref": reference, "name": name, "version": ours,
            "licenses": [{"expression": "MIT"}],
        }
        dependencies[reference] = needs
    components |= packages
    dependencies |= {purl: set() for purl in packages}
    pieces = {f"pkg:cargo/{piece}@{ours}" for piece in PIECES if piece != "pair2score-web"}
    dependencies["pair2score"] = pieces | {reference for _, reference, _ in own}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'https://github.com/pair2score/pair2score/tree/{commit}')}",
        "version": 1,
        "metadata": {"timestamp": output("git", "log", "-1", "--format=%cI").strip(), "component": root},
        "components": [components[key] for key in sorted(components)],
        "dependencies": [{"ref": key, "dependsOn": sorted(needs)} for key, needs in sorted(dependencies.items())],
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: give one file to write, such as pair2score.cdx.json")
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=1, ensure_ascii=False) + "\n")
