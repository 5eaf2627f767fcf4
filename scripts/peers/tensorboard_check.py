#!/usr/bin/env python3
"""Reads the event files of runs with TensorBoard's own reader and compares them with their metrics.jsonl.

    python3 scripts/peers/tensorboard_check.py OUTPUT_DIR...      for example demo/outputs/*
    python3 scripts/peers/tensorboard_check.py --record FILE      writes the fixture of crates/train

Prints one row per run and stage: numbers compared. Exit code 1 when one differs, is missing or is one too many, 2 when a
run has no event files. TensorBoard (90 MB) goes into a virtual environment in the cache.
"""

import argparse
import json
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter  # noqa: E402


def as_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def reported(folder):
    """{stage: {(tag, step): value}} of the newest run in metrics.jsonl, in 32 bits as event files have them."""
    stages = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "run" in record:
            stages = {}
            continue
        stage, step = record.pop("stage"), record.pop("step")
        for key in ("epoch", "best", "seconds"):
            record.pop(key, None)
        numbers = {(tag, step): as_f32(value) for tag, value in record.items() if value is not None}
        stages.setdefault(stage, {}).update(numbers)
    return stages


def shown(folder):
    """The same as TensorBoard has it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        (tag, event.step): event.value
        for tag in accumulator.Tags()["scalars"]
        for event in accumulator.Scalars(tag)
    }


def check(folder):
    """Exit code for a run."""
    worst = 0
    stages = reported(folder)
    if not stages or not (folder / "tensorboard").is_dir():
        print(f"{folder}: no event files in tensorboard/")
        return 2
    for stage, expected in stages.items():
        found = shown(folder / "tensorboard" / stage)
        wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
        print(f"{folder} {stage}: {len(expected)} numbers, {len(wrong)} differ {sorted(wrong)[:5] if wrong else ''}")
        worst = max(worst, bool(wrong))
    return worst


def record(path):
    """Events with every kind of field and length, written by TensorBoard."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    def summary(**values):
        return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])

    events = [
        Event(wall_time=1_700_000_000.25, file_version="brain.Event:2"),
        Event(wall_time=1_700_000_001.5, step=301, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=1_700_000_002.0, step=400, summary=summary(loss=0.625, lr=0.0001)),
        Event(wall_time=1_700_000_003.0, step=5_000_000_000, summary=summary(**{"ein sehr langer Name für eine Zahl " * 5: -1.5})),
        Event(wall_time=1_700_000_004.0, summary=summary(val_qwk=0.0)),
    ]
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="FILE", type=Path)
    parser.add_argument("runs", nargs="*", metavar="OUTPUT_DIR", type=Path)
    args = parser.parse_args()
    if not args.record and not args.runs:
        parser.error("name the output folders of runs, or --record FILE")
    enter("tensorboard")
    if args.record:
        record(args.record)
    sys.exit(max((check(folder) for folder in args.runs), default=0))


if __name__ == "__main__":
    main()
