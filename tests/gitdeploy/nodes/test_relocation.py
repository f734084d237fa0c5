"""Places in the settings of releases when the home is elsewhere: a pure decision."""

from gitdeploy.nodes.relocation import moved


def test_places_below_the_root_move_and_nothing_else():
    said = {
        "environ": {"HOME": "/srv/a/node/var/x", "PATHS": "/srv/a/node:/srv/a/node/b:/usr", "OTHER": "/srv/a/nodes/x"},
        "libraries": ["/srv/a/node/var/lib"], "web": {"processes": 1, "boot": 1.5}, "nothing": None,
    }  # fmt: skip
    assert moved(said, "/srv/a/node", "/home/\\1/node") == {
        "environ": {"HOME": "/home/\\1/node/var/x", "PATHS": "/home/\\1/node:/home/\\1/node/b:/usr", "OTHER": "/srv/a/nodes/x"},
        "libraries": ["/home/\\1/node/var/lib"], "web": {"processes": 1, "boot": 1.5}, "nothing": None,
    }  # fmt: skip
    assert moved(said, "/srv", "/opt")["environ"]["OTHER"] == "/opt/a/nodes/x"
