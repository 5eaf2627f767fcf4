"""The pieces of a release, each as a stranger installs it: unpacked into an empty folder, installed into a new virtual
environment or a new npm project, and run.

    python3 scripts/release/check.py FOLDER

Program and wheel must score essays alike to the last bit, nothing may need a newer glibc than the wheel's name promises, and
the crates whose names stand in the compiled files must be among the parts that the release names. No compiled file names a
folder of the machine that made it. The first failure ends it.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402
from parts import version  # noqa: E402

ESSAYS = 5
SCORER = ROOT / "export/bundle"
LICENCES = "LICENSE-third-party.txt"
# A crate leaves its folder's name where it can panic.
CRATE = re.compile(rb"registry/src/[^/\0]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/")


def run(*command, cwd, **environment):
    """What a command says. It gets little of this machine's environment: no cargo, no PYTHONPATH."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    require(result.returncode == 0, f"{' '.join(map(str, command))}: {result.stdout}{result.stderr}")
    return result.stdout


def require(holds, problem):
    if not holds:
        sys.exit(f"error: {problem}")


def only(folder, pattern):
    """The one file of this name."""
    found = list(folder.glob(pattern))
    require(len(found) == 1, f"{folder} has {len(found)} files {pattern} where it should have one")
    return found[0]


def check_licences(folders):
    """Every piece has the licence texts of its parts."""
    for folder in folders:
        require(list(folder.rglob(LICENCES)), f"{folder.name} comes without {LICENCES}")


def check_sums(folder):
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    named = {name: digest for digest, name in (line.split("  ") for line in lines)}
    there = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    require(set(named) == there, f"SHA256SUMS names {sorted(named)}, and there are {sorted(there)}")
    for name, digest in named.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        require(found == digest, f"{name} has the checksum {found}, not {digest}")
    return f"{len(named)} files"


