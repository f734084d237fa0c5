"""The verbs of a machine, with a systemd that notes what it is asked."""

import json

import pytest

from buildless.errors import NodeError
from buildless.node import machine, releases, verbs
from buildless.node.jobs import marked
from buildless.node.running import adopt, bring_back, processes, retire, start, stop

COMMIT = "a" * 40
TICK = {"minutes": [0], "hours": [3], "days": [1], "months": [1], "weekdays": [0], "either": False, "timeout": 60}


def make(layout, name, serving=None, fingerprint="f", **more):
    """A release ``vN`` of the app shop, whose processes are those of `serving`."""
    app = layout.app("shop")
    app.version(COMMIT).mkdir(parents=True, exist_ok=True)
    record = {"commit": COMMIT, "tree": "0" * 40, "hosts": ["shop.test"], "runs": True, "fingerprint": fingerprint,
              "web": {"processes": 4, "memory": 300_000_000, "boot": 60}, **more}  # fmt: skip
    sockets = {"web": str(app.socket(serving or name))}
    releases.write(app, releases.NewRelease(name, COMMIT, sockets, {"environ": {}}, record, "s" * 64, {}))


def unit(release, active="active", sub="running", pid=42):
    return (
        f"Id=app-shop-web@{release}.service\nActiveState={active}\nSubState={sub}\nResult=success\nMainPID={pid}\n"
        "NRestarts=0\nExecMainStatus=3\nExecMainCode=1\nActiveEnterTimestampMonotonic=0\n"
    )


def running(programs, *units):
    programs.answer("systemctl", "show", out="\n".join(units))


def live(layout, name):
    releases.switch(layout.app("shop"), name)


def test_processes_that_would_be_the_same_are_taken_over(programs, layout):
    make(layout, "v1")
    make(layout, "v2")
    make(layout, "v3", serving="v1")
    make(layout, "v4", fingerprint="another")
    running(programs, unit("v1"), unit("v2", "deactivating", "stop"), unit("v4"))
    assert adopt(layout, "shop", release="v5", fingerprint="f") == {"serving": "v1"}
    assert adopt(layout, "shop", release="v5", fingerprint="none") == {"serving": None}
    assert adopt(layout, "shop", release="v4", fingerprint="another") == {"serving": None}


def test_what_runs_is_not_started_again(programs, layout):
    make(layout, "v2", serving="v1")
    running(programs, unit("v1"))
    assert start(layout, "shop", release="v2", timeout=5) == {"started": False}
    assert [call[1] for call in programs.calls] == ["show"]


def test_files_alone_have_nothing_to_start(programs, layout):
    make(layout, "v1")
    (layout.app("shop").release("v1") / "web.sock").unlink()
    assert start(layout, "shop", release="v1", timeout=5) == {"started": False}
    assert programs.calls == []


def test_a_start(programs, layout):
    make(layout, "v1")
    running(programs, unit("v1", "inactive", "dead", 0))
    assert start(layout, "shop", release="v1", timeout=5) == {"started": True}
    assert programs.calls[1:] == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "start", "--", "app-shop-web@v1.socket", "app-shop-web@v1.service"],
    ]


def test_a_start_that_fails_says_why_and_leaves_nothing(programs, layout):
    make(layout, "v1")
    running(programs, unit("v1", "failed", "failed", 0))
    programs.answer("systemctl", "start", code=1)
    entries = [("first", "Traceback"), ("first", "KeyError: 'x'"), ("second", "KeyError: again")]
    lines = [json.dumps({"MESSAGE": text, "_SYSTEMD_INVOCATION_ID": one}) for one, text in entries]
    programs.answer("journalctl", out="\n".join(lines) + "\n")
    with pytest.raises(NodeError, match="the application does not start: KeyError: 'x'") as caught:
        start(layout, "shop", release="v1", timeout=5)
    assert caught.value.details == ("Traceback", "KeyError: 'x'")
    ended = [call[1:] for call in programs.calls if call[1] in ("kill", "stop", "reset-failed")]
    services = ["app-shop-web@v1.service", "app-shop_*@v1.service", "app-shop_*@v1.*.service"]
    sockets = ["app-shop-web@v1.socket", "app-shop_*@v1.socket"]
    assert ended == [
        ["kill", "--kill-whom=all", "--signal=SIGKILL", "--", *services],
        ["stop", "--", *sockets, *services],
        ["reset-failed", "--", *services, *sockets],
    ]


