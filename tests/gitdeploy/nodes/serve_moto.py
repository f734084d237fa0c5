"""moto, which stands in for Amazon: ``python serve_moto.py`` listens on a free port of 127.0.0.1 and prints it.

With an argument, an address, all of its machines have that one.
"""

import json
import os
import re
import sys
import tempfile

IMAGES = [
    ("ami-00000012", "debian-12-amd64-20250428-2096", "x86_64", "2025-04-28T00:00:00.000Z"),
    ("ami-0000012a", "debian-12-amd64-20240102-1614", "x86_64", "2024-01-02T00:00:00.000Z"),
    ("ami-0000012b", "debian-12-arm64-20250428-2096", "arm64", "2025-04-28T00:00:00.000Z"),
    ("ami-0000012c", "debian-12-backports-amd64-20250428-2096", "x86_64", "2025-04-28T00:00:00.000Z"),
    ("ami-00000011", "debian-11-amd64-20250428-2096", "x86_64", "2025-04-28T00:00:00.000Z"),
]
DEBIAN = "136693071363"


def images():
    """A file with what Debian's account offers."""
    same = {
        "state": "available", "public": True, "owner_id": DEBIAN, "image_type": "machine", "root_device_type": "ebs",
        "root_device_name": "/dev/xvda", "virtualization_type": "hvm", "hypervisor": "xen", "sriov": "simple", "platform": None,
    }  # fmt: skip
    made = [
        {**same, "ami_id": number, "name": name, "description": name, "architecture": machine, "creation_date": made,
         "image_location": f"{DEBIAN}/{name}"}
        for number, name, machine, made in IMAGES
    ]  # fmt: skip
    file = tempfile.NamedTemporaryFile("w", suffix=".json")  # noqa: SIM115  # there as long as we are
    json.dump(made, file)
    file.flush()
    return file


class AsAmazon:
    """The namespace of Amazon's answers ends with a slash, and libcloud looks for it; moto leaves it out."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        kept = []

        def start(status, headers, exc_info=None):
            kept[:] = [status, [(name, value) for name, value in headers if name.lower() != "content-length"]]
            return lambda data: None

        body = b"".join(self.application(environ, start))
        body = body.replace(b'/doc/2016-11-15"', b'/doc/2016-11-15/"')
        if sys.argv[1:]:
            body = re.sub(rb"<ipAddress>[^<]*<", b"<ipAddress>" + sys.argv[1].encode() + b"<", body)
        start_response(kept[0], [*kept[1], ("Content-Length", str(len(body)))])
        return [body]


def main():
    file = images()
    os.environ["MOTO_AMIS_PATH"] = file.name
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, AsAmazon(DomainDispatcherApplication(create_backend_app)), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
