#!/usr/bin/env python3
"""Runs the demo sweep on a real HyperQueue, from the job file that `sweep --engine hyperqueue` writes.

    python3 scripts/hyperqueue_check.py [PROGRAM]

HyperQueue's server and a worker run in this process, from its package on PyPI (9 MB, into a virtual environment in
${XDG_CACHE_HOME:-~/.cache}/pair2score/hyperqueue). The package has no `hq`, so the job file is read here, which knows
only the keys that HyperQueue documents. One task of the first submission is killed; the second submission must have what
is left, and after it the sweep must have nothing to do. Exit code 1 when that is not so. Without a network on the first
run it says so and ends with 0.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

import environment

TASK_KEYS = {"id", "command", "cwd", "stdout", "stderr", "deps"}


def skip():
    print("skipped: HyperQueue cannot be installed; is there a network?")
    sys.exit(0)


def fail(message):
    print(f"failed: {message}", file=sys.stderr)
    sys.exit(1)


def job_of(file):
    """The job of a job definition file."""
    from hyperqueue import Job

    definition = tomllib.loads(file.read_text())
    if extra := definition.keys() - {"name", "task"}:
        fail(f"{file}: not keys of a job: {extra}")
    job = Job(name=definition["name"], max_fails=None)
    tasks = {}
    for task in definition["task"]:
        if task.keys() != TASK_KEYS:
            fail(f"{file}: keys of a task: {sorted(task)}")
        tasks[task["id"]] = job.program(
            task["command"],
            cwd=task["cwd"],
            stdout=task["stdout"],
            stderr=task["stderr"],
            deps=[tasks[number] for number in task["deps"]],
        )
    return job, len(tasks)


def kill_one(folder, enough):
    """Kills a task of the sweep in this folder once a stage 1 has saved something to go on from."""
    while not enough.is_set():
        saved = any(folder.glob("checkpoints/sweep_demo/stage1/*/relative/training/step_*.safetensors"))
        for process in Path("/proc").glob("[0-9]*") if saved else ():
            try:
                if os.readlink(process / "cwd") == str(folder) and b"--task" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
                    return
            except OSError:
                # Ended meanwhile, or not ours.
                continue
        time.sleep(0.05)


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", environment.CACHE / "target"))
    program = Path(sys.argv[1] if len(sys.argv) > 1 else target / "debug/pair2score").resolve()
    if not program.is_file():
        fail(f"{program} is no program; build it with cargo build -p pair2score-cli")
    from hyperqueue import LocalCluster
    from hyperqueue.client import FailedJobsException
    from hyperqueue.cluster import WorkerConfig

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        for name in ("configs", "data"):
            (folder / name).symlink_to(environment.ROOT / name)
        settings = ["model.max_length=24", "stage2_absolute.training.epochs=1", "pipeline.checkpoint_every=5"]
        sweep = [program, "sweep", "configs/sweeps/demo.yaml", "--device", "cpu"]
        sweep += [word for setting in settings for word in ("--set", setting)]

        def submit(client, expect_failure):
            emit = [*sweep, "--engine", "hyperqueue", "--emit", "scripts"]
            subprocess.run(emit, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            files = list((folder / "scripts").rglob("tasks.toml"))
            job, count = job_of(files[0])
            print(f"submits {count} tasks")
            submitted = client.submit(job)
            try:
                client.wait_for_jobs([submitted])
                failed = False
            except FailedJobsException as error:
                print(str(error).strip().splitlines()[0])
                failed = True
            if failed != expect_failure:
                fail("a task was killed and nothing failed" if expect_failure else "a task failed")

        def left():
            shown = subprocess.run([*sweep, "--dry-run"], cwd=folder, check=True, capture_output=True, text=True).stdout
            return next(line for line in shown.splitlines() if line.endswith("tasks to do"))

        with LocalCluster() as cluster:
            cluster.start_worker(WorkerConfig(cores=os.cpu_count()))
            client = cluster.client()
            enough = threading.Event()
            threading.Thread(target=kill_one, args=(folder, enough), daemon=True).start()
            submit(client, expect_failure=True)
            enough.set()
            print(left())
            if left().startswith("0 of"):
                fail("a task was killed, and nothing is left")
            submit(client, expect_failure=False)
            print(left())
            if not left().startswith("0 of"):
                fail("the second submission did not complete the sweep")
        table = subprocess.run(sweep, cwd=folder, check=True, capture_output=True, text=True)
        print(table.stdout.strip())


if __name__ == "__main__":
    environment.enter("hyperqueue", "hyperqueue_requirements.txt", failed=skip)
    main()
