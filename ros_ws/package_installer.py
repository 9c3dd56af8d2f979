"""Installs packages for set-up: with uv, several times as fast, or with pip where uv cannot be had.

uv does not read pip's configuration. Indexes, proxies and certificates that a person or a site has
given to pip are therefore handed over, in uv's environment variables.
"""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# pip's setting, uv's variable for it, and what stands between several values.
VARIABLES = (
    ("index-url", "UV_DEFAULT_INDEX", ""),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("no-index", "UV_NO_INDEX", ""),
    ("constraint", "UV_CONSTRAINT", " "),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("cert", "SSL_CERT_FILE", ""),
    ("client-cert", "SSL_CLIENT_CERT", ""),
    ("proxy", "ALL_PROXY", ""),
    ("timeout", "UV_HTTP_TIMEOUT", ""),
    ("default-timeout", "UV_HTTP_TIMEOUT", ""),
)
# What ``pip config list`` puts before a setting's name; later ones win, as in pip.
_SECTIONS = ("global", "install", ":env:")


def pip_settings(listing: str) -> dict[str, str]:
    """Return the settings that hold for ``pip install``.

    Args:
        listing: what ``pip config list`` prints.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if equals and section in found:
            found[section][name] = str(ast.literal_eval(value))
    return {name: value for section in _SECTIONS for name, value in found[section].items()}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings as environment variables of uv."""
    variables = {
        variable: (separator or " ").join(settings[name].split())
        for name, variable, separator in VARIABLES
        if settings.get(name, "").strip()
    }
    # pip takes the best version that any of its indexes has.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}


def uv_environment(python: Path, arguments: Sequence[str | Path] = ()) -> dict[str, str]:
    """Return the environment to run uv in; what is set for uv already, stays.

    Args:
        python: whose pip is asked for its configuration.
        arguments: of the installation. Where each file must have a hash, a site's constraints,
            which are bounds without hashes, are left out; versions are exact there anyway.
    """
    listing = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    variables = uv_variables(pip_settings(listing))
    if "--require-hashes" in arguments:
        variables.pop("UV_CONSTRAINT", None)
    return {**variables, **os.environ}


def uv_command(uv: Path, python: Path, arguments: Sequence[str | Path]) -> list[str | Path]:
    """Return the command that installs; the arguments are pip's, which uv understands."""
    return [uv, "pip", "install", "-q", "--no-progress", "--python", python, *arguments]
