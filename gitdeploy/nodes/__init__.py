"""The fleet: what a node is to the pipeline (`node`), and the embedded node (`embedded`, with its `supervisor` and `agent`)."""
