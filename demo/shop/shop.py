"""A very small shop. All that it needs to know of where it runs is in its environment."""

import os

GOODS = ["apples"]


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    where = f"{os.environ['APP_ENVIRONMENT']}, commit {os.environ['APP_VERSION'][:7]}"
    page = f"<link rel=stylesheet href=/shop.css><h1>Fresh {' and '.join(GOODS)}</h1><p>{where}</p>\n"
    return [page.encode()]
