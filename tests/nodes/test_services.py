"""Services on a real node: made at a push, used by their app and nobody else, backed up, cleared and restored over ssh."""

from __future__ import annotations

import tarfile

import pytest

from .keeper import yard_on
from .visitor import get


@pytest.fixture(scope="module")
def yard(machines, nodes):
    with yard_on(machines, nodes, "keep1") as yard:
        yield yard


@pytest.fixture(scope="module")
def shop(yard):
    """An app with a database and files, in two environments."""
    shop = yard.keeper("shop", "{postgresql: {extensions: [hstore]}, files: , public_files: }")
    told = shop.push().ok().text
    assert "keep1: postgresql is there" in told
    shop.push("staging").ok()
    for environment in ("", "staging"):
        shop.do("sql('CREATE TABLE notes (id serial PRIMARY KEY, text text, more hstore)')", environment)
    return shop


def note(shop, text, environment=""):
    shop.do(f"sql('INSERT INTO notes (text, more) VALUES (%s, %s)', '{text}', 'a=>1')", environment)
    shop.do(f"write(os.environ['CONFIG_FILES'] + '/deep/{text}.txt', '{text}')", environment)
    shop.do(f"write(os.environ['CONFIG_PUBLIC_FILES'] + '/up/{text}.txt', '{text}')", environment)


def kept(shop, environment=""):
    """The rows, and the files with what is in them."""
    rows = shop.do("sql('SELECT id, text, more::text FROM notes ORDER BY id')", environment)
    files = shop.do(
        "{p: open(p).read() for v in ('FILES', 'PUBLIC_FILES') for t in [os.environ['CONFIG_' + v]]"
        " for d, _, fs in os.walk(t) for f in fs for p in [d + '/' + f]}",
        environment,
    )
    return rows, {path.removeprefix("/var/lib/apps/"): text for path, text in files.items()}


def test_an_app_is_told_of_its_services_and_nobody_else_is(shop):
    environ = shop.environ()
    assert {name: text for name, text in environ.items() if name.startswith("CONFIG_") and "PASSW" not in name} == {
        "CONFIG_FILES": "/var/lib/apps/shop/files",
        "CONFIG_PUBLIC_FILES": "/var/lib/apps/shop/public_files",
        "CONFIG_PG_DBNAME": "shop",
        "CONFIG_PG_USER": "shop",
        "CONFIG_PG_USERNAME": "shop",
        "CONFIG_PG_HOST": "127.0.0.1",
        "CONFIG_PG_PORT": "5432",
        "CONFIG_PG_SQLALCHEMY": environ["DATABASE_URL"],
    }
    staging = shop.environ("staging")
    assert (
        staging["CONFIG_PG_DBNAME"] == "shop_staging" and staging["CONFIG_FILES"] == "/var/lib/apps/shop.staging/files"
    )
    assert staging["CONFIG_PG_PASSWORD"] != environ["CONFIG_PG_PASSWORD"]
    shop.app.commit("Tell", {"keeper.py": "import os\nraise RuntimeError(os.environ['DATABASE_URL'])\n"})
    told = shop.push().text
    shop.app.git("reset", "-q", "--hard", "HEAD^")
    assert "RuntimeError" in told and environ["CONFIG_PG_PASSWORD"] not in told


def test_whoever_runs_a_command_gets_at_the_database_as_the_document_says(yard, shop):
    """docs/commands.rst, 'run'."""
    asks = "run shop bash -c \"psql $DATABASE_URL -Atc 'SELECT current_user, 6 * 7'\""
    assert yard.server.ssh(asks).ok().out == "shop|42\n"
    assert yard.server.ssh('run shop bash -c "psql $DATABASE_URL -At"', stdin=b"SELECT 43;\n").ok().out == "43\n"


