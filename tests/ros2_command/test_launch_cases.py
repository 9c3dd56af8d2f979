"""What public launch files hold and strangers send: accepted or refused as by the real tool."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from asterias_ros2.errors import LaunchError
from asterias_ros2.launch.context import LaunchContext
from asterias_ros2.launch.service import evaluate_file

from .conftest import HERE, Ros2, finish, ros2_words, wait_until

Write = Callable[..., Path]
PROBE = f"<node exec='{HERE / 'probe.sh'}' output='screen'/>"


def commands(path: Path) -> list[list[str]]:
    """The command lines of all processes of a launch file, without the programs."""
    context = LaunchContext(os.environ)
    try:
        evaluate_file(path, {}, context)
    finally:
        context.clean_up()
    return [list(process.command[1:]) for process in context.processes]


def refusal(path: Path) -> str:
    """The sentence with which a launch file is refused."""
    with pytest.raises(LaunchError) as caught:
        evaluate_file(path, {}, LaunchContext(os.environ))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_let_inside_an_include_gives_an_argument_as_arg_does(write: Write) -> None:
    write("<arg name='need'/><executable cmd='echo $(var need)'/>", "needy.launch.xml")
    for tag in ("let", "arg"):
        path = write(
            f"<include file='$(dirname)/needy.launch.xml'><{tag} name='need' value='9'/></include>"
        )
        assert commands(path) == [["9"]]


@pytest.mark.parametrize("kind", ["list_of_int", "list_of_str", "list_of_bool", "list_of_float"])
def test_an_empty_list_has_no_type(write: Write, kind: str) -> None:
    path = write(f"<node exec='true'><param name='p' value='[]' type='{kind}'/></node>")
    assert f"value '[]' is empty; a '{kind}' needs at least one element" in refusal(path)


def test_a_launch_file_is_utf_8_whatever_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "a.launch.xml"
    head = '<?xml version="1.0" encoding="iso-8859-1"?>\n'
    head += '<launch><executable cmd="echo {}"/></launch>'
    path.write_bytes(head.format("ä").encode("latin-1"))
    assert f"{path}:2: byte 0xe4 is not UTF-8; save the file as UTF-8" == refusal(path)
    path.write_bytes(head.format("ä").encode())
    assert commands(path) == [["ä"]]


def test_the_content_of_a_file_becomes_text(write: Write, tmp_path: Path) -> None:
    (tmp_path / "name").write_text("limb ä\n")
    path = write('<executable cmd="echo $(file-content $(dirname)/name)"/>')
    assert commands(path) == [["limb ä\n"]]
    for name, words in (("none", "is no file; check the path"), (".", "is no file")):
        assert words in refusal(write(f'<log message="$(file-content $(dirname)/{name})"/>'))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    assert "more than" in refusal(write('<log message="$(file-content $(dirname)/large)"/>'))


def test_remappings_and_parameters_hold_for_the_nodes_that_follow_in_their_scope(
    write: Write,
) -> None:
    path = write(
        f"{PROBE}<set_remap from='a' to='b'/><group><set_remap from='chatter' to='talk'/>"
        "<set_parameter name='use_sim_time' value='true'/><set_parameter name='gains' "
        f"value='[1.0, 2.5]'/>{PROBE}<group scoped='true' forwarding='false'>{PROBE}</group>"
        f"</group><set_parameter name='n' value='$(env HOME)'/>{PROBE}".replace(
            "output='screen'/>", "name='x'><remap from='c' to='d'/></node>"
        )
    )
    name, own = ["--ros-args", "-r", "__node:=x"], ["-r", "c:=d"]
    assert commands(path) == [
        [*name, *own],
        [
            *name,
            *("-p", "use_sim_time:=True", "-p", "gains:=[1.0, 2.5]"),
            *("-r", "a:=b", "-r", "chatter:=talk", *own),
        ],
        [*name, *own],
        [*name, "-p", f"n:={os.environ['HOME']}", "-r", "a:=b", *own],
    ]


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{10 * f"&l{n};"}">' for n in range(8))


@pytest.mark.parametrize(
    "entities",
    [
        f'<!ENTITY l0 "ha">{LAUGHS}<!ENTITY x "&l8;">',
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
    ],
    ids=["laughs", "file"],
)
def test_entities_of_a_launch_file_are_not_expanded(tmp_path: Path, entities: str) -> None:
    path = tmp_path / "a.launch.xml"
    body = '<launch><executable cmd="echo &x;"/></launch>'
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE launch [{entities}]>{body}')
    told = refusal(path)
    assert "root:" not in told and len(told) < 500


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_tags_nested_without_end_are_refused_in_one_sentence(write: Write, depth: int) -> None:
    path = write("<group>" * depth + "</group>" * depth)
    assert refusal(path).endswith("tags are nested more than 100 deep")


def test_tags_may_be_nested_deeply(write: Write) -> None:
    path = write("<group>" * 98 + "<executable cmd='echo 1'/>" + "</group>" * 98)
    assert commands(path) == [["1"]]


def test_files_that_include_each_other_deeply_are_refused_in_one_sentence(write: Write) -> None:
    for number in range(49):
        body = "<group>" * 98 + f"<include file='$(dirname)/{number + 1}.launch.xml'/>"
        write(body + "</group>" * 98, f"{number}.launch.xml")
    write("", "49.launch.xml")
    path = write("<include file='$(dirname)/0.launch.xml'/>")
    assert refusal(path).endswith("its tags and includes are nested too deep")


def test_substitutions_and_values_nested_without_end_are_refused(write: Write) -> None:
    nested = "$(env A " * 5_000 + "x" + ")" * 5_000
    assert "'$(' is nested more than 50 deep" in refusal(write(f"<log message='{nested}'/>"))
    value = "[" * 5_000
    path = write(f"<node exec='true'><param name='p' value='{value}'/></node>")
    assert "is nested too deep" in refusal(path)
    laughs = "&amp;a [x]," + ",".join("*a" for _ in range(1000))
    path = write(f"<node exec='true'><param name='p' value='[{laughs}]'/></node>")
    assert len(refusal(path)) < 500


IGNORING = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh"]


@pytest.mark.parametrize(
    "words",
    [
        ("topic", "hz", "/nothing"),
        ("topic", "echo", "/nothing", "std_msgs/msg/String"),
        ("service", "call", "/nothing", "std_srvs/srv/SetBool"),
        ("action", "send_goal", "/nothing", "asterias_interfaces/action/FindTarget"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_verb_started_by_nohup_or_in_the_background_ends_on_sigint(
    ros2: Ros2, words: tuple[str, ...]
) -> None:
    pytest.importorskip("asterias_interfaces.action")
    process = subprocess.Popen(
        [*IGNORING, *ros2_words(), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ros2.environment,
        cwd=ros2.folder,
    )

    def handles_sigint() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)

    assert wait_until(handles_sigint)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 0 and "Traceback" not in result.output, result


def test_a_launch_started_in_the_background_ends_all_on_sigint(ros2: Ros2, write: Write) -> None:
    # It ends on SIGINT only if the launch does not hand its ignored signals down.
    path = write("<executable cmd='sleep 61.5'/>")
    process = subprocess.Popen(
        [*IGNORING, *ros2_words(), "launch", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ros2.environment,
        cwd=ros2.folder,
    )
    assert wait_until(lambda: "sleep 61.5 " in ros2.survivors())
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 0, result
    assert "sending signal 'SIGTERM'" not in result.output
    assert ros2.survivors() == []
