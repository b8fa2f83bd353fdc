#!/usr/bin/env bash
# up.sh - install (Debian/apt, root) and start a real SLURM cluster on loopback.
#
#   bash up.sh            # returns when the cluster takes jobs; idempotent
#   . $SLURM_CI_DIR/env.sh      # sets SLURM_CONF (the default /etc/slurm/slurm.conf is a link to it)
#   bash down.sh          # stops only what this script started (by pid)
#
# Knobs (environment): SLURM_CI_DIR, SLURM_CI_ACCT=1|0 (slurmdbd+MariaDB or none),
# SLURM_CI_NODES, SLURM_CI_CPUS, SLURM_CI_MEM (MB/node), SLURM_CI_GPUS (fake, per node),
# SLURM_CI_PORT (base port), SLURM_CI_NODE_TIMEOUT (s until a dead slurmd is DOWN).
set -euo pipefail

DIR=${SLURM_CI_DIR:-${TMPDIR:-/tmp}/slurm-ci}
ACCT=${SLURM_CI_ACCT:-1}
NODES=${SLURM_CI_NODES:-2}
CPUS=${SLURM_CI_CPUS:-2}
MEM=${SLURM_CI_MEM:-16000}
GPUS=${SLURM_CI_GPUS:-1}
PORT=${SLURM_CI_PORT:-16800}
NODE_TIMEOUT=${SLURM_CI_NODE_TIMEOUT:-20}
HOST=$(hostname -s)
T0=$(date +%s.%N)
say() { printf 'up %6.1fs  %s\n' "$(echo "$(date +%s.%N) $T0" | awk '{print $1-$2}')" "$*"; }
die() { say "FAILED: $*" >&2; for f in "$DIR"/log/*.log; do echo "--- $f" >&2; tail -n 15 "$f" >&2 || true; done; exit 1; }
[ "$(id -u)" = 0 ] || { echo "up.sh must run as root (slurmd needs it)" >&2; exit 1; }

# ---- 1. packages (no service is started: Debian's units/initscripts are not used) ----
PKGS="slurmctld slurmd slurm-client munge"
[ "$ACCT" = 1 ] && PKGS="$PKGS slurmdbd slurm-wlm-mysql-plugin mariadb-server"
missing=
for p in $PKGS; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing="$missing $p"
done
mkdir -p "$DIR"; chmod 755 "$DIR"
if [ -n "$missing" ]; then
  say "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # keep the packages from starting services of their own, without leaving a trace
  made_policy=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; made_policy=1
  fi
  rc=0
  { apt-get update && apt-get install -y --no-install-recommends $missing; } > "$DIR/apt.log" 2>&1 || rc=$?
  [ -z "$made_policy" ] || rm -f /usr/sbin/policy-rc.d
  [ $rc = 0 ] || { tail -20 "$DIR/apt.log" >&2; exit 1; }
  say "packages installed"
fi

# ---- 2. pid book-keeping: "name pid starttime"; a pid counts only with its start time ----
mkdir -p "$DIR"/{pids,log,etc,state,munge,spool}
chmod 755 "$DIR"/{etc,log,munge,spool}
starttime() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{print $20}'; }
alive() {  # alive NAME
  local pid st; [ -s "$DIR/pids/$1" ] || return 1
  read -r pid st < "$DIR/pids/$1"; [ -n "$st" ] && [ "$(starttime "$pid")" = "$st" ]
}
start() {  # start NAME CMD...   detached: own session, no inherited fds
  local name=$1; shift
  alive "$name" && return 0
  setsid "$@" </dev/null >>"$DIR/log/$name.out.log" 2>&1 9>&- &
  local pid=$!; sleep 0.05
  echo "$pid $(starttime "$pid")" > "$DIR/pids/$name"
  disown "$pid" 2>/dev/null || true
}
wait_for() {  # wait_for SECONDS WHAT CMD...
  local end=$(( $(date +%s) + $1 )) what=$2; shift 2
  while ! timeout 10 "$@" >"$DIR/log/wait.txt" 2>&1; do
    [ "$(date +%s)" -lt $end ] || { cat "$DIR/log/wait.txt" >&2; die "timeout: $what"; }; sleep 0.1; done
  say "$what: ready"
}
nodelist=$([ "$NODES" = 1 ] && echo n1 || echo "n[1-$NODES]")

# ---- 3. configuration (rewritten only when nothing is running) ----
running=0; for f in "$DIR"/pids/*; do [ -e "$f" ] && alive "$(basename "$f")" && running=1; done
if [ $running = 0 ]; then
  [ -s "$DIR/etc/munge.key" ] || { dd if=/dev/urandom of="$DIR/etc/munge.key" bs=1 count=1024 status=none; }
  chmod 400 "$DIR/etc/munge.key"; chown munge: "$DIR/etc/munge.key" "$DIR/munge"
  [ "$ACCT" = 1 ] && storage="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT+19))
AccountingStoragePass=$DIR/munge/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment" || storage="AccountingStorageType=accounting_storage/none"
  cat > "$DIR/etc/slurm.conf" <<CONF
ClusterName=ci
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$((PORT+17))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/spool/slurmctld.pid
SlurmdPidFile=$DIR/spool/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=5
JobAcctGatherParams=OverMemoryKill
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=$NODE_TIMEOUT
KillWait=3
MinJobAge=600
EnforcePartLimits=ALL
JobRequeue=1
$storage
$(for i in $(seq 1 "$NODES"); do echo "NodeName=n$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORT+100+i)) CPUs=$CPUS Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEM Gres=gpu:$GPUS Feature=kind$i State=UNKNOWN"; done)
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerCPU=100 State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE DefMemPerCPU=100 State=UP
CONF
  # fake GPUs: any existing device files do; with File= SLURM sets CUDA_VISIBLE_DEVICES
  cat > "$DIR/etc/gres.conf" <<CONF
AutoDetect=off
NodeName=$nodelist Name=gpu File=$([ "$GPUS" = 1 ] && echo /dev/tty0 || echo "/dev/tty[0-$((GPUS-1))]")
CONF
  printf 'CgroupAutomount=no\nConstrainCores=no\nConstrainDevices=no\nConstrainRAMSpace=no\n' > "$DIR/etc/cgroup.conf"
  cat > "$DIR/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.socket
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=$((PORT+19))
CommunicationParameters=NoInAddrAny
SlurmUser=root
LogFile=$DIR/log/slurmdbd.log
PidFile=$DIR/spool/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT+6))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
CONF
  chmod 600 "$DIR/etc/slurmdbd.conf"; chmod 644 "$DIR"/etc/{slurm,gres,cgroup}.conf
  printf 'export SLURM_CONF=%q\nexport SLURM_CI_DIR=%q\n' "$DIR/etc/slurm.conf" "$DIR" > "$DIR/env.sh"
fi
. "$DIR/env.sh"
# Snakemake's slurm-jobstep drops every SLURM_* variable, SLURM_CONF too, before its inner
# srun: without the default file every job dies ("Could not establish a configuration source").
if [ -L /etc/slurm/slurm.conf ] || [ ! -e /etc/slurm/slurm.conf ]; then
  ln -sfn "$DIR/etc/slurm.conf" /etc/slurm/slurm.conf
else
  say "WARNING: /etc/slurm/slurm.conf is a real file, left alone; Snakemake jobs will use it"
fi

# ---- 4. daemons ----
start munged setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --force \
  --key-file="$DIR/etc/munge.key" --socket="$DIR/munge/munge.socket" --pid-file="$DIR/munge/munged.pid" \
  --log-file="$DIR/munge/munged.log" --seed-file="$DIR/munge/munged.seed"
wait_for 20 munged sh -c "munge -n -S '$DIR/munge/munge.socket' | unmunge -S '$DIR/munge/munge.socket'"

if [ "$ACCT" = 1 ]; then
  if [ ! -d "$DIR/db/mysql" ]; then
    mkdir -p "$DIR/db"; chown mysql: "$DIR/db"; chmod 700 "$DIR/db"
    mariadb-install-db --no-defaults --user=mysql --datadir="$DIR/db" --skip-test-db > "$DIR/log/mariadb-install.log" 2>&1 || die mariadb-install-db
  fi
  mkdir -p "$DIR/dbrun"; chown mysql: "$DIR/dbrun"
  start mariadb mariadbd --no-defaults --user=mysql --datadir="$DIR/db" --socket="$DIR/dbrun/s.sock" \
    --bind-address=127.0.0.1 --port=$((PORT+6)) --pid-file="$DIR/dbrun/mariadb.pid" \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --skip-log-bin
  wait_for 60 mariadb mariadb-admin --no-defaults --socket="$DIR/dbrun/s.sock" ping
  mariadb --no-defaults --socket="$DIR/dbrun/s.sock" -e "CREATE DATABASE IF NOT EXISTS slurm_acct;
    CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct.* TO 'slurm'@'localhost';
    CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct.* TO 'slurm'@'127.0.0.1';"
  start slurmdbd env SLURM_CONF="$SLURM_CONF" slurmdbd -D
  wait_for 60 slurmdbd sacctmgr -n show cluster
  if [ -z "$(sacctmgr -nP list account ci format=account)" ]; then
    sacctmgr -i add cluster ci >/dev/null 2>&1 || true
    sacctmgr -i add account ci Description=ci Organization=ci cluster=ci >/dev/null
    sacctmgr -i add user root account=ci cluster=ci >/dev/null
  fi
fi

start slurmctld env SLURM_CONF="$SLURM_CONF" slurmctld -D -i
wait_for 30 slurmctld sh -c 'scontrol ping | grep -q "is UP"'
for i in $(seq 1 "$NODES"); do
  mkdir -p "$DIR/spool/n$i"
  start "slurmd.n$i" env SLURM_CONF="$SLURM_CONF" slurmd -D -N "n$i"
done
for n in $(seq -f 'n%g' 1 "$NODES"); do   # after an unclean stop a node may be DOWN/DRAIN
  sinfo -h -n "$n" -o %T | grep -qiE 'down|drain|fail' && scontrol update nodename="$n" state=resume 2>/dev/null || true
done
wait_for 60 "$NODES node(s)" sh -c "[ \"\$(sinfo -h -p main -N -o '%N %t' | grep -cE ' (idle|mix|alloc)\$')\" = $NODES ]"
wait_for 30 "srun on a node" srun -n1 -t1 --mem=50 hostname
say "cluster up: . $DIR/env.sh"
