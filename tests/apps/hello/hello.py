"""Answers with what its process is: environment, directory, search path, version of what it vendors."""

import json
import os
import sys

import greeting

print("hello is loaded")


def application(environ, start_response):
    body = json.dumps(
        {
            "pid": os.getpid(),
            "cwd": os.getcwd(),
            "environ": dict(os.environ),
            "path": sys.path,
            "greeting": greeting.TEXT,
            "scheme": environ["wsgi.url_scheme"],
        }
    ).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
