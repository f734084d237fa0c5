import pytest

from buildless.sleep import Sleep


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def app(tmp_path):
    """An app with two releases, the second one is live."""
    for name in ("v1", "v2"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "web.sock").symlink_to(f"/run/apps/shop/{name}.sock")
    (tmp_path / "live").symlink_to("releases/v2")
    return tmp_path


def test_a_release_that_nobody_asks_is_due(app):
    clock = Clock()
    sleep = Sleep(app / "releases" / "v1", 10, clock)
    clock.now += 9
    assert not sleep.is_due()
    sleep.touch()
    clock.now += 9
    assert not sleep.is_due()
    clock.now += 2
    assert sleep.is_due()


def test_the_time_of_a_live_release_begins_when_it_no_longer_is(app):
    clock = Clock()
    sleep = Sleep(app / "releases" / "v2", 10, clock)
    clock.now += 1000
    assert not sleep.is_due()
    (app / "live").unlink()
    (app / "live").symlink_to("releases/v1")
    clock.now += 9
    assert not sleep.is_due()
    clock.now += 2
    assert sleep.is_due()


def test_whose_processes_serve_the_live_release_does_not_sleep(app):
    clock = Clock()
    sleep = Sleep(app / "releases" / "v1", 10, clock)
    (app / "releases" / "v2" / "web.sock").unlink()
    (app / "releases" / "v2" / "web.sock").symlink_to("/run/apps/shop/v1.sock")
    clock.now += 1000
    assert not sleep.is_due()


@pytest.mark.parametrize("linger", [0, 10])
def test_where_it_cannot_be_told_nothing_ends(tmp_path, linger):
    clock = Clock()
    sleep = Sleep(tmp_path, linger, clock)
    clock.now += 1000
    assert not sleep.is_due()


def test_no_linger_is_never(app):
    clock = Clock()
    sleep = Sleep(app / "releases" / "v1", 0, clock)
    clock.now += 1000
    assert not sleep.is_due()
