#!/usr/bin/env python3
"""The scoring service against what it says of itself, with programs of others.

    python3 scripts/peers/service_check.py [PROGRAM]

`serve --scorer` with the scorer of export/ and a key is asked by schemathesis, which makes requests from /openapi.json, good
and bad ones, and holds the answers to it. openapi-spec-validator reads the document itself, the parser of Prometheus'
client reads /metrics, and hadolint reads export/Dockerfile. Exit code 1 when one of them finds something. The packages
(110 MB) go into a virtual environment in the cache.
"""

import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter, program  # noqa: E402

KEY = "0123456789abcdef0123456789abcdef"
EXAMPLES = 100


def run(*command, **more):
    """Runs a program of the virtual environment; whether it found nothing."""
    name, *arguments = command
    print(f"\n== {name}", flush=True)
    return subprocess.run([Path(sys.prefix) / "bin" / name, *arguments], **more).returncode == 0


def get(address, path):
    request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


def check_metrics(text):
    """Every family has a type that the parser knows, and what was asked is counted."""
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(text)}
    print(f"\n== metrics: {len(families)} families", flush=True)
    assert all(family.type != "unknown" for family in families.values()), families
    assert sum(sample.value for sample in families["pair2score_requests"].samples) > EXAMPLES


def main():
    enter("service")
    binary = program(*sys.argv[1:2])
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.txt"
        keys.write_text(KEY + "\n")
        command = [binary, "serve", "--scorer", ROOT / "export/bundle", "--port", "0", "--keys", keys]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().split("http://")[1].split("/")[0]
            document = Path(folder) / "openapi.json"
            document.write_text(get(address, "/openapi.json"))
            good = run("openapi-spec-validator", document)
            options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "36", "--generation-database", "none"]
            good &= run(
                "schemathesis",
                "run",
                f"http://{address}/openapi.json",
                "--header",
                f"Authorization: Bearer {KEY}",
                *options,
                cwd=folder,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "service_hooks", "PYTHONPATH": str(Path(__file__).parent)},
            )
            check_metrics(get(address, "/metrics"))
        finally:
            server.terminate()
            assert server.wait() == 0
    good &= run("hadolint", ROOT / "export/Dockerfile")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