def test_a_start_that_says_nothing(programs, layout):
    make(layout, "v1")
    running(programs, unit("v1", "failed", "failed", 0))
    programs.answer("systemctl", "start", code=1)
    with pytest.raises(NodeError, match="the application does not start: it ended with exit code 3 and said nothing"):
        start(layout, "shop", release="v1", timeout=5)


def test_stopping_ends_what_serves_only_this_release(programs, layout):
    make(layout, "v1")
    make(layout, "v2", serving="v1")
    make(layout, "v3")
    live(layout, "v1")
    stop(layout, "shop", release="v2")
    assert programs.calls == []
    stop(layout, "shop", release="v3")
    assert [call[1] for call in programs.calls] == ["kill", "stop", "reset-failed", "daemon-reload"], "units of v1"
    with pytest.raises(NodeError, match="v1 of shop is live"):
        stop(layout, "shop", release="v1")


def test_earlier_releases_are_retired_and_the_latest_of_them_goes_on(programs, layout):
    for number in range(1, 6):
        make(layout, f"v{number}")
    make(layout, "v6", serving="v2")
    running(programs, *(unit(f"v{number}") for number in range(1, 5)), unit("v5", "deactivating", "stop"))
    retire(layout, "shop", live="v6", keep=1, linger=60)
    retire(layout, "shop", live="v6", keep=1, linger=0)
    stopped = [[name for name in call if "-web@" in name] for call in programs.calls if call[1] == "stop"]
    assert stopped == [
        ["app-shop-web@v3.service", "app-shop-web@v1.service"],
        ["app-shop-web@v4.service", "app-shop-web@v3.service", "app-shop-web@v1.service"],
    ]


def test_processes_and_what_they_serve(programs, layout):
    make(layout, "v1")
    make(layout, "v2")
    make(layout, "v3", serving="v1")
    live(layout, "v3")
    running(programs, unit("v1", "activating", "auto-restart", 0), unit("v2", "inactive", "dead", 0))
    [row] = processes(layout, "shop")["processes"]
    assert row == {"release": "v1", "serves": ["v1", "v3"], "type": "web", "state": "restarting", "pid": None,
                   "restarts": 0, "up": 0.0}  # fmt: skip


def test_pruning_ends_what_it_deletes_and_keeps_whose_processes_serve(programs, layout):
    make(layout, "v1")
    make(layout, "v2")
    make(layout, "v3", serving="v1")
    live(layout, "v3")
    assert machine.prune(layout, "shop", keep=[])["releases"] == ["v2"]
    [stopped] = [call for call in programs.calls if call[1] == "stop"]
    assert {"app-shop-web@v2.socket", "app-shop-web@v2.service"} < set(stopped) and "v1" not in str(stopped)
    assert releases.names(layout.app("shop")) == ["v1", "v3"]


def test_nothing_is_left_of_a_first_attempt(programs, layout):
    make(layout, "v1")
    app = layout.app("shop")
    app.site.write_text("site")
    (layout.units / "app-shop-web@.service").write_text("unit")
    machine.discard(layout, "shop", release="v1", version=COMMIT)
    assert layout.names() == [] and list(layout.units.iterdir()) == []


def test_files_that_lie_where_apps_are_are_none(programs, layout):
    make(layout, "v1")
    live(layout, "v1")
    for top in (layout.apps, layout.caches, layout.logs, layout.states, layout.sites):
        top.mkdir(parents=True, exist_ok=True)
        (top / "fill").write_text("x")
    assert layout.names() == ["shop"] and list(releases.live_records(layout)) == ["shop"]
    (layout.sites / "other.staging.map").write_text("site")
    (layout.apps / "shop.map").mkdir()
    assert layout.names() == ["other.staging", "shop", "shop.map"]


