"""``/train_policy`` as a process: a real training with feedback, cancel, resume and mistakes."""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from asterias_interfaces.action import TrainPolicy
from rclpy.action import ActionClient

from learning.target_finding.policies.policy_files import load_policy
from learning.training.subprocess import error_text

pytestmark = pytest.mark.timeout(180)
PATIENCE_S = 90.0
SHORT = {"options": ["--processes", "1"], "steps": 225}


class Trainee:
    """A client of ``/train_policy``."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.feedback: list[Any] = []
        self._client = ActionClient(peer.node, TrainPolicy, "/train_policy")
        peer.wait_until(self._client.server_is_ready, PATIENCE_S)

    def send(self, **goal: Any) -> Any:
        answer = self._client.send_goal_async(
            TrainPolicy.Goal(**goal), feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        self.peer.wait_until(answer.done, PATIENCE_S)
        assert answer.result().accepted
        return answer.result()

    def result(self, handle: Any) -> Any:
        answer = handle.get_result_async()
        self.peer.wait_until(answer.done, PATIENCE_S)
        return answer.result().result

    def wait_for_an_iteration(self) -> None:
        self.feedback.clear()
        self.peer.wait_until(lambda: any(f.steps for f in self.feedback), PATIENCE_S)


def processes_with(word: str) -> list[psutil.Process]:
    """Processes that have a word on their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if word in (p.info["cmdline"] or ())]


@pytest.mark.slow
def test_a_policy_is_trained_cancelled_resumed_and_refused(
    start_node: Any, peer: Any, tmp_path: Path
) -> None:
    node = start_node("trainer")
    trainee = Trainee(peer)
    goal = {"faults": "kill1", "seed": 5, "out": str(tmp_path / "run"), **SHORT}

    # Busy while one is trained; cancel keeps the checkpoint.
    first = trainee.send(**goal)
    assert trainee.result(trainee.send(**goal)).error_code == TrainPolicy.Result.BUSY
    trainee.wait_for_an_iteration()
    peer.wait_until(first.cancel_goal_async().done)
    stopped = trainee.result(first)
    if stopped.error_code:  # the last iteration may have been done
        assert stopped.error_code == TrainPolicy.Result.CANCELED, stopped.error_msg
        assert Path(stopped.path).is_file() and 75 <= stopped.steps < 225

        # Without resume nothing is overwritten; with it the training goes on.
        refused = trainee.result(trainee.send(**goal))
        assert refused.error_code == TrainPolicy.Result.BAD_GOAL
        assert "--resume" in refused.error_msg and "Traceback" not in refused.error_msg
    trainee.feedback.clear()
    done = trainee.result(trainee.send(**goal, resume=True))
    assert done.error_code == TrainPolicy.Result.NONE, done.error_msg
    assert load_policy(Path(done.path)).card["seed"] == 5
    assert math.isnan(trainee.feedback[0].left_s)
    peer.wait_until(lambda: trainee.feedback[-1].steps == 225)
    assert trainee.feedback[-1].left_s == 0.0 and 0.0 <= done.found <= 1.0

    # Mistakes are told in a sentence.
    for mistake, word in (
        ({"algorithm": "alchemy"}, "alchemy"),
        ({"options": ["--out", "elsewhere"]}, "field of the goal"),
    ):
        bad = trainee.result(trainee.send(**{**SHORT, "out": str(tmp_path / "bad"), **mistake}))
        assert bad.error_code == TrainPolicy.Result.BAD_GOAL and word in bad.error_msg, bad

    # A node that is stopped takes its training with it.
    trainee.send(out=str(tmp_path / "long"), steps=36000, options=["--processes", "1"])
    trainee.wait_for_an_iteration()
    assert node.stop().status == 0
    assert not processes_with(str(tmp_path / "long"))
    assert (tmp_path / "long" / "checkpoint.safetensors").is_file()


@pytest.mark.slow
def test_a_trainer_that_is_killed_leaves_a_checkpoint_and_no_process(
    start_node: Any, peer: Any, tmp_path: Path
) -> None:
    node = start_node("trainer")
    trainee = Trainee(peer)
    out = tmp_path / "run"
    trainee.send(out=str(out), steps=36000, options=["--processes", "1"])
    trainee.wait_for_an_iteration()
    trainings = processes_with(str(out))
    assert len(trainings) == 1
    node.send(signal.SIGKILL)
    node.wait()
    deadline_s = time.monotonic() + PATIENCE_S
    while trainings[0].is_running() and trainings[0].status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, "the training goes on without its server"
        time.sleep(0.1)
    assert (out / "checkpoint.safetensors").is_file()


def test_last_words_are_one_line_without_frames() -> None:
    framed = "╭─ Parsing error ───╮\n│ invalid choice 'x'  │\n╰──────╯\n"
    assert error_text(framed) == "Parsing error invalid choice 'x'"
    assert error_text("Traceback (most):\n  File 3\nValueError: no tag\n") == "ValueError: no tag"
