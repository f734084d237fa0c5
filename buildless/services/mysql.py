"""mysql: a database of the app's own in the MariaDB of the node."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Dict, List, cast

from buildless.errors import NodeError
from buildless.node import accounts, renewal, tool
from buildless.service import Account, Service, database, database_url

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout, Layout

PORT = 3306
USERS = "SELECT User, Host FROM mysql.user;\n"
WHOLE = "gitdeploy_whole"  # a table
KNOWN = len("CREATE ")  # bytes of a line after which it is clear what it is
DEFINER = re.compile(rb" DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`")
DUMP = ("mariadb-dump", "--no-defaults", "--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers",
        "--events", "--no-tablespaces")  # fmt: skip
CLIENT = ("mariadb", "--no-defaults", "--sandbox", "--local-infile=0", "--binary-mode")
"""The client as it reads what somebody sends: it does not take commands for a shell, or for files, from that."""


class Mysql(Service):
    """Debian's own server. MariaDB cannot rename a database, so a dump that is to be restored is loaded twice: first into a
    database that is made to try it, then into the app's own, whose content is kept in a file until that has been done. That it
    has the last statement of what is loaded says.
    """

    debs = ("mariadb-server",)
    variables = ("MYSQL_URL", "DATABASE_URL")
    schemes = ("mysql", "mariadb", "mysql2")
    port = PORT
    user = "mysql"

    def url(self, account: Account) -> str:
        return database_url("mysql", account, PORT)

    def told(self, url: str) -> Dict[str, str]:
        found = database("CONFIG_MYSQL", url, self.schemes)
        return {**found, "CONFIG_MYSQL_SQLALCHEMY": url, "MYSQL_URL": url, "DATABASE_URL": url}

    def install(self, home: AppLayout, account: Account) -> int:
        listen(home.node, account)
        root(create_sql(account.name) + "".join(user_sql(account, host) for host in hosts(account)))
        root("".join(lock_sql(account.name, host) for host in former(account, root(USERS))))
        self.mend(home, account)
        return 0

    def check(self, home: AppLayout, account: Account) -> None:
        tool.run((*CLIENT, *target(account), "--execute=SELECT 1", account.name), env=login(account))

    def is_finished(self, home: AppLayout, account: Account) -> bool:
        return not self.before(home).exists() and super().is_finished(home, account)

    def dump(self, home: AppLayout, account: Account, out: BinaryIO) -> None:
        """Without the names of those who made views and routines: they are made by whoever restores them."""
        argv = (*DUMP, *target(account), account.name)
        nameless = Nameless(out)
        tool.read(argv, cast(BinaryIO, nameless), env=login(account), **home.node.owners.nobody())
        nameless.end()

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        self.mend(home, account)
        self.drop(home, account)
        home.make_backups()
        with open(self.new(home), "xb") as file:
            os.chmod(self.new(home), 0o600)
            if dumped is not None:
                tool.copy(dumped, file)
            file.write(ending(account))
        root(beside_sql(account))
        self.fill(home, account, beside(account), self.new(home))
        if not is_whole(account):
            raise NodeError("the dump ends in the middle of a statement; nothing was changed")

    def fill(self, home: AppLayout, account: Account, name: str, path: Path) -> None:
        with path.open("rb") as file:
            tool.write((*CLIENT, *target(account), name), file, env=login(account), **home.node.owners.nobody())

    def swap(self, home: AppLayout, account: Account) -> None:
        """What is in the dump takes the place of what was there when `ending` says so, and not when we say it after that."""
        root(beside_sql(account))
        with open(self.before(home).with_suffix(".part"), "wb") as file:
            os.chmod(file.name, 0o600)
            self.dump(home, account, file)
            file.write(ending(account))
            file.flush()
            os.fsync(file.fileno())
        self.before(home).with_suffix(".part").rename(self.before(home))
        remember(home.backups)
        try:
            self.put(home, account, self.new(home))
        except NodeError:
            self.mend(home, account)
            raise
        self.done(home)

    def put(self, home: AppLayout, account: Account, path: Path) -> None:
        root(beside_sql(account) + drop_sql(account.name) + create_sql(account.name))
        self.fill(home, account, account.name, path)

    def mend(self, home: AppLayout, account: Account) -> None:
        """A swap was interrupted: what there was before comes back, unless all of the new is there."""
        if self.before(home).exists():
            if not is_whole(account):
                self.put(home, account, self.before(home))
            self.done(home)
            self.drop(home, account)

    def done(self, home: AppLayout) -> None:
        """What was there before is not needed any more, also not after a power cut: it would undo what was told to be done."""
        self.before(home).unlink()
        remember(home.backups)

    def drop(self, home: AppLayout, account: Account) -> None:
        if not self.before(home).exists():  # else `mend` needs to know whether the new is whole
            root(drop_sql(beside(account)))
        self.new(home).unlink(missing_ok=True)
        self.before(home).with_suffix(".part").unlink(missing_ok=True)

    def remove(self, home: AppLayout, account: Account) -> None:
        self.before(home).unlink(missing_ok=True)
        self.drop(home, account)
        everywhere = [*hosts(account), *former(account, root(USERS))]
        users = "".join(f"DROP USER IF EXISTS {quoted(account.name)}@'{host}';\n" for host in everywhere)
        root(drop_sql(account.name) + users)

    def new(self, home: AppLayout) -> Path:
        return home.backups / ".mysql-new.sql"

    def before(self, home: AppLayout) -> Path:
        return home.backups / ".mysql-before.sql"


def beside(account: Account) -> str:
    """The database in which a dump is tried, and in which `ending` notes afterwards that all of it is where it is to be."""
    return f"{account.name}_0new"


def beside_sql(account: Account) -> str:
    """It is there, and empty."""
    name = beside(account)
    return drop_sql(name) + create_sql(name) + "".join(grant_sql(account.name, host, name) for host in hosts(account))


def ending(account: Account) -> bytes:
    """The last statement of a dump: if what it makes is there, so is all that is before it, whoever was killed since then."""
    return f"\n;\nCREATE TABLE {quoted(beside(account))}.{WHOLE} (whole int);\n".encode()


def is_whole(account: Account) -> bool:
    """Whether a dump was read to its `ending`."""
    name = beside(account)
    return WHOLE in root(f"{create_sql(name)}SHOW TABLES IN {quoted(name)};\n").splitlines()


class Nameless:
    """Passes on a dump, line by line, without definers. Where data are there is none: they stand in lines of their own."""

    def __init__(self, out: BinaryIO) -> None:
        self.out, self.rest, self.inside = out, b"", False

    def write(self, data: bytes) -> int:
        """A line of data may be long: it is passed on as it comes (`inside`), and only others are waited for."""
        for piece in bytes(data).splitlines(keepends=True):
            line, self.rest = self.rest + piece, b""
            if not self.inside and (len(line) < KNOWN or line.startswith((b"/*!", b"CREATE "))):
                if not line.endswith(b"\n"):
                    self.rest = line
                    continue
                line = DEFINER.sub(b"", line)
            self.out.write(line)
            self.inside = not line.endswith(b"\n")
        return len(data)

    def end(self) -> None:
        """Pass on what was waited for."""
        self.out.write(self.rest)


def remember(directory: Path) -> None:
    """Have the disk know the names of a directory as they are now."""
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def listen(layout: Layout, account: Account) -> None:
    """Have it listen for other nodes, too: from when nobody uses it yet, so that nobody is interrupted when an app needs that."""
    path = layout.root / "etc" / "mysql" / "mariadb.conf.d" / "90-gitdeploy.cnf"
    needed = account.host or not accounts.anybody(layout, "mysql")
    files = {path: "# Written by gitdeploy.\n[mariadbd]\nbind-address = 0.0.0.0\n"} if needed else {}
    if renewal.written(layout, "mariadb.service", files):
        renewal.restart(layout, "mariadb.service")


def root(sql: str) -> str:
    """Have the superuser do something; on the node root is that."""
    return tool.run(("mariadb", "--no-defaults", "--batch", "--skip-column-names"), sql)


def target(account: Account) -> List[str]:
    return ["--host=127.0.0.1", f"--port={PORT}", f"--user={account.name}", "--default-character-set=utf8mb4"]


def login(account: Account) -> Dict[str, str]:
    return {"MYSQL_PWD": account.password}


def hosts(account: Account) -> List[str]:
    """From where the app's user may come. An address of this machine is resolved to localhost."""
    return ["localhost", "127.0.0.1", *account.clients]


