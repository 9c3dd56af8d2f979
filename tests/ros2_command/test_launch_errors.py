"""Each mistake in a launch file gives one sentence with file, line, the thing and the cure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asterias_ros2.errors import LaunchError, VerbError
from asterias_ros2.launch.context import LaunchContext
from asterias_ros2.launch.service import evaluate_file, parse_arguments

from .conftest import Ros2

Write = Callable[..., Path]

# What stands on line 2 of a launch file, and words that its error must hold.
MISTAKES = [
    # tags and attributes
    ("<nod exec='x'/>", ["<launch> cannot hold <nod>", "did you mean 'node'?"]),
    ("<timer period='1'/>", ["<timer> is not supported by this ros2 command"]),
    ("<let name='a' value='1'><log message='x'/></let>", ["<let> cannot hold <log>"]),
    ("<node exec='true'><arg name='x'/></node>", ["<node> cannot hold <arg>"]),
    ("<log mesage='x'/>", ["<log> has no attribute 'mesage'", "did you mean 'message'?"]),
    ("<log/>", ["<log> needs the attribute 'message'", 'add message="…"']),
    ("<node pkg='p'/>", ["<node> needs the attribute 'exec'"]),
    ("<include/>", ["<include> needs the attribute 'file'"]),
    ("<arg name='a' value='1'/>", ["<arg> has no attribute 'value'"]),
    ("<set_env name='A'/>", ["<set_env> needs the attribute 'value'"]),
    ("<node exec='true'><remap from='a'/></node>", ["<remap> needs the attribute 'to'"]),
    ("<node exec='true'><env name='a' if='1' value='b'/></node>", ["<env> has no attribute 'if'"]),
    ("<node exec='true'><param value='1'/></node>", ["needs the attribute 'name' or 'from'"]),
    ("<node exec='true'><param name='a'/></node>", ["<param> needs either a value or <param>"]),
    ("<node exec='true'><param name='a' from='b'/></node>", ["<param> has no attribute 'name'"]),
    ("words", ["text 'words' between tags means nothing"]),
    ("<log message='x'></lgo>", ["not well-formed XML: mismatched tag"]),
    # conditions and literal values
    ("<log message='x' if='1' unless='0'/>", ["has both 'if' and 'unless'", "keep one"]),
    ("<log message='x' if='yes'/>", ["condition 'yes' is neither true, 1, false nor 0"]),
    ("<group scoped='maybe'/>", ["scoped is 'maybe'", "write true or false"]),
    ("<executable cmd='true' shell='$(eval 1)'/>", ["shell is '$(eval 1)'"]),
    ("<executable cmd='true' respawn_delay='-1'/>", ["respawn_delay is -1.0", "negative"]),
    ("<executable cmd='true' sigterm_timeout='soon'/>", ["sigterm_timeout is 'soon'"]),
    ("<executable cmd='true' respawn_max_retries='1.5'/>", ["respawn_max_retries is '1.5'"]),
    ("<executable cmd='true' respawn='often'/>", ["respawn is 'often'"]),
    ("<executable cmd='true' on_exit='restart'/>", ["on_exit is 'restart'", "'shutdown'"]),
    ("<executable cmd='true' output='sceen'/>", ["output is 'sceen'", "screen, log, both"]),
    # substitutions
    ("<log message='$(var a'/>", ["is not closed by ')'", "column 1"]),
    ("<log message='$(vra a)'/>", ["$(vra …) is not a substitution", "did you mean $(var …)?"]),
    ("<log message='$(optenv A b)'/>", ["write $(env NAME DEFAULT)"]),
    ("<log message='$(find p)'/>", ["write $(find-pkg-share PACKAGE)"]),
    ("<log message='$(if 1 2)'/>", ["$(if …) is not supported by this ros2 command"]),
    ("<log message='$(dirname x)'/>", ["$(dirname …) takes 0 argument(s) and got 1"]),
    ("<log message='$(var robto)'/>", ["$(var robto)", "did you mean 'robot'?"]),
    ("<log message='$(var camera)'/>", ["$(var camera)", 'declare it with <arg name="camera"/>']),
    ("<log message='$(env NO_SUCH)'/>", ["environment variable 'NO_SUCH' is not set", "default"]),
    ("<log message='$(find-pkg-share no_such)'/>", ["package 'no_such' not found", "build it"]),
    ("<log message='$(find-exec no_such)'/>", ["no such executable on PATH", "install it"]),
    ("<log message=\"$(eval '1 +')\"/>", ["$(eval …): SyntaxError in '1 +'"]),
    ("<log message='$(eval nope)'/>", ["NameError", "nope"]),
    ("<log message='$(command false)'/>", ["'false' exited with 1"]),
    ("<log message='$(command no_such_program)'/>", ["cannot run 'no_such_program'"]),
    # processes and nodes
    ("<executable cmd='no_such_program a'/>", ["'no_such_program' not found", "install it"]),
    ("<executable cmd='true' cwd='/no/such'/>", ["working directory /no/such does not exist"]),
    ('<executable cmd="true \'a"/>', ["cannot be split into arguments", "closing quotation"]),
    ("<node pkg='no_such' exec='x'/>", ["package 'no_such' not found", "build it"]),
    ("<node pkg='demo' exec='talkr'/>", ["package 'demo' has no executable 'talkr'", "talker"]),
    ("<node exec='true' name='1a'/>", ["node name '1a' is not valid"]),
    ("<node exec='true' namespace='a//b'/>", ["namespace '/a//b' is not valid"]),
    ("<push_ros_namespace namespace='a-b'/>", ["namespace '/a-b' is not valid"]),
    # parameters
    ("<node exec='true'><param name='a' value='x' type='txt'/></node>", ["type 'txt' is unknown"]),
    ("<node exec='true'><param name='a' value='x' type='int'/></node>", ["is not of type 'int'"]),
    ("<node exec='true'><param name='a' value='null'/></node>", ["'null'", "give it type='str'"]),
    ("<node exec='true'><param name='a' value='{b: 1}'/></node>", ["a dict in YAML"]),
    ("<node exec='true'><param name='a' value='[1, b]'/></node>", ["'[1, b]' mixes types"]),
    ("<node exec='true'><param name='a' value='[1, 2.0]'/></node>", ["only ints, only floats"]),
    ("<node exec='true'><param name='a' value='$(var colon)'/></node>", ["'a: b' is a dict"]),
    ("<node exec='true'><param from='/no/such.yaml'/></node>", ["/no/such.yaml not found"]),
    # arguments and includes
    ("<include file='/no/such.launch.xml'/>", ["cannot read launch file /no/such.launch.xml"]),
    ("<include file='some.launch.py'/>", ["is not an XML launch file", "full ROS 2"]),
    ("<include file='$(dirname)/test.launch.xml'/>", ["includes itself without end"]),
    ("<include file='$(var needy)'/>", ["'must'", 'put <arg name="must" value="…"/> into the']),
    ("<include file='$(var needy)'><arg name='must'/></include>", ["<arg> needs", "'value'"]),
]


@pytest.fixture
def context(tmp_path: Path) -> LaunchContext:
    """A context that knows a package `demo` with an executable `talker`."""
    prefix = tmp_path / "prefix"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/demo").touch()
    (prefix / "lib/demo").mkdir(parents=True)
    (prefix / "lib/demo/talker").write_text("#!/bin/sh\n")
    (prefix / "lib/demo/talker").chmod(0o755)
    return LaunchContext({**os.environ, "AMENT_PREFIX_PATH": str(prefix)})


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_mistake(line: str, words: list[str], context: LaunchContext, write: Write) -> None:
    needy = write("<arg name='must'/>", "needy.launch.xml")
    known = (
        "<let name='robot' value='limb_p1'/><let name='colon' value='a: b'/>"
        f"<let name='needy' value='{needy}'/>"
    )
    path = write(f"{line}\n")
    path.write_text(path.read_text().replace("<launch>\n", f"<launch>{known}\n"))
    with pytest.raises(LaunchError) as caught:
        evaluate_file(path, {}, context)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    assert sentence.startswith(f"{path}:2: ")
    assert context.processes == []


def test_the_line_is_that_of_the_included_file(context: LaunchContext, write: Write) -> None:
    inner = write("\n\n<log message='$(var nothing)'/>", "inner.launch.xml")
    path = write("<include file='$(dirname)/inner.launch.xml'/>")
    with pytest.raises(LaunchError) as caught:
        evaluate_file(path, {}, context)
    assert str(caught.value).startswith(f"{inner}:4: $(var nothing)")


def test_the_root_must_be_launch(context: LaunchContext, tmp_path: Path) -> None:
    path = tmp_path / "a.launch.xml"
    path.write_text("<robot/>")
    with pytest.raises(LaunchError, match="the root tag is <robot>, not <launch>"):
        evaluate_file(path, {}, context)


def test_a_required_argument_is_asked_for(context: LaunchContext, write: Write) -> None:
    path = write("<arg name='robot' description='which robot'/>")
    with pytest.raises(LaunchError) as caught:
        evaluate_file(path, {}, context)
    assert str(caught.value) == (
        f"launch argument 'robot' (which robot), declared at {path}:2, is required; "
        "add robot:=VALUE to the command line"
    )


def test_a_value_that_is_no_choice_is_refused(context: LaunchContext, write: Write) -> None:
    path = write("<arg name='mode'><choice value='a'/><choice value='b'/></arg>")
    with pytest.raises(LaunchError) as caught:
        evaluate_file(path, {"mode": "c"}, context)
    assert str(caught.value) == f"{path}:2: launch argument 'mode' is 'c'; it must be one of a, b"


def test_a_misspelt_argument_is_refused(context: LaunchContext, write: Write) -> None:
    path = write("<arg name='robot' default='x'/><group if='false'><arg name='debug'/></group>")
    with pytest.raises(LaunchError, match=r"'robto' is not known to .*; did you mean 'robot'"):
        evaluate_file(path, {"robto": "y"}, context)
    for name in ("robot", "debug", "sigterm_timeout", "ros_namespace", "launch-prefix"):
        evaluate_file(path, {name: "env"}, context)


@pytest.mark.parametrize("word", ["robot", "robot=x", ":=x", "robot:="])
def test_a_malformed_argument_is_refused(word: str) -> None:
    with pytest.raises(VerbError, match=f"malformed launch argument '{word}'"):
        parse_arguments([word])


def test_an_include_must_give_what_is_required(context: LaunchContext, write: Write) -> None:
    write("<arg name='must'/>", "sub/needy.launch.xml")
    body = (
        "<let name='must' value='1'/><include file='$(dirname)/sub/needy.launch.xml'>{}</include>"
    )
    # As in the real tool, a configuration of that name around the include does not count.
    with pytest.raises(LaunchError, match="'must'"):
        evaluate_file(write(body.format("")), {}, context)
    given = write(body.format("<arg name='must' value='1'/>"), "given.launch.xml")
    evaluate_file(given, {}, LaunchContext(os.environ))


@pytest.mark.parametrize("word", ["dirname", "filename"])
def test_the_place_after_an_include_has_one_meaning(
    word: str, context: LaunchContext, write: Write
) -> None:
    write("", "sub/empty.launch.xml")
    before = "<let name='here' value='$(dirname)'/>"
    include = "<include file='$(var here)/sub/empty.launch.xml'/>"
    evaluate_file(write(before + include), {}, LaunchContext(os.environ))
    with pytest.raises(LaunchError, match="differs between releases"):
        evaluate_file(write(f"{before}{include}<log message='$({word})'/>"), {}, context)


def test_errors_are_shown_like_those_of_the_real_tool(ros2: Ros2, write: Write) -> None:
    path = write("<log mesage='x'/>")
    result = ros2.run("launch", path)
    assert result.code == 1
    assert result.lines[-1] == (
        "[ERROR] [launch]: Caught exception in launch (see debug for traceback): "
        f"{path}:2: <log> has no attribute 'mesage'; did you mean 'message'?"
    )
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no_such.launch.xml"], "'no_such.launch.xml' is not a launch file"),
        (["no_such_package", "a.launch.xml"], "package 'no_such_package' not found"),
        (["a.launch.xml", "robot:=x"], "'a.launch.xml' is not a launch file"),
    ],
)
def test_a_launch_file_that_is_not_there(words: list[str], sentence: str, ros2: Ros2) -> None:
    result = ros2.run("launch", *words)
    assert result.code == 1
    assert sentence in result.output
    assert len(result.lines) == 1
