"""Makes the two editions of the course: `python notebooks/editions.py` writes build/course/student and build/course/instructor.

The notebooks here are the solved ones. A cell tagged "exercise" marks its solution with the comments of nbgrader and Otter,
`### BEGIN SOLUTION` and `### END SOLUTION`, and a cell tagged "check" tests it. The instructor's edition is what is here. The
student's has a blank in place of each solution, which raises NotImplementedError until it is filled, and no outputs of exercises
and checks. Of a solution that is one assignment the name stays, and of a dict its keys: `dog = {"tp": ..., "fp": ...}`.
"""

import argparse
import ast
import os
import re
import textwrap
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
BLANK = r'\1...  # your code here\n\1raise NotImplementedError("fill in the blank")'


def tags(cell):
    return cell.metadata.get("tags", [])


def blank(solution):
    """What a student finds in place of a solution: its name and `...`, or a line that asks for code."""
    indent, body = solution[1], re.search(r"BEGIN SOLUTION\n(.*?)\n? *### END", solution[0], re.DOTALL)[1]
    [*_, last] = statements = ast.parse(textwrap.dedent(body)).body
    if len(statements) > 1 or not isinstance(last, ast.Assign):
        return solution.expand(BLANK)
    if isinstance(last.value, ast.Dict):
        names = ", ".join(f'"{key.value}": ...' for key in last.value.keys)
        return f"{indent}{last.targets[0].id} = {{{names}}}  # your numbers here"
    return f"{indent}{ast.unparse(last.targets[0])} = ...  # your code here"


def without_solutions(notebook):
    """The same notebook with its blanks emptied, and without the outputs that would give the answers away."""
    for cell in notebook.cells:
        if "exercise" in tags(cell):
            cell.source, found = SOLUTION.subn(blank, cell.source)
            if not found:
                raise ValueError(f"the exercise {cell.id} marks no solution: write ### BEGIN SOLUTION and ### END SOLUTION around it.")
        if {"exercise", "check"} & set(tags(cell)):
            cell.outputs, cell.execution_count = [], None
    return notebook


def rehomed(notebook, up):
    """Makes the links that lead out of the notebooks' folder lead to the same files from the edition's folder."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(\.\./", f"]({up}/", cell.source)
    return notebook


def make(out):
    """Writes both editions below the folder `out`."""
    for edition, change in {"student": without_solutions, "instructor": lambda notebook: notebook}.items():
        folder = Path(out, edition).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        up = Path(os.path.relpath(HERE.parent, folder))
        for path in sorted(HERE.glob("[0-9][0-9]*_*.ipynb")):
            notebook = rehomed(change(nbformat.read(path, as_version=4)), up.as_posix())
            nbformat.write(notebook, folder / path.name)
        print(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "course", help="the folder of both editions")
    make(parser.parse_args().out)
