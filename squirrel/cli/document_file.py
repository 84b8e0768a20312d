"""A YAML or JSON document from a file or stdin, as plain JSON values."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any, Final

from squirrel.model.errors import SettingsError

FILE_CHARS_MAX: Final = 64 * 1024 * 1024


def read_text(file: str) -> str:
    """The file's text, stdin's for `-`. Raises SettingsError with the file's name."""
    try:
        text = sys.stdin.read(FILE_CHARS_MAX + 1) if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    if len(text) > FILE_CHARS_MAX:
        raise SettingsError(f"{file} has more than {FILE_CHARS_MAX} characters; split it")
    return text


def read_document(file: str) -> Any:
    """The document. Raises SettingsError saying where the YAML breaks off."""
    import yaml

    try:
        return _plain(yaml.safe_load(read_text(file)))
    except yaml.YAMLError as error:
        raise SettingsError(f"{file} is no YAML: {' '.join(str(error).split())}") from error


def _plain(value: Any) -> Any:
    """YAML reads a bare instant as one; the API takes texts."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
