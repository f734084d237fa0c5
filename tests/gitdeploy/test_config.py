import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

import gitdeploy
from buildless.limits import WebLimits
from gitdeploy import config
from gitdeploy.config import Config, Environment, Keep, Limits
from gitdeploy.errors import ConfigError

EXAMPLE = Path(gitdeploy.__file__).parent / "gitdeploy.example.yaml"
UNCOMMENTED = re.sub(r"(?m)^#(?=[a-z]|  )", "", EXAMPLE.read_text())


def problems(text):
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode(), "g.yaml")
    return caught.value.details


def test_the_defaults():
    found = Config()
    assert found.environments == {"production": Environment("production"), "staging": Environment("staging")}
    assert found.environments["production"] == Environment("production", ("embedded",), None, None, None, WebLimits())
    assert found.limits == Limits(10**9, 4 * 10**9, 100_000, 60.0, 10.0, 3600.0, 600.0, 1800.0)
    assert found.keep == Keep(5, 1, 3600.0)
    assert (found.domain, found.default_environment, found.python) == ("localhost", "production", None)


@pytest.mark.parametrize("text", ["", "# nothing\n", "limits:\nenvironments:\nweb:\n"])
def test_nothing_said_means_the_defaults(text):
    assert config.parse(text.encode()) == Config()


def test_a_missing_file_means_the_defaults(tmp_path):
    assert config.load(tmp_path / "gitdeploy.yaml") == Config()


def test_a_file_is_read(tmp_path):
    path = tmp_path / "gitdeploy.yaml"
    path.write_text("domain: Example.com\n")
    assert config.load(path) == Config(domain="example.com")
    path.write_text("domian: example.com\n")
    with pytest.raises(ConfigError, match="has a mistake; correct what is listed") as caught:
        config.load(path)
    assert caught.value.details == (f'{path}:1: unknown key "domian"; did you mean domain?',)


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)


def test_the_example_is_the_defaults():
    assert config.parse(EXAMPLE.read_bytes()) == Config()
    assert not [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]


def test_the_example_without_its_comment_marks_is_the_defaults_too():
    assert config.parse(UNCOMMENTED.encode()) == Config()


def test_the_example_names_every_key():
    named = re.findall(r"(?m)^( *)([a-z_]+):", UNCOMMENTED)
    assert {name for indent, name in named if not indent} == set(config.KINDS)
    assert {name for indent, name in named if len(indent) == 4} == set(config.ENVIRONMENT)
    blocks = {name: UNCOMMENTED.split(f"\n{name}:")[1].split("\n\n")[0] for name in ("limits", "keep", "web")}
    for name, kinds in (("limits", config.LIMITS), ("keep", config.KEEP), ("web", config.WEB)):
        assert re.findall(r"(?m)^  ([a-z_]+): +\S", blocks[name]) == list(kinds)


@pytest.mark.parametrize(
    ("kinds", "block"), [(config.WEB, WebLimits), (config.LIMITS, Limits), (config.KEEP, Keep), (config.KINDS, Config)]
)
def test_every_field_can_be_set(kinds, block):
    derived = {"web"} if block is Config else set()  # it goes into the environments
    elsewhere = {"linger"} if block is WebLimits else set()  # it is what `keep` says
    assert set(kinds) - derived == {each.name for each in fields(block)} - elsewhere


def test_values():
    found = config.parse(
        f"""\
environments:
  production: {{nodes: "web1, web2", missing: 1, balancer: lb1, services: db1, branch: release/2,
    users: "alice, bob", domain: example.com, unit_test: yes, web: {{threads: 9, memory: 1GiB}}}}
  test:
limits: {{pack: 64KiB, files: 5, boot: 2min, wait: 0.5}}
providers: {{aws: {{driver: ec2, key: AKIA, region: eu-central-1}}}}
keep: {{versions: 2, running: 0, linger: 0s}}
mail: {{List.example.com: "shop, blog", example.net: }}
domain: apps.example.com
python: {sys.executable}
web: {{processes: 2, request: 500ms, max_requests: 0}}
""".encode()
    )
    web = WebLimits(processes=2, request=0.5, max_requests=0)
    assert found == Config(
        environments={
            "production": Environment(
                "production",
                ("web1", "web2"),
                "release/2",
                ("alice", "bob"),
                "example.com",
                replace(web, threads=9, memory=2**30),
                missing=1,
                balancer="lb1",
                unit_test=True,
                services="db1",
            ),
            "test": Environment("test", web=web),
        },
        limits=Limits(pack=65536, files=5, boot=120.0, wait=0.5),
        keep=Keep(2, 0, 0.0),
        mail={"list.example.com": ("shop", "blog"), "example.net": ()},
        domain="apps.example.com",
        python=sys.executable,
        providers={"aws": {"driver": "ec2", "key": "AKIA", "region": "eu-central-1"}},
    )


