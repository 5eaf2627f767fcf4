#!/usr/bin/env python3
"""What calibration is worth on documents it was not fitted on, by the number of documents it was fitted on.

    python3 scripts/studies/calibration.py test_predictions.csv...

Each file's documents are divided at random thirty times into some to fit on and the rest to measure on; prints the mean
QWK of plain rounding, of rounding after the linear map, of the thresholds that maximise QWK, and of those drawn towards
the linear map as crates/train/src/calibrate/thresholds.rs does. Needs Python alone, and shares nothing with the program.
Grades are 1 to 5 by 0.5.
"""

import csv
import math
import random
import statistics
import sys

GRADES = 9
DOCUMENTS_LIKE_LINE = 300
DIVISIONS = 30


def nearest(score):
    return min(max(math.floor((score - 1) / 0.5 + 0.5), 0), GRADES - 1)


def kappa(a, b):
    n = len(a)
    observed = n * sum((x - y) ** 2 for x, y in zip(a, b))
    chance = n * (sum(x * x for x in a) + sum(y * y for y in b)) - 2 * sum(a) * sum(b)
    return 1 - observed / chance if chance else 0.0


def maximising(scores, labels, otherwise):
    """Thresholds with the highest kappa: ratios of sums by Dinkelbach's method, sums by dynamic programming."""
    groups = {}
    for score, label in zip(scores, labels):
        groups.setdefault(score, []).append(label)
    places = sorted(groups)
    n, total = len(labels), sum(labels)
    given, best, reached = {score: nearest(score) for score in places}, None, -math.inf
    while True:
        value = kappa(labels, [given[score] for score in scores])
        if value <= reached + 1e-12:
            break
        best, reached = given, value
        costs, before = [0.0] * GRADES, []
        for score in places:
            m, s = len(groups[score]), sum(groups[score])
            cheapest, previous = 0, []
            for grade in range(GRADES):
                cheapest = grade if costs[grade] < costs[cheapest] else cheapest
                previous.append(cheapest)
            chance = [n * m * g * g - 2 * total * m * g for g in range(GRADES)]
            costs = [
                costs[previous[g]] + n * (m * g * g - 2 * g * s) - (1 - value) * chance[g] for g in range(GRADES)
            ]
            before.append(previous)
        grade, given = min(range(GRADES), key=lambda g: costs[g]), {}
        for score, previous in zip(reversed(places), reversed(before)):
            given[score], grade = grade, previous[grade]
    thresholds = []
    for lower, threshold in enumerate(otherwise):
        below = [score for score in places if best[score] <= lower]
        above = [score for score in places if best[score] > lower]
        if not below:
            thresholds.append(min(threshold, above[0]))
        elif not above:
            thresholds.append(max(threshold, math.nextafter(below[-1], math.inf)))
        else:
            thresholds.append((below[-1] + above[0]) / 2)
    return thresholds


def divide(documents, size, seed):
    """Kappa of each way on the documents that it was not fitted on."""
    documents = documents[:]
    random.Random(seed).shuffle(documents)
    labels, scores = zip(*documents[:size])
    truth, unseen = zip(*documents[size:])
    slope = statistics.pstdev(labels) / statistics.pstdev(scores)
    shift = statistics.mean(labels) - slope * statistics.mean(scores)
    line = [(1.25 + 0.5 * k - shift) / slope for k in range(GRADES - 1)]
    best = maximising(scores, [nearest(label) for label in labels], line)
    weight = size / (size + DOCUMENTS_LIKE_LINE)
    drawn = [a + weight * (b - a) for a, b in zip(line, best)]
    truth = [nearest(label) for label in truth]
    by = lambda thresholds: [sum(score >= threshold for threshold in thresholds) for score in unseen]
    return [kappa(truth, grades) for grades in ([nearest(s) for s in unseen], by(line), by(best), by(drawn))]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("| fitted on | plain | linear | maximising | drawn |\n|---:|---:|---:|---:|---:|")
    files = []
    for name in sys.argv[1:]:
        with open(name, newline="") as file:
            files.append([(float(row["label"]), float(row["score"])) for row in csv.DictReader(file)])
    for size in (50, 100, 160, 250):
        rows = [divide(documents, size, seed) for documents in files for seed in range(DIVISIONS)]
        means = [statistics.mean(column) for column in zip(*rows)]
        print(f"| {size} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
