import os

from buildless.description import parse
from buildless.environ import environ

INJECTED = {
    "app": "shop",
    "environment": "staging",
    "release": "v7",
    "version": "a" * 40,
    "location": "shop.staging.localhost",
    "tmpdir": "/var/cache/apps/shop/tmp-v7",
    "logs": "/var/log/apps/shop",
    "pycache": "/var/cache/apps/shop/pycache",
    "secret": "/srv/apps/shop/secret",
}


def made(env="", base=None):
    text = "name: shop\nplatform: python, wsgi\napp: shop:application\n" + env
    return environ(parse(text.encode()), **INJECTED, base=base or {})


def test_the_whole_environment():
    assert made() == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "STATIC_URL": "/",
        "LANG": "C.UTF-8",
        "HOME": "/var/cache/apps/shop/tmp-v7",
        "TMPDIR": "/var/cache/apps/shop/tmp-v7",
        "APP_LOGS": "/var/log/apps/shop",
        "APP_NAME": "shop",
        "APP_ENVIRONMENT": "staging",
        "APP_RELEASE": "v7",
        "APP_VERSION": "a" * 40,
        "APP_LOCATION": "shop.staging.localhost",
        "APP_SECRET_FILE": "/srv/apps/shop/secret",
        "PYTHONPYCACHEPREFIX": "/var/cache/apps/shop/pycache",
        "PYTHONUNBUFFERED": "1",
    }


def test_nothing_is_inherited(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    monkeypatch.setenv("PATH", "/somewhere")
    assert not set(made().values()) & {"/somewhere"}
    assert "SECRET_OF_THE_SERVER" not in made()
    assert os.environ["PATH"] == "/somewhere"


def test_the_description_is_overruled_by_what_comes_from_outside_and_that_by_what_is_injected():
    env = "env: {COLOUR: red, SIZE: large, LANG: de_DE}\n"
    result = made(env, {"COLOUR": "blue", "PATH": "/opt/bin", "APP_NAME": "other", "HOME": "/root"})
    assert (result["COLOUR"], result["SIZE"], result["PATH"]) == ("blue", "large", "/opt/bin")
    assert (result["LANG"], result["APP_NAME"], result["HOME"]) == ("C.UTF-8", "shop", INJECTED["tmpdir"])
