"""The pip line for a missing part fits the copy that is running, and never asks an index for us."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from captcha_helpers.core import extras

REQUIRES = [
    "numpy>=1.26",
    'keras>=3.6; extra == "train"',
    'absent-package>=2; extra == "train"',
    'captcha-helpers[predict,train]; extra == "export"',
    "absent-runtime>=1.18; extra == 'predict'",
    'absent-litert>=2.0; sys_platform != "win32" and extra == "export"',
]


class Copy:
    """What pip has noted of an installed copy."""

    requires = REQUIRES

    def __init__(self, origin: dict[str, object] | None, installer: str = "pip") -> None:
        self.files = {"INSTALLER": f"{installer}\n"}
        if origin is not None:
            self.files["direct_url.json"] = json.dumps(origin)

    def read_text(self, name: str) -> str | None:
        return self.files.get(name)


def line(monkeypatch: pytest.MonkeyPatch, copy: Copy, extra: str = "train") -> list[str]:
    monkeypatch.setattr(extras, "_installed", lambda: copy)
    return shlex.split(extras.pip_line(extra))


def test_a_clone_is_installed_again_from_where_it_is(monkeypatch, tmp_path: Path):
    folder = tmp_path / "my clone"
    folder.mkdir()
    origin = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    assert line(monkeypatch, Copy(origin)) == ["pip", "install", "-e", f"{folder}[train]"]
    assert line(monkeypatch, Copy(origin, "uv"))[:3] == ["uv", "pip", "install"]
    monkeypatch.chdir(folder)
    assert line(monkeypatch, Copy(origin))[-1] == ".[train]"
    origin["dir_info"] = {}
    assert line(monkeypatch, Copy(origin)) == ["pip", "install", ".[train]"]


def test_a_wheel_and_a_repository_are_named_by_their_address(monkeypatch, tmp_path: Path):
    wheel = tmp_path / "captcha_helpers-0.1.0-py3-none-any.whl"
    wheel.touch()
    origin = {"url": wheel.as_uri(), "archive_info": {}}
    *_, requirement = line(monkeypatch, Copy(origin))
    assert Requirement(requirement).url == wheel.as_uri()
    assert Requirement(requirement).extras == {"train"}
    vcs = {"vcs": "git", "commit_id": "abc123"}
    origin = {"url": "https://example.org/a.git", "vcs_info": vcs}
    *_, requirement = line(monkeypatch, Copy(origin))
    assert Requirement(requirement).url == "git+https://example.org/a.git@abc123"
    assert "captcha-helpers" in requirement


@pytest.mark.parametrize(
    "origin", [None, {"url": "file:///nowhere/captcha_helpers-0.1.0.whl", "archive_info": {}}]
)
def test_of_a_copy_from_elsewhere_only_what_is_missing_is_named(monkeypatch, origin):
    """On no index is a package of ours: a line with its name would install somebody else's."""
    assert line(monkeypatch, Copy(origin)) == ["pip", "install", "absent-package>=2"]
    words = line(monkeypatch, Copy(origin), "export")[2:]
    assert words == ["absent-runtime>=1.18", "absent-package>=2", "absent-litert>=2.0"]
    monkeypatch.setattr(sys, "platform", "win32")
    assert line(monkeypatch, Copy(origin), "export")[2:] == words[:2]


def test_broken_parts_are_all_named(monkeypatch):
    """Where nothing is missing and yet something cannot be imported, all of it is installed."""
    monkeypatch.setattr(Copy, "requires", ['keras>=3.6; extra == "train"'])
    assert line(monkeypatch, Copy(None)) == ["pip", "install", "keras>=3.6"]


def test_a_clone_that_was_never_installed(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(extras, "_installed", lambda: None)
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    assert "pyproject.toml lists" in extras.pip_line("train")
    (tmp_path / "pyproject.toml").touch()
    assert extras.pip_line("train") == f'pip install -e "{tmp_path}[train]"'
    assert extras.installed_from() == "not installed, used from its sources"


def test_every_module_belongs_to_an_extra_that_exists(root: Path):
    text = (root / "pyproject.toml").read_text("utf-8")
    for extra in set(extras.EXTRA_OF.values()):
        assert f"\n{extra} = [" in text


def test_no_extra_has_a_condition_that_the_lines_leave_out(root: Path):
    text = (root / "pyproject.toml").read_text("utf-8")
    for extra in set(extras.EXTRA_OF.values()):
        listed = text.partition(f"\n{extra} = [")[2].partition("\n]")[0]
        for marker in re.findall(r";(.*)\"", listed):
            assert marker.strip() == "sys_platform != 'win32'"


def test_packages_have_versions_or_none(monkeypatch):
    monkeypatch.setattr(extras, "_installed", lambda: Copy(None))
    found = extras.packages("train")
    assert list(found) == ["keras", "absent-package"] and not found["absent-package"]
    assert found["keras"]
