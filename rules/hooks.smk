"""What happens around a run: sharing this machine, what people and programs see, ending jobs that were left behind."""

import subprocess
import sys
import time

from pocketscope.runtime import gpus


def share_this_machine():
    """Let no more jobs run at once than there are GPUs and memory for; what the command line says goes first."""
    here = {"mem_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6}
    here["gpu"] = len(gpus.names()) if PLAN.gpus else 0
    for name, amount in here.items():
        if amount and name not in workflow.global_resources:
            workflow.register_resource(name, amount)


# A cluster, which has nodes, shares them out itself.
if workflow.is_main_process and workflow.resource_settings.nodes is None:
    share_this_machine()


def end_what_was_left():
    """Cancel the cluster's jobs that a main process left behind when it was killed: they would be made twice.

    They are known by the place of their logs in the results folder. Snakemake's own records forget a job's number when
    it begins.
    """
    if workflow.executor_plugin.name != "slurm":
        return
    logs = str(Path(".snakemake/slurm_logs").resolve())
    asked = ["squeue", "--me", "--noheader", "--Format=JobID:20,StdOut:4096"]
    queued = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    left = [line.split()[0] for line in queued if line[20:].startswith(f"{logs}/")]
    if left:
        print(f"cancelling jobs that an earlier run left behind: {', '.join(left)}", file=sys.stderr)
        subprocess.run(["scancel", *left], check=False)
    waiting = ["squeue", "--noheader", f"--jobs={','.join(left)}"]
    while left and subprocess.run(waiting, capture_output=True, check=False).stdout.strip():
        time.sleep(1)


def what_is_seen(settings, stream, events):
    """Return what follows this run, for the logger plugin: see `pocketscope.terminal.run.follow`."""
    from pocketscope.terminal.run import About, follow  # here: jobs read this file too, and follow nothing

    quiet = {kind.name.lower() for kind in settings.quiet or ()}
    about = About(
        study=LAYOUT.study,
        results=Path.cwd(),
        several=len(PLAN.all_splits()) > 1,
        slots=workflow.resource_settings.cores if workflow.resource_settings.nodes is None else None,
        targets=lambda: [rule.name for rule in workflow.rules if not rule.has_wildcards()],
        counts=lambda: workflow.dag.stats()[1],
        dry=settings.dryrun,
        verbose=settings.verbose,
    )
    return follow(about, stream, events, quiet=bool(quiet & {"all", "progress"}), color=not settings.nocolor)


def plugins():
    """Return the logger plugins that can follow a run of this checkout: one, where the profile or a user names it."""
    return [handler for handler in workflow.logger_manager.plugin_handlers if hasattr(handler, "follow")]


if workflow.is_main_process:
    for plugin in plugins():
        plugin.follow(what_is_seen)


def show_summary():
    """Print the study's table of F1 at the end of a run that nothing follows; one of a part alone may have none."""
    shipped = Path(LAYOUT.study).glob("ship/*/answers.csv")
    if not plugins() and (Path(LAYOUT.scores()).is_file() or any(shipped)):
        subprocess.run([sys.executable, "-m", "pocketscope", "summary", LAYOUT.study], check=False)
