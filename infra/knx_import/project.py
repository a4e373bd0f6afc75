"""Reading an ETS project file. The parser, xknxproject, is GPL-2.0: an optional extra, imported only here and only when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schemas.errors import BuildingError


class ParserMissing(BuildingError):
    """The optional extra is not installed."""

    reason = "parser_missing"


class BadProject(BuildingError):
    """A file that is no ETS project, or one that cannot be opened or used; the message says what would do."""

    reason = "bad_project"


def read_project(file: Path, password: str | None) -> dict[str, Any]:
    """The project as xknxproject tells it. Raises `ParserMissing`, `BadProject`."""
    try:
        from xknxproject.exceptions import InvalidPasswordException
        from xknxproject.xknxproj import XKNXProj
    except ImportError as error:
        raise ParserMissing(
            "ETS projects are read by xknxproject (GPL-2.0), which is optional: pip install 'atrium[knxproj]'"
        ) from error
    try:
        file.open("rb").close()
        return dict(XKNXProj(file, password).parse())
    except InvalidPasswordException as error:
        says = "the password is wrong" if password else "it has a password: give it with --password"
        raise BadProject(f"{file}: {says}; nothing was changed") from error
    except OSError as error:
        raise BadProject(f"{file}: {error.strerror or error}") from error
    except Exception as error:  # a malformed file makes the parser, its XML and its ZIP reader raise whatever they like
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadProject(
            f"{file} is no ETS project that can be read ({why}): export it anew from ETS; nothing was changed"
        ) from error
