#!/usr/bin/env python3
"""Tables of what scripts/bench/steps.sh measured: tokens per second and peak memory, and the ratios of each round."""

import collections
import json
import statistics
import sys

PEERS = {"torch-careful": "Careful", "torch-published": "Published"}
OURS = "pair2score"
# Which of ours is compared with which of theirs, or of ours.
RATIOS = [
    ((OURS, "f32"), ("torch-careful", "f32")), ((OURS, "f32"), ("torch-published", "f32")),
    ((OURS, "bf16"), ("torch-careful", "bf16")), ((OURS, "bf16"), (OURS, "f32")), ((OURS, "q8"), (OURS, "f32")),
]


def name(program):
    who, weights = program
    return f"{PEERS.get(who, 'Ours')} {weights}"


def cell(values):
    median = statistics.median(values)
    return f"{median:.0f}" if len(values) == 1 else f"{median:.0f} ({min(values):.0f} to {max(values):.0f})"


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|---" + "|---:" * (len(header) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main():
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            runs[run["shape"], run["lengths"], run["work"]][run["who"], run["weights"]].append(run)
    programs = sorted({program for by in runs.values() for program in by},
                      key=lambda program: (list(PEERS).index(program[0]) if program[0] in PEERS else -1,
                                           ["f32", "bf16", "q8"].index(program[1])))
    ratios = [pair for pair in RATIOS if set(pair) <= set(programs)]

    def of(by, program, value):
        return value(by[program]) if program in by else "–"

    print("Tokens per second:\n")
    table(["Shape, lengths, work", *map(name, programs), "Share of peak"],
          [[", ".join(key),
            *(of(by, program, lambda runs: cell([run["tokens_per_second"] for run in runs])) for program in programs),
            of(by, (OURS, "f32"),
               lambda runs: f"{100 * statistics.median(run['share_of_peak'] for run in runs):.0f} %")]
           for key, by in runs.items()])

    def ratio(by, one, other):
        # Of the runs that took turns, not of the medians.
        pairs = [(a["tokens_per_second"], b["tokens_per_second"]) for a, b in zip(by.get(one, []), by.get(other, []))]
        return f"{statistics.median(a / b for a, b in pairs):.2f}" if pairs else "–"

    print("\nRatios of the rounds, in the median:\n")
    table(["Shape, lengths, work", *(f"{name(one)} / {name(other)}" for one, other in ratios)],
          [[", ".join(key), *(ratio(by, one, other) for one, other in ratios)] for key, by in runs.items()])
    print("\nPeak MiB:\n")
    table(["Shape, lengths, work", *map(name, programs)],
          [[", ".join(key),
            *(of(by, program, lambda runs: f"{max(run['peak_mib'] for run in runs):.0f}") for program in programs)]
           for key, by in runs.items()])


if __name__ == "__main__":
    main()
