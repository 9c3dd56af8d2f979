"""Packets between a driver and boards with one servo and one camera each.

One packet is one UDP datagram of at most 1400 bytes; numbers are big-endian::

    offset  size  what
    0       4     magic "ASTR"
    4       1     version, 2
    5       1     kind, see below
    6       2     board: 1 to 65535; 0 in a CALL, which all boards answer
    8       4     session: random number that a driver draws when it opens; answers repeat it
    12      4     sequence, see below
    16      2     size of the payload
    18      n     payload
    18+n    4     CRC-32 (zlib) of everything before it
    22+n    16    only with a shared key: the seal, see below

    kind      from    payload
    CALL      driver  none: every board answers with ANNOUNCE
    ANNOUNCE  board   firmware (2), challenge (16 random bytes), the board's own IPv4 address (4)
                      and port (2), name (UTF-8, up to 32 bytes)
    COMMAND   driver  flags (1: bit 0 torque, bit 1 clear a stop), watchdog in ms (2), goal in rad,
                      speed limit in rad/s, torque limit in N m (float32 each); not answered
    QUERY     driver  none; answered by STATE
    STATE     board   flags (1: bit 0 torque, bit 1 stopped by its watchdog), error bits (1),
                      position in rad, speed in rad/s, torque in N m, volts, degrees Celsius
                      (float32 each)
    LOOK      driver  seconds for which the board sends its pictures to the sender (1)
    PICTURE   board   picture number (4), taken at in ms of the board's clock (4), part (2),
                      parts (2), a part of the JPEG file

Seal: BLAKE2s of everything before it, 16 bytes. CALL and ANNOUNCE are keyed with the shared key;
all others with the session's key of one board, which is BLAKE2s, keyed with the shared key, of
session, board and challenge. A board draws a new challenge for each session that it does not
remember, and a driver a new number for each session: neither a command nor an answer of an earlier
session has a valid seal in a later one.

Sequence: those of a driver rise by one with each packet of its session. A board takes a CALL whose
sequence is above that of the session's last CALL, and any other packet whose sequence is above all
before it. ANNOUNCE and STATE repeat the sequence of what they answer, and are taken once: an
ANNOUNCE for a call of the last two seconds, a STATE for the newest question. PICTURE packets of a
session are numbered by the board from 1, and each is taken only above the last.

Dropped and counted: other magic, version, kind or size; a wrong checksum or seal; an ANNOUNCE that
comes from another address than the one in it, or any other packet that does not come from where its
board is; another session; a sequence that was not asked for or that has been before; numbers that
are not finite or beyond what a servo can be.

A board obeys one session at a time: another one only once the first has taken the torque off, or
has been silent for the watchdog's time. Without a shared key nothing is sealed: then whoever is on
the network can command the boards.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import socket
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

MAGIC = b"ASTR"
VERSION = 2
MOST_BYTES = 1400
PART_BYTES = 1200
MOST_PARTS = 512
_HEAD = struct.Struct("!4sBBHIIH")
_CRC = struct.Struct("!I")
_COMMAND = struct.Struct("!BHfff")
_STATE = struct.Struct("!BBfffff")
_ANNOUNCE = struct.Struct("!H16s4sH")
_PICTURE = struct.Struct("!IIHH")
_KEY_BYTES = 16
_MOST_NAME_BYTES = 32
CHALLENGE_BYTES = 16

TORQUE_BIT = 1
STOPPED_BIT = 2
CLEAR_BIT = 2

# Beyond these a state cannot be a servo's.
MOST_RAD = 64.0
MOST_RAD_S = 100.0


class PacketKind(IntEnum):
    """What a packet is for."""

    CALL = 1
    ANNOUNCE = 2
    COMMAND = 3
    QUERY = 4
    STATE = 5
    LOOK = 6
    PICTURE = 7


class PacketError(ValueError):
    """A datagram that is dropped; the message is one word for the counters."""


@dataclass(frozen=True)
class Packet:
    """One datagram without its checksum."""

    kind: PacketKind
    board: int
    session: int
    sequence: int
    payload: bytes = b""


@dataclass(frozen=True)
class Announcement:
    """What a board reports about itself.

    Attributes:
        firmware: its version.
        challenge: drawn by the board for this session.
        address: IPv4 address and port of the board, as the board sees them.
        name: for people.
    """

    firmware: int
    challenge: bytes
    address: tuple[str, int]
    name: str


@dataclass(frozen=True)
class BoardCommand:
    """Goal, limits and flags for the servo of a board."""

    torque: bool
    clear: bool
    watchdog_s: float
    goal_rad: float
    speed_limit_rad_s: float
    torque_limit_nm: float


@dataclass(frozen=True)
class BoardState:
    """State of a board's servo, as the board reports it."""

    torque: bool
    stopped: bool
    error_bits: int
    position_rad: float
    velocity_rad_s: float
    effort_nm: float
    voltage_v: float
    temperature_c: float


@dataclass(frozen=True)
class PicturePart:
    """A part of a JPEG file."""

    number: int
    time_s: float
    part: int
    parts: int
    data: bytes


def pack(packet: Packet, key: bytes = b"") -> bytes:
    """Return the datagram of a packet."""
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        packet.kind,
        packet.board,
        packet.session,
        packet.sequence & 0xFFFFFFFF,
        len(packet.payload),
    )
    data = head + packet.payload
    data += _CRC.pack(zlib.crc32(data))
    return data + _seal(data, key) if key else data