def former(account: Account, users: str) -> List[str]:
    """Addresses from which the app's user came once, and may come no more; `users` are the lines that `USERS` answers.

    What is no address somebody else has made.
    """
    found = [line.split("\t") for line in users.splitlines()]
    return [host for name, host in found if name == account.name and host not in hosts(account) and is_address(host)]


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def lock_sql(name: str, host: str) -> str:
    """Views and triggers that it made there go on to work; they would not if there were no such user."""
    return f"ALTER USER IF EXISTS {quoted(name)}@'{host}' ACCOUNT LOCK;\n"


def quoted(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise NodeError(f"{name!r} is no name of a database; name the app otherwise")
    return f"`{name}`"


def create_sql(name: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted(name)} CHARACTER SET utf8mb4;\n"


def drop_sql(name: str) -> str:
    return f"DROP DATABASE IF EXISTS {quoted(name)};\n"


def user_sql(account: Account, host: str) -> str:
    """The app's user, who has one database."""
    if not re.fullmatch(r"[0-9a-f]{32,}", account.password) or not re.fullmatch(r"[0-9a-f.:]+|localhost", host):
        raise NodeError("that is no password, or no address; deploy the app again")
    who = f"{quoted(account.name)}@'{host}' IDENTIFIED BY '{account.password}'"
    return f"CREATE USER IF NOT EXISTS {who};\nALTER USER {who} ACCOUNT UNLOCK;\n" + grant_sql(
        account.name, host, account.name
    )


def grant_sql(user: str, host: str, name: str) -> str:
    """In a GRANT the ``_`` of a database stands for any character: shop_staging would be shop-staging, too.

    >>> print(grant_sql("shop_staging", "localhost", "shop_staging"), end="")
    GRANT ALL ON `shop\\_staging`.* TO `shop_staging`@'localhost';
    """
    database = quoted(name).replace("_", "\\_")
    return f"GRANT ALL ON {database}.* TO {quoted(user)}@'{host}';\n"


SERVICE = Mysql()
