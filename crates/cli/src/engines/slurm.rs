//! Slurm: an array of the tasks that wait for nothing, and arrays of those that wait for one of them each.
//!
//! Slurm lets the elements of an array wait for the elements of another that have the same number (`aftercorr`). So
//! the runs that start from a stage 1 have its number, one run of each stage 1 in one array: a handful of arrays
//! however large the sweep is, and no run waits for more than its own stage 1. An array ends where Slurm's
//! configuration says so (`MaxArraySize`), and the next begins with the number after it. Partition, time, memory and
//! cards are left to `SBATCH_*` variables, which `sbatch` reads.

use super::{SUBMIT, Script, Work};
use crate::shell;

/// The arrays and the script that submits them.
pub(crate) fn scripts(work: &Work<'_>) -> Vec<Script> {
    let ready: Vec<(usize, usize)> = work.ready().into_iter().enumerate().collect();
    let n_ready = ready.len();
    let mut scripts = Vec::new();
    let mut submissions = String::new();
    for (wave, tasks) in std::iter::once(ready).chain(work.waves()).enumerate() {
        if tasks.is_empty() {
            continue;
        }
        let numbers: Vec<String> = tasks.iter().map(|(number, _)| number.to_string()).collect();
        let numbers = numbers.join(",");
        let name = if wave == 0 { "ready.sbatch".to_owned() } else { format!("wave_{wave}.sbatch") };
        submissions += &match wave {
            0 => format!("    submit {name} {numbers}\n    ready=$job\n"),
            _ => format!(
                "    submit {name} {numbers} --dependency=\"aftercorr:$ready\" --kill-on-invalid-dep=yes\n"
            ),
        };
        scripts.push((name, array(work, &tasks)));
    }
    scripts.push((SUBMIT.into(), submit_script(work, n_ready, &submissions)));
    scripts
}

/// A script whose first argument is added to the number of its element.
fn array(work: &Work<'_>, tasks: &[(usize, usize)]) -> String {
    let logs = work.directory.join(&work.logs);
    let output = logs.join("slurm").join("%A_%a.out");
    format!(
        "#!/bin/sh\n\
         #SBATCH --job-name={name}\n\
         #SBATCH --output={output}\n\
         #SBATCH --requeue\n\
         number=$((SLURM_ARRAY_TASK_ID + ${{1:-0}}))\n\
         {body}",
        name = work.name(),
        output = shell::quoted(&output.to_string_lossy()),
        body = task_of_number(work, "$number", tasks),
    )
}

/// Lines of a POSIX shell that run the task of a number, which log where its other engines do.
pub(super) fn task_of_number(work: &Work<'_>, number: &str, tasks: &[(usize, usize)]) -> String {
    let tasks = tasks.iter().map(|&(number, task)| (number, &work.graph.tasks[task].id));
    let cases: String = tasks.map(|(number, id)| format!("    {number}) task={id} ;;\n")).collect();
    let logs = work.directory.join(&work.logs);
    format!(
        "cd {directory} || exit 2\n\
         case {number} in\n{cases}    *) echo \"no task has number {number}\" >&2; exit 2 ;;\nesac\n\
         mkdir -p {logs} && exec >{logs}/\"$task\".log 2>&1 || exit 2\n\
         program={program}\n\
         exec \"${{PAIR2SCORE:-$program}}\" {arguments} --task \"$task\"\n",
        directory = shell::quoted(&work.directory.to_string_lossy()),
        logs = shell::quoted(&logs.to_string_lossy()),
        program = shell::quoted(&work.program.to_string_lossy()),
        arguments = shell::line(&work.arguments),
    )
}

fn submit_script(work: &Work<'_>, n_ready: usize, submissions: &str) -> String {
    format!(
        "#!/usr/bin/env bash\n\
         # Submits what is left of a sweep; WAIT=1 waits for it. SBATCH_PARTITION, SBATCH_TIMELIMIT, SBATCH_GRES and\n\
         # other variables that sbatch reads say where it runs.\n\
         name={name}\n\
         logs={logs}\n\
         limit={limit}\n\
         {SUBMIT_FUNCTIONS}\
         for ((first = 0; first < {n_ready}; first += size)); do\n\
         {submissions}\
         done\n\
         [ -z \"${{WAIT:-}}\" ] || while [ -n \"$(squeue --noheader --name=$name --format=%F)\" ]; do sleep 2; done\n",
        name = work.name(),
        logs = shell::quoted(&work.directory.join(&work.logs).join("slurm").to_string_lossy()),
        limit = work.jobs.map_or(String::new(), |jobs| format!("%{jobs}")),
    )
}

/// Checks what there is, and defines how a script is submitted.
const SUBMIT_FUNCTIONS: &str = r#"set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v sbatch >/dev/null || { echo "error: no sbatch here; run this where Slurm is" >&2; exit 2; }
mkdir -p "$logs"
queued=$(squeue --noheader --name=$name --format=%F)
if [ -n "$queued" ]; then
    echo "error: jobs of this sweep are in the queue (" $queued "); wait for them, or scancel --name=$name" >&2
    exit 2
fi
size=$(scontrol show config | awk '$1 == "MaxArraySize" { print $3 }')
[ "${size:-0}" -gt 0 ] || { echo "error: scontrol show config names no MaxArraySize above 0" >&2; exit 2; }

# submit SCRIPT NUMBERS [OPTION]...: those of the tasks with these numbers that the array from $first on holds.
submit() {
    local part
    part=$(tr , '\n' <<<"$2" | awk -v first="$first" -v size="$size" \
        '$1 >= first && $1 < first + size { printf "%s%d", comma, $1 - first; comma = "," }')
    [ -n "$part" ] || return 0
    job=$(sbatch --parsable --array="$part$limit" "${@:3}" "$here/$1" "$first")
    job=${job%%;*}
    echo "submitted $(tr , '\n' <<<"$part" | wc -l) tasks as job $job"
}
"#;
