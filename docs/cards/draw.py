#!/usr/bin/env python3
"""Draws what the platforms are sent, as they lay it out: a picture of each platform.

    python3 docs/cards/draw.py [--browser chromium]

Reads cards.json beside it and writes telegram.png, slack.png and discord.png. The payloads are
those that are sent; only the looks around them are imitated.
"""

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIDTH = 460

STYLES = {
    "telegram": """
        body { background: #8fb39a; } .card { background: #fff; color: #000; border-radius: 12px 12px 12px 3px;
        padding: 8px 12px; white-space: pre-wrap; } pre { background: #f1f3f5; border-left: 3px solid #3a8fd6;
        border-radius: 4px; padding: 6px 8px; margin: 4px 0; white-space: pre-wrap; font-size: 12.5px; }
        .row { display: flex; gap: 4px; margin-top: 4px; } .button { flex: 1; background: rgba(60, 90, 70, .55);
        color: #fff; text-align: center; border-radius: 6px; padding: 7px; font-weight: 600; }""",
    "slack": """
        body { background: #fff; color: #1d1c1d; } .card { padding: 2px 0 2px 12px; }
        h1 { font-size: 17px; margin: 0 0 6px; } p { margin: 3px 0; white-space: pre-wrap; }
        pre { background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; padding: 7px; margin: 4px 0;
        white-space: pre-wrap; font-size: 12.5px; } ol { margin: 3px 0; padding-left: 24px; }
        .small { color: #616061; font-size: 12px; margin: 5px 0; } .row { display: flex; gap: 8px; margin: 7px 0; }
        .button { border: 1px solid #bbb; border-radius: 6px; padding: 5px 12px; font-weight: 700; }
        .primary { background: #007a5a; color: #fff; border-color: #007a5a; }
        .danger { background: #e01e5a; color: #fff; border-color: #e01e5a; }""",
    "discord": """
        body { background: #313338; color: #dbdee1; } .card { background: #2b2d31; border-left: 4px solid;
        border-radius: 4px; padding: 10px 14px; } h1 { font-size: 16px; margin: 0 0 8px; color: #f2f3f5; }
        .text { white-space: pre-wrap; } pre { background: #1e1f22; border-radius: 4px; padding: 7px; margin: 4px 0;
        white-space: pre-wrap; font-size: 12.5px; } .small { font-size: 12px; margin-top: 8px; color: #b5bac1; }
        .row { display: flex; gap: 8px; margin-top: 8px; } .button { background: #4e5058; color: #fff;
        border-radius: 4px; padding: 7px 14px; font-weight: 500; } .primary { background: #5865f2; }
        .danger { background: #da373c; }""",
}
COMMON = """
    * { box-sizing: border-box; } body { margin: 0; padding: 14px; width: %dpx;
    font: 14.5px/1.42 "DejaVu Sans", "Noto Sans", sans-serif; } pre { font-family: "DejaVu Sans Mono", monospace; }
    .state { font-size: 11px; opacity: .75; margin: 12px 2px 4px; text-transform: uppercase; letter-spacing: .06em; }
    .state:first-child { margin-top: 0; } pre + br { display: none; }
""" % WIDTH
esc = html.escape


def rows(buttons):
    """Rows of (label, style)."""
    return "".join(
        '<div class="row">' + "".join(f'<div class="button {style}">{esc(label)}</div>' for label, style in row) + "</div>"
        for row in buttons
    )


def telegram(sent):
    # Its HTML is a browser's as well.
    text = re.sub(r"\n*(</?pre>)\n*", r"\1", sent["text"])
    keyboard = sent["reply_markup"].get("inline_keyboard", [])
    return f'<div class="card">{text}</div>' + rows([[(one["text"], "") for one in row] for row in keyboard])


def slack_rich(element):
    kind = element["type"]
    if kind == "rich_text_list":
        return "<ol>" + "".join(f"<li>{slack_rich(one)}</li>" for one in element["elements"]) + "</ol>"
    if kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        inner = "".join(slack_rich(one) for one in element["elements"])
        return f"<pre>{inner}</pre>" if kind == "rich_text_preformatted" else f"<span>{inner}</span>"
    text = esc(element["text"])
    return f"<b>{text}</b>" if element.get("style", {}).get("bold") else text


def slack(sent):
    parts = []
    for block in sent["blocks"]:
        kind = block["type"]
        if kind == "header":
            parts.append(f"<h1>{esc(block['text']['text'])}</h1>")
        elif kind == "rich_text":
            parts.append("<p>" + "".join(slack_rich(one) for one in block["elements"]) + "</p>")
        elif kind == "context":
            parts.append('<div class="small">' + " ".join(esc(one["text"]) for one in block["elements"]) + "</div>")
        elif kind == "actions":
            parts.append(rows([[(one["text"]["text"], one.get("style", "")) for one in block["elements"]]]))
        else:
            sys.exit(f"no picture of a block `{kind}`")
    return f'<div class="card">{"".join(parts)}</div>'


def discord_markdown(text):
    parts = re.split(r"```(?:\w*\n)?(.*?)```\n?", text, flags=re.S)
    drawn = []
    for number, part in enumerate(parts):
        if number % 2:
            drawn.append(f"<pre>{esc(part.strip(chr(10)))}</pre>")
        else:
            part = esc(part.strip("\n"))
            part = re.sub(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*", r"<b>\1</b>", part)
            drawn.append(re.sub(r"\\([^\w\s])", r"\1", part))
    return "".join(drawn)


def discord(sent):
    styles = {1: "primary", 2: "", 3: "", 4: "danger"}
    parts = []
    for embed in sent["embeds"]:
        parts.append(f'<div class="card" style="border-color: #{embed["color"]:06x}">')
        if embed.get("title"):
            parts.append(f"<h1>{discord_markdown(embed['title'])}</h1>")
        if embed.get("description"):
            parts.append(f'<div class="text">{discord_markdown(embed["description"])}</div>')
        if embed.get("footer"):
            parts.append(f'<div class="small">{esc(embed["footer"]["text"])}</div>')
        parts.append("</div>")
    found = [[(one["label"], styles[one["style"]]) for one in row["components"]] for row in sent["components"]]
    return "".join(parts) + rows(found)


DRAW = {"telegram": telegram, "slack": slack, "discord": discord}


def shot(browser, page, picture, height):
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run([
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}",
            f"--screenshot={picture}", page.as_uri(),
        ], check=True, capture_output=True)


def height_of(browser, page):
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", f"--window-size={WIDTH},600", "--dump-dom", page.as_uri(),
        ], check=True, capture_output=True, text=True)
    return int(re.search(r'data-height="(\d+)"', done.stdout)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default="chromium")
    browser = parser.parse_args().browser
    cards = json.loads((HERE / "cards.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        for platform, draw in DRAW.items():
            body = "".join(f'<div class="state">{esc(one["state"])}</div>{draw(one["sent"][platform])}' for one in cards)
            page = Path(folder) / f"{platform}.html"
            page.write_text(
                f"<!doctype html><meta charset=utf-8><style>{COMMON}{STYLES[platform]}</style><body>{body}"
                "<script>document.body.dataset.height = Math.ceil(document.body.getBoundingClientRect().height)</script>"
            )
            shot(browser, page, HERE / f"{platform}.png", height_of(browser, page))


if __name__ == "__main__":
    main()
