from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import captcha_helpers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# In pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    name + end
    for name, end in [
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("pypi", ".python.org"),
        ("anaconda", ".org"),
        ("anaconda", ".com"),
        ("npmjs", ".org"),
    ]
]


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(root: Path) -> list[Requirement]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(pins: list[Requirement], python: str) -> dict[str, str]:
    """Return the versions that hold for one Python on this system."""
    environment = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.7",
    }
    versions: dict[str, str] = {}
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate(environment):
            name = canonicalize_name(pin.name)
            assert name not in versions, f"{name} is pinned twice for Python {python}"
            versions[name] = str(pin.specifier).removeprefix("==")
    return versions


def direct_dependencies(project: dict) -> list[Requirement]:
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return [Requirement(line) for line in lines if not line.startswith("captcha-helpers[")]


def test_the_wheel_has_the_version_of_the_package(project: dict, site: Path):
    (metadata,) = site.glob("captcha_helpers-*.dist-info/METADATA")
    assert f"Version: {captcha_helpers.__version__}" in metadata.read_text("utf-8").splitlines()
    assert "version" not in project, "captcha_helpers.__version__ is its one place"


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned_within_its_range(
    project: dict, pins: list[Requirement], python: str
):
    versions = pinned(pins, python)
    for dependency in direct_dependencies(project):
        if dependency.marker is None or dependency.marker.evaluate({"python_version": python}):
            version = versions[canonicalize_name(dependency.name)]
            assert version in dependency.specifier, dependency


def test_every_pin_is_exact(pins: list[Requirement]):
    for pin in pins:
        assert re.fullmatch(r"==[\w.+]+", str(pin.specifier)), pin
        assert pin.url is None


def test_python_range(project: dict, root: Path):
    allowed = SpecifierSet(project["requires-python"])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}.5" in allowed] == PYTHONS
    named = [c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c]
    assert named == PYTHONS
    assert "3.10-3.13" in (root / "Makefile").read_text(encoding="utf-8")


def test_base_install_is_small(project: dict):
    names = {Requirement(line).name for line in project["dependencies"]}
    assert names == {"click", "lazy-loader", "numpy", "pillow", "rapidfuzz", "tqdm"}


def test_conda_environment_is_the_same(project: dict, root: Path):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    python, pip, from_pip = environment["dependencies"]
    assert python.removeprefix("python=") in PYTHONS
    assert pip == "pip"
    assert from_pip == {"pip": ["-c constraints.txt", "-e .[test]"]}
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert "-c constraints.txt -e '.[test]'" in makefile
    exported = dict(re.findall(r"^export (\w+) \?= (\S+)$", makefile, re.MULTILINE))
    assert environment["variables"] == exported and len(exported) == 4


def test_ci_runs_what_a_person_runs(root: Path):
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [
        line
        for line in script.read_text(encoding="utf-8").splitlines()
        if not line.startswith(("#", "set ", "cd "))
    ]
    assert commands[-2:] == ["make docs", "make test"]
    # All that may come before: a browser, where the system has none.
    assert commands[0].startswith("if ! command -v chromedriver") and commands[2:-2] == ["fi"]


@pytest.mark.slow
def test_no_tracked_file_names_a_registry_or_a_local_path(
    tracked: list[Path], root: Path, local_path: re.Pattern[str]
):
    found = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong = [name for name in REGISTRIES if name in text]
        wrong += [match[0] for match in local_path.finditer(text)]
        found += [f"{path.relative_to(root)}: {name}" for name in wrong]
    assert found == []


def test_no_tracked_file_is_larger_than_pre_commit_lets_in(tracked: list[Path], root: Path):
    text = (root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooks = {hook["id"]: hook for repo in yaml.safe_load(text)["repos"] for hook in repo["hooks"]}
    (limit,) = hooks["check-added-large-files"]["args"]
    most = 1024 * int(limit.removeprefix("--maxkb="))
    assert [path for path in tracked if path.stat().st_size > most] == []


def test_the_public_host_tests_every_python(root: Path):
    workflow = yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == PYTHONS
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        assert runs and job["runs-on"] and job["timeout-minutes"]
        for targets in (run.split()[1:] for run in runs if run.startswith("make ")):
            named = [target for target in targets if target.isalpha()]
            assert all(f"\n{target}:" in makefile for target in named)
    for target in workflow["jobs"]["versions"]["strategy"]["matrix"]["versions"]:
        assert f"\n{target}:" in makefile


def test_templates_and_settings_can_be_read(root: Path):
    files = [*(root / ".github").rglob("*.yml"), root / ".pre-commit-config.yaml"]
    assert len(files) >= 6
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path
    for path in (root / ".github" / "ISSUE_TEMPLATE").glob("*_report.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert form["name"] and form["description"] and form["body"]
