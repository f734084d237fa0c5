"""Setting up one machine, seen from the commands that are run: in which order, how exactly, and what is told of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gitdeploy.errors import CommandFailed, Refused
from gitdeploy.nodes.fleet import Fleet, Logins, Machine
from gitdeploy.nodes.kit import File, Outfit
from gitdeploy.nodes.setup import Setup, authorized, changes, lay_over, mirror, sudo
from gitdeploy.runner import Command

WEB1 = Machine("web1", "192.0.2.1")
ADMIN = Machine("web1", "2001:db8::1", login="admin")
OUTFIT = Outfit(
    "apps", b"the script", (File("etc/a", 0o640, b"a"), File("usr/lib/gitdeploy/buildless/web.py", 0o644, b"b"))
)
KEY = "ssh-ed25519 AAAA"


class FakeRunner:
    """Answers commands, by the last word that tells them apart, with what they write, or with an error."""

    def __init__(self, answers: dict[str, bytes | CommandFailed] | None = None) -> None:
        self.answers = answers or {}
        self.commands: list[tuple[str, ...]] = []
        self.stdin: list[bytes] = []

    async def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        timeout: float,
        on_output: Callable[[bytes], None] | None = None,
        check: bool = True,
    ) -> bytes:
        self.commands.append(command.argv)
        self.stdin.append(stdin)
        found = next((answer for word, answer in self.answers.items() if word in " ".join(command.argv)), b"")
        if isinstance(found, CommandFailed):
            raise found
        if on_output is not None:
            on_output(found)
        return found


def result(work: Any) -> Any:
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    [found] = results
    if hasattr(found, "raiseException"):
        found.raiseException()
    return found


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path / "nodes")
    fleet.save(WEB1)
    fleet.pin("web1", [KEY])
    return fleet


def setup(fleet: Fleet, runner: FakeRunner, machine: Machine = WEB1) -> tuple[Setup, list[str]]:
    said: list[str] = []
    return Setup(runner, fleet, Logins(fleet.path), machine, OUTFIT, said.append), said  # type: ignore[arg-type]


def test_the_script_the_files_the_script_and_then_the_server_logs_in(fleet: Fleet) -> None:
    runner = FakeRunner()
    work, said = setup(fleet, runner)
    result(work.run())
    packages, copy, lay, settle, let_go, enter = runner.commands
    assert packages[-4:] == ("root", "--", "192.0.2.1", "sh -s -- packages apps")
    assert lay[0] == "rsync" and lay[-1] == "192.0.2.1:/"
    assert copy[0] == "rsync" and copy[-1] == "192.0.2.1:/usr/lib/gitdeploy/buildless/"
    assert settle[-1] == f"sh -s -- settle apps {OUTFIT.version}"
    assert enter[-4:] == ("gitdeploy", "--", "192.0.2.1", "sudo -n /usr/lib/gitdeploy/node")
    assert f"IdentityFile={fleet.path}/setup_ed25519" in settle and f"IdentityFile={fleet.path}/server_ed25519" in enter
    assert runner.stdin == [b"the script", b"", b"etc/a\0", b"the script", b"", b""]
    [socket] = {command[command.index("-S") + 1] for command in (packages, settle, let_go)}
    assert let_go[-4:] == ("-O", "exit", "--", "192.0.2.1") and socket in lay[lay.index("--rsh") + 1]
    assert "-S" not in enter  # the server's key is another one, and must do by itself
    assert said == ["nothing changed"]
    assert fleet.get("web1").setup == OUTFIT.version


def test_what_changes_is_told(fleet: Fleet) -> None:
    work, said = setup(fleet, FakeRunner({"files-from": b"<f+++++++++ etc/a\n", "settle": b"nginx: reloaded\nhalf"}))
    result(work.run())
    assert said == ["/: etc/a (new)", "nginx: reloaded", "ready"]


def test_a_warning_is_no_change(fleet: Fleet) -> None:
    work, said = setup(fleet, FakeRunner({"packages": b"warning: this is Debian 13\n"}))
    result(work.run())
    assert said == ["warning: this is Debian 13", "nothing changed"]


def test_why_the_script_refuses_is_the_error(fleet: Fleet) -> None:
    failed = CommandFailed("ssh ended with exit code 1", "ssh ...")

    class Refusing(FakeRunner):
        async def run(self, command: Command, **how: Any) -> bytes:
            if "exit" in command.argv:
                return b""
            how["on_output"](b"installing nginx\n  E: no such package\n! apt-get install failed; mend it")
            raise failed

    work, said = setup(fleet, Refusing())
    with pytest.raises(Refused, match=r"^web1: apt-get install failed; mend it$"):
        result(work.run())
    assert said == ["installing nginx", "  E: no such package"]
    assert fleet.get("web1").setup is None


def test_a_server_that_cannot_log_in_is_no_set_up_node(fleet: Fleet) -> None:
    denied = CommandFailed(
        "ssh ended with exit code 255", "ssh ...", "gitdeploy@192.0.2.1: Permission denied (publickey)."
    )
    work, _ = setup(fleet, FakeRunner({"sudo -n /usr/lib/gitdeploy/node": denied}))
    with pytest.raises(Refused, match="the server cannot work on it") as raised:
        result(work.run())
    assert raised.value.details == ("gitdeploy@192.0.2.1: Permission denied (publickey).",)
    assert fleet.get("web1").setup is None


def test_a_balancer_is_nothing_else(fleet: Fleet) -> None:
    work, _ = setup(fleet, FakeRunner(), Machine("web1", "192.0.2.1", roles=("apps", "balancer")))
    with pytest.raises(Refused, match="both want port 80"):
        result(work.run())


def test_files_are_laid_one_by_one_and_directories_stay_as_they_are() -> None:
    assert lay_over(WEB1, ("ssh", "-p", "22"), "/tmp/x") == (
        "rsync", "--checksum", "--perms", "--owner", "--group", "--chown=root:root", "--itemize-changes",
        "--rsh", "ssh -p 22 -l root", "--rsync-path", "rsync",
        "--files-from=-", "--from0", "--no-implied-dirs", "--", "/tmp/x/", "192.0.2.1:/",
    )  # fmt: skip


def test_our_package_is_mirrored_and_who_is_not_root_takes_sudo() -> None:
    assert mirror(ADMIN, ("ssh",), "/tmp/x") == (
        "rsync", "--checksum", "--perms", "--owner", "--group", "--chown=root:root", "--itemize-changes",
        "--rsh", "ssh -l admin", "--rsync-path", "sudo -n -- flock --timeout 240 /run/gitdeploy/kit.lock rsync",
        "--recursive", "--delete-after", "--delay-updates", "--filter=-p __pycache__/", "--",
        "/tmp/x/usr/lib/gitdeploy/buildless/", "[2001:db8::1]:/usr/lib/gitdeploy/buildless/",
    )  # fmt: skip
    assert sudo(ADMIN, "sh", "-s") == ("sudo", "-n", "--", "sh", "-s")


def test_the_key_of_the_server_runs_commands_and_no_more() -> None:
    assert authorized("ssh-ed25519 AAAA gitdeploy server") == "restrict ssh-ed25519 AAAA gitdeploy server\n"


def test_what_rsync_did_is_one_line() -> None:
    said = (
        ".d..t...... ./\n<f+++++++++ etc/new\n<fc.T...... etc/changed\n*deleting   node/gone.py\ncd+++++++++ etc/dir/\n"
    )
    assert changes(said) == "etc/new (new), etc/changed, node/gone.py (removed)"
    assert changes("".join(f"<f+++++++++ {n}\n" for n in range(9))).endswith("5 (new) and 3 more")
    assert changes("") == ""
