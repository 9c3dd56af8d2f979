"""Inputs made from good ones: bytes flipped, cut, doubled, and numbers replaced by odd ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", re.I)
WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
# What readers trip over: limits of integers and floats, words of YAML and JSON, half a tag.
ODD_WORDS = (
    *(b"0", b"-1", b"1e400", b"-0.0", b"nan", b".nan", b".inf", b"NaN", b"-Infinity"),
    *(b"2147483648", b"-9223372036854775809", b"1" * 400, b"0x7f", b"1_0", b"9e9"),
    *(b"null", b"~", b"true", b"[]", b"{}", b"''", b'""', b'"\\ud800"', b"\xff\xfe", b"\x00"),
    *(b"[" * 3000, b"{'a':" * 500, b"&a [*a]", b"<<: *a", b"!!python/none", b"2020-13-45", b"? "),
    *(b"$(", b"$(var x)", b"$(env HOME)", b")", b"<", b"&lt;", b"\xe2\x80\xa8", b"../../x"),
    *(b"data: ", b"\r\n\r\n", b"\n\n", b"--frame\r\n", b"\xff\xd8\xff", b"\xff\xff\xfd\x00"),
)
ODD_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(len(data)) if data else 0


def _flip(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(data, rng)] = rng.choice((*ODD_BYTES, rng.randrange(256)))


def _lie(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    """Overwrite two to eight bytes with an integer, as lengths and counts are."""
    at, size = _place(data, rng), rng.choice((2, 4, 8))
    number = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), rng.getrandbits(8 * size)))
    data[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _cut(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 8, 64))]


def _insert(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    at = _place(data, rng)
    data[at:at] = rng.choice((rng.randbytes(rng.randrange(1, 16)), rng.choice(ODD_WORDS)))


def _double(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    start, size = _place(data, rng), rng.randrange(1, 200)
    at = _place(data, rng)
    data[at:at] = data[start : start + size]


def _splice(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    cut = rng.randrange(len(other)) if other else 0
    data[_place(data, rng) :] = other[cut:]


def _replace(pattern: re.Pattern[bytes]) -> Mutation:
    def replace(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
        found = list(pattern.finditer(bytes(data[:20_000])))
        if found:
            match = rng.choice(found)
            data[match.start() : match.end()] = rng.choice(ODD_WORDS)

    return replace


def _swap_lines(data: bytearray, rng: random.Random, _seeds: Sequence[bytes]) -> None:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    data[:] = b"\n".join(lines)


BINARY: tuple[Mutation, ...] = (_flip, _set, _lie, _cut, _remove, _insert, _double, _splice)
TEXT: tuple[Mutation, ...] = (
    *(_replace(NUMBER), _replace(NUMBER), _replace(WORD), _replace(WORD), _swap_lines),
    *(_flip, _set, _cut, _remove, _insert, _double, _splice),
)


def mutate(seeds: Sequence[bytes], rng: random.Random, is_text: bool) -> bytes:
    """Return a seed after one to four changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(TEXT if is_text else BINARY)(data, rng, seeds)
    return bytes(data)
