import json
import os
import subprocess
import sys

from buildless.node import journal

ENTRY = {"__REALTIME_TIMESTAMP": "1700000000000000", "_SYSTEMD_UNIT": "app-shop-web@v7.service"}


def written(*messages):
    return "".join(json.dumps({**ENTRY, "MESSAGE": message}) + "\n" for message in messages)


def test_messages_that_are_not_text_are_shown_all_the_same():
    text = written("plain", [103, 114, 252, 10004 % 256], None)
    assert [entry["MESSAGE"] for entry in journal.entries(text)] == ["plain", "gr\ufffd\x14", ""]


def test_the_log_of_an_app_has_what_systemd_says_of_it_too(programs):
    about = {**ENTRY, "_SYSTEMD_UNIT": "init.scope", "UNIT": "app-shop-web@v8.service", "MESSAGE": "Started"}
    programs.answer("journalctl", out=written("hello") + json.dumps(about) + "\n")
    stamp = "2023-11-14T22:13:20.000Z"
    assert journal.logs("shop", 2) == [f"{stamp} v7 web | hello", f"{stamp} v8 web | Started"]
    assert programs.calls == [
        [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--unit=app-shop-web@*.service",
            "--unit=app-shop_*@*.service",
            "--unit=cron-shop_*@*.service",
            "--unit=mail-shop@*.service",
            "--lines=2",
            "--output=json",
        ]
    ]


def test_the_last_lines_of_a_release(programs):
    programs.answer("journalctl", out=written("one", "two"))
    assert journal.tail(["app-shop-web@v7.service"], 20) == ["one", "two"]
    assert programs.calls[1][-3:] == ["--lines=20", "--output=json", "_SYSTEMD_UNIT=app-shop-web@v7.service"]


def test_following_ends_with_standard_input(programs, tmp_path):
    fake = f"#!{sys.executable}\nimport sys, time\nsys.stdout.write({written('hello')!r})\nsys.stdout.flush()\ntime.sleep(60)\n"
    (programs.where / "journalctl").write_text(fake)
    code = "from buildless.node.journal import follow\nfor line in follow('shop'): print(line, flush=True)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("the next request, which is not follow's\n")
    process.stdin.flush()
    assert process.stdout.readline() == "2023-11-14T22:13:20.000Z v7 web | hello\n"
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()
