//! Slurm: an array of the tasks that wait for nothing, and arrays of those that wait for one of them each.
//!
//! Slurm lets the elements of an array wait for the elements of another that have the same number (`aftercorr`). So
//! the runs that start from a stage 1 have its number, one run of each stage 1 in one array: a handful of arrays
//! however large the sweep is, and no run waits for more than its own stage 1. Partition, time, memory and cards are
//! left to `SBATCH_*` variables, which `sbatch` reads.

use super::{SUBMIT, Script, Work};
use crate::shell;

/// The arrays and the script that submits them.
pub(crate) fn scripts(work: &Work<'_>) -> Vec<Script> {
    let ready: Vec<(usize, usize)> = work.ready().into_iter().enumerate().collect();
    let mut scripts = Vec::new();
    let mut submissions = Vec::new();
    for (number, tasks) in std::iter::once(ready).chain(work.waves()).enumerate() {
        if tasks.is_empty() {
            continue;
        }
        let name = if number == 0 { "ready.sbatch".to_owned() } else { format!("wave_{number}.sbatch") };
        let (variable, after) = match number {
            0 => ("ready=", ""),
            _ => ("", " --dependency=aftercorr:${ready%%;*} --kill-on-invalid-dep=yes"),
        };
        let submit = format!("sbatch --parsable{after} \"$here/{name}\"");
        submissions.push(match number {
            0 => format!(
                "{variable}$({submit})\necho \"submitted {} tasks as job ${{ready%%;*}}\"",
                tasks.len()
            ),
            _ => format!("wave=$({submit})\necho \"submitted {} tasks as job ${{wave%%;*}}\"", tasks.len()),
        });
        scripts.push((name, array(work, &tasks)));
    }
    scripts.push((SUBMIT.into(), submit_script(work, &submissions)));
    scripts
}

fn array(work: &Work<'_>, tasks: &[(usize, usize)]) -> String {
    let numbers: Vec<String> = tasks.iter().map(|(number, _)| number.to_string()).collect();
    let limit = work.jobs.map_or(String::new(), |jobs| format!("%{jobs}"));
    let logs = work.directory.join(&work.logs);
    let output = logs.join("slurm").join("%A_%a.out");
    format!(
        "#!/bin/sh\n\
         #SBATCH --job-name={name}\n\
         #SBATCH --array={numbers}{limit}\n\
         #SBATCH --output={output}\n\
         #SBATCH --requeue\n\
         {body}",
        name = work.name(),
        numbers = numbers.join(","),
        output = shell::quoted(&output.to_string_lossy()),
        body = task_of_number(work, "$SLURM_ARRAY_TASK_ID", tasks),
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
         exec \"${{PAIR2SCORE:-{program}}}\" {arguments} --task \"$task\"\n",
        directory = shell::quoted(&work.directory.to_string_lossy()),
        logs = shell::quoted(&logs.to_string_lossy()),
        program = work.program.to_string_lossy().replace(['"', '$', '`', '\\', '}'], "?"),
        arguments = shell::line(&work.arguments),
    )
}

fn submit_script(work: &Work<'_>, submissions: &[String]) -> String {
    format!(
        "#!/usr/bin/env bash\n\
         # Submits what is left of a sweep; WAIT=1 waits for it. SBATCH_PARTITION, SBATCH_TIMELIMIT, SBATCH_GRES and\n\
         # other variables that sbatch reads say where it runs.\n\
         set -euo pipefail\n\
         here=$(cd \"$(dirname \"${{BASH_SOURCE[0]}}\")\" && pwd)\n\
         command -v sbatch >/dev/null || {{ echo \"error: no sbatch here; run this where Slurm is\" >&2; exit 2; }}\n\
         mkdir -p {logs}\n\
         queued=$(squeue --noheader --name={name} --format=%F)\n\
         if [ -n \"$queued\" ]; then\n    \
             echo \"error: jobs of this sweep are in the queue (\" $queued \"); wait for them, or scancel --name={name}\" >&2\n    \
             exit 2\n\
         fi\n\
         {submissions}\n\
         [ -z \"${{WAIT:-}}\" ] || while [ -n \"$(squeue --noheader --name={name} --format=%F)\" ]; do sleep 2; done\n",
        logs = shell::quoted(&work.directory.join(&work.logs).join("slurm").to_string_lossy()),
        name = work.name(),
        submissions = submissions.join("\n"),
    )
}
