"""How many nodes may be down, and what is said to whoever pushes if more are."""

import pytest

from gitdeploy.deploy.absence import absent

REREAD = "have the server read it again (systemctl reload gitdeploy, or SIGHUP)"


def some(count):
    """So many nodes that are down."""
    return {f"web{number + 1}": "no route" for number in range(count)}


@pytest.mark.parametrize(
    ("down", "nodes", "missing", "says"),
    [
        (0, 2, 0, None),
        (2, 3, 2, None),
        (1, 2, 5, None),
        (1, 2, 0, f"push again when all are back, or write `missing: 1` for production in gitdeploy.yaml and {REREAD}"),
        (
            2,
            3,
            1,
            f"push again when one of them is back, or write `missing: 2` for production in gitdeploy.yaml and {REREAD}",
        ),
        (
            3,
            5,
            1,
            f"push again when 2 of them are back, or write `missing: 3` for production in gitdeploy.yaml and {REREAD}",
        ),
        (1, 1, 0, "push again when all are back"),
        (2, 2, 0, "push again when all are back"),
        (2, 2, 2, "push again when one of them is back"),
        (3, 3, 1, "push again when 2 of them are back"),
    ],
)
def test_no_more_nodes_may_be_absent_than_are_allowed_and_never_all(down, nodes, missing, says):
    found = absent(some(down), nodes, missing, "production")
    assert (found and found.partition("; ")[2]) == says
    if says:
        names = {1: "web1 does", 2: "web1, web2 do", 3: "web1, web2, web3 do"}[down]
        assert found.startswith(f"{names} not answer (no route); ")


def test_an_exclusive_update_can_do_without_none():
    assert absent({}, 3, 2, "production", exclusive=True) is None
    assert absent({"web2": "no route"}, 3, 2, "production", exclusive=True) == (
        "an exclusive update wants all nodes, as those that come back later would write:"
        " web2 does not answer (no route); push again when all are back"
    )
