"""Git: receiving a push (`receive`), reading what was pushed (`repository`, `inspect`), writing its tree to a directory (`stage`).

Nothing here knows what a deploy does: `receive` is handed an `Attempt` to ask before the ref moves and to tell after it moved.
"""
