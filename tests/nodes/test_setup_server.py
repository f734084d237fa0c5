"""gitdeploy as a service, on a bare Debian machine: installed, pushed to from outside, killed, upgraded, rebooted."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .load import Load
from .machines import Machines, Node, eventually

ROOT = Path(__file__).parent.parent.parent
INSTALL = 600.0  # seconds
GITDEPLOY = "/opt/gitdeploy/bin/gitdeploy"
HOME = "/var/lib/gitdeploy-server"
PARTS = ("gitdeploy", "buildless", "hooks", "node-setup", "setup.py", "README.rst", "pyproject.toml")


def source() -> bytes:
    """What is installed from, as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in PARTS:
            archive.add(ROOT / name, name, filter=lambda one: None if "__pycache__" in one.name else one)
    return packed.getvalue()


class Service:
    """The machine, and alice's repository outside of it."""

    def __init__(self, node: Node, top: Path) -> None:
        self.node, self.top = node, top
        self.key = top / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True, timeout=30)
        options = "-o StrictHostKeyChecking=accept-new -o IdentitiesOnly=yes -o LogLevel=ERROR"
        known = f"-o UserKnownHostsFile={top}/known"
        self.env = {
            **os.environ, "GIT_SSH_COMMAND": f"ssh -F none -i {self.key} {options} {known}",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "a@example.com",
        }  # fmt: skip
        self.git("init", "-q", "-b", "master", ".")
        self.git("remote", "add", "deploy", f"ssh://deploy@{node.address}:2222/shop")
        self.git("remote", "add", "outside", f"ssh://deploy@{node.address}:2222/outside/shop")

    def git(self, *args: str) -> str:
        (self.top / "shop").mkdir(exist_ok=True)
        done = subprocess.run(
            ["git", *args], cwd=self.top / "shop", env=self.env, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def install(self) -> None:
        self.node.ssh("sh", "-c", "rm -rf /opt/source; mkdir -p /opt/source && tar xf - -C /opt/source", stdin=source())
        pip = "/opt/gitdeploy/bin/pip install --quiet --disable-pip-version-check"
        self.node.ssh("sh", "-c", f"{pip} /opt/source", limit=INSTALL)

    def upgrade(self) -> None:
        """Another gitdeploy is installed over the one that is there."""
        self.node.ssh("sh", "-c", "echo '# another one' >>/opt/source/gitdeploy/errors.py")
        pip = "/opt/gitdeploy/bin/pip install --quiet --disable-pip-version-check --no-deps"
        self.node.ssh("sh", "-c", f"{pip} /opt/source", limit=INSTALL)

    def setup(self, *args: str) -> str:
        return self.node.ssh(GITDEPLOY, "setup-server", *args, limit=200)

    def refused(self, *argv: str) -> str:
        """What a command that must fail says; the service goes on as it was."""
        before = self.pid(), self.settings()
        said = self.node.ssh("sh", "-c", '"$@" && echo it worked; true', "sh", *argv, check=False, limit=100)
        assert "it worked" not in said and "Traceback" not in said, said
        assert (self.pid(), self.settings()) == before
        return said

    def settings(self) -> str:
        return self.node.ssh("cat", "/etc/default/gitdeploy", "/etc/systemd/system/gitdeploy.service")

    def of_others(self) -> str:
        """What in the home is not the server's."""
        return self.node.ssh("find", HOME, "!", "-user", "gitdeploy-server")

    def commit(self, text: str) -> None:
        (self.top / "shop" / "app.yaml").write_text("platform: python, wsgi\napp: shop:application\n")
        code = f"def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{text}']\n"
        (self.top / "shop" / "shop.py").write_text(code)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", text)

    def says(self, port: int = 8080) -> str:
        argv = [
            "curl",
            "--silent",
            "--max-time",
            "5",
            "--header",
            "Host: shop.localhost",
            f"http://{self.node.address}:{port}/",
        ]
        return subprocess.run(argv, capture_output=True, text=True, timeout=10).stdout

    def pid(self) -> str:
        return self.node.ssh("systemctl", "show", "--property", "MainPID", "--value", "gitdeploy").strip()


@pytest.fixture(scope="module")
def outside(nodes: Callable[..., list[Node]]) -> Node:
    """A node of the server, beside the embedded one."""
    [made] = nodes(1)
    made.up()
    return made


@pytest.fixture(scope="module")
def service(
    bare: Callable[..., Node], outside: Node, machines: Machines, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    node = bare()
    node.up()
    node.ssh("apt-get", "update", "-qq", limit=200)
    node.ssh(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends",
        "git", "rsync", "python3-venv", limit=INSTALL,
    )  # fmt: skip
    made = Service(node, tmp_path_factory.mktemp("service"))
    node.ssh("python3", "-m", "venv", "/opt/gitdeploy", limit=100)
    made.install()
    home = node.root / HOME[1:]
    machines.lend(home, outside)
    environments = f"environments:\n  production: {{nodes: embedded}}\n  outside: {{nodes: [{outside.name}]}}\n"
    (home / "gitdeploy.yaml").write_text(environments)
    return made


def test_it_becomes_a_service_that_takes_pushes(service: Service) -> None:
    said = service.setup()
    assert "gitdeploy runs: pushes on tcp:2222" in said
    assert f"nobody may push yet; run: {GITDEPLOY} keys:add NAME" in said
    assert "given to gitdeploy-server" in said, "also what root had put there before"
    assert service.setup().startswith("nothing changed; gitdeploy runs")
    added = service.node.ssh(GITDEPLOY, "keys:add", "alice", stdin=Path(f"{service.key}.pub").read_bytes())
    assert "alice may push" in added
    service.node.ssh(GITDEPLOY, "list-nodes")
    assert service.of_others() == "", "root leaves nothing of its own in the home"
    service.commit("one")
    assert "Live: v1" in service.git("push", "deploy", "master")
    assert service.says() == "one"
    assert service.node.ssh("stat", "-c", "%a %U", HOME).split() == ["700", "gitdeploy-server"]
    assert "gitdeploy-server" in service.node.ssh("ps", "-o", "user:20=", "-p", service.pid())


def test_it_is_there_again_after_it_was_killed(service: Service) -> None:
    before = service.pid()
    service.node.ssh("kill", "-9", before)
    eventually("another server runs", lambda: service.pid() not in ("0", before))
    eventually("what was live is live", lambda: service.says() == "one")
    service.commit("two")
    assert "Live: v2" in service.git("push", "deploy", "master")
    assert service.says() == "two"


def test_stopping_it_ends_it_in_order(service: Service) -> None:
    service.node.ssh("systemctl", "stop", "gitdeploy", limit=100)
    assert service.node.ssh("systemctl", "show", "--property", "Result", "--value", "gitdeploy").strip() == "success"
    assert service.node.ssh("pgrep", "-u", "gitdeploy-server", check=False) == ""
    service.node.ssh("systemctl", "start", "gitdeploy", limit=100)
    eventually("what was live is live", lambda: service.says() == "two")


def test_an_upgrade_starts_it_anew_and_applications_on_nodes_do_not_notice(service: Service, outside: Node) -> None:
    assert "Live: v1" in service.git("push", "outside", "master")
    running = outside.ssh("pgrep", "-f", "/usr/lib/gitdeploy/web")
    before = service.pid()
    with Load(outside.address, "shop.outside.localhost") as load:
        service.upgrade()
        said = service.setup()
        assert "starting the server anew; applications on nodes go on, those of the embedded node are started" in said
        assert service.pid() not in ("0", before)
        eventually("what was live is live", lambda: service.says() == "two")
        service.node.ssh("kill", "-9", service.pid())
        eventually("what was live is live", lambda: service.says() == "two")
    assert load.bad == [] and set(load.answers) == {"two"} and load.answers["two"] > 100
    assert outside.ssh("pgrep", "-f", "/usr/lib/gitdeploy/web") == running
    assert service.setup().startswith("nothing changed; gitdeploy runs")
    service.commit("three")
    assert "Live: v2" in service.git("push", "outside", "master")
    assert "Live: v3" in service.git("push", "deploy", "master")


def test_what_cannot_be_is_refused_and_the_service_goes_on(service: Service) -> None:
    said = service.refused(GITDEPLOY, "setup-server", "--ssh", "tcp:22")
    assert "something listens on port 22 already; let Debian's sshd listen elsewhere" in said
    assert "is no endpoint" in service.refused(GITDEPLOY, "setup-server", "--http", "8080")
    assert "holds something else" in service.refused(GITDEPLOY, "setup-server", "--home", "/etc")
    assert "cannot be the server's user" in service.refused(GITDEPLOY, "setup-server", "--user", "gitdeploy")
    for place, reason in (
        ("/root/other", "gitdeploy-server cannot run /root/other/"),
        ("/tmp/other", "services do not see"),
    ):
        service.node.ssh("cp", "-a", "/opt/gitdeploy", place)
        said = service.refused(f"{place}/bin/python", "-m", "gitdeploy", "setup-server")
        assert reason in said and "python3 -m venv /opt/gitdeploy" in said


def test_other_users_are_told_whose_it_is(service: Service) -> None:
    other = ("runuser", "-u", "nobody", "--", GITDEPLOY)
    for command in ("keys:list", "list-nodes", "server"):
        assert "belongs to gitdeploy-server; do this as root" in service.refused(*other, command)
    assert "is root's; write: sudo" in service.refused(*other, "setup-server")


def test_a_server_typed_by_root_is_one_of_the_user(service: Service) -> None:
    assert "a server is running on /var/lib/gitdeploy-server already" in service.refused(GITDEPLOY, "server")
    assert service.of_others() == ""


def test_what_is_written_into_its_settings_counts_from_the_next_setup_on(service: Service) -> None:
    service.node.ssh("sed", "-i", "s/tcp:8080/tcp:80/", "/etc/default/gitdeploy")
    assert "applications on tcp:80" in service.setup()
    eventually("it answers at a port below 1024", lambda: service.says(80) == "three")
    assert "applications on tcp:8080" in service.setup("--http", "tcp:8080")
    eventually("it answers where it did", lambda: service.says() == "three")


def test_it_is_there_again_after_a_reboot(service: Service) -> None:
    service.node.reboot()
    eventually("what was live is live", lambda: service.says() == "three", 90)
