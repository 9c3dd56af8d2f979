"""``export --to huggingface``: a folder as the Hugging Face hub shows it; ours read it as well.

It holds ``config.json``, the policy's card; ``model.safetensors``, its weights; and ``README.md``,
the model card with the hub's tags. Nothing is uploaded: that is the user's own ``hf upload``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asterias import __version__
from asterias.files import write_folder, write_text
from learning.target_finding.policies.policy_files import (
    HUB_CARD,
    HUB_FILE,
    Policy,
    load_policy,
)

_CARD = """\
---
library_name: asterias
pipeline_tag: robotics
tags:
- robotics
- reinforcement-learning
- asterias
- {algorithm}
---

# {title}

A policy that moves a limb until one of its cameras sees an AprilTag
(`Asterias/TargetFinding-v0` of Asterias {version}).

| | |
| --- | --- |
{rows}

## Use

```bash
hf download OWNER/NAME --local-dir policy
asterias learning evaluate --policy policy
ros2 action send_goal /find_target asterias_interfaces/action/FindTarget "{{policy: policy}}"
```

`model.safetensors` holds the weights and `config.json` how they were trained, with the options of
the environment. Nothing in this folder is pickled.
"""


def write(policy: Policy, path: Path) -> str:
    """Write the folder.

    Args:
        policy: of ours.
        path: folder to make. A UserError says so where there is something of that name.

    Returns:
        A sentence on what comes next.
    """
    with write_folder(path) as folder:
        policy.save(folder / HUB_FILE)
        folder.joinpath(HUB_FILE).with_suffix(".json").rename(folder / HUB_CARD)
        write_text(folder / "README.md", _model_card(policy.card, path.name))
        load_policy(folder)
    return (
        f"it loads again; add a licence to README.md, then `hf upload OWNER/{path.name} {path}` "
        "publishes it"
    )


def _model_card(card: Any, title: str) -> str:
    options = card["options"]
    rows = {
        "robot": f"{options['robot']}, limb {options['limb']}",
        "joints, cameras": f"{len(options['command_range'])}, {card.get('cameras', 4)}",
        "dead cameras in training": options["faults"],
        "observation": options.get("observe", "commands"),
        "algorithm": card.get("algorithm", "ppo"),
        "steps of the robot": card.get("steps", card.get("sb3_steps")),
        "imported from": card.get("imported_from"),
        "last episodes": _last(card),
        "trained with": ", ".join(f"{k} {v}" for k, v in card.get("versions", {}).items()),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value not in (None, "")]
    return _CARD.format(
        algorithm=card.get("algorithm", "ppo"),
        title=title,
        version=__version__,
        rows="\n".join(lines),
    )


def _last(card: Any) -> str | None:
    """Return how the last episodes of the training went, as the card tells it."""
    for key in ("last_5_iterations", "last_15_episodes"):
        if isinstance(card.get(key), dict):
            return f"{json.dumps(card[key].get('mean_steps'))} steps each, in training"
    return None
