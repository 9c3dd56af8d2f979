"""Formal languages a^n b^(n + m), one for each m: to know where a word ends is to know m."""

from __future__ import annotations

import torch

# Tokens: one for beginning and end, and the two letters.
END, A, B = 0, 1, 2
TOKENS = 3
# The languages of arXiv 2403.11998 differ by this; their place in the row is the task's number.
OFFSETS = (-3, -2, -1, 0, 1, 2)
# Every language has the same n, so that the a's tell nothing; n + m is never below 1.
LEAST, MOST = 4, 8
# Steps of the longest word, its end included: n = 8 and m = 2.
LENGTH = 2 * MOST + max(OFFSETS) + 1


def draw_words(
    tasks: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw words of languages.

    Args:
        tasks: ``(N,)`` numbers of languages.
        count: S words of each.
        generator: of the draws.

    Returns:
        Tokens ``(N, S, LENGTH + 1)``: the beginning, the word, its end, then ends again; and the
        mask ``(N, S, LENGTH)`` of the steps whose next token belongs to the word or is its end.
    """
    n = torch.randint(LEAST, MOST + 1, (len(tasks), count, 1), generator=generator)
    total = 2 * n + torch.tensor(OFFSETS)[tasks][:, None, None]
    place = torch.arange(LENGTH + 1)
    tokens = torch.where(place <= n, A, torch.where(place <= total, B, END))
    tokens[..., 0] = END
    return tokens, place[:-1] <= total


def accepted(words: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
    """Return which words ``(N, S, T)`` (without their beginning) belong to languages ``(N,)``.

    Returns:
        ``(N, S)``; a word that does not end within T steps does not belong.
    """
    ended = words == END
    length = torch.where(ended.any(-1), ended.int().argmax(-1), words.shape[-1])
    n = (words == A).int().cummin(-1).values.sum(-1)
    place = torch.arange(words.shape[-1])
    letters = (words == B) | (place < n[..., None])
    whole = (letters | (place >= length[..., None])).all(-1)
    offset = torch.tensor(OFFSETS)[tasks][:, None]
    return ended.any(-1) & whole & (n > 0) & (length == 2 * n + offset)
