"""The app in a browser: who may ask, what a page may say, its process, and the server.

`page.html` and `page.js` are what a browser loads; the terminal in the page is textual-serve's.
May import from `tui.terminal` and `model`, and needs the extra `web` in `server` alone.
"""
