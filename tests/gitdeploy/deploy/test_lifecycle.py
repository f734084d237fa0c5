"""When a deploy brings data up to date, and lets nobody in meanwhile: pure decisions."""

from dataclasses import replace

import pytest

from buildless.service import Account
from gitdeploy.deploy.lifecycle import bringing_up_to_date, is_exclusive

from .test_stages import plan

YAML = b"platform: static\ninstall: bin/install\nupdate: {run: bin/update, exclusive: yes}\n"
COMMIT, EARLIER = "c" * 40, "b" * 40


@pytest.mark.parametrize(
    ("earlier", "source", "command", "exclusive"),
    [
        (EARLIER, "git push", "bin/update", True),
        (EARLIER, "rollback", "bin/update", True),
        (None, "git push", "bin/install", False),
        (COMMIT, "redeploy", None, False),
        (EARLIER, "prepare", None, False),
        (EARLIER, "catch up", None, False),
    ],
)
def test_only_what_changes_data_for_a_new_version_wants_to_be_alone(earlier, source, command, exclusive):
    made = plan(YAML, source=source)
    assert made.commit.oid == COMMIT
    assert bringing_up_to_date(made, earlier) == ((command,) if command else ())
    assert is_exclusive(made, earlier) is exclusive


def test_the_same_version_is_brought_up_to_date_only_if_all_that_is_kept_is_new():
    def made(*new):
        ours = [Account(name, "shop") for name in ("postgresql", "redis", "memcached")]
        services = (*ours, Account("files", "shop", url="x"))
        return replace(plan(YAML, source="redeploy"), services=services, new=new)

    assert bringing_up_to_date(made("redis"), COMMIT) == ()
    assert bringing_up_to_date(made("memcached"), COMMIT) == ()
    assert bringing_up_to_date(made("redis", "postgresql"), COMMIT) == ("bin/install",)


def test_one_that_is_not_exclusive():
    assert not is_exclusive(plan(b"platform: static\nupdate: bin/update\n"), EARLIER)
    assert not is_exclusive(plan(b"platform: static\n"), EARLIER)
