"""Substitutions: the grammar of `$(…)`, and the splitting of command lines."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterias_ros2.errors import LaunchError
from asterias_ros2.launch.templates import Call, Template, Text, parse_template

from .conftest import has_real_launch

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=8)


def spell_text(text: str) -> str:
    """Write literal text so that it means itself anywhere but in a bare or quoted word."""
    return text.replace("\\", "\\\\").replace("$", "\\$")


def spell_word(template: Template) -> str:
    """Write an argument in double quotes."""
    parts = []
    for part in template:
        if isinstance(part, Text):
            parts.append(spell_text(part.text).replace('"', '\\"'))
        else:
            parts.append(f"$({part.name})")
    return '"' + "".join(parts) + '"'


def spell(template: Template) -> str:
    """Write a template."""
    return "".join(
        spell_text(part.text)
        if isinstance(part, Text)
        else f"$({' '.join([part.name, *map(spell_word, part.arguments)])})"
        for part in template
    )


def joined(template: Template) -> Template:
    """Join neighbouring literals, so that templates can be compared by meaning."""
    parts: list[Text | Call] = []
    for part in template:
        if isinstance(part, Call):
            parts.append(Call(part.name, tuple(joined(word) for word in part.arguments)))
        elif parts and isinstance(parts[-1], Text):
            parts[-1] = Text(parts[-1].text + part.text)
        elif part.text:
            parts.append(part)
    return tuple(parts)


LITERALS = TEXTS.map(Text)
SIMPLE_CALLS = NAMES.map(lambda name: Call(name, ()))
WORDS = st.lists(LITERALS | SIMPLE_CALLS, max_size=3).map(tuple)
CALLS = st.builds(Call, NAMES, st.lists(WORDS, max_size=3).map(tuple))
TEMPLATES = st.lists(LITERALS | CALLS, min_size=1, max_size=4).map(tuple)


def ends_escaped(template: Template) -> bool:
    """Whether a literal ends in a backslash, which would protect the '$' of a call after it."""
    return any(
        (isinstance(part, Text) and part.text.endswith("\\"))
        or (isinstance(part, Call) and any(ends_escaped(word) for word in part.arguments))
        for part in template
    )


@given(TEMPLATES.filter(lambda template: not ends_escaped(joined(template))))
def test_what_is_written_is_read(template: Template) -> None:
    assert joined(parse_template(spell(template))) == joined(template)


@given(st.text(alphabet="$()\"'\\ abx-", max_size=20))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    try:
        parse_template(text)
    except LaunchError as error:
        assert "\n" not in str(error)
        assert "column" in str(error)


@pytest.mark.skipif(not has_real_launch(), reason="the real launch is not installed")
@given(st.text(alphabet="$()\"'\\ abx-", max_size=20))
def test_any_text_means_what_it_means_to_the_real_launch(text: str) -> None:
    real_module: Any = importlib.import_module("launch.frontend.parse_substitution")
    text_type = importlib.import_module("launch.substitutions").TextSubstitution

    def ours() -> object:
        try:
            return joined(parse_template(text))
        except LaunchError:
            return None

    def convert(parts: object) -> Template:
        assert isinstance(parts, list)
        return tuple(Text(part.text) if isinstance(part, text_type) else part for part in parts)

    def keep_call(name: str, words: list[object] | None = None) -> Call:
        return Call(str(name), tuple(convert(word) for word in words or []))

    original = real_module.instantiate_substitution
    real_module.instantiate_substitution = keep_call
    try:
        try:
            real: object = joined(convert(real_module.parse_substitution(text)))
        except Exception:
            real = None
    finally:
        real_module.instantiate_substitution = original
    assert ours() == real


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (Text(""),)),
        ("plain", (Text("plain"),)),
        ("a $5 b", (Text("a $5 b"),)),
        (r"\$(x)", (Text("$(x)"),)),
        ("$(dirname)/a", (Call("dirname", ()), Text("/a"))),
        ("$(env A '')", (Call("env", ((Text("A"),), ())),)),
        ("$(env A 'b c')", (Call("env", ((Text("A"),), (Text("b c"),))),)),
        ("$(eval '(1, 2)[0]')", (Call("eval", ((Text("(1, 2)[0]"),),)),)),
        (r"$(eval 'it\'s')", (Call("eval", ((Text("it's"),),)),)),
        ("$(var $(var a)b)", (Call("var", ((Call("var", ((Text("a"),),)), Text("b")),)),)),
        ("$(eval '$(var a) 1')", (Call("eval", ((Call("var", ((Text("a"),),)), Text(" 1")),)),)),
    ],
)
def test_examples(text: str, expected: Template) -> None:
    assert parse_template(text) == expected


@pytest.mark.parametrize("text", ["$()", "$(var", "$(var  a)", "$(var a )", "$(1)", "$(e 'a)"])
def test_refused(text: str) -> None:
    with pytest.raises(LaunchError, match="column"):
        parse_template(text)
