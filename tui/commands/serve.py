"""``charlm-tui serve``: the app in a browser, for somebody without a terminal."""

from __future__ import annotations

import click

from model.errors import ConfigError
from tui.commands.app import app, require_app
from tui.exit_status import PROGRAM, SIGNAL, complain

EXTRA = "web"


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=f"See `{PROGRAM} --help` for the options of the app.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    help="Address to listen on (default: 127.0.0.1, this machine alone).",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="N",
    default=8000,
    help="Port to listen on (default: 8000).",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen on an address that other machines reach. There is no password and no encryption: "
    "whoever reaches the port trains, writes and deletes runs as you.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CORPUS] [APP OPTIONS]")
@click.pass_context
def serve(
    context: click.Context, *, host: str, port: int, allow_remote: bool, arguments: tuple[str, ...]
) -> int:
    """Show the app in a browser, on a port of this machine.

    CORPUS and options are those of the app. Each time the page is opened the app starts anew; when
    the page is closed it saves, as when a terminal hangs up.
    """
    try:
        from tui.page_server import PageServer, is_loopback  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"textual_serve", "aiohttp"}:
            raise
        raise ConfigError(
            "serve", f"the extra {EXTRA!r} is not installed", f"pip install '{PROGRAM}[{EXTRA}]'"
        ) from error
    _require_app(context, arguments)
    if not is_loopback(host):
        if not allow_remote:
            raise ConfigError(
                "--host",
                f"{host!r} can be reached from other machines, and there is no password",
                "leave it out and use an SSH tunnel, or add --allow-remote",
            )
        complain(
            f"whoever reaches port {port} uses this program as you: no password, no encryption"
        )
    server = PageServer(arguments, host, port)
    try:
        server.serve()
    except OSError as error:
        cause = error.strerror or str(error)
        raise ConfigError(
            "--port", f"{host} port {port} cannot be used ({cause})", "choose another"
        ) from error
    return 0 if server.received is None else SIGNAL + server.received


def _require_app(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Refuses now what the app would refuse on a page that nobody can read."""
    own = app.make_context("serve", list(arguments), parent=context)
    options = dict(own.params)
    corpus = options.pop("corpus")
    if corpus == "-":
        raise ConfigError(
            "serve", "a page cannot share standard input", "write the text to a file and name that"
        )
    require_app(corpus, options)
