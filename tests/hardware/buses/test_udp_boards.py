"""Boards on a network: nothing that comes from it is trusted."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import DeviceError
from hardware.buses.bus import Servo
from hardware.buses.udp_bus import UdpBus
from hardware.buses.udp_link import Address, UdpLink
from hardware.buses.udp_packets import (
    MAGIC,
    MOST_BYTES,
    Announcement,
    BoardCommand,
    BoardState,
    Packet,
    PacketError,
    PacketKind,
    PicturePart,
    pack,
    pack_announce,
    pack_command,
    pack_picture,
    pack_state,
    peek,
    unpack,
    unpack_announce,
    unpack_command,
    unpack_picture,
    unpack_state,
)
from hardware.emulated.motor import FailingMotor, IdealMotor
from hardware.emulated.udp_boards import EmulatedBoard, EmulatedNetwork

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=200)
KEY = "a secret of the lab"
ANGLES = np.array([0.4, -0.3])

NUMBERS = st.integers(0, 2**32 - 1)
PACKETS = st.builds(
    Packet,
    kind=st.sampled_from(PacketKind),
    board=st.integers(0, 65535),
    session=NUMBERS,
    sequence=NUMBERS,
    payload=st.binary(max_size=200),
)
KEYS = st.sampled_from([b"", KEY.encode()])
STATE = BoardState(True, False, 0, 2.5, 0.0, 0.0, 7.5, 30.0)


# -- packets --------------------------------------------------------------------------------------


@REPEATABLE
@given(packet=PACKETS, key=KEYS)
def test_a_packet_arrives_as_it_was_sent(packet: Packet, key: bytes) -> None:
    assert unpack(pack(packet, key), key) == packet


@REPEATABLE
@given(data=st.binary(max_size=MOST_BYTES + 50), key=KEYS, with_magic=st.booleans())
def test_random_datagrams_are_dropped(data: bytes, key: bytes, with_magic: bool) -> None:
    with pytest.raises(PacketError):
        unpack(MAGIC + b"\x02" + data if with_magic else data, key)


@REPEATABLE
@given(packet=PACKETS, key=KEYS, bit=NUMBERS)
def test_a_flipped_bit_is_never_accepted(packet: Packet, key: bytes, bit: int) -> None:
    data = bytearray(pack(packet, key))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(PacketError):
        unpack(bytes(data), key)


@REPEATABLE
@given(packet=PACKETS)
def test_without_the_key_nothing_is_accepted(packet: Packet) -> None:
    for made_with in (b"", b"another secret of 16"):
        with pytest.raises(PacketError):
            unpack(pack(packet, made_with), KEY.encode())


@REPEATABLE
@given(payload=st.binary(max_size=60))
def test_random_payloads_are_numbers_within_range_or_dropped(payload: bytes) -> None:
    for function in (unpack_state, unpack_command, unpack_announce, unpack_picture):
        try:
            value = function(payload)
        except PacketError:
            continue
        if isinstance(value, BoardState):
            assert abs(value.position_rad) <= 64.0
        if isinstance(value, PicturePart):
            assert value.part < value.parts <= 512


def test_payloads_arrive_as_they_were_sent() -> None:
    command = BoardCommand(True, False, 0.25, 0.5, 2.0, 1.5)
    assert unpack_command(pack_command(command)) == command
    assert unpack_state(pack_state(STATE)) == STATE
    about = Announcement(7, bytes(16), ("127.0.0.1", 81), "leftfinger")
    assert unpack_announce(pack_announce(replace(about, name="left\nfinger"))) == about
    part = PicturePart(3, 1.5, 0, 2, b"jpeg")
    assert unpack_picture(pack_picture(part)) == part


# -- a driver among strangers ---------------------------------------------------------------------


class Rig:
    """Two boards and a driver, all with a key."""

    def __init__(self, key: str) -> None:
        motors = [FailingMotor(IdealMotor(position_rad=angle)) for angle in ANGLES]
        self.boards = [EmulatedBoard(id, motor, key=key) for id, motor in enumerate(motors, 1)]
        self.network = EmulatedNetwork(self.boards, key)
        self.network.start()
        servos = [Servo("a", 1, "node", 1.0, 2.0), Servo("b", 2, "node", 1.0, 2.0)]
        self.bus = UdpBus(UdpLink("127.0.0.1", "", self.network.port, key), servos)
        self.bus.open()

    def close(self) -> None:
        """Take everything down."""
        self.bus.close()
        self.network.close()


@pytest.fixture(scope="module", params=["", KEY], ids=["without key", "with key"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A driver that has found its boards."""
    made = Rig(request.param)
    made.bus.handshake()
    yield made
    made.close()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    data=st.lists(
        st.one_of(
            st.binary(max_size=100),
            PACKETS.map(lambda packet: pack(replace(packet, payload=pack_state(STATE)))),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_whatever_strangers_send_no_wrong_position_is_accepted(rig: Rig, data: list[bytes]) -> None:
    link_socket = rig.bus.link._socket
    assert link_socket is not None
    before = sum(rig.bus.link.dropped.values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for datagram in data:
            stranger.sendto(datagram, link_socket.getsockname())
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=1e-6)
    assert sum(rig.bus.link.dropped.values()) >= before + len(data)


def test_a_stranger_who_knows_the_session_but_not_the_address_is_dropped(rig: Rig) -> None:
    link = rig.bus.link
    assert link._socket is not None
    rig.bus.request()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for sequence in rig.bus._asked.values():
            lie = Packet(PacketKind.STATE, 1, link._session, sequence, pack_state(STATE))
            stranger.sendto(pack(lie, link._key), link._socket.getsockname())
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=1e-6)
    assert link.dropped["address"] >= 1


def test_a_board_obeys_one_driver_at_a_time(rig: Rig) -> None:
    rig.bus.arm(ANGLES)
    other = UdpBus(
        UdpLink("127.0.0.1", "", rig.network.port, rig.bus.link._key.decode()),
        rig.bus.servos,
        answer_timeout_s=0.02,
        retries=0,
    )
    other.open()
    rig.bus.read()
    assert np.isnan(other.read().position_rad).all()
    deadline_s = time.monotonic() + 5.0
    while not all(board.is_stopped for board in rig.boards):  # the first driver falls silent
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert np.isfinite(other.read().position_rad).all()
    other.close()
    rig.bus.close()
    rig.bus.open()
    rig.bus.disarm()


def test_boards_without_the_key_are_not_there() -> None:
    made = Rig(KEY)
    stranger = UdpBus(UdpLink("127.0.0.1", "", made.network.port, ""), made.bus.servos)
    stranger.open()
    with pytest.raises(DeviceError, match="no answer from id 1"):
        stranger.handshake()
    stranger.close()
    made.close()


def test_an_address_that_this_machine_does_not_have_is_told_as_such() -> None:
    with pytest.raises(DeviceError, match=r"10\.255\.0\.1 cannot be used"):
        UdpLink("10.255.0.1", "", 1200, "").open()


# -- what was recorded is worth nothing later -----------------------------------------------------


class Tap:
    """Records every datagram that a driver and its boards exchange."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.to_boards: list[tuple[bytes, Address]] = []
        self.to_driver: list[bytes] = []
        link, plain = rig.bus.link, UdpLink._send

        def send(one: UdpLink, packet: Packet, address: Address, key: bytes) -> None:
            self.to_boards.append((pack(packet, key), address))
            plain(one, packet, address, key)

        def answer(one: EmulatedBoard, packet: Packet, address: Address, key: bytes) -> None:
            self.to_driver.append(pack(packet, key))
            plain_answer(one, packet, address, key)

        plain_answer = EmulatedBoard._send
        monkeypatch.setattr(UdpLink, "_send", send)
        monkeypatch.setattr(EmulatedBoard, "_send", answer)
        self.link = link

    def replay(self, datagrams: list[tuple[bytes, Address]]) -> None:
        """Send it all again, from a stranger's socket."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            stranger.bind(("127.0.0.1", 0))
            for data, address in datagrams:
                stranger.sendto(data, address)
        time.sleep(0.1)


def test_a_recorded_session_moves_nothing_when_it_is_played_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(KEY)
    tap = Tap(rig, monkeypatch)
    rig.bus.close()
    rig.bus.open()
    rig.bus.arm(ANGLES)
    rig.bus.write(ANGLES + 0.5)
    rig.bus.disarm()
    rig.bus.close()
    recorded = list(tap.to_boards)
    assert len(recorded) > 6
    time.sleep(0.1)
    before = [board.motor.motion().position_rad for board in rig.boards]
    tap.replay(recorded)
    assert [board.motor.motion().position_rad for board in rig.boards] == before
    assert not any(board.has_torque for board in rig.boards)
    # Nor after the boards have been switched off and on, which makes them forget all sessions.
    for board in rig.boards:
        board._sessions.clear()
        board._session = -1
    tap.replay(recorded)
    assert not any(board.has_torque for board in rig.boards)
    assert [board.motor.motion().position_rad for board in rig.boards] == before
    rig.network.close()


def test_a_replayed_announcement_draws_no_commands_to_a_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(KEY)
    tap = Tap(rig, monkeypatch)
    link = rig.bus.link
    link.call(every_s=0.0)
    rig.bus.read()
    homes = {number: board.address for number, board in link.boards.items()}
    announcements = [data for data in tap.to_driver if peek(data)[0] is PacketKind.ANNOUNCE]
    assert announcements and link._socket is not None
    for board in link.boards.values():
        board.seen_s -= 10.0  # long silent, so that another address could be taken
    tap.replay([(data, link._socket.getsockname()) for data in announcements])
    link.receive(time.monotonic() + 0.1)
    assert {number: board.address for number, board in link.boards.items()} == homes
    assert not link.duplicates, "a stranger must not make a board look as if it were there twice"
    rig.close()


def test_pictures_and_answers_of_another_session_or_from_before_are_dropped() -> None:
    rig = Rig(KEY)
    link = rig.bus.link
    board = link.boards[1]
    part = pack_picture(PicturePart(1, 0.0, 0, 1, b"jpeg"))
    fresh = pack(Packet(PacketKind.PICTURE, 1, link._session, 5, part), board.key)
    assert len(link._admitted(fresh, board.address)) == 1
    for data, reason in (
        (fresh, "sequence"),
        (pack(Packet(PacketKind.PICTURE, 1, link._session, 6, part), link._key), "key"),
        (pack(Packet(PacketKind.PICTURE, 1, link._session ^ 1, 7, part), board.key), "session"),
    ):
        with pytest.raises(PacketError, match=reason):
            link._admitted(data, board.address)
    rig.close()
