#!/usr/bin/env python3
"""How many labels intervals hold, of all documents and of those with each label.

    scripts/studies/interval_coverage.py test_predictions.csv...
    scripts/studies/interval_coverage.py --divide 50 --scale 1,5,0.5 test_predictions.csv...

Without --divide these are the intervals that the runs wrote (low, high). With it, each file's documents are divided at
random so often into halves: intervals around the scores are fitted to one half, as docs/intervals.md says and as
crates/scorer/src/intervals.rs does, and measured on the other; a scale without steps has open ends (auto). Prints the
share of labels within, its deviation, least and most over files and divisions, and the mean width; then the same share
for each label, or on a continuous scale for each fifth of the labels. Needs Python alone, and shares nothing with the
program.
"""

import argparse
import csv
import math
import random
import statistics

LEVEL, FEWEST, PARTS = 0.9, 50, 20


def nearest(score, scale):
    """The score as near as a label can be."""
    return min(max(score, scale[0]), scale[1]) if len(scale) == 3 else score


def fitted(documents, scale):
    """Thresholds and half-widths for (label, score)."""
    low, high, *step = scale
    width = step[0] if step else (high - low) / PARTS
    first = low + width / 2 if step else low + width
    thresholds = [first + k * width for k in range(math.ceil((high - first) / width - 1e-9))]
    regions = [[] for _ in range(len(thresholds) + 1)]
    for label, score in documents:
        centre = nearest(score, scale)
        regions[sum(threshold <= centre for threshold in thresholds)].append(abs(label - centre))
    while len(regions) > 1 and min(map(len, regions)) < FEWEST:
        sizes = [len(region) for region in regions]
        least = sizes.index(min(sizes))
        neighbours = [place for place in (least - 1, least + 1) if 0 <= place < len(regions)]
        upper = max(least, min(neighbours, key=lambda place: sizes[place]))
        regions[upper - 1] += regions.pop(upper)
        thresholds.pop(upper - 1)
    ranks = [math.ceil((len(region) + 1) * LEVEL - 1e-9) for region in regions]
    return thresholds, [sorted(region)[rank - 1] for region, rank in zip(regions, ranks)]


def intervals(documents, thresholds, half_widths, scale):
    low, high, *step = scale
    for _, score in documents:
        centre = nearest(score, scale)
        half = half_widths[sum(threshold <= centre for threshold in thresholds)]
        ends = centre - half, centre + half
        if step:
            first, last = max(ends[0], low) - low, min(ends[1], high) - low
            grades = math.ceil(first / step[0] - 1e-6), math.floor(last / step[0] + 1e-6)
            if grades[0] > grades[1]:
                grades = (math.floor((centre - low) / step[0] + 0.5),) * 2
            ends = tuple(low + grade * step[0] for grade in grades)
        yield ends


def draws(options):
    """Labels with their intervals, once for each file, or for each division of each."""
    for name in options.files:
        with open(name, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not options.divide:
            if "low" not in rows[0]:
                raise SystemExit(f"{name}: has no intervals; train again, or give --divide")
            yield [tuple(float(row[key]) for key in ("label", "low", "high")) for row in rows]
        for seed in range(options.divide):
            documents = [(float(row["label"]), float(row["score"])) for row in rows]
            random.Random(seed).shuffle(documents)
            half = len(documents) // 2
            found = fitted(documents[:half], options.scale)
            unseen = documents[half:]
            yield [(label, *ends) for (label, _), ends in zip(unseen, intervals(unseen, *found, options.scale))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="test_predictions.csv")
    parser.add_argument("--divide", type=int, default=0, metavar="N")
    parser.add_argument("--scale", default="1,5,0.5", metavar="MIN,MAX[,STEP]")
    options = parser.parse_args()
    options.scale = [float(number) for number in options.scale.split(",")]
    held, widths, by_label = [], [], {}
    for documents in draws(options):
        within = [low - 1e-9 <= label <= high + 1e-9 for label, low, high in documents]
        held.append(statistics.mean(within))
        widths.append(statistics.mean(high - low for _, low, high in documents))
        for (label, _, _), is_held in zip(documents, within):
            by_label.setdefault(label, []).append(is_held)
    deviation = statistics.stdev(held) if len(held) > 1 else 0.0
    print("| draws | labels within | least | most | mean width |\n|---:|---:|---:|---:|---:|")
    print(f"| {len(held)} | {statistics.mean(held):.3f} ± {deviation:.3f} | {min(held):.3f} | {max(held):.3f} | {statistics.mean(widths):.3f} |")
    labels = sorted(by_label)
    groups = [[label] for label in labels]
    if len(labels) > PARTS:
        groups = [labels[len(labels) * k // 5 : len(labels) * (k + 1) // 5] for k in range(5)]
    print("\n| label | documents in a draw | within |\n|---|---:|---:|")
    for group in groups:
        within = [is_held for label in group for is_held in by_label[label]]
        name = f"{group[0]:g}" if len(group) == 1 else f"{group[0]:.2f} to {group[-1]:.2f}"
        print(f"| {name} | {len(within) / len(held):.1f} | {statistics.mean(within):.3f} |")


if __name__ == "__main__":
    main()
