"""What happens, pushed to every open page (server-sent events)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

WAITING = 1000  # messages that a page may be behind before it is told to read everything anew
ALIVE = 15.0  # seconds between signs of life, so that a page notices that the server is gone


class Events:
    """Messages from any thread to the pages that listen."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[asyncio.Queue, str] = {}

    def begin(self) -> None:
        """Take messages from now on; called inside the server's event loop."""
        self._loop = asyncio.get_running_loop()

    def tell(self, kind: str, **about: Any) -> None:
        """Send a message to all pages; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, {"kind": kind} | about)

    def _tell(self, message: dict[str, Any]) -> None:
        for listener in self._listeners:
            if listener.qsize() >= WAITING:  # a page that sleeps: one word in place of many
                while not listener.empty():
                    listener.get_nowait()
                message = {"kind": "reload"}
            listener.put_nowait(message)

    def end(self) -> None:
        """Let all pages go: the server closes. Called inside its event loop."""
        for listener in self._listeners:
            listener.put_nowait(None)

    def windows(self) -> set[str]:
        """Return the names of the windows that listen."""
        return set(self._listeners.copy().values())

    async def listen(self, window: str) -> AsyncIterator[str]:
        """Yield messages as server-sent events, until the page in the window goes."""
        mine: asyncio.Queue = asyncio.Queue()
        self._listeners[mine] = window
        try:
            yield "retry: 1000\n\n"
            while True:
                try:
                    message = await asyncio.wait_for(mine.get(), ALIVE)
                except TimeoutError:
                    yield ": alive\n\n"
                else:
                    if message is None:
                        return
                    yield f"data: {json.dumps(message)}\n\n"
        finally:
            self._listeners.pop(mine, None)
