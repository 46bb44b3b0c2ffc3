"""Two editions of the course from one: the student's blanks are empty and fail their checks, the solutions pass them."""

import ast
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("editions", ROOT / "notebooks" / "editions.py")
editions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(editions)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    editions.make(folder)
    return folder


def notebooks(folder):
    return {path.name: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}


def exercises(folder):
    return [cell for notebook in notebooks(folder).values() for cell in notebook.cells if "exercise" in editions.tags(cell)]


def test_the_student_gets_blanks_and_the_instructor_solutions(made):
    blank, solved = exercises(made / "student"), exercises(made / "instructor")
    assert len(blank) == len(solved) > 0
    for empty, full in zip(blank, solved, strict=True):
        ast.parse(empty.source)
        for solution in re.findall(r"BEGIN SOLUTION\n(.*?)\n *### END", full.source, re.DOTALL):
            assert solution not in empty.source
        assert re.search(r"NotImplementedError|\.\.\.}?  # your (code|numbers) here", empty.source)
        assert not empty.outputs and full.execution_count


def test_a_blank_stops_where_the_solution_goes_on():
    source = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n"
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["exercise"]})
    space = {}
    exec(source, space)
    assert space["double"](2) == 4
    [emptied] = editions.without_solutions(nbformat.v4.new_notebook(cells=[cell])).cells
    exec(emptied.source, space)
    with pytest.raises(NotImplementedError, match="blank"):
        space["double"](2)


def test_of_answers_in_a_dict_the_names_stay():
    source = '### BEGIN SOLUTION\ndog = {"tp": 3, "fp": 1}\n### END SOLUTION\nprint(dog)\n'
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["exercise"]})
    [emptied] = editions.without_solutions(nbformat.v4.new_notebook(cells=[cell])).cells
    assert emptied.source == 'dog = {"tp": ..., "fp": ...}  # your numbers here\nprint(dog)\n'
    cell.source = "### BEGIN SOLUTION\ncat = double(\n    2)\n### END SOLUTION"
    [emptied] = editions.without_solutions(nbformat.v4.new_notebook(cells=[cell])).cells
    assert emptied.source == "cat = ...  # your code here"


def test_an_exercise_without_a_marked_solution_is_told():
    cell = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["exercise"]})
    with pytest.raises(ValueError, match="BEGIN SOLUTION"):
        editions.without_solutions(nbformat.v4.new_notebook(cells=[cell]))


def test_all_else_is_the_same_and_links_still_lead_somewhere(made):
    here = notebooks(ROOT / "notebooks")
    for edition in ("student", "instructor"):
        there = notebooks(made / edition)
        assert there.keys() == here.keys()
        for name, notebook in there.items():
            nbformat.validate(notebook)
            assert [c.id for c in notebook.cells] == [c.id for c in here[name].cells]
            for cell in (c for c in notebook.cells if c.cell_type == "markdown"):
                for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", cell.source):
                    assert (made / edition / target).exists(), target