def test_the_web_block_counts_without_environments_too():
    found = config.parse(b"web: {threads: 2}\n")
    assert {name: each.web.threads for name, each in found.environments.items()} == {"production": 2, "staging": 2}


def test_another_default_environment():
    assert config.parse(b"environments: {live: }\ndefault_environment: live\n").default_environment == "live"
    assert config.parse(b"default_environment: staging\n").default_environment == "staging"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nenvironments: {live: }\n", "2: environments: none of them is production, the default environment;"),
        ("environments: {}\n", "1: environments: there is none;"),
        (
            "default_environment: stagin\n",
            '1: default_environment: there is no environment "stagin"; did you mean staging?',
        ),
        (
            "default_environment: qa\n",
            '1: default_environment: there is no environment "qa"; write one of production, staging',
        ),
        ("environments: {Production: }\n", "1: environments: 'Production' cannot be an environment's name"),
        (f"environments: {{{'a' * 32}: }}\n", "1: environments: "),
        ("environments: [production]\n", "1: environments: there is a list where keys should be"),
        ("environments: {production: embedded}\n", "1: environments.production: there is a text where keys should be"),
        (
            "environments:\n  production:\n    nodes: [embedded, Web1]\n",
            "3: environments.production.nodes: 'Web1' cannot be a node's name",
        ),
        ("environments: {production: {nodes: []}}\n", "1: environments.production.nodes: the list is empty"),
        ("environments: {production: {users: []}}\n", "1: environments.production.users: the list is empty"),
        (
            "environments: {production: {users: 'Eve;'}}\n",
            "1: environments.production.users: 'Eve;' cannot be a user's name",
        ),
        ("environments: {production: {branch: a..b}}\n", "1: environments.production.branch: "),
        ("environments: {production: {branch: refs/heads/x}}\n", "1: environments.production.branch: "),
        ("environments: {production: {domain: 'http://x'}}\n", "1: environments.production.domain: "),
        (
            "environments: {production: {web: {thread: 2}}}\n",
            '1: environments.production.web: unknown key "thread"; did you mean',
        ),
        ("environments: {production: }\nenvironments: {production: }\n", '2: "environments" is in line 1 already'),
        ("limits: {pack: 1XB}\n", '1: limits.pack: "1XB" is no size'),
        ("limits: {files: 0}\n", "1: limits.files: "),
        ("limits: {step: 0}\n", "1: limits.step: "),
        ("keep: {versions: 0}\n", "1: keep.versions: "),
        ("keep: {running: -1}\n", "1: keep.running: "),
        ("web: {memory: 300}\n", '1: web.memory: "300" is no size; write 16000000 bytes or more'),
        ("web: {processes: 0}\n", "1: web.processes: "),
        ("web: {request: 5m}\n", "1: web.request: "),
        ("domain: '*'\n", "1: domain: "),
        ("mail: {'*.example.com': shop}\n", '1: mail: "*.example.com" means many hosts'),
        ("mail: {example.com: Shop}\n", "1: mail.example.com: 'Shop' cannot be an app's name"),
        ("python: python3\n", '1: python: "python3" is no program; write the whole path'),
        ("python: /usr/bin\n", "1: python: "),
        ("python: /does/not/exist\n", "1: python: "),
        ("- a\n", "1: there is a list where keys should be"),
    ],
)
def test_mistakes(text, expected):
    (found,) = problems(text)
    assert found.startswith(f"g.yaml:{expected}")


def test_all_mistakes_at_once():
    text = "limits:\n  pakc: 1GB\n  files: many\nenvironments:\n  Live: {nodes: Web1}\ndomain: a_b\n"
    with pytest.raises(ConfigError, match=r"g\.yaml has 5 mistakes") as caught:
        config.parse(text.encode(), "g.yaml")
    assert [int(found.split(":")[1]) for found in caught.value.details] == [2, 3, 5, 5, 6]


def test_environments_meet_at_a_node_or_a_balancer():
    one = Environment("production", ("web1", "web2"), balancer="lb1")
    assert one.meets(one) and one.meets(Environment("staging", ("web2",)))
    assert one.meets(Environment("staging", ("web3",), balancer="lb1"))
    assert not one.meets(Environment("staging", ("web3",), balancer="lb2"))
    assert not Environment("production", ("web1",)).meets(Environment("staging", ("web3",)))


def test_the_machines_of_an_environment():
    assert Environment("production").machines == ("embedded",)
    assert Environment("production", ("web1", "web2"), balancer="lb1", services="web1").machines == (
        "web1",
        "web2",
        "lb1",
    )
    assert Environment("production", ("web1",), services="db1").machines == ("web1", "db1")
