"""The layout LeRobotDataset v3: names of files and columns, and when a file is full."""

from __future__ import annotations

VERSION = "v3.0"
PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{PLACE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{PLACE}.mp4"
EPISODES_PATH = f"meta/episodes/{PLACE}.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB = 100
VIDEO_FILE_MB = 200
IMAGES = "observation.images."
STATE, ACTION = "observation.state", "action"
ENVIRONMENT = "observation.environment_state"
# Columns of one number, and their types.
NUMBERS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
    "next.done": "bool",
    "next.success": "bool",
}


def next_place(place: tuple[int, int]) -> tuple[int, int]:
    """Return chunk and file that follow chunk and file."""
    chunk, file = place
    return (chunk, file + 1) if file + 1 < FILES_PER_CHUNK else (chunk + 1, 0)
