"""How well the shipped readers, which saw drawn images only, read real images of the same look.

    python benchmarks/zero_labels.py gradient=FOLDER stars=FOLDER --json benchmarks/zero_labels.json

Each folder holds labelled images, whose labels are used for the count only. Beside each reader
stands ``ddddocr``, a general reader, its output limited to the folder's characters (if it is
installed: ``pip install --no-deps ddddocr==1.5.6``).
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

from readers import Task, ddddocr_reads

import captcha_helpers as ch


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="READER=FOLDER")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = []
    for pair in options.pairs:
        name, _, folder = pair.partition("=")
        figures = {name: ch.evaluate(ch.load(name), folder, progress=False).to_dict()}
        if find_spec("ddddocr"):
            task = Task(name, Path(folder), Path(folder))
            figures["ddddocr"] = ddddocr_reads(task)[0]
        for reader, row in figures.items():
            rows.append({"set": Path(folder).name, "reader": reader} | row)
            print(
                f"{Path(folder).name:12} {reader:10} exact {row['exact_match']:.1%}  "
                f"ignoring case {row['exact_match_ignore_case']:.1%}  n={row['n']}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
