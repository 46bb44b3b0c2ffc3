"""How long a notebook takes by the syllabus's rule: `python notebooks/minutes.py` prints the minutes of each.

The rule is an estimate and was not measured with readers: 150 words a minute, 8 seconds for a line of code, half a minute for a
picture or a table, 4 minutes for an exercise at the end, with its text and its answer, and 2 for a blank in the text before.
"""

import json
import math
import re
from pathlib import Path

HERE = Path(__file__).parent
WORDS_A_MINUTE, SECONDS_A_LINE = 150, 8
MINUTES_EACH = {"pictures": 0.5, "blanks": 2, "exercises": 4}
PICTURES = {"image/png", "image/svg+xml", "text/html", "application/vnd.jupyter.widget-view+json"}  # tables are text/html
SIGN = re.compile(r"<[^>]+>|[`*$|#\\]|\]\([^)]*\)")  # what is not read aloud: tags, marks of Markdown, where links lead


def parts(path):
    """Counts words, lines of code, pictures with tables, blanks and exercises; not what is folded away, nor progress bars."""
    counts = dict.fromkeys(("words", "lines", *MINUTES_EACH), 0)
    exercising = False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            exercising = re.search(r"(?m)^## Exercises", source) is not None or (exercising and not source.startswith("## "))
            text, _, exercises = source.partition("## Exercises") if not exercising or "## Exercises" in source else ("", "", source)
            counts["words"] += len(SIGN.sub(" ", text).split())
            counts["exercises"] += len(re.findall(r"(?m)^\*\*\d\.\*\*", exercises))
        elif "exercise" in tags:
            counts["blanks"] += not exercising
        elif not {"remove-cell", "check"} & set(tags):
            counts["lines"] += sum(bool(line.strip()) for line in source.splitlines()) * ("hide-input" not in tags)
            counts["pictures"] += sum(bool(PICTURES & set(out.get("data", {}))) and not progress(out) for out in cell["outputs"])
    return counts


def progress(output):
    return "it/s]" in "".join(output["data"].get("text/plain", ""))


def minutes(path):
    """Returns the minutes by the rule, and rounded up to the next five, as the syllabus has them."""
    counts = parts(path)
    exact = counts["words"] / WORDS_A_MINUTE + counts["lines"] * SECONDS_A_LINE / 60
    exact += sum(each * counts[what] for what, each in MINUTES_EACH.items())
    return exact, 5 * math.ceil(exact / 5)


if __name__ == "__main__":
    for notebook in sorted(HERE.glob("[0-9][0-9]_*.ipynb")):
        exact, rounded = minutes(notebook)
        print(f"{notebook.stem:<32}{rounded:4d} minutes ({exact:.1f}): {parts(notebook)}")
