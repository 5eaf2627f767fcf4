//! Kubernetes: Indexed Jobs. A Job cannot wait for another, so there are two, one after the other.

use super::{SUBMIT, Script, Work, slurm};
use crate::shell;

/// The Jobs and the script that applies them.
pub(crate) fn scripts(work: &Work<'_>) -> Vec<Script> {
    let ready = work.ready();
    let waiting: Vec<usize> = work.waves().concat().into_iter().map(|(_, task)| task).collect();
    let mut scripts = Vec::new();
    let mut steps = Vec::new();
    for (name, tasks) in [("first", ready), ("second", waiting)] {
        if tasks.is_empty() {
            continue;
        }
        let job = format!("{}-{name}", name_of(work));
        steps.push(format!(
            "kubectl delete job {job} --ignore-not-found\n\
             kubectl apply -f \"$here/{name}.yaml\"\n\
             await {job}"
        ));
        scripts.push((format!("{name}.yaml"), manifest(work, &job, &tasks)));
    }
    let submit = format!(
        "#!/usr/bin/env bash\n\
         # Runs what is left of a sweep as Kubernetes Jobs. Before that, put your image, volume and resources into the\n\
         # YAML files.\n\
         logs={logs}\n\
         {AWAIT}\
         {steps}\n\
         [ -z \"$failed\" ] || {{ echo \"error: tasks failed in$failed; their logs are in $logs\" >&2; exit 1; }}\n",
        logs = shell::quoted(&work.directory.join(&work.logs).to_string_lossy()),
        steps = steps.join("\n"),
    );
    scripts.push((SUBMIT.into(), submit));
    scripts
}

/// Waits for a Job. One that fails does not end the script: what waits for other tasks can still run. A cluster that does
/// not answer for a while is asked again.
const AWAIT: &str = r#"set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
failed=

# await JOB: until each of its tasks has ended.
await() {
    local state
    while
        state=$(kubectl get job "$1" -o jsonpath='{.status.conditions[?(@.status=="True")].type}') || state=
        ! grep -qwE 'Complete|Failed' <<<"$state"
    do sleep 5; done
    grep -qw Complete <<<"$state" || failed="$failed $1"
}

"#;

/// A name of lower-case letters, digits and dashes, short enough for a Job.
fn name_of(work: &Work<'_>) -> String {
    let name = work.name().to_lowercase().replace('_', "-");
    let tail: String = name.chars().skip(name.len().saturating_sub(24)).collect();
    format!("pair2score-{}", tail.trim_matches('-'))
}

fn manifest(work: &Work<'_>, job: &str, tasks: &[usize]) -> String {
    let numbered: Vec<(usize, usize)> = tasks.iter().copied().enumerate().collect();
    let script = slurm::task_of_number(work, "$JOB_COMPLETION_INDEX", &numbered);
    let script: String = script.lines().map(|line| format!("              {line}\n")).collect();
    let directory = serde_json::Value::from(work.directory.to_string_lossy().as_ref());
    let n = tasks.len();
    let parallelism = work.jobs.map_or(n, |jobs| n.min(jobs as usize));
    format!(
        "apiVersion: batch/v1\n\
         kind: Job\n\
         metadata:\n  name: {job}\n\
         spec:\n  completionMode: Indexed\n  completions: {n}\n  parallelism: {parallelism}\n  \
         # A task is tried twice; one that fails ends no other (Kubernetes 1.29 or newer).\n  \
         backoffLimitPerIndex: 1\n  \
         template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: task\n          \
         # An image with the program; the volume holds plan, data and results under the path they have here.\n          \
         image: pair2score:latest\n          \
         env:\n            - {{name: PAIR2SCORE, value: pair2score}}\n          \
         resources:\n            requests: {{cpu: \"1\", memory: 4Gi}}\n          \
         volumeMounts:\n            - {{name: work, mountPath: {directory}}}\n          \
         command:\n            - /bin/sh\n            - -c\n            - |\n{script}      \
         volumes:\n        - name: work\n          persistentVolumeClaim:\n            claimName: pair2score\n"
    )
}
