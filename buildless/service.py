"""What a service is: it keeps, or passes on, what an application's processes share. Each is a module of buildless.services.

A service is asked from three sides. The server and a developer's machine want to know what an application is told of it
(`environ`); a node makes it, and puts what is in it into a backup or takes it from there (`install` and the rest).
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import pkgutil
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Iterable, Mapping, Optional, Sequence, Tuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from buildless.errors import NodeError

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout

LONGEST = 50
"""Characters of a name. PostgreSQL takes 63, MariaDB 64 for a database; a restore makes others with a few more."""

RESERVED = re.compile(
    r"pg_.*|postgres|template[01]|public|none|root|mysql|mariadb.*|sys|test|performance_schema|information_schema|guest|admin|default"
)
"""What no database or user of an app may be called: somebody else of that name is there already."""


@dataclass(frozen=True)
class Account:
    """What one app, in one environment, has of a service.

    `app` is its name on nodes (``shop.staging``). `host` is the address of the node that has the service, empty on that very
    machine; `clients` are the addresses that may connect. `port` is 0 where it is the usual one. `url` is set for a service
    that is somewhere else altogether, and then says all. It is `fresh` until a release that has it was live.
    """

    service: str
    app: str
    password: str = ""
    options: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    host: str = ""
    port: int = 0
    clients: Tuple[str, ...] = ()
    url: str = ""
    fresh: bool = False

    @property
    def name(self) -> str:
        """What its database and its user are called."""
        return account_name(self.app)

    def request(self) -> Dict[str, Any]:
        """As a node is told of it."""
        told = asdict(self)
        return {key: told[key] for key in ("service", "password", "options", "host", "clients")}


class Service:
    """The base. `variables` are config vars that name one that is somewhere else, by a URL of one of `schemes`.

    With ``install``, `AppLayout` says where on the node the app's things are. What is loaded is put beside what is there;
    `swap` puts it in its place, `drop` removes what was there before, and what a load that was interrupted left.
    """

    debs: Tuple[str, ...] = ()
    variables: Tuple[str, ...] = ()
    schemes: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ()
    """What may be set in app.yaml; each takes a list of words."""

    port = 0  # where it listens for all apps; 0 where each has a port of its own, or none
    user = ""  # the system's, whose processes listen there; empty where they are the app's own
    surplus: Tuple[str, ...] = ()
    """Units that the packages start, and nobody needs: they are ended when the packages have just been installed."""

    shared_debs: Tuple[str, ...] = ()
    """Packages that are needed, too, where other nodes use it."""
    mount_debs: Tuple[str, ...] = ()
    """Those that these nodes need: it is a directory, which they mount. Empty for what is no directory."""

    like = ""
    """The service whose database and user these are, too, with its password: an app that goes over to this one has its data."""

    packaged = True  # Debian has it
    keeps = True  # there is something to back up
    shared = True  # processes on several nodes can use it
    late = 0  # when it is swapped, among several: what may fail in that comes first

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def needs(self, remote: bool) -> Tuple[str, ...]:
        """The packages for its node, where other nodes use it, too (`remote`), or none does."""
        return (*self.debs, *(self.shared_debs if remote else ()))

    def problem(self, options: Mapping[str, Tuple[str, ...]]) -> str | None:
        """What is wrong with options; their names are right."""
        return None

    def environ(self, account: Account, state: str) -> Dict[str, str]:
        """What the application is told. `state` is the directory that the app keeps things in (/var/lib/apps/shop)."""
        return self.told(account.url or self.url(account))

    def url(self, account: Account) -> str:
        raise NotImplementedError

    def told(self, url: str) -> Dict[str, str]:
        """The variables that say the same as a URL. Raises ValueError for one that is none of this service."""
        raise NotImplementedError

    def install(self, home: AppLayout, account: Account) -> int:
        """Make what is not there yet; safe to repeat. Returns the port, if it is the app's own."""
        raise NotImplementedError

    def interrupts(self, home: AppLayout, account: Account) -> bool:
        """Whether `install` would interrupt what runs: that is for when the release that asks for it is live."""
        return False

    def is_finished(self, home: AppLayout, account: Account) -> bool:
        """Whether it works, and nobody was killed in the middle of changing it; what is not is for `install` to mend."""
        try:
            self.check(home, account)
        except (NodeError, OSError):
            return False
        return True

    def check(self, home: AppLayout, account: Account) -> None:
        """Use it as the application would. Raises NodeError."""
        raise NotImplementedError

    def dump(self, home: AppLayout, account: Account, out: BinaryIO) -> Optional[Sequence[str]]:
        """Write all that is in it; returns what there is to say of that."""
        raise NotImplementedError

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        """Make a second one beside it that has what was dumped, or, with None, nothing."""
        raise NotImplementedError

    def swap(self, home: AppLayout, account: Account) -> None:
        """Put the second one in the place of the first."""
        raise NotImplementedError

    def drop(self, home: AppLayout, account: Account) -> None:
        """Remove what is left of `load` and `swap`. Nothing there is fine."""

    def remove(self, home: AppLayout, account: Account) -> None:
        """Remove all that `install` made, and what is in it. Nothing there is fine."""
        raise NotImplementedError


