"""Every reader of strangers' input, fed with broken input for a second: its own errors or none."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

import fuzz_mutations
import fuzzing
import pytest
from fuzz_targets import TARGETS, Target

SEED = 0
SECONDS = 0.8


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_a_reader_refuses_broken_input_with_its_own_error(target: Target) -> None:
    with fuzzing.fuzzer() as fuzz:
        fuzzing.warm_up([target], fuzz.folder)
        fuzz.generated(target, SEED, 20)
        fuzz.mutations(target, SEED, itertools.count(), time.monotonic() + SECONDS)
    assert fuzz.counts[target.name].inputs > 20
    found = [f"{one.kind} ({one.origin})\n{one.trace}" for one in fuzz.findings.values()]
    assert found == []


def _bad(data: bytes, folder: object) -> None:
    assert isinstance(folder, Path)
    if b"7" in data:
        raise KeyError("7")
    (folder / "left.tmp").write_bytes(data)


def test_the_fuzzer_sees_foreign_errors_and_files_that_stay() -> None:
    target = Target("bad", _bad, (b"1234567",))
    with fuzzing.fuzzer() as fuzz:
        fuzz.try_input(target, b"7", "here")
        fuzz.try_input(target, b"8", "here")
        assert list(fuzz.folder.iterdir()) == []
    kinds = [one.kind for one in fuzz.findings.values()]
    assert kinds[0].startswith("KeyError at test_fuzz.py:")
    assert kinds[1:] == ["left behind: .tmp"]


def test_the_fuzzer_ends_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "SLOWEST_S", 0.1)
    monkeypatch.setattr(fuzzing, "SLOWEST_WALL_S", 0.2)

    def hang(_data: bytes, _folder: object) -> None:
        while True:
            time.sleep(0.01)

    with fuzzing.fuzzer() as fuzz:
        fuzz.try_input(Target("hangs", hang, (b"",)), b"", "here")
    assert any("no end after 0.1 s" in one.kind for one in fuzz.findings.values())


def test_the_same_seed_makes_the_same_inputs() -> None:
    seeds = TARGETS["robot_yaml"].seeds
    made = [fuzz_mutations.mutate(seeds, random.Random("3:4"), is_text=True) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0] not in seeds
