"""verify and doctor: what they find on nodes that somebody has been at, and what they say to do; nodes:drain and nodes:resume."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager

import pytest

from ..functional.session import hello
from .machines import eventually
from .traces import live
from .visitor import in_service, lines, says


@pytest.fixture
def sold(shop, web):
    """An app with two releases, v2 is live."""
    shop.commit("Sell apples", {**hello("apples"), "lib/more.py": "MORE = 1\n", "static/a.txt": "a"})
    shop.push().ok()
    shop.commit("Sell pears", hello("pears"))
    shop.push().ok()
    return shop


def tree(node, app):
    return node.root / "srv/apps" / app.name / "live" / "tree"


@contextmanager
def writable(directory):
    """The directory of a version, for somebody with a root shell and little patience."""
    directory = directory.resolve()
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o555)


def verify(app):
    """The problems that verify finds, by node; it ends with 1 if there are any."""
    done = app.server.ssh("verify", app.name)
    marked = [line.removeprefix(" !     ") for line in done.out.splitlines() if line.startswith(" !     ")]
    assert done.status == (1 if marked else 0), done.text
    return [line.removeprefix(f"production/{app.name} on ") for line in marked]


def doctor(server, node):
    """What doctor says of a node."""
    done = server.ssh("doctor")
    said, found = done.out.splitlines(), []
    at = next(number for number, line in enumerate(said) if line.startswith(f"-----> {node}: "))
    for line in said[at + 1 :]:
        if line.startswith("----->"):
            break
        found.append(line.removeprefix(" !     "))
    assert said[at].endswith("needs attention" if found else "well")
    return found


def test_a_version_as_it_was_delivered_is_well(sold, web):
    said = sold.server.ssh("verify", sold.name).ok().out.splitlines()
    commit = sold.live()[:7]
    assert said == [
        f"       production/{sold.name} on {node}: v2 is {commit}, every file of it, and runs"
        for node in ("web1", "web2")
    ]
    [one, _] = json.loads(sold.server.ssh("verify", sold.name, "--json").ok().out)
    assert (one["node"], one["release"], one["commit"], one["problems"]) == ("web1", "v2", sold.live(), [])


def test_verify_names_every_file_that_differs_and_the_next_push_mends_it(sold, web):
    web2 = web[1]
    with writable(tree(web2, sold) / "lib") as lib:
        (lib / "more.py").chmod(0o644)
        (lib / "more.py").write_text("MORE = 2\n")
    with writable(tree(web2, sold)) as top:
        (top / "hello.py").unlink()
        (top / "extra.py").write_text("")
    [problem] = verify(sold)
    assert problem == (
        "web2: files differ from the commit: extra.py, hello.py, lib/more.py; somebody changed them there: push another commit,"
        " which sends all of them again (git commit --allow-empty)"
    )
    sold.commit("Deliver again")
    told = lines(sold.push().ok())
    assert "       web1: 0 files sent (0 B), 4 kept" in told
    assert "       web2: what it had of COMMIT was changed there; sending all of it" in told
    assert "       web2: 4 files sent" in "\n".join(told)
    assert verify(sold) == [] and [says(node, sold) for node in web] == ["pears", "pears"]


def test_verify_finds_a_link_that_leads_elsewhere(sold, web):
    link = web[1].root / "srv/apps" / sold.name / "live"
    link.unlink()
    link.symlink_to("releases/v1")
    [problem] = verify(sold)
    assert problem.startswith("web2: its ref names ") and problem.endswith(f"; deploy it: redeploy {sold.name}")
    assert ", it serves v1 (" in problem
    row = next(line for line in sold.server.ssh("nodes").ok().out.splitlines() if line.startswith("web2 "))
    assert f"production/{sold.name}" in row
    sold.server.ssh("redeploy", sold.name).ok()
    assert verify(sold) == [] and live(web[0], sold.name) == live(web[1], sold.name)


def test_verify_finds_processes_that_do_not_run(sold, web):
    web[1].ssh("systemctl", "stop", f"app-{sold.name}-web@v2.socket", f"app-{sold.name}-web@v2.service")
    assert verify(sold) == [f"web2: no process of v2 is running; start it: redeploy {sold.name}"]
    sold.server.ssh("redeploy", sold.name).ok()
    assert verify(sold) == [] and says(web[1], sold) == "pears"


def test_doctor_finds_nothing_on_nodes_that_are_well_and_says_which_one_is_not_there(server, web):
    assert doctor(server, "server") == [] == doctor(server, "web1") == doctor(server, "web2")
    assert doctor(server, "web9") == ["gitdeploy.yaml names it, and it is not there; run: gitdeploy create-node web9"]


def test_doctor_finds_a_unit_that_failed(server, web):
    web[1].ssh("systemd-run", "--unit=broken", "false")
    try:
        eventually("it failed", lambda: doctor(server, "web2"))
        assert doctor(server, "web2") == ["broken.service has failed; on it, look at: journalctl -u broken.service"]
    finally:
        web[1].ssh("systemctl", "reset-failed")


def test_doctor_finds_a_file_that_nginx_does_not_take(server, web):
    broken = web[1].root / "etc/nginx/gitdeploy/zz.map"
    broken.write_text("server { listen nowhere; }\n")
    try:
        assert doctor(server, "web2") == ["nginx does not take its configuration; on it, look at: nginx -t"]
    finally:
        broken.unlink()


def test_doctor_finds_a_set_up_of_another_version(server, web):
    version = web[1].root / "usr/lib/gitdeploy/version"
    before = version.read_text()
    version.write_text("another\n")
    try:
        assert doctor(server, "web2") == [
            "it is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node web2"
        ]
    finally:
        version.write_text(before)


def test_doctor_finds_that_a_reboot_is_due(server, web):
    web[1].ssh("touch", "/run/reboot-required")
    try:
        [advice] = doctor(server, "web2")
        assert advice == "it wants to be rebooted; run: nodes:drain web2, reboot it, then: nodes:resume web2"
    finally:
        web[1].ssh("rm", "/run/reboot-required")


def test_a_drained_node_gets_deploys_and_no_requests_until_it_is_resumed(server, sold, web):
    web1, web2 = web
    assert in_service(web1) and in_service(web2)
    said = server.ssh("nodes:drain", "web2").ok().out
    assert said == (
        "web2 is drained, until: nodes:resume web2\n"
        "production has no balancer, and whoever asks web2 is answered as before;"
        " to take an app out of service: maintenance:on APP\n"
    )
    try:
        assert in_service(web1) and not in_service(web2)
        assert doctor(server, "web2") == ["it is drained; when it is to get requests again: nodes:resume web2"]
        assert "drained" in server.ssh("nodes").ok().out
        sold.commit("Sell plums", hello("plums"))
        sold.push().ok()
        assert says(web2, sold) == "plums" and not in_service(web2)
        web2.power_off()
        web2.start()
        web2.up()
        eventually("it is up to date", lambda: re.search(r"web2 .* drained ", server.ssh("nodes").ok().out))
        assert says(web2, sold) == "plums" and not in_service(web2)
    finally:
        server.ssh("nodes:resume", "web2").ok()
    eventually("it is in service", lambda: in_service(web2))
    assert says(web2, sold) == "plums"


def test_nodes_are_changed_by_admins_alone(server, sold, web):
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(f"{settings}admins: [bob]\n"):
        done = server.ssh("nodes:drain", "web2")
        assert done.status == 1 and "alice may not change nodes; see admins in gitdeploy.yaml" in done.text
        assert "alice may not change nodes" in server.ssh("nodes:resume", "web2").text
        assert server.gitdeploy("nodes:resume", "web2").ok()  # on the server's own machine
    assert in_service(web[1])
    assert "there is no node 'web7'; did you mean web2?" in server.ssh("nodes:drain", "web7").text
    assert os.path.exists(web[1].root / "etc/sudoers.d/gitdeploy")


def test_what_the_server_may_do_as_root_is_one_thing(server, web):
    """Its key is no key to root; sudo lets it start the agent and nothing else."""
    node = web[0]
    assert "Permission denied" in as_server(server, node, "root", "true")
    said = as_server(server, node, "gitdeploy", "sudo", "-n", "-l")
    assert said.splitlines()[-1].strip() == '(root) NOPASSWD: /usr/lib/gitdeploy/node ""'
    for words in (
        ["id"],
        ["/usr/lib/gitdeploy/node", "--root", "/tmp"],
        ["/usr/lib/gitdeploy/boot"],
        ["-u", "www-data", "id"],
    ):
        assert "password is required" in as_server(server, node, "gitdeploy", "sudo", "-n", *words)


def as_server(server, node, user, *command):
    """Run a command on a node with the server's own key; returns all that was said."""
    from ..functional.session import run

    key, known = server.home / "ssh/server_ed25519", server.home / "nodes/known_hosts"
    options = [
        f"UserKnownHostsFile={known}",
        f"HostKeyAlias={node.name}",
        f"IdentityFile={key}",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
    ]
    argv = [
        "ssh",
        "-F",
        "none",
        *(word for option in options for word in ("-o", option)),
        f"{user}@{node.address}",
        "--",
        *command,
    ]
    return run(argv, server.env, server.top).text
