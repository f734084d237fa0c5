import json
import random
import re
from dataclasses import asdict
from pathlib import Path

import pytest

import buildless
from buildless.description import KINDS, TO_COME, Description, parse
from buildless.errors import DocumentError
from buildless.values import hostname, python_satisfies

EXAMPLE = Path(buildless.__file__).parent / "app.example.yaml"
WSGI = "platform: python, wsgi\napp: shop.wsgi:application\n"


def problems(text):
    with pytest.raises(DocumentError) as caught:
        parse(text.encode())
    return caught.value.problems


def problem(text):
    (found,) = problems(text)
    return found


def test_the_smallest():
    assert parse(b"platform: static\n") == Description(("static",))
    assert parse(WSGI.encode()) == Description(("python", "wsgi"), app="shop.wsgi:application")


def test_the_seeds_own_example_with_its_keys_at_one_level():
    text = b"""\
platform: python, wsgi
os: posix
python: <3
rpm: m2crypto
deb: python-m2crypto
pip: requirements.txt
paths: vendor/
app: myapp.wsgiapp:application
"""
    assert parse(text) == Description(
        ("python", "wsgi"),
        os=("posix",),
        python="<3",
        rpm=("m2crypto",),
        deb=("python-m2crypto",),
        pip=("requirements.txt",),
        paths=("vendor",),
        app="myapp.wsgiapp:application",
        warnings=("app.yaml:4: rpm: does not apply on Debian, where deb: names the packages",),
    )


def test_the_seeds_own_example_as_it_was_written():
    text = "platform: python, wsgi\n  os: posix\n  python: <3\n  app: myapp.wsgiapp:application\n"
    assert problem(text) == (
        "app.yaml:2: `os:` is indented below a key that has a value;"
        " write all keys at one level, no spaces before `os:`"
    )


def test_the_example_parses_and_has_every_key_and_no_other():
    text = EXAMPLE.read_bytes()
    found = parse(text)
    assert found.app == "shop.wsgi:application"
    assert found.env == {"SHOP_CURRENCY": "EUR", "SHOP_DEBUG": "no"}
    assert re.findall(r"(?m)^#?([a-z_]+):", text.decode()) == sorted(KINDS, key=list(asdict(found)).index)
    other = re.sub(rb"(?m)^app:.*\n", b"", text).replace(b"#runner:", b"runner:")
    assert parse(other).runner == "deploy/shop-runner.py"


def test_each_key_of_the_example_is_explained_with_its_default():
    paragraphs = EXAMPLE.read_text().split("\n\n")[1:]
    assert [p for p in paragraphs if not p.startswith("# ")] == []
    explained = [p for p in paragraphs if "efault: " in p]
    assert len(explained) == len(KINDS) - 1  # platform has none: it must be there
    assert len(paragraphs) == len(KINDS)


def test_every_key_is_a_field():
    assert {*KINDS, "warnings", "lines"} == set(Description.__dataclass_fields__)


def test_it_goes_through_json():
    found = parse(EXAMPLE.read_bytes())
    assert json.loads(json.dumps(asdict(found)))["deb"] == ["python3-lxml", "python3-psycopg2"]


@pytest.mark.parametrize("key", sorted(TO_COME))
def test_what_is_not_supported_yet_is_a_warning(key):
    (warning,) = parse(f"{WSGI}{key}: [{{a: b}}]\n".encode()).warnings
    assert warning.startswith(f"app.yaml:3: {key}: not supported yet, ignored")


def test_services_as_the_seed_writes_them():
    assert problem("service.postgis:\nplatform: static\n") == (
        "app.yaml:1: service.postgis: services are a list here; write services: [postgis]"
    )


