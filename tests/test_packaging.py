"""An installation is whole: built from the checkout, put into a plain virtual environment, used from somewhere else."""

import os
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("setup.py", "pyproject.toml", "README.rst", "LICENSE", "gitdeploy", "buildless", "hooks", "node-setup")
LIMIT = 600  # seconds that pip may take on a slow machine
pytestmark = pytest.mark.slow


def call(*argv: str | Path, cwd: Path, stdin: str = "", limit: float = 60) -> str:
    """Run a program, in `cwd`; returns what it wrote. One that fails fails the test with its output."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GITDEPLOY", "SSH_"))
    }
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=environ, input=stdin, text=True, timeout=limit,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{argv}: exit status {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that has nothing to do with the checkout."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def wheel(elsewhere: Path) -> Path:
    """The wheel, built from a copy of what it is made of: setuptools writes beside its sources."""
    copy = elsewhere / "sources"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, copy / name)
    call(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", elsewhere, copy, cwd=elsewhere, limit=LIMIT)
    [made] = elsewhere.glob("gitdeploy-*.whl")
    return made


@pytest.fixture(scope="module")
def programs(elsewhere: Path, wheel: Path) -> Path:
    """The directory of programs of a virtual environment with nothing in it but the wheel and what that asks for."""
    venv.create(elsewhere / "venv", with_pip=True)
    call(elsewhere / "venv/bin/pip", "install", "-qq", "--disable-pip-version-check", wheel, cwd=elsewhere, limit=LIMIT)
    return elsewhere / "venv" / "bin"


@pytest.fixture
def server(programs: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A server that was started from the installation; its home, and the line that says that it is ready."""
    home = tmp_path / "home"
    loopback = "tcp:0:interface=127.0.0.1"
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        ["timeout", "--kill-after=10", "120",
         programs / "gitdeploy", "server", "--home", home, "--ssh", loopback, "--http", loopback],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # ends with the process at the latest, and that is limited
        log.seek(0)
        assert line.startswith("ready ssh=127.0.0.1:"), line + log.read()
        yield home, line
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
            assert process.stdout is not None
            process.stdout.close()
            log.close()
    assert process.returncode == 0


def test_the_wheel_has_all_that_is_needed_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modes = {item.filename: item.external_attr >> 16 & 0o777 for item in archive.infolist()}
    expected = {
        str(path.relative_to(ROOT)) for top in ("gitdeploy", "buildless") for path in (ROOT / top).glob("**/*.py")
    }
    expected |= {
        f"gitdeploy/{target}/{path.relative_to(ROOT / source)}"
        for source, target in (("hooks", "_hooks"), ("node-setup", "_node_setup"))
        for path in (ROOT / source).glob("**/*")
        if path.is_file()
    }
    expected |= {
        str(path.relative_to(ROOT)) for path in (ROOT / "gitdeploy/develop/templates").glob("**/*") if path.is_file()
    }
    expected |= {
        "gitdeploy/gitdeploy.example.yaml",
        "gitdeploy/web/templates/page.html",
        "gitdeploy/py.typed",
        "buildless/py.typed",
    }
    assert expected - set(modes) == set()
    assert not [name for name in modes if not name.startswith(("gitdeploy/", "buildless/", "gitdeploy-"))]
    assert [modes[f"gitdeploy/_hooks/{name}"] & 0o111 for name in ("pre-receive", "post-receive")] == [0o111, 0o111]


def test_what_is_installed_says_its_version(programs: Path, elsewhere: Path) -> None:
    installed = "from importlib.metadata import version; print('gitdeploy', version('gitdeploy'))"
    assert call(programs / "gitdeploy", "--version", cwd=elsewhere) == call(
        programs / "python", "-c", installed, cwd=elsewhere
    )


def test_hooks_and_node_setup_are_found_in_the_installation(programs: Path, elsewhere: Path) -> None:
    where = "from gitdeploy.installed import directory; print(directory('hooks'), directory('node-setup'))"
    hooks, node_setup = (Path(word) for word in call(programs / "python", "-c", where, cwd=elsewhere).split())
    assert hooks.is_relative_to(programs.parent) and node_setup.is_relative_to(programs.parent)
    assert all(os.access(hooks / name, os.X_OK) for name in ("pre-receive", "post-receive"))
    assert (node_setup / "README.rst").is_file()


def test_the_node_side_runs_from_the_installation(programs: Path, elsewhere: Path) -> None:
    assert "--root" in call(programs / "python", "-I", "-m", "buildless.node", "--help", cwd=elsewhere)


def test_a_server_runs_from_the_installation_and_answers_ssh(
    programs: Path, server: tuple[Path, str], tmp_path: Path
) -> None:
    home, ready = server
    port = ready.split()[1].rpartition(":")[2]
    key = tmp_path / "key"
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=tmp_path)
    public = (tmp_path / "key.pub").read_text()
    assert "alice may push" in call(
        programs / "gitdeploy", "--home", home, "keys:add", "alice", cwd=tmp_path, stdin=public
    )
    host_key = (home / "host_key" / "ssh_host_ed25519_key.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
    options = ("IdentitiesOnly=yes", f"IdentityFile={key}", f"UserKnownHostsFile={tmp_path / 'known'}", "BatchMode=yes")
    words = [word for option in options for word in ("-o", option)]
    shown = call("ssh", "-F", "/dev/null", *words, "-p", port, "deploy@127.0.0.1", "help", cwd=tmp_path)
    assert "git push deploy master" in shown and "keys:add" in shown
