#!/usr/bin/env python3
"""Writes dashboards/*.json. With --check says which of them are not what would be written, and writes nothing."""

import json
import pathlib
import sys

import broker
import clients
import node
import overview
import rooms

FOLDER = pathlib.Path(__file__).resolve().parent.parent
MADE = {f"{module.__name__}.json": module.DASHBOARD for module in (overview, rooms, broker, node, clients)}


def main():
    stale = []
    for name, dashboard in MADE.items():
        path, text = FOLDER / name, json.dumps(dashboard, indent=2) + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    stale += [path.name for path in FOLDER.glob("*.json") if path.name not in MADE]
    if "--check" in sys.argv and stale:
        sys.exit(f"dashboards: {', '.join(sorted(stale))} not as dashboards/source/make.py writes them; run it")


if __name__ == "__main__":
    main()
