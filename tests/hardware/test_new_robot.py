"""``python -m hardware new``: a description of what is plugged in, ready to load."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.__main__ import main
from hardware.description.devices import DevicesBackend
from hardware.description.robot import load_robot
from hardware.emulated.robot import EmulatedRobot

EMULATED = ("--from-scan", "--backend", "emulated", "--most-id", "5")


def new(capsys: pytest.CaptureFixture[str], *words: str, servos: int = 0) -> tuple[int, str, str]:
    """Run the command, again while a busy machine keeps some of the servos from answering."""
    for _ in range(10):
        status = main(["new", *words])
        said = capsys.readouterr()
        if said.out.count("servo: ") >= servos:
            break
    return status, said.out, said.err


@pytest.mark.parametrize(("family", "model"), [("feetech", "sts3215"), ("dynamixel", "xl430_w250")])
def test_a_scan_of_the_bus_becomes_a_description(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, family: str, model: str
) -> None:
    status, text, said = new(capsys, *EMULATED, "--family", family, "--name", "found", servos=4)
    assert status == 0, said
    file = tmp_path / "found.yaml"
    file.write_text(text, encoding="utf-8")
    robot = load_robot(file)
    (limb,) = robot.limbs
    assert robot.name == "found"
    assert [joint.servo for joint in limb.joints] == [model] * 4
    assert isinstance(robot.backend, DevicesBackend)
    devices = robot.backend.limbs[limb.name]
    assert devices.bus.type == family
    assert [servo.id for servo in devices.servos.values()] == [1, 2, 3, 4]
    assert len(limb.cameras) == len(devices.cameras) == 4


def test_ports_that_are_named_are_asked_for_every_family(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with EmulatedRobot(load_robot("limb_p1"), "feetech", pattern=False) as robot:
        assert isinstance(robot.description.backend, DevicesBackend)
        bus = robot.description.backend.limbs["limb_0"].bus
        port = bus.port
        words = ("--from-scan", "--ports", str(port), "--most-id", "4")
        status, text, said = new(capsys, *words, servos=4)
    assert status == 0, said
    assert text.count("servo: sts3215") == 4
    assert f"port: {port}" in text
    assert f"Scanning {port}" in said


def test_silence_is_told_with_its_cures(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, said = new(capsys, "--from-scan", "--backend", "emulated", "--most-id", "0")
    assert (status, text) == (2, "")
    assert "No servo answers" in said and "--most-id 253" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--servo", "sts3251"), "did you mean 'sts3250'?"),
        (("--servos", "0"), "--servos takes 1 to 32, not 0."),
        (("--name", "My limb"), "small letters, digits and underscores"),
        (("--from-scan", "--backend", "emulated", "--family", "udp"), "no serial servos"),
    ],
)
def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    status, text, said = new(capsys, *words)
    assert (status, text) == (2, "")
    assert sentence in said and len(said.splitlines()) == 1


def test_the_models_are_listed_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:4] == ["feetech", "sts3215", "1.9", "45"] for line in lines)
