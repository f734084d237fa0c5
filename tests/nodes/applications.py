"""Applications that nobody here wrote, as their authors publish them in Debian and on PyPI, with what deploys them beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CHAT = """\
platform: command
command: websocket/chatdemo.py --port=$PORT
deb: python3-tornado
services: postgresql, mysql, redis, memcached
"""
TASKS = """\
platform: python, wsgi
app: make_celery:flask_app
paths: src
deb: [python3-flask, celery, python3-redis]
services: redis, postgresql, memcached
processes:
  worker: celery --app make_celery worker --loglevel INFO --concurrency 1
"""
WHERE = """\
import os
for name in ("broker_url", "result_backend"):
    os.environ[f"FLASK_CELERY__{name}"] = os.environ["REDIS_URL"]
"""
EXPRESS = """\
platform: command
command: node start.js
deb: [nodejs, node-express]
services: mysql
"""
START = 'require("./examples/content-negotiation").listen(process.env.PORT)\n'


def debian(room: Path, *names: str) -> Path:
    """What Debian packages install, below a directory."""
    top = room / "debian"
    for name in names:
        run(room, "apt-get", "--quiet", "--option", "APT::Sandbox::User=root", "download", name)
        [package] = room.glob(f"{name}_*.deb")
        run(room, "dpkg-deb", "--extract", str(package), str(top))
    return top / "usr/share/doc"


def pypi(room: Path, name: str, version: str) -> Path:
    """What a distribution on PyPI consists of, as a source."""
    argv = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:")
    run(room, sys.executable, *argv, f"{name}=={version}")
    run(room, "tar", "--extract", f"--file={name}-{version}.tar.gz")
    return room / f"{name}-{version}"


def run(room: Path, *argv: str) -> None:
    subprocess.run(argv, cwd=room, check=True, timeout=300, stdout=subprocess.DEVNULL)


def chat(room: Path, tree: Path) -> dict[str, str]:
    """Tornado's chat with web sockets."""
    shutil.copytree(debian(room, "python-tornado-doc") / "python-tornado-doc/examples/websocket", tree / "websocket")
    return {"app.yaml": CHAT}


def tasks(room: Path, tree: Path) -> dict[str, str]:
    """Flask's example of background tasks with Celery. Where redis is it reads in variables of its own."""
    shutil.copytree(pypi(room, "flask", "2.3.3") / "examples/celery", tree, dirs_exist_ok=True)
    return {"app.yaml": TASKS, "src/sitecustomize.py": WHERE}


def express(room: Path, tree: Path) -> dict[str, str]:
    """An example of Express for Node.js. It says where its library is by a path."""
    examples = debian(room, "node-express") / "node-express/examples"
    shutil.copytree(examples / "content-negotiation", tree / "examples/content-negotiation")
    return {"app.yaml": EXPRESS, "start.js": START, "index.js": 'module.exports = require("express")\n'}


def manual(room: Path, tree: Path) -> dict[str, str]:
    """Flask's documentation as Sphinx made it."""
    html = debian(room, "python-flask-doc") / "python-flask-doc/html"
    ignored = shutil.ignore_patterns("*.js", "*.woff*", "*.ttf", "*.eot")  # Debian has them elsewhere, behind links
    shutil.copytree(html, tree / "static", ignore=ignored)
    return {"app.yaml": "platform: static\n"}
