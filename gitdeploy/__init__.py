"""gitdeploy: a git-push deploy server for Debian machines.

The way of a push, in the order to read it:

1. `cli`, `server`    the command line, and the one place where all parts are made and handed to each other
2. `ssh/endpoint`     key -> user; `ssh/session` takes one command, `ssh/git` starts git for a push
3. `git/receive`      ``git receive-pack`` as a child; its hooks (hooks/) ask us before and tell us after the ref moves
4. `deploy/pipeline`  the deploy on one page; `deploy/onnodes` does it on all nodes, `deploy/onnode` on one, `deploy/stages` decides
5. `nodes/node`       what a deploy may ask of a node, over a session with it: `nodes/machine` is one over ssh,
                      `nodes/embedded` this machine, where `nodes/supervisor` runs each process of a `nodes/crew`;
                      `nodes/agent` talks to `buildless.node`
6. `web/front`        what browsers see of the embedded node; machines have nginx

Beside it: `runner` starts every process, `names` checks every name from outside, `deploy/reconcile` is what a restart of the server
or the return of a node does, `local/` are the commands that make machines (`nodes/cloud`) and set them up (`nodes/setup`),
`develop/` those for whoever writes an application; `deploy/content` is what a push and ``gitdeploy check`` have in common.
The node's side of a deploy, and what an application is, is the package `buildless`, which never imports this one.
"""

__version__ = "0.1.0"
