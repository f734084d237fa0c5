"""Texts are filled once for the same values, and what takes long to import is not imported where it is not needed."""

import subprocess
import sys

import pytest

from buildless.node import templates

VALUES = {"app": "shop", "user": "app-shop", "memory": 100}


def test_a_text_is_kept_for_the_same_values(tmp_path, monkeypatch):
    first = templates.render("web.socket", VALUES, tmp_path / "kept")
    assert "ListenStream=/run/apps/shop/%i.sock" in first
    monkeypatch.setattr(templates, "fill", lambda name, values: pytest.fail("it was filled already"))
    assert templates.render("web.socket", dict(reversed(VALUES.items())), tmp_path / "kept") == first
    monkeypatch.setattr(templates, "fill", lambda name, values: "another")
    assert templates.render("web.socket", {**VALUES, "memory": 200}, tmp_path / "kept") == "another"
    assert templates.render("command", VALUES, tmp_path / "kept") == "another"


def test_values_may_be_paths(tmp_path):
    assert (
        templates.digest("x", {"a": tmp_path})
        == templates.digest("x", {"a": str(tmp_path)})
        != templates.digest("x", {"a": "/"})
    )


def test_other_templates_give_other_texts(tmp_path, monkeypatch):
    before = templates.digest("web.socket", VALUES)
    (tmp_path / "web.socket.jinja").write_text("{{ app }}\n")
    monkeypatch.setattr(templates, "HERE", tmp_path)
    assert templates.digest("web.socket", VALUES) != before
    assert templates.fill("web.socket", VALUES) == "shop\n"


def test_a_nodes_program_starts_without_what_it_seldom_needs():
    code = "import sys, buildless.node.machine; print([name for name in ('yaml', 'jinja2', 'http.client') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
