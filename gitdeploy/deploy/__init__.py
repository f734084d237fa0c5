"""The deploy: `pipeline` has it on one page; `gate` and `stages` decide, `commands` has the command lines.

`report` is what the pusher sees, `journal` what is kept of it, `queue` who waits for whom, `reconcile` what a restart finishes.
"""
