"""The node's side of a deploy: verbs that the server calls, one at a time, over a pipe.

Read `__main__` (the loop), then `verbs` (what can be asked), then `layout`, `versions`, `releases` and `facts` (how it is done).
Runs with Debian's python3 and nothing else, as root on real nodes and as the server's own user for the embedded one.
"""