def test_packages_as_the_seed_writes_them():
    assert parse(b"platform: static\nrequires: lxml\n").warnings == (
        "app.yaml:2: requires: not supported yet, ignored; write deb:",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [("app_name", "name"), ("add_paths", "paths"), ("static_path", "static"), ("dpkg", "deb"), ("wsgi", "app")],
)
def test_old_spellings_name_the_new_one(old, new):
    assert problem(f"{WSGI}{old}: x\n") == f"app.yaml:3: `{old}` is called `{new}` here; write {new}:"


def test_an_unknown_key_names_the_nearest():
    assert problem(WSGI + "locatoins: example.com\n") == 'app.yaml:3: unknown key "locatoins"; did you mean locations?'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app: a:b\n", "app.yaml:1: platform: it is missing"),
        ("platform:\n", "app.yaml:1: platform: it is missing"),
        ("platform: python\napp: a:b\n", "app.yaml:1: platform: nothing in it answers requests"),
        ("app: a:b\nplatform: wsgi\n", "app.yaml:2: platform: wsgi needs python"),
        ("platform: python, wsgi\n", "app.yaml:1: platform: wsgi needs an application"),
        ("platform: python, wsgi\napp:\n", "app.yaml:1: platform: wsgi needs an application"),
        (WSGI + "runner: run.py\n", "app.yaml:3: runner: app and runner both name the application"),
        ("platform: static\napp: a:b\n", "app.yaml:2: app: this needs `platform: python, wsgi`"),
        ("platform: pyhton, wsgi\napp: a:b\n", 'app.yaml:1: platform: unknown platform "pyhton"; did you mean python?'),
        ("platform: cobol\n", 'app.yaml:1: platform: unknown platform "cobol"; write one or more of python, wsgi'),
    ],
)
def test_platform_and_what_it_needs(text, expected):
    assert problem(text).startswith(expected)


def test_a_wrong_application_is_one_mistake_only():
    assert problem("platform: python, wsgi\napp: nonsense\n").startswith("app.yaml:2: app: ")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("name", "my-shop2", "my-shop2"),
        ("paths", "vendor/, ./lib//python/", ("vendor", "lib/python")),
        ("static", "public/", "public"),
        ("python", "'>=3.9, <3.13'", ">=3.9, <3.13"),
        ("os", "[posix, Debian]", ("posix", "debian")),
        ("deb", "g++, libc6, python3.11-dev, libstdc++6", ("g++", "libc6", "python3.11-dev", "libstdc++6")),
        ("rpm", "python3-lxml, gcc-c++", ("python3-lxml", "gcc-c++")),
        ("pip", "[conf/requirements.txt, 'Django>=4,<5', 'uvicorn[standard]', lxml]",
         ("conf/requirements.txt", "Django>=4,<5", "uvicorn[standard]", "lxml")),
        ("locations", "Shop.Example.com, example.com/, localhost", ("shop.example.com", "example.com", "localhost")),
        ("locations", "[Example.com/blog/, a.b/x.y/z~/0]", ("example.com/blog", "a.b/x.y/z~/0")),
        ("ping", "/ping?x=1&y=%20", "/ping?x=1&y=%20"),
        ("env", "{DEBUG: '0', _x: 3}", {"DEBUG": "0", "_x": "3"}),
    ],
)  # fmt: skip
def test_values(key, text, expected):
    assert getattr(parse(f"{WSGI}{key}: {text}\n".encode()), key) == expected


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("name", ["Shop", "1shop", "-x", "x-", "a/b", "a.b", "xn--a", "a" * 42, "''", "shöp"]),
        ("paths", ["/lib", "../lib", "a/../b", "a/..", ".", "''", "'a,,b'", "a\\b", "[a, [b]]", "~/lib", "-x"]),
        ("static", ["/etc", "..", ".", "./", "a/../../b"]),
        ("python", ["3.10", "three", "'>=3.9 <4'", "'~=3.9'", "'^3'", "'=3'", "'>=3.9,'", "'3.9.1.2'", "''", "'٣'"]),
        ("os", ["'*'", "de bian", "'-x'"]),
        ("deb", ["pkg-", "pkg+", "-o", "--force-yes", "/tmp/x.deb", "./x.deb", "a=1.0", "a/bookworm", "a:amd64", "a",
                 "Foo", "'a (>= 1)'", "http://example.com/x.deb", "'*'", "a_b", "'a b'", "a;b", "$(id)", "''"]),
        ("rpm", ["-x", "a/b", "'a b'", "http://x/y"]),
        ("pip", ["-r x.txt", "--index-url=x", "/etc/x.txt", "../x.txt", "git+https://example.com/x", "x @ file:///y"]),
        ("locations", ["'*.example.com'", "http://example.com", "/blog", "example.com:80", "a_b.example.com",
                       "-a.example.com", "a-.example.com", "a..b", "127.0.0.1", "ex ample.com", "a" * 64 + ".com",
                       ".".join(["a" * 60] * 5), "пример.example", "''", "'a;b'", "'a{b}'", "example.com.",
                       "example.com/Blog", "example.com/a/b/c/d", "example.com/../x", "example.com/.git", "example.com//x",
                       "'example.com/a b'", "'example.com/a;b'", "'example.com/$x'", "example.com/ä", "'example.com/%20'",
                       "example.com/" + "a" * 101]),
        ("ping", ["ping", "http://x/ping", "//x/ping", "/a b", "/a#b", '"/a\\r\\nHost: x"', "''", "/ä"]),
        ("env", ["{APP_NAME: x}", "{CONFIG_X: x}", "{TMPDIR: x}", "{PORT: '1'}", "{SOCKET: x}", "{PYTHONPATH: x}",
                 "{PYTHONPYCACHEPREFIX: x}", "{LD_PRELOAD: x}", "{GUNICORN_CMD_ARGS: x}", "{PATH: x}", "{HOME: x}",
                 "{A-B: x}", "{1A: x}", "{'A B': x}", "{'': x}", "{'A=B': x}", "{Ä: x}", "{A: no}", "{A: }", "[A]", "A"]),
    ],
)  # fmt: skip
def test_wrong_values(key, texts):
    for text in texts:
        assert problem(f"{WSGI}{key}: {text}\n").startswith(f"app.yaml:3: {key}"), text


