"""Errors: which of them are a person's, and a system's error in a sentence."""

from __future__ import annotations

import pytest

from asterias.errors import (
    AsteriasError,
    CommandError,
    DescriptionError,
    DeviceError,
    FaultError,
    HardwareError,
    UserError,
    describe_os_error,
)


def test_a_users_mistake_is_a_value_error_and_a_devices_is_not() -> None:
    assert issubclass(UserError, ValueError) and issubclass(UserError, AsteriasError)
    assert not issubclass(HardwareError, ValueError)
    assert not issubclass(DeviceError, UserError)


@pytest.mark.parametrize("kind", [DescriptionError, CommandError, FaultError])
def test_mistakes_in_descriptions_and_commands_are_of_both_kinds(kind: type[Exception]) -> None:
    assert issubclass(kind, UserError) and issubclass(kind, HardwareError)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            FileNotFoundError(2, "No such file", "a.yaml"),
            "a.yaml: there is no such file or folder.",
        ),
        (PermissionError(13, "Permission denied", "a"), "a: you may not read or write it."),
        (NotADirectoryError(20, "Not a directory", "a/b"), "a/b cannot be used: Not a directory."),
        (OSError("the line is busy"), "the line is busy."),
        (OSError(), "OSError."),
    ],
)
def test_a_systems_error_becomes_one_sentence(error: OSError, sentence: str) -> None:
    assert describe_os_error(error) == sentence
