"""``python -m hardware`` as a person types it, rehearsed on emulated devices."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from asterias.errors import DeviceError
from hardware.__main__ import main
from hardware.buses.bus import open_bus
from hardware.description.robot import load_robot, save_robot
from hardware.emulated.robot import EmulatedRobot
from hardware.factory import make_limb_bus
from hardware.limbs.calibration import load
from hardware.setup.diagnose import Diagnosis, PartStatus, examine
from hardware.setup.procedures import ManualAction, calibrate

ROOT = Path(__file__).resolve().parents[2]
REHEARSED = ("--robot", "limb_p1", "--backend", "emulated")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Run(Protocol):
    """One command, with what a person types."""

    def __call__(self, *arguments: str, keys: str = "") -> Done:
        """Run it."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs commands in this process."""

    def call(*arguments: str, keys: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["python -m hardware", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        status = main()
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return call


def test_scan_lists_servos_and_cameras(run: Run) -> None:
    done = run("scan", "--most-id", "6", *REHEARSED)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"id +\d+  xl430_w250", done.stdout)) == 4
    assert done.stdout.count("camera ") == 4


def test_scan_without_devices_says_so(run: Run) -> None:
    done = run("scan")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_ids_are_set_one_by_one(run: Run) -> None:
    done = run("set-id", "--most-id", "25", *REHEARSED, keys="\n" * 4)
    assert done.returncode == 0, done.stderr
    assert "'shoulder_yaw' has id 1 (was 20)." in done.stdout
    assert "'finger' has id 4 (was 23)." in done.stdout


