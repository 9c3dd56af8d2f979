"""The zoo: hundreds of language models trained at once, kept with snapshots of their way.

All networks take each step together, in one vmapped pass; their losses are added, so that each has
the gradient that it has alone (arXiv 2403.11998 trains them one by one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, one_hot

from asterias.errors import UserError
from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.weight_space.recurrent_nets import NetForm, Nets, draw_nets, first_state, run, step
from learning.weight_space.zoo.languages import END, LENGTH, OFFSETS, TOKENS, accepted, draw_words

ZOO_FILE = "zoo.safetensors"
_SAVE_EVERY = 100
# Words that a network makes up, to see how many belong to its language (the paper's clone test).
_TRIALS = 100


@dataclass(frozen=True)
class ZooOptions:
    """How the zoo is made; rates are those of the paper's code.

    Attributes:
        networks: in all, the same number for each language.
        cell: of the networks.
        hidden: units of each.
        snapshots: updates after which all networks are kept; training ends with the last.
        batch: words of each network in an update.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        clip: largest norm of a network's gradient.
        seed: of everything.
    """

    networks: int = 360
    cell: str = "lstm"
    hidden: int = 16
    snapshots: tuple[int, ...] = (50, 150, 400)
    batch: int = 16
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    clip: float = 1.0
    seed: int = 0

    @property
    def form(self) -> NetForm:
        """Form of the networks."""
        return NetForm(self.cell, TOKENS, self.hidden, TOKENS)


@dataclass(frozen=True)
class Zoo:
    """Trained networks, snapshot after snapshot: row ``s * networks + i`` is network i at s.

    Attributes:
        form: of the networks.
        nets: all rows.
        tasks: ``(rows,)`` number of the language.
        runs: ``(rows,)`` number of the training, which all snapshots of a network share.
        steps: ``(rows,)`` number of the snapshot.
        accuracy: ``(rows,)`` share of made-up words that belong to the language.
    """

    form: NetForm
    nets: Nets
    tasks: torch.Tensor
    runs: torch.Tensor
    steps: torch.Tensor
    accuracy: torch.Tensor


def make_zoo(
    folder: Path,
    options: ZooOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Zoo | None:
    """Return the zoo of a folder; train what is missing of it, from where it was stopped.

    Args:
        folder: where it is kept.
        options: how it is made.
        on_progress: told updates and their total.
        should_stop: asked after each update.

    Returns:
        The zoo; None where it was stopped before the end.

    Raises:
        UserError: there are fewer networks than languages, or the folder's zoo has other options.
    """
    if options.networks < len(OFFSETS) or not options.snapshots:
        raise UserError(f"A zoo needs {len(OFFSETS)} networks and one snapshot at least.")
    training = _ZooTraining(options, folder / ZOO_FILE)
    total = max(options.snapshots)
    while training.done < total:
        training.update()
        stopped = should_stop()
        if stopped or training.done % _SAVE_EVERY == 0 or training.done == total:
            training.save()
        on_progress(training.done, total)
        if stopped and training.done < total:
            return None
    return training.zoo()


class _ZooTraining:
    """A zoo while it is trained."""

    def __init__(self, options: ZooOptions, path: Path) -> None:
        self.options, self.path = options, path
        self._generator = torch.Generator().manual_seed(options.seed)
        self.tasks = torch.arange(options.networks) % len(OFFSETS)
        nets = draw_nets(options.form, options.networks, self._generator)
        self.nets = {name: part.requires_grad_() for name, part in nets.items()}
        self._adam = torch.optim.AdamW(
            list(self.nets.values()), options.learning_rate, weight_decay=options.weight_decay
        )
        self.done = 0
        self._kept: list[Nets] = []
        if path.exists():
            self._load()

    def update(self) -> None:
        """Take a step with all networks."""
        tokens, mask = draw_words(self.tasks, self.options.batch, self._generator)
        seen = one_hot(tokens[..., :-1], TOKENS).float()
        out = run(self.options.form, self.nets, seen)
        each = cross_entropy(out.flatten(0, 2), tokens[..., 1:].flatten(), reduction="none")
        own = (each.view(mask.shape) * mask).sum((1, 2)) / mask.sum((1, 2))
        self._adam.zero_grad(set_to_none=True)
        own.sum().backward()  # type: ignore[no-untyped-call]
        self._clip()
        self._adam.step()
        self.done += 1
        if self.done in self.options.snapshots:
            self._kept.append({k: v.detach().clone() for k, v in self.nets.items()})

    def _clip(self) -> None:
        """Shorten each network's own gradient."""
        grads = [part.grad for part in self.nets.values() if part.grad is not None]
        norm = torch.stack([(grad**2).flatten(1).sum(1) for grad in grads]).sum(0).sqrt()
        shorter = (self.options.clip / norm.clamp(min=1e-9)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(shorter.view(-1, *[1] * (grad.ndim - 1)))

    def save(self) -> None:
        """Keep everything that the rest of the training depends on."""
        state = {
            "nets": {k: v.detach() for k, v in self.nets.items()},
            "adam": self._adam.state_dict(),
            "generator": self._generator.get_state(),
            "kept": self._kept,
        }
        save_state(self.path, state, asdict(self.options), {"done": self.done})

    def _load(self) -> None:
        state, about = load_state(self.path, asdict(self.options))
        with torch.no_grad():
            for name, part in self.nets.items():
                part.copy_(state["nets"][name])
        self._adam.load_state_dict(state["adam"])
        self._generator.set_state(state["generator"])
        self._kept, self.done = state["kept"], int(about["done"])

    def zoo(self) -> Zoo:
        """Return what was trained."""
        options, stages = self.options, len(self._kept)
        tasks = self.tasks.repeat(stages)
        nets = {name: torch.cat([kept[name] for kept in self._kept]) for name in self.nets}
        return Zoo(
            options.form,
            nets,
            tasks,
            torch.arange(options.networks).repeat(stages),
            torch.arange(stages).repeat_interleave(options.networks),
            word_accuracy(options.form, nets, tasks, options.seed),
        )


def word_accuracy(form: NetForm, nets: Nets, tasks: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return the share ``(N,)`` of words made up by networks that belong to their languages.

    Args:
        form: of the networks.
        nets: N networks.
        tasks: ``(N,)`` their languages.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    count = len(tasks)
    token = torch.full((count, _TRIALS), END)
    state, words = first_state(form, count, _TRIALS), []
    with torch.no_grad():
        for _ in range(LENGTH + 1):
            state, out = step(form.cell, nets, state, one_hot(token, TOKENS).float())
            likely = torch.softmax(out, -1).flatten(0, 1)
            token = torch.multinomial(likely, 1, generator=generator).view(count, _TRIALS)
            words.append(token)
    return accepted(torch.stack(words, -1), tasks).float().mean(1)
