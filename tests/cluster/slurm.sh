#!/usr/bin/env bash
# A real Slurm of one node on loopback, for tests.    slurm.sh start DIR    slurm.sh stop DIR
# As root on Debian; `start` installs slurm-wlm and munge where they are missing, prints the line to evaluate
# (export SLURM_CONF=…), and `stop` ends what it started. No accounting: sacct does not work, squeue does.
set -euo pipefail
mkdir -p "$2"
dir=$(cd "$2" && pwd)

if [[ $1 == stop ]]; then
    export SLURM_CONF=$dir/slurm.conf
    scancel --signal=KILL --full --user=root || true  # or tasks would outlive their daemons
    for _ in $(seq 50); do [[ -z $(squeue -h 2>/dev/null) ]] && break; sleep 0.2; done
    for daemon in slurmd slurmctld munged; do
        if [[ -f $dir/$daemon.pid ]]; then kill "$(cat "$dir/$daemon.pid")" || true; fi
    done
    exit 0
fi

if ! command -v slurmctld >/dev/null; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >&2
fi
if ! munge -n </dev/null >/dev/null 2>&1; then
    install -d -o munge -g munge -m 755 /run/munge
    su -s /bin/sh munge -c "munged --force --pid-file=/run/munge/munged.pid" >&2
    for _ in $(seq 100); do munge -n </dev/null >/dev/null 2>&1 && break; sleep 0.1; done
    cp /run/munge/munged.pid "$dir/munged.pid"
fi
mkdir -p "$dir/state" "$dir/spool"
cat >"$dir/slurm.conf" <<CONF
ClusterName=harness
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-16827}
SlurmdPort=${SLURMD_PORT:-16828}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
JobRequeue=0
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=${SLURM_TEST_CPUS:-$(nproc)} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$dir/slurm.conf
trap '[[ $? == 0 ]] || bash "$0" stop "$dir"' EXIT  # what came up must not hold the ports
slurmctld -f "$SLURM_CONF" >&2
slurmd -f "$SLURM_CONF" -N localhost >&2
for _ in $(seq 150); do
    if sinfo -h -t idle -o %D 2>/dev/null | grep -q 1; then
        echo "export SLURM_CONF=$SLURM_CONF"
        exit 0
    fi
    sleep 0.2
done
echo "Slurm did not come up: see $dir/slurmctld.log and $dir/slurmd.log" >&2
exit 1