def test_a_limb_is_calibrated_by_hand(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "limb_0.json"
    done = run("calibrate", "--out", str(out), *REHEARSED, "--family", "feetech", keys="\n" * 10)
    assert done.returncode == 0, done.stderr
    calibration = load(out)
    assert calibration.joints["finger"].model == "sts3215"
    assert calibration.joints["wrist_roll"].range_rad[1] == pytest.approx(1.178, abs=0.01)
    assert calibration.joints["wrist_roll"].direction == 1


def test_the_bench_measures_periods_processor_and_cameras(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    sizes = ("--cameras", "2", "--duration-s", "1", "--rates-hz", "50", "--priority", "0")
    done = run("bench", "--robot", "limb_p1", *sizes, "--json", str(out))
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    loop = figures["loops"][0]
    assert (figures["servos"], figures["cameras"]) == (4, 2)
    assert loop["periods"] > 10
    assert 0.0 < loop["processor_share"] < 2.0
    assert loop["camera_rate_hz"]["min"] > 1.0
    assert figures["command"].startswith("python")


def test_an_input_that_ends_is_told_as_such(run: Run) -> None:
    done = run("calibrate", *REHEARSED)
    assert done.returncode == 2
    assert "nobody to answer" in done.stderr


def test_a_limb_goes_to_rest_and_lets_go(run: Run) -> None:
    done = run("rest", *REHEARSED, "--family", "udp")
    assert done.returncode == 0, done.stderr
    assert "limb_0 is at rest" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("doctor",), "has the backend 'sim'"),
        (("rest", "--limb", "limb_7", *REHEARSED), "the limbs are limb_0"),
        (("jog", "--joint", "finger", *REHEARSED), "Jogging needs a terminal"),
        (("set-id", *REHEARSED, "--family", "udp"), "number in their firmware"),
        (("rest", "--robot", "no_such"), "There is no robot called 'no_such'"),
        (("scan", "--ports", "/dev/ttyUSB77"), "there is no such port"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_joint_moves_while_a_key_is_held_and_stops_when_it_is_released() -> None:
    command = [sys.executable, "-m", "hardware", "jog", "--joint", "shoulder_yaw", *REHEARSED]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        until_text(process, b"q ends")
        for _ in range(20):
            os.write(ours, b"l")
            time.sleep(0.03)
        time.sleep(0.5)  # released
        os.write(ours, b"q")
        text, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    angles = [float(word) for word in re.findall(rb"([+-]\d\.\d{3}) rad", text)]
    assert process.returncode == 0
    assert angles[-1] > 0.1
    assert angles[-1] == pytest.approx(angles[-15], abs=0.003)  # it has stopped


def until_text(process: subprocess.Popen[bytes], words: bytes) -> None:
    """Read up to these words."""
    assert process.stdout is not None
    seen = b""
    while words not in seen:
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, seen
        seen += piece


# -- the doctor -----------------------------------------------------------------------------------


def diagnoses(robot: EmulatedRobot) -> dict[str, list[Diagnosis]]:
    """What the doctor says, by part."""
    found: dict[str, list[Diagnosis]] = {}
    for diagnosis in examine(robot.description):
        found.setdefault(diagnosis.part, []).append(diagnosis)
    return found


def test_the_doctor_finds_nothing_wrong_with_a_sound_robot() -> None:
    with EmulatedRobot(load_robot("limb_p1"), "dynamixel") as robot:
        found = diagnoses(robot)
    bad = [d for row in found.values() for d in row if d.status is PartStatus.BAD]
    assert not bad
    assert set(found) >= {"limb_0 bus", "limb_0 finger", "limb_0 tip_down", "limb_0 calibration"}


def test_the_doctor_says_what_is_wrong_with_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardware.setup.diagnose.READS", 5)
    with EmulatedRobot(load_robot("limb_p1"), "feetech") as robot:
        limb = robot.limbs[0]
        assert robot.server is not None
        limb.motors[0].inject("off")
        limb.servos[1].error_status = 1 << 2
        limb.servos[2].temperature_c = 64
        limb.motors[3].inject("wrong", 2.0)
        robot.server.inject("limb_0/tip_down", "off")
        robot.server.inject("limb_0/tip_forward", "garbage")
        found = diagnoses(robot)
    texts = {part: "; ".join(d.text for d in row) for part, row in found.items()}
    assert "no answer from id 1 (shoulder_yaw): check power, cable" in texts["limb_0 bus"]
    assert "does not answer; check power" in texts["limb_0 shoulder_yaw"]
    assert "it is too hot; switch it off" in texts["limb_0 shoulder_pitch"]
    assert "64 degrees C; let it cool down" in texts["limb_0 wrist_roll"]
    assert "outside -1.05 to 1.05; move it back by hand" in texts["limb_0 finger"]
    assert texts["limb_0 tip_down"].startswith("silent")
    assert "does not answer" in texts["limb_0 tip_down"] or "ended" in texts["limb_0 tip_down"]
    assert texts["limb_0 tip_forward"].startswith("corrupt")


def test_the_doctor_tells_of_a_port_that_is_not_there(run: Run, tmp_path: Path) -> None:
    with EmulatedRobot(load_robot("limb_p1"), "dynamixel", pattern=False) as robot:
        save_robot(robot.description, tmp_path / "gone.yaml")
    done = run("doctor", "--robot", str(tmp_path / "gone.yaml"))
    assert done.returncode == 1
    assert "BAD   limb_0 bus: /dev/pts/" in done.stdout


# -- calibration by hands that err ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "offset", "words"),
    [
        (0.2, 0.0, "was turned through 36 degrees of 180; turn it to both ends"),
        (1.0, 1.2, "the zero pose was not straight"),
    ],
)
def test_a_range_that_does_not_fit_is_refused(share: float, offset: float, words: str) -> None:
    with EmulatedRobot(load_robot("limb_p1"), "dynamixel", pattern=False) as robot:
        limb = robot.description.limbs[0]

        def ask(text: str, action: ManualAction, joint: int) -> None:
            low, high = limb.joints[joint].limits_rad
            angles = {"hold": 0.0, "zero": offset, "upper": share * high, "lower": share * low}
            angle = angles[action]
            robot.limbs[0].motors[joint].inner.turn_to(angle)  # type: ignore[attr-defined]

        def ask_all(text: str, action: ManualAction, joint: int) -> None:
            for one in range(len(limb.joints)) if joint < 0 else [joint]:
                ask(text, action, one)

        with (
            open_bus(make_limb_bus(robot.description, 0)) as bus,
            pytest.raises(DeviceError) as caught,
        ):
            calibrate("limb_p1", "limb_0", limb.joints, bus, ask_all)
    assert words in str(caught.value)