def test_what_an_app_keeps_outlives_it(programs, layout):
    make(layout, "v1")
    (layout.app("shop").state / "pictures").mkdir()
    assert machine.forget(layout, "shop") == {"forgotten": True}
    assert (layout.app("shop").state / "pictures").is_dir() and layout.names() == ["shop"]


def test_what_is_live_is_not_forgotten(programs, layout):
    make(layout, "v1")
    live(layout, "v1")
    assert machine.forget(layout, "shop") == {"forgotten": False}
    assert programs.calls == []


@pytest.mark.parametrize(
    "python", ["/tmp/evil", "python3", "/usr/bin/python3;id", "/usr/bin/../../tmp/x", "/usr/bin/perl"]
)
def test_only_an_interpreter_of_the_system_is_run_as_root(layout, python):
    with pytest.raises(NodeError, match="is no interpreter of a node"):
        machine.survey(layout, "shop", debs=[], python=python)
    with pytest.raises(NodeError, match="is no interpreter of a node"):
        machine.wheels(layout, "shop", version=COMMIT, pip=["x"], python=python)


def test_a_release_listens_in_its_own_app(layout):
    with pytest.raises(NodeError, match="are no sockets of shop"):
        machine.release(
            layout,
            "shop",
            release="v1",
            version=COMMIT,
            sockets={"web": "/run/apps/other/v1.sock"},
            settings={},
            record={"runs": True},
            secret="s" * 64,
            config={},
        )


@pytest.mark.parametrize("name", ["v0", "v1/../..", "1", "v", "", "v1\n", "v01"])
def test_a_release_that_is_none_gets_nowhere(layout, name):
    with pytest.raises(NodeError, match="is no name of a release here"):
        verbs.activate(layout, "shop", release=name)


def test_in_service_or_not(layout):
    machine.resume(layout)
    machine.resume(layout)
    assert layout.in_service.exists()
    machine.drain(layout)
    machine.drain(layout)
    assert not layout.in_service.exists()


def test_after_a_boot_all_listen_and_the_live_ones_run(programs, layout):
    make(layout, "v1")
    make(layout, "v2")
    make(layout, "v3", serving="v1")
    live(layout, "v3")
    machine.bring_back(layout)
    [call] = programs.calls
    assert call[:4] == ["systemctl", "start", "--no-block", "--"]
    assert sorted(call[4:]) == ["app-shop-web@v1.service", "app-shop-web@v1.socket", "app-shop-web@v2.socket"]


def test_after_a_boot_nothing_is_started_of_an_app_whose_data_are_brought_up_to_date(programs, layout):
    make(layout, "v1")
    live(layout, "v1")
    machine.MACHINE_VERBS["hold"](layout, "shop")
    programs.forget()
    machine.bring_back(layout)
    [call] = programs.calls
    assert call[4:] == ["app-shop-web@v1.socket"]


def test_how_a_machine_is(programs, layout):
    make(layout, "v1")
    live(layout, "v1")
    running(programs, unit("v1"))
    programs.answer("systemctl", "list-units", out="broken.service loaded failed failed Broken\n")
    said = machine.MACHINE_VERBS["status"](layout)
    assert said["live"] == {"shop": {"release": "v1", "commit": COMMIT, "process_state": "running"}}
    assert said["failed_units"] == ["broken.service"] and said["nginx_ok"] and not said["in_service"]
    programs.answer("nginx", code=1, out="nginx: [emerg] no\n")
    assert not machine.MACHINE_VERBS["status"](layout)["nginx_ok"]


