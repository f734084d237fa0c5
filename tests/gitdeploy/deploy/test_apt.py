"""What a pusher sees of an installation of Debian packages."""

import pytest

from gitdeploy.deploy.apt import Installation, followed
from gitdeploy.deploy.report import Report
from gitdeploy.errors import Refused

LISTS = """\
Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]
Hit:2 http://deb.debian.org/debian-security bookworm-security InRelease
Fetched 151 kB in 1s (300 kB/s)
Reading package lists...
"""
PLAN = """\
Reading package lists...
Building dependency tree...
Reading state information...
The following additional packages will be installed:
  libsl
Suggested packages:
  sl-doc
The following NEW packages will be installed:
  libsl sl
0 upgraded, 2 newly installed, 0 to remove and 3 not upgraded.
Need to get 1,234 kB of archives.
After this operation, 5,000 kB of additional disk space will be used.
"""
WORK = """\
Get:1 http://deb.debian.org/debian bookworm/main amd64 libsl amd64 5.02-1 [1,000 kB]
Get:2 http://deb.debian.org/debian bookworm/main amd64 sl amd64 5.02-1 [234 kB]
Fetched 1,234 kB in 0s (5,000 kB/s)
Selecting previously unselected package libsl.
(Reading database ... \r(Reading database ... 100%\r(Reading database ... 20120 files and directories currently installed.)
Preparing to unpack .../libsl_5.02-1_amd64.deb ...
Unpacking libsl (5.02-1) ...
Unpacking sl (5.02-1) ...
Setting up libsl (5.02-1) ...
Setting up sl (5.02-1) ...
Processing triggers for libc-bin (2.36-9) ...
"""


def heard(text):
    said, progress = [], []
    installation = Installation(said.append, progress.append)
    for line in text.splitlines():
        installation.hear(line)
    return said, progress


def test_a_line_says_what_is_installed_and_the_rest_is_progress():
    said, progress = heard(PLAN + WORK)
    assert said == ["installing 2 Debian packages: libsl sl; 1,234 kB to fetch"]
    assert progress == [
        "1/2 fetching libsl", "2/2 fetching sl",
        "1/2 unpacking libsl", "2/2 unpacking sl", "1/2 setting up libsl", "2/2 setting up sl",
    ]  # fmt: skip


def test_lists_that_are_fetched_and_a_lock_that_is_waited_for_are_said_once():
    waiting = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)"
    said, _ = heard(f"{LISTS}{LISTS}{waiting}... 0s\n{waiting}... 1s\n{PLAN}")
    assert said == [
        "fetching the lists of Debian packages", f"{waiting}... 0s",
        "installing 2 Debian packages: libsl sl; 1,234 kB to fetch",
    ]  # fmt: skip


def test_of_packages_that_are_on_the_node_nothing_is_fetched():
    lines = [line for line in (PLAN + WORK).splitlines() if not line.startswith(("Need to get", "Get:", "Fetched"))]
    said, progress = heard("\n".join(lines))
    assert said == ["installing 2 Debian packages: libsl sl"] and progress[0] == "1/2 unpacking libsl"
    assert heard(PLAN.replace("get 1,234 kB", "get 0 B/1,234 kB"))[0] == said


def test_of_many_packages_each_phase_is_a_line():
    names = [f"p{number}" for number in range(12)]
    work = [f"{phase} {name} (1) ..." for phase in ("Unpacking", "Setting up") for name in names]
    plan = ["The following NEW packages will be installed:", f"  {' '.join(names)}",
            "1 upgraded, 12 newly installed, 0 to remove and 0 not upgraded.", "Need to get 10 MB/12 MB of archives."]  # fmt: skip
    said, progress = heard("\n".join([*plan, *work]))
    assert said == [
        "installing 13 Debian packages: p0 p1 p2 p3 p4 p5 and 6 more; 10 MB to fetch", "unpacking them", "setting them up",
    ]  # fmt: skip
    assert progress[-1] == "12/13 setting up p11"


def test_services_are_installed_one_after_the_other():
    another = PLAN.replace("libsl sl", "sl").replace("2 newly", "1 newly") + "Unpacking sl (5.02-1) ...\n"
    said, progress = heard(PLAN + WORK + LISTS + another)
    assert said == [
        "installing 2 Debian packages: libsl sl; 1,234 kB to fetch", "installing 1 Debian package: sl; 1,234 kB to fetch",
    ]  # fmt: skip
    assert progress[-2:] == ["2/2 setting up sl", "1/1 unpacking sl"]


def test_what_dpkg_was_in_the_middle_of_is_counted_too():
    assert heard("Setting up sl (5.02-1) ...") == ([], ["1 setting up sl"])


def test_all_that_apt_wrote_is_kept_and_little_of_it_shown():
    kept, sent = [], []
    report = Report(kept.append)
    report.sink, report.quiet = sent.append, True
    with followed(report, "web1", lambda text: report.detail(f"web1: {text}"), report.progress) as hear:
        for line in (PLAN + WORK).splitlines():
            hear(line)
    shown = b"".join(sent).decode().splitlines()
    assert shown == ["       web1: installing 2 Debian packages: libsl sl; 1,234 kB to fetch"]
    assert "       web1: Unpacking sl (5.02-1) ..." in kept and shown[0] in kept


def test_all_of_it_is_shown_if_it_fails():
    sent, kept = [], []
    report = Report(kept.append)
    report.sink = sent.append
    error = Refused("apt: Unable to locate package sl")
    with pytest.raises(Refused) as caught, followed(report, "web1", report.detail, report.progress) as hear:
        hear("Reading package lists...")
        hear("E: Unable to locate package sl")
        raise error
    assert caught.value is error
    lines = ["       web1: Reading package lists...", "       web1: E: Unable to locate package sl"]
    assert b"".join(sent).decode().splitlines() == lines and kept == lines
