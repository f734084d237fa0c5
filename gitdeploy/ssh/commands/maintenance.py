"""``maintenance``, ``maintenance:on``, ``maintenance:off``: an app that is out of service answers everybody with a page (503).

Its processes go on, and so do deploys: what was pushed meanwhile answers when the app is let out again.
"""

from __future__ import annotations

from ...names import Place
from .call import Call, CommandSpec, app


async def show(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.deployed(place)
    call.io.write("on" if call.site.in_maintenance(place) else "off")
    return 0


async def switch(call: Call, on: bool) -> int:
    place: Place = call.place(call.args.app)
    call.site.deployed(place)
    call.site.maintain(place, on)
    late = []
    for node in call.site.nodes_of(place):
        if await node.reach() is not None:
            late.append(node.name)
        else:
            await call.site.ask(node, "maintenance", app=call.site.key(place), on=on)
    if on:
        what = (
            f"{place} is out of service: every request gets a page, status 503, until maintenance:off {call.args.app}"
        )
    else:
        what = f"{place} is in service"
    call.io.write(what)
    for name in late:
        call.io.write(f"{name} does not answer; it is told when it is back")
    return 0


async def put_on(call: Call) -> int:
    return await switch(call, True)


async def put_off(call: Call) -> int:
    return await switch(call, False)


SPECS = (
    CommandSpec("maintenance", "whether an app is out of service", app, show, offline=True),
    CommandSpec("maintenance:on", "take an app out of service: everybody gets a page", app, put_on),
    CommandSpec("maintenance:off", "take it back into service", app, put_off),
)
