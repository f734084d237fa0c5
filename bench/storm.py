"""Requests at a steady rate, some of them bad, sent when it is time, whether or not earlier ones have been answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from timing import Address

GOOD = 10.0  # seconds within which a good request must be answered
FAST = 1.0  # and within which it must be again, for the application to have recovered
CALM = 20.0  # seconds after the last bad request in which it may recover
UPLOAD = 50_000_000
SLOW_UPLOAD, SLOW_SECONDS = 1_000_000, 30


@dataclass(frozen=True)
class Weathered:
    """The share of good requests that were answered well within 10 s, the longest time in which none was, and the time from the
    last bad request until good ones were answered within a second again; in seconds.
    """

    good: float
    stall: float
    recovery: float


@dataclass
class Storm:
    """`rate` requests a second for `seconds`, a `share` of them bad: `deed` is a path of wild.py, or a kind of bad client."""

    address: Address
    deed: str
    share: float
    rate: float = 30.0
    seconds: float = 20.0

    async def run(self) -> Weathered:
        """Let it happen."""
        clients: dict[str, Callable[[], Awaitable[bool]]] = {
            "large upload": lambda: upload(self.address, UPLOAD, 0),
            "slow upload": lambda: upload(self.address, SLOW_UPLOAD, SLOW_SECONDS),
            "slow download": lambda: download_slowly(self.address),
        }
        bad = clients.get(self.deed, lambda: get(self.address, f"/{self.deed}"))
        chance = random.Random(f"{self.deed} {self.share}")
        answers: list[tuple[float, float, bool]] = []
        bad_until = 0.0
        tasks: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        number = 0
        while (now := time.monotonic() - began) < self.seconds + CALM:
            raging = now < self.seconds
            if raging and self.share and chance.random() < self.share:
                bad_until = now
                tasks.add(asyncio.create_task(quietly(bad)))
            else:
                tasks.add(asyncio.create_task(self.ask(began, answers)))
            tasks = {task for task in tasks if not task.done()}
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
        await asyncio.wait(tasks, timeout=GOOD + 1)
        for task in tasks:
            task.cancel()
        return weathered(answers, bad_until, self.seconds)

    async def ask(self, began: float, answers: list[tuple[float, float, bool]]) -> None:
        sent = time.monotonic() - began
        well = False
        with suppress(TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
            well = await asyncio.wait_for(get(self.address, "/good"), GOOD)
        answers.append((sent, time.monotonic() - began, well))


def weathered(answers: list[tuple[float, float, bool]], bad_until: float, seconds: float) -> Weathered:
    """What (sent, answered, well) of every good request come to."""
    storm = [one for one in answers if one[0] < seconds]
    good = sum(well for _, _, well in storm) / len(storm)
    moments = sorted(answered for _, answered, well in answers if well)
    stall = max((later - earlier for earlier, later in zip([0.0, *moments], moments, strict=False)), default=seconds)
    late = [sent for sent, answered, well in answers if sent >= bad_until and not (well and answered - sent <= FAST)]
    return Weathered(good, stall, max(late) - bad_until if late else 0.0)


async def quietly(deed: Callable[[], Awaitable[bool]]) -> None:
    with suppress(TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
        await asyncio.wait_for(deed(), 60)


async def get(address: Address, path: str) -> bool:
    """GET `path`; whether the answer is 200, read to its end."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.name}\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        while await reader.read(1 << 16):
            pass
        return b" 200 " in status
    finally:
        writer.close()


async def upload(address: Address, size: int, seconds: float) -> bool:
    """POST `size` bytes, over so many seconds."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(
            f"POST / HTTP/1.1\r\nHost: {address.name}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
        )
        pieces = 50
        for _ in range(pieces):
            writer.write(bytes(size // pieces))
            await writer.drain()
            await asyncio.sleep(seconds / pieces)
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


async def download_slowly(address: Address) -> bool:
    """GET 10 MB, at 300 kB a second."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=1 << 14)
    try:
        writer.write(f"GET /big HTTP/1.1\r\nHost: {address.name}\r\nConnection: close\r\n\r\n".encode())
        while await reader.read(30_000):
            await asyncio.sleep(0.1)
        return True
    finally:
        writer.close()
