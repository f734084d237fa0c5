"""What PostgreSQL's superuser says for an app: texts, made of names and passwords that are looked at once more."""

from __future__ import annotations

import re
from typing import Tuple

from buildless.errors import NodeError


def identifier(name: str) -> str:
    """A name in SQL. What is not as names of ours are never gets here; that is looked at once more."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise NodeError(f"{name!r} is no name of a database; name the app otherwise")
    return f'"{name}"'


def unless(there: str, statement: str) -> str:
    """A statement that is only run where a query finds nothing: psql's own way, for what has no IF NOT EXISTS."""
    text = statement.replace("'", "''")
    return f"SELECT '{text}' WHERE NOT EXISTS ({there}) \\gexec\n"


def role_sql(name: str, password: str) -> str:
    """The app's user, who may do nothing in particular."""
    if not re.fullmatch(r"[0-9a-f]{32,}", password):
        raise NodeError("that is no password of ours; deploy the app again")
    who = identifier(name)
    return (
        unless(f"SELECT FROM pg_roles WHERE rolname = '{name}'", f"CREATE ROLE {who}")
        + f"ALTER ROLE {who} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{password}';\n"
    )


def create_sql(name: str, owner: str) -> str:
    """A database that nobody but its owner may connect to. The locale is the one that is the same on all machines."""
    statement = (
        f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0"
        " ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
    )
    there = f"SELECT FROM pg_database WHERE datname = '{name}'"
    return unless(there, statement) + f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC;\n{open_sql(name)}"


def owner_sql(name: str, owner: str) -> str:
    return f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(owner)};\n"


def open_sql(name: str) -> str:
    """Undo what a swap that was interrupted left."""
    return f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true;\n"


def extension_sql(
    name: str, owner: str, extensions: Tuple[str, ...], trusted: Tuple[str, ...], schema: str | None = None
) -> str:
    """Extensions of the database `name`: others than the `trusted` ones as its owner, so that PostgreSQL decides.

    What the superuser makes gets a schema of his own, of its name: the script of an extension finds what is in its schema, and in
    `public` the owner may have put functions for it to find (https://www.postgresql.org/docs/15/extend-extensions.html, 38.17.6).
    With `schema` it is made in that one, which must be nobody else's to change. What is there already stays where it is: columns
    and functions of the app name the schema that it is in, and PostGIS does not let itself be moved.
    """
    made = []
    for one in trusted:
        there, place = f"SELECT FROM pg_extension WHERE extname = '{one}'", identifier(schema or one)
        new = [f"CREATE EXTENSION {identifier(one)} SCHEMA {place}"]
        if schema is None:
            path = f'"$user", public, {place}'
            new = [f"ALTER DATABASE {identifier(name)} SET search_path = {path}", f"CREATE SCHEMA {place}", *new]
        made.append(f"BEGIN;\n{''.join(unless(there, statement) for statement in new)}COMMIT;\n")
        made.append(where_it_is(one, "GRANT USAGE ON SCHEMA %I TO PUBLIC"))
    if "postgis" in trusted:
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON %I.spatial_ref_sys TO {identifier(owner)}"
        made.append(where_it_is("postgis", grant))
    own = [one for one in extensions if one not in trusted]
    if own:
        made.append(f"SET ROLE {identifier(owner)};\nSET search_path = public;\n")
        made += [f"CREATE EXTENSION IF NOT EXISTS {identifier(one)};\n" for one in own]
    return "SET client_min_messages = warning;\n" + "".join(made)


def where_it_is(extension: str, statement: str) -> str:
    """A statement about the schema that an extension is in, which stands in it as ``%I``."""
    text = statement.replace("'", "''")
    found = f"FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = '{extension}'"
    return f"SELECT format('{text}', nspname) {found} \\gexec\n"


def swap_sql(name: str) -> str:
    """The new database in the place of the old one, in one transaction. Whoever is connected to it has to connect again."""
    this, old, new = identifier(name), identifier(f"{name}_0old"), identifier(f"{name}_0new")
    return (
        f"{drop_sql(f'{name}_0old')}"
        f"ALTER DATABASE {this} ALLOW_CONNECTIONS false;\n"
        f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN ('{name}', '{name}_0new');\n"
        f"BEGIN;\nALTER DATABASE {this} RENAME TO {old};\nALTER DATABASE {new} RENAME TO {this};\nCOMMIT;\n"
    )


def drop_sql(name: str) -> str:
    return f"SET client_min_messages = warning;\nDROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE);\n"
