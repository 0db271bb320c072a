"""Makes one file of HTML that writes with a run's weights in any browser, without a network.

Names and symbols are foreign. Names are escaped, symbols are JSON without "<", and the script hands
them to the browser as text nodes. The policy in the file allows the two parts of our own by their
digests, and nothing else: no request, no other script, no markup made of strings.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final, Literal

from model.config import NORM_EPSILON
from model.errors import CheckpointError
from model.runs.checkpoint import Checkpoint, CheckpointMetadata
from model.sampling.prompt import first_ids
from tui.clusters import continues
from tui.export.inked_page import declarations
from tui.export.inked_text import LOOKS, PALETTES, legend_of
from tui.page.packed_weights import packed
from tui.sanitise import one_line, replace_unprintable
from tui.view.format import fixed, grouped
from tui.view.ink import SURPRISE_BITS

HERE: Final = Path(__file__).parent
WRITES_WITH: Final = ("lstm", "rms-lstm")
"""Kinds of networks that the script knows."""
LSTM_ONLY: Final = "a page can write with an LSTM only"
_SELECTORS: Final = {
    ".prompt": "prompt",
    **{f".ink .surprise-{level}": f"surprise-{level}" for level in range(len(SURPRISE_BITS) + 1)},
}
"""The looks of the text by their selectors: the switch of the ink acts on those of surprise."""
_VARIABLES: Final = {colour: f"var(--{colour})" for colour in PALETTES["light"]}


def page_of(checkpoint: Checkpoint) -> str:
    """Returns the page of a checkpoint's best weights.

    Raises:
        CheckpointError: the network is not an LSTM, which is the one that the script knows.
    """
    metadata = checkpoint.metadata
    if metadata.model.network not in WRITES_WITH:
        raise CheckpointError(one_line(metadata.run), LSTM_ONLY, "name another run")
    script = "".join(_part(name) for name in ("lstm.js", "page.js"))
    style = _colours() + _part("page.css")
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types"
    )
    legend = "\n".join(
        f'<li class="{run.style}">{escape(run.text)}</li>' for run in legend_of("surprise")
    )
    weights = _base64(packed(checkpoint.best_weights()))
    model = {**_facts_for_the_script(metadata), "weights": weights}
    return Template(_part("page.html")).substitute(
        policy=policy,
        title=escape(f"{one_line(metadata.source.name)}: {one_line(metadata.run)}"),
        facts=escape(_facts_for_people(metadata)),
        style=style,
        legend=legend,
        model=json.dumps(model, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )


def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _digest(source: str) -> str:
    """Returns a source of the policy: the part of the page that has this text."""
    return f"'sha256-{_base64(hashlib.sha256(source.encode()).digest())}'"


def _facts_for_the_script(metadata: CheckpointMetadata) -> dict[str, Any]:
    """Returns what the script knows about the network, as plain values for JSON."""
    symbols = metadata.vocabulary.symbols
    shown = {symbol: replace_unprintable(symbol, keep_newlines=True) for symbol in symbols}
    return {
        "symbols": list(symbols),
        "shown": {symbol: words for symbol, words in shown.items() if words != symbol},
        "joining": [symbol for symbol in symbols if continues("", symbol)],
        "first": first_ids("", metadata.vocabulary)[0],
        "window": metadata.training.window,
        "hidden": metadata.model.hidden,
        "layers": metadata.model.layers,
        "embedding": metadata.model.embedding,
        "epsilon": NORM_EPSILON if metadata.model.is_normalised else 0,
        "borders": SURPRISE_BITS,
    }


def _facts_for_people(metadata: CheckpointMetadata) -> str:
    """Returns the network, its training and its loss in one line."""
    model, nats = metadata.model, metadata.nats_per_character
    layers = "" if model.layers == 1 else f", {model.layers} layers"
    gates = ", normalised gates" if model.is_normalised else ""
    loss = "not validated"
    if nats is not None:
        loss = f"{fixed(nats / math.log(2), 3)} bits per character on text that it has never read"
    return (
        f"An LSTM of {grouped(model.hidden)} units{layers}{gates}, "
        f"step {grouped(metadata.step)}: {loss}. "
        "It writes in this page, offline. Made by charlm-tui."
    )


def _colours() -> str:
    """Returns the colours for light and for dark screens, and the looks of the ink."""
    looks = "".join(
        f"{selector} {{ {declarations(LOOKS[name], _VARIABLES)} }}\n"
        for selector, name in _SELECTORS.items()
    )
    dark = f"@media (prefers-color-scheme: dark) {{\n{_palette('dark')}}}\n"
    return f"\n{_palette('light')}{dark}{looks}"


def _palette(scheme: Literal["light", "dark"]) -> str:
    values = "; ".join(f"--{colour}: {value}" for colour, value in PALETTES[scheme].items())
    return f":root {{ {values} }}\n"
