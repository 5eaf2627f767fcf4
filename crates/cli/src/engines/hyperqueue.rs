//! HyperQueue: the graph as its job file, every task with what it waits for.

use std::collections::BTreeMap;

use super::{SUBMIT, Script, Work};
use crate::shell;

/// The job file and the script that submits it.
pub(crate) fn scripts(work: &Work<'_>) -> Vec<Script> {
    let left = work.left();
    let number: BTreeMap<usize, usize> =
        left.iter().enumerate().map(|(number, &task)| (task, number)).collect();
    let mut file = format!("name = {}\n", string(&work.name()));
    for &place in &left {
        let task = &work.graph.tasks[place];
        let mut command = vec![work.program.to_string_lossy().into_owned()];
        command.extend(work.arguments_of(task));
        let command: Vec<String> = command.iter().map(|word| string(word)).collect();
        let log = string(&work.directory.join(work.log_of(task)).to_string_lossy());
        let after: Vec<String> =
            task.after.iter().filter_map(|after| number.get(after)).map(usize::to_string).collect();
        file += &format!(
            "\n[[task]]\nid = {}\ncommand = [{}]\ncwd = {}\nstdout = {log}\nstderr = {}\ndeps = [{}]\n",
            number[&place],
            command.join(", "),
            string(&work.directory.to_string_lossy()),
            string(&work.directory.join(&work.logs).join(format!("{}.err", task.id)).to_string_lossy()),
            after.join(", "),
        );
    }
    let logs = shell::quoted(&work.directory.join(&work.logs).to_string_lossy());
    let submit = "#!/usr/bin/env bash\n\
         # Submits what is left of a sweep to a running HyperQueue server; WAIT=1 waits for it. A task asks for one\n\
         # core: add lines like `[[task.request]]` and `resources = { \"cpus\" = 4, \"gpus/nvidia\" = 1 }` for more.\n\
         set -euo pipefail\n\
         here=$(cd \"$(dirname \"${BASH_SOURCE[0]}\")\" && pwd)\n\
         command -v hq >/dev/null || { echo \"error: no hq here; install HyperQueue and start its server\" >&2; exit 2; }\n\
         mkdir -p LOGS\n\
         job=$(hq --output-mode=quiet job submit-file \"$here/tasks.toml\")\n\
         echo \"submitted as job $job\"\n\
         [ -z \"${WAIT:-}\" ] || hq job wait \"$job\"\n";
    vec![("tasks.toml".into(), file), (SUBMIT.into(), submit.replace("LOGS", &logs))]
}

/// A string of TOML: its escapes are those of JSON.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
