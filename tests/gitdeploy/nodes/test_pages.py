"""The pages of nginx: each error that it has a page for has one, in both kinds."""

import re
from pathlib import Path

from gitdeploy.nodes.pages import DIRECTORY, PAGES, files

NGINX = Path(__file__).parents[3] / "node-setup" / "root" / "etc" / "nginx"


def test_what_nginx_names_is_there() -> None:
    own = (NGINX / "snippets" / "gitdeploy-own.conf").read_text()
    assert f"alias /{DIRECTORY}/;" in own
    named = dict(re.findall(r"^error_page (\d+) /\.gitdeploy/pages/(\S+)\.\$gitdeploy_page;", own, re.MULTILINE))
    assert named.pop("503") == "$gitdeploy_503"
    chosen = re.findall(
        r"[ \"](\S+?)\"?;", re.findall(r"map \S+ \$gitdeploy_503 \{(.*?)\}", everything(), re.DOTALL)[0]
    )
    assert {*named.values(), *chosen} == set(PAGES)
    assert all(PAGES[name].status == int(code) for code, name in named.items())


def test_one_of_each_kind() -> None:
    made = files()
    assert set(made) == {f"{DIRECTORY}/{name}.{kind}" for name in PAGES for kind in ("html", "txt")}
    for name, page in PAGES.items():
        assert made[f"{DIRECTORY}/{name}.txt"] == f"{page.status} {page.title}\n\n{page.text}\n{page.advice}\n"
        assert f"<h1>{page.title}</h1>" in made[f"{DIRECTORY}/{name}.html"]


def everything() -> str:
    return "".join(path.read_text() for path in sorted(NGINX.rglob("*.conf")))
