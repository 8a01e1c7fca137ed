"""Derive the notebooks' exercises from their solutions.

In ``notebooks/solutions/NN_….ipynb`` the cells with the tag ``exercise`` are the questions, the
solutions and their checks. ``python -m tools.exercises`` puts them into the notebook of the same
name, under its heading "Exercises". A cell that has the tag ``solution`` as well loses the body of
each of its functions on the way: what is left is the function's head, its docstring and
``# YOUR CODE``. So an exercise is changed in one place, its solution.
"""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
from nbformat import NotebookNode

TAG, SOLUTION = "exercise", "solution"
OPEN_BODY = ["    # YOUR CODE", "    return ..."]
HEADING = "## Exercises"


def open_functions(source: str) -> str:
    r"""Take the bodies of a solution's functions away.

    Args:
        source: Python code; its functions stand at the left margin and have a docstring.

    Returns:
        The same code with open functions; what stands outside of functions stays.

    Raises:
        ValueError: If there is no function, or one without a docstring.

    Example:
        >>> print(open_functions('def double(x):\n    "Twice x."\n    return 2 * x'))
        def double(x):
            "Twice x."
            # YOUR CODE
            return ...
    """
    lines = source.splitlines()
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    if not functions or not all(map(ast.get_docstring, functions)):
        raise ValueError(f"a solution needs a function with a docstring:\n{source}")
    for function in reversed(functions):
        lines[function.body[0].end_lineno : function.end_lineno] = OPEN_BODY
    return "\n".join(lines)


def derive(solutions: NotebookNode) -> list[NotebookNode]:
    """Make the exercises out of the solutions.

    Args:
        solutions: A notebook of ``notebooks/solutions``.

    Returns:
        The cells for the notebook that asks, without outputs.
    """
    cells = []
    for cell in solutions.cells:
        tags = cell.metadata.get("tags", [])
        if TAG in tags:
            new = nbformat.from_dict(cell)
            new.metadata = nbformat.from_dict({"tags": [TAG]})
            if cell.cell_type == "code":
                new.outputs, new.execution_count = [], None
                new.source = open_functions(cell.source) if SOLUTION in tags else cell.source
            cells.append(new)
    return cells


def put(notebook: NotebookNode, exercises: list[NotebookNode]) -> None:
    """Put exercises into the notebook that asks, in the place of those that it has.

    Args:
        notebook: It is changed. What a cell printed stays as long as its text does.
        exercises: What `derive` returned.

    Raises:
        ValueError: If the notebook has neither exercises nor a heading for them.
    """
    there = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    printed = {(cell.id, cell.source): cell for cell in there}
    heads = [i for i, cell in enumerate(notebook.cells) if cell.source.startswith(HEADING)]
    if len(heads) != 1:
        raise ValueError(f"one cell must begin with {HEADING!r}, found {len(heads)}")
    new = [printed.get((cell.id, cell.source), cell) for cell in exercises]
    head = notebook.cells[heads[0]]
    others = [cell for cell in notebook.cells if TAG not in cell.metadata.get("tags", [])]
    place = others.index(head) + 1
    notebook.cells = others[:place] + new + others[place:]


def main() -> None:
    """Run from the clone's root."""
    for path in sorted(Path("notebooks/solutions").glob("*.ipynb")):
        notebook = nbformat.read(path.parents[1] / path.name, as_version=4)
        put(notebook, derive(nbformat.read(path, as_version=4)))
        nbformat.write(notebook, path.parents[1] / path.name)
        print(path.name)


if __name__ == "__main__":
    main()
