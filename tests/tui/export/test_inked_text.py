"""Coloured texts as HTML and SVG: every character in its colour, and nothing that acts or loads."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from foreign_clusters import CLUSTER_TEXTS
from hostile_text import PAYLOADS, unsafe_characters
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import make_checkpoint

from model import events as ev
from model.runs.checkpoint_file import write_checkpoint
from tui.cli.main import run
from tui.export.inked_page import page_of
from tui.export.inked_picture import COLUMNS, picture_of
from tui.export.inked_text import LOOKS, PALETTES, InkedRun, InkedText, text_inked_by_surprise
from tui.sanitise import drawn, replace_unprintable

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script></pre></style>&amp;\"'\x1b[2J\u202e]]>\x00\ud800"


class Page(HTMLParser):
    """The elements of a page, and the texts of its spans."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"pre", "style"}:
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "pre":
            self.text += data
        elif self._inside == "style":
            self.style += data


def inked(text: str, probability: float = 0.5, prompt: str = "") -> InkedText:
    return text_inked_by_surprise("a title", [(prompt, text, [probability] * len(text))])


@given(st.one_of(CLUSTER_TEXTS, st.text(), st.sampled_from([HOSTILE, *PAYLOADS])))
def test_a_page_holds_the_text_and_only_our_elements(text: str) -> None:
    page = Page(page_of(inked(text, prompt=text)))
    shown = replace_unprintable(2 * text, keep_newlines=True)
    assert page.text == "\n" + shown, "clusters stay whole"
    elements = {tag for tag, _ in page.tags}
    head = {"html", "head", "meta", "title", "style"}
    assert elements <= head | {"body", "h1", "ul", "li", "pre", "span"}
    for tag, attributes in page.tags:
        assert set(attributes) <= {
            "class",
            "lang",
            "dir",
            "charset",
            "http-equiv",
            "content",
            "name",
        }
        if tag == "span":
            assert attributes["class"] in LOOKS


def test_the_policy_of_a_page_allows_its_style_and_nothing_else() -> None:
    page = Page(page_of(inked(HOSTILE)))
    (policy,) = (a["content"] for _, a in page.tags if a.get("http-equiv") is not None)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in page.style
    assert "@import" not in page.style


@given(st.one_of(CLUSTER_TEXTS, st.text(), st.sampled_from([HOSTILE, *PAYLOADS])))
def test_a_picture_shows_the_lines_of_the_screen(text: str) -> None:
    picture = picture_of(InkedText(title=text, legend=(), runs=(InkedRun(text, "prompt"),)))
    root = ET.fromstring(picture)
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "title", "style", "rect", "text")
    }
    assert not unsafe_characters(picture) - {"\n"}
    shown = [element.text or "" for element in root.iter(f"{SVG}text")]
    parts = [part for line in text.split("\n") for part in drawn(line).split()]
    assert all(part in "".join(shown) for part in parts if len(part) < COLUMNS // 2)
    last = float(root.attrib["width"])
    for element in root.iter(f"{SVG}text"):
        assert float(element.attrib["x"]) + float(element.attrib["textLength"]) <= last


def test_each_character_has_the_colour_of_its_surprise_and_a_cluster_that_of_its_first() -> None:
    text = "ab👍🏽c"
    runs = text_inked_by_surprise("", [("p", text, [0.9, 0.01, 0.3, 0.001, 0.3])]).runs
    assert [(run.text, run.style) for run in runs] == [
        ("p", "prompt"),
        ("a", "surprise-0"),
        ("b", "surprise-3"),
        ("👍🏽c", "surprise-1"),
    ]


@pytest.mark.parametrize("scheme", PALETTES)
def test_every_colour_can_be_read(scheme: str) -> None:
    palette = PALETTES[scheme]  # type: ignore[index]
    page = luminance(palette["page"])
    for name, colour in palette.items():
        low, high = sorted((page, luminance(colour)))
        assert name == "page" or (high + 0.05) / (low + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- the app --------------------------------------------------------------------------------------


async def written(it: Opened, folder: Path, key: str, name: str) -> str:
    await it.press(key)
    await it.until(lambda: any(name in toast for toast in it.toasts()))
    return (folder / name).read_text(encoding="utf-8")


@on_a_loop
async def test_keys_write_the_text_since_the_last_restart_in_its_colours(tmp_path: Path) -> None:
    restart = ev.WritingRestarted(seed=1, prompt="It <was>", note=None)
    events = (*training(), *characters("gone"), restart, *characters(" so & 👍🏽."))
    async with opened(*events, text_folder=tmp_path) as it:
        page = await written(it, tmp_path, "W", "a-run-text-1.html")
        assert Page(page).text == "\nIt <was> so & 👍🏽."
        assert '<span class="surprise-' in page
        assert "nietzsche: a-run, coloured by surprise" in page
        picture = await written(it, tmp_path, "G", "a-run-text-1.svg")
        assert "It &lt;was&gt;" in picture
        assert "gone" not in page + picture
        await it.press("c", "c")
        assert "coloured by novelty" in await written(it, tmp_path, "W", "a-run-text-2.html")


@on_a_loop
async def test_there_is_nothing_to_write_before_the_text(tmp_path: Path) -> None:
    async with opened(text_folder=tmp_path) as it:
        for key in ("W", "G"):
            await it.press(key)
            assert it.toasts() == ["There is no text to write yet."]
            it.app.clear_notifications()
        assert not names(tmp_path)


# --- generate -------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "step-00000001.safetensors", make_checkpoint())
    return "step-00000001.safetensors"


@pytest.mark.parametrize("streams", ["1", "3"])
@pytest.mark.parametrize("stop", ["", "e"])
def test_generate_writes_a_page_of_what_it_would_print(
    checkpoint: str, streams: str, stop: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    options = ["generate", "--checkpoint", checkpoint, "--seed", "1", "--length", "300"]
    options += ["--streams", streams, "--stop", stop]
    assert run(options) == 0
    printed = capsysbinary.readouterr().out.decode()
    for name in ("text.html", "text.svg", "text.txt"):
        assert run([*options, "--output", name]) == 0
        assert capsysbinary.readouterr().out == b""
    assert Path("text.txt").read_text() == printed
    assert Page(Path("text.html").read_text()).text == "\n" + printed.removesuffix("\n")
    styles = re.findall('class="(surprise-.)"', Path("text.svg").read_text())
    assert len(set(styles)) > 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "there.html"], "there.html: is there already"),
        (["--output", "none/here.html"], "none/here.html: its folder does not exist"),
        (["--output", "."], "--output"),
        (["--output", "own/step-00000009.safetensors"], "is a run's own file"),
        (["--ink", "surprise"], "--ink: only a page or a picture has colours"),
        (["--ink", "surprise", "--output", "text.txt"], "--ink: only a page"),
        (["--output", "t.svg", "--length", "2000000"], "at most 1,000,000 characters"),
    ],
)
def test_generate_refuses_a_file_before_it_writes(
    checkpoint: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("there.html").write_text("mine")
    Path("own").mkdir()
    Path("own/run.json").write_text("{}")
    before = sorted(Path().rglob("*"))
    assert run(["generate", "--checkpoint", checkpoint, "--length", "5", *options]) == 2
    assert words in capsys.readouterr().err
    assert Path("there.html").read_text() == "mine"
    assert sorted(Path().rglob("*")) == before
