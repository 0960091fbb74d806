"""A guide as what its reader does: files that are written down, commands that are typed, output that is seen.

    ```toml webhookd.toml     a block with a name is that file
    ```sh                     every command must succeed
    ```console                commands after "$ ", and what they print; "…" stands for anything within a line, a line of
                              its own for any lines

Before a block, `<!-- run: serve --dev -->` starts a daemon for the rest of the guide, `<!-- code: 1 -->` says how its
last command ends, and `<!-- shown: why -->` that the block cannot be run here, which a test counts.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^```(\S*) ?(.*)$")
REMARK = re.compile(r"^<!-- (run|code|shown): (.+) -->$")
RUNNABLE = ("sh", "console")


class Block(NamedTuple):
    line: int
    """Of the fence, from 1."""
    language: str
    name: str
    text: str
    remarks: dict[str, str]

    @property
    def steps(self) -> list[tuple[str, str | None]]:
        """The commands, each with what it prints; None where that is not said."""
        if self.language == "sh":
            return [(self.text, None)]
        steps: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            elif steps and line.startswith("> ") and not steps[-1][1]:
                steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", "")
            else:
                assert steps, f"line {self.line}: a console block begins with a command"
                steps[-1] = (steps[-1][0], f"{steps[-1][1]}{line}\n")
        return [*steps]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks. Raises AssertionError for one that is not closed."""
    lines = text.splitlines()
    remarks: dict[str, str] = {}
    at = 0
    while at < len(lines):
        if remark := REMARK.match(lines[at]):
            remarks[remark[1]] = remark[2]
        elif fence := FENCE.match(lines[at]):
            end = next((i for i in range(at + 1, len(lines)) if lines[i] == "```"), None)
            assert end is not None, f"line {at + 1}: the block is not closed"
            body = "\n".join(lines[at + 1 : end]) + "\n"
            yield Block(at + 1, fence[1], fence[2], body, remarks)
            remarks, at = {}, end
        elif lines[at]:
            remarks = {}
        at += 1


def matches(expected: str, printed: str) -> bool:
    """Whether this was printed, but for "…" and for spaces at the ends of lines."""
    parts = []
    for line in expected.rstrip("\n").splitlines():
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n")
    return re.fullmatch("".join(parts), _plain(printed)) is not None


def _plain(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "".join(f"{line}\n" for line in lines)


def guides(root: Path) -> list[Path]:
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