def glibc(code):
    """The newest version of glibc whose symbols a compiled file asks for."""
    return max(tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", code))


def unnamed(document, code):
    """Crates whose names stand in compiled code and not in the list of parts."""
    parts = {(part["name"], part["version"]) for part in document["components"]}
    found = {tuple(part.decode() for part in match) for match in CRATE.findall(code)}
    require(len(found) > 10, f"compiled code shows {len(found)} crates, too few to compare")
    return sorted(found - parts)


def check_parts(folder, compiled):
    """The document against its schema, and against the names of crates in what was compiled."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = only(folder, "*.cdx.json").read_text()
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    require(problem is None, f"the list of parts is not CycloneDX 1.6: {problem}")
    document = json.loads(text)
    for name, code in compiled.items():
        lacking = unnamed(document, code)
        require(not lacking, f"the list of parts lacks {lacking}, which are in {name}")
    return len(document["components"])


def check_paths(compiled):
    """No compiled file says who made it, and where."""
    for name, code in compiled.items():
        for place in (Path.home(), ROOT):
            at = code.find(f"{place}/".encode())
            require(at < 0, f"{name} names a folder of this machine: {code[at : at + 80]!r}")


def check_program(archive, scratch, essays):
    """The program, unpacked; its folder, its scores, and its bytes."""
    with tarfile.open(archive) as file:
        file.extractall(scratch, filter="data")
    binary = only(scratch, "pair2score-*/pair2score")
    said = run(binary, "--version", cwd=scratch).split()
    require(said == ["pair2score", version()], f"the program calls itself {said}, not {version()}")
    run(binary, "demo", "--help", cwd=scratch)
    run(binary, "score", "--scorer", SCORER, "--input", essays, "--output", "scores.csv", cwd=scratch)
    with open(scratch / "scores.csv", newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    require(len(scores) == ESSAYS, f"the program scored {len(scores)} of {ESSAYS} essays")
    return binary, scores


def check_wheel(wheel, scratch, essays):
    """The wheel in a new virtual environment: its scores of the same essays."""
    run(sys.executable, "-m", "venv", "venv", cwd=scratch)
    python = scratch / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=scratch)
    said = run(scratch / "venv/bin/pair2score", "--version", cwd=scratch).split()
    require(said == ["pair2score", version()], f"the wheel's command calls itself {said}, not {version()}")
    code = """
import csv, json, sys, pair2score
texts = [row["full_text"] for row in csv.DictReader(open(sys.argv[2], newline=""))]
print(json.dumps(pair2score.Scorer.load(sys.argv[1]).score(texts).tolist()))
"""
    return json.loads(run(python, "-c", code, SCORER, essays, cwd=scratch))


def check_npm(package, scratch):
    """The package in a new project. It computes in a browser only (web/tests/package.spec.ts); here its modules load."""
    run("npm", "init", "--yes", cwd=scratch)
    run("npm", "install", "--no-audit", "--no-fund", package, cwd=scratch)
    installed = scratch / "node_modules/@pair2score/scorer"
    said = json.loads((installed / "package.json").read_text())["version"]
    require(said == version(), f"the npm package has version {said}, and Cargo.toml {version()}")
    code = 'const { Scorer, ScorerError } = await import("@pair2score/scorer"); console.log(typeof Scorer.load, ScorerError.name)'
    said = run("node", "--input-type=module", "-e", code, cwd=scratch).split()
    require(said == ["function", "ScorerError"], f"the npm package exports {said}")
    return {path.name: path.read_bytes() for path in installed.glob("wasm/*/*.wasm")}


def check_site(archive, scratch, binary):
    """The site, unpacked and served by the released program."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(scratch / "site")
    command = [binary, "serve", "--site", scratch / "site", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().split(" on ")[1].split(" ")[0]
        files = ["", "annotate.html", "sw.js", "bundle/manifest.json"]
        pages = {name: urllib.request.urlopen(address + name).read() for name in files}
    finally:
        server.terminate()
        server.wait()
    require(b"<title>" in pages[""], "the site's page has no title")
    manifest = (SCORER / "manifest.json").read_bytes()
    require(pages["bundle/manifest.json"] == manifest, "the site has another scorer than export/bundle")
    return f"{sum(1 for path in (scratch / 'site').rglob('*') if path.is_file())} files"


def main():
    require(len(sys.argv) == 2, "give the folder of a release")
    enter("release")
    folder = Path(sys.argv[1]).resolve()
    print("checksums:", check_sums(folder))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        places = {name: scratch / name for name in ("program", "wheel", "npm", "site")}
        for place in places.values():
            place.mkdir()
        essays = scratch / "essays.csv"
        essays.write_text("".join((ROOT / "data/demo/essays.csv").open().readlines()[: ESSAYS + 1]))

        binary, scores = check_program(only(folder, "*.tar.gz"), places["program"], essays)
        print(f"program: {version()}, scores {scores}")
        wheel = only(folder, "*.whl")
        again = check_wheel(wheel, places["wheel"], essays)
        require(again == scores, f"the wheel scores {again}, the program {scores}")
        print(f"wheel: {wheel.name}, the same scores")
        modules = places["wheel"].glob("venv/lib/*/site-packages/pair2score/*.so")
        compiled = {path.name: path.read_bytes() for path in [binary, *modules]}
        promised = tuple(map(int, re.search(r"manylinux_(\d+)_(\d+)", wheel.name).groups()))
        for name, code in compiled.items():
            require(glibc(code) <= promised, f"{name} needs glibc {glibc(code)}, and the wheel promises {promised}")
        print("glibc:", {name: glibc(code) for name, code in compiled.items()})
        wasm = check_npm(only(folder, "pair2score-scorer-*.tgz"), places["npm"])
        print(f"npm: {version()}, {len(wasm)} wasm files")
        print("site:", check_site(only(folder, "*-site.zip"), places["site"], binary))
        compiled |= wasm
        print("parts:", check_parts(folder, compiled))
        check_paths(compiled)
        check_licences(places.values())


if __name__ == "__main__":
    main()
