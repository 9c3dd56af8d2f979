/* Cameras, robot and controls of the dashboard, over one web socket (see live.py for its messages).
   A hand on a control is repeated 20 times a second; without it the robot lets go within 0.3 s. */
"use strict";
(() => {
const REPEAT_MS = 50, QUIET_MS = 1500, HEAD = 22;
const $ = id => document.getElementById(id);
const angle = rad => `${Math.round(rad * 180 / Math.PI) || 0}\u00b0`;
let socket = null, hello = null, state = null, limb = 0;
let wish = null, heardAt = 0, isCut = true;
const held = new Set(), tiles = new Map(), targets = [], sliders = [];

// -- socket -------------------------------------------------------------------------------------
function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { heardAt = performance.now(); link("connected", "good"); };
  socket.onclose = () => { letGo(); link("connection lost", "bad"); setTimeout(connect, 1000); };
  socket.onmessage = event => {
    heardAt = performance.now();
    if (typeof event.data !== "string") { picture(event.data); return; }
    const message = JSON.parse(event.data);
    if (message.t === "hello") begin(message);
    else if (message.t === "state") show(message);
    else if (message.t === "note") note(message.text);
    else if (message.t === "echo") {
      $("delay").hidden = false;
      $("delay").textContent = `${Math.round(performance.now() - message.at)} ms`;
    }
  };
}
function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}
function link(text, kind) {
  const chip = $("link");
  if (chip) { chip.textContent = text; chip.className = `chip ${kind}`; }
  isCut = kind === "bad";
  document.body.classList.toggle("cut", isCut);
  lock();
}
let noteTimer = 0;
function note(text) {
  $("note").textContent = text; $("note").classList.add("on");
  clearTimeout(noteTimer); noteTimer = setTimeout(() => $("note").classList.remove("on"), 4000);
}
setInterval(() => send({ t: "echo", at: performance.now() }), 1000);
setInterval(() => {
  if (socket && socket.readyState === WebSocket.OPEN && performance.now() - heardAt > QUIET_MS) {
    letGo(); link("the robot is silent", "bad");
  } else if (socket && socket.readyState === WebSocket.OPEN) link("connected", "good");
  for (const tile of tiles.values()) age(tile);
  if (hello) arrange();
}, 500);

// -- locked: what cannot drive does not look as if it could -------------------------------------
function lockReason() {
  if (isCut) return "No connection to the robot.";
  if (!state) return "Waiting for the robot ...";
  if (state.stop) return "Emergency stop. Press Release, at the top, to drive again.";
  if (!state.limbs[limb].heard) return `No joint states come from ${hello.limbs[limb].name}.`;
  return "";
}
function lock() {
  const drive = $("drive"), reason = lockReason();
  if (!drive) return;
  if (reason) $("lock").textContent = reason;
  if (drive.inert === Boolean(reason)) return;
  drive.inert = Boolean(reason);
  drive.classList.toggle("locked", drive.inert);
  if (drive.inert && held.size) letGo();
}
// -- holding: the dead-man ----------------------------------------------------------------------
function hold(name, element, next) {
  if ($("drive").inert) return;
  held.add(name); wish = next; if (element) element.classList.add("held");
  repeat();
}
function change(next) { wish = next; repeat(); }
function release(name, element) {
  if (element) element.classList.remove("held");
  if (held.delete(name) && held.size === 0) { wish = null; unpin(); send({ t: "release" }); }
}
function letGo() {
  held.clear(); wish = null; unpin(); send({ t: "release" });
  document.querySelectorAll("#drive .held").forEach(one => one.classList.remove("held"));
  document.querySelectorAll("#drive .knob").forEach(one => { one.style.transform = ""; });
}
function repeat() {
  if (held.size && wish) send({ t: "drive", limb, speed: +$("speed").value, ...wish() });
}
setInterval(repeat, REPEAT_MS);
window.addEventListener("blur", letGo);
window.addEventListener("pagehide", letGo);
document.addEventListener("visibilitychange", () => { if (document.hidden) letGo(); });
// A slider that was set by hand keeps its place until the limb was allowed to go there.
const unpin = () => sliders.forEach(slider => { slider.pinned = false; });
const goal = () => ({ kind: "goal", values: [...targets] });

