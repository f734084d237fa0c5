"""How a machine is, for `gitdeploy doctor`: what it would look at if it were asked what is wrong."""

from __future__ import annotations

import shutil
import time
from typing import Any, Dict

from buildless.node import facts, haproxy, nginx, releases, systemd
from buildless.node.layout import Layout


def status(layout: Layout) -> Dict[str, Any]:
    """In service or not, what failed, what is live and whether it runs, room on the disk, the clock, versions."""
    usage = shutil.disk_usage(layout.apps if layout.apps.is_dir() else layout.root)
    return {
        "in_service": layout.in_service.exists(),
        "failed_units": systemd.failed(),
        "live": live(layout),
        "disk": {"total": usage.total, **facts.free_space(layout.root / "srv")},
        "clock": time.time(),
        "setup": facts.first_line(layout.setup),
        "nginx_ok": nginx.is_well(layout),
        "haproxy_ok": haproxy.is_well(layout),
        "debian": facts.first_line(layout.root / "etc" / "debian_version"),
        "reboot_required": (layout.root / "run" / "reboot-required").exists(),
    }


def live(layout: Layout) -> Dict[str, Any]:
    """What is live of each app, and the state of its processes; ``files`` where there are none to run."""
    found = {}
    for key, record in releases.live_records(layout).items():
        serving = releases.serving(layout.app(key), record["release"])
        state = systemd.unit(key, serving).state if serving and record.get("runs") else "files"
        found[key] = {"release": record["release"], "commit": record["commit"], "process_state": state}
    return found
