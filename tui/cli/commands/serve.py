"""``charlm-tui serve``: the app in a browser, for users without a terminal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import click

from model.errors import ConfigError
from tui.cli.commands.app import app, require_app
from tui.cli.commands.watch import require_watched, watch
from tui.console.exit_status import PROGRAM, SIGNAL, complain
from tui.web.admission import is_loopback

EXTRA = "web"
WATCH = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The program behind each page: the app, or `watch` on a run."""

    arguments: tuple[str, ...]
    watches: bool


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=f"`{PROGRAM} --help` lists the options of the app, and `{PROGRAM} watch --help` those "
    "of watch.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    help="Address to listen on (default: 127.0.0.1, only this machine).",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="N",
    default=8000,
    help="Port to listen on (default: 8000).",
)
@click.option(
    "--read-only",
    is_flag=True,
    help="For spectators: watch a run that another process trains. Keys that write, delete or "
    "train are off. The arguments are those of watch: [RUN] [WATCH OPTIONS].",
)
@click.option(
    "--max-pages",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=8,
    help="Maximum number of open pages, each with a process of the app (default: 8).",
)
@click.option(
    "--public-url",
    "public_urls",
    multiple=True,
    metavar="URL",
    help="Address of a reverse proxy, as browsers request it. May be repeated.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen on an address that other machines can reach. There is no encryption: anyone who "
    "reads the network traffic learns the token, and can then train, write and delete runs as you.",
)
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[watch] [CORPUS | RUN] [OPTIONS]"
)
@click.pass_context
def serve(
    context: click.Context,
    *,
    host: str,
    port: int,
    read_only: bool,
    max_pages: int,
    public_urls: tuple[str, ...],
    allow_remote: bool,
    arguments: tuple[str, ...],
) -> int:
    """Show the app in a browser, on a port of this machine.

    CORPUS and the second OPTIONS are those of the app. Every opened page starts another process of
    the app, which saves when the page is closed. `serve watch [RUN]` shows a run that another
    process trains. `serve --read-only [RUN]` does the same for spectators, who cannot change
    anything. Only the printed link opens the page, because it holds a secret token.
    """
    try:
        # The server is an optional extra.
        from tui.web.server import PageServer, ServeSettings  # noqa: PLC0415
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"textual_serve", "aiohttp"}:
            raise
        raise ConfigError(
            "serve", f"the extra {EXTRA!r} is not installed", f"pip install '{PROGRAM}[{EXTRA}]'"
        ) from error
    served = _served(arguments, read_only=read_only)
    _require_served(context, served)
    _require_host(host, port, allow_remote=allow_remote)
    settings = ServeSettings(
        arguments=served.arguments,
        host=host,
        port=port,
        token=secrets.token_urlsafe(32),
        public_urls=tuple(map(_public_url, public_urls)),
        max_pages=max_pages,
    )
    try:
        return SIGNAL + PageServer(settings).serve()
    except OSError as error:
        cause = error.strerror or str(error)
        raise ConfigError(
            "--port", f"{host} port {port} cannot be used ({cause})", "choose another"
        ) from error


def _served(arguments: tuple[str, ...], *, read_only: bool) -> Served:
    """Returns the program to serve; spectators never start a training."""
    named = arguments[:1] == (WATCH,)
    rest = arguments[1:] if named else arguments
    if read_only:
        return Served(arguments=(WATCH, "--read-only", *rest), watches=True)
    return Served(arguments=arguments, watches=named)


def _require_served(context: click.Context, served: Served) -> None:
    """Refuses at once what the app would otherwise refuse only when a page opens."""
    if served.watches:
        served_context = watch.make_context("serve", list(served.arguments[1:]), parent=context)
        options = dict(served_context.params)
        require_watched(options.pop("run"), options.pop("root"), options)
        return
    served_context = app.make_context("serve", list(served.arguments), parent=context)
    options = dict(served_context.params)
    corpus = options.pop("corpus")
    if corpus == "-":
        raise ConfigError(
            "serve",
            "a page cannot share standard input",
            "write the text to a file and name the file",
        )
    require_app(corpus, options)


def _require_host(host: str, port: int, *, allow_remote: bool) -> None:
    """Refuses an address that other machines reach, unless it is allowed; then prints a warning.

    Raises:
        ConfigError: other machines could reach the port.
    """
    if is_loopback(host):
        return
    if not allow_remote:
        raise ConfigError(
            "--host",
            f"{host!r} can be reached from other machines, and there is no encryption",
            "leave it out and use an SSH tunnel, or add --allow-remote",
        )
    complain(f"port {port} can be reached from other machines, without encryption")


def _public_url(text: str) -> SplitResult:
    """Returns the parsed address of a proxy.

    Raises:
        ConfigError: the text is not the address of a page.
    """
    try:
        url = urlsplit(text)
        is_one = url.scheme in {"http", "https"} and bool(url.hostname) and "@" not in url.netloc
        _ = url.port
    except ValueError:
        is_one = False
    if not is_one or url.query or url.fragment:
        raise ConfigError(
            "--public-url", f"{text!r} is not the address of a page", "write it as https://name/"
        )
    return url
