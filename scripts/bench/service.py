#!/usr/bin/env python3
"""Documents a second and latency of `pair2score serve --scorer` beside `score`: scripts/bench/service.py PROGRAM SCORER

    python3 scripts/bench/service.py ~/.cache/pair2score/target/release/pair2score export/bundle [DOCUMENTS [ROUNDS]]

The same texts, of about 500 bytes as those of scripts/bench/score.py, in turns: `score` on a file (without the time in
which it loads), a stream of lines from one client, and 64 clients on connections of their own with lists of 16 texts and
with single texts. Every score is compared with that of `score`. Everything is on this machine: the clients take their
share of its processors. Prints the rows of docs/service.md.
"""

import csv
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import program  # noqa: E402
from score import write_texts  # noqa: E402

CLIENTS = 64
# What batches of other shapes change.
GROUPING = 1e-4


def score(binary, scorer, folder, texts):
    """Scores by the command, and its seconds."""
    path = folder / "part.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text_id", "full_text"])
        writer.writerows(enumerate(texts))
    output = folder / "scores.csv"
    command = [binary, "score", "--scorer", scorer, "--input", path, "--output", output]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    with output.open(newline="") as file:
        return [float(row["score"]) for row in csv.DictReader(file)], seconds


def number(result):
    (scores,) = result["scores"].values()
    return scores["score"]


def stream(address, texts):
    """Scores from one stream, which is sent while it is read, and the seconds until each came."""
    connection = http.client.HTTPConnection(address, timeout=600)
    connection.putrequest("POST", "/score")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()

    def send():
        for start in range(0, len(texts), 8):
            lines = "".join(json.dumps({"text": text}) + "\n" for text in texts[start : start + 8]).encode()
            connection.send(b"%x\r\n%s\r\n" % (len(lines), lines))
        connection.send(b"0\r\n\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    scores = [number(json.loads(line)) for line in connection.getresponse()]
    sender.join()
    return scores, []


def clients(address, texts, size):
    """Scores of lists of `size` texts from all clients, and the seconds of each request."""
    scores, latencies = [None] * len(texts), []
    starts = iter(range(0, len(texts), size))
    lock = threading.Lock()
    failures = []

    def client():
        connection = http.client.HTTPConnection(address, timeout=600)
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            part = texts[start : start + size]
            body = json.dumps({"texts": part}).encode()
            begun = time.monotonic()
            connection.request("POST", "/score", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            took = time.monotonic() - begun
            if response.status != 200:
                failures.append((response.status, answer))
                return
            with lock:
                latencies.append(took)
            scores[start : start + size] = [number(result) for result in answer["results"]]

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    return scores, latencies


def timed(run, *arguments):
    started = time.monotonic()
    scores, latencies = run(*arguments)
    return scores, latencies, time.monotonic() - started


def main():
    if len(sys.argv) not in (3, 4, 5):
        sys.exit("usage: scripts/bench/service.py PROGRAM SCORER [DOCUMENTS [ROUNDS]]")
    binary, scorer = program(sys.argv[1]), sys.argv[2]
    n, rounds = int((sys.argv + [2000])[3]), int((sys.argv + [0, 3])[4]) if len(sys.argv) > 4 else 3
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_texts(folder / "texts.csv", n, None)
        with (folder / "texts.csv").open(newline="") as file:
            texts = [row["full_text"] for row in csv.DictReader(file)]
        command = [binary, "serve", "--scorer", f"s={scorer}", "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().split("http://")[1].split("/")[0]
            measure(binary, scorer, folder, texts, address, rounds)
        finally:
            server.terminate()
            server.wait()


def measure(binary, scorer, folder, texts, address, rounds):
    n = len(texts)
    ways = {
        "a stream from one client": lambda: timed(stream, address, texts),
        f"{CLIENTS} clients, lists of 16": lambda: timed(clients, address, texts, 16),
        f"{CLIENTS} clients, single texts": lambda: timed(clients, address, texts, 1),
    }
    rates, latencies, worst = {way: [] for way in ways}, {way: [] for way in ways}, 0.0
    command = []
    for _ in range(rounds):
        _, load = score(binary, scorer, folder, texts[:1])
        expected, seconds = score(binary, scorer, folder, texts)
        command.append(n / (seconds - load))
        for way, run in ways.items():
            scores, took, seconds = run()
            worst = max(worst, max(abs(a - b) for a, b in zip(scores, expected, strict=True)))
            rates[way].append((n / seconds, n / seconds / command[-1]))
            latencies[way] += took
    assert worst < GROUPING, f"a score differs by {worst}"
    print("| | Documents/s | Relative to `score` | Median, ms | 99 %, ms |\n|---|---:|---:|---:|---:|")
    print(f"| `score` | {statistics.median(command):,.0f} | 1 | | |")
    for way in ways:
        rate = statistics.median(rate for rate, _ in rates[way])
        shares = sorted(share for _, share in rates[way])
        ratio = f"{statistics.median(shares):.2f} ({shares[0]:.2f} to {shares[-1]:.2f})"
        took = sorted(latencies[way])
        at = [f"{1000 * took[int(share * (len(took) - 1))]:.0f}" if took else "" for share in (0.5, 0.99)]
        print(f"| {way} | {rate:,.0f} | {ratio} | {at[0]} | {at[1]} |")
    print(f"\n{n} documents, {rounds} rounds; scores differ by {worst:.1e} at most")


if __name__ == "__main__":
    main()
