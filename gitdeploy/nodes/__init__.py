"""The fleet: what a node is to a deploy (`node`); machines over ssh (`machine`, `connection`) and the embedded node (`embedded`,
with its `supervisor`); what is known of machines (`fleet`); making (`creation`, `cloud`, `nspawn`),
starting and stopping (`power`) and setting them up (`setup`).
"""
