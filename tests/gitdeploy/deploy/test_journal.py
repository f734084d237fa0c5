"""What is kept of every deploy."""

import pytest

from gitdeploy.deploy.journal import Journal
from gitdeploy.errors import NotFound


@pytest.fixture
def journal(tmp_path):
    ticks = iter(range(1000, 2000))
    return Journal(tmp_path, lambda: float(next(ticks)))


def test_a_deploy_from_beginning_to_end(journal):
    entry = journal.begin("shop", "production", user="alice", source="git push")
    entry.event("say", text="-----> hello")
    entry.event("commit", commit="c" * 40)
    [under_way] = journal.list("shop", "production")
    assert under_way.result == "under way" and under_way.seconds is None
    entry.end("live", release="v1")
    [summary] = journal.list("shop", "production")
    assert (summary.id, summary.user, summary.result, summary.release) == ("d1", "alice", "live", "v1")
    assert summary.commit == "c" * 40 and summary.seconds is not None
    assert [event["event"] for event in journal.events("shop", "production", "d1")] == ["begin", "say", "commit", "end"]


def test_a_backup_that_stays_is_known_even_if_what_followed_failed(journal):
    entry = journal.begin("shop", "production", user="alice", source="destroy")
    entry.event("backup", kept="20261124T200000.123Z")
    entry.end("refused", error="busy")
    [summary] = journal.list("shop", "production")
    assert (summary.result, summary.kept) == ("refused", "20261124T200000.123Z")


def test_numbers_go_on_and_the_latest_are_listed_in_order(journal):
    for _ in range(12):
        journal.begin("shop", "production", user="alice", source="git push").end("refused", error="no")
    assert [one.id for one in journal.list("shop", "production", 3)] == ["d10", "d11", "d12"]


def test_what_a_killed_server_left_is_given_an_end(journal):
    entry = journal.begin("shop", "production", user="alice", source="git push")
    with entry.path.open("a") as file:
        file.write('{"time": 1, "event": "sta')  # killed while it wrote
    journal.interrupt("shop", "production")
    assert journal.list("shop", "production")[0].result == "interrupted"
    journal.interrupt("shop", "production")
    events = [event["event"] for event in journal.events("shop", "production", "d1")]
    assert events == ["begin", "end"]


def deployed(journal, source, nodes, result="live"):
    entry = journal.begin("shop", "production", user="alice", source=source)
    entry.event("committed", nodes=nodes)
    entry.end(result)


def test_what_was_deployed_without_a_node_is_known_until_it_has_caught_up(journal):
    def missed(node):
        return journal.missed("shop", "production", node)

    assert not missed("web2")
    deployed(journal, "git push", ["web1", "web2"])
    assert not missed("web2")
    deployed(journal, "git push", ["web1"])
    journal.begin("shop", "production", user="alice", source="git push").end("refused", error="no")
    deployed(journal, "git push", ["web1", "web2"], "prepared")
    deployed(journal, "catch up", ["web3"])
    assert missed("web2") and not missed("web1") and not missed("web3")
    deployed(journal, "catch up", ["web2"])
    assert not missed("web2")
    deployed(journal, "rollback", ["web1"])
    assert missed("web2") and missed("web3")


@pytest.mark.parametrize("name", ["d2", "1", "../../x", "d", ""])
def test_a_deploy_that_is_not_there(journal, name):
    journal.begin("shop", "production", user="alice", source="git push")
    with pytest.raises(NotFound):
        list(journal.events("shop", "production", name))


def test_what_tidying_up_says_comes_after_the_end_and_changes_nothing_of_it(journal):
    entry = journal.begin("shop", "production", user="alice", source="git push")
    entry.end("live", release="v1")
    entry.event("say", text="       web1: v1 pruned, 1.0 kB freed")
    entry.close()
    entry.close()
    entry.event("say", text="lost")
    [summary] = journal.list("shop", "production")
    assert (summary.result, summary.release, summary.seconds) == ("live", "v1", 2.0)
    assert [event["event"] for event in journal.events("shop", "production", "d1")] == ["begin", "end", "say"]
    journal.interrupt("shop", "production")
    assert journal.list("shop", "production")[0].result == "live"
