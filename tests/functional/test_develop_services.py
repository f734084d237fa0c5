"""Services where an application is written: files by themselves, the others as the developer's settings say."""

from __future__ import annotations

from .desk import Desk, desk
from .session import HELLO, PYTHON

__all__ = ["desk"]

SHOW = "import os\nTEXT = repr({name: os.environ[name] for name in os.environ if 'CONFIG' in name or 'URL' in name}).encode()\n"


def test_files_need_no_word_and_what_is_public_is_served(desk: Desk) -> None:
    yaml = PYTHON + "services: files, public_files\n"
    serving = desk.serve({"app.yaml": yaml, "hello.py": SHOW + HELLO.replace('b"%s"', "TEXT")})
    serving.until("Live: v1")
    told = eval(desk.get().text)
    public = desk.home / ".local/share/gitdeploy/shop/development/public_files"
    assert told["CONFIG_PUBLIC_FILES"] == str(public)
    (public / "upload.txt").write_text("an upload")
    assert desk.get("/upload.txt").text == "an upload"
    assert (desk.home / ".local/share/gitdeploy/shop/development/files").is_dir()


def test_a_service_that_nothing_is_said_of_is_asked_for(desk: Desk) -> None:
    serving = desk.serve({"app.yaml": PYTHON + "services: redis\n", "hello.py": SHOW + HELLO.replace('b"%s"', "TEXT")})
    settings = desk.home / ".config/gitdeploy/development.yaml"
    serving.until(f"shop wants services that {settings} says nothing of; write into it:")
    serving.until('redis: {url: "redis://localhost:6379/0"}')
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('redis: {url: "redis://localhost:6379/3"}\n')
    serving.until("Live: v")
    assert eval(desk.get().text)["REDIS_URL"] == "redis://localhost:6379/3"
    done = desk.gitdeploy("run", "hello:os.environ.get", "REDIS_URL").ok()
    assert done.out == "redis://localhost:6379/3\n"
