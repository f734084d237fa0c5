"""What pip is for: wheels, beside the tree, once for each content of the requirements, and never a compiler."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from ..functional.session import PYTHON
from .machines import eventually
from .traces import running, unchanged
from .visitor import errors, lines, says

CONF = "[global]\nno-index = true\nfind-links = /opt/wheels\n"
TINY = """\
import tiny
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [tiny.VERSION.encode()]
"""
PIP = {"app.yaml": f"{PYTHON}pip: requirements.txt\n", "hello.py": TINY}


def wheel(name, version):
    """A wheel with one module, as its specification has it (PEP 427)."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with io.BytesIO() as data:
        with zipfile.ZipFile(data, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        return data.getvalue()


def source(name, version):
    """A source distribution, whose setup.py would leave a trace if it ran."""
    files = {
        "setup.py": f"open('/tmp/setup-ran', 'w')\nfrom setuptools import setup\nsetup(name='{name}', version='{version}')\n",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    with io.BytesIO() as data:
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        return data.getvalue()


@pytest.fixture(scope="module", autouse=True)
def index(web):
    """On each node a directory is all that pip knows."""
    before = {}
    for node in web:
        conf, place = node.root / "etc/pip.conf", node.root / "opt/wheels"
        before[node] = conf.read_bytes() if conf.exists() else None
        conf.write_text(CONF)
        place.mkdir(exist_ok=True)
        for version in ("1.0", "2.0"):
            (place / f"tiny-{version}-py3-none-any.whl").write_bytes(wheel("tiny", version))
        (place / "built-1.0.tar.gz").write_bytes(source("built", "1.0"))
    yield
    for node, text in before.items():
        (node.root / "etc/pip.conf").unlink()
        if text is not None:
            (node.root / "etc/pip.conf").write_bytes(text)


def libraries(node, app):
    """The directories that pip filled for an app."""
    top = node.root / "srv/apps" / app.name / "wheels"
    return {path.name for path in top.iterdir()} if top.is_dir() else set()


def test_a_wheel_is_installed_beside_the_tree_and_only_once(shop, web):
    shop.commit("Be tiny", {**PIP, "requirements.txt": "tiny==1.0\n"})
    told = lines(shop.push(limit=120).ok())
    assert {f"       {node}: requirements.txt installed by pip" for node in ("web1", "web2")} <= set(told)
    assert [says(node, shop) for node in web] == ["1.0", "1.0"]
    [first] = libraries(web[0], shop)
    made = (web[0].root / "srv/apps" / shop.name / "wheels" / first).stat()
    assert made.st_uid == 0 and made.st_mode & 0o777 == 0o555

    for node in web:
        (node.root / "etc/pip.conf").write_text("[global]\nno-index = true\n")  # pip would find nothing any more
    try:
        shop.commit("Add a file", {"more.txt": ""})
        told = lines(shop.push().ok())
    finally:
        for node in web:
            (node.root / "etc/pip.conf").write_text(CONF)
    assert "       web1: requirements.txt is there already, nothing for pip to do" in told
    assert [says(node, shop) for node in web] == ["1.0", "1.0"] and libraries(web[0], shop) == {first}


def test_other_requirements_are_another_directory_and_go_with_the_last_release_that_has_them(server, shop, web):
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("keep: {", "keep: {versions: 1, running: 0, ")):
        shop.commit("Be tiny", {**PIP, "requirements.txt": "-r more/others.txt\n", "more/others.txt": "tiny<2\n"})
        shop.push(limit=120).ok()
        first = libraries(web[0], shop)
        shop.commit("Be newer", {"more/others.txt": "tiny>=2\n"})
        shop.push(limit=120).ok()
        assert [says(node, shop) for node in web] == ["2.0", "2.0"]
        for node in web:
            eventually(
                "v1 has ended", lambda node=node: not any("@v1.service" in unit for unit in running(node, shop.name))
            )
        shop.commit("Add a file", {"more.txt": ""})
        shop.push(limit=120).ok()
        for node in web:
            eventually("v1's are gone", lambda node=node: len(libraries(node, shop)) == 1)
            assert libraries(node, shop).isdisjoint(first)


def test_what_would_have_to_be_built_is_refused_with_pips_own_words(shop, web):
    shop.commit("Be tiny", {**PIP, "requirements.txt": "tiny==1.0\n"})
    shop.push(limit=120).ok()
    shop.commit("Build", {"requirements.txt": "tiny==1.0\nbuilt\n"})
    with unchanged(shop.name, *web):
        done = shop.push(limit=120)
    reason = "web1, web2: pip: No matching distribution found for built"
    assert done.refused(reason) and errors(done)[0].startswith(reason)
    assert (
        "there may be no wheel for this Python: name the Debian package under deb:, or another version"
        in errors(done)[0]
    )
    assert not any((node.root / "tmp/setup-ran").exists() for node in web)
    assert [says(node, shop) for node in web] == ["1.0", "1.0"]


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "git+https://example.com/x.git",
        "./tiny.whl",
        "--no-binary :all:",
        "tiny @ file:///opt/x.whl",
        "-r ../../../etc/passwd",
    ],
)
def test_lines_that_lead_elsewhere_are_refused(shop, web, line):
    shop.commit("Be clever", {**PIP, "requirements.txt": f"tiny\n{line}\n"})
    done = shop.push()
    [error] = errors(done)
    assert error.startswith("web1, web2: pip: ") and ("requirements.txt:2" in error or "is not in the tree" in error)


def test_libraries_of_an_app_cannot_be_written_by_it(shop, web):
    shop.commit("Be nasty", {
        **PIP, "requirements.txt": "tiny==1.0\n",
        "hello.py": TINY.replace("import tiny\n", "import tiny\nopen(tiny.__file__, 'a')\n"),
    })  # fmt: skip
    assert shop.push(limit=120).refused("PermissionError: [Errno 13] Permission denied: '/srv/apps/")
