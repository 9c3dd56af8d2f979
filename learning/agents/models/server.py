"""Models behind any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, Ollama, ...)."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from learning.agents.graph.messages import AgentError, Answer, FailureKind, Usage
from learning.agents.models.model import OnText, Request

_HINT = "install it with: pip install -c constraints.txt -e '.[openai]'."


@dataclass(frozen=True)
class ServerOptions:
    """How to reach a model."""

    model: str = "llama3.1"
    """Name of the model on the server."""
    base_url: str = "http://127.0.0.1:11434/v1"
    """Root of the server's API; the default is Ollama's on this machine."""
    timeout_s: float = 30.0
    """Time for one attempt."""
    retries: int = 2
    """Attempts after a first that failed on the way, and again after one that cannot be read."""
    temperature: float = 0.0
    """0 is as repeatable as the server can be, which is not a promise."""
    seed: int = 0
    """Sent along; servers may ignore it."""
    prompt_price: float = 0.0
    """Price of a million prompt tokens."""
    completion_price: float = 0.0
    """Price of a million completion tokens."""


class ServerModel:
    """A model on a server; replies are streamed, must fit the request's JSON schema, and are paid.

    Raises:
        AgentError: the ``openai`` package is missing.
    """

    def __init__(self, options: ServerOptions) -> None:
        try:
            import openai
        except ImportError as error:
            text = f"The package openai is not installed; {_HINT}"
            raise AgentError(FailureKind.ERROR, text) from error
        self._openai, self._options = openai, options
        self.name = f"openai:{options.model}"

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Ask until a reply can be read; see :class:`learning.agents.models.model.Model`."""
        usage, wrong = Usage(), ""
        messages = [
            {"role": "system", "content": _system(request)},
            {"role": "user", "content": request.prompt()},
        ]
        for _ in range(self._options.retries + 1):
            text, spent = await self._ask(messages, request, on_text)
            usage += spent
            try:
                fields = request.schema.model_validate_json(text).model_dump()
            except ValidationError as error:
                wrong = error.errors()[0]["msg"]
                again = f"That was not the JSON asked for ({wrong}). Answer again."
                messages += [
                    {"role": "assistant", "content": text},
                    {"role": "user", "content": again},
                ]
                continue
            if request.options and fields.get("answer") not in (None, *request.options):
                # Not one of the allowed answers: an abstention, never a guess.
                fields["answer"] = None
            return Answer(text, fields, self.name, usage)
        text = (
            f"{self.name} gave no readable reply in {self._options.retries + 1} attempts: {wrong}."
        )
        raise AgentError(FailureKind.MALFORMED, text)

    async def _ask(
        self, messages: list[dict[str, str]], request: Request, on_text: OnText | None
    ) -> tuple[str, Usage]:
        """One reply, streamed."""
        # A client per call: its connections belong to the event loop that runs now.
        client = self._openai.AsyncOpenAI(
            base_url=self._options.base_url,
            # From the environment, as the client itself does; local servers ask for none.
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=self._options.timeout_s,
            max_retries=self._options.retries,
        )
        try:
            async with client:
                stream = await client.chat.completions.create(**self._arguments(messages, request))
                # The client's time-out is for each piece: a trickle has to end as well.
                whole = self._collect(stream, on_text)
                return await asyncio.wait_for(whole, self._options.timeout_s)
        except (self._openai.APITimeoutError, asyncio.TimeoutError) as error:
            text = f"{self.name} did not answer within {self._options.timeout_s:g} s."
            raise AgentError(FailureKind.TIMEOUT, text) from error
        except self._openai.APIConnectionError as error:
            text = f"{self._options.base_url} cannot be reached; is the server running?"
            raise AgentError(FailureKind.ERROR, text) from error
        except self._openai.APIStatusError as error:
            text = f"{self._options.base_url} answered {error.status_code}: {_short(error.message)}"
            raise AgentError(FailureKind.ERROR, text) from error
        except self._openai.OpenAIError as error:
            raise AgentError(FailureKind.ERROR, f"{self.name}: {_short(str(error))}") from error
        except (AttributeError, TypeError, ValueError) as error:
            text = f"{self._options.base_url} does not speak the chat protocol: {error}."
            raise AgentError(FailureKind.MALFORMED, text) from error

    def _arguments(self, messages: list[dict[str, str]], request: Request) -> dict[str, Any]:
        schema = {
            "name": request.schema.__name__,
            "schema": request.schema.model_json_schema(),
            "strict": True,
        }
        return {
            "model": self._options.model,
            "messages": messages,
            "temperature": self._options.temperature,
            "seed": self._options.seed,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def _collect(self, stream: Any, on_text: OnText | None) -> tuple[str, Usage]:
        pieces: list[str] = []
        prompt = completion = 0
        async for chunk in stream:
            if chunk.usage is not None:
                prompt, completion = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            for choice in chunk.choices:
                if choice.delta.content:
                    pieces.append(choice.delta.content)
                    if on_text is not None:
                        on_text(choice.delta.content)
        prices = self._options
        cost = (prompt * prices.prompt_price + completion * prices.completion_price) / 1e6
        return "".join(pieces), Usage(1, prompt, completion, cost)


def _system(request: Request) -> str:
    schema = json.dumps(request.schema.model_json_schema())
    return f"{request.system}\nAnswer with one JSON object of this schema: {schema}"


def _short(text: str) -> str:
    """The beginning of what a server said, on one line."""
    return " ".join(text.split())[:200]
