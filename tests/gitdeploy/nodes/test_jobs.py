"""When the embedded node looks for jobs, and what it starts; the jobs themselves are real elsewhere."""

from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from buildless.description import parse
from buildless.node.layout import Layout
from gitdeploy.deploy import stages
from gitdeploy.nodes.jobs import Jobs
from tests.gitdeploy.deploy.test_stages import plan

START = 1_764_000_000 - 1_764_000_000 % 3600  # an hour's first second


@pytest.fixture
def jobs(tmp_path):
    clock = Clock()
    clock.advance(START + 5)
    text = b"platform: static\ncron:\n  often: '*/2 * * * * bin/often'\n  later: '10 * * * * bin/later'\n"
    record = stages.record(plan(text), 0.0, "v7")
    node = SimpleNamespace(reactor=clock, files=Layout(tmp_path), record=lambda key, release: record, held=set())
    app = node.files.app("shop")
    app.releases.mkdir(parents=True)
    app.live.symlink_to("releases/v7")
    made = Jobs(node)
    made.started = []
    made.run = lambda key, release, name, timeout: made.started.append((name, release, timeout))
    yield made
    made.stop()


def minutes(jobs, count):
    for _ in range(count * 6):
        jobs.node.reactor.advance(10)
    found, jobs.started[:] = list(jobs.started), []
    return found


def test_what_is_due_is_run_once_in_its_minute(jobs):
    jobs.start()
    assert minutes(jobs, 3) == []  # this node does not run the jobs
    jobs.node.files.app("shop").jobs.touch()
    assert minutes(jobs, 1) == [("often", "v7", 3600.0)]
    assert minutes(jobs, 6) == [("often", "v7", 3600.0)] * 3 + [("later", "v7", 3600.0)]


def test_nothing_is_due_while_data_are_brought_up_to_date(jobs):
    jobs.node.files.app("shop").jobs.touch()
    jobs.node.held.add("shop")
    jobs.start()
    assert minutes(jobs, 3) == []
    jobs.node.held.clear()
    assert minutes(jobs, 2) == [("often", "v7", 3600.0)]


def test_a_description_goes_through_a_record():
    found = parse(b"platform: static\ncron: {a: {at: '0 3 * * 1-5', run: bin/x, timeout: 5min}}\n")
    said = stages.record(
        plan(b"platform: static\ncron: {a: {at: '0 3 * * 1-5', run: bin/x, timeout: 5min}}\n"), 0.0, "v1"
    )
    assert said["cron"]["a"]["timeout"] == 300.0
    assert tuple(said["cron"]["a"]["weekdays"]) == found.cron["a"].schedule.weekdays == (1, 2, 3, 4, 5)
