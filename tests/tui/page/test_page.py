"""`export --page`: the weights in 16 bits, only elements of our own, and what is refused."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from app_opened import opened
from app_script import on_a_loop, training
from foreign_clusters import CLUSTER_TEXTS
from hostile_text import PAYLOADS
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import make_checkpoint, random_weights
from saved_runs import make_run

from corpus import UserError, Vocabulary
from model.config import ModelConfig
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import write_checkpoint
from model.runs.checkpoint_form import WEIGHT_PREFIX
from tui.cli.main import run
from tui.page.packed_weights import packed
from tui.page.page import page_of
from tui.sanitise import encodable, one_line

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--\"'&\u2028\u202e\ud800"
FOREIGN = st.one_of(CLUSTER_TEXTS, st.text(), st.sampled_from([HOSTILE, *PAYLOADS]))
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "noscript", "div"),
    *("button", "label", "select", "option", "input", "textarea", "ul", "li", "template"),
    *("section", "output", "pre", "script"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "dir", "id", "type", "value"),
    *("selected", "inputmode", "size", "checked", "rows", "role", "min", "max", "step"),
    *("tabindex", "aria-label"),
}


class Page(HTMLParser):
    """The elements of a page, and the text of each before the next tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self._is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self._is_inside = False

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.texts[-1] += data

    def texts_of(self, tag: str) -> list[str]:
        """Returns the text of each element of a kind."""
        pairs = zip(self.elements, self.texts, strict=True)
        return [text for (name, _), text in pairs if name == tag]


def checkpoint_named(run_name: str, corpus: str, symbols: str) -> Checkpoint:
    vocabulary = Vocabulary.from_symbols(symbols)
    made = make_checkpoint(1, nats=1.0)
    source = dataclasses.replace(made.metadata.source, name=corpus)
    metadata = dataclasses.replace(
        made.metadata, run=run_name, source=source, vocabulary=vocabulary
    )
    weights = random_weights(made.metadata.model, len(vocabulary))
    return Checkpoint(
        metadata=metadata,
        tensors={WEIGHT_PREFIX + name: weight for name, weight in weights.items()},
    )


@settings(max_examples=30)
@given(FOREIGN, FOREIGN, FOREIGN.map(encodable).filter(bool))
def test_names_and_symbols_of_any_kind_add_no_element(
    run_name: str, corpus: str, symbols: str
) -> None:
    page = Page(page_of(checkpoint_named(run_name, corpus, symbols)))
    plain = Page(page_of(make_checkpoint(1, nats=1.0)))
    assert page.elements == plain.elements
    assert {tag for tag, _ in page.elements} == ELEMENTS
    assert {name for _, attributes in page.elements for name in attributes} == ATTRIBUTES
    data, script = page.texts_of("script")
    assert "<" not in data
    assert script == plain.texts_of("script")[1]
    assert json.loads(data)["symbols"] == sorted(set(symbols))
    title = f"{one_line(corpus)}: {one_line(run_name)}"
    assert page.texts_of("title") == page.texts_of("h1") == [title]


def test_the_policy_allows_two_parts_of_the_file_and_nothing_else() -> None:
    page = Page(page_of(make_checkpoint()))
    (policy,) = (a["content"] for _, a in page.elements if "http-equiv" in a)
    script, style = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (page.texts_of("script")[1], page.texts_of("style")[0])
    )
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types"
    )
    for word in ("url(", "@import", "http://", "https://", "innerHTML", "eval(", "<!--"):
        assert word not in page.texts_of("style")[0] + page.texts_of("script")[1]


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(hidden=6, embedding=3),
        ModelConfig(hidden=5, layers=2, embedding=0),
        ModelConfig(network="rms-lstm", hidden=5, layers=2, embedding=3),
    ],
)
def test_a_weight_is_off_by_half_a_step_of_its_row_at_most(model: ModelConfig) -> None:
    weights = random_weights(model, 7)
    weights["head.weight"][2] = 0
    data, place = packed(weights), 0
    bias = "lstm.bias_ih_l{}"
    names = ["embedding.weight"] * bool(model.embedding)
    for layer in range(model.layers):
        names += [f"lstm.weight_ih_l{layer}", f"lstm.weight_hh_l{layer}", bias.format(layer)]
        names += [f"lstm.gain_l{layer}"] * (model.network == "rms-lstm")
    for name in [*names, "head.weight", "head.bias"]:
        matrix = np.atleast_2d(weights[name])
        if "bias_ih" in name:
            matrix = matrix + weights[name.replace("_ih", "_hh")]
        rows, columns = matrix.shape
        scales = np.frombuffer(data, "<f4", rows, place)[:, None]
        integers = np.frombuffer(data, "<i2", rows * columns, place + 4 * rows)
        place += 4 * rows + 2 * rows * columns
        assert (np.abs(integers.reshape(rows, columns) * scales - matrix) <= 0.51 * scales).all()
        assert (np.abs(matrix).max(axis=1) / scales[:, 0] <= 32_768).all()
    assert place == len(data)


def test_another_network_is_refused() -> None:
    made = make_checkpoint()
    model = dataclasses.replace(made.metadata.model, network="gru")
    metadata = dataclasses.replace(made.metadata, model=model)
    with pytest.raises(UserError, match="an LSTM only"):
        page_of(dataclasses.replace(made, metadata=metadata))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--page", "page.svg"], "page.svg has no ending of a page; end it in .html"),
        (["--page", "there.html"], "is there already; give --force"),
        (["--page", "a.html", "--curve", "c.svg"], "--page names another file; give one of them"),
        (["--page", "a.html", "--output", "x"], "--output names another file; give one of them"),
        (["--page", "a.html", "--dark"], "there is no curve to draw"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    make_run(tmp_path / "checkpoints", "a-run", 2.0)
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("x", encoding="utf-8")
    assert run(["export", "a-run", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "there.html"]


@on_a_loop
async def test_a_key_writes_the_page_of_the_best_saved_weights(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "a-run", 2.0, 1.5, 1.9)
    async with opened(*training(), root=folder.path.parent, text_folder=tmp_path) as it:
        await it.press("P")
        await it.until(lambda: any("a-run-page-1.html" in toast for toast in it.toasts()))
    best = folder.checkpoints.load_best(lambda _: None)
    assert (tmp_path / "a-run-page-1.html").read_text(encoding="utf-8") == page_of(best)
    assert best.metadata.nats_per_character == 1.5


@on_a_loop
async def test_opened_weights_become_a_page_through_the_palette(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(7)
    path = tmp_path / "step-00000007.safetensors"
    write_checkpoint(path, checkpoint)
    async with opened(*training(), opened=path, trains=False, text_folder=tmp_path) as it:
        commands = {item.title: item.callback for item in it.app.get_system_commands(it.app.screen)}
        await commands["Write the model as a page (P)"]()
        await it.until((tmp_path / "a-run-page-1.html").exists)
        await it.until(lambda: bool(it.toasts()))
    assert "step 7:" in (tmp_path / "a-run-page-1.html").read_text(encoding="utf-8")


@on_a_loop
async def test_before_the_first_checkpoint_a_toast_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a-run").mkdir(parents=True)
    (tmp_path / "runs" / "a-run" / "run.json").write_text("{}", encoding="utf-8")
    async with opened(*training(), root=tmp_path / "runs", text_folder=tmp_path) as it:
        await it.press("P")
        await it.until(lambda: bool(it.toasts()))
        assert "nothing is saved yet; press s to save a checkpoint" in it.toasts()[0]
