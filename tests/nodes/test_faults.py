"""What must be survived: a fault at every stage of a deploy to three nodes, under a constant load (docs/reliability.rst).

Each test holds a deploy in the middle of a stage, makes the fault, lets go, and looks at everything afterwards. The fault
is always the second node's, or the server's, or the pusher's.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..functional.session import Done, Running, eventually, remove
from . import holds
from .disk import Disk
from .machines import Machines, Node
from .shop import Shop, agents
from .visitors import Seen

# Where each stage is held: by the server, or on the second node in the middle of the work.
STAGES = {
    "receive": "pack",
    "stage": "pause before stage",
    "deliver": "rsync",
    "verify": "verify os.rename",
    "packages": "package",
    "boot": "boot",
    "check": "check",
    "commit": "pause moved",
    "switch": "activate os.rename",
    "retire": "prune os.listdir",  # what there is to prune depends on what was survived before
}
COMMITTED = ("commit", "switch", "retire")
FAULTS = ("server", "cut", "hang", "reboot", "disk", "agent", "pusher")
LONGER = 1.0  # seconds that the work on the node stands still when all is mended
GOES_ON = {("deliver", "agent"), ("receive", "agent"), ("stage", "agent")}
"""Where the push goes on: another agent is started when the next thing is asked."""
EITHER = {("receive", "reboot"), ("stage", "reboot"), ("boot", "disk"), ("check", "disk")}
"""Where it depends on whether the node is back in time, or needs to write anything more."""


@pytest.fixture(scope="module")
def three(machines: Machines, nodes: Callable[..., list[Node]]) -> Iterator[Shop]:
    """With two versions on three nodes, the second of which has a small disk."""
    three = nodes(3)
    disk = Disk(three[1])
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    made: Shop | None = None
    try:
        disk.make()
        holds.prepare(three)
        made = Shop(machines, three, top)
        for _ in range(3):
            made.commit()
            made.push().ok()
        made.settled()
        yield made
    finally:
        if made is not None:
            made.server.end()
        disk.close()
        remove(top)


@pytest.fixture
def shop(three: Shop) -> Iterator[Shop]:
    """The same for every test, whatever the one before left of it."""
    yield three
    node = three.nodes[1]
    Disk(node).free()
    for where in STAGES.values():
        holds.Hold(node, where).file.unlink(missing_ok=True)
    three.fault.unlink(missing_ok=True)
    three.pack.unlink(missing_ok=True)
    node.mend()
    if node.container.running():
        node.up()
    else:
        node.start()
    if three.server.process is None:
        three.start()


class Fault:
    """What happens to a deploy; `begin` makes it while the deploy is held, `end` mends it after the push has ended."""

    holds_on = True  # the work on the node stands still until all is mended
    away = False  # the node does not answer visitors

    def __init__(self, shop: Shop) -> None:
        self.shop, self.node = shop, shop.nodes[1]

    def begin(self, push: Running) -> None:
        raise NotImplementedError

    def end(self) -> None:
        pass


class ServerKilled(Fault):
    def begin(self, push: Running) -> None:
        self.shop.server.end(signal.SIGKILL)

    def end(self) -> None:
        self.shop.start()


class Cut(Fault):
    away, holds_on = True, False  # it goes on with what it is about, and nobody hears of it

    def begin(self, push: Running) -> None:
        self.node.cut()

    def end(self) -> None:
        self.node.mend()


class Hang(Fault):
    away = True

    def begin(self, push: Running) -> None:
        self.node.hang()

    def end(self) -> None:
        self.node.mend()


class Rebooted(Fault):
    away, holds_on = True, False

    def begin(self, push: Running) -> None:
        """By its plug: its processes end at once, for whoever looks from outside."""
        self.node.cut()
        self.node.power_off()
        self.node.mend()
        self.node.start()


class DiskFull(Fault):
    holds_on = False

    def begin(self, push: Running) -> None:
        Disk(self.node).fill()

    def end(self) -> None:
        Disk(self.node).free()


class AgentKilled(Fault):
    holds_on = False

    def begin(self, push: Running) -> None:
        for pid in agents(self.node):
            os.kill(pid, signal.SIGKILL)


class PusherGone(Fault):
    def begin(self, push: Running) -> None:
        if push.process.poll() is None:
            push.interrupt(signal.SIGKILL)
        time.sleep(0.5)


KINDS = {
    "server": ServerKilled, "cut": Cut, "hang": Hang, "reboot": Rebooted, "disk": DiskFull, "agent": AgentKilled,
    "pusher": PusherGone,
}  # fmt: skip


class Held:
    """A deploy that is to stand still in a stage, until `end`."""

    def __init__(self, shop: Shop, stage: str) -> None:
        where = STAGES[stage]
        self.on_node = where != "pack" and not where.startswith("pause")
        hold = holds.Hold(shop.nodes[1], where)
        here = shop.pack if where == "pack" else shop.fault
        self.file, self.reached = (hold.file, hold.reached) if self.on_node else (here, shop.reached)
        self.reached.unlink(missing_ok=True)
        self.file.write_text("" if self.on_node else where)

    def wait(self, push: Running) -> None:
        """Until it stands. The pusher does not wait for the last stage."""

        def ended() -> bool:
            return push.process.poll() not in (None, 0)

        eventually("it is held, or has failed", lambda: self.reached.exists() or ended(), 30)
        assert self.reached.exists(), push.seen

    def end(self) -> None:
        self.file.unlink(missing_ok=True)
        self.reached.unlink(missing_ok=True)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_is_survived(shop: Shop, stage: str, fault: str) -> None:
    node, broken, before = shop.nodes[1], KINDS[fault](shop), shop.ref()
    with shop.visitors() as visitors:
        number = shop.commit(f"fault-{FAULTS.index(fault) + 1}" if stage == "packages" else "")
        held = Held(shop, stage)
        with shop.pushing() as push:
            held.wait(push)
            broken.begin(push)
            if not held.on_node or not broken.holds_on or (stage in COMMITTED and fault == "pusher"):
                held.end()
            done = push.wait()
        broken.end()
        time.sleep(LONGER if broken.holds_on else 0)
        held.end()
        shop.settled()
        after = shop.ref()
    look_at_push(stage, fault, node, done, after == number)
    assert after == (number if goes_through(stage, fault, done) else before)
    for name, seen in visitors.seen.items():
        look_at_answers(name, seen, before, after, broken.away and name == node.name)
    shop.commit(f"fault-{FAULTS.index(fault) + 1}" if stage == "packages" else "")
    shop.push().ok()
    assert shop.ref() == shop.number
    assert shop.served() == dict.fromkeys(visitors.seen, shop.number)


@pytest.mark.parametrize("moment", ["yes, git too", "yes", "during activate", "after activate"])
def test_a_server_that_is_killed_about_the_commit_point(shop: Shop, moment: str) -> None:
    before = shop.ref()
    with shop.visitors() as visitors:
        number = shop.commit()
        shop.fault.write_text(f"kill {moment}")
        shop.push()
        shop.server.gone()
        shop.fault.unlink()
        shop.start()
        shop.settled()
        after = shop.ref()
    assert after == (before if moment == "yes, git too" else number)
    for name, seen in visitors.seen.items():
        look_at_answers(name, seen, before, after, away=False)
    shop.commit()
    shop.push().ok()
    assert shop.served() == dict.fromkeys(visitors.seen, shop.number)


def goes_through(stage: str, fault: str, done: Done) -> bool:
    if (stage, fault) in EITHER:
        return done.status == 0
    return stage in COMMITTED or (stage, fault) in GOES_ON


def look_at_push(stage: str, fault: str, node: Node, done: Done, moved: bool) -> None:
    """What the pusher is told agrees with what is."""
    if fault in ("server", "pusher"):
        return
    assert (done.status == 0) == moved, done.text
    if not moved:
        assert f"remote:  !     {node.name}" in done.text, done.text


def look_at_answers(name: str, seen: Seen, before: int, after: int, away: bool) -> None:
    """Every answer is of what was, or is, live, and never goes back to what was; only a node that was away may not answer."""
    assert not seen.wrong, (name, seen.wrong)
    assert away or not seen.away, (name, seen.away)
    assert seen.versions in ([before], [before, after], [after]), (name, seen)
    assert seen.versions[-1:] == [after], (name, seen)