@pytest.mark.parametrize(
    "text",
    ["shop.wsgi", "shop/wsgi.py:app", "shop.py:app", "a:b()", ":b", "a:", "a:b:c", "a.:b", "a:class", "1a:b", "a-b:c"],
)
def test_what_names_no_object(text):
    assert problem(f"platform: python, wsgi\napp: '{text}'\n").startswith("app.yaml:2: app: ")


def test_all_mistakes_at_once():
    text = "platform: python, wsgi\napp: x\nnmae: y\npaths:\n  - /a\n  - b\n  - ../c\nenv:\n  DEBUG: no\n"
    lines = [int(found.split(":")[1]) for found in problems(text)]
    assert lines == [2, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("requirement", "version", "satisfied"),
    [
        ("<3", (2, 7, 18), True),
        ("<3", (3, 0, 0), False),
        ("3.11", (3, 11, 2), True),
        ("3.11", (3, 1, 1), False),
        ("3", (3, 14, 0), True),
        ("==3.11.*", (3, 11, 2), True),
        ("==3.11.2", (3, 11, 3), False),
        ("!=3.11", (3, 11, 2), False),
        ("!=3.11", (3, 12, 0), True),
        (">=3.9", (3, 10, 0), True),
        (">=3.9", (3, 8, 19), False),
        (">= 3.9 , < 3.13", (3, 12, 9), True),
        (">=3.9,<3.13", (3, 13, 0), False),
        ("<=3.11", (3, 11, 9), True),
        (">3.11", (3, 11, 9), False),
        (">3.11", (3, 12, 0), True),
        (">3.11.2", (3, 11, 3), True),
    ],
)
def test_python_satisfies(requirement, version, satisfied):
    assert python_satisfies(requirement, version) is satisfied


