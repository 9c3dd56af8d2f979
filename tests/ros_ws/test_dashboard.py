"""The web page in a real browser: it shows, it drives, and it lets go when it is cut off."""

from __future__ import annotations

import http.client
import itertools
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Bool
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asterias_nodes.runtime.conversions import to_compressed_msg
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.web.dashboard import DashboardSettings
from asterias_nodes.web.plot_panel import common_unit
from asterias_nodes.web.server import WebServer
from learning.recordings.plots.criticality import write_sidecar

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

browsers = pytest.importorskip(
    "playwright.sync_api", reason="a browser is driven by the extra 'browser' (make test-all)"
)
expect = browsers.expect
expect.set_options(timeout=30_000)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TOKEN = "a token of sixteen and more characters".replace(" ", "-")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def slow(size: tuple[int, int]) -> Any:
    """A size that ``make test`` leaves out."""
    return pytest.param(size, marks=pytest.mark.slow)


def wait_for(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"Nothing came within {timeout_s:g} s.")


def answers(port: int, path: str = "/", **headers: str) -> int:
    """The status of a request; 0 when nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the robot's episodes lie."""
    return tmp_path_factory.mktemp("episodes")


@pytest.fixture(scope="module")
def address(start_shared_node: Any, episodes: Path) -> str:
    """A simulated robot with its page."""
    port = free_port()
    start_shared_node("sim_robot", enable_faults="true")
    start_shared_node("command_multiplexer")
    start_shared_node("recorder", mode="episodes", output=episodes)
    start_shared_node("dashboard", port=port, enable_faults="true")
    wait_for(lambda: answers(port) == 200)
    return f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("No Chromium is installed: apt install chromium to test the web page.")
    with browsers.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a desk, loaded and connected; whatever goes wrong in it fails the test."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    open_page(opened, address)
    yield opened
    context.close()
    assert not wrong


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#link")).to_have_text("connected", timeout=60_000)
    expect(page.locator("#owner")).to_contain_text("moved by", timeout=60_000)


class Joints:
    """Where the simulated joints are."""

    def __init__(self, peer: Any) -> None:
        self._peer, self._states = peer, []
        self.is_stopped = False
        node = peer.node
        node.create_subscription(
            JointState, "/limb_0/joint_states", self._states.append, reliable_qos(50)
        )
        node.create_subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        peer.wait_until(lambda: self._states)

    def _on_stop(self, message: Bool) -> None:
        self.is_stopped = message.data

    def now(self) -> np.ndarray:
        """``(4,)`` rad."""
        self._states.clear()
        self._peer.wait_until(lambda: self._states)
        return np.array(self._states[-1].position[:4])

    def move_within(self, seconds: float) -> float:
        """Furthest way of any joint, rad."""
        before = self.now()
        self._peer.spin(seconds)
        return float(np.abs(self.now() - before).max())


@pytest.fixture
def joints(peer: Any, address: str) -> Joints:
    return Joints(peer)


