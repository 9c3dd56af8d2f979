"""`ros2 bag`: record topics, describe and play recordings."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from asterias_ros2.bags.choice import TopicChoice, add_choice_arguments, pattern
from asterias_ros2.bags.info import SORTINGS, info_lines, one_recording, topic_lines
from asterias_ros2.bags.play import CLOCK_TOPIC, BagPlayer, Playback
from asterias_ros2.bags.record import check_folder, record
from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import message_types, topic_names
from asterias_ros2.graph.session import open_session
from asterias_ros2.parsers import Verbs, completed, positive_float, unsigned_int
from learning.recordings.bags.bag_writer import Split
from learning.recordings.session import WriterOptions

RECORDER, PLAYER = "rosbag2_recorder", "rosbag2_player"
DEFAULT_CLOCK_HZ = 40.0
COMPRESSIONS = ("none", "lz4", "zstd")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 bag`."""
    verbs = Verbs(parser)
    info = verbs.add("info", "print information about a bag", show_info)
    _add_bag(info)
    info.add_argument("-t", "--topic-name", action="store_true", help="names of topics only")
    info.add_argument("-v", "--verbose", action="store_true", help="show the topics' sizes too")
    info.add_argument("--sort", choices=SORTINGS, default="name", help="order of the topics")
    _configure_play(verbs.add("play", "play back a bag", play_bag))
    _configure_record(verbs.add("record", "record topics to a bag", record_bag))


def _add_bag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag_path", type=Path, help="folder of a bag, or a file *.mcap")
    parser.add_argument("-s", "--storage", choices=("mcap",), default="mcap", help="kind of files")


def _configure_play(parser: argparse.ArgumentParser) -> None:
    _add_bag(parser)
    parser.add_argument(
        "-r", "--rate", type=positive_float, default=1.0, help="times as fast as recorded"
    )
    add_choice_arguments(parser, "play")
    parser.add_argument("-l", "--loop", action="store_true", help="begin again at the end")
    parser.add_argument(
        "-m", "--remap", nargs="+", default=[], metavar="OLD:=NEW", help="other names for topics"
    )
    parser.add_argument(
        "--clock",
        type=positive_float,
        nargs="?",
        const=DEFAULT_CLOCK_HZ,
        default=0.0,
        metavar="HZ",
        help="publish the bag's time on /clock so often (default: 40)",
    )
    parser.add_argument(
        "-d", "--delay", type=positive_float, default=0.0, help="s to wait before each beginning"
    )
    parser.add_argument("--playback-duration", type=float, default=-1.0, help="s to play; -1: all")
    parser.add_argument(
        "--start-offset", type=float, default=0.0, help="s to leave out at the beginning"
    )
    parser.add_argument(
        "--disable-keyboard-controls", action="store_true", help="accepted: there are none"
    )


def _configure_record(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("topics_positional", nargs="*", metavar="TOPIC", help="see --topics"),
        topic_names,
    )
    parser.add_argument("-o", "--output", type=Path, help="folder to make; default: by the time")
    parser.add_argument("-s", "--storage", choices=("mcap",), default="mcap", help="kind of files")
    parser.add_argument("-a", "--all", action="store_true", help="all topics but hidden ones")
    parser.add_argument("--all-topics", action="store_true", help="the same")
    add_choice_arguments(parser, "record")
    completed(
        parser.add_argument("--topic-types", nargs="+", default=[], help="all topics of types"),
        message_types,
    )
    parser.add_argument("--exclude-topic-types", nargs="+", default=[], help="types to leave out")
    parser.add_argument("--include-hidden-topics", action="store_true", help="hidden ones too")
    parser.add_argument(
        "-b", "--max-bag-size", type=unsigned_int, default=0, help="bytes of a file; 0: no limit"
    )
    parser.add_argument(
        "-d", "--max-bag-duration", type=unsigned_int, default=0, help="s of a file; 0: no limit"
    )
    parser.add_argument(
        "--compression-format", choices=COMPRESSIONS, default="lz4", help="of the file's chunks"
    )
    parser.add_argument("--use-sim-time", action="store_true", help="stamps from /clock")
    parser.add_argument("--node-name", default=RECORDER, help="default: %(default)s")
    parser.add_argument(
        "--disable-keyboard-controls", action="store_true", help="accepted: there are none"
    )