function press(element, name, next) {
  element.addEventListener("pointerdown", event => {
    element.setPointerCapture(event.pointerId); event.preventDefault(); hold(name, element, next);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
    element.addEventListener(end, () => release(name, element));
  element.addEventListener("contextmenu", event => event.preventDefault());
}
function stick(element, name, shares) {
  const knob = element.querySelector(".knob"), at = [0, 0];
  const move = event => {
    const box = element.getBoundingClientRect();
    at[0] = (event.clientX - box.left) / box.width * 2 - 1;
    at[1] = (event.clientY - box.top) / box.height * 2 - 1;
    const far = Math.max(1, Math.hypot(...at)); at[0] /= far; at[1] /= far;
    if (name === "lever") at[0] = 0;
    const way = (box.height - knob.offsetHeight) / 2;
    knob.style.transform = `translate(${at[0] * way}px, ${at[1] * way}px)`;
  };
  const next = () => ({ kind: "tip", values: tipWish() });
  element.addEventListener("pointerdown", event => {
    event.preventDefault();
    if ($("drive").inert) return;
    element.setPointerCapture(event.pointerId);
    move(event); shares(at); hold(name, element, next);
  });
  element.addEventListener("pointermove", event => {
    if (held.has(name)) { move(event); shares(at); change(next); }
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
    element.addEventListener(end, () => {
      at[0] = at[1] = 0; shares(at); knob.style.transform = ""; release(name, element);
    });
}
const tip = [0, 0, 0];
const tipWish = () => tip.map(share => Math.abs(share) < 0.08 ? 0 : share);

document.addEventListener("keydown", event => {
  if (event.key === "Escape") { stop(); return; }
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
  if (event.key === " " && !typing) {
    event.preventDefault();
    if (!event.repeat) hold("space", $("deadman"), goal);
  }
});
document.addEventListener("keyup", event => { if (event.key === " ") release("space", $("deadman")); });
function stop() { letGo(); send({ t: "stop" }); if (!socket || socket.readyState !== WebSocket.OPEN) note("NOT sent: the connection is lost. Use the power switch."); }

// -- the page, once the robot is known ----------------------------------------------------------
function begin(message) {
  const isFirst = hello === null;
  hello = message;
  if (!isFirst) return;
  hello.limbs.forEach((one, i) => {
    $("which").add(new Option(one.name, i));
    one.cameras.forEach((camera, j) => addTile(i, j, camera));
  });
  $("which").hidden = hello.limbs.length < 2;
  $("which").onchange = () => { letGo(); limb = +$("which").value; addSliders(); lock(); fit(); };
  const tellSpeed = () => { $("speed-told").textContent = `${(100 * hello.tip_speed * $("speed").value).toFixed(0)} cm/s`; };
  $("speed").oninput = tellSpeed; tellSpeed();
  addTabs(); fit();
  window.addEventListener("resize", fit);
  addSliders();
  press($("deadman"), "deadman", goal);
  press($("home"), "home", () => ({ kind: "home", values: [] }));
  stick($("stick"), "stick", at => { tip[0] = -at[1]; tip[1] = -at[0]; });
  stick($("lever"), "lever", at => { tip[2] = -at[1]; });
  $("stop").onclick = stop;
  $("unstop").onclick = () => send({ t: "unstop" });
  new ResizeObserver(fitScene).observe($("limb"));
}
// -- tiles and tabs fit the screen --------------------------------------------------------------
const TABS = ["Drive", "Limb", "Record", "Actions", "Health", "Plots"];
const isPhone = () => window.innerWidth <= 700 || window.innerHeight <= 500;
function addTabs() {
  const choose = name => {
    letGo(); document.body.dataset.tab = name;
    document.querySelectorAll("#tabs button").forEach(one => one.setAttribute("aria-current", one.textContent === name));
    window.scrollTo(0, 0); fit();
    window.dispatchEvent(new Event("resize"));
  };
  for (const name of TABS) {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = name; button.onclick = () => choose(name);
    $("tabs").append(button);
  }
  choose("Drive");
}
// As many columns as make the tiles largest within the height that the screen leaves for them.
function fit() {
  const box = $("tiles"), gap = tiles.size > MANY ? 4 : 8, width = box.clientWidth;
  if (!tiles.size || !width) return;
  // A phone has room for the cameras of one limb only.
  const onlyMine = isPhone() && tiles.size > MANY;
  for (const [key, tile] of tiles) tile.box.hidden = onlyMine && !key.startsWith(`${limb}_`);
  const high = window.innerHeight, first = hello.limbs[0].cameras[0];
  const room = high <= 500 ? high - 90 : isPhone() ? high - 610 : 0.5 * (high - 62);
  const count = [...tiles.values()].filter(tile => !tile.box.hidden).length;
  const shape = first ? first.width / first.height : 1;
  // Many tiles stand limb by limb: a row holds whole limbs, or a limb whole rows.
  const each = tiles.size > MANY && !onlyMine ? hello.limbs[0].cameras.length : 1;
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= count; columns++) {
    if (columns % each && each % columns) continue;
    const rows = Math.ceil(count / columns);
    const size = Math.min((width - gap * (columns - 1)) / columns, (room - gap * (rows - 1)) / rows * shape);
    if (size > best.size) best = { columns, rows, size };
  }
  const size = Math.max(tiles.size > MANY ? 56 : 72, Math.floor(best.size));
  box.style.gridTemplateColumns = `repeat(${best.columns}, minmax(0, ${size}px))`;
  box.style.gap = `${gap}px`;
  box.classList.toggle("tiny", size < 100);
  document.documentElement.style.setProperty("--tiles", `${Math.ceil(count / best.columns) * (size / shape + gap)}px`);
}
// Of many tiles, limbs that see the target come first, and in each the cameras that see it. Under a pointer none moves.
const MANY = 12, SEEN_MS = 2000;
function arrange() {
  if (tiles.size <= MANY || $("tiles").matches(":hover")) return;
  const now = performance.now();
  const sees = key => now - (tiles.get(key).seenAt || -SEEN_MS) < SEEN_MS;
  hello.limbs.forEach((one, i) => {
    const keys = one.cameras.map((_, j) => `${i}_${j}`), first = keys.some(sees);
    keys.forEach((key, j) => { tiles.get(key).box.style.order = (first ? 0 : 1e6) + 1e4 * i + (sees(key) ? 0 : 1e3) + j; });
  });
}
function addSliders() {
  $("drive").classList.toggle("many", hello.limbs[limb].joints.length > 5);
  $("sliders").replaceChildren(); targets.length = sliders.length = 0;
  hello.limbs[limb].joints.forEach((joint, i) => {
    const row = document.createElement("div"); row.className = "joint";
    row.innerHTML = `<span></span><div class="track"><input type="range"><i class="mark"></i></div><output></output>`;
    row.querySelector("span").textContent = joint.name.replaceAll("_", " ");
    const input = row.querySelector("input");
    Object.assign(input, { min: joint.limits[0], max: joint.limits[1], step: 0.005, value: joint.home });
    input.setAttribute("aria-label", joint.name);
    targets.push(joint.home); sliders.push({ row, input, joint, pinned: false });
    input.addEventListener("pointerdown", () => { if ($("drag").checked) hold(`joint${i}`, row, goal); });
    input.addEventListener("input", () => { targets[i] = +input.value; sliders[i].pinned = true; repeat(); });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      input.addEventListener(end, () => release(`joint${i}`, row));
    $("sliders").append(row);
  });
}

// -- states -------------------------------------------------------------------------------------
function show(message) {
  state = message;
  pose(message);
  const mine = state.limbs[limb];
  $("stop").classList.toggle("on", state.stop === true);
  $("stop").textContent = state.stop ? "STOPPED" : "STOP";
  $("unstop").hidden = !state.stop;
  document.body.classList.toggle("stopped", state.stop === true);
  lock();
  $("rec").hidden = state.recording_s === null;
  if (state.recording_s !== null) {
    const whole = Math.floor(state.recording_s);
    $("rec").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
  const owner = $("owner");
  owner.hidden = false;
  owner.textContent = mine.heard ? (mine.owner ? `moved by ${mine.owner}` : "moved by nobody") : "no joint states";
  owner.className = `chip ${!mine.heard ? "bad" : mine.owner === "web" ? "mine" : mine.owner ? "good" : ""}`;
  for (const [key, sees] of Object.entries(state.seen)) {
    if (!tiles.has(key)) continue;
    tiles.get(key).seenAt = performance.now(); outline(tiles.get(key), sees);
  }
  if (!mine.heard) return;
  sliders.forEach((slider, i) => {
    const [low, high] = slider.joint.limits, measured = mine.joints[i];
    // The thumb's centre runs from 8 px to 8 px before the end.
    const mark = slider.row.querySelector(".mark");
    mark.style.visibility = "visible"; mark.style.left = `calc(8px + (100% - 16px) * ${(measured - low) / (high - low)})`;
    slider.row.querySelector("output").textContent = `${angle(measured)} \u2192 ${angle(targets[i])}`;
    // Where no slider drives, they show where the limb is.
    const follows = held.size ? ["stick", "lever", "home"].some(name => held.has(name)) : !slider.pinned;
    if (follows) { targets[i] = measured; slider.input.value = measured; }
  });
  $("tip").textContent = `tip ${mine.tip.map((x, i) => `${"xyz"[i]} ${Math.round(1000 * x) || 0}`).join("  ")} mm`;
}

// -- pictures -----------------------------------------------------------------------------------
function addTile(i, j, camera) {
  const box = document.createElement("div"); box.className = "tile"; box.id = `tile_${i}_${j}`;
  const canvas = document.createElement("canvas");
  canvas.width = camera.width; canvas.height = camera.height;
  box.style.setProperty("--shape", camera.width / camera.height);
  box.innerHTML = `<div class="name"><span class="long"></span><span class="short"></span><span class="rate"></span></div><div class="wait">waiting for a picture</div>`;
  box.prepend(canvas);
  const many = hello.limbs.length > 1 ? `${hello.limbs[i].name.replaceAll("_", " ")}: ` : "";
  box.querySelector(".short").textContent = hello.limbs.length > 1 ? `${i}.${j}` : j;
  box.querySelector(".long").textContent = box.title = `${many}${j} ${camera.name.replaceAll("_", " ")}`;
  box.onclick = () => box.classList.toggle("large");
  $("tiles").append(box);
  tiles.set(`${i}_${j}`, { box, canvas, times: [], count: 0, at: 0, since: performance.now() });
}
async function picture(data) {
  const view = new DataView(data), i = view.getUint8(0), j = view.getUint8(1);
  const number = view.getUint32(2, true), stamp = view.getFloat64(6, true), received = view.getFloat64(14, true);
  const tile = tiles.get(`${i}_${j}`);
  if (!tile) return;
  try {
    const image = await createImageBitmap(new Blob([new Uint8Array(data, HEAD)], { type: "image/jpeg" }));
    const canvas = tile.canvas, sees = state && state.seen[`${i}_${j}`];
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width; canvas.height = image.height;
    }
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0); image.close();
    tile.stamp = stamp; tile.box.classList.add("has");
    if (sees) outline(tile, sees);
    tile.box.classList.toggle("sees", Boolean(sees));
  } catch { tile.broken = (tile.broken || 0) + 1; }
  const drawn = (performance.timeOrigin + performance.now()) / 1000;
  send({ t: "seen", limb: i, camera: j, number, stamp, received, drawn });
  tile.count += 1; tile.at = performance.now(); tile.delay = 1000 * (drawn - received);
  tile.times.push(tile.at); if (tile.times.length > 20) tile.times.shift();
}
function outline(tile, { stamp, corners }) {
  // The detector answers a moment after the picture: only what belongs together is drawn.
  if (Math.abs(stamp - tile.stamp) > 1e-3) return;
  const pen = tile.canvas.getContext("2d");
  pen.strokeStyle = "#4cc9a6"; pen.lineWidth = Math.max(1, pen.canvas.width / 96);
  pen.beginPath();
  for (let k = 0; k < 8; k += 2) pen[k ? "lineTo" : "moveTo"](corners[k] + .5, corners[k + 1] + .5);
  pen.closePath(); pen.stroke();
}
function age(tile) {
  const quiet = performance.now() - tile.at, times = tile.times, label = tile.box.querySelector(".rate");
  tile.box.classList.toggle("silent", quiet > QUIET_MS && performance.now() > tile.since + QUIET_MS);
  if (!tile.count) label.textContent = "";
  else if (quiet > QUIET_MS) label.textContent = `silent ${(quiet / 1000).toFixed(0)} s`;
  else if (times.length > 2) {
    const rate = 1000 * (times.length - 1) / (times[times.length - 1] - times[0]);
    label.textContent = `${rate.toFixed(0)} Hz`;
  }
}

// -- the robot in three dimensions --------------------------------------------------------------
// Its shapes are objects of three.js (see scene/robot_scene.py); here they are found by name and moved.
const VIEW = { idle: [0x5aa9ff, 0.22, 1], sees: [0x4cc9a6, 0.5, 2.4] };
const meshes = new Map(), WIDE = 1.5;
const scene = () => getElement($("limb").firstElementChild);
function findMeshes() {
  const found = scene();
  if (!found || !found.objects) return;
  for (const { mesh } of found.objects.values()) if (mesh && mesh.name) meshes.set(mesh.name, mesh);
}
// Draws only what has changed and is in sight: three.js alone would draw 20 times a second, on a phone's battery.
let shown = "", drawnAt = 0;
function drawSeldom(found) {
  const renderer = found.renderer, draw = renderer.render.bind(renderer), box = $("limb");
  renderer.isThrifty = true;
  renderer.render = (scene, camera) => {
    const now = performance.now();
    const key = [camera.position.toArray(), camera.quaternion.toArray(), camera.fov, box.clientWidth,
      box.clientHeight, found.objects.size, joints.length, shown].join();
    if (!box.clientWidth || document.hidden || (key === found.lastView && now - drawnAt < 1000)) return;
    found.lastView = key; drawnAt = now;
    draw(scene, camera);
  };
}
function fitScene() {
  const found = scene(), box = $("limb");
  if (!found || !found.renderer || !found.controls || !box.clientWidth) return;
  if (!found.renderer.isThrifty) drawSeldom(found);
  // A high, narrow picture shows as much to its sides as a wide one.
  const half = Math.tan(found.cameraParams.fov * Math.PI / 360) * Math.max(1, WIDE * box.clientHeight / box.clientWidth);
  found.camera.fov = 360 / Math.PI * Math.atan(half);
  found.resize();
}
function place(mesh, r, s) {
  mesh.matrixAutoUpdate = false;
  mesh.matrix.set(r[0], r[1], r[2], s[0], r[3], r[4], r[5], s[1], r[6], r[7], r[8], s[2], 0, 0, 0, 1);
  mesh.matrixWorldNeedsUpdate = true;
}
// The skin of each limb hangs on joints, which turn by a share of a hinge's angle about its pivot (skin_file.py).
let skin = null, joints = [], tools = null;
function findJoints() {
  const found = meshes.get("skin");
  if (!found || (found === skin && joints.length)) return;
  skin = found; joints = [];
  skin.traverse(one => {
    if (one.isSkinnedMesh) one.frustumCulled = false;
    if (one.isBone && one.userData.hinge >= 0) { one.matrixAutoUpdate = false; joints.push(one); }
  });
  if (!joints.length) return;
  const one = joints[0];
  tools = { before: one.matrix.clone(), after: one.matrix.clone(), turn: one.quaternion.clone(), to: one.quaternion.clone(),
    from: one.position.clone(), pivot: one.position.clone() };
}
const frame = (matrix, r, s) => r ? matrix.set(r[0], r[1], r[2], s[0], r[3], r[4], r[5], s[1], r[6], r[7], r[8], s[2], 0, 0, 0, 1)
  : matrix.identity();
function bend(message) {
  for (const joint of joints) {
    const about = joint.userData, { rotations, shifts, heard } = message.limbs[about.limb];
    if (!heard) continue;
    const { before, after, turn, to, from, pivot } = tools;
    frame(after, rotations[about.hinge], shifts[about.hinge]);
    if (about.share < 1) {
      frame(before, rotations[about.parent], shifts[about.parent]);
      turn.setFromRotationMatrix(before).slerp(to.setFromRotationMatrix(after), about.share);
      from.fromArray(about.pivot).applyMatrix4(before);
      pivot.fromArray(about.pivot).applyQuaternion(turn);
      after.makeRotationFromQuaternion(turn).setPosition(from.sub(pivot));
    }
    joint.matrix.copy(after); joint.matrixWorldNeedsUpdate = true;
  }
}
function pose(message) {
  // A scene that was built anew, after its graphics memory was lost, has other objects.
  if (!document.hidden && $("limb").clientWidth) {
    findMeshes();
    const found = scene();
    if (found && found.renderer && !found.renderer.isThrifty) fitScene();
  }
  shown = JSON.stringify([message.limbs.map(one => [one.rotations, one.shifts]), Object.keys(message.seen)]);
  message.limbs.forEach((one, i) => {
    if (!one.heard) return;
    one.rotations.forEach((r, k) => {
      const mesh = meshes.get(`link_${i}_${k}`);
      if (mesh) place(mesh, r, one.shifts[k]);
    });
  });
  findJoints(); bend(message);
  for (const [name, mesh] of meshes) {
    if (!name.startsWith("camera_") || !mesh.children.length) continue;
    const [color, opacity, scale] = message.seen[name.slice(7)] ? VIEW.sees : VIEW.idle;
    mesh.scale.setScalar(scale);
    mesh.children[0].material.color.setHex(color); mesh.children[0].material.opacity = opacity;
  }
}

// NiceGUI builds the page a moment after this script is loaded.
const waiting = setInterval(() => {
  if (["stop", "tiles", "limb", "deadman", "note", "tabs"].every($)) { clearInterval(waiting); connect(); }
}, 30);
})();
