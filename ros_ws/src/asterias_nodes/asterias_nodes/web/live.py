"""The page's live channel: pictures and states out, what a hand holds in, over one web socket.

Out: text messages are JSON (``t`` says of which kind: ``hello``, ``state``, ``note``); binary ones
are pictures: limb and camera (a byte each), a number (4 bytes), stamp and time of arrival (doubles,
s), little endian, then a JPEG file. In: JSON with ``t`` of ``drive``, ``release``, ``stop``,
``unstop``, ``seen`` (a picture is drawn: the next one of that camera may come) and ``echo``.

Nothing queues up: of each camera the newest picture only is kept, and a page that is slow gets
fewer.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from asterias.arrays import ImageArray
from hardware.emulated.pictures import encode_jpeg

HEAD = struct.Struct("<BBIdd")
# A page that does not say that it has drawn a picture gets the next one after this time.
UNSEEN_S = 0.5
LARGE_PX = 100_000
MOST_BYTES = 4096

CameraKey = tuple[int, int]
OnMessage = Callable[[int, dict[str, Any]], None]


@dataclass
class LiveFrame:
    """The newest picture of a camera.

    Attributes:
        key: numbers of limb and camera.
        number: counts the pictures of this camera.
        stamp_s: when it was taken, by its message; received_s: when it came, Unix time.
        image: ``(H, W, 3)`` RGB or ``(H, W)``; jpeg: or the file itself.
    """

    key: CameraKey
    number: int
    stamp_s: float
    received_s: float
    image: ImageArray | None = None
    jpeg: bytes = b""

    async def message(self) -> bytes:
        """What goes to pages; compressed once, however many there are."""
        if not self.jpeg and self.image is not None:
            if self.image.size > LARGE_PX:
                self.jpeg = await asyncio.to_thread(encode_jpeg, self.image)
            else:
                self.jpeg = encode_jpeg(self.image)
        return HEAD.pack(*self.key, self.number, self.stamp_s, self.received_s) + self.jpeg


@dataclass
class _Page:
    socket: WebSocket
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    fresh: set[CameraKey] = field(default_factory=set)
    unseen_s: dict[CameraKey, float] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    has_state: bool = False


class LiveHub:
    """All open pages; its methods but :meth:`serve` may be called from any thread.

    Args:
        hello: JSON that each page gets first.
        on_message: gets each message, with the number of the page; called in the server's thread.
        on_leave: gets the number of a page that is gone.
    """

    def __init__(self, hello: str, on_message: OnMessage, on_leave: Callable[[int], None]) -> None:
        self._hello, self._on_message, self._on_leave = hello, on_message, on_leave
        self._pages: dict[int, _Page] = {}
        self._frames: dict[CameraKey, LiveFrame] = {}
        self._state = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_page = 0

    @property
    def page_count(self) -> int:
        """Pages that are open."""
        return len(self._pages)

    def offer_frame(self, frame: LiveFrame) -> None:
        """A picture has come."""
        self._frames[frame.key] = frame
        self._call(lambda page: page.fresh.add(frame.key))

    def offer_state(self, text: str) -> None:
        """The robot's state, as JSON; replaces the one before."""
        self._state = text

        def mark(page: _Page) -> None:
            page.has_state = True

        self._call(mark)

    def tell(self, number: int | None, text: str) -> None:
        """A sentence for one page, or for all."""
        note = json.dumps({"t": "note", "text": text})
        self._call(lambda page: page.texts.append(note), number)

    def _call(self, change: Callable[[_Page], object], number: int | None = None) -> None:
        if self._loop is None or self._loop.is_closed() or not self._pages:
            return

        def run() -> None:
            for one, page in self._pages.items():
                if number is None or one == number:
                    change(page)
                    page.wake.set()

        with suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(run)

    async def serve(self, socket: WebSocket) -> None:
        """One page, from its opening to its end."""
        await socket.accept()
        self._loop = asyncio.get_running_loop()
        self._last_page += 1
        number, page = self._last_page, _Page(socket)
        page.texts.append(self._hello)
        page.fresh, page.has_state = set(self._frames), bool(self._state)
        page.wake.set()
        self._pages[number] = page
        sender = asyncio.create_task(self._send(page))
        try:
            while True:
                await self._receive(number, page)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # the page is gone, or the server ends
        finally:
            del self._pages[number]
            self._on_leave(number)
            sender.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sender

    async def _receive(self, number: int, page: _Page) -> None:
        text = await page.socket.receive_text()
        try:
            message = json.loads(text) if len(text) <= MOST_BYTES else None
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.tell(number, "This page has sent something that is no message; load it again.")
        elif message.get("t") == "seen":
            key = (message.get("limb"), message.get("camera"))
            page.unseen_s.pop(key, None)  # type: ignore[arg-type]
            page.wake.set()
        elif message.get("t") == "echo":
            page.texts.append(json.dumps({"t": "echo", "at": message.get("at")}))
            page.wake.set()
        else:
            self._on_message(number, message)

    async def _send(self, page: _Page) -> None:
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(page.wake.wait(), UNSEEN_S)
            page.wake.clear()
            for text in page.texts:
                await page.socket.send_text(text)
            page.texts.clear()
            if page.has_state:
                page.has_state = False
                await page.socket.send_text(self._state)
            now = time.monotonic()
            for key in list(page.fresh):
                if now - page.unseen_s.get(key, -UNSEEN_S) >= UNSEEN_S:
                    page.fresh.discard(key)
                    page.unseen_s[key] = now
                    await page.socket.send_bytes(await self._frames[key].message())
