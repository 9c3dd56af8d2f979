"""One way to run a node: clean start, clean stop, and drivers that are always stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from asterias.errors import AsteriasError
from asterias_nodes.runtime.executor import make_executor
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.shared_memory import remove_dead_segments

# How long a stop may wait for the executor when nothing else happens.
STOP_LATENCY_S = 0.1

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_PARAMETERS = 2

PROFILES = "FASTDDS_DEFAULT_PROFILES_FILE"

NodeFactory = Callable[[], Node]


# What ends each running node: a future that holds None, a StopNode or another error.
_stops: weakref.WeakKeyDictionary[Node, Future[Any]] = weakref.WeakKeyDictionary()


class StopNode(Exception):  # noqa: N818 - a request, like StopIteration
    """Raised by a callback to end its node.

    Args:
        message: one sentence for a person; empty when all is well.
        status: the exit code of the process.
    """

    def __init__(self, message: str = "", status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.status = status


def stop_node(node: Node, message: str = "", status: int = EXIT_FAILED) -> None:
    """End a node after the present callback, as raising :class:`StopNode` does.

    For callbacks that rclpy calls itself: of an exception it would log the place, which says
    nothing to a person. Arguments as for :class:`StopNode`.
    """
    _stops[node].set_result(StopNode(message, status))


# What a person can cure: it is reported in one sentence, without a traceback.
BAD_PARAMETERS = (
    SettingsError,
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
    RCLError,
)
USER_ERRORS = (AsteriasError, ValueError, OSError)


def make_room_for_pictures() -> None:
    """Give this process shared memory for raw pictures of cameras; call before ``rclpy.init``.

    The segment of the sender counts: the 512 kB that Fast DDS takes by itself do not hold one raw
    picture of 640x480, and most are lost. A profile that the user has chosen stays, and so do the
    transports where a robot is reached beyond this machine, which carry such pictures anyway.
    """
    chosen = Path(os.environ.get(PROFILES, ""))
    is_local = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() == "LOCALHOST"
    if chosen.name != "fastdds.xml" or not is_local:
        return
    larger = chosen.with_name("fastdds_pictures.xml")
    if larger.exists():
        os.environ[PROFILES] = str(larger)


def run_node(
    factory: NodeFactory, arguments: Sequence[str] | None = None, *, sends_pictures: bool = False
) -> int:
    """Make a node, spin it until SIGINT, SIGTERM or :class:`StopNode`, and close it.

    The node runs in a single-threaded executor. Whatever happens, ``node.close()`` is called where
    the node has one, so that drivers stop, while topics still work. A :class:`ManagedNode` is
    configured and activated first unless its parameter ``autostart`` is false.

    Args:
        factory: makes the node; a ``ValueError``, ``OSError`` or ``AsteriasError`` that it raises
            is printed as one sentence on stderr.
        arguments: command line; None takes ``sys.argv``.
        sends_pictures: see :func:`make_room_for_pictures`.

    Returns:
        Exit code: 0 after a clean stop, 1 after a failure, 2 for parameters that cannot be used.
    """
    if sends_pictures:
        make_room_for_pictures()
    remove_dead_segments()
    stop = Future()
    with _stop_on_signals(stop):
        try:
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        except RCLError as error:
            return _complain(_name(None), error, EXIT_BAD_PARAMETERS)
        try:
            return _run(factory, stop)
        finally:
            rclpy.try_shutdown()


def _run(factory: NodeFactory, stop: Future[Any]) -> int:
    """Return the exit code of a node that lives between ``rclpy.init`` and ``rclpy.shutdown``."""
    node: Node | None = None
    executor: Executor | None = None
    has_started = False
    try:
        node = factory()
        _stops[node] = stop
        executor = make_executor(stop.set_result)
        executor.add_node(node)
        # An empty task ends the wait of spin_once, which wake() alone does not.
        stop.add_done_callback(partial(_spur, executor))
        if isinstance(node, ManagedNode) and node.autostart:
            node.start()
        has_started = True
        # Neither executor's own spin can be ended from another thread without delay or loss.
        while not stop.done():
            executor.spin_once(timeout_sec=STOP_LATENCY_S)
        reason = stop.result()
        if reason is not None:
            raise reason
        return EXIT_OK
    except ExternalShutdownException:
        return EXIT_OK
    except Exception as error:
        return _judge(_name(node), error, has_started)
    finally:
        _close(node, executor)


def _spur(executor: Executor, _stop: Future[Any]) -> None:
    executor.create_task(lambda: None)


def _judge(name: str, error: Exception, has_started: bool) -> int:
    """Return the exit code of a node, after reporting what ended it."""
    if isinstance(error, StopNode):
        return _complain(name, error, error.status)
    if not has_started and isinstance(error, BAD_PARAMETERS):
        return _complain(name, error, EXIT_BAD_PARAMETERS)
    if has_started or not isinstance(error, USER_ERRORS):
        # Nothing that a person did: the place in our code is worth knowing.
        traceback.print_exc()
    return _complain(name, error, EXIT_FAILED)


def _close(node: Node | None, executor: Executor | None) -> None:
    """Stop drivers first, then the node."""
    try:
        close = getattr(node, "close", None)
        if close is not None:
            close()
    finally:
        if executor is not None:
            executor.shutdown()
        if node is not None:
            node.destroy_node()


def _name(node: Node | None) -> str:
    return node.get_name() if node is not None else Path(sys.argv[0]).name


def _complain(name: str, error: Exception, status: int) -> int:
    """Return ``status``, after printing an error as one sentence."""
    text = " ".join(str(error).split())
    if text:
        print(f"{name}: {text}", file=sys.stderr, flush=True)
    return status


@contextmanager
def _stop_on_signals(stop: Future[Any]) -> Iterator[None]:
    """Completes ``stop`` on SIGINT and SIGTERM.

    Python runs signal handlers between byte codes, but the executor may sleep inside the middleware
    for long. So the interpreter writes each signal to a pipe at once, and a thread reads it.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def wait() -> None:
        while True:
            if os.read(read_end, 1) == b"":
                return
            if not stop.done():
                stop.set_result(None)

    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(write_end)
        for number, handler in previous.items():
            signal.signal(number, handler)
