"""Registries: names, suggestions, and plug-ins of installed packages, sound and broken."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from asterias.errors import UserError
from asterias.registry import Registry


def colours() -> Registry[int]:
    registry: Registry[int] = Registry("colour")
    registry.register("red", 1)
    registry.register("green", 2)
    return registry


def test_entries_keep_their_order_and_are_found_by_name() -> None:
    registry = colours()
    assert registry.names() == ("red", "green") == tuple(registry)
    assert registry.items() == (("red", 1), ("green", 2))
    assert registry.get("green") == 2 and len(registry) == 2
    assert "red" in registry and "blue" not in registry


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no colour 'gren' \(known: red, green\); did you mean gr"):
        colours().get("gren")
    with pytest.raises(UserError, match=r"no colour 'x' \(known: red, green\)\.$"):
        colours().get("x")


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="two of colour 'red'"):
        colours().register("red", 3)


def test_a_class_can_be_registered_where_it_is_written() -> None:
    registry: Registry[type] = Registry("shape")

    @registry.register("round")
    class Ball:
        pass

    assert registry.get("round") is Ball


def install(folder: Path, entry_points: str, module: str = "") -> None:
    """Make a folder look like one in which a package is installed."""
    about = folder / "stranger-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[asterias.test_colours]\n{entry_points}\n")
    (folder / "stranger_colours.py").write_text(module)


def test_plugins_of_installed_packages_come_after_ours_and_broken_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        tmp_path,
        "blue = stranger_colours:BLUE\nred = stranger_colours:BLUE\nnone = stranger_colours:NONE\n"
        "gone = stranger_gone:X\nworse = stranger_colours:WORD",
        "BLUE = 7\nWORD = 'seven'\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def check(name: str, entry: object) -> None:
        if not isinstance(entry, int):
            raise TypeError(f"{name} must be a number")

    registry: Registry[int] = Registry("colour", "asterias.test_colours", check)
    registry.register("red", 1)
    with caplog.at_level(logging.WARNING):
        assert registry.items() == (("red", 1), ("blue", 7))
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert len(caplog.records) == 4 and all(len(line) < 200 for line in said.splitlines())
    for word in ("'red'", "'none'", "'gone'", "'worse'", "package stranger", "must be a number"):
        assert word in said
    caplog.clear()
    assert registry.get("blue") == 7 and not caplog.records
