"""A proxy that serves another port of this machine under a path, as a web server in front does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


@asynccontextmanager
async def proxy_under(path: str, port: int, behind: int) -> AsyncIterator[None]:
    """Listens on a port and asks another for all that is under the path, which it leaves out."""

    async def relay(request: web.Request) -> web.StreamResponse:
        address = f"http://127.0.0.1:{behind}{request.rel_url.raw_path_qs.removeprefix(path)}"
        headers = {
            name: request.headers[name] for name in ("Cookie", "Origin") if name in request.headers
        }
        async with aiohttp.ClientSession() as client:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                async with client.ws_connect(address, headers=headers) as server:
                    page = web.WebSocketResponse()
                    await page.prepare(request)
                    await asyncio.wait(
                        [
                            asyncio.create_task(_copy(page, server)),
                            asyncio.create_task(_copy(server, page)),
                        ],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    return page
            async with client.get(address, headers=headers, allow_redirects=False) as answer:
                kept = ("Location", "Set-Cookie", "Content-Type", "Content-Security-Policy")
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers={name: answer.headers[name] for name in kept if name in answer.headers},
                )

    application = web.Application()
    application.router.add_get(path + "/{rest:.*}", relay)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _copy(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
