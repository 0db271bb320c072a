"""``charlm-tui lesson [CORPUS]``: the app with the lesson open."""

from __future__ import annotations

from typing import Any

import click

from tui.cli.commands.app import app, open_app
from tui.lesson.progress import LessonProgress


def _lesson(corpus: str | None, **options: Any) -> int:
    return open_app(corpus, {**options, "lesson": LessonProgress(is_open=True)})


lesson = click.Command(
    "lesson",
    callback=_lesson,
    params=app.params,
    help="Learn in ten steps what the app shows, while it trains on CORPUS (default: the embedded "
    "text, which needs no network). Takes about ten minutes. The options are those of the app.",
)
