"""The front in a process of its own, for the tests: argv[1] is JSON, {"hosts": {...}, "limits": {...}, "https": bool}.

Prints its port, then (unless "quiet") a line for every `began` and `ended`. Requests for the host "broken" fall over in `resolve`.
"""

import json
import sys

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver

from gitdeploy.web import pages
from gitdeploy.web.fields import Ask
from gitdeploy.web.front import Front, Limits, Target


def main() -> None:
    settings = json.loads(sys.argv[1])
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)

    def say(*words: object) -> None:
        if isinstance(words[0], int) or not settings.get("quiet"):
            print(*words, flush=True)

    def resolve(ask: Ask) -> object:
        host = ask.host
        if host == "broken":
            raise ZeroDivisionError("resolve fell over")
        found = settings["hosts"].get(host)
        if found is None:
            return pages.unknown_host(host)
        if found.get("stopped"):
            return pages.stopped(found["app"])
        where = {"socket": None, "static": None, "root": None, "app": "shop (staging)"} | found
        release = "v7"
        return Target(
            release=release, began=lambda: say("began", release), ended=lambda: say("ended", release), **where
        )

    front = Front(reactor, resolve, https=settings.get("https", False), limits=Limits(**settings.get("limits", {})))
    listening = serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(front)
    listening.addCallback(lambda port: say(port.getHost().port))
    reactor.run()


main()
