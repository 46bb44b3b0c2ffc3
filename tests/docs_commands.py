"""Every command line that README, docs and notebooks print, for the tests that check that they parse, or run them."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OTHER = ("python", "json", "text")  # languages of blocks that hold no commands
PLACEHOLDER = re.compile(r"\b(COMMAND|NAME|FIELD)\b")  # "cmpae study NAME" is a pattern, no command


class Line(NamedTuple):
    """A printed command: the file that prints it and its words, such as ("cmpae", "doctor", "--data", "llp")."""

    file: str
    words: tuple[str, ...]


def pages() -> dict[str, str]:
    """Markdown by file, relative to the repository: README, docs, and the text cells of the notebooks."""
    found = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in markdown()}
    for path in notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path.relative_to(ROOT).as_posix()] = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return found


def notebooks() -> list[Path]:
    """The course, and the pages of docs that compute what they show."""
    return [path for folder in ("notebooks", "docs") for path in sorted((ROOT / folder).glob("*.ipynb"))]


def markdown() -> list[Path]:
    """README, the contributors' page and docs."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(program: str = "cmpae") -> list[Line]:
    """The lines that call a program, from blocks of code and from code within a sentence, settings before them and comments left out.

    Within a sentence "`cmpae download`" is the name of a command; it counts as a line when it has an option or an argument. Where a
    word offers several values, as "paper|released", the first stands for all.
    """
    found = []
    for file, text in pages().items():
        for line in (line for line in [*in_blocks(text), *in_sentences(text)] if f"{program} " in line):
            words = shlex.split(re.sub(r"(\w)\|[\w|]+", r"\1", line), comments=True)
            while words and "=" in words[0]:
                words.pop(0)
            if len(words) > 1 and Path(words[0]).name == program and not PLACEHOLDER.search(line):
                found.append(Line(file, (program, *words[1:])))
    return list(dict.fromkeys(found))


def in_blocks(text: str) -> list[str]:
    """The lines of the blocks of code that may hold commands, fenced or indented."""
    lines, fence = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            fence = line[3:] if fence is None else None
        elif fence not in (None, *OTHER) or (fence is None and line.startswith("    ")):
            lines.append(line.strip())
    return lines


def in_sentences(text: str) -> list[str]:
    """Code within sentences that is more than a command's name."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside))
    return [span for span in spans if len(span.split()) > 2]
