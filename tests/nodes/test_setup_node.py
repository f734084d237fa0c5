"""setup-node on real machines: from bare to ready, again, interrupted anywhere, and what a node is like then."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from gitdeploy.nodes.agent import STALE

from .load import Load
from .machines import Machines, Node, eventually

AGENT = "/usr/lib/gitdeploy/node"


@pytest.fixture(scope="module")
def web(machines: Machines, bare: Callable[..., Node]) -> Node:
    """A machine that was bare, and that setup-node has been run on."""
    node = bare("set1")
    said = machines.gitdeploy("setup-node", "set1", limit=900).splitlines()
    assert said[-1] == "set1: ready"
    assert all(line.startswith("set1: ") for line in said)
    assert "set1: installing rsync" in "\n".join(said)
    return node


def server_argv(node: Node, *command: str) -> tuple[str, ...]:
    """A command on a node as the server starts it: with its key, as its user."""
    from gitdeploy.nodes import commands

    machines = node.machines
    shell = commands.ssh(node.record, str(machines.fleet.known_hosts), str(machines.logins.server))
    return commands.remote(shell, commands.USER, node.record, command)


def as_server(node: Node, *command: str, stdin: str = "") -> tuple[int, str]:
    """What it says, and its exit status."""
    argv = server_argv(node, *command)
    done = subprocess.run(argv, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.returncode, done.stdout


def setting_up(machines: Machines, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gitdeploy", "--home", str(machines.home), "setup-node", *names], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def active(node: Node, *units: str) -> list[str]:
    return node.ssh("systemctl", "is-active", *units, check=False).split()


def test_the_second_time_nothing_changes(machines: Machines, web: Node) -> None:
    """How long that takes is measured by bench/nodes."""
    assert machines.gitdeploy("setup-node", "set1") == "set1: nothing changed\n"
    assert web.ssh("cat", "/usr/lib/gitdeploy/version").strip() == web.record.setup
    assert web.ssh("systemctl", "is-system-running").strip() == "running"


def test_the_server_works_on_it_and_may_do_one_thing_as_root(web: Node) -> None:
    status, said = as_server(web, "sudo", "-n", AGENT, stdin='{"id": 1, "verb": "status"}\n')
    answer = json.loads(said)
    assert (status, answer["ok"]["setup"], answer["ok"]["nginx_ok"]) == (0, web.record.setup, True)
    for more in (
        ("sudo", "-n", "id"),
        ("sudo", "-n", AGENT, "--root", "/tmp"),
        ("sudo", "-n", "/usr/lib/gitdeploy/boot"),
    ):
        assert as_server(web, *more) == (1, "sudo: a password is required\n")
    assert as_server(web, "touch", "/var/lib/gitdeploy/x")[0] == 1  # not even its own home


def test_nobody_logs_in_with_a_password(web: Node) -> None:
    said = web.ssh("sshd", "-T", "-C", "user=root,host=x,addr=192.0.2.1")
    assert {"passwordauthentication no", "kbdinteractiveauthentication no", "maxsessions 100"} <= set(said.splitlines())


def test_it_comes_up_the_same_after_a_reboot(web: Node) -> None:
    web.ssh("touch", "/run/gitdeploy/in-service")
    web.cycle()
    assert active(web, "nginx", "rsyslog", "ssh", "gitdeploy-apps", "logrotate.timer") == ["active"] * 5
    with Load(web.address, "x", "/.gitdeploy/ping", visitors=1) as load:
        time.sleep(0.1)
    assert load.bad[0].startswith("503")  # out of service until the server has brought it up to date
    assert web.machines.gitdeploy("setup-node", "set1") == "set1: nothing changed\n"


def test_what_was_changed_by_hand_is_put_right_and_no_request_is_lost(machines: Machines, web: Node) -> None:
    web.ssh("sh", "-c", "touch /run/gitdeploy/in-service; echo '# mine' >>/etc/nginx/nginx.conf; rm /etc/logrotate.d/gitdeploy;"
                        " touch /usr/lib/gitdeploy/buildless/gone.py; rm /usr/lib/gitdeploy/buildless/node/verbs.py")  # fmt: skip
    with Load(web.address, "x", "/.gitdeploy/ping") as load:
        time.sleep(0.5)
        said = machines.gitdeploy("setup-node", "set1").splitlines()
        time.sleep(0.5)
    assert said == [
        "set1: /usr/lib/gitdeploy/buildless: node/verbs.py (new), gone.py (removed)",
        "set1: /: etc/logrotate.d/gitdeploy (new), etc/nginx/nginx.conf",
        "set1: python: python3 -m compileall -q /usr/lib/gitdeploy/buildless",
        "set1: nginx: systemctl reload-or-restart nginx",
        "set1: ready",
    ]
    assert load.bad == []
    assert load.answers["in service"] > 50


def test_a_deploy_that_works_there_is_waited_for(machines: Machines, web: Node) -> None:
    """Or it would load a module of another version beside those that it has. Who follows a log is not waited for."""
    module = web.root / "usr/lib/gitdeploy/buildless/ports.py"
    agent = subprocess.Popen(server_argv(web, "sudo", "-n", AGENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert agent.stdin is not None and agent.stdout is not None
    agent.stdin.write(b'{"id": 1, "verb": "status"}\n')
    agent.stdin.flush()
    assert b'"ok"' in agent.stdout.readline()
    module.write_text("changed = True\n")
    setup = setting_up(machines, "set1")
    assert setup.stdout is not None
    assert setup.stdout.readline() == "set1: warning: a deploy works on this machine; waiting for its end\n"
    assert module.read_text() == "changed = True\n" and setup.poll() is None
    agent.stdin.write(b'{"id": 2, "verb": "follow", "app": "shop"}\n')
    agent.stdin.flush()
    said, _ = setup.communicate(timeout=60)
    assert agent.poll() is None, "it goes on to follow"
    assert setup.returncode == 0 and "buildless: ports.py" in said and module.read_text() != "changed = True\n"
    agent.stdin.close()
    agent.wait(timeout=20)
    agent.stdout.close()


def test_who_waits_for_a_first_request_is_not_waited_for(machines: Machines, web: Node) -> None:
    """The server has an agent wait after a deploy. It has loaded what is not there any more: the server is to start another."""
    agent = subprocess.Popen(server_argv(web, "sudo", "-n", AGENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert agent.stdin is not None and agent.stdout is not None
    tasks = "ls /proc/$(pgrep -f '^/usr/bin/python3 -I /usr/lib/gitdeploy/node')/task | wc -l"
    eventually("it listens", lambda: web.ssh("sh", "-c", tasks, check=False).strip() == "2")
    (web.root / "usr/lib/gitdeploy/buildless/ports.py").write_text("changed = True\n")
    said = machines.gitdeploy("setup-node", "set1")
    assert "buildless: ports.py" in said and "waiting" not in said
    assert agent.poll() is None
    agent.stdin.write(b'{"id": 1, "verb": "status"}\n')
    agent.stdin.close()
    assert agent.stdout.read() == b"" and agent.wait(timeout=20) == STALE
    agent.stdout.close()


def test_what_was_asked_through_an_earlier_connection_comes_too_late(web: Node) -> None:
    """When a network is back it delivers what was sent before it was cut, and the server has put the node in order by then."""
    earlier = subprocess.Popen(server_argv(web, "sudo", "-n", AGENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert earlier.stdin is not None and earlier.stdout is not None
    receive = (
        json.dumps({"id": 1, "verb": "receive", "app": "late", "version": "1" * 40, "base": None, "without": []}) + "\n"
    )
    prune = '{"id": 1, "verb": "prune", "app": "shop", "keep": []}\n'
    earlier.stdin.write(prune.encode())
    earlier.stdin.flush()
    assert b'"ok"' in earlier.stdout.readline()
    assert '"ok"' in as_server(web, "sudo", "-n", AGENT, stdin=prune)[1]
    earlier.stdin.write(receive.encode())
    earlier.stdin.flush()
    assert b"the server has connected anew since this was asked; push again" in earlier.stdout.readline()
    assert not (web.root / "srv/apps/late").exists()
    earlier.stdin.close()
    earlier.wait(timeout=20)
    earlier.stdout.close()


def test_a_changed_host_key_is_refused_until_it_is_said_to_be_right(machines: Machines, web: Node) -> None:
    pinned = machines.fleet.pinned("set1")
    machines.fleet.pin("set1", ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKdM2UNJYmKI1e2yOuRvTkNE4C0V1dy6JW1J1eEKKdCA"])
    said = machines.gitdeploy("setup-node", "set1", check=False)
    assert said.startswith("gitdeploy: set1: the machine at ")
    assert said.endswith("if it was made again on purpose: gitdeploy setup-node --new-host-key set1\n")
    said = machines.gitdeploy("setup-node", "--new-host-key", "set1")
    assert "set1: host key SHA256:" in said and ", no longer SHA256:" in said
    assert set(machines.fleet.pinned("set1")) <= set(pinned)


def test_one_that_cannot_be_reached_does_not_hold_up_the_others(machines: Machines, web: Node) -> None:
    from gitdeploy.nodes.fleet import Machine

    machines.fleet.save(Machine("off", web.address, port=9))
    done = setting_up(machines, "off", "set1")
    said, _ = done.communicate(timeout=120)
    machines.fleet.remove("off")
    assert done.returncode == 1
    assert "set1: nothing changed\n" in said
    assert f"gitdeploy: off: it cannot be reached at {web.address}:9; see whether it runs" in said


def written(node: Node, app: str) -> list[str]:
    """The lines in the file of an app, without the time."""
    path = node.root / "var/log/gitdeploy" / f"{app}.log"
    return [line[23:] for line in path.read_text().splitlines()] if path.exists() else []


def test_what_apps_write_is_in_a_file_for_each_and_nobody_writes_into_that_of_another(web: Node) -> None:
    # the journal asks the kernel whose a line is: who has ended by then was nobody
    web.ssh("sh", "-s", stdin=b"""
        as() { unit=$1; shift; systemd-run -q --wait --uid nobody --unit "$unit" "$@"; }
        as app-shop.staging-web@v12.service sh -c 'echo; echo "  two words"; seq 0 2999'
        as app-shop-web@v1.service sh -c 'echo hello >&2
            { echo forged; sleep 1; } | logger -p local3.info -t shop.staging@v12'
    """)  # fmt: skip
    eventually("the log", lambda: len(written(web, "shop")) == 2)
    first, *more = written(web, "shop.staging")
    assert first == "Z v12 web |   two words"
    assert [line.rpartition(" ")[2] for line in more] == [str(number) for number in range(3000)]
    assert sorted(written(web, "shop")) == ["Z v1 web | forged", "Z v1 web | hello"]  # by two ways, in any order
    kept = web.root / "var/log/gitdeploy"
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o750, 0)


def test_logs_are_rotated_and_go_on(web: Node) -> None:
    web.ssh("sh", "-s", stdin=b"""
        install -d -o nobody /var/log/apps/shop
        systemd-run -q --wait --unit app-shop-web@v1.service sh -c 'yes "$(head -c 999 /dev/zero | tr "\\0" x)" | head -11000'
        head -c 11000000 /dev/zero >/var/log/apps/shop/own.log
    """)  # fmt: skip
    log = web.root / "var/log/gitdeploy/shop.log"
    eventually("11 MB", lambda: log.stat().st_size > 11_000_000)
    web.ssh("systemctl", "start", "logrotate")
    assert web.ssh("sh", "-c", "ls /var/log/gitdeploy").split() == ["shop.log.1", "shop.staging.log"]
    assert web.ssh("sh", "-c", "cd /var/log/apps/shop && ls && stat -c %s own.log").split() == [
        "own.log", "own.log.1", "0"
    ]  # fmt: skip
    web.ssh("sh", "-s", stdin=b"""
        systemd-run -q --wait --unit app-shop-web@v1.service echo on
        systemd-run -q --wait --unit app-shop.staging-web@v1.service echo end
    """)  # fmt: skip
    eventually("the end", lambda: written(web, "shop.staging")[-1] == "Z v1 web | end")
    assert written(web, "shop") == ["Z v1 web | on"]


@pytest.mark.parametrize("after", [0.7, 2, 4])
def test_it_ends_well_when_the_command_is_killed_in_the_middle(
    machines: Machines, bare: Callable[..., Node], after: float
) -> None:
    node = bare()
    first = setting_up(machines, node.name)
    time.sleep(after)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=10)
    machines.gitdeploy("setup-node", node.name, limit=900)
    assert machines.gitdeploy("setup-node", node.name) == f"{node.name}: nothing changed\n"
    assert node.ssh("systemctl", "is-system-running").strip() == "running"
    assert node.ssh("dpkg", "--audit") == ""
    node.destroy()


@pytest.mark.parametrize("after", [2, 4])
def test_it_ends_well_when_the_machine_loses_its_power_in_the_middle(
    machines: Machines, bare: Callable[..., Node], after: float
) -> None:
    node = bare()
    first = setting_up(machines, node.name)
    time.sleep(after)
    node.power_off()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "the connection was lost; set it up again" in said or "it cannot be reached" in said
    node.start()
    node.up()
    machines.gitdeploy("setup-node", node.name, limit=900)
    assert machines.gitdeploy("setup-node", node.name) == f"{node.name}: nothing changed\n"
    assert node.ssh("dpkg", "--audit") == ""
    node.destroy()


def test_somebody_elses_apt_is_waited_for(machines: Machines, web: Node) -> None:
    web.ssh("sh", "-s", stdin=b"""
        apt-get -qq -y purge debconf-utils >/dev/null
        systemd-run -q python3 -c 'import fcntl, time
