"""Every script in examples/ runs, and does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.runtime.conversions import to_time_msg
from asterias_nodes.runtime.message_definitions import message_definition
from hardware.description.robot import load_robot
from learning.recordings.bags.bag_writer import Bag, Topic
from learning.target_finding.policies.policy_files import find_policy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TIMEOUT_S = 110
pytestmark = pytest.mark.slow


def run(name: str, *arguments: str, folder: Path) -> str:
    """What a script prints, run in a folder of its own."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Scripts that need nothing, and what they print at their end.
ALONE = {
    "own_servo_family": r"Joints at \[0\.[34]\d*, -0\.[12]\d*\] rad",
    "own_camera": r"Pictures \(96, 96, 3\) and the camera is ok",
    "own_planner_network": r"At the goal \(\d+, \d+\) after \d+ steps",
    "plan_a_map": r"optimal: 27 steps; runs/two_rooms_plan\.png",
    "starfish": r"Bent by up to 0\.[1-4]\d rad; runs/starfish\.png",
    "real_limb_in_an_hour": r"1:00  Drive it",
}


def test_each_script_is_run_by_a_test() -> None:
    others = {
        "train_with_sb3",
        "policy_on_the_robot",
        "dataset_to_pytorch",
        "agents_with_a_local_server",
    }
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ALONE) | others


@pytest.mark.parametrize("name", ALONE)
def test_a_script_runs(name: str, tmp_path: Path) -> None:
    printed = run(name, folder=tmp_path)
    assert re.search(ALONE[name], printed), printed
    for picture in re.findall(r"runs/\w+\.png", printed):
        assert (tmp_path / picture).stat().st_size > 1000


def test_what_stable_baselines3_trains_is_a_policy(tmp_path: Path) -> None:
    printed = run("train_with_sb3", "--steps", "75", "--out", "by_sb3", folder=tmp_path)
    assert "asterias learning evaluate --policy by_sb3" in printed
    assert find_policy(str(tmp_path / "by_sb3")).card["algorithm"] == "ppo"


def test_a_policy_searches_with_real_drivers(tmp_path: Path) -> None:
    printed = run("policy_on_the_robot", "--wait-s", "1.0", folder=tmp_path)
    assert re.search(r"sees the target, step \d+", printed)


# -- recordings -----------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A joint that follows its commands for three seconds."""
    bag = Bag(tmp_path / "shown")
    topics = {"/limb_0/joint_states": JointState, "/limb_0/joint_trajectory": JointTrajectory}
    for name, kind in topics.items():
        text = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        bag.add_topic(Topic(name, text, message_definition(text)))
    for number in range(60):
        time_s = 0.05 * number
        position = float(np.sin(time_s))
        state = JointState(
            header=Header(stamp=to_time_msg(time_s)), name=["pan"], position=[position]
        )
        order = JointTrajectory(
            joint_names=["pan"], points=[JointTrajectoryPoint(positions=[position + 0.1])]
        )
        for topic, message in zip(topics, (state, order), strict=True):
            time_ns = round(1e9 * time_s)
            bag.write(topic, serialize_message(message), time_ns, time_ns)
    bag.close()
    return tmp_path / "shown"


def test_recordings_become_batches(recording: Path, tmp_path: Path) -> None:
    printed = run("dataset_to_pytorch", str(recording), "--epochs", "40", folder=tmp_path)
    assert re.search(r"1 episodes, \d\d frames, 1 joints", printed)
    error = re.search(r"Error of a commanded position: (\d\.\d+) rad", printed)
    assert error is not None and float(error[1]) < 0.5


# -- a model server -------------------------------------------------------------------------------


class FirstOption(BaseHTTPRequestHandler):
    """A model that always gives the first option of the prompt, in the OpenAI protocol."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        options = re.search(r"Answer with one of: ([^,;]+)", prompt)
        assert options is not None
        reply = json.dumps({"answer": options[1], "reason": "it is the first"})
        chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": reply}}]}
        known = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        data = f"data: {json.dumps({**known, **chunk})}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Root of the API of such a model."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), FirstOption)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/v1"
    made.shutdown()
    made.server_close()


def test_agents_vote_through_a_server(server: str, tmp_path: Path) -> None:
    printed = run("agents_with_a_local_server", "--base-url", server, folder=tmp_path)
    lines = printed.strip().splitlines()
    assert len(lines) == 4 and lines[-1].startswith("decision: left"), printed


def test_the_pan_tilt_is_described_in_ten_lines() -> None:
    path = EXAMPLES / "pan_tilt.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == 10
    robot = load_robot(path)
    assert [joint.name for joint in robot.limbs[0].joints] == ["pan", "tilt"]
