"""The page's live channel: pictures and states out, what a hand holds in, over one web socket.

Out: text messages are JSON (``t`` says of which kind: ``hello``, ``state``, ``note``, ``echo``);
binary ones are pictures: limb and camera (a byte each), a number (4 bytes), stamp and time of
arrival (doubles, s), little endian, then a JPEG file. In: JSON with ``t`` of ``drive``,
``release``, ``stop``, ``unstop``, ``seen`` (a picture is drawn: the next one of that camera may
come) and ``echo``.

Nothing queues up without bound: of each camera, of the state and of the echoes only the newest is
kept, of sentences the last few; a page that reads nothing for a while is closed.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from asterias.arrays import ImageArray
from hardware.emulated.pictures import encode_jpeg

HEAD = struct.Struct("<BBIdd")
# A page that does not report a picture as drawn gets the next one after this time.
UNSEEN_S = 0.5
# Encoding a larger picture would hold up the other pages.
LARGE_PX = 100_000
MAX_MESSAGE_CHARS = 4096
MAX_NOTES = 16
MAX_PAGES = 256
# A page whose connection takes no more data for so long is closed.
SEND_TIMEOUT_S = 10.0
# A page repeats itself 20 times a second; faster ones wait.
MIN_GAP_S = 0.004
TRY_AGAIN_LATER = 1013

CameraKey = tuple[int, int]
OnMessage = Callable[[int, dict[str, Any]], None]


@dataclass
class LiveFrame:
    """The newest picture of a camera.

    Attributes:
        key: numbers of limb and camera.
        number: counts the pictures of this camera.
        stamp_s: when it was taken, by its message; received_s: when it came, Unix time.
        image: ``(H, W, 3)`` RGB; jpeg: or the file itself.
    """

    key: CameraKey
    number: int
    stamp_s: float
    received_s: float
    image: ImageArray | None = None
    jpeg: bytes = b""

    async def message(self) -> bytes:
        """Return the message for pages; compressed once, however many pages are open."""
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
    hello: str = ""
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_NOTES))
    echo: str = ""
    has_state: bool = False

    def take_texts(self) -> list[str]:
        """Return what waits to be sent, but for state and pictures."""
        texts = [text for text in (self.hello, *self.notes, self.echo) if text]
        self.hello = self.echo = ""
        self.notes.clear()
        return texts


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
        """Show a new picture on all pages."""
        self._frames[frame.key] = frame
        self._call(lambda page: page.fresh.add(frame.key))

    def offer_state(self, text: str) -> None:
        """Show a new state, as JSON, on all pages; it replaces the one before."""
        self._state = text

        def mark(page: _Page) -> None:
            page.has_state = True

        self._call(mark)

    def tell(self, number: int | None, text: str) -> None:
        """Show a sentence on one page, or on all (None)."""
        note = json.dumps({"t": "note", "text": text[:MAX_MESSAGE_CHARS]})
        self._call(lambda page: page.notes.append(note), number)

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
        """Serve one page, from its opening to its end."""
        if len(self._pages) >= MAX_PAGES:
            await socket.close(TRY_AGAIN_LATER)
            return
        await socket.accept()
        self._loop = asyncio.get_running_loop()
        self._last_page += 1
        number, page = self._last_page, _Page(socket, hello=self._hello)
        page.fresh, page.has_state = set(self._frames), bool(self._state)
        page.wake.set()
        self._pages[number] = page
        tasks = [
            asyncio.create_task(self._receive_all(number, page)),
            asyncio.create_task(self._send_all(page)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._pages[number]
            self._on_leave(number)
            for task in tasks:
                task.cancel()
            # The page is gone, reads nothing, or the server ends: nobody is left to tell.
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await asyncio.wait_for(socket.close(), 1.0)

    async def _receive_all(self, number: int, page: _Page) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                received = await page.socket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                await self._take(number, page, _parsed(received.get("text")))

    async def _take(self, number: int, page: _Page, message: dict[str, Any] | None) -> None:
        kind = None if message is None else message.get("t")
        if message is None:
            self.tell(number, "This page has sent something that is no message; load it again.")
        elif kind == "seen":
            limb, camera = message.get("limb"), message.get("camera")
            if type(limb) is int and type(camera) is int:
                page.unseen_s.pop((limb, camera), None)
                page.wake.set()
            return
        elif kind == "echo":
            at = message.get("at")
            if isinstance(at, (int, float)) and math.isfinite(at):
                page.echo = json.dumps({"t": "echo", "at": at}, allow_nan=False)
                page.wake.set()
        else:
            self._on_message(number, message)
        await asyncio.sleep(MIN_GAP_S)

    async def _send_all(self, page: _Page) -> None:
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(page.wake.wait(), UNSEEN_S)
            page.wake.clear()
            await asyncio.wait_for(self._send(page), SEND_TIMEOUT_S)

    async def _send(self, page: _Page) -> None:
        for text in page.take_texts():
            await page.socket.send_text(text)
        if page.has_state:
            page.has_state = False
            await page.socket.send_text(self._state)
        now = time.monotonic()
        for key in list(page.fresh):
            if now - page.unseen_s.get(key, -UNSEEN_S) >= UNSEEN_S:
                page.fresh.discard(key)
                page.unseen_s[key] = now
                await page.socket.send_bytes(await self._frames[key].message())


def _parsed(text: str | None) -> dict[str, Any] | None:
    """Return a page's message; None when it is none."""
    if text is None or len(text) > MAX_MESSAGE_CHARS:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
