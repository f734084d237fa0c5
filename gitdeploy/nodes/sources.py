"""Where this machine gets packages from, for nodes that run on it: mirrors, proxies, certificates; pure but for `read`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Refused

ACQUIRE = re.compile(r"Acquire::(http|https|Check-|Retries|Languages)")
"""What of apt's configuration has to do with how it gets packages."""
COPIED = (
    "/etc/apt/auth.conf", "/etc/apt/auth.conf.d", "/etc/pip.conf", "/etc/xdg/pip", "/usr/local/share/ca-certificates",
    "/etc/ssl/certs/ca-certificates.crt",
)  # fmt: skip
"""Files and directories of this machine that nodes get, too: passwords of mirrors, pip's settings, certificates."""


@dataclass(frozen=True)
class Sources:
    """`archive` and `security` are mirrors; `apt` are lines of apt.conf(5)."""

    archive: str
    security: str
    apt: tuple[str, ...] = ()

    def proxy(self) -> str | None:
        """The proxy for http, which programs other than apt take from the environment."""
        for line in self.apt:
            if match := re.fullmatch(r'Acquire::http::Proxy "(\S+)";', line):
                return None if match[1] == "DIRECT" else match[1]
        return None

    def list(self, suite: str) -> str:
        """The file /etc/apt/sources.list of a node."""
        return (
            f"deb {self.archive} {suite} main\ndeb {self.archive} {suite}-updates main\n"
            f"deb {self.security} {suite}-security main\n"
        )


def entries(text: str) -> Iterable[tuple[str, str, Sequence[str]]]:
    """(address, suite, components) of a file in one of the two formats of sources.list(5)."""
    for line in text.splitlines():
        if match := re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+(.*)", line):
            yield match[1], match[2], match[3].split()
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        fields = {key.lower(): value.split() for key, _, value in (line.partition(":") for line in lines) if value}
        if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]:
            for address in fields.get("uris", ()):
                yield from ((address, suite, fields.get("components", ())) for suite in fields.get("suites", ()))


def mirrors(texts: Iterable[str]) -> tuple[str, str]:
    """The mirrors of Debian's archive and of its security updates that files of sources.list(5) name; others are left out.

    Security updates that nobody names are looked for beside the archive, where mirrors have them. Raises Refused for no archive.
    """
    found = {"debian": "", "debian-security": ""}
    for text in texts:
        for address, _, components in entries(text):
            name = address.rstrip("/").rpartition("/")[2]
            if name in found and "main" in components and address.startswith(("http://", "https://")):
                found[name] = address.rstrip("/")
    if not found["debian"]:
        raise Refused("this machine names no mirror of Debian to make nodes from; write one into /etc/apt/sources.list")
    return found["debian"], found["debian-security"] or f"{found['debian']}-security"


def resolvers(texts: Iterable[str]) -> str:
    """The first resolv.conf(5) with a server that another machine can reach; one that is only for this machine is left out."""
    kept = ""
    for text in texts:
        kept = "".join(f"{line}\n" for line in text.splitlines() if not re.match(r"nameserver\s+(127\.|::1)", line))
        if "nameserver" in kept:
            return kept
    return kept


def read(apt_config: str, top: Path = Path("/")) -> Sources:
    """What is set on this machine; `apt_config` is what apt-config(8) dumps."""
    lists = [top / "etc/apt/sources.list", *sorted((top / "etc/apt/sources.list.d").glob("*.[ls]*"))]
    archive, security = mirrors(path.read_text(errors="replace") for path in lists if path.is_file())
    return Sources(archive, security, tuple(line for line in apt_config.splitlines() if ACQUIRE.match(line)))


def read_resolvers(top: Path = Path("/")) -> str:
    """The resolv.conf of a node."""
    paths = (top / "etc/resolv.conf", top / "run/systemd/resolve/resolv.conf")
    return resolvers(path.read_text(errors="replace") for path in paths if path.is_file())
