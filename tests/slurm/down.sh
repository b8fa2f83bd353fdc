#!/usr/bin/env bash
# down.sh - stop the cluster that up.sh started: only its recorded pids
# (pid + start time must both match).  SLURM_CI_PURGE=1 also removes its directory.
set -uo pipefail
DIR=${SLURM_CI_DIR:-${TMPDIR:-/tmp}/slurm-ci}
[ -d "$DIR/pids" ] || { echo "down: nothing at $DIR"; exit 0; }
starttime() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{print $20}'; }
stop() {
  local f="$DIR/pids/$1" pid st n=100; [ -s "$f" ] || return 0
  read -r pid st < "$f"
  if [ -n "$st" ] && [ "$(starttime "$pid")" = "$st" ]; then
    kill -TERM "$pid" 2>/dev/null
    while [ "$(starttime "$pid")" = "$st" ] && [ "$(awk '/^State/{print $2}' "/proc/$pid/status" 2>/dev/null)" != Z ]; do
      n=$((n-1)); [ $n -gt 0 ] || { kill -KILL "$pid"; break; }; sleep 0.1; done
    echo "down: stopped $1 ($pid)"
  fi
  rm -f "$f"
}
if [ -r "$DIR/env.sh" ] && . "$DIR/env.sh" && timeout 10 scontrol ping 2>/dev/null | grep -q 'is UP'; then
  ids=$(timeout 10 squeue -h -o %A | sort -u)      # end the jobs, so that no slurmstepd is left over
  [ -z "$ids" ] || { timeout 20 scancel $ids; for _ in $(seq 100); do [ -z "$(timeout 5 squeue -h)" ] && break; sleep 0.2; done; }
fi
for f in "$DIR"/pids/slurmd.*; do [ -e "$f" ] && stop "$(basename "$f")"; done
for d in slurmctld slurmdbd mariadb munged; do stop $d; done
[ "$(readlink /etc/slurm/slurm.conf 2>/dev/null)" = "$DIR/etc/slurm.conf" ] && rm -f /etc/slurm/slurm.conf
[ "${SLURM_CI_PURGE:-0}" = 1 ] && case $DIR in /|/tmp|/root|"") ;; *) rm -rf -- "$DIR";; esac
exit 0
