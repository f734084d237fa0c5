"""gitdeploy: a git-push deploy server for Debian machines.

The way of a push, in the order to read it:

1. `cli`, `server`    the command line, and the one place where all parts are made and handed to each other
2. `ssh/endpoint`     key -> user; `ssh/session` takes one command, `ssh/git` starts git for a push
3. `git/receive`      ``git receive-pack`` as a child; its hooks (hooks/) ask us before and tell us after the ref moves
4. `deploy/pipeline`  the deploy on one page; `deploy/onnode` is a node's part in it, `deploy/stages` decides
5. `nodes/embedded`   the node on this machine: `nodes/agent` talks to `buildless.node`, `nodes/supervisor` runs the app
6. `web/front`        what browsers see

Beside it: `runner` starts every process, `names` checks every name from outside, `deploy/reconcile` is what a restart does.
The node's side of a deploy, and what an application is, is the package `buildless`, which never imports this one.
"""

__version__ = "0.1.0"
