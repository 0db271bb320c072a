// Runs before textual.js, which reads the address of the WebSocket from the page. The address is
// made from the page's own, so that it is right behind a proxy, under any name and by https.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const socket = new URL("ws", location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket.search = "";
  document.getElementById("terminal").dataset.sessionWebsocketUrl = socket.href;
  document.getElementById("again").addEventListener("click", () => location.reload());
  if (location.search === "?again") history.replaceState(null, "", location.pathname);
});