def test_a_backup_brings_back_rows_and_files(yard, shop, tmp_path):
    note(shop, "apples")
    note(shop, "of staging", "staging")
    before, staging = kept(shop), kept(shop, "staging")
    assert before == (
        [[1, "apples", '"a"=>"1"']],
        {"shop/files/deep/apples.txt": "apples", "shop/public_files/up/apples.txt": "apples"},
    )
    file = tmp_path / "shop.backup"
    said = yard.save(file, "backup", "shop")
    assert said.startswith("shop: ") and "postgresql" in said, said
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["files", "postgresql", "public_files", "manifest.json"]
    note(shop, "pears")
    assert yard.server.ssh("clear", "shop", "postgresql", "files").status == 1
    yard.server.ssh("clear", "shop", "postgresql", "files", "--confirm", "shop").ok()
    assert "notes" in shop.do("sql('SELECT * FROM notes')")["error"]
    assert shop.do("os.listdir(os.environ['CONFIG_FILES'])") == []
    done = yard.send(file, "restore", "shop")
    assert done.status == 1 and "--confirm shop" in done.err
    yard.send(file, "restore", "shop", "--confirm", "shop").ok()
    assert kept(shop) == before
    assert kept(shop, "staging") == staging
    note(shop, "plums")  # it is all the app's own
    assert [row[1] for row in kept(shop)[0]] == ["apples", "plums"]
    assert leftovers(yard.node) == []


def leftovers(node):
    found = node.ssh("find", "/var/backups/apps", "/var/lib/apps", "-name", ".new-*", "-o", "-name", "*.backup").split()
    databases = node.ssh("runuser", "-u", "postgres", "--", "psql", "-AtXc", "SELECT datname FROM pg_database").split()
    return found + [name for name in databases if "_0" in name]


@pytest.mark.parametrize("harm", ["cut short", "one bit", "another app", "no archive", "empty"])
def test_what_is_no_whole_backup_changes_nothing(yard, shop, tmp_path, harm):
    file = tmp_path / "shop.backup"
    yard.save(file, "backup", "shop")
    before, data = kept(shop), file.read_bytes()
    damaged = {
        "cut short": data[: len(data) // 2],
        "one bit": data[:700] + bytes([data[700] ^ 1]) + data[701:],
        "another app": data,
        "no archive": b"no archive " * 1000,
        "empty": b"",
    }[harm]
    file.write_bytes(damaged)
    name = "shop"
    if harm == "another app":
        other = yard.keeper("other", "files", "")
        other.push().ok()
        name = "other"
    done = yard.send(file, "restore", name, "--confirm", name)
    assert done.status == 1 and "backup" in done.err, done.text
    print(done.err)
    assert kept(shop) == before
    assert leftovers(yard.node) == []


def test_data_of_one_environment_can_be_given_to_another(yard, shop):
    note(shop, "cloned")
    done = yard.server.ssh("clone-data", "shop", "staging/shop", "--confirm", "shop", limit=200)
    assert done.status == 1
    yard.server.ssh("clone-data", "shop", "staging/shop", "--confirm", "staging/shop", limit=200).ok()
    rows, files = kept(shop)
    there, others = kept(shop, "staging")
    assert there == rows
    assert others == {path.replace("shop/", "shop.staging/", 1): text for path, text in files.items()}


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        ("nonsense", 'extension "nonsense" is not available'),
        ("file_fdw", 'permission denied to create extension "file_fdw"'),
    ],
)
def test_an_extension_that_cannot_be_had_is_refused_in_postgresqls_words(yard, extension, reason):
    app = yard.keeper(f"wants-{extension.replace('_', '-')}", f"{{postgresql: {{extensions: [{extension}]}}}}")
    assert app.push().refused(reason)
    app.app.commit("Want less", {"app.yaml": "platform: python, wsgi\napp: keeper:application\nservices: postgresql\n"})
    app.push().ok()
    assert app.do("sql('SELECT 1')") == [[1]]


def test_another_app_gets_at_none_of_it(yard, shop):
    burglar = yard.keeper("burglar", "postgresql")
    burglar.push().ok()
    url = shop.environ()["DATABASE_URL"]
    mine = burglar.environ()
    tries = {
        "without a password": "psycopg2.connect(host='127.0.0.1', user='shop', dbname='shop')",
        "with its own": f"psycopg2.connect(host='127.0.0.1', user='shop', dbname='shop', password='{mine['CONFIG_PG_PASSWORD']}')",
        "as itself": f"psycopg2.connect(host='127.0.0.1', user='burglar', dbname='shop', password='{mine['CONFIG_PG_PASSWORD']}')",
        "by the socket": "psycopg2.connect(user='shop', dbname='shop')",
        "as the superuser": "psycopg2.connect(user='postgres', dbname='shop')",
        "its files": "os.listdir('/var/lib/apps/shop/files')",
        "its public files": "write('/var/lib/apps/shop/public_files/x', 'burgled')",
        "what the node knows": "os.listdir('/var/lib/gitdeploy/services')",
        "backups": "os.listdir('/var/backups/apps/shop')",
    }
    for name, what in tries.items():
        found = burglar.do(f"exec('global psycopg2; import psycopg2') or {what}")
        assert isinstance(found, dict) and "Error" in found["error"], (name, found)
        print(name, found["error"].strip().splitlines()[-1])
    assert shop.do(f"exec('global psycopg2; import psycopg2') or psycopg2.connect('{url}').status") == 1


