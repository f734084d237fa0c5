"""What a push may ask for."""

import pytest

from gitdeploy.deploy.gate import PREPARE, deploying, still
from gitdeploy.errors import BadName, Refused
from gitdeploy.git.push import ZERO, Update

A, B = "a" * 40, "b" * 40
MASTER = "refs/heads/master"


def test_the_first_push_of_main_or_master_decides():
    for branch in ("main", "master"):
        update = Update(ZERO, A, f"refs/heads/{branch}")
        assert deploying([update], None, "production") is update


def test_a_first_push_of_another_branch_names_the_command():
    with pytest.raises(Refused, match="git push deploy feature:master"):
        deploying([Update(ZERO, A, "refs/heads/feature")], None, "production")


def test_another_branch_names_the_command_that_would_deploy_it():
    with pytest.raises(Refused, match="production deploys main, not fix: git push deploy fix:main"):
        deploying([Update(ZERO, A, "refs/heads/fix")], "refs/heads/main", "production")


def test_tags_deploy_nothing_and_may_come_along():
    tag, branch = Update(ZERO, A, "refs/tags/1.0"), Update(A, B, MASTER)
    assert deploying([tag], MASTER, "production") is None
    assert deploying([tag, branch], MASTER, "production") is branch
    assert deploying([Update(A, ZERO, "refs/tags/1.0")], MASTER, "production") is None


@pytest.mark.parametrize(
    ("ref", "new", "reason"),
    [
        (MASTER, ZERO, "cannot be deleted.*git push -f deploy OLDER:master"),
        ("refs/heads/gone", ZERO, "there is no branch gone here"),
        ("refs/releases/v9", A, "not for pushing"),
        ("refs/namespaces/staging/refs/heads/master", A, "not for pushing"),
    ],
)
def test_what_is_refused(ref, new, reason):
    with pytest.raises(Refused, match=reason):
        deploying([Update(A, new, ref)], MASTER, "production")


def test_a_release_is_prepared_once_there_is_one_that_is_live():
    prepare = Update(ZERO, A, PREPARE)
    assert deploying([prepare], MASTER, "production") is prepare
    assert deploying([Update(A, ZERO, PREPARE)], MASTER, "production") is None
    with pytest.raises(Refused, match="git push deploy prepare:master"):
        deploying([prepare], None, "production")
    with pytest.raises(Refused, match="prepare is what is live"):
        deploying([Update(A, ZERO, PREPARE)], PREPARE, "production")


def test_hostile_refs_are_no_names():
    with pytest.raises(BadName):
        deploying([Update(ZERO, A, "refs/heads/--upload-pack=x")], MASTER, "production")


def test_one_push_deploys_one_branch():
    both = [Update(ZERO, A, "refs/heads/main"), Update(ZERO, A, MASTER)]
    with pytest.raises(Refused, match="one push deploys one branch"):
        deploying(both, None, "production")


def test_who_was_overtaken_is_told_by_what():
    still(Update(A, B, MASTER), A)
    still(Update(ZERO, B, MASTER), None)
    with pytest.raises(Refused, match="master is now bbbbbbb, not aaaaaaa"):
        still(Update(A, B, MASTER), B)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("redeploy", "to deploy that once more: redeploy APP"),
        ("rollback", "to go back from that: rollback APP"),
        ("config", "type the command again"),
    ],
)
def test_who_types_a_command_and_was_overtaken_is_not_told_to_push(source, says):
    still(Update(A, A, MASTER), A, source)
    with pytest.raises(Refused, match=f"not aaaaaaa which was live; somebody deployed meanwhile; .*{says}") as refused:
        still(Update(A, A, MASTER), B, source)
    assert "push" not in str(refused.value)
