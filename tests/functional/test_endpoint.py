"""Who may come in, and that ssh here is for pushing and for nothing else; as OpenSSH's client meets it."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .client import alice, fingerprint, free_port, knock, master, somebody
from .session import LIMIT, SMALL, App, Done, Running, Server, eventually, hello, run, slow

CLOSED = 255  # the exit status of OpenSSH's client when it is ssh that failed, and no command
Keep = Callable[[Running], Running]


def denied(done: Done) -> bool:
    """Whether ssh did not let somebody in, and takes nothing but keys. (128 is git's own exit status for that.)"""
    assert done.status in (CLOSED, 128), done.text
    assert "deploy@127.0.0.1: Permission denied (publickey)." in done.text, done.text
    return True


def booting(shop: App) -> None:
    """Wait until the second deploy of `shop` starts the application."""
    path = shop.server.home / "deploys" / shop.name / "production" / "d2.jsonl"
    eventually("it boots", lambda: path.exists() and '"stage": "boot"' in path.read_text(), LIMIT)


# Keys.


def test_a_known_key_is_let_in(server: Server) -> None:
    assert "Hello alice" in alice(server).ssh().err


def test_the_name_in_the_address_says_nothing(server: Server) -> None:
    assert "Hello alice" in alice(server).ssh(options=["-l", "root"]).err


def test_an_unknown_key_is_not(shop: App) -> None:
    shop.commit("First page", hello("one"))
    mallory = somebody(shop.server, "mallory")
    with shop.server.unchanged():
        assert denied(mallory.ssh("help"))
        assert denied(run(["git", "push", "deploy", "master"], mallory.env, shop.directory))
        assert denied(run(["git", "ls-remote", "deploy"], mallory.env, shop.directory))


def test_a_removed_key_is_let_in_no_longer(server: Server) -> None:
    bob = somebody(server, "bob").let_in()
    assert bob.ssh("help").ok()
    assert server.gitdeploy("keys:remove", "bob").ok()
    assert denied(bob.ssh("help"))


def test_one_removed_key_of_two(server: Server) -> None:
    desk, laptop = somebody(server, "carol").let_in(), somebody(server, "carol2")
    server.gitdeploy("keys:add", "carol", stdin=laptop.key.read_bytes()).ok()
    assert "Hello carol" in laptop.ssh().err
    server.gitdeploy("keys:remove", "carol", fingerprint(server, desk.key)).ok()
    assert denied(desk.ssh("help"))
    assert laptop.ssh("help").ok()


def test_a_key_that_is_removed_does_nothing_more_on_an_open_connection(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    bob = somebody(shop.server, "bob-open").let_in()
    with master(bob) as through:
        assert bob.ssh("apps", options=through).ok()
        shop.server.gitdeploy("keys:remove", "bob-open").ok()
        for words in (
            ("redeploy", shop.name),
            ("apps",),
            ("git-upload-pack", shop.name),
            ("git-receive-pack", shop.name),
        ):
            refused = bob.ssh(*words, options=through)
            assert (refused.status, refused.out) == (1, ""), (words, refused.text)
            assert "gitdeploy: the key of bob-open has been removed" in refused.err
    assert len(shop.git("ls-remote", "--refs", "deploy", "refs/releases/*").splitlines()) == 1


def test_a_key_that_is_removed_during_a_push_deploys_nothing(shop: App, running: Keep, tmp_path: Path) -> None:
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    bob = somebody(shop.server, "bob-push").let_in()
    shop.commit("Second page", slow("two", tmp_path / "gate"))
    with shop.server.unchanged():
        push = running(Running(["git", "push", "--progress", "deploy", "master"], bob.env, shop.directory))
        booting(shop)
        shop.server.gitdeploy("keys:remove", "bob-push").ok()
        (tmp_path / "gate").touch()
        assert push.wait().refused("bob-push may no longer push here")
    assert (shop.says(), shop.live()) == ("one", first)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_kinds_of_keys(server: Server, kind: str) -> None:
    person = somebody(server, f"with-{kind}", kind)
    assert denied(person.ssh("help"))
    assert f"Hello with-{kind}" in person.let_in().ssh().err


def test_rsa_keys_sign_with_sha_2_only(server: Server) -> None:
    person = somebody(server, "with-old-rsa", "rsa").let_in()
    for good in ("rsa-sha2-256", "rsa-sha2-512"):
        assert person.ssh("help", options=["-o", f"PubkeyAcceptedAlgorithms={good}"]).ok()
    assert denied(person.ssh("help", options=["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]))


def test_passwords_are_not_taken(server: Server) -> None:
    asked, script = server.user / "asked", server.user / "askpass"
    script.write_text(f"#!/bin/sh\ntouch {asked}\necho secret\n")
    script.chmod(0o755)
    options = ["-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "BatchMode=no"]
    env = {**server.env, "SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force"}
    assert denied(run(alice(server).argv("help", options=options), env, server.user))
    assert not asked.exists()  # the server has not offered to listen to one


# What is not for pushing.


def test_there_is_no_shell(server: Server) -> None:
    with server.unchanged():
        shell = alice(server).ssh(stdin=b"id\n", options=["-T"])
    assert (shell.status, shell.out) == (1, "")
    assert shell.err == "Hello alice. There is no shell here: git push, or ssh with a command; try: help\n"


def test_a_terminal_gives_nobody_a_shell(server: Server) -> None:
    with server.unchanged():
        shell = alice(server).ssh(stdin=b"id\n", options=["-tt"])
    assert (shell.status, shell.out) == (1, "")
    assert "There is no shell here: git push, or ssh with a command; try: help\r\n" in shell.err


def test_there_are_no_subsystems(server: Server) -> None:
    refused = alice(server).ssh("sftp", options=["-s"])
    assert (refused.status, refused.out) == (CLOSED, "")
    assert "subsystem request failed on channel 0" in refused.err


@pytest.mark.parametrize("program", [["sftp", "-q"], ["scp"], ["scp", "-O"]], ids=" ".join)
def test_there_are_no_file_transfers(server: Server, program: list[str]) -> None:
    file = f"deploy@127.0.0.1:{server.home}/gitdeploy.yaml"
    argv = [*program, "-F", str(server.user / "ssh_config"), "-P", str(server.ssh_port), file, "stolen"]
    done = run(argv, server.env, server.user)
    assert done.status != 0, done.text
    assert not (server.user / "stolen").exists()


def test_rsync_is_a_command_that_there_is_not(server: Server) -> None:
    ssh = f"ssh -F {server.user}/ssh_config -p {server.ssh_port}"
    file = f"deploy@127.0.0.1:{server.home}/gitdeploy.yaml"
    done = run(["rsync", "-e", ssh, file, "stolen"], server.env, server.user)
    assert done.status != 0
    assert "there is no command 'rsync'" in done.err
    assert not (server.user / "stolen").exists()


def test_nothing_is_forwarded_from_here(server: Server, running: Keep) -> None:
    port, control = free_port(), server.home / "run" / "control.sock"
    assert control.is_socket()
    web, commands = server.user / "web.sock", server.user / "control.sock"
    options = [
        "-N",
        "-L",
        f"{web}:127.0.0.1:{server.http_port}",
        "-L",
        f"{commands}:{control}",
        "-D",
        f"127.0.0.1:{port}",
    ]
    client = running(alice(server).start(options=options))
    eventually("the client listens", lambda: web.exists() and commands.exists() and listens(port))
    request = b'{"user": "root", "argv": ["help"], "stdin": ""}\n'
    assert said(socket.AF_UNIX, str(web), b"GET / HTTP/1.0\r\n\r\n") == b""
    assert said(socket.AF_UNIX, str(commands), request) == b""
    socks = b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1" + server.http_port.to_bytes(2, "big") + b"GET / HTTP/1.0\r\n\r\n"
    assert b"HTTP" not in said(socket.AF_INET, ("127.0.0.1", port), socks)
    eventually("each is refused", lambda: client.seen.count("open failed") == 3)
    assert client.process.poll() is None  # and the connection stays


def listens(port: int) -> bool:
    """Whether somebody does, at a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


def said(family: int, address: object, request: bytes) -> bytes:
    """All that comes back through a connection until its end."""
    with socket.socket(family) as connection:
        connection.settimeout(20)
        answer = b""
        try:
            connection.connect(address)
            connection.sendall(request)
            while data := connection.recv(4096):
                answer += data
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


def test_standard_input_is_not_forwarded(server: Server) -> None:
    done = alice(server).ssh(options=["-W", f"127.0.0.1:{server.http_port}"], stdin=b"GET / HTTP/1.0\r\n\r\n")
    assert (done.status, done.out) == (CLOSED, "")
    assert "stdio forwarding failed" in done.err


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0", "{top}/remote.sock"])
def test_nothing_is_forwarded_to_here(server: Server, listen: str) -> None:
    where = f"{listen.format(top=server.top)}:127.0.0.1:{server.http_port}"
    done = alice(server).ssh(options=["-N", "-o", "ExitOnForwardFailure=yes", "-R", where])
    assert done.status == CLOSED, done.text
    assert "remote port forwarding failed" in done.err, done.text
    assert not (server.top / "remote.sock").exists()
    assert alice(server).ssh("help", options=["-R", where]).ok()  # who does not insist may go on


def test_neither_agent_nor_display_is_taken(server: Server, running: Keep) -> None:
    agent = server.user / "agent"
    running(Running(["ssh-agent", "-D", "-a", str(agent)], server.env, server.user))
    eventually("an agent", agent.exists)
    env = {**server.env, "SSH_AUTH_SOCK": str(agent), "DISPLAY": "127.0.0.1:77"}
    options = ["-A", "-Y", "-v", "-o", "IdentityAgent=SSH_AUTH_SOCK"]
    with server.unchanged():
        done = run(alice(server).argv("help", options=options), env, server.user).ok()
        assert "X11 forwarding request failed on channel 0" in done.err
        assert "Requesting authentication agent forwarding" in done.err


def test_the_environment_is_not_taken(shop: App) -> None:
    shop.commit("First page", hello("one"))
    trace = shop.server.top / "trace"
    sent = f"GIT_TRACE={trace} GIT_TRACE_PACKET={trace} GIT_NAMESPACE=other PATH=/nowhere"
    env = {**shop.server.env, "GIT_SSH_COMMAND": f"{shop.server.env['GIT_SSH_COMMAND']} -o SetEnv='{sent}'"}
    run(["git", "push", "deploy", "master"], env, shop.directory).ok()
    assert run(["git", "ls-remote", "deploy", "master"], env, shop.directory).ok().out
    assert not trace.exists()
    assert shop.says() == "one"


# What git asks for.

BAD_PATHS = [
    "../x", "/../x", "x/../y", "staging/../shop", "./x", "/etc", "-x", "--upload-pack=x", "a;b", "$(id)", "`id`",
    "a b", "a/b/c/d", "sh\u043ep", "\uff53hop", "sho\u200bp", "~", "~root/shop", "", "/", "//", ".git", "production",
    "staging/", "staging/production", "Shop", "shop_1", "shop.", "shop.git.git", "shop.git/../x", "shop\\x",
    "%2e%2e", "xn--shop", "localhost", "x" * 300, "x" * 5000, "a\tb", "a\nb",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path[:20]))
def test_bad_repository_paths(server: Server, path: str) -> None:
    with server.unchanged():
        for command in ("git-receive-pack", "git-upload-pack"):
            done = server.ssh(f"{command} {shlex.quote(path)}", stdin=b"0000")
            assert (done.status, done.out) == (2, ""), done.text
            assert done.err.startswith("gitdeploy: "), done.text
            assert "Traceback" not in done.err


def test_git_tells_what_is_wrong_with_a_path(shop: App) -> None:
    shop.commit("First page", hello("one"))
    address = f"ssh://deploy@127.0.0.1:{shop.server.ssh_port}"
    push = shop.push(f"{address}/srv/git/shop.git", "master")
    assert push.status != 0
    assert "'/srv/git/shop.git' is no repository here; write APP or ENVIRONMENT/APP" in push.err
    assert shop.server.ssh("git-receive-pack /stagging/shop.git", stdin=b"0000").status == 3
    push = shop.push(f"{address}/stagging/shop.git", "master")
    assert push.status != 0
    assert "there is no environment 'stagging'; did you mean staging?" in push.err


def test_fetching_what_is_not_there(shop: App) -> None:
    with shop.server.unchanged():
        done = run(["git", "ls-remote", "deploy"], shop.server.env, shop.directory)
    assert done.status != 0
    assert f"there is no app '{shop.name}'" in done.err


UNKNOWN = [
    "id", "ls /", "sh -c id", "bash", "git", "git-shell", "git gc", "git-upload-archive 'shop'", "scp -t /tmp", "sftp-server",
    "rsync --server . .", "/usr/bin/git-receive-pack shop", "GIT-RECEIVE-PACK shop", "exec id", "help;id", "''",
    "'", "help\tid\x01", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("command", UNKNOWN, ids=lambda command: ascii(command[:30]))
def test_unknown_commands(server: Server, command: str) -> None:
    with server.unchanged():
        done = server.ssh(command, stdin=b"")
    assert done.status in (2, 3), done.text
    assert done.out == ""
    assert done.err.startswith(("gitdeploy: there is no command", "gitdeploy: the command ")), done.text


@pytest.mark.parametrize(
    "options", ["--upload-pack=id shop", "shop other", "--stateless-rpc shop", "--help", "", "-x 'shop'"]
)
def test_git_commands_take_a_path_and_nothing_else(server: Server, options: str) -> None:
    with server.unchanged():
        for command in ("git-receive-pack", "git-upload-pack"):
            done = server.ssh(f"{command} {options}")
            assert (done.status, done.out) == (2, ""), done.text


@pytest.mark.parametrize("tail", ["; touch {mark}", "$(touch {mark})", "`touch {mark}`", "| tee {mark}", "> {mark}"])
def test_no_shell_sees_a_command(server: Server, tail: str) -> None:
    mark = server.top / "mark"
    for command in ("help", "git-upload-pack shop", "apps", "keys:list"):
        done = server.ssh(f"{command} {tail.format(mark=mark)}")
        assert done.status in (2, 3), done.text
    assert not mark.exists()


# Algorithms.


@pytest.mark.parametrize(
    "option",
    [
        "Ciphers=aes128-cbc", "Ciphers=3des-cbc", "MACs=hmac-sha1", "MACs=hmac-md5", "MACs=hmac-sha1-96",
        "KexAlgorithms=diffie-hellman-group14-sha1", "KexAlgorithms=diffie-hellman-group1-sha1",
        "KexAlgorithms=diffie-hellman-group-exchange-sha256", "HostKeyAlgorithms=ssh-rsa",
    ],
)  # fmt: skip
def test_weak_algorithms_are_refused(server: Server, option: str) -> None:
    done = alice(server).ssh("help", options=["-o", option])
    assert (done.status, done.out) == (CLOSED, "")
    assert "Unable to negotiate with 127.0.0.1" in done.err, done.text
    assert "no matching" in done.err


@pytest.mark.parametrize(
    "option",
    [
        "Ciphers=aes256-ctr", "Ciphers=aes128-ctr", "MACs=hmac-sha2-512", "MACs=hmac-sha2-256",
        "KexAlgorithms=curve25519-sha256", "Compression=yes", "RekeyLimit=16K",
    ],
)  # fmt: skip
def test_good_algorithms_work(server: Server, option: str) -> None:
    assert "git push deploy master" in alice(server).ssh("help", options=["-o", option]).ok().out


# Connections.


def test_a_push_goes_on_while_keys_are_exchanged_anew(shop: App) -> None:
    env = {**shop.server.env, "GIT_SSH_COMMAND": f"{shop.server.env['GIT_SSH_COMMAND']} -o RekeyLimit=256K"}
    shop.commit("First page", {**hello("one"), "big.bin": os.urandom(3_000_000)})
    run(["git", "push", "deploy", "master"], env, shop.directory).ok()
    assert shop.says() == "one"


def test_several_sessions_share_a_connection(shop: App, running: Keep, tmp_path: Path) -> None:
    person, server = alice(shop.server), shop.server
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.commit("Second page", slow("two", tmp_path / "gate"))
    others = [server.app(f"beside-{number}") for number in range(3)]
    with master(person) as through:
        env = {**server.env, "GIT_SSH_COMMAND": shlex.join(["ssh", "-F", str(person.config), *through])}
        push = running(Running(["git", "push", "deploy", "master"], env, shop.directory))
        booting(shop)
        follow = running(person.start("logs", "-f", shop.name, options=through))
        for other in others:
            other.commit("First page", hello(other.name))
        beside = [running(Running(["git", "push", "deploy", "master"], env, other.directory)) for other in others]
        commands = [running(person.start("apps", options=through)) for _ in range(6)]
        assert all(shop.name in one.wait().ok().text for one in commands)
        assert person.ssh("nonsense", options=through).status == 3  # an error ends its own session
        killed = running(person.start("logs", "-f", shop.name, options=through))
        killed.interrupt()
        killed.wait()
        assert run(["git", "ls-remote", "deploy", "master"], env, shop.directory).ok().out
        for one in beside:
            one.wait().ok()
        (tmp_path / "gate").touch()
        push.wait().ok()
        assert follow.process.poll() is None
    assert [other.says() for other in (shop, *others)] == ["two", *(other.name for other in others)]


def test_a_pusher_who_asks_for_nothing_leaves_nothing(shop: App, running: Keep) -> None:
    with shop.server.unchanged():
        idle = running(alice(shop.server).start("git-receive-pack", shop.name))
        idle.until("0000")
        idle.close()


def test_who_does_not_speak_ssh_is_let_go(server: Server) -> None:
    noise = (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100_000, b"SSH-1.5-old\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 100_000)
    for one in noise:
        with knock(server, one) as connection:
            assert ended(connection), one[:20]
    assert alice(server).ssh("help").ok()


def ended(connection: socket.socket, limit: float = 20) -> bool:
    """Whether the server closes it in time."""
    connection.settimeout(limit)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def turned_away(server: Server) -> bool:
    """Whether the server takes no more connections: it may close one before we know that it was open."""
    try:
        with knock(server) as one_too_many:
            return ended(one_too_many)
    except ConnectionError:
        return True


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[socket.socket]:
    """An agent that never answers: ssh asks it when keys have been exchanged, before it logs in."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        yield agent


@pytest.mark.slow
def test_who_never_logs_in_does_not_stay(servers: Callable[..., Server], silent: socket.socket, running: Keep) -> None:
    server = servers(SMALL)
    before = sockets(server)
    strangers: list[socket.socket] = []
    try:
        half = alice(server).start("help", options=["-o", f"IdentityAgent={silent.getsockname()}", "-v"])
        running(half).until("SSH2_MSG_NEWKEYS received")
        strangers += [knock(server, b"" if number % 2 else b"SSH-2.0-x\r\n") for number in range(49)]
        eventually("they are there", lambda: sockets(server) == before + 50)
        assert turned_away(server)
        assert all(ended(stranger, 50) for stranger in strangers)
        eventually("all are gone", lambda: sockets(server) == before, 20)
    finally:
        for stranger in strangers:
            stranger.close()
    assert alice(server).ssh("help").ok()


def test_strangers_keep_nobody_out_once_they_have_gone(servers: Callable[..., Server]) -> None:
    server = servers(SMALL)
    before = sockets(server)
    strangers = [knock(server) for _ in range(50)]
    try:
        eventually("they are there", lambda: sockets(server) == before + 50)
        assert alice(server).ssh("help").status == CLOSED
    finally:
        for stranger in strangers:
            stranger.close()
    eventually("all are gone", lambda: sockets(server) == before)
    assert alice(server).ssh("help").ok()


def sockets(server: Server) -> int:
    """How many sockets the server has open (proc(5))."""
    assert server.process is not None
    found = 0
    for path in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            found += os.readlink(path).startswith("socket:")
        except FileNotFoundError:
            continue  # closed while we looked
    return found