def grab(page: Page, selector: str, x: float, y: float) -> None:
    """Press the mouse on an element, at shares of its size, and keep it down."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.down()


# The objects of three.js that have names, with their places.
DRAWN = """() => [...getElement(document.querySelector('#limb').firstElementChild).objects.values()]
  .filter(one => one.mesh && one.mesh.name)
  .map(one => `${one.mesh.name}: ${one.mesh.matrix.elements.join(' ')}`).join('; ')"""


def test_the_page_shows_cameras_limb_and_health_and_pictures_change(
    page: Page, joints: Joints, peer: Any
) -> None:
    expect(page.locator("#tiles .tile")).to_have_count(4)
    expect(page.locator("#tile_0_3 .rate")).to_contain_text("Hz")
    expect(page.locator("section[aria-label=Health]")).to_contain_text("sim_robot: limb_0")
    picture = "document.querySelector('#tile_0_3 canvas').toDataURL()"
    wait_for(lambda: "link_0_3" in page.evaluate(DRAWN))
    before = [page.evaluate(picture), page.evaluate(DRAWN)]
    assert len(before[0]) > 1000

    grab(page, "input[aria-label=shoulder_yaw]", 0.7, 0.5)
    peer.wait_until(lambda: joints.now()[0] > 0.3)
    expect(page.locator("#owner")).to_have_text("moved by web")
    page.mouse.up()
    wait_for(lambda: page.evaluate(picture) != before[0])
    wait_for(lambda: page.evaluate(DRAWN) != before[1])
    peer.spin(1.0)
    assert joints.move_within(0.3) < 0.05, "nothing is held any more"
    expect(page.locator("#owner")).to_have_text("moved by nobody")


# Joints of the robot's skin: hinge, share of its angle, and the matrix of each.
SKIN = """() => {
  const found = [];
  for (const one of getElement(document.querySelector('#limb').firstElementChild).objects.values())
    if (one.mesh && one.mesh.name === 'skin') one.mesh.traverse(joint => {
      const about = joint.userData;
      if (joint.isBone) found.push([about.hinge, about.share, ...joint.matrix.elements]);
    });
  return found;
}"""


def test_the_drawn_limb_is_a_skin_that_bends(page: Page) -> None:
    # The finger hangs by its weight: its joints turn by shares of what its hinges have.
    wait_for(lambda: any(abs(one[2] - 1.0) > 1e-6 for one in page.evaluate(SKIN)))
    joints = page.evaluate(SKIN)
    assert len({one[1] for one in joints}) > 2, "shares of an angle"
    for one in joints:
        turn = np.array(one[2:]).reshape(4, 4)[:3, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-3)


def test_the_page_shows_where_a_searcher_takes_the_target_to_be(page: Page, peer: Any) -> None:
    picture = page.locator("figure.belief img")
    expect(picture).to_have_count(0)
    beliefs = peer.node.create_publisher(CompressedImage, "/target/belief", latched_qos())
    stamp = peer.node.get_clock().now().to_msg()
    beliefs.publish(CompressedImage(format="jpeg", data=b"<script>alert(1)</script>"))
    image = np.full((30, 60, 3), 90, np.uint8)
    beliefs.publish(to_compressed_msg(image, stamp, "limb_0"))
    expect(picture).to_be_visible()
    wait_for(lambda: picture.evaluate("one => one.naturalWidth") == 60)
    assert "script" not in (picture.get_attribute("src") or "")


def test_the_emergency_stop_stops_a_limb_that_is_being_driven(
    page: Page, joints: Joints, peer: Any
) -> None:
    grab(page, "#stick", 0.02, 0.5)
    wait_for(lambda: joints.move_within(0.2) > 0.01)
    page.keyboard.press("Escape")
    peer.wait_until(lambda: joints.is_stopped)
    assert joints.move_within(0.3) < 0.1
    assert joints.move_within(0.3) < 0.02
    page.mouse.up()
    expect(page.locator("#stop")).to_have_text("STOPPED")
    grab(page, "#home", 0.5, 0.5)
    assert joints.move_within(0.4) < 0.02, "the stop is still engaged"
    page.mouse.up()
    page.locator("#unstop").click()
    peer.wait_until(lambda: not joints.is_stopped)
    page.locator("#stop").click()
    peer.wait_until(lambda: joints.is_stopped)
    page.locator("#unstop").click()
    peer.wait_until(lambda: not joints.is_stopped)


def test_one_page_drives_at_a_time_and_a_page_that_is_closed_has_let_go(
    browser: Browser, page: Page, address: str, joints: Joints, peer: Any
) -> None:
    other = browser.new_context().new_page()
    open_page(other, address)
    grab(other, "input[aria-label=shoulder_yaw]", 0.05, 0.5)
    wait_for(lambda: joints.move_within(0.1) > 0.01)
    grab(page, "input[aria-label=shoulder_yaw]", 0.95, 0.5)
    expect(page.locator("#note")).to_have_text("Another page drives; it must let go first.")
    page.mouse.up()
    other.context.close()
    peer.spin(0.6)
    assert joints.move_within(0.3) < 0.02


def test_a_connection_that_stalls_stops_the_motion(
    browser: Browser, address: str, joints: Joints, peer: Any
) -> None:
    opened = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
    open_page(opened, address)
    slider, sides = "input[aria-label=shoulder_pitch]", itertools.cycle((0.1, 0.9))
    grab(opened, slider, next(sides), 0.5)
    box = opened.locator(slider).bounding_box()
    assert box is not None

    def moves() -> bool:
        # To and fro: a quick machine would be at rest again before anybody looks.
        opened.mouse.move(box["x"] + next(sides) * box["width"], box["y"] + 0.5 * box["height"])
        return joints.move_within(0.1) > 0.01

    wait_for(moves)
    # The browser is frozen: its connection stays open, and nothing comes over it any more.
    frozen = [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        # A soft limb swings on for a while, the longer the busier the machine is.
        peer.spin(0.5)
        wait_for(lambda: joints.move_within(0.4) < 0.02, timeout_s=10.0)
    finally:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
    opened.context.close()


@pytest.mark.slow
def test_faults_recording_and_what_is_wrong_are_on_the_page(page: Page) -> None:
    faults = page.locator("section[aria-label=Faults]")
    faults.get_by_label("Part").click()
    page.get_by_role("option", name="camera_1").click()
    faults.get_by_role("button", name="Inject").click()
    expect(page.locator("#note")).to_contain_text("camera_1 of limb_0 is now: off")
    expect(page.locator("#tile_0_1")).to_have_class(re.compile("silent"))
    faults.get_by_label("Fault").click()
    page.get_by_role("option", name="ok", exact=True).click()
    faults.get_by_role("button", name="Inject").click()

    record = page.locator("section[aria-label=Record]")
    record.get_by_label("Task").fill("wave to the camera")
    record.get_by_role("button", name="Record").click()
    expect(record).to_contain_text(re.compile(r"Episode 0: 0:\d\d, [1-9]"))
    expect(page.locator("#rec")).to_have_text(re.compile(r"0:0\d"))
    record.get_by_role("button", name="Finish").click()
    row = record.locator("tbody tr").first
    expect(row).to_contain_text("wave to the camera")
    record.get_by_role("button", name="Success").click()
    expect(row).to_contain_text("success")
    expect(page.locator("#rec")).to_be_hidden()
    expect(record.get_by_role("button", name="Discard")).to_be_hidden()


def test_key_frames_stand_under_the_time_axis_of_their_episode(page: Page, episodes: Path) -> None:
    record = page.locator("section[aria-label=Record]")
    record.get_by_role("button", name="Record").click()
    expect(record).to_contain_text(re.compile(r"Episode \d+: 0:\d\d, [1-9]"))
    record.get_by_role("button", name="Finish").click()
    expect(record.get_by_role("button", name="Success")).to_be_visible()
    record.get_by_role("button", name="Success").click()
    expect(record.locator("tbody tr").first).to_contain_text("success")
    name = max(path.name for path in episodes.iterdir() if path.is_dir())
    found = episodes.with_name(f"{episodes.name}_key_frames")
    found.mkdir()
    mask = np.where(np.arange(20) == 5, 0.9, 0.1)
    write_sidecar(found / f"{name}.critical_states.mcap", 10**18, np.arange(20) * 0.5, mask)
    band = record.locator(".timeline svg")
    expect(band).to_have_attribute("aria-label", "Decided at 2.5 s")
    expect(band).to_be_visible()
    box, mark = band.bounding_box(), band.locator("line").bounding_box()
    assert box is not None and mark is not None
    assert abs((mark["x"] - box["x"]) / box["width"] - 2.5 / 9.5) < 0.02, "under its moment"
    expect(record.locator(".timeline .axis")).to_contain_text("9.5 s")


def test_the_page_fits_a_phone_and_two_fingers_drive(
    browser: Browser, address: str, joints: Joints, peer: Any
) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    opened = phone.new_page()
    open_page(opened, address)
    width = opened.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "no scrolling sideways"
    expect(opened.locator("#stop")).to_be_in_viewport()
    opened.locator("#drag").uncheck()
    slider = opened.locator("input[aria-label=finger]")
    before = joints.now()
    slider.fill("0.6")
    assert joints.move_within(0.3) < 0.02, "a slider alone is no dead-man now"
    grab(opened, "#deadman", 0.5, 0.5)
    peer.wait_until(lambda: joints.now()[3] > 0.4)
    opened.mouse.up()
    assert np.abs(joints.now()[:3] - before[:3]).max() < 0.1
    phone.close()


CONTRAST = """() => {
  const parts = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(x => linear(x / 255))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const back = node => {
    for (; node; node = node.parentElement) {
      const color = parts(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] > 0.9) return color;
    }
    return [15, 20, 27];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(one => one.nodeType === 3 && one.textContent.trim());
    const faded = node.closest(".disabled, [disabled], #drive.locked, .tile, #note, script, style");
    if (!own || faded || !node.checkVisibility()) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(back(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
# What a person would have to scroll sideways for: elements in sight that end beyond the screen.
WIDE = """width => [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > width + 1 && one.checkVisibility()
        && getComputedStyle(one).position !== 'fixed'
        && !one.closest('.chart, svg, #tabs, #limb > *');
}).map(one => `${one.tagName} ${one.className} ${Math.round(one.getBoundingClientRect().right)}`)"""
SMALL = """() => [...document.querySelectorAll("button, select, input, summary, #stick, #lever")]
  .filter(one => one.checkVisibility() && !one.closest(".q-field"))
  .map(one => [one, (one.closest("label.check") || one).getBoundingClientRect()])
  .filter(([, box]) => box.width < 44 || box.height < 44)
  .map(([one, box]) => `${one.id || one.textContent} ${box.width | 0}x${box.height | 0}`)"""


@pytest.mark.parametrize("size", [(390, 844), (844, 390)])
def test_on_a_phone_every_control_can_be_touched_and_driving_and_seeing_fit_one_screen(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    phone = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, has_touch=True, is_mobile=True
    )
    opened = phone.new_page()
    open_page(opened, address)
    for selector in ("#stop", "#tile_0_0", "#tile_0_3", "#stick", "#lever", "#home", "#deadman"):
        expect(opened.locator(selector)).to_be_in_viewport(ratio=0.99)
    for tab in ("Drive", "Limb", "Record", "Actions", "Health", "Plots"):
        opened.locator("#tabs").get_by_role("button", name=tab).click()
        assert opened.evaluate(WIDE, size[0]) == [], tab
        assert opened.evaluate("document.documentElement.scrollWidth") <= size[0], tab
        assert opened.evaluate(SMALL) == [], tab
        assert opened.evaluate(CONTRAST) == [], tab
    phone.close()


# All that the header can show at once, at its longest; the next state of the robot undoes it.
FULL_BAR = """() => {
  const texts = { link: "the robot is silent", owner: `moved by ${"a_long_name_".repeat(8)}`,
    rec: "999:59", delay: "12345 ms", stop: "STOPPED", unstop: "Release" };
  for (const [id, text] of Object.entries(texts)) {
    const one = document.getElementById(id);
    one.hidden = false; one.textContent = text;
  }
  document.body.classList.add("stopped");
  document.getElementById("note").textContent = "a_word_without_end_".repeat(20);
  const ends = ["stop", "unstop", "note"].map(id => document.getElementById(id))
    .map(one => one.getBoundingClientRect().right);
  return [document.documentElement.scrollWidth, innerWidth, ...ends].map(Math.round);
}"""
TWO_FRAMES = """() => new Promise(
  done => requestAnimationFrame(() => requestAnimationFrame(done)))"""


# The narrowest has least room: the others are of the test above, too.
@pytest.mark.parametrize("size", [(320, 568), slow((390, 844)), slow((844, 390))])
def test_no_state_makes_the_page_wider_than_a_phone(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    phone = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, has_touch=True, is_mobile=True
    )
    # The font of the icons does not come: they are words.
    phone.route(re.compile(r"\.woff2?"), lambda route: route.abort())
    opened = phone.new_page()
    open_page(opened, address)
    for tab in ("Plots", "Record", "Drive"):
        opened.locator("#tabs").get_by_role("button", name=tab).click()
        if tab == "Plots":
            plots = opened.locator("section[aria-label=Plots]")
            expect(plots.locator("canvas")).to_be_visible()
            expect(plots.get_by_text("arrow_drop_down").first).to_be_visible()
        # Chromium widens its screen in the frame after the one that was too wide.
        opened.evaluate(TWO_FRAMES)
        widths = opened.evaluate(FULL_BAR)
        assert max(widths) <= size[0], (tab, widths)
    phone.close()


def test_without_3d_graphics_the_page_still_shows_and_drives(
    browser: Browser, address: str, joints: Joints
) -> None:
    opened = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.add_init_script(
        "HTMLCanvasElement.prototype.getContext = (own => function (kind, ...rest) {"
        "  return kind.startsWith('webgl') ? null : own.call(this, kind, ...rest);"
        "})(HTMLCanvasElement.prototype.getContext);"
    )
    open_page(opened, address)
    grab(opened, "#stick", 0.9, 0.5)
    wait_for(lambda: joints.move_within(0.2) > 0.01)
    opened.mouse.up()
    opened.locator("#tabs").get_by_role("button", name="Limb").click()
    expect(opened.locator("#limb")).to_contain_text("Could not create WebGL renderer")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    assert wrong == []
    opened.context.close()


@pytest.mark.parametrize("size", [(1440, 900), slow((2560, 1440))])
def test_on_a_desk_tiles_grow_with_the_screen_and_the_limb_is_in_sight(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    desk = browser.new_context(viewport={"width": size[0], "height": size[1]})
    opened = desk.new_page()
    open_page(opened, address)
    assert opened.evaluate("document.documentElement.scrollWidth") <= size[0]
    tile = opened.locator("#tile_0_0").bounding_box()
    assert tile is not None and tile["width"] > 0.13 * size[0]
    expect(opened.locator("#limb")).to_be_in_viewport(ratio=0.9)
    assert opened.evaluate(CONTRAST) == []
    desk.close()


def test_under_the_emergency_stop_nothing_looks_live(page: Page, joints: Joints, peer: Any) -> None:
    page.locator("#stop").click()
    peer.wait_until(lambda: joints.is_stopped)
    expect(page.locator("#drive")).to_have_class(re.compile("locked"))
    expect(page.locator("#lock")).to_contain_text("Press Release")
    assert page.evaluate("document.querySelector('#drive').inert")
    expect(page.get_by_role("button", name="Find the target")).to_be_disabled()
    stop = page.locator("#stop")
    assert stop.evaluate("one => one.scrollWidth <= one.clientWidth"), "STOPPED fits its button"
    page.keyboard.down(" ")
    expect(page.locator("#deadman")).not_to_have_class(re.compile("held"))
    page.keyboard.up(" ")
    page.locator("#unstop").click()
    expect(page.locator("#drive")).not_to_have_class(re.compile("locked"))


def test_any_topic_can_be_plotted_and_healthy_parts_are_one_row(page: Page) -> None:
    health = page.locator("section[aria-label=Health]")
    expect(health).to_contain_text(re.compile(r"\d+ parts ok"))
    expect(health.locator("details.part.ok")).to_have_count(1)
    plots = page.locator("section[aria-label=Plots]")
    expect(plots.get_by_label("Topic or action")).to_have_value("/limb_0/joint_states")
    expect(plots.locator("canvas")).to_be_visible()
    plots.get_by_label("Numbers").click()
    expect(page.get_by_role("option", name="rate (Hz)")).to_be_visible()
    page.keyboard.press("Tab")


def test_axes_of_plots_have_units() -> None:
    joints = ["position shoulder_yaw", "position finger"]
    assert common_unit("/limb_0/joint_states", joints) == "rad"
    assert common_unit("/limb_0/joint_states", ["position a", "velocity a"]) == ""
    assert common_unit("/limb_0/joint_states", ["rate (Hz)"]) == "Hz"
    assert common_unit("action /find_target", ["positions_rad 0", "positions_rad 1"]) == "rad"
    assert common_unit("/scan", ["range_m", "step"]) == ""


def test_on_the_network_the_page_needs_its_token_and_pages_from_elsewhere_are_refused(
    start_node: Any, tmp_path: Path
) -> None:
    port = free_port()
    start_node("dashboard", host="0.0.0.0", port=port, token=TOKEN)
    wait_for(lambda: answers(port) == 401)
    assert answers(port, "/?token=wrong") == 401
    assert answers(port, f"/?token={TOKEN}") == 200
    assert answers(port, Cookie=f"asterias_token={TOKEN}") == 200
    live, cookie = f"ws://127.0.0.1:{port}/live", {"Cookie": f"asterias_token={TOKEN}"}
    with pytest.raises(InvalidStatus):
        connect(live)
    with pytest.raises(InvalidStatus):
        connect(live, additional_headers=cookie, origin="http://evil.example")  # type: ignore[arg-type]
    with connect(live, additional_headers=cookie) as channel:
        assert '"hello"' in str(channel.recv())
        channel.send("no message")
        assert "load it again" in str(channel.recv(timeout=5))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"token": "short"}, "16 characters"),
        ({"pictures": "loud"}, "raw, compressed"),
        ({"port": 70000}, "0 to 65535"),
        ({"joint_speed": 0.0}, "joint_speed"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        DashboardSettings(**changes)


def test_a_port_that_is_taken_is_told_with_a_cure() -> None:
    async def app(*arguments: Any) -> None: ...

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="give parameter 'port' another number"):
            WebServer(app, "127.0.0.1", taken.getsockname()[1])
    with pytest.raises(OSError, match=r"cannot be served on 192\.0\.2\.1"):
        WebServer(app, "192.0.2.1", 0)
