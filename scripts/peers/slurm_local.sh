#!/usr/bin/env bash
# A real Slurm on this machine, for tests: scripts/peers/slurm_local.sh start|stop|installed
# Debian's slurm-wlm with munge (scripts/setup.sh installs them); controller and one node on loopback, everything it
# writes below the cache. Needs root. `start` prints the line that the shell needs to find it:
# eval "$(scripts/peers/slurm_local.sh start)"
set -euo pipefail
state=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score/slurm
export SLURM_CONF=$state/slurm.conf

installed() { command -v slurmctld >/dev/null && command -v munged >/dev/null; }

configure() {
    mkdir -p "$state"/{state,spool,log,munge}
    chmod 700 "$state/munge"
    if [ ! -f "$state/munge/key" ]; then
        (umask 077 && head -c 1024 /dev/urandom >"$state/munge/key")
    fi
    local host
    host=$(hostname -s)
    # Ports of their own, so that a Slurm that is here already is not disturbed.
    cat >"$SLURM_CONF" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$state/state
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
# Without control groups, which containers do not give.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=10
MinJobAge=60
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

running() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

start() {
    [ "$(id -u)" = 0 ] || { echo "error: starting Slurm needs root" >&2; exit 2; }
    installed || { echo "error: Slurm is missing; scripts/setup.sh installs it" >&2; exit 2; }
    configure
    if ! running "$state/munge/pid"; then
        munged --key-file="$state/munge/key" --socket="$state/munge/socket" --pid-file="$state/munge/pid" \
            --log-file="$state/log/munged.log" --seed-file="$state/munge/seed" --force
    fi
    running "$state/slurmctld.pid" || slurmctld -c
    running "$state/slurmd.pid" || slurmd
    for _ in $(seq 240); do
        if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.5
    done
    echo "error: the node did not come up; see $state/log" >&2
    stop
    exit 2
}

stop() {
    local pid file
    for file in slurmd.pid slurmctld.pid munge/pid; do
        running "$state/$file" || continue
        pid=$(cat "$state/$file")
        kill "$pid"
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    done
}

case ${1:-} in
start) start ;;
stop) stop ;;
installed) installed ;;
*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac
