#!/usr/bin/env python3
"""Table of what scripts/bench/steps.sh measured: tokens per second, the ratios of each round, peak memory."""

import collections
import json
import statistics
import sys

OURS, CAREFUL, PUBLISHED = "pair2score", "torch-careful", "torch-published"


def cell(values):
    median = statistics.median(values)
    return f"{median:.0f}" if len(values) == 1 else f"{median:.0f} ({min(values):.0f} to {max(values):.0f})"


def main():
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            runs[run["shape"], run["lengths"], run["work"]][run["who"]].append(run)
    print("| Shape, lengths, work | Ours | Careful | Published | Ours / careful | Ours / published "
          "| Share of peak | Peak MiB: ours, careful, published |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for key, by in runs.items():
        speed = {who: [run["tokens_per_second"] for run in by[who]] for who in by}

        def ratio(who):
            # Of the runs that took turns, not of the medians.
            pairs = list(zip(speed[OURS], speed.get(who, [])))
            return f"{statistics.median(a / b for a, b in pairs):.2f}" if pairs else "–"

        speeds = " | ".join(cell(speed[who]) if who in speed else "–" for who in (OURS, CAREFUL, PUBLISHED))
        memory = ", ".join(
            f"{max(run['peak_mib'] for run in by[who]):.0f}" if who in by else "–"
            for who in (OURS, CAREFUL, PUBLISHED)
        )
        share = statistics.median(run["share_of_peak"] for run in by[OURS])
        print(f"| {', '.join(key)} | {speeds} | {ratio(CAREFUL)} | {ratio(PUBLISHED)} | {100 * share:.0f} % "
              f"| {memory} |")


if __name__ == "__main__":
    main()
