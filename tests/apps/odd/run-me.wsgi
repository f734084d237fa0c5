import os

HERE = os.path.dirname(__file__)


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield HERE.encode()
