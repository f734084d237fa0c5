"""What is laid over a machine names files that are there, and what the code names is laid over it."""

import ast
import importlib
import os
import re
from pathlib import Path

import pytest

from buildless.node.layout import Layout
from buildless.values import hostname

OVER = Path(__file__).parents[3] / "node-setup" / "root"
CONFS = [OVER / "etc/nginx/conf.d/gitdeploy.conf", *sorted((OVER / "etc/nginx/snippets").glob("gitdeploy-*.conf"))]


@pytest.mark.parametrize("name", ["node", "web", "boot", "run", "process", "cron", "locate"])
def test_launchers_run_what_is_there(name):
    path = OVER / "usr/lib/gitdeploy" / name
    text = path.read_text()
    assert os.access(path, os.X_OK) and text.startswith("#!/usr/bin/python3 -I\n")
    [found] = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert callable(getattr(importlib.import_module(found.module), found.names[0].name))


@pytest.mark.parametrize("path", CONFS, ids=lambda path: path.name)
def test_what_nginx_includes_is_there(path):
    text = path.read_text()
    for included in re.findall(r"include (/etc/nginx/\S+);", text):
        assert (OVER / included[1:]).is_file()
    assert text.count("{") == text.count("}")


def test_paths_that_code_and_nginx_share():
    layout = Layout(Path("/"))
    text = "".join(path.read_text() for path in CONFS)
    assert f"listen unix:{layout.check_socket};" in text
    assert f"!-f {layout.in_service})" in text
    assert f"include {layout.sites.name}/*.map;" in text, "relative, for the test of a changed file"
    assert f"disable_symlinks on from={layout.states};" in text
    assert f"{layout.states}/$gitdeploy_keeper/{layout.app('shop').public.name};" in text
    override = (OVER / "etc/systemd/system/nginx.service.d/gitdeploy.conf").read_text()
    assert f"rm -f {layout.check_socket}" in override and f"-m 0700 {layout.check_socket.parent}" in override


def test_no_host_is_one_of_nginx():
    with pytest.raises(ValueError, match="is no host name"):
        hostname("_")


def test_what_passes_requests_on_keeps_the_pages_about_errors():
    """nginx inherits error_page into a location only if that has none of its own."""
    text = (OVER / "etc/nginx/snippets/gitdeploy-release.conf").read_text()
    blocks = re.findall(r"^location [^{]*\{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    passing = [block for block in blocks if "proxy_pass" in block or "gitdeploy-php.conf" in block]
    assert len(passing) >= 4
    assert [block for block in passing if "error_page" in block] == []


@pytest.mark.parametrize("module", ["yaml", "jinja2", "gunicorn"])
def test_what_is_imported_on_a_node_is_installed_there(module):
    sources = [path.read_text() for path in (OVER.parents[1] / "buildless").rglob("*.py")]
    assert any(re.search(rf"^ *(?:from|import) {module}\b", text, re.MULTILINE) for text in sources)
    wanted = (OVER.parent / "setup-node").read_text().partition("\nwanted() ")[2].partition("\n}")[0]
    assert f"python3-{module}" in wanted.split()
