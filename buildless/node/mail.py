"""The mail of apps on a machine: Debian's postfix, which knows the addresses of all of them, and a socket of systemd's for each.

postfix takes a message only if an app has its address (RCPT is refused otherwise), and keeps it until the app's command has it:
``transport_maps`` leads to the app, whose messages ``/usr/lib/gitdeploy/mail`` hands over (postman.py) to what systemd starts then.
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
    main, domains, recipients = node.postfix / "main.cf", *tables(node)
    if main.exists() and not main.read_text(encoding="utf-8").startswith(MARK):
        raise NodeError(
            f"mail: postfix is configured by somebody else ({main}); remove that file on the node, and `deb: postfix`"
            " from the app.yaml that brought it"
        )
    told = {
        "mark": MARK, "domains": domains, "recipients": recipients, "postman": USER, "largest": LARGEST,
        "longest": int(LONGEST + 2 * SLACK),
    }  # fmt: skip
    with alone(node):
        for table in (domains, recipients):
            if not table.exists():
                write(table, f"{MARK}\n")
        changed = [write(node.postfix / name, render(name, told, node.texts)) for name in ("main.cf", "master.cf")]
        if any(changed) or not runs():
            tool.run(("postfix", "check"))
            systemd.reload()  # its units are made of its configuration
            systemd.ask("enable", "--quiet", SERVICE)
            systemd.ask("restart", SERVICE)
        if not runs():
            raise NodeError("postfix does not run; look on the node what it says: journalctl -u 'postfix*'")


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


def tell(home: AppLayout, wanted: List[str]) -> None:
    """Let postfix know the addresses of all apps, of this one those that are wanted. It reads them anew, whoever wrote them."""
    domains, recipients = tables(home.node)
    with alone(home.node):
        everybody = {**claims(home.node), home.name: wanted}
        found = [(to, name) for name, patterns in sorted(everybody.items()) for to in patterns]
        names = sorted({to.rpartition("@")[2] for to, _ in found})
        write(domains, f"{MARK}\n" + "".join(f"{name} mail\n" for name in names))
        write(recipients, f"{MARK}\n" + "".join(f"/{expression(to)}/ gitdeploy:{name}\n" for to, name in found))
        if runs():  # it reads them when it starts
            tool.run(("postfix", "reload"))