def names() -> Tuple[str, ...]:
    """The services that there are: the modules of buildless.services.

    >>> "files" in names(), "postgresql" in names()
    (True, True)
    """
    from buildless import services

    return tuple(sorted(module.name for module in pkgutil.iter_modules(services.__path__)))


def find(name: str) -> Service:
    """The service of one of `names`."""
    if name not in names():
        raise ValueError(f"there is no service {name!r}; there are {', '.join(names())}")
    found: Service = importlib.import_module(f"buildless.services.{name}").SERVICE
    return found


def account_name(app: str) -> str:
    """The name of an app's database and user. Names of apps have no ``_``, so that two of them never share one.

    >>> account_name("shop"), account_name("shop.staging"), account_name("postgres")
    ('shop', 'shop_staging', 'postgres_0a942b37')
    >>> account_name("a-shop-with-quite-a-long-name-of-41-letters.in-an-environment")
    'a-shop-with-quite-a-long-name-of-41-lette_0e72c111'
    """
    name = app.replace(".", "_")
    if len(name) <= LONGEST and not RESERVED.fullmatch(name):
        return name
    name = name.replace("pg_", "pg-")  # PostgreSQL's own
    return f"{name[: LONGEST - 9]}_0{hashlib.sha256(app.encode()).hexdigest()[:7]}"  # no environment begins with 0


def password_of(secret: str, service: str) -> str:
    """The password for one service, of the secret that an app has for all of its services: 48 characters that need no quotes."""
    return hmac.new(secret.encode(), service.encode(), "sha256").hexdigest()[:48]


def split(url: str, schemes: Tuple[str, ...]) -> SplitResult:
    """A URL in its parts. Raises ValueError for one that is of none of these schemes.

    >>> split("mysql://localhost:x/", ("mysql",))
    Traceback (most recent call last):
    ValueError: Port could not be cast to integer value as 'x'
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(f"it does not begin with {schemes[0]}://")
    _ = parts.port  # urlsplit says what is wrong with one that is no number
    return parts


def database(prefix: str, url: str, schemes: Tuple[str, ...]) -> Dict[str, str]:
    """Variables such as CONFIG_PG_DBNAME, of the URL of a database.

    >>> database("CONFIG_PG", "postgresql://shop:s%40crt@10.0.0.5/shop", ("postgresql",))["CONFIG_PG_PASSWORD"]
    's@crt'
    """
    parts = split(url, schemes)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return {
        f"{prefix}_DBNAME": unquote(parts.path.lstrip("/")),
        f"{prefix}_USER": user,
        f"{prefix}_PASSWORD": password,
        f"{prefix}_HOST": parts.hostname or "",
        f"{prefix}_PORT": str(parts.port or ""),
    }


def database_url(scheme: str, account: Account, port: int) -> str:
    name, host = quote(account.name), account.host or "127.0.0.1"
    return f"{scheme}://{name}:{account.password}@{host}:{account.port or port}/{name}"


def environ(accounts: Iterable[Account], state: str) -> Dict[str, str]:
    """What an application is told of all of its services; where two say the same variable the first one is right."""
    found: Dict[str, str] = {}
    for account in accounts:
        found = {**find(account.service).environ(account, state), **found}
    return found


def mounted(accounts: Iterable[Account], address: str) -> Dict[str, str]:
    """The services that the node at an address mounts from another one: the address of that one, by their names.

    >>> mounted([Account("nfs", "shop", host="10.0.0.5"), Account("redis", "shop", host="10.0.0.5")], "10.0.0.6")
    {'nfs': '10.0.0.5'}
    >>> mounted([Account("nfs", "shop", host="10.0.0.5")], "10.0.0.5"), mounted([Account("nfs", "shop")], "10.0.0.6")
    ({}, {})
    """
    return {one.service: one.host for one in accounts if one.host not in ("", address) and find(one.service).mount_debs}


def secret_variables(accounts: Iterable[Account]) -> Dict[str, str]:
    """Those of them that are nobody's business."""
    told = environ(accounts, "")
    return {name: text for name, text in told.items() if name.endswith(("_PASSWORD", "_URL", "_SQLALCHEMY", "_URI"))}
