#!/usr/bin/env python3
"""Runs the demo sweep on a real engine, kills one of its tasks, and completes it with the same command again.

    python3 scripts/peers/killed_sweep.py slurm|hyperqueue [PROGRAM]

The first submission must end with what was killed left to do, the second must do that and nothing else, and go on from
the checkpoint that the killed task had saved; after it nothing is left. Exit code 1 when that is not so.

slurm: Debian's, started and stopped by scripts/peers/slurm_local.sh; needs root. hyperqueue: server and worker run in
this process, from its package on PyPI (9 MB, into a virtual environment in the cache). The package has no `hq`, so the
job file is read here, which knows only the keys that HyperQueue documents.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter, program  # noqa: E402

# Short texts and few epochs; a checkpoint every few steps, so that the task that is killed has something to go on from.
SETTINGS = ["model.max_length=24", "stage2_absolute.training.epochs=1", "pipeline.checkpoint_every=5"]
RUNS = 12


def fail(message):
    print(f"failed: {message}", file=sys.stderr)
    sys.exit(1)


class Sweep:
    """The demo sweep in a folder of its own."""

    def __init__(self, binary, folder):
        self.folder = folder
        for name in ("configs", "data"):
            (folder / name).symlink_to(ROOT / name)
        self.command = [binary, "sweep", "configs/sweeps/demo.yaml", "--device", "cpu"]
        self.command += [word for setting in SETTINGS for word in ("--set", setting)]

    def run(self, *options, check=True):
        """What the command prints."""
        done = subprocess.run([*self.command, *options], cwd=self.folder, capture_output=True, text=True)
        if check and done.returncode != 0:
            fail(f"{' '.join(options)}: {done.stderr}")
        return done.stdout + done.stderr

    def left(self):
        """Number of tasks that are still to do."""
        shown = self.run("--dry-run").splitlines()
        return int(next(line for line in shown if line.endswith("tasks to do")).split()[0])

    def kill_one(self, stop):
        """Kills a task once its stage 1 has saved something to go on from, and gives its name."""
        while not stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words = (process / "cmdline").read_bytes().decode().split("\0")
                    task = words[words.index("--task") + 1]
                    here = Path(os.readlink(process / "cwd")) == self.folder
                    saved = self.folder.glob(f"checkpoints/sweep_demo/stage1/{task}/relative/training/step_*.safetensors")
                    if here and any(saved):
                        os.kill(int(process.name), signal.SIGKILL)
                        return task
                except (OSError, ValueError):
                    # Ended meanwhile, or no task.
                    continue
            time.sleep(0.05)
        return None


class Slurm:
    """The sweep submits, waits and refuses to submit what is in the queue."""

    SERVICE = ROOT / "scripts/peers/slurm_local.sh"

    def __init__(self, sweep):
        self.sweep = sweep

    def __enter__(self):
        started = subprocess.run([self.SERVICE, "start"], stdout=subprocess.PIPE, text=True)
        if started.returncode != 0:
            fail("Slurm does not start")
        name, value = started.stdout.strip().removeprefix("export ").split("=", 1)
        os.environ[name] = value
        return self

    def __exit__(self, *_):
        subprocess.run(["scancel", "--user=root"], stderr=subprocess.DEVNULL)
        subprocess.run([self.SERVICE, "stop"], check=True)

    def submit(self):
        """Number of tasks that were submitted to run at once."""
        shown = self.sweep.run("--engine", "slurm", "--wait")
        submitted = [line for line in shown.splitlines() if line.startswith("submitted")]
        return int(submitted[0].split()[1]) if submitted else 0

    def while_running(self):
        for script in self.sweep.folder.glob("outputs/sweep_demo/tasks/slurm/*.sbatch"):
            if subprocess.run(["sbatch", "--test-only", script], capture_output=True).returncode != 0:
                fail(f"{script}: Slurm would not take it")
        if "jobs of this sweep are in the queue" not in self.sweep.run("--engine", "slurm", check=False):
            fail("submitted what is in the queue")


class HyperQueue:
    """The sweep writes a job file."""

    TASK_KEYS = {"id", "command", "cwd", "stdout", "stderr", "deps"}

    def __init__(self, sweep):
        self.sweep = sweep

    def __enter__(self):
        from hyperqueue import LocalCluster
        from hyperqueue.cluster import WorkerConfig

        self.cluster = LocalCluster().__enter__()
        self.cluster.start_worker(WorkerConfig(cores=os.cpu_count()))
        return self

    def __exit__(self, *error):
        self.cluster.__exit__(*error)

    def submit(self):
        """Number of tasks that were submitted to run at once."""
        from hyperqueue.client import FailedJobsException

        self.sweep.run("--engine", "hyperqueue", "--emit", "scripts")
        (file,) = (self.sweep.folder / "scripts").rglob("tasks.toml")
        job, ready = self.job_of(file)
        client = self.cluster.client()
        try:
            client.wait_for_jobs([client.submit(job)])
        except FailedJobsException as error:
            print(str(error).strip().splitlines()[0])
        return ready

    def job_of(self, file):
        """The job of a job definition file, and how many of its tasks wait for nothing."""
        from hyperqueue import Job

        definition = tomllib.loads(file.read_text())
        if extra := definition.keys() - {"name", "task"}:
            fail(f"{file}: not keys of a job: {extra}")
        job, tasks = Job(name=definition["name"], max_fails=None), {}
        for task in definition["task"]:
            if task.keys() != self.TASK_KEYS:
                fail(f"{file}: keys of a task: {sorted(task)}")
            streams = {key: task[key] for key in ("cwd", "stdout", "stderr")}
            deps = [tasks[number] for number in task["deps"]]
            tasks[task["id"]] = job.program(task["command"], deps=deps, **streams)
        return job, sum(not task["deps"] for task in definition["task"])

    def while_running(self):
        """Nothing: a job file is not submitted by the sweep."""


ENGINES = {"slurm": Slurm, "hyperqueue": HyperQueue}


def first_submission(engine, sweep):
    """Submits everything, kills one task, and gives its name."""
    killed, over = [], threading.Event()

    def kill():
        killed.append(sweep.kill_one(over))
        if killed[0]:
            print(f"killed {killed[0]}")
            engine.while_running()

    killer = threading.Thread(target=kill)
    killer.start()
    print(f"submitted {engine.submit()} tasks to run at once")
    over.set()
    killer.join()
    if not killed[0]:
        fail("the sweep was over before a task was killed")
    return killed[0]


def check(engine, sweep):
    killed = first_submission(engine, sweep)
    left = sweep.left()
    print(f"{left} tasks left")
    if left == 0:
        fail("a task was killed, and nothing is left")
    if (submitted := engine.submit()) != 1:
        fail(f"not the killed task alone was submitted to run at once, but {submitted}")
    if (left := sweep.left()) != 0:
        fail(f"the second submission left {left} tasks")
    logs = (sweep.folder / "outputs/sweep_demo/stage1" / killed).rglob("*")
    if not any("relative: going on after step" in log.read_text(errors="replace") for log in logs if log.is_file()):
        fail(f"{killed} began anew")
    table = sweep.run()
    rows = (sweep.folder / "outputs/sweep_demo/runs.csv").read_text().splitlines()
    if len(rows) != RUNS + 1 or " of 2" in table:
        fail(f"not {RUNS} runs:\n{table}")
    print(table.strip())


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ENGINES:
        sys.exit(__doc__)
    if sys.argv[1] == "hyperqueue":
        enter("hyperqueue")
    binary = program(*sys.argv[2:])
    with tempfile.TemporaryDirectory() as scratch:
        sweep = Sweep(binary, Path(scratch).resolve())
        with ENGINES[sys.argv[1]](sweep) as engine:
            check(engine, sweep)


if __name__ == "__main__":
    main()