def test_how_a_balancer_is(programs, layout):
    programs.add("haproxy")
    assert machine.MACHINE_VERBS["status"](layout)["haproxy_ok"]
    assert ["haproxy", "-c", "-q", "-f", f"{layout.root}/etc/haproxy/haproxy.cfg"] in programs.calls
    programs.answer("haproxy", code=1)
    assert not machine.MACHINE_VERBS["status"](layout)["haproxy_ok"]
    programs.answer("haproxy")
    programs.answer("systemctl", "is-active", "--quiet", "haproxy.service", code=3)
    assert not machine.MACHINE_VERBS["status"](layout)["haproxy_ok"]


def test_what_was_live_last_goes_on_although_it_was_started_for_an_earlier_release(programs, layout):
    make(layout, "v1")
    make(layout, "v2")
    make(layout, "v3", serving="v1")
    make(layout, "v4")
    running(programs, *(unit(f"v{number}") for number in (1, 2, 4)))
    machine.MACHINE_VERBS["retire"](layout, "shop", live="v4", keep=1, linger=60)
    names = ["app-shop-web@v2.service", "app-shop_*@v2.service", "app-shop_*@v2.*.service"]
    assert programs.calls[-1][1:] == ["stop", "--no-block", "--", *names]


def test_an_exclusive_update_ends_jobs_and_commands_and_what_is_live_has_its_jobs_again(programs, layout):
    times = {"minutes": [0], "hours": [3], "days": [1], "months": [1], "weekdays": [0], "either": False}
    make(layout, "v1", cron={"nightly": {**times, "timeout": 60}})
    live(layout, "v1")
    layout.app("shop").jobs.touch()
    running(programs, unit("v1"))
    machine.MACHINE_VERBS["hold"](layout, "shop")
    assert programs.calls[-1][1:] == [
        "stop", "--", "app-shop-web@*.service", "app-shop_*@*.service", "app-shop-run@*.service",
        "cron-shop_*@*.timer", "cron-shop_*@*.service", "mail-shop@*.service",
    ]  # fmt: skip
    machine.MACHINE_VERBS["unhold"](layout, "shop")
    assert programs.calls[-1][1:] == ["start", "--no-block", "--", "cron-shop_nightly@v1.timer"]
    assert not layout.app("shop").held.exists()


def asked(layout, name, **more):
    """What the server says of a release."""
    app = layout.app("shop")
    record = {"commit": COMMIT, "tree": "0" * 40, "hosts": ["shop.test"], "runs": True, "fingerprint": "f",
              "web": {"processes": 4, "memory": 300_000_000, "boot": 60}, **more}  # fmt: skip
    return {
        "release": name, "version": COMMIT, "sockets": {"web": str(app.socket(name))}, "settings": {"environ": {}},
        "record": record, "secret": "s" * 64, "config": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("differs", "ended"), [({}, False), ({"commit": "b" * 40}, True), ({"fingerprint": "g"}, True)]
)
def test_what_had_the_number_of_a_release_before_does_not_run_as_it(programs, layout, differs, ended):
    make(layout, "v1", **differs)
    machine.release(layout, "shop", **asked(layout, "v1"))
    stops = [call for call in programs.calls if call[:2] == ["systemctl", "stop"]]
    assert any("app-shop-web@v1.service" in call for call in stops) is ended


def test_what_is_withdrawn_has_no_unit_that_runs_after_a_boot_either(programs, layout):
    make(layout, "v1", cron={"tick": TICK})
    live(layout, "v1")
    app = layout.app("shop")
    app.jobs.touch()
    app.site.write_text("shop.test/ shop;\n")
    running(programs, unit("v1"))
    machine.withdraw(layout, "shop")
    assert not app.site.exists() and releases.names(app) == ["v1"]
    assert any(call[:2] == ["systemctl", "stop"] and "app-shop-web@v1.socket" in call for call in programs.calls)
    programs.forget()
    bring_back(layout)
    assert marked(app) == [] and not any("app-shop-web@v1.socket" in call for call in programs.calls)
    live(layout, "v1")
    bring_back(layout)
    assert marked(app) != [] and any("app-shop-web@v1.socket" in call for call in programs.calls)
