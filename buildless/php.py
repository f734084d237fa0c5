"""Runs the PHP files of a release: with php-fpm behind a web server that speaks FastCGI, else with PHP's own web server.

The directory `static` is the document root; what there ends in ``.php`` is run, and index.php answers what is no file. The tree
cannot be written, so nothing that was uploaded is ever run.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Dict, Optional, Tuple

from buildless.errors import BuildlessError
from buildless.limits import WebLimits
from buildless.processes import Process
from buildless.release import Release

STATIC = "static"
UPLOAD = "64M"

FPM = """\
[global]
error_log = {tmp}/php-fpm.log
daemonize = no
[web]
listen = {socket}
chdir = {tree}
pm = dynamic
pm.max_children = {most}
pm.start_servers = {processes}
pm.min_spare_servers = 1
pm.max_spare_servers = {processes}
pm.max_requests = {max_requests}
request_terminate_timeout = {seconds}s
catch_workers_output = yes
decorate_workers_output = no
clear_env = no
security.limit_extensions = .php
php_admin_value[error_log] = /proc/self/fd/2
php_admin_flag[log_errors] = on
php_admin_flag[expose_php] = off
php_admin_value[cgi.fix_pathinfo] = 0
php_admin_value[upload_tmp_dir] = {tmp}
php_admin_value[sys_temp_dir] = {tmp}
php_value[session.save_path] = {sessions}
php_value[session.gc_probability] = 1
php_value[memory_limit] = {memory}
php_value[upload_max_filesize] = {upload}
php_value[post_max_size] = {upload}
"""

ROUTER = """\
<?php
// PHP's own web server would show files whose names begin with a dot.
if (preg_match('#/\\.(?!well-known(/|$))#', rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)))) {
    http_response_code(404);
    return true;
}
return false;
"""

PREFIX = """\
<?php
// An application below a path: PHP's own web server knows nothing of it.
if ($prefix = $_SERVER['HTTP_X_FORWARDED_PREFIX'] ?? '') {
    foreach (array('SCRIPT_NAME', 'PHP_SELF', 'REQUEST_URI') as $name) {
        $_SERVER[$name] = $prefix . $_SERVER[$name];
    }
}
unset($prefix, $name);
"""


def fpm(release: Release, listener: int, manager: Optional[str]) -> None:
    """Become php-fpm; systemd hands it the socket, as one that it had before it was started anew. Raises BuildlessError."""
    programs = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"), key=version)
    if not programs:
        raise BuildlessError("php-fpm is not installed; run: apt-get install php-fpm")
    with socket.socket(fileno=os.dup(listener)) as listening:
        path = str(listening.getsockname())
    tmp = Path(release.environ["TMPDIR"])
    sessions = (
        Path(release.environ["APP_LOGS"]) / ".php-sessions"
    )  # not in the cache: whoever makes room there deletes it
    sessions.mkdir(mode=0o700, exist_ok=True)
    file = tmp / "php-fpm.conf"
    file.write_text(configuration(release.limits, str(release.package.directory), path, str(tmp), str(sessions)))
    environ: Dict[str, str] = {**release.environ, "FPM_SOCKETS": f"{path}={listener}"}
    if manager is not None:
        environ["NOTIFY_SOCKET"] = manager
    os.set_inheritable(listener, True)
    argv = (str(programs[-1]), "--nodaemonize", "--force-stderr", "--fpm-config", str(file))
    os.execve(argv[0], argv, environ)  # noqa: S606 - that is the point


def configuration(limits: WebLimits, tree: str, socket: str, tmp: str, sessions: str) -> str:
    """php-fpm.conf of a release. A request that takes longer than it may costs its process, as with Python."""
    return FPM.format(
        tree=tree,
        socket=socket,
        tmp=tmp,
        sessions=sessions,
        processes=limits.processes,
        most=limits.processes * limits.threads,
        max_requests=limits.max_requests,
        seconds=max(1, round(limits.request + limits.stop)),
        memory=limits.memory,
        upload=UPLOAD,
    )


def version(program: Path) -> Tuple[int, ...]:
    """
    >>> version(Path("/usr/sbin/php-fpm8.2"))
    (8, 2)
    """
    return tuple(int(part) for part in program.name[len("php-fpm") :].split(".") if part.isdigit())


def server(release: Release) -> Process:
    """PHP's own web server as a command."""
    router = Path(release.environ["TMPDIR"]) / "router.php"
    router.write_text(ROUTER, encoding="ascii")
    prefix = router.with_name("prefix.php")
    prefix.write_text(PREFIX, encoding="ascii")
    root = release.package.directory / (release.package.description.static or STATIC)
    prepended = f"auto_prepend_file={prefix}"
    return Process(("php", "-d", prepended, "-S", "127.0.0.1:$PORT", "-t", str(root), str(router)), "/")