def peek(data: bytes) -> tuple[PacketKind, int, int]:
    """Return kind, board and session of a datagram, before anything of it is checked.

    Raises:
        PacketError: it is not of this protocol.
    """
    if not _HEAD.size + _CRC.size <= len(data) <= MOST_BYTES:
        raise PacketError("size")
    magic, version, kind, board, session, _, _ = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise PacketError("version")
    try:
        return PacketKind(kind), board, session
    except ValueError as error:
        raise PacketError("kind") from error


def unpack(data: bytes, key: bytes = b"") -> Packet:
    """Return the packet of a datagram.

    Args:
        data: the datagram.
        key: that its seal must be made with: the shared one, or the session's; empty: no seal.

    Raises:
        PacketError: it is none of ours, damaged, or without the key.
    """
    kind, board, session = peek(data)
    tail = _CRC.size + (_KEY_BYTES if key else 0)
    sequence, size = _HEAD.unpack_from(data)[5:]
    if len(data) != _HEAD.size + size + tail:
        raise PacketError("size")
    body = data[: _HEAD.size + size]
    if _CRC.unpack_from(data, len(body))[0] != zlib.crc32(body):
        raise PacketError("checksum")
    sealed = len(body) + _CRC.size
    if key and not hmac.compare_digest(data[sealed:], _seal(data[:sealed], key)):
        raise PacketError("key")
    return Packet(kind, board, session, sequence, body[_HEAD.size :])


def session_key(key: bytes, session: int, board: int, challenge: bytes) -> bytes:
    """Return the key of one board's packets in one session; empty where nothing is sealed."""
    if not key:
        return b""
    content = session.to_bytes(4, "big") + board.to_bytes(2, "big") + challenge
    return hashlib.blake2s(content, key=hashlib.blake2s(key).digest()).digest()


def _seal(data: bytes, key: bytes) -> bytes:
    # BLAKE2s takes keys up to 32 bytes; longer ones are hashed first.
    short = hashlib.blake2s(key).digest()
    return hashlib.blake2s(data, key=short, digest_size=_KEY_BYTES).digest()


# -- payloads -------------------------------------------------------------------------------------


def pack_command(command: BoardCommand) -> bytes:
    """Return the payload of a COMMAND."""
    flags = TORQUE_BIT * command.torque | CLEAR_BIT * command.clear
    milliseconds = min(max(round(1000 * command.watchdog_s), 1), 0xFFFF)
    return _COMMAND.pack(
        flags, milliseconds, command.goal_rad, command.speed_limit_rad_s, command.torque_limit_nm
    )


def unpack_command(payload: bytes) -> BoardCommand:
    """Return the command in a payload.

    Raises:
        PacketError: its size or a value is out of range.
    """
    flags, milliseconds, *numbers = _unpacked(_COMMAND, payload)
    if abs(numbers[0]) > MOST_RAD or numbers[1] < 0 or numbers[2] < 0:
        raise PacketError("range")
    return BoardCommand(
        bool(flags & TORQUE_BIT), bool(flags & CLEAR_BIT), milliseconds / 1000, *numbers
    )


def pack_state(state: BoardState) -> bytes:
    """Return the payload of a STATE."""
    return _STATE.pack(
        TORQUE_BIT * state.torque | STOPPED_BIT * state.stopped,
        state.error_bits,
        state.position_rad,
        state.velocity_rad_s,
        state.effort_nm,
        state.voltage_v,
        state.temperature_c,
    )


def unpack_state(payload: bytes) -> BoardState:
    """Return the state in a payload.

    Raises:
        PacketError: its size or a value is out of range.
    """
    flags, errors, *numbers = _unpacked(_STATE, payload)
    if abs(numbers[0]) > MOST_RAD or abs(numbers[1]) > MOST_RAD_S:
        raise PacketError("range")
    return BoardState(bool(flags & TORQUE_BIT), bool(flags & STOPPED_BIT), errors, *numbers)


def pack_announce(board: Announcement) -> bytes:
    """Return the payload of an ANNOUNCE."""
    host = socket.inet_aton(board.address[0])
    head = _ANNOUNCE.pack(board.firmware, board.challenge, host, board.address[1])
    return head + board.name.encode()[:_MOST_NAME_BYTES]


def unpack_announce(payload: bytes) -> Announcement:
    """Return the announcement in a payload.

    Raises:
        PacketError: it is too short or too long.
    """
    if not _ANNOUNCE.size <= len(payload) <= _ANNOUNCE.size + _MOST_NAME_BYTES:
        raise PacketError("size")
    name = payload[_ANNOUNCE.size :].decode("utf-8", errors="replace")
    firmware, challenge, host, port = _ANNOUNCE.unpack_from(payload)
    printable = "".join(c for c in name if c.isprintable())
    return Announcement(firmware, challenge, (socket.inet_ntoa(host), port), printable)


def pack_picture(part: PicturePart) -> bytes:
    """Return the payload of a PICTURE."""
    milliseconds = round(1000 * part.time_s) & 0xFFFFFFFF
    return _PICTURE.pack(part.number, milliseconds, part.part, part.parts) + part.data


def unpack_picture(payload: bytes) -> PicturePart:
    """Return the part of a picture in a payload.

    Raises:
        PacketError: its size or its part number is out of range.
    """
    if len(payload) <= _PICTURE.size:
        raise PacketError("size")
    number, milliseconds, part, parts = _PICTURE.unpack_from(payload)
    if not part < parts <= MOST_PARTS:
        raise PacketError("range")
    return PicturePart(number, milliseconds / 1000, part, parts, payload[_PICTURE.size :])


def _unpacked(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    if len(payload) != layout.size:
        raise PacketError("size")
    values = layout.unpack(payload)
    if not all(math.isfinite(value) for value in values):
        raise PacketError("range")
    return values
