"""``python -m docs.tables [DOCUMENT ...]``: make the tables of documents anew."""

from __future__ import annotations

import sys
from pathlib import Path

from asterias.errors import UserError
from docs.tables import documents, update


def main(arguments: list[str]) -> int:
    """Update the documents that are named, or all that hold tables; print which changed.

    Returns:
        The exit code.
    """
    try:
        for path in [Path(name) for name in arguments] or documents():
            if update(path):
                print(f"{path}: tables made anew")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
