"""A GET request whose answer never ends: plain or chunked, read without ever blocking for long."""

from __future__ import annotations

import base64
import re
import socket
import time
from urllib.parse import unquote, urlsplit

from asterias.errors import DeviceError

CONNECT_S = 2.0
MOST_HEAD_BYTES = 16384
MOST_CHUNK_BYTES = 16 << 20
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")


def without_password(url: str) -> str:
    """Return a URL as it may be shown: the name of a user stays, a password does not."""
    return re.sub(r"//([^/@\s:]*)(:[^/\s]*)?@", lambda found: f"//{found[1]}@", url)


def _authorization(user: str | None, password: str | None) -> str:
    """Return the line of a request that names a user (RFC 7617); empty where there is none."""
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return f"Authorization: Basic {base64.b64encode(pair).decode()}\r\n"


class HttpStream:
    """The endless body of one URL.

    Args:
        url: ``http://host:port/path``, or ``http://user:password@host/path``.

    Raises:
        DeviceError: nobody answers there, or not with 200.
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            self._socket = socket.create_connection((host, port), CONNECT_S)
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
            request += _authorization(parts.username, parts.password) + "\r\n"
            self._socket.sendall(request.encode("ascii", "replace"))
            self.content_type, self._rest = self._read_head()
        except OSError as error:
            raise DeviceError(f"{self.url} does not answer ({error.strerror or error})") from error

    def read(self, timeout_s: float) -> bytes:
        """Return what has come; empty after ``timeout_s``.

        DeviceError comes when the server has ended the stream, or its chunks make no sense.
        """
        data, self._rest = self._rest, b""
        if not data:
            data = self._receive(timeout_s)
        return data if self._chunks is None else self._chunks.feed(data)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self, timeout_s: float) -> bytes:
        self._socket.settimeout(max(timeout_s, 1e-3))
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        if not data:
            raise DeviceError(f"{self.url} has ended the stream")
        return data

    def _read_head(self) -> tuple[str, bytes]:
        """Return the content type, and the first bytes of the body.

        Raises:
            DeviceError: the server does not answer in HTTP, or serves no stream.
        """
        deadline_s, buffer = time.monotonic() + CONNECT_S, b""
        while b"\r\n\r\n" not in buffer:
            if time.monotonic() > deadline_s or len(buffer) > MOST_HEAD_BYTES:
                raise DeviceError(f"{self.url} does not answer in HTTP")
            buffer += self._receive(deadline_s - time.monotonic())
        head, _, rest = buffer.partition(b"\r\n\r\n")
        status = STATUS.match(head + b"\r\n")
        if status is None or status[1] != b"200":
            if status is not None and status[1] == b"401":
                raise DeviceError(
                    f"{self.url} wants a user and a password; "
                    "write http://user:password@host/... in the robot description"
                )
            code = "no HTTP" if status is None else f"HTTP {status[1].decode()}"
            raise DeviceError(f"{self.url} serves no stream ({code}); check the path")
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        is_chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        self._chunks = Dechunker() if is_chunked else None
        return fields.get("content-type", ""), rest


class Dechunker:
    """Takes the chunk sizes out of a chunked body; the ESP32's server always sends one."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0  # bytes of the present chunk and of its line end that are still to come

    def feed(self, data: bytes) -> bytes:
        """Return the content in these bytes.

        DeviceError comes when the stream has ended, or a size makes no sense.
        """
        self._buffer += data
        content = bytearray()
        while self._buffer:
            if self._left > 2:
                taken = min(self._left - 2, len(self._buffer))
                content += self._buffer[:taken]
            elif self._left > 0:
                taken = min(self._left, len(self._buffer))
            else:
                taken = self._begin_chunk()
                if not taken:
                    break
                del self._buffer[:taken]
                continue
            del self._buffer[:taken]
            self._left -= taken
        return bytes(content)

    def _begin_chunk(self) -> int:
        """Return the length of the size line; 0 when it has not come yet.

        Raises:
            DeviceError: the stream has ended, or the size makes no sense.
        """
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > 64:
                raise DeviceError("the stream's chunks make no sense")
            return 0
        try:
            size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
        except ValueError as error:
            raise DeviceError("the stream's chunks make no sense") from error
        if not 0 < size <= MOST_CHUNK_BYTES:
            raise DeviceError("the server has ended the stream")
        self._left = size + 2
        return end + 2
