"""The file of ``generate --output``: plain text, or a page or a picture in colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from model.errors import ConfigError
from model.runs.export import require_replaceable
from model.runs.storage import write_atomically
from tui.cli.generation import GenerationRequest, WrittenText
from tui.export.inked_page import page_of
from tui.export.inked_picture import picture_of
from tui.export.inked_text import text_inked_by_surprise
from tui.sanitise import encodable

_ENCODERS: Final = {".html": page_of, ".svg": picture_of}
MAX_COLOURED_CHARACTERS: Final = 1_000_000


def is_coloured(path: Path | None) -> bool:
    """Tells whether a file of this name shows colours."""
    return path is not None and path.suffix.lower() in _ENCODERS


def require_output(path: Path | None, ink: Literal["surprise"] | None, characters: int) -> None:
    """Refuses a file before anything is written to it.

    Args:
        path: the file; None for standard output.
        ink: by what to colour the text, if the user named it.
        characters: the most that the texts may have.

    Raises:
        ConfigError: the file exists or cannot be one, is a run's own, or shows no colours although
            an ink is named; or the text is too long for colours.
    """
    if ink is not None and not is_coloured(path):
        remedy = "give --output with a name that ends in .html or .svg"
        raise ConfigError("--ink", "only a page or a picture has colours", remedy)
    if path is None:
        return
    if is_coloured(path) and characters > MAX_COLOURED_CHARACTERS:
        cause = f"a coloured text has at most {MAX_COLOURED_CHARACTERS:,} characters"
        raise ConfigError("--output", cause, "give a smaller --length, or a .txt file")
    if not path.name or str(path) == "-":
        raise ConfigError("--output", f"{path} is not a file", "name a file, or leave it out")
    require_replaceable(path, "--output", force=None)


def write_output(
    path: Path, request: GenerationRequest, texts: Sequence[tuple[int, WrittenText]]
) -> None:
    """Writes the texts with their prompt to a file, coloured by surprise if it can show that.

    Args:
        path: as ``require_output`` accepts it.
        request: what wrote the texts and how, for the title; its prompt stands before each text.
        texts: seed and text of each; coloured ones with their probabilities.

    Raises:
        OSError: the file system refuses; nothing is left half-written.
    """
    prompt = request.prompt if request.echo else ""
    encode = _ENCODERS.get(path.suffix.lower())
    if encode is None:
        plain = "\n".join(f"{prompt}{written.text}\n" for _, written in texts)
        write_atomically(path, encodable(plain).encode())
        return
    seeds = ", ".join(str(seed) for seed, _ in texts[:4]) + (", ..." if len(texts) > 4 else "")
    title = (
        f"{request.checkpoint.metadata.source.name}: {request.models}, temperature "
        f"{request.sampling.temperature:g}, seed {seeds}, coloured by surprise"
    )
    inked = text_inked_by_surprise(
        title, [(prompt, written.text, written.probabilities) for _, written in texts]
    )
    write_atomically(path, encode(inked).encode())