with open("/var/lib/apt/lists/lock", "w") as lists:
    fcntl.lockf(lists, fcntl.LOCK_EX)
    time.sleep(4)'
    """)  # fmt: skip
    time.sleep(0.5)
    assert machines.gitdeploy("setup-node", "set1").splitlines() == [
        "set1: installing debconf-utils", "set1: waiting for another apt-get to end", "set1: ready"
    ]  # fmt: skip


def test_what_is_no_debian_is_refused(machines: Machines, web: Node) -> None:
    web.ssh("sh", "-c", "rm /etc/os-release; (echo ID=ubuntu; echo 'PRETTY_NAME=\"Ubuntu 22.04\"') >/etc/os-release")
    try:
        said = machines.gitdeploy("setup-node", "set1", check=False)
    finally:
        web.ssh("ln", "-sf", "../usr/lib/os-release", "/etc/os-release")
    assert said == (
        "gitdeploy: set1: this is Ubuntu 22.04; gitdeploy sets up Debian 12 and 13: make the node from such an image\n"
    )


def test_a_user_with_sudo_will_do_and_one_without_is_told(machines: Machines, web: Node) -> None:
    web.ssh("sh", "-s", stdin=b"""
        for user in admin joe; do useradd -m $user && cp -r /root/.ssh /home/$user/ && chown -R $user /home/$user/.ssh; done
        echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
    """)  # fmt: skip
    machines.fleet.change("set1", login="admin")
    assert machines.gitdeploy("setup-node", "set1") == "set1: nothing changed\n"
    machines.fleet.change("set1", login="joe")
    said = machines.gitdeploy("setup-node", "set1", check=False)
    machines.fleet.change("set1", login="root")
    assert said.startswith("gitdeploy: set1: joe needs sudo without a password there")
