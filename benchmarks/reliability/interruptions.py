"""Signals and exceptions in the middle of work: nothing may go on behind the caller's back."""

from __future__ import annotations

from benchmarks.reliability.trial import Outcome, run_child

TASKS = {
    "handlers that raise, NumPy": ("gradients numpy", 3),
    "handlers that raise, compiled": ("gradients compiled", 3),
    "handlers that raise, compiler": ("compilations", 2),
    "handlers that raise, files": ("files", 3),
    "handlers that raise, Dask, NumPy": ("dask_arrays numpy", 2),
    "handlers that raise, Dask, compiled": ("dask_arrays compiled", 2),
    "Ctrl-C, NumPy": ("control_c numpy", 2),
    "Ctrl-C, compiled": ("control_c compiled", 2),
    "exceptions, NumPy": ("exceptions numpy", 1),
    "exceptions, compiled": ("exceptions compiled", 1),
    "exceptions, files": ("exceptions_in_files", 1),
    "exceptions, Dask": ("exceptions_in_dask numpy", 1),
}
"""Tasks of `interrupted`, with their shares of the count."""

ROUNDS = 40
"""Rounds of a process, of which there are as many as it takes: each is a life from the start."""


def run(count: int, seed: int) -> Outcome:
    """Interrupt so often in all; what came too late, after the call had ended, is not counted."""
    outcome = Outcome()
    shares = sum(share for _, share in TASKS.values())
    for name, (task, share) in TASKS.items():
        wanted, interrupted, life = -(-count * share // shares), 0, 0
        while interrupted < wanted and life < 20 + wanted:
            rounds = min(ROUNDS, 2 * (wanted - interrupted))
            done = run_child(
                "benchmarks.reliability.interrupted", *task.split(), rounds, 1000 * seed + life
            )
            life += 1
            if done.returncode:
                is_assertion = "AssertionError" in done.stderr and done.returncode == 1
                outcome.fail(f"{name}, seed {1000 * seed + life - 1}: status {done.returncode}: "
                             f"{done.stderr[-2000:]}", crashed=not is_assertion)  # fmt: skip
                interrupted += 1
                continue
            interrupted += int(done.stdout.split()[-1])
        outcome.tried += interrupted
        outcome.notes[name.partition(",")[0]] += interrupted
        if interrupted < wanted:
            outcome.fail(f"{name}: only {interrupted} of {wanted} came while a call was at work")
    return outcome
