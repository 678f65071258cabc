"""An event loop that takes connections in as they come, also while it has more to do than it can.

Ordinarily one connection of those that wait is taken in at each turn of the loop, and a turn answers all that
is there: with many waiting, each waits until all those before it are answered in full, where it can neither
be refused nor be told that all is well.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvloop

from app.api.connections import BoundedHttp

EVERY_SECONDS: Final = 0.05
AT_ONCE: Final = 512
"""Connections that one process takes in at one time; the rest is for the others, or later."""
SWITCH_SECONDS: Final = 0.0005
"""After which a thread that waits for the interpreter gets it from the loop; a write waits so a dozen
times."""
BACKLOG: Final = 4_096
"""Connections that the system keeps waiting for all processes; who finds no room there tries again for half a
minute."""


OPTIONS: Final[dict[str, Any]] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "http": BoundedHttp,
    "loop": "app.api.server:PromptLoop",
    "backlog": BACKLOG,
    "ws": "none",
}
"""Of uvicorn, wherever the application is served."""


class PromptLoop(uvloop.Loop):
    """uvloop's own; whatever waits at the door of a server is let in every few milliseconds."""

    async def create_server(self, protocol_factory: Any, *args: Any, **named: Any) -> Any:
        sys.setswitchinterval(SWITCH_SECONDS)
        server = await super().create_server(protocol_factory, *args, **named)
        if named.get("ssl") is None:
            self._taking_in = self.create_task(_take_in(server, protocol_factory))
        return server


async def _take_in(server: Any, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
    loop = asyncio.get_running_loop()
    doors = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
    try:
        for door in doors:
            door.setblocking(False)
        while server.is_serving():
            waiting = [connection for door in doors for connection in _accepted(door)]
            taken = [loop.connect_accepted_socket(protocol_factory, connection) for connection in waiting]
            # All at once: each takes a turn. One that has gone away meanwhile is no error.
            await asyncio.gather(*taken, return_exceptions=True)
            await asyncio.sleep(EVERY_SECONDS)
    finally:
        for door in doors:
            door.close()


def _accepted(door: socket.socket) -> list[socket.socket]:
    found: list[socket.socket] = []
    # Nobody waits; or there is no room for more just now, which the next time may be different.
    with suppress(OSError):
        while len(found) < AT_ONCE:
            found.append(door.accept()[0])
    return found