def show_info(arguments: argparse.Namespace) -> int:
    """Print what a bag holds.

    Returns:
        The exit code.
    """
    recording = one_recording(arguments.bag_path)
    if arguments.topic_name and not arguments.verbose:
        lines = topic_lines(recording, arguments.sort)
    else:
        lines = info_lines(recording, sorting=arguments.sort, sizes=arguments.verbose)
    for line in lines:
        print(line)
    return 0


def record_bag(arguments: argparse.Namespace) -> int:
    """Record topics until Ctrl-C.

    Returns:
        The exit code.

    Raises:
        VerbError: no topic is named, or the bag cannot be written.
    """
    names = [*arguments.topics, *arguments.topics_positional]
    if not (
        arguments.all or arguments.all_topics or names or arguments.topic_types or arguments.regex
    ):
        raise VerbError(
            "Need to specify at least one option out of --all, --all-topics, --topics, "
            "--topic-types or --regex"
        )
    folder = arguments.output or Path(time.strftime("rosbag2_%Y_%m_%d-%H_%M_%S"))
    check_folder(folder)
    wants = TopicChoice(
        is_all=arguments.all or arguments.all_topics,
        names=_absolute(names),
        types=arguments.topic_types,
        regex=pattern(arguments.regex, "--regex"),
        excluded=_absolute(arguments.exclude_topics),
        excluded_types=arguments.exclude_topic_types,
        exclude_regex=pattern(arguments.exclude_regex, "--exclude-regex"),
        hidden=arguments.include_hidden_topics,
    )
    options = WriterOptions(
        compression=arguments.compression_format,
        split=Split(arguments.max_bag_size, float(arguments.max_bag_duration)),
    )
    with open_session(arguments, arguments.node_name) as session:
        record(session, folder, wants, options)
    return 0


def play_bag(arguments: argparse.Namespace) -> int:
    """Play a bag to its end.

    Returns:
        The exit code.

    Raises:
        VerbError: a time makes no sense, or nothing can be played.
    """
    if arguments.start_offset < 0:
        raise VerbError(f"--start-offset must be 0 or more, not {arguments.start_offset:g}")
    recording = one_recording(arguments.bag_path)
    regex = pattern(arguments.regex, "--regex")
    wants = TopicChoice(
        is_all=not arguments.topics and regex is None,
        names=_absolute(arguments.topics),
        regex=regex,
        excluded=_absolute(arguments.exclude_topics)
        | ({CLOCK_TOPIC} if arguments.clock else set()),
        exclude_regex=pattern(arguments.exclude_regex, "--exclude-regex"),
        hidden=True,
    )
    how = Playback(
        rate=arguments.rate,
        is_loop=arguments.loop,
        delay_s=arguments.delay,
        start_s=arguments.start_offset,
        duration_s=arguments.playback_duration if arguments.playback_duration > 0 else float("inf"),
        clock_hz=arguments.clock,
        names=dict(map(_renaming, arguments.remap)),
    )
    with open_session(name=PLAYER) as session:
        player = BagPlayer(session, recording, wants, how)
        logger = session.node.get_logger()
        logger.info(f"Set rate to {arguments.rate:g}")
        count = player.play()
        logger.info(f"Playback is at its end: {count} messages.")
    return 0


def _absolute(names: list[str]) -> set[str]:
    return {name if name.startswith("/") else f"/{name}" for name in names}


def _renaming(text: str) -> tuple[str, str]:
    """Return the two names of `old:=new`.

    Raises:
        VerbError: it is none.
    """
    old, sign, new = text.partition(":=")
    if not (sign and old and new):
        raise VerbError(f"--remap takes old:=new, not '{text}'")
    return old if old.startswith("/") else f"/{old}", new
