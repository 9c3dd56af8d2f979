"""Servers as they are: odd chunks, wrapped JSON, refused parameters, errors, endless replies."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import BaseModel

from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.models.model import Choice, Request
from learning.agents.models.reply_text import UnreadableReplyError, read_reply
from learning.agents.models.server import ServerModel, ServerOptions
from learning.agents.skills import Plan

REQUEST = Request("You see.", "where is it?", options=("left low", "right low", "nowhere"))
GOOD = json.dumps({"answer": "right low", "reason": "I saw it"})
Responder = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request by the server's ``respond``."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((body, dict(self.headers)))  # type: ignore[attr-defined]
        self.server.respond(self, body)  # type: ignore[attr-defined]

    def reply(self, data: str, *, status: int = 200, **more: str) -> None:
        content = data.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(content)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    respond: Responder
    requests: list[tuple[dict[str, Any], dict[str, str]]]

    def ask(self, request: Request = REQUEST, **options: Any) -> Answer:
        url = f"http://127.0.0.1:{self.server_port}/v1"
        settings = {"timeout_s": 5.0, "retries": 0, **options}
        return asyncio.run(ServerModel(ServerOptions("m", url, **settings)).complete(request))


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server(("127.0.0.1", 0), Handler)
    one.requests = []
    thread = threading.Thread(target=one.serve_forever, args=(0.05,))
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


def events(*chunks: Any, done: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + done


def chunk(text: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **more}]}


def message(content: Any, **more: Any) -> str:
    return json.dumps({"choices": [{"message": {"content": content, **more}}]})


ODD_STREAMS = {
    "delta null": events(chunk(GOOD), {"choices": [{"index": 0, "delta": None}]}),
    "data null": events(None, chunk(GOOD)),
    "no choices": events(chunk(GOOD), {"usage": {"prompt_tokens": 5}}),
    "choices null": events({"choices": None}, chunk(GOOD)),
    "usage empty": events(chunk(GOOD), {"choices": [], "usage": {}}),
    "usage of words": events(chunk(GOOD), {"choices": [], "usage": {"prompt_tokens": "many"}}),
    "pings": ": ping\n\nevent: ping\ndata: {}\n\n" + events(chunk(GOOD)),
    "no blank lines": f"data: {json.dumps(chunk(GOOD))}\ndata: [DONE]\n",
    "no end": events(chunk(GOOD), done=""),
    "carriage returns": events(chunk(GOOD)).replace("\n", "\r\n"),
    "not JSON between": "data: {oops\n\n" + events(chunk(GOOD)),
    "content in parts": events(chunk([{"type": "text", "text": GOOD}])),
    "content an object": events(chunk(json.loads(GOOD))),
    "another choice": events(chunk(GOOD), {"choices": [{"index": 1, "delta": {"content": "x"}}]}),
    "stream ignored": message(GOOD),
    "lines of JSON": json.dumps(chunk(GOOD)) + "\n" + json.dumps({"done": True}),
    "tool call": message(None, tool_calls=[{"function": {"name": "Choice", "arguments": GOOD}}]),
}


@pytest.mark.parametrize("kind", ODD_STREAMS)
def test_an_odd_stream_loses_no_answer(server: Server, kind: str) -> None:
    server.respond = lambda handler, body: handler.reply(ODD_STREAMS[kind])
    assert server.ask().data == {"answer": "right low", "reason": "I saw it"}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD}\n```",
        f"Here is the JSON:\n\n{GOOD}",
        f"{GOOD}\n\nAnything else?",
        f'<think>not {{"answer": "left low", "reason": ""}}</think>{GOOD}',
        f"so it must be right</think>\n{GOOD}",
        f"[{GOOD}]",
        json.dumps(GOOD),
        json.dumps({"Choice": json.loads(GOOD)}),
        '{"answer": "Right Low.", "reason": "", "confidence": 0.9}',
        '{"Answer": "right_low", "Reason": null}',
        '{"answer": ["right low"]}',
        '{"answer": "right low", "reason": "two\nlines"}',
    ],
)
def test_wrapped_json_is_unwrapped(text: str) -> None:
    assert read_reply(text, Choice, REQUEST.options)["answer"] == "right low"


@pytest.mark.parametrize("text", ['{"answer": null, "reason": ""}', '{"answer": "None"}'])
def test_an_abstention_is_what_says_so(text: str) -> None:
    assert read_reply(text, Choice, REQUEST.options)["answer"] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("It is right low.", "no JSON object"),
        ('{"reason": "no answer in it"}', "answer: Field required"),
        ('{"answer": "upstairs"}', "none of the options"),
        ('{"answer": "left low"} or {"answer": "right low"}', "several answers that differ"),
        ('{"answer": "left low", "answer": "right low"}', "no JSON object"),
        ('{"a":' * 50_000, "no JSON object"),
        ("[" * 200_000, "no JSON object"),
    ],
)
def test_what_holds_no_single_answer_is_unreadable_and_never_an_abstention(
    text: str, told: str
) -> None:
    started_s = time.monotonic()
    with pytest.raises(UnreadableReplyError, match=told):
        read_reply(text, Choice, REQUEST.options)
    assert time.monotonic() - started_s < 5.0


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, events(chunk("", finish_reason="content_filter")), "content filter held"),
        (200, events(chunk(GOOD[:12], finish_reason="length")), "cut off at the server's limit"),
        (200, '{"error": {"message": "no memory"}}', "says: no memory"),
        (200, 'data: {"error": "overloaded"}\n\n', "says: overloaded"),
        (404, '{"detail": [{"loc": ["body", "n"], "msg": "bad"}]}', "404: body.n: bad"),
        (404, '[{"error": {"message": "no model m"}}]', "404: no model m"),
        (500, '{"error": {"message": "bad \\u001b[2J\\u001b]0;owned\\u0007"}}', r"500: bad \\x1b"),
        (200, "<html>It works!</html>", "does not speak the chat protocol: <html>"),
        (200, message(None, refusal="I may not"), "refuses: I may not"),
    ],
)
def test_the_reason_of_the_server_is_told_and_safe_to_print(
    server: Server, status: int, body: str, told: str
) -> None:
    server.respond = lambda handler, _: handler.reply(body, status=status)
    with pytest.raises(AgentError, match=told) as caught:
        server.ask()
    assert str(caught.value).isprintable()


def test_escape_sequences_in_an_answer_do_not_reach_the_terminal(server: Server) -> None:
    said = json.dumps({"answer": "right low", "reason": "\x1b[2J"})
    server.respond = lambda handler, _: handler.reply(events(chunk("\x1b]0;x\x07" + said)))
    reply = server.ask()
    assert "\x1b" not in reply.text + reply.data["reason"]


@pytest.mark.parametrize("refused", ["response_format", "seed", "temperature", "stream_options"])
def test_what_a_server_refuses_is_left_out_and_said(
    server: Server, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(handler: Handler, body: dict[str, Any]) -> None:
        if refused in body:
            detail = {"detail": [{"loc": ["body", refused], "msg": "Extra inputs"}]}
            handler.reply(json.dumps(detail), status=422)
        else:
            handler.reply(events(chunk(GOOD)))

    server.respond = respond
    assert server.ask().data["answer"] == "right low"
    assert refused.replace("_", " ") in caplog.text.replace("_", " ")


def test_response_formats_are_tried_from_the_strictest(server: Server) -> None:
    def respond(handler: Handler, body: dict[str, Any]) -> None:
        if body.get("response_format"):
            handler.reply('{"error": "unsupported response_format"}', status=400)
        else:
            handler.reply(events(chunk(GOOD)))

    server.respond = respond
    server.ask()
    formats = [body.get("response_format", {}).get("type") for body, _ in server.requests]
    assert formats == ["json_schema", "json_object", None]


def test_a_request_that_is_wrong_in_all_forms_is_told_with_the_first_reason(server: Server) -> None:
    server.respond = lambda handler, _: handler.reply('{"error": "no model m"}', status=400)
    with pytest.raises(AgentError, match="answered 400: no model m"):
        server.ask()
    assert len(server.requests) == 3


@pytest.mark.parametrize(("key", "sent"), [("", "none"), ("secret-key\n", "secret-key")])
def test_keys_that_are_empty_or_end_with_a_line_end_work(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str, sent: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.respond = lambda handler, _: handler.reply(events(chunk(GOOD)))
    server.ask()
    assert server.requests[0][1]["Authorization"] == f"Bearer {sent}"


def test_a_key_that_no_header_can_carry_is_not_printed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret\nkey")
    with pytest.raises(AgentError, match="OPENAI_API_KEY holds characters") as caught:
        server.ask()
    assert "secret" not in str(caught.value)


def test_a_key_that_a_server_repeats_is_not_printed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    server.respond = lambda handler, _: handler.reply('{"error": "bad secret-key"}', status=401)
    with pytest.raises(AgentError, match=r"401: bad \*\*\*"):
        server.ask()


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.respond = lambda handler, _: handler.reply(events(chunk(GOOD)))
    assert server.ask().data["answer"] == "right low"


def test_a_server_that_asks_to_wait_longer_than_allowed_is_not_waited_for(server: Server) -> None:
    server.respond = lambda handler, _: handler.reply(
        '{"error": "slow down"}', status=429, Retry_After="100"
    )
    started_s = time.monotonic()
    with pytest.raises(AgentError, match=r"429: slow down\. It asks to wait 100 s, longer"):
        server.ask(retries=2)
    assert time.monotonic() - started_s < 4.0 and len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_reply_is_bounded(server: Server, status: int) -> None:
    sent = 0

    def respond(handler: Handler, body: dict[str, Any]) -> None:
        nonlocal sent
        handler.send_response(status)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        piece = f"data: {json.dumps(chunk('x' * 60_000))}\n\n".encode()
        try:
            for _ in range(10_000):
                handler.wfile.write(piece)
                sent += len(piece)
        except OSError:
            pass  # the client has gone

    server.respond = respond
    with pytest.raises(AgentError, match=r"more than 4,194,304 bytes|answered 500") as caught:
        server.ask()
    assert caught.value.kind in (FailureKind.MALFORMED, FailureKind.ERROR)
    assert sent < 50_000_000


@pytest.mark.parametrize("url", ["127.0.0.1:8744", "ftp://x/v1", "http://user:secret@127.0.0.1:9/"])
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    options = ServerOptions("m", url, retries=0)
    with pytest.raises(AgentError, match=r"no address|cannot be reached") as caught:
        asyncio.run(ServerModel(options).complete(REQUEST))
    assert "secret" not in str(caught.value)


def _not_strict(schema: dict[str, Any], place: str = "") -> list[str]:
    """Return what breaks OpenAI's rule: each object closed, all its keys required."""
    wrong = []
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            wrong.append(f"{place}: open")
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            wrong.append(f"{place}: optional keys")
        if "default" in json.dumps(schema.get("properties")):
            wrong.append(f"{place}: default")
    for key, inner in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
        wrong += _not_strict(inner, f"{place}/{key}")
    if isinstance(schema.get("items"), dict):
        wrong += _not_strict(schema["items"], f"{place}/items")
    return wrong


@pytest.mark.parametrize("schema", [Choice, Plan])
def test_schemas_keep_openais_strict_rules(schema: type[BaseModel]) -> None:
    assert _not_strict(schema.model_json_schema()) == []
