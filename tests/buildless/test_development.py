import pytest

from buildless.description import parse
from buildless.development import data_directory, development_environ
from buildless.errors import BuildlessError, DocumentError

SETTINGS = """\
postgresql: {url: "postgresql:///{app}_{environment}"}
redis: {url: "redis://localhost:6379/0"}
apps:
  shop:
    redis: {url: "redis://localhost:6379/7"}
  bank:
    files: {directory: "%s/bank-files"}
"""


def wants(services):
    return parse(f"platform: static\nservices: {services}\n".encode())


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    path = tmp_path / "development.yaml"
    path.write_text(SETTINGS % tmp_path)
    return path


def test_services_are_those_of_the_developer(file):
    found = development_environ(wants("postgresql, redis"), "shop", file)
    assert found["DATABASE_URL"] == "postgresql:///shop_development" and found["CONFIG_PG_DBNAME"] == "shop_development"
    assert found["CONFIG_PG_HOST"] == "" and found["CONFIG_REDIS_DB"] == "7"
    assert development_environ(wants("redis"), "bank", file)["CONFIG_REDIS_DB"] == "0"
    assert development_environ(wants("postgresql"), "shop", file, "test")["CONFIG_PG_DBNAME"] == "shop_test"


def test_files_need_no_word(file, tmp_path):
    found = development_environ(wants("files, public_files, nfs"), "shop", tmp_path / "none.yaml")
    assert found == {
        "CONFIG_FILES": str(data_directory("shop") / "development" / "files"),
        "CONFIG_PUBLIC_FILES": str(data_directory("shop") / "development" / "public_files"),
        "CONFIG_NFS": str(data_directory("shop") / "development" / "nfs"),
    }
    assert (tmp_path / "share" / "gitdeploy" / "shop" / "development" / "files").is_dir()
    assert development_environ(wants("files"), "bank", file) == {"CONFIG_FILES": f"{tmp_path}/bank-files"}


def test_what_is_missing_is_said_with_the_lines_to_write(file, tmp_path):
    with pytest.raises(BuildlessError) as error:
        development_environ(wants("mysql, files, postgresql, rabbitmq"), "shop", file)
    assert str(error.value) == (
        f"shop wants services that {file} says nothing of; write into it:\n"
        'mysql: {url: "mysql://root@localhost/{app}"}\n'
        'rabbitmq: {url: "amqp://guest:guest@localhost:5672/%2F"}'
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("postgresql: {directory: x}", '1: postgresql: unknown key "directory"; write one of url'),
        ("files: {url: x}", '1: files: unknown key "url"; write one of directory'),
        ("filez: {url: x}", '1: unknown key "filez"; did you mean files?'),
        ("apps:\n  shop: {redis: x}", "2: apps.shop.redis: "),
    ],
)
def test_mistakes_have_their_lines(tmp_path, text, problem):
    file = tmp_path / "development.yaml"
    file.write_text(text + "\n")
    with pytest.raises(DocumentError) as error:
        development_environ(wants("files"), "shop", file)
    assert f"{file}:{problem}" in str(error.value)


def test_a_url_of_something_else(file):
    file.write_text("redis: {url: 'http://localhost'}\n")
    with pytest.raises(BuildlessError, match=r"'http://localhost' is no URL of it: it does not begin with redis://"):
        development_environ(wants("redis"), "shop", file)
