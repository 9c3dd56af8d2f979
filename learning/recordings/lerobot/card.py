"""The card of a data set, ``README.md``, which the Hugging Face hub shows and filters by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asterias import __version__
from learning.recordings.lerobot.layout import VERSION

_CARD = """\
---
task_categories:
- robotics
tags:
- LeRobot
- asterias
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {episodes} episodes of {robot}

{frames} frames at {fps} Hz, recorded with Asterias {version} in the layout LeRobotDataset {layout}.

| feature | type | shape |
| --- | --- | --- |
{features}

```python
from learning.recordings.datasets import FramesDataset      # Asterias
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # LeRobot
```
"""


def dataset_card(info: Mapping[str, Any]) -> str:
    """Return the card of a data set.

    Args:
        info: the content of ``meta/info.json``.
    """
    features = "\n".join(
        f"| `{name}` | {about['dtype']} | {' x '.join(map(str, about['shape']))} |"
        for name, about in info["features"].items()
    )
    return _CARD.format(
        episodes=info["total_episodes"],
        robot=info["robot_type"],
        frames=info["total_frames"],
        fps=info["fps"],
        version=__version__,
        layout=VERSION,
        features=features,
    )
