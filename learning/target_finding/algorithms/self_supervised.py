"""Self-supervised pretraining of the image encoder (motor babbling).

The robot takes short random walks; the encoder learns to estimate from the cameras' tiles the
commands, which the robot knows. During training some tiles are corrupted as failing cameras corrupt
them, so that it learns to rely on the others.
"""

from __future__ import annotations

import io
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from asterias.errors import UserError
from asterias.files import write_bytes
from asterias.progress import OnProgress
from asterias.provenance import provenance
from learning.target_finding.algorithms.checkpoint import (
    CHECKPOINT_FILE,
    load_checkpoint,
    save_checkpoint,
)
from learning.target_finding.env.cameras import NOISE
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.observation import Tiles
from learning.target_finding.env.options import (
    SilentFailure,
    TargetFindingOptions,
    with_command_range,
)
from learning.target_finding.policies.encoder import TILE_PX, TileEncoder, shrunk
from learning.target_finding.policies.linear_policy import save_policy
from learning.target_finding.policies.weight_files import find_weights, read_tensors, shortened

KIND = "tile_encoder"
ENCODER_FILE = "encoder.safetensors"
ENCODERS = Path(str(files("learning.target_finding") / "weights" / "encoders"))

# Observations of a walk: its random start, and as many steps as an episode has.
WALK = 6
# Walks in one file of poses.
SHARD = 500

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PretrainingConfig:
    """One pretraining.

    Attributes:
        out: folder for poses, checkpoint and encoder.
        options: the protocol, whose increments and waits the walks have.
        walks: random walks, of six observations each; a multiple of 500.
        epochs: passes over all observations.
        corrupted: fraction of observations of which one or two tiles are corrupted.
        learning_rate: of Adam; falls linearly to 0.
        seed: of everything.
        processes: that simulate, and threads that learn.
        resume: go on from what is in ``out``.
    """

    out: Path
    options: TargetFindingOptions = TargetFindingOptions(observe="images")  # noqa: RUF009
    walks: int = 6000
    epochs: int = 12
    corrupted: float = 0.5
    learning_rate: float = 1e-3
    seed: int = 0
    processes: int = 2
    resume: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", with_command_range(self.options))
        if self.walks < SHARD or self.walks % SHARD:
            raise UserError(f"--walks must be a multiple of {SHARD}.")
        if self.epochs < 1 or not 0 <= self.corrupted <= 1:
            raise UserError("--epochs must be 1 or more, and --corrupted from 0 to 1.")

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have in common with a pretraining that goes on from it."""
        return {k: v for k, v in asdict(self).items() if k not in ("out", "resume", "processes")}


def pretrain(
    config: PretrainingConfig, on_progress: OnProgress = lambda what, done, total: None
) -> dict[str, Any]:
    """Walk, learn, write the encoder, and return its card.

    Returns:
        The card.

    Raises:
        UserError: there is nothing to resume, or something that would be overwritten.
    """
    path = config.out / ENCODER_FILE
    if path.exists() and not config.resume:
        raise UserError(f"{config.out} holds an encoder; choose another --out.")
    poses = _gather(config, on_progress)
    encoder, errors = _learn(config, poses, on_progress)
    card = {**provenance(config.seed), **config.settings, **errors}
    save_policy(path, KIND, encoder.tensors, card)
    return card


def find_encoder(name: str) -> TileEncoder:
    """Return an encoder by its name among those that come with Asterias, or by file or folder.

    Raises:
        UserError: there is none.
    """
    path = find_weights(name, ENCODER_FILE, ENCODERS)
    if path is None:
        raise UserError(
            f"There is no encoder '{shortened(name)}'; make one with: python -m learning pretrain "
            "--out DIR."
        )
    try:
        return TileEncoder.from_tensors(read_tensors(path))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not an encoder: {error}.") from error


# -- poses ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WalkDataset:
    """Observations of all walks: tiles ``(walks, 6, c, 48, 48)``, commands ``(walks, 6, n)``."""

    tiles: Tiles
    commands: Array


def _gather(config: PretrainingConfig, on_progress: OnProgress) -> WalkDataset:
    folder = config.out / "poses"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03d}.npz" for i in range(config.walks // SHARD)]
    todo = [i for i, path in enumerate(paths) if not path.exists()]
    # WalkDataset of a pretraining with other options must not be taken for these.
    _check_or_begin(config)
    on_progress("walks", (len(paths) - len(todo)) * SHARD, config.walks)
    with ProcessPoolExecutor(config.processes, get_context("forkserver"), _start_worker) as pool:
        jobs = [pool.submit(_walk_shard, config, i, paths[i]) for i in todo]
        for number, job in enumerate(jobs):
            job.result()
            on_progress("walks", (len(paths) - len(todo) + number + 1) * SHARD, config.walks)
    parts = [np.load(path) for path in paths]
    return WalkDataset(
        np.concatenate([p["tiles"] for p in parts]), np.concatenate([p["commands"] for p in parts])
    )


def _check_or_begin(config: PretrainingConfig) -> None:
    """Refuse a folder of other settings; save a first checkpoint in a new one."""
    if (config.out / CHECKPOINT_FILE).exists():
        load_checkpoint(config.out, config.settings)
    else:
        save_checkpoint(config.out, {}, config.settings, {"epoch": 0})


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _walk_shard(config: PretrainingConfig, shard: int, path: Path) -> None:
    tiles, commands = [], []
    with TargetFindingEnv(config.options) as environment:
        for walk in range(shard * SHARD, (shard + 1) * SHARD):
            start, draws = np.random.SeedSequence((config.seed, walk)).generate_state(2)
            seen, where = _walk(environment, int(start), np.random.default_rng(int(draws)))
            tiles.append(seen)
            commands.append(where)
    content = _npz(tiles=np.stack(tiles), commands=np.stack(commands))
    write_bytes(path, content)


def _walk(
    environment: TargetFindingEnv, seed: int, rng: np.random.Generator
) -> tuple[Tiles, Array]:
    """Return the tiles and commands of a walk, which does not end where the tag is seen."""
    seen, _ = environment.reset(seed=seed)
    largest = environment.options.increment
    tiles, commands = [shrunk(seen)], [environment.command]
    for _ in range(WALK - 1):
        step = rng.uniform(-largest, largest, environment.command.size).astype(np.float32)
        seen, *_ = environment.step(step)
        tiles.append(shrunk(seen))
        commands.append(environment.command)
    return np.stack(tiles), np.stack(commands).astype(np.float32)


def _npz(**arrays: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


# -- learning -------------------------------------------------------------------------------------


def _learn(
    config: PretrainingConfig, poses: WalkDataset, on_progress: OnProgress
) -> tuple[TileEncoder, dict[str, Any]]:
    walks = len(poses.tiles)
    held = max(walks // 20, 1)  # a twentieth is not learned from
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.processes)
    encoder = TileEncoder(poses.tiles.shape[2], poses.commands.shape[2])
    optimizer = torch.optim.Adam(encoder.parameters(), lr=config.learning_rate)
    state, about = load_checkpoint(config.out, config.settings)
    if about["epoch"]:
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
    for epoch in range(about["epoch"], config.epochs):
        rng = np.random.default_rng((config.seed, epoch))
        _epoch(config, encoder, optimizer, poses, walks - held, epoch, rng)
        state = {"encoder": encoder.state_dict(), "optimizer": optimizer.state_dict()}
        save_checkpoint(config.out, state, config.settings, {"epoch": epoch + 1})
        on_progress("epochs", epoch + 1, config.epochs)
    encoder.eval()
    return encoder, _errors(config, encoder, poses, walks - held)


def _epoch(
    config: PretrainingConfig,
    encoder: TileEncoder,
    optimizer: torch.optim.Optimizer,
    poses: WalkDataset,
    learned: int,
    epoch: int,
    rng: np.random.Generator,
) -> None:
    order, size = rng.permutation(learned * WALK), 128
    batches = len(order) // size
    for number in range(batches):
        for group in optimizer.param_groups:
            done = (epoch + number / batches) / config.epochs
            group["lr"] = config.learning_rate * (1.0 - done)
        chosen = order[number * size : (number + 1) * size]
        tiles, wanted = _batch(poses, chosen, config.corrupted, rng)
        loss = torch.nn.functional.smooth_l1_loss(
            encoder(torch.from_numpy(tiles)), torch.from_numpy(wanted), beta=0.1
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _batch(
    poses: WalkDataset, chosen: npt.NDArray[np.int64], corrupted: float, rng: np.random.Generator
) -> tuple[Tiles, Array]:
    walk, look = np.divmod(chosen, WALK)
    tiles = poses.tiles[walk, look].copy()
    for i in np.flatnonzero(rng.random(len(chosen)) < corrupted):
        cameras = rng.choice(tiles.shape[1], size=int(rng.integers(1, 3)), replace=False)
        for camera in cameras:
            kind = _KINDS[int(rng.integers(len(_KINDS)))]
            tiles[i, camera] = _corrupted_tile(
                poses, int(walk[i]), int(look[i]), int(camera), kind, rng
            )
    return tiles, poses.commands[walk, look]


_KINDS: tuple[SilentFailure, ...] = ("black", "frozen", "noisy", "delayed")


def _corrupted_tile(
    poses: WalkDataset,
    walk: int,
    look: int,
    camera: int,
    kind: SilentFailure,
    rng: np.random.Generator,
) -> Tiles:
    """Return the tile of a camera that fails in this way, as :class:`FaultyCameraArray` does."""
    seen: Tiles = np.zeros((TILE_PX, TILE_PX), np.uint8)
    if kind == "frozen":
        seen = poses.tiles[walk, int(rng.integers(look + 1)), camera]
    elif kind == "delayed":
        seen = poses.tiles[walk, max(look - 1, 0), camera]
    elif kind == "noisy":
        # Four noisy pixels are averaged into one.
        noise = rng.normal(0.0, NOISE / 2, seen.shape)
        seen = np.clip(poses.tiles[walk, look, camera] + noise, 0, 255).astype(np.uint8)
    return seen


@torch.no_grad()
def _errors(
    config: PretrainingConfig, encoder: TileEncoder, poses: WalkDataset, first: int
) -> dict[str, Any]:
    """Return mean absolute errors of commands on held-out walks, intact and corrupted."""
    rng = np.random.default_rng((config.seed, 1 << 20))
    chosen = np.arange(first * WALK, len(poses.tiles) * WALK)
    errors = {}
    for name, corrupted in (("error", 0.0), ("error_corrupted", 1.0)):
        apart = []
        for part in np.array_split(chosen, max(len(chosen) // 256, 1)):
            tiles, wanted = _batch(poses, part, corrupted, rng)
            apart.append(np.abs(encoder(torch.from_numpy(tiles)).numpy() - wanted))
        errors[name] = np.concatenate(apart).mean(axis=0).round(4).tolist()
    return errors