def test_no_requirement_at_all():
    with pytest.raises(ValueError, match="no version of Python"):
        python_satisfies("", (3, 11, 2))


def test_a_host_name_of_the_greatest_length():
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert hostname(longest.upper()) == longest
    with pytest.raises(ValueError, match="is no host name"):
        hostname("x" + longest)


def test_whatever_is_written_the_answer_is_a_description_or_mistakes():
    chance = random.Random(2)  # the same every time
    example = EXAMPLE.read_bytes()
    pieces = [
        b":",
        b"- ",
        b"\n",
        b"  ",
        b"[",
        b"}",
        b"'",
        b'"',
        b"&a ",
        b"*a",
        b"!!",
        b"\xff",
        b"\0",
        b"\t",
        b"#",
        b"|",
        b"3.1",
    ]
    outcomes = set()
    for _ in range(150):
        text = bytearray(example)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text[at : at + chance.choice([0, 1, 5, 100])] = chance.choice(pieces)
        try:
            parse(bytes(text))
            outcomes.add("description")
        except DocumentError as error:
            outcomes.add("mistakes")
            assert all(re.match(r"app\.yaml:[0-9]+: .", found) for found in error.problems)
    assert outcomes == {"description", "mistakes"}


def test_the_page_about_it_names_all_that_is_not_supported_yet():
    page = (Path(__file__).parents[2] / "docs" / "app-yaml.rst").read_text()
    assert ".. include:: ../buildless/app.example.yaml\n   :code: yaml" in page
    _, not_yet = page.split("\nNot yet\n")
    assert {key for key in TO_COME if f"``{key}``" not in not_yet} == set()


def test_answers_for_debconf_are_lines_with_single_spaces():
    text = (
        WSGI
        + 'deb_answers:\n  - tzdata tzdata/Areas select Europe\n  - "a1\\tb/c.d\\tmultiselect\\tx, y"\n  - a1 b/e string\n'
    )
    assert parse(text.encode()).deb_answers == (
        "tzdata tzdata/Areas select Europe",
        "a1 b/c.d multiselect x, y",
        "a1 b/e string",
    )
    assert parse((WSGI + "deb_answers: a1 b/c string one, two\n").encode()).deb_answers == ("a1 b/c string one, two",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tzdata", "is no answer for debconf; write OWNER QUESTION TYPE VALUE, as debconf-get-selections prints it"),
        ("tzdata areas select Europe", "is no answer for debconf"),
        ("tzdata ../areas select Europe", "is no answer for debconf"),
        ("tzdata tzdata/areas", "is no answer for debconf"),
        ("-c tzdata/areas select x", "is no answer for debconf"),
        ("tzdata tzdata/areas choice Europe", '"choice" is no type that debconf has; write one of boolean, error'),
        ("tzdata tzdata/areas boolean yes", '"yes" is no answer to a boolean question; write true or false'),
        ("tzdata tzdata/areas boolean", '"" is no answer to a boolean question'),
        ('"a1 b/c string x\\na1 b/d string y"', "is no answer for debconf"),
    ],
)
def test_what_is_no_answer_for_debconf(line, said):
    assert said in problem(f"{WSGI}deb_answers:\n  - {line}\n")


def test_an_empty_list_of_answers():
    assert "the list is empty" in problem(WSGI + "deb_answers: []\n")


def test_rpm_is_read_and_said_not_to_apply():
    found = parse((WSGI + "rpm: m2crypto\npip: requirements.txt\n").encode())
    assert found.rpm == ("m2crypto",) and found.pip == ("requirements.txt",)
    assert found.warnings == ("app.yaml:3: rpm: does not apply on Debian, where deb: names the packages",)


def test_a_key_that_is_ignored_is_shown_so_that_it_prints():
    [warning] = parse(b'platform: static\n"version.\\x1f": x\n').warnings
    assert warning == 'app.yaml:2: "version.\\u001f": not supported yet, ignored'
