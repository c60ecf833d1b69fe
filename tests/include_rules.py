#!/usr/bin/env python3
"""Holds every #include "..." against the table `Layout` of CONTRIBUTING.md; part of tests/lint.sh.

A folder may include itself, model/ and what its row names; `everything` is all but tests/. A folder without a row
belongs to the one above it. The rows of the product must have no circle, and no row may be left of a folder that is gone.
"""
import os
import re
import subprocess
import sys

ANYBODY = ("model", "model/base", "model/format")


def read_table(text):
    """{folder: folders that it may include, or None for everything}"""
    rows = re.findall(r"^\| (`[a-z].*?) \|.*\| ?(.*?) ?\|$", text, re.M)
    paths = lambda cell: [path.rstrip("/") for path in re.findall(r"`([a-z_/]+/)`", cell)]
    return {folder: None if allowed == "everything" else paths(allowed) for cell, allowed in rows for folder in paths(cell)}


def room_of(folder, table):
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


def is_allowed(room, target, table):
    if room == target or room == "tests":
        return True
    if table[room] is None:
        return target != "tests"
    return target in table[room] or (target in ANYBODY and not room.startswith("model"))


def circle_in(table):
    """A way through the table that comes back to where it began, or nothing."""
    def walk(room, way):
        if room in way:
            return way[way.index(room):] + [room]
        return next(filter(None, (walk(next_, way + [room]) for next_ in table.get(room) or [])), None)
    return next(filter(None, (walk(room, []) for room in table)), None)


def faults(table, includes):
    """includes: (file, line, included file)"""
    found = []
    if way := circle_in(table):
        found.append("CONTRIBUTING.md: the rows make a circle: " + " -> ".join(way))
    used = set()
    for path, line, included in includes:
        room, target = (room_of(os.path.dirname(of), table) for of in (path, included))
        used |= {room, target}
        if not room or not target:
            found.append(f"{path}:{line}: {included}: CONTRIBUTING.md has no row for the folder of one of them")
        elif not is_allowed(room, target, table):
            found.append(f"{path}:{line}: {included}: {room}/ may not include {target}/ (CONTRIBUTING.md, Layout)")
    found += [f"CONTRIBUTING.md: {room}/ has a row and no sources" for room in table if room not in used]
    return found


def includes_of(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line, text in enumerate(file, 1):
                if match := re.match(r'\s*#\s*include "([^"]+)"', text):
                    yield path, line, match[1]


def check_itself():
    text = "| `model/` | values | |\n| `a/` | x | |\n| `b/`, `c/` | y | `a/` |\n| `main/` | z | everything |\n| `tests/` | t | everything |\n"
    table = read_table(text)
    assert table == {"model": [], "a": [], "b": ["a"], "c": ["a"], "main": None, "tests": None}, table
    good = [("a/x.h", 1, "model/m.h"), ("b/x.h", 1, "a/y.h"), ("b/x/y.h", 1, "b/y.h"), ("c/x.h", 2, "c/y.h"), ("main/m.cpp", 1, "b/x.h"),
            ("tests/t.cpp", 1, "main/m.h")]
    assert not faults(table, good), faults(table, good)
    for bad in [("a/x.h", 7, "b/y.h"), ("model/m.h", 7, "a/y.h"), ("c/x.h", 7, "b/y.h"), ("main/m.cpp", 7, "tests/t.h"), ("b/x.h", 7, "nowhere/y.h")]:
        assert [fault for fault in faults(table, good + [bad]) if fault.startswith(bad[0] + ":7:")], bad
    assert faults(table, good[:-2])
    assert circle_in({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


def main():
    check_itself()
    with open("CONTRIBUTING.md", encoding="utf-8") as file:
        table = read_table(file.read().split("## Layout")[1].split("\n## ")[0])
    paths = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.h", "*.cpp"], text=True).split()
    found = faults(table, list(includes_of(path for path in paths if os.path.exists(path))))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    sys.exit(main())
