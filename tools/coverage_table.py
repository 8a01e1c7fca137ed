"""Print the branch coverage of every module, and fail over one that is not covered well.

``make check`` runs it on the report that pytest-cov wrote:
``python -m tools.coverage_table build/coverage.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

AT_LEAST = 95.0
# Why a module may have less. A reason that is no longer needed is an error, too.
REASONS: dict[str, str] = {}


def table(report: dict[str, Any], reasons: dict[str, str]) -> tuple[list[str], list[str]]:
    """Turn a report of coverage.py into lines to print and lines on what is wrong.

    Args:
        report: What ``coverage json`` writes.
        reasons: Why a file may have less than `AT_LEAST` per cent.

    Returns:
        A line for each file, and a line for each that breaks the rule.

    Example:
        >>> report = {"files": {"a.py": {"summary": {"percent_covered": 90.0}}}}
        >>> table(report, {"a.py": "needs a GPU"})
        (['  90.0 %  a.py  (needs a GPU)'], [])
        >>> table(report, {})[1]
        ['a.py has 90.0 %: add a test, or the reason to REASONS']
    """
    lines, wrong = [], []
    for path, entry in report["files"].items():
        name = path.replace("\\", "/")
        covered, reason = entry["summary"]["percent_covered"], reasons.get(name)
        lines.append(f"{covered:6.1f} %  {name}" + (f"  ({reason})" if reason else ""))
        if covered < AT_LEAST and not reason:
            wrong.append(f"{name} has {covered:.1f} %: add a test, or the reason to REASONS")
        if covered >= AT_LEAST and reason:
            wrong.append(f"{name} has {covered:.1f} %: take its reason out of REASONS")
    gone = sorted(set(reasons) - {name.replace("\\", "/") for name in report["files"]})
    wrong += [f"{name} is in REASONS, but there is no such file" for name in gone]
    return lines, wrong


def main() -> None:
    """Run from the clone's root, with the path of the report."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines, wrong = table(report, REASONS)
    print(*lines, sep="\n")
    print(f"{report['totals']['percent_covered']:6.1f} %  of all lines and branches")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
