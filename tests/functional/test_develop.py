"""What init makes is pushed as it is, and check says before a push what the push says."""

from __future__ import annotations

from .session import LIMIT, PYTHON, App, Server, hello, run


def test_what_init_makes_is_live_after_the_commands_that_it_says(server: Server) -> None:
    said = server.gitdeploy("init", str(server.user / "fruit")).ok().out
    assert "git push deploy master" in said
    directory = server.user / "fruit"
    for argv in (
        ["git", "init", "-q", "-b", "master"], ["git", "add", "-A"], ["git", "commit", "-qm", "First page"],
        ["git", "remote", "add", "deploy", f"ssh://deploy@127.0.0.1:{server.ssh_port}/fruit"],
        ["git", "push", "deploy", "master"],
    ):  # fmt: skip
        run(argv, server.env, directory, limit=LIMIT).ok()
    page, style = server.get("fruit.localhost"), server.get("fruit.localhost", "/style.css")
    assert page.status == 200 and "It works." in page.text
    assert style.status == 200 and style.body == (directory / "static" / "style.css").read_bytes()
    assert style.headers["Content-Type"].startswith("text/css")
    assert server.get("fruit.localhost", "/nothing").status == 404


def test_check_says_what_the_push_says(shop: App) -> None:
    yaml = PYTHON + "paths: vendor, lib\nstatic: public\n"
    shop.commit("References", {**hello("one"), "app.yaml": yaml, "lib/x.py": ""})
    checked = shop.server.gitdeploy("check", str(shop.directory))
    lines = [line for line in checked.out.splitlines() if line.startswith(" !     app.yaml")]
    assert checked.status == 1 and len(lines) == 2
    push = shop.push()
    assert push.refused("app.yaml:3: paths: there is no directory vendor in the tree")
    assert all(f"remote: {line}" in push.err for line in lines)
    shop.commit("There", {"app.yaml": PYTHON + "paths: lib\n"})
    shop.server.gitdeploy("check", str(shop.directory)).ok()
    shop.push().ok()
    assert shop.says() == "one"