def test_uploads_are_served_below_what_the_tree_has_and_never_run(shop):
    place = "os.environ['CONFIG_PUBLIC_FILES']"
    shop.do(f"write({place} + '/up/b.txt', 'uploaded')")
    shop.do(f"write({place} + '/a.txt', 'not shown')")
    shop.do(f"write({place} + '/x.php', '<?php echo 1+1; ?>')")
    shop.do(f"write({place} + '/.hidden', 'secret')")
    shop.do(f"write({place} + '/{shop.host()}/own.txt', 'of this host')")
    shop.do(f"write({place} + '/other.localhost/own.txt', 'of another host')")
    shop.do(f"os.symlink('/etc/passwd', {place} + '/link.txt')")
    assert shop.get("/up/b.txt").text == "uploaded"
    assert shop.get("/a.txt").text == "of the tree"
    assert shop.get("/x.php").text == "<?php echo 1+1; ?>"
    assert shop.get("/.hidden").status == 404
    assert shop.get("/own.txt").text == "of this host"
    assert shop.get("/link.txt").text == '"well"'  # the application's
    assert get(shop.node, shop.host(), "/up/b.txt", method="POST").text == '"well"'
    shop.app.commit("Once more", {"more.txt": ""})
    shop.push().ok()
    assert shop.get("/up/b.txt").text == "uploaded"


def test_what_gets_the_mode_of_its_directory_is_served(shop):
    """Many programs give what they make the mode of what it is in: they may, and the web server reads it all the same."""
    place = "os.environ['CONFIG_PUBLIC_FILES']"
    mode = f"os.stat({place}).st_mode & 0o7777"
    assert shop.do(f"os.mkdir({place} + '/like', {mode})") is None
    assert shop.do(f"os.chmod({place} + '/like', {mode})") is None
    shop.do(f"write({place} + '/like/it.txt', 'like it')")
    assert shop.do(f"os.chmod({place} + '/like/it.txt', {mode} & 0o666)") is None
    assert shop.get("/like/it.txt").text == "like it"
    shop.do(f"os.chmod({place} + '/like/it.txt', 0o600)")
    assert shop.get("/like/it.txt").text == '"well"'  # the application's: the file is private


def test_a_link_in_the_place_of_public_files_leads_nowhere(shop):
    """nginx may read what the app itself cannot see: the trees of others, its own logs."""
    top = "os.path.dirname(os.environ['CONFIG_PUBLIC_FILES'])"
    shop.do(f"os.rename({top} + '/public_files', {top} + '/away') or os.symlink('/etc', {top} + '/public_files')")
    found = shop.get("/hostname")
    shop.do(f"os.unlink({top} + '/public_files') or os.rename({top} + '/away', {top} + '/public_files')")
    assert found.text == '"well"'  # the application's


def test_files_that_links_were_put_for_are_not_followed(yard, shop, tmp_path):
    """An app may put a link in the place of its directory: root, who makes the backup, does not go there."""
    top = "os.path.dirname(os.environ['CONFIG_FILES'])"
    shop.do(f"os.rename({top} + '/files', {top} + '/aside')")
    shop.do(f"os.symlink('/root', {top} + '/files')")
    done = yard.server.ssh("backup", "shop", "files", limit=100)
    shop.do(f"os.unlink({top} + '/files') or os.rename({top} + '/aside', {top} + '/files')")
    assert done.status == 1 and not done.out, done.text


def test_nothing_is_left_of_the_database_of_an_app_that_is_destroyed(yard):
    gone = yard.keeper("gone", "postgresql")
    gone.push().ok()
    asked = "SELECT datname FROM pg_database WHERE datname LIKE 'gone%' UNION SELECT rolname FROM pg_roles WHERE rolname = 'gone'"
    psql = ("runuser", "-u", "postgres", "--", "psql", "-Atc", asked)
    assert yard.node.ssh(*psql) == "gone\n"
    yard.server.ssh("destroy", "--confirm", "gone", "gone", limit=200).ok()
    assert yard.node.ssh(*psql) == ""
    gone.push().ok()
    assert gone.do("sql('SELECT 1')") == [[1]]
