"""The moving picture of README: the same recording gives the same bytes, and no surprises."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from animated_svg import Movie, Paint, animated_svg
from app_script import prepared, race_started, step_of
from moving_picture import moving_picture, screens_of
from session_recording import (
    FRAME_SECONDS,
    Moment,
    frames_of,
    read_recording,
    write_recording,
)

from model import events as ev
from model.config import SamplingConfig

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "moving.svg"
RECORDING = ROOT / "tests" / "benchmarks" / "recordings" / "nietzsche.jsonl"
PLAIN = Paint(colour="#ffffff", background="#000000")


def movie(*frames: str) -> str:
    return animated_svg(
        Movie(
            title="a title",
            seconds=2.0,
            columns=10,
            frames=[tuple(((line, PLAIN),) for line in frame.split("\n")) for frame in frames],
            captions=["" for _ in frames],
            background="#000000",
        )
    )


def written(text: str) -> tuple[ev.CharacterWritten, ...]:
    return tuple(
        ev.CharacterWritten(character=character, probability=0.25, entropy=0.0, candidates=())
        for character in text
    )


def test_the_recording_gives_the_bytes_of_the_picture_in_the_docs() -> None:
    about, frames = read_recording(RECORDING)
    made = asyncio.run(moving_picture(about, frames))
    assert made == PICTURE.read_text(encoding="utf-8"), "run `make moving-picture`, and look at it"


def test_the_picture_is_small_and_asks_for_nothing() -> None:
    data = PICTURE.read_bytes()
    assert len(data) < 400_000
    text = data.decode()
    assert set(re.findall(r"<([a-zA-Z]+)", text)) == {
        *("svg", "title", "style", "rect", "circle", "defs", "g", "text", "use", "animate"),
    }
    assert not re.search(r"url\(|@import|@font-face|\son\w+=|<script|javascript:", text)
    assert set(re.findall(r'(?:href|src)="([^"]{1,2})', text)) <= {
        f"#{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"
    }


def test_the_picture_shows_every_scene() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    for words in ("PREPARING", "TRAINING", "1.25", "4 Race", "surprise"):
        assert words in text
    assert text.count("<animate") > 100


def test_the_curve_appears_with_its_first_points_and_not_as_empty_axes() -> None:
    about, frames = read_recording(RECORDING)
    screens, _ = asyncio.run(screens_of(about, frames[:40]))
    charts = ["".join(text for row in screen[1:10] for text, _ in row) for screen in screens]
    empty = ["The curve appears" in chart for chart in charts]
    drawn = [any("\u2800" < sign <= "\u28ff" for sign in chart) for chart in charts]
    assert drawn == [not words for words in empty]
    assert any(drawn)


def test_only_what_changes_is_switched() -> None:
    root = ET.fromstring(movie("still\none", "still\ntwo", "still\none", "still\none"))
    groups = root.findall("{*}g/{*}g")
    switched = {
        animation.get("values"): animation.get("keyTimes")
        for group in groups
        for animation in group.findall("{*}animate")
    }
    assert switched == {
        "visible;hidden;visible": "0;.25;.5",
        "hidden;visible;hidden": "0;.25;.5",
    }
    assert sum(group.find("{*}animate") is None for group in groups) == 1


def test_without_animation_the_last_frame_is_seen() -> None:
    root = ET.fromstring(movie("first", "last"))
    words = {piece.get("id"): "".join(piece.itertext()) for piece in root.findall("{*}defs/{*}g")}
    seen = [
        words[(use.get("href") or "").removeprefix("#")]
        for group in root.findall("{*}g/{*}g")
        if group.get("visibility") != "hidden"
        for use in group.findall("{*}use")
    ]
    assert seen == ["last"]


def test_text_of_the_model_is_no_markup() -> None:
    root = ET.fromstring(movie("<b>&amp;"))
    assert [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")] == ["<b>&amp;"]


def test_a_recording_is_read_as_it_was_written_with_the_last_step_of_a_frame(
    tmp_path: Path,
) -> None:
    path = tmp_path / "recording.jsonl"
    events = (
        *prepared(),
        step_of(3, 0.5, time=2.0),
        *written("abc"),
        ev.SamplingApplied(sampling=SamplingConfig(temperature=0.3)),
        *written("d"),
        race_started(0.2, 1.0, prompt="a"),
        ev.LanesWritten(characters=("x", "y")),
        ev.LanesWritten(characters=("z", "\n")),
        ev.ReferencesMeasured(bits_per_character=(("xz", 2.6),)),
    )
    moments = [
        Moment(seconds=0.0, caption="words"),
        Moment(seconds=1.3 * FRAME_SECONDS, events=(step_of(2, 0.5, time=1.0),)),
        Moment(seconds=1.5 * FRAME_SECONDS, events=events, key="c"),
        Moment(seconds=99.0, key="too late"),
    ]
    frames = frames_of(moments, 3)
    write_recording(path, {"seed": 1}, frames)
    assert read_recording(path) == ({"seed": 1}, frames)
    assert frames[0].caption == "words"
    assert frames[1].events == events
    assert frames[1].keys == ("c",)
    assert frames[2].events == ()
