"""Functionalist encoders: they ask a recurrent network questions, and read its answers.

A long short-term memory reads the answers; in the interactive form the next question depends on
what it has read, in the other the questions are learned constants (arXiv 2403.11998). What hidden
units are called does not matter, nor how many there are or of what kind: anything that answers can
be asked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from learning.weight_space.encoders.mechanistic import perceptron
from learning.weight_space.recurrent_nets import NetForm, Nets, first_state, step

# What is asked: questions (N, S, inputs) to answers (N, S, answers), step after step.
Asked = Callable[[torch.Tensor], torch.Tensor]


class Questions(Protocol):
    """How an encoder's numbers become questions that the networks can be asked.

    Attributes:
        numbers: that make a question.
        answers: numbers of an answer.
    """

    numbers: int
    answers: int

    @abstractmethod
    def question(
        self, numbers: torch.Tensor, last: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        """Return questions ``(N, S, inputs)``.

        Args:
            numbers: ``(N, S, numbers)``.
            last: question and answer before; None at first, and where questions are constants.
        """

    @abstractmethod
    def answer(self, out: torch.Tensor) -> torch.Tensor:
        """Return answers ``(..., answers)`` as they are read, for a network's outputs."""


class TokenQuestions:
    """Questions to a language model: a mixture of tokens; answers: the likely next tokens.

    Args:
        tokens: number of tokens.
    """

    def __init__(self, tokens: int) -> None:
        self.numbers = self.answers = tokens

    def question(
        self, numbers: torch.Tensor, last: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        """Return probabilities of tokens."""
        return torch.softmax(numbers, -1)

    def answer(self, out: torch.Tensor) -> torch.Tensor:
        """Return probabilities of next tokens."""
        return torch.softmax(out, -1)


class ProbingEncoder(nn.Module):
    """Asks S sequences of L questions each.

    Args:
        questions: what can be asked.
        embedding: size of the representation.
        interactive: questions depend on the answers before.
        rounds: L, questions of a sequence.
        parallel: S, sequences.
        width: units of the memory that reads.
        form: of networks that are asked by :meth:`forward`; None where :meth:`ask` is called.
    """

    def __init__(
        self,
        questions: Questions,
        embedding: int,
        *,
        interactive: bool,
        rounds: int = 16,
        parallel: int = 1,
        width: int = 64,
        form: NetForm | None = None,
    ) -> None:
        super().__init__()
        self.questions, self.interactive, self.form = questions, interactive, form
        self.rounds, self.parallel, self.width = rounds, parallel, width
        self.embedding = embedding
        self.begin = nn.Parameter(0.5 * torch.randn(parallel, width))
        # The constants of the one form; in the other they are added to what the memory asks, so
        # that both begin with the same kind of questions.
        self.constants = nn.Parameter(torch.randn(rounds, parallel, questions.numbers))
        self.asks = nn.Linear(width, questions.numbers) if interactive else None
        self.reads = nn.Linear(questions.answers, width)
        self.memory = nn.LSTMCell(width, width)
        self.last = perceptron((parallel * width, 128, embedding))

    def forward(self, nets: Nets) -> torch.Tensor:
        """Return representations ``(N, embedding)`` of networks.

        Args:
            nets: N networks of the encoder's form.

        Raises:
            ValueError: the encoder has no form.
        """
        if self.form is None:
            raise ValueError("This encoder asks what it is given; call ask().")
        cell, count = self.form.cell, len(nets["bias_ih"])
        state = first_state(self.form, count, self.parallel)

        def answer(x: torch.Tensor) -> torch.Tensor:
            nonlocal state
            state, out = step(cell, nets, state, x)
            return out

        return self.ask(answer, count)

    def ask(self, answer: Asked, count: int) -> torch.Tensor:
        """Return representations ``(count, embedding)`` of whatever answers.

        Args:
            answer: outputs ``(N, S, o)`` for questions ``(N, S, inputs)``; it remembers.
            count: N.
        """
        hidden = self.begin.expand(count, -1, -1).reshape(-1, self.width)
        cells = torch.zeros_like(hidden)
        last: tuple[torch.Tensor, torch.Tensor] | None = None
        for number in range(self.rounds):
            numbers = self.constants[number].expand(count, -1, -1)
            if self.asks is not None:
                numbers = numbers + self.asks(hidden).view(count, self.parallel, -1)
            question = self.questions.question(numbers, last if self.interactive else None)
            read = self.questions.answer(answer(question))
            hidden, cells = self.memory(self.reads(read).flatten(0, 1), (hidden, cells))
            last = (question, read)
        out: torch.Tensor = self.last(hidden.view(count, -1))
        return out
