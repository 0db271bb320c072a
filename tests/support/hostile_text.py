"""Texts that make a terminal, a markup parser or a layout do what their author wants.

Each is short, so that it fits where little is shown, and ends in plain letters, which a terminal
that took the payload in would lose.
"""

from __future__ import annotations

import unicodedata

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"

PAYLOADS: tuple[str, ...] = (
    # Titles, clipboard, links, colours, notifications: operating system commands.
    f"{ESC}]0;owned{BEL}x",
    f"{ESC}]2;owned{ST}x",
    f"{ESC}]52;c;b3duZWQ={BEL}x",
    f"{ESC}]52;c;b3duZWQ={ST}x",
    f"{ESC}]52;c;?{ST}x",
    f"{ESC}]8;;http://owned{ST}x{ESC}]8;;{ST}",
    f"{ESC}]4;1;#fff{ST}x",
    f"{ESC}]10;?{ST}x",
    f"{ESC}]9;owned{ST}x",
    f"{ESC}]777;notify;a;b{ST}x",
    f"{ESC}]1337;File=:AA=={BEL}x",
    f"{ESC}]133;A{ST}x",
    f"{ESC}]never ended",
    # Cursor, screen, modes, questions: control sequences.
    f"{ESC}[2Jx",
    f"{ESC}[3Jx",
    f"{ESC}[H{ESC}[Kx",
    f"{ESC}[10;10Hx",
    f"{ESC}[31mx",
    f"{ESC}[8mx",
    f"{ESC}[6nx",
    f"{ESC}[cx",
    f"{ESC}[>cx",
    f"{ESC}[21tx",
    f"{ESC}[8;1;1tx",
    f"{ESC}[?1049lx",
    f"{ESC}[?1000hx",
    f"{ESC}[?2004hx",
    f"{ESC}[?25lx",
    f"{ESC}[?2026hx",
    f"{ESC}[1;2rx",
    f"{ESC}[5ix",
    f"{ESC}[>31ux",
    f"{ESC}[200~x{ESC}[201~",
    f"{ESC}[",
    # Other escapes and strings.
    f"{ESC}cx",
    f"{ESC}(0x",
    f"{ESC}#8x",
    f"{ESC}Pq#0{ST}x",
    f"{ESC}P+q544e{ST}x",
    f"{ESC}_Gi=1{ST}x",
    f"{ESC}^private{ST}x",
    f"{ESC}Xstring{ST}x",
    f"{ESC}%@x",
    f"{ESC}",
    # The same in the C1 controls, and the C0 controls alone.
    "\x9b2Jx",
    "\x9d0;owned\x9cx",
    "\x90q\x9cx",
    "\x84\x85\x8d\x8e\x98\x9e\x9fx",
    "\x00\x05\x06\x0e\x0f\x11\x13\x18\x1a\x7fx",
    "\x07\x08\x0b\x0c\rx",
    "a\rb\nc\td",
    # Order, width and presence of what is seen.
    "\u202egnp.exe",
    "\u2066a\u2069\u061c\u200e\u200fx",
    "\u200b\u2060\ufeff\u00ad\u180ex",
    "\U000e0041\U000e007fx",
    "\ud83d\udcff\ude00x",
    "e" + "\u0301" * 40 + "x",
    "\u2028\u2029x",
    # Markup of Textual and Rich.
    "[/] [/red] [/foo]bar",
    "[@click=app.quit]x[/]",
    "[link=http://owned]x[/link]",
    "[bold red on blink]x [not closed",
    "[$primary]x[/] \\[x] [[x]]",
    ":bomb: [i]x[/i] {0} %s",
)

UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")


def unsafe_characters(text: str) -> set[str]:
    """Returns the characters of a text that must not reach a terminal from anybody but us."""
    return {
        character
        for character in set(text)
        if unicodedata.category(character) in UNSAFE_CATEGORIES and character not in JOINERS
    }
