"""Processes of a launch: their output, their signals, their ends, and that none is left behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asterias_ros2.launch.log import LaunchLog

from .conftest import HERE, Ros2, finish, read_until, ros2_words, wait_until

Write = Callable[..., Path]
CHILD = f"{sys.executable} {HERE / 'child.py'}"


def child(name: str, *options: str, **attributes: str) -> str:
    """Return an <executable> tag that runs child.py."""
    text = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<executable name="{name}" output="screen" cmd="{CHILD} {" ".join(options)}"{text}/>'


def script(ros2: Ros2, name: str, text: str) -> Path:
    """Write a shell script."""
    path = ros2.folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_ctrl_c_reaches_each_process_once_and_exits_with_0(ros2: Ros2, write: Write) -> None:
    launch = ros2.start("launch", write(child("a") + child("b", "--slow-end")))
    read = read_until(launch, "] ready", 2)
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert result.code == 0, result
    assert result.of("a-1") == ["ready", "SIGINT 1", "bye"]
    assert result.of("b-2") == ["ready", "SIGINT 1", "bye"]
    assert "[WARNING] [launch]: user interrupted with ctrl-c (SIGINT)" in result.lines
    # Without a terminal nobody saw the ^C, so the launch tells whom it passed it on to.
    assert "[INFO] [a-1]: sending signal 'SIGINT' to process[a-1]" in result.lines
    assert ros2.survivors() == []


def test_ctrl_c_in_a_terminal_reaches_each_process_once(ros2: Ros2, write: Write) -> None:
    path = write(child("a") + child("b"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ros2.folder)
        os.execvpe(ros2_words()[0], [*ros2_words(), "launch", str(path)], ros2.environment)
    read = b""
    while read.count(b"] ready") < 2:
        read += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    try:
        while data := os.read(terminal, 4096):
            read += data
    except OSError:
        pass  # how a terminal says that all have gone
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    output = read.decode()
    assert os.waitstatus_to_exitcode(status) == 0, output
    assert output.count("SIGINT 1") == 2, output
    assert "SIGINT 2" not in output
    assert "sending signal" not in output
    assert ros2.survivors() == []


def test_a_second_ctrl_c_is_ignored(ros2: Ros2, write: Write) -> None:
    launch = ros2.start("launch", write(child("a", "--slow-end")))
    read = read_until(launch, "] ready")
    launch.send_signal(signal.SIGINT)
    read += read_until(launch, "SIGINT 1")
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert result.code == 0, result
    again = "[WARNING] [launch]: user interrupted with ctrl-c (SIGINT) again, ignoring..."
    assert again in result.lines
    assert result.of("a-1") == ["ready", "SIGINT 1", "bye"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_other_signals_end_all_in_the_same_orderly_way(
    number: signal.Signals, ros2: Ros2, write: Write
) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup
    launch = ros2.start("launch", write(child("a") + child("b")))
    signal.signal(number, before)
    read = read_until(launch, "] ready", 2)
    launch.send_signal(number)
    result = finish(launch, read)
    assert result.code == 0, result
    assert result.of("a-1") == result.of("b-2") == ["ready", "SIGINT 1", "bye"]
    assert ros2.survivors() == []


def test_under_nohup_a_hangup_ends_nothing(ros2: Ros2, write: Write) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    launch = ros2.start("launch", write(child("a")))
    signal.signal(signal.SIGHUP, before)
    read = read_until(launch, "] ready")
    launch.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert launch.poll() is None
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert result.code == 0 and result.of("a-1") == ["ready", "SIGINT 1", "bye"], result


def test_a_process_that_does_not_end_is_told_more_and_more_firmly(ros2: Ros2, write: Write) -> None:
    timeouts = {"sigterm_timeout": "0.3", "sigkill_timeout": "0.4"}
    launch = ros2.start(
        "launch",
        write(
            child("deaf", "--ignore-int", **timeouts) + child("rock", "--ignore-all", **timeouts)
        ),
    )
    read = read_until(launch, "] ready", 2)
    started = time.monotonic()
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert 0.6 < time.monotonic() - started < 3.0
    assert result.code == 0, result
    assert result.of("deaf-1") == ["ready", "SIGTERM 1", "bye"]
    assert result.of("rock-2") == ["ready"]
    for line in (
        "[ERROR] [deaf-1]: process[deaf-1] failed to terminate '0.3' seconds after receiving "
        "'SIGINT', escalating to 'SIGTERM'",
        "[INFO] [deaf-1]: sending signal 'SIGTERM' to process[deaf-1]",
        "[ERROR] [rock-2]: process[rock-2] failed to terminate '0.7' seconds after receiving "
        "'SIGTERM', escalating to 'SIGKILL'",
        "[INFO] [rock-2]: sending signal 'SIGKILL' to process[rock-2]",
    ):
        assert line in result.lines
    assert re.search(r"\[rock-2\]: process has died \[pid \d+, exit code -9", result.output)


def test_timeouts_can_be_set_for_all_on_the_command_line(ros2: Ros2, write: Write) -> None:
    launch = ros2.start(
        "launch",
        write(child("rock", "--ignore-all")),
        "sigterm_timeout:=0.1",
        "sigkill_timeout:=0.1",
    )
    read = read_until(launch, "] ready")
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert "failed to terminate '0.1' seconds after receiving 'SIGINT'" in result.output
    assert "failed to terminate '0.2' seconds after receiving 'SIGTERM'" in result.output


@pytest.mark.parametrize("kind", ["--with-child", "--with-daemon", "--with-deaf-child"])
def test_children_of_children_are_not_left_behind(kind: str, ros2: Ros2, write: Write) -> None:
    timeouts = {"sigterm_timeout": "0.2", "sigkill_timeout": "0.2"}
    launch = ros2.start("launch", write(child("parent", kind, **timeouts)))
    read = read_until(launch, "] ready")
    assert wait_until(lambda: len(ros2.survivors()) == 3)
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert result.code == 0, result
    assert ros2.survivors() == []


def test_what_a_finished_process_leaves_behind_is_ended_too(ros2: Ros2, write: Write) -> None:
    result = ros2.run(
        "launch",
        write(
            child("parent", "--with-daemon", "--end-at-once")
            + child("other", "--with-child", "--end-at-once")
        ),
    )
    assert result.code == 0, result
    assert "ended processes left behind by launched ones" in result.output
    assert ros2.survivors() == []


def test_what_a_daemon_writes_is_still_shown(ros2: Ros2, write: Write) -> None:
    path = script(ros2, "daemon", "setsid sh -c 'sleep 0.3; echo one; sleep 0.1; echo two' &")
    result = ros2.run(
        "launch",
        write(
            f'<executable name="a" output="screen" cmd="{path}"/>'
            '<executable name="b" cmd="sleep 0.8"/>'
        ),
    )
    assert result.code == 0, result
    assert result.of("a-1") == ["one", "two"]


def test_killing_the_launch_itself_ends_its_processes(ros2: Ros2, write: Write) -> None:
    launch = ros2.start("launch", write(child("a") + child("b")))
    read_until(launch, "] ready", 2)
    launch.kill()
    launch.wait()
    assert wait_until(lambda: ros2.survivors() == [])
    assert launch.stdout is not None
    assert launch.stdout.read().count("SIGTERM 1") in (0, 2)  # told to end, not killed


def test_exit_codes_of_processes_do_not_count(ros2: Ros2, write: Write) -> None:
    path = write('<executable cmd="sh -c \'exit 3\'" on_exit="shutdown"/>' + child("a"))
    assert ros2.run("launch", path).code == 0


def test_no_line_is_lost_or_mixed(ros2: Ros2, write: Write) -> None:
    count = 20000
    loop = f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done"
    to_stdout = script(ros2, "to_stdout", f"{loop}; printf last")
    to_stderr = script(ros2, "to_stderr", f"{{ {loop}; }} >&2")
    tags = (
        f'<executable name="{name}" output="screen" cmd="{path}"/>'
        for name, path in (("a", to_stdout), ("b", to_stdout), ("c", to_stderr))
    )
    result = ros2.run("launch", write("".join(tags)))
    expected = [f"line {number}" for number in range(count)]
    assert result.of("a-1") == [*expected, "last"]
    assert result.of("b-2") == [*expected, "last"]
    assert result.of("c-3") == expected


def test_bytes_that_are_no_text_do_no_harm(ros2: Ros2, write: Write) -> None:
    path = script(ros2, "bytes", r"printf '\377 caf\303\251\n'")
    result = ros2.run("launch", write(f'<executable name="a" output="screen" cmd="{path}"/>'))
    assert result.of("a-1") == ["\N{REPLACEMENT CHARACTER} café"]


def test_a_reader_that_goes_away_does_not_stop_the_robot(ros2: Ros2, write: Write) -> None:
    flag = ros2.folder / "flag"
    program = f"for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; touch {flag}"
    path = write(f'<executable name="a" output="screen" shell="true" cmd="{program}"/>')
    launch = ros2.start("launch", path)
    read_until(launch, "[a-1] 1")
    assert launch.stdout is not None
    launch.stdout.close()
    assert launch.wait(timeout=20) == 0
    assert flag.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_does_not_stop_the_robot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LaunchLog({"ROS_LOG_DIR": str(tmp_path)})
    log.directory = tmp_path
    (tmp_path / "launch.log").symlink_to("/dev/full")
    log.process_line("both", "a-1", "stdout", "first")
    log.flush()
    log.process_line("both", "a-1", "stdout", "second")
    log.close()
    assert capsys.readouterr().out.splitlines() == [
        "[a-1] first",
        "[ERROR] [launch]: no more log files are written: No space left on device",
        "[a-1] second",
    ]


def test_output_is_kept_in_the_log_folder(ros2: Ros2, write: Write) -> None:
    tags = (
        f'<executable name="{name}" output="{output}" cmd="echo {word}"/>'
        for name, output, word in (
            ("a", "log", "kept"),
            ("b", "full", "full"),
            ("c", "screen", "shown"),
        )
    )
    ros2.run("launch", write("".join(tags)))
    latest = ros2.folder / "log" / "latest"
    kept = (latest / "launch.log").read_text()
    assert re.search(r"^\d+\.\d{7} \[a-1\] kept$", kept, re.M)
    assert "[b-2] full" in kept
    assert "shown" not in kept
    assert (latest / "b-2-stdout.log").read_text() == "[b-2] full\n"


def test_respawn_ends_with_the_launch(ros2: Ros2, write: Write) -> None:
    launch = ros2.start(
        "launch", write(child("a", "--end-at-once", respawn="true", respawn_delay="0.05"))
    )
    read = read_until(launch, "] ready", 3)
    launch.send_signal(signal.SIGINT)
    result = finish(launch, read)
    assert result.code == 0, result
    assert ros2.survivors() == []


def test_a_mistake_anywhere_starts_nothing(ros2: Ros2, write: Write) -> None:
    flag = ros2.folder / "flag"
    result = ros2.run(
        "launch", write(f'<executable cmd="touch {flag}"/>\n<log message="$(var no)"/>')
    )
    assert result.code == 1
    assert not flag.exists()
    assert "test.launch.xml:3: $(var no)" in result.output


def test_launch_run_and_pkg_do_not_wait_for_rclpy() -> None:
    for verb in ("launch", "run", "pkg"):
        code = (
            f"import sys, asterias_ros2.main, asterias_ros2.verbs.{verb}; "
            "sys.exit('rclpy' in sys.modules)"
        )
        source = HERE.parents[1] / "ros_ws" / "src" / "asterias_ros2"
        environment = {**os.environ, "PYTHONPATH": str(source)}
        assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_the_first_process_starts_at_once(ros2: Ros2, write: Write) -> None:
    path = write(child("a", "--end-at-once"))
    best = min(_duration(ros2, path) for _ in range(3))
    assert best < 2.0


def _duration(ros2: Ros2, path: Path) -> float:
    started = time.monotonic()
    assert ros2.run("launch", path).code == 0
    return time.monotonic() - started


def test_starting_and_stopping_again_and_again(ros2: Ros2, write: Write) -> None:
    path = write(child("a") + child("b", "--with-child"))
    for _ in range(5):
        launch = ros2.start("launch", path)
        read = read_until(launch, "] ready", 2)
        launch.send_signal(signal.SIGINT)
        result = finish(launch, read)
        assert result.code == 0, result
        assert ros2.survivors() == []
