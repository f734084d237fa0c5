"""What an application is given where it is written, decided without running it."""

import os
import shutil
import sys

import pytest

from gitdeploy.develop.development import DEBIAN, Development, split
from gitdeploy.errors import Refused

YAML = "platform: python, wsgi\napp: hello:application\nenv: {FRUIT: plum, APPLES: 3}\n"


@pytest.fixture
def shop(files, tmp_path):
    files({"My Shop/app.yaml": YAML})
    return tmp_path / "My Shop"


def found(top, **environ):
    return Development.find(top, {"HOME": "/home/alice", "PATH": "/opt/bin:/bin", "LD_PRELOAD": "x", **environ})


def test_all_that_a_process_is_told(shop):
    told = found(shop, TERM="xterm").injected()
    root = found(shop).root
    assert str(root).startswith("/home/alice/.cache/gitdeploy/my-shop-")
    assert told == {
        "APP_ENVIRONMENT": "development", "APP_LOCATION": "localhost", "APP_LOGS": f"{root}/var/log/apps/my-shop",
        "STATIC_URL": "/", "APP_NAME": "my-shop", "APP_RELEASE": "v0", "APP_VERSION": "0" * 40, "APPLES": "3", "FRUIT": "plum",
        "APP_SECRET_FILE": "/home/alice/.config/gitdeploy/secrets/my-shop.development",
        "HOME": f"{root}/var/cache/apps/my-shop/tmp", "LANG": "C.UTF-8", "PATH": "/opt/bin:/bin", "APP_DIRECTORY": str(shop),
        "PYTHONPATH": f"{root}/lib/buildless/start:{shop}",
        "PYTHONPYCACHEPREFIX": f"{root}/var/cache/apps/my-shop/pycache", "PYTHONUNBUFFERED": "1", "TERM": "xterm",
        "TMPDIR": f"{root}/var/cache/apps/my-shop/tmp",
    }  # fmt: skip


def test_services_are_those_that_development_yaml_says(files, tmp_path):
    files({
        "shop/app.yaml": YAML + "services: postgresql\n",
        "etc/gitdeploy/development.yaml": 'postgresql: {url: "postgresql:///{app}_{environment}"}\n',
    })  # fmt: skip
    told = found(tmp_path / "shop", XDG_CONFIG_HOME=str(tmp_path / "etc")).injected()
    assert told["CONFIG_PG_DBNAME"] == "shop_development" and told["DATABASE_URL"] == "postgresql:///shop_development"
    with pytest.raises(Refused) as refused:
        found(tmp_path / "shop", XDG_CONFIG_HOME=str(tmp_path / "nothing")).injected()
    assert str(refused.value).endswith('says nothing of; write into it:\npostgresql: {url: "postgresql:///{app}"}')


def test_directories_of_the_person_are_where_they_are_said_to_be(shop):
    one = found(shop, XDG_CACHE_HOME="/var/tmp/alice", XDG_CONFIG_HOME="/etc/alice")
    assert str(one.root).startswith("/var/tmp/alice/gitdeploy/my-shop-")
    assert str(one.secret) == "/etc/alice/gitdeploy/secrets/my-shop.development"


def test_two_checkouts_of_an_app_share_its_secret_alone(shop, tmp_path):
    shutil.copytree(shop, tmp_path / "other" / "My Shop")
    one, other = found(shop), found(tmp_path / "other" / "My Shop")
    assert one.secret == other.secret and one.root != other.root


def test_which_python(shop, tmp_path):
    debian = shutil.which(DEBIAN) or sys.executable
    assert found(shop).python == debian
    assert (
        found(shop, VIRTUAL_ENV=sys.prefix).python == debian
    )  # ours has what gitdeploy needs, and nothing of the application
    for place in (tmp_path / "venv", shop / ".venv"):
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "python3").symlink_to(sys.executable)
        assert found(shop, VIRTUAL_ENV=str(tmp_path / "venv")).python == str(place / "bin" / "python3")


def test_what_is_the_persons_own_to_do(shop):
    (shop / "app.yaml").write_text(f'{YAML}python: "<3"\ndeb: no-such-package\npip: [plums==1, wanted.txt]\n')
    python, *others, pip = found(shop).warnings()
    assert python.startswith("the application wants python <3, and ") and python.endswith("; make a .venv with another")
    assert pip.endswith(".venv/bin/pip install plums==1 -r wanted.txt")
    if shutil.which("dpkg-query"):
        assert others == ["Debian packages are missing; install them: sudo apt-get install no-such-package"]


@pytest.mark.parametrize(
    ("words", "directory", "rest"),
    [
        ([], "", []), (["/"], "", ["/"]), (["."], "", []), (["shop"], "shop", []), (["shop", "/x", "-v"], "shop", ["/x", "-v"]),
        (["shop:tasks"], "", ["shop:tasks"]), (["nothing"], "", ["nothing"]), (["/tmp"], "", ["/tmp"]),
        ([".", "shop"], "", ["shop"]),
    ],
)  # fmt: skip
def test_which_words_are_the_command(tmp_path, files, words, directory, rest):
    files({"shop/app.yaml": YAML, "app.yaml": YAML})
    where, command = split(words, tmp_path)
    assert (os.path.realpath(where), command) == (str(tmp_path / directory), rest)


def test_a_directory_without_an_application(tmp_path, files):
    files({"lib/x": ""})
    with pytest.raises(Refused, match=r"there is no app\.yaml in lib"):
        split(["lib", "x"], tmp_path)
    with pytest.raises(Refused, match=r"there is no app\.yaml in .*; go to the directory that has it"):
        found(tmp_path)
