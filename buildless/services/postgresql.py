"""postgresql: a database of the app's own in the PostgreSQL of the node."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Collection, Dict, Mapping, Tuple

from buildless.errors import NodeError
from buildless.node import accounts, renewal, tool
from buildless.node.sql import create_sql, drop_sql, extension_sql, identifier, open_sql, owner_sql, role_sql, swap_sql
from buildless.service import Account, Service, database, database_url, find

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout, Layout

PORT = 5432
CONFIGURATION = Path("/etc/postgresql")
EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,50}")


class Postgresql(Service):
    """Debian's own server, and its pg_hba.conf as it is: an app gets in with its password, over TCP, to its own database.

    ``extensions: [hstore]`` are those that PostgreSQL lets the owner of a database create.
    """

    debs: Tuple[str, ...] = ("postgresql",)
    variables = ("DATABASE_URL", "POSTGRESQL_URL")
    schemes = ("postgresql", "postgres")
    options = ("extensions",)
    port = PORT
    user = "postgres"
    trusted: Tuple[str, ...] = ()
    """Further extensions, which only the superuser can create."""

    def problem(self, options: Mapping[str, Tuple[str, ...]]) -> str | None:
        for name in options.get("extensions", ()):
            if not EXTENSION.fullmatch(name):
                return f"extensions: {name!r} is no name of an extension; write such as hstore"
            if name.startswith("postgis") and not self.trusted:
                return f"extensions: {name} is a service of its own; write postgis in place of postgresql"
        return None

    def url(self, account: Account) -> str:
        return database_url("postgresql", account, PORT)

    def told(self, url: str) -> Dict[str, str]:
        found = database("CONFIG_PG", url, self.schemes)
        rest = url.partition("://")[2]
        return {
            **found,
            "CONFIG_PG_USERNAME": found["CONFIG_PG_USER"],
            "CONFIG_PG_SQLALCHEMY": f"postgresql://{rest}",
            "DATABASE_URL": url,
        }

    def install(self, home: AppLayout, account: Account) -> int:
        listen(home.node, account)
        admit_all(account)
        psql("postgres", role_sql(account.name, account.password) + create_sql(account.name, account.name))
        self.extend(account, account.name)
        return 0

    def extend(self, account: Account, name: str, but: Collection[str] = ()) -> None:
        extensions = tuple(one for one in account.options.get("extensions", ()) if one not in but)
        psql(name, extension_sql(name, account.name, extensions, self.trusted))

    def check(self, home: AppLayout, account: Account) -> None:
        tool.run(("psql", *QUIET, "--command=SELECT 1", *target(account, account.name)), env=login(account))

    def dump(self, home: AppLayout, account: Account, out: BinaryIO) -> None:
        argv = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", *target(account, account.name))
        tool.read(argv, out, env=login(account), **home.node.owners.nobody())

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        """As the app, not as the superuser: a dump is SQL that somebody sends. What only he may do has been done before.

        It may have extensions that app.yaml does not name any more, and what is made of them.
        """
        new = f"{account.name}_0new"
        listed = pg_restore(home, dumped, "--list") if dumped is not None else ""
        known = {*EXTENSIONS.findall(listed)}
        if "postgis" in known and not self.trusted:
            psql("postgres", open_sql(account.name))  # a swap may have been interrupted
        if "postgis" in known and not self.trusted and psql(account.name, HAS_POSTGIS):
            find("postgis").load(home, account, dumped)
            return
        psql("postgres", drop_sql(new) + role_sql(account.name, account.password))
        if dumped is not None and self.are_in_public(home, dumped, listed):
            psql("postgres", create_sql(new, "postgres"))  # before its owner gets there
            psql(new, extension_sql(new, account.name, (), self.trusted, "public"))
            psql("postgres", owner_sql(new, account.name))
        psql("postgres", create_sql(new, account.name))
        own = (known & {*psql("postgres", TRUSTED).split()}) - {*self.trusted}
        self.extend(account, new, own)
        if dumped is not None:
            pg_restore(home, dumped, "--exit-on-error", "--no-owner", "--no-privileges", *target(account, new),
                       chosen=wanted(listed, self.trusted, own), env=login(account))  # fmt: skip

    def are_in_public(self, home: AppLayout, dumped: BinaryIO, listed: str) -> bool:
        """Whether a dump is of a database whose `trusted` extensions are in the schema public, as they once were made."""
        if not self.trusted:
            return False
        lines = [line for line in listed.splitlines() if " EXTENSION - " in line and " COMMENT - " not in line]
        made = pg_restore(home, dumped, "--file=-", chosen="".join(f"{line}\n" for line in lines)).splitlines()
        return all(f"CREATE EXTENSION IF NOT EXISTS {one} WITH SCHEMA public;" in made for one in self.trusted)

    def swap(self, home: AppLayout, account: Account) -> None:
        try:
            psql("postgres", swap_sql(account.name))
        except NodeError:
            psql("postgres", open_sql(account.name))
            raise

    def drop(self, home: AppLayout, account: Account) -> None:
        psql("postgres", drop_sql(f"{account.name}_0new") + drop_sql(f"{account.name}_0old"))

    def remove(self, home: AppLayout, account: Account) -> None:
        self.drop(home, account)
        role = identifier(account.name)
        psql("postgres", drop_sql(account.name))
        try:
            psql("postgres", f"DROP ROLE IF EXISTS {role};\n")
        except NodeError:  # somebody has given it a right to what is his, which is his to take back
            psql("postgres", f"ALTER ROLE {role} NOLOGIN PASSWORD NULL;\n")
        admit_all(replace(account, clients=()))


EXTENSIONS = re.compile(r"^\d+; 3079 \d+ EXTENSION - (\S+)", re.MULTILINE)
"""Their names, in what pg_restore lists."""

TRUSTED = "SELECT DISTINCT name FROM pg_available_extension_versions WHERE trusted;\n"
HAS_POSTGIS = "SELECT 'yes' FROM pg_extension WHERE extname = 'postgis';\n"
QUIET = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")


def psql(name: str, sql: str) -> str:
    """Have the superuser do something in a database, where names mean what they mean to PostgreSQL, whatever its owner has set."""
    user = pwd.getpwnam("postgres")
    who: Dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    options = {"PGOPTIONS": "-c search_path=pg_catalog"}
    return tool.run(("psql", *QUIET, f"--dbname={name}", "--file=-"), sql, env=options, **who)


def pg_restore(
    home: AppLayout, dumped: BinaryIO, *words: str, chosen: str | None = None, env: Mapping[str, str] = {}
) -> str:
    """What pg_restore writes about a dump, as nobody; with `chosen` it does only what these lines of its ``--list`` say."""
    nobody = home.node.owners.nobody()
    dumped.seek(0)
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile("w") as lines:
        if chosen is not None:
            lines.write(chosen)
            lines.flush()
            os.chmod(lines.name, 0o644)
            words = (*words, f"--use-list={lines.name}")
        tool.write(("pg_restore", *words), dumped, env=env, stdout=out, **nobody)
        out.seek(0)
        return out.read().decode("utf-8", "replace")


def target(account: Account, name: str) -> Tuple[str, ...]:
    return ("--host=127.0.0.1", f"--port={PORT}", "--no-password", f"--username={account.name}", f"--dbname={name}")


def login(account: Account) -> Dict[str, str]:
    return {"PGPASSWORD": account.password, "PGCONNECT_TIMEOUT": "10"}


def wanted(listed: str, trusted: Tuple[str, ...] = (), own: Collection[str] = ()) -> str:
    """The lines of ``pg_restore --list`` without what the database has before it is filled: extensions, schemas of trusted ones.

    Extensions that are its `own` the owner makes when he is there, in their order and in their schema.
    """
    names = "|".join(map(re.escape, trusted)) or "(?!)"
    there = re.compile(rf"\d+; \d+ \d+ ((EXTENSION|COMMENT - EXTENSION) |SCHEMA - ({names}) )")
    made = {
        match[0]
        for one in own
        for match in re.finditer(rf"^\d+; 3079 \d+ EXTENSION - {re.escape(one)}(?= |$).*$", listed, re.MULTILINE)
    }
    return "".join(f"{line}\n" for line in listed.splitlines() if line in made or not there.match(line))


def listen(layout: Layout, account: Account) -> None:
    """Have it listen for other nodes, too: from when nobody uses it yet, so that nobody is interrupted when an app needs that."""
    needed = account.host or not accounts.anybody(layout, "postgresql", "postgis")
    for top in sorted(CONFIGURATION.glob("*/main")):
        unit = f"postgresql@{top.parent.name}-main.service"
        files = (
            {top / "conf.d" / "gitdeploy.conf": "# Written by gitdeploy.\nlisten_addresses = '*'\n"} if needed else {}
        )
        if renewal.written(layout, unit, files):
            renewal.restart(layout, unit)


def admit_all(account: Account) -> None:
    """Have it know from which other nodes the app's user may come, and no more from those that it had before."""
    for top in sorted(CONFIGURATION.glob("*/main")):
        let_in(top / "pg_hba.conf", account)


def let_in(path: Path, account: Account) -> None:
    """Have pg_hba.conf say from where the app's user may come."""
    text = path.read_text(encoding="utf-8")
    wanted = admit(text, account)
    if wanted != text:
        new = path.with_name(".pg_hba.conf.new")
        new.touch(mode=0o640)
        shutil.copystat(path, new)
        os.chown(new, path.stat().st_uid, path.stat().st_gid)
        new.write_text(wanted, encoding="utf-8")
        new.replace(path)
        psql("postgres", "SELECT pg_reload_conf();\n")


def admit(text: str, account: Account) -> str:
    """pg_hba.conf with the lines of an account, in place of those that it had."""
    mark = f"# gitdeploy: {account.app}"
    kept = [line for line in text.splitlines() if not line.endswith(mark)]
    name = identifier(account.name)
    masks = [f"{one}/{ipaddress.ip_address(one).max_prefixlen}" for one in account.clients]
    return "".join(
        f"{line}\n" for line in [*kept, *(f"host {name} {name} {one} scram-sha-256 {mark}" for one in masks)]
    )


SERVICE = Postgresql()
