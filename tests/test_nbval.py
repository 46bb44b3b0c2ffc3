"""What the notebooks' test notices: a number that changed its meaning, not one that only jitters."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

SANITIZER = Path(__file__).parent / "nbval_sanitize.cfg"
CELLS = {  # source, saved output, and whether nbval must object
    "same": ("print(1 + 1)", "2\n", False),
    "another number": ("print('p =', 2 / 3)", "p = 0.75\n", True),
    "another time": ("print('trained in 12.5 s, 0.8 seconds an epoch')", "trained in 9 s, 1.25 seconds an epoch\n", False),
    "another address": ("print('<Run at 0x7f00aa11bb22>')", "<Run at 0x7f99aa11bb22>\n", False),
    "a time that became a score": ("print('F = 12.5 %')", "F = 12.5 s\n", True),
}


def test_changed_meaning_fails_and_jitter_does_not(tmp_path):
    def cell(name, source, output):
        saved = [{"name": "stdout", "output_type": "stream", "text": output}]
        place = {"id": name.replace(" ", "-"), "metadata": {}, "execution_count": 1}
        return place | {"cell_type": "code", "source": source, "outputs": saved}

    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [cell(name, source, output) for name, (source, output, _) in CELLS.items()]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    options = ["--nbval", "--nbval-sanitize-with", str(SANITIZER), "-rA", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "a.ipynb", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    failed = {int(n) for n in re.findall(r"^FAILED \S*::Cell (\d+)", done.stdout, re.MULTILINE)}
    assert failed == {i for i, (_, _, objects) in enumerate(CELLS.values()) if objects}, done.stdout
