"""The mail of apps on a machine: Debian's postfix, which knows the addresses of all of them, and a socket of systemd's for each.

postfix takes a message only if an app has its address (RCPT is refused otherwise), and keeps it until the app's command has it:
``transport_maps`` leads to the app, whose messages ``/usr/lib/gitdeploy/mail`` hands over (postman.py) to what systemd starts then.
Each app has a transport of its own in master.cf: only a transport's processes are limited for all of its messages together, as a
concurrency limit is one for each recipient (postconf(5), default_destination_concurrency_limit). So no app waits for another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

from buildless.errors import NodeError
from buildless.mail import LONGEST, both, expression, pattern
from buildless.node import releases, systemd, tool, units
from buildless.node.layout import AppLayout, Layout
from buildless.node.owners import user_name
from buildless.node.postman import USER
from buildless.node.services import alone
from buildless.node.templates import render
from buildless.node.writing import write

LARGEST = 25_000_000  # bytes of a message
AT_ONCE = 10
"""Messages that an app gets at the same time; others wait in the queue."""
SLACK = 60.0  # seconds more than a command may take
SERVICE = "postfix.service"
MARK = "# Written by gitdeploy, as long as this line stands here; changes are lost."


def planned(record: Mapping[str, Any]) -> List[str]:
    """The addresses and patterns that a record has. Raises NodeError."""
    try:
        return [pattern(to) for to in record.get("mail", ())]
    except ValueError as error:
        raise NodeError(f"{error}; deploy it again") from error


def claims(node: Layout) -> Dict[str, List[str]]:
    """The patterns of all apps, by the name of the app whose live release has them."""
    return {name: planned(record) for name, record in releases.live_records(node).items()}


def propose(home: AppLayout, record: Mapping[str, Any]) -> None:
    """Have a postfix that could take a release's mail, which it does not yet. Raises NodeError where that cannot be."""
    wanted = planned(record)
    if not wanted:
        return
    others = {name: taken for name, taken in claims(home.node).items() if name != home.name}
    for to in wanted:
        for name, taken in others.items():
            if common := next((one for one in taken if both(to, one)), None):
                raise NodeError(f"mail: {to} belongs to {name}, which has {common}; take it out of mail in app.yaml")
    set_up(home.node)


def install(home: AppLayout, record: Mapping[str, Any] | None) -> None:
    """Let postfix take what is for a release that was made live, and no more than that for its app; None: nothing any more."""
    wanted = planned(record) if record is not None else []
    path = home.node.units / socket(home)
    if record is not None and wanted:
        changed = units.put(texts(home, record))
        if changed:
            systemd.reload()
            systemd.ask("restart", path.name)
        systemd.ask("start", path.name)
        tell(home, wanted)
    elif path.exists():
        tell(home, [])
        systemd.quietly("stop", "--", path.name, systemd.message(home.name, "*"))
        for one in texts_of(home):
            one.unlink(missing_ok=True)
        systemd.reload()


def socket(home: AppLayout) -> str:
    return f"mail-{home.name}.socket"


def listening(home: AppLayout) -> List[str]:
    """The socket that is to be there, after the machine has started."""
    return [socket(home)] if (home.node.units / socket(home)).exists() else []


def texts_of(home: AppLayout) -> List[Path]:
    return [home.node.units / socket(home), home.node.units / systemd.message(home.name, "")]


def texts(home: AppLayout, record: Mapping[str, Any]) -> Dict[Path, str]:
    """The texts of an app's unit files, by where they belong."""
    memory = units.limits(home, record["web"])["memory"]
    told = {"app": home.name, "user": user_name(home.name), "memory": memory, "postman": USER}
    told.update(path=home.mail_socket, longest=f"{LONGEST + SLACK:g}")
    listens, starts = texts_of(home)
    return {
        listens: render("mail.socket", told, home.node.texts),
        starts: render("mail.service", told, home.node.texts),
    }


def set_up(node: Layout) -> None:
    """Have postfix run with our configuration. One that somebody else configured is not touched. Raises NodeError."""
    if not is_ours(node):
        raise NodeError(
            f"mail: postfix is configured by somebody else ({main(node)}); remove that file on the node, and `deb: postfix`"
            " from the app.yaml that brought it"
        )
    with alone(node):
        if configure(node, claims(node)) or not runs():
            tool.run(("postfix", "check"))
            systemd.reload()  # its units are made of its configuration
            systemd.ask("enable", "--quiet", SERVICE)
            systemd.ask("restart", SERVICE)
        if not runs():
            raise NodeError("postfix does not run; look on the node what it says: journalctl -u 'postfix*'")


def main(node: Layout) -> Path:
    return node.postfix / "main.cf"


def is_ours(node: Layout) -> bool:
    """Whether main.cf is written by us, or not there."""
    return not main(node).exists() or main(node).read_text(encoding="utf-8").startswith(MARK)


def runs() -> bool:
    """Whether postfix does."""
    try:
        tool.run(("postfix", "status"))
    except NodeError:
        return False
    return True


def tables(node: Layout) -> tuple[Path, Path]:
    """The files with the domains that apps have addresses in, and with these addresses."""
    return node.postfix / "gitdeploy-domains", node.postfix / "gitdeploy-recipients"


def configure(node: Layout, everybody: Mapping[str, List[str]]) -> bool:
    """Write all that postfix reads, for the patterns of apps by their names; says whether anything of it changed."""
    domains, recipients = tables(node)
    found = [(to, name) for name, patterns in sorted(everybody.items()) for to in patterns]
    names = sorted({to.rpartition("@")[2] for to, _ in found})
    told = {
        "mark": MARK, "domains": domains, "recipients": recipients, "largest": LARGEST, "longest": int(LONGEST + 2 * SLACK),
    }  # fmt: skip
    transports = {"mark": MARK, "postman": USER, "at_once": AT_ONCE, "apps": sorted({name for _, name in found})}
    changed = [
        write(main(node), render("main.cf", told, node.texts)),
        write(node.postfix / "master.cf", render("master.cf", transports, node.texts)),
        write(domains, f"{MARK}\n" + "".join(f"{name} mail\n" for name in names)),
        write(recipients, f"{MARK}\n" + "".join(f"/{expression(to)}/ gitdeploy-{name}:\n" for to, name in found)),
    ]
    return any(changed)


def tell(home: AppLayout, wanted: List[str]) -> None:
    """Let postfix know the addresses of all apps, of this one those that are wanted. It reads them anew, whoever wrote them."""
    with alone(home.node):
        if is_ours(home.node):
            configure(home.node, {**claims(home.node), home.name: wanted})
            if runs():  # it reads them when it starts
                tool.run(("postfix", "reload"))
