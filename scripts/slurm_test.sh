#!/usr/bin/env bash
# A sweep of 12 tiny runs on a real Slurm: scripts/slurm_test.sh [PROGRAM]
# A running job is killed, which leaves holes in the table; a second `sweep` fills them, and a third does nothing.
# Starts and stops Slurm (scripts/slurm_local.sh); exits with 0 and says so where Slurm cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
program=$(realpath "${1:-${CARGO_TARGET_DIR:-$cache/target}/debug/pair2score}")
[ "$(id -u)" = 0 ] || { echo "skipped: starting Slurm needs root"; exit 0; }
if ! scripts/slurm_local.sh installed && ! command -v apt-get >/dev/null; then
    echo "skipped: Slurm is not installed, and there is no apt-get to install it with"
    exit 0
fi
fail() { printf 'failed: %s\n' "$*" >&2; exit 1; }

scratch=$(mktemp -d)
clean() {
    scancel --user=root >/dev/null 2>&1 || true
    "$root/scripts/slurm_local.sh" stop
    rm -rf "$scratch"
}
environment=$(scripts/slurm_local.sh start) || { echo "skipped: Slurm does not start here"; exit 0; }
eval "$environment"
trap clean EXIT
ln -s "$root/configs" "$root/data" "$scratch"
cd "$scratch"
# Short texts and few epochs; a checkpoint every few steps, so that the job that is killed has something to go on from.
sweep=("$program" sweep configs/sweeps/demo.yaml --device cpu --set model.max_length=24
    --set stage2_absolute.training.epochs=1 --set pipeline.checkpoint_every=5)
scripts=outputs/sweep_demo/tasks/slurm

printf -- '-- a sweep, one of whose jobs is killed\n'
"${sweep[@]}" --engine slurm --wait >first.txt 2>first.err &
first=$!
saved() { ls checkpoints/sweep_demo/stage1/"$1"/relative/training/step_*.safetensors >/dev/null 2>&1; }
killed=""
while [ -z "$killed" ]; do
    kill -0 $first 2>/dev/null || { cat first.txt first.err >&2; fail "the sweep was over before a job was killed"; }
    while read -r job number; do
        task=$(sed -n "s/^ *$number) task=\(.*\) ;;/\1/p" $scripts/ready.sbatch)
        if saved "$task" && scancel --signal=KILL --full "${job}_$number"; then
            killed=$task
            break
        fi
    done < <(squeue --noheader --states=RUNNING --format='%F %K')
    sleep 0.1
done
echo "killed $killed"
for script in $scripts/*.sbatch; do
    sbatch --test-only "$script" 2>/dev/null || fail "$script: Slurm would not take it"
done
# While its jobs are in the queue, they are not submitted again.
if "${sweep[@]}" --engine slurm >twice.txt 2>&1; then fail "submitted what is in the queue"; fi
grep -q 'jobs of this sweep are in the queue' twice.txt || fail "$(cat twice.txt)"
wait $first || fail "$(cat first.err)"
cat first.txt
grep -q '1 of 2' first.txt || fail "a job was killed, and the table has no hole"

printf -- '\n-- the same command again\n'
"${sweep[@]}" --engine slurm --wait | tee second.txt
grep -q 'submitted 1 tasks' second.txt || fail "more or less than the killed task was submitted first"
if grep -q ' of 2' second.txt; then fail "the table is not complete"; fi
[ "$(wc -l <outputs/sweep_demo/runs.csv)" = 13 ] || fail "not twelve runs: $(cat outputs/sweep_demo/runs.csv)"
grep -rq 'relative: going on after step' outputs/sweep_demo/stage1/"$killed" || fail "$killed began anew"

printf -- '\n-- and again\n'
"${sweep[@]}" --engine slurm --wait | tee third.txt
if grep -q submitted third.txt; then fail "there was nothing to do"; fi
diff <(grep '^|' second.txt) <(grep '^|' third.txt) || fail "the tables differ"
echo "Slurm: 12 runs, 1 killed, completed by the second sweep"
