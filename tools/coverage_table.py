"""Print the branch coverage of every module, with the reason beside one that has little.

``make check`` runs it on the report that pytest-cov wrote:
``python -m tools.coverage_table build/coverage.json``. Where a browser, npm or the network is
missing, tests are skipped and less is covered, so what it says is wrong does not stop ``make``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

AT_LEAST = 95.0
# Why a module may have less. A reason that is no longer needed is an error, too.
_ELSEWHERE = "also runs in processes of its own, which tests/integration looks at from outside"
_ON_RAY = "also runs in processes that Ray starts"
REASONS: dict[str, str] = {
    "captcha_helpers/cli/draw.py": _ELSEWHERE,
    "captcha_helpers/cli/errors.py": _ELSEWHERE,
    "captcha_helpers/cli/export.py": _ELSEWHERE,
    "captcha_helpers/cli/label.py": _ELSEWHERE,
    "captcha_helpers/cli/read.py": _ELSEWHERE,
    "captcha_helpers/cli/serve.py": _ELSEWHERE,
    "captcha_helpers/exporting/page.py": "downloads, where there is no npm",
    "captcha_helpers/reading/safety.py": "one line for each way in which a file may be forged",
    "captcha_helpers/scaling/cluster.py": _ON_RAY,
    "captcha_helpers/scaling/drawing_shards.py": _ON_RAY,
    "captcha_helpers/serving/labelling.py": _ELSEWHERE,
    "captcha_helpers/serving/slow_clients.py": _ELSEWHERE,
}


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
