from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from pathlib import Path

import matplotlib
import pytest

from tools import fonts
from tools.fonts import Family, find_fault, has_lower_case, load_fonts, read_families, unpack

DEJAVU = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
FAMILY = Family("@fontsource/a", "1.0.0", "A", "OFL-1.1", "sans", "train", "both")


def pack(path: Path, licence: str, files: dict[str, bytes]) -> Path:
    files = {"package.json": json.dumps({"license": licence}).encode(), **files}
    with tarfile.open(path, "w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("table", [fonts.LATIN.table, fonts.FOR_CHINESE.table])
def test_every_family_is_pinned_open_and_named_once(table: Path):
    families = read_families(table)
    for family in families:
        assert re.fullmatch(r"@fontsource/[a-z0-9-]+", family.package)
        assert re.fullmatch(r"\d+\.\d+\.\d+", family.version), family
        assert family.licence in fonts.OPEN_LICENCES, family
        assert family.family and family.category, family
        assert family.role in ("train", "held_out") and family.case in ("both", "upper"), family
    for column in ("package", "family"):
        counts = Counter(getattr(family, column).lower() for family in families)
        assert counts.most_common(1)[0][1] == 1


def test_about_15_percent_of_the_families_are_held_out_some_of_every_large_category():
    families = read_families()
    held_out = [family for family in families if family.role == "held_out"]
    assert 0.13 < len(held_out) / len(families) < 0.17
    large = {c for c, n in Counter(family.category for family in families).items() if n >= 5}
    assert large <= {family.category for family in held_out}


def test_fonts_that_are_not_there_name_the_command_that_fetches_them(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"python -m tools\.fonts"):
        load_fonts("train", tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"python -m tools\.fonts --chinese"):
        load_fonts("train", tmp_path / "missing", fonts.FOR_CHINESE.table)
    with pytest.raises(ValueError, match="held_out"):
        load_fonts("test", tmp_path)


def test_the_file_with_all_characters_of_chinese_is_taken():
    names = [f"x-{subset}-400-normal.woff2" for subset in ("5", "latin", "chinese-simplified")]
    subset = fonts.FOR_CHINESE.subset
    assert fonts.choose_files(names, subset) == {"400-normal": names[2]}
    assert fonts.choose_files(names[:2], subset) == {"400-normal": names[1]}


def test_fonts_are_loaded_by_role(tmp_path: Path):
    names = {family.pinned: [f"{number}.woff2"] for number, family in enumerate(read_families())}
    for (name,) in names.values():
        (tmp_path / name).touch()
    fonts.write_index(tmp_path, names)
    train, held_out = load_fonts("train", tmp_path), load_fonts("held_out", tmp_path)
    assert {font.path.name for font in train + held_out} == {name for (name,) in names.values()}
    assert not {font.family for font in train} & {font.family for font in held_out}
    small_caps = {family.family for family in read_families() if family.case == "upper"}
    assert {font.family for font in train + held_out if font.upper_only} == small_caps
    held_out[0].path.unlink()
    with pytest.raises(FileNotFoundError, match="1 of"):
        load_fonts("held_out", tmp_path)


def test_only_fonts_of_the_named_licence_that_draw_everything_are_kept(tmp_path: Path):
    files = {
        "files/a-latin-400-normal.woff2": DEJAVU.read_bytes(),
        "files/a-latin-700-normal.woff2": b"not a font",
        "files/a-greek-400-italic.woff2": DEJAVU.read_bytes(),
    }
    archive = pack(tmp_path / "a.tgz", "OFL-1.1", files)
    names, faults = unpack(archive, FAMILY, tmp_path)
    assert names == ["a-400-normal.woff2"] and (tmp_path / names[0]).exists()
    assert len(faults) == 1 and "a-700-normal.woff2" in faults[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-400-normal.woff2", "a.tgz"]

    names, faults = unpack(pack(tmp_path / "b.tgz", "UNLICENSED", files), FAMILY, tmp_path)
    assert names == [] and "licence" in faults[0]


def test_a_font_without_letters_is_found():
    assert find_fault(DEJAVU) is None
    assert "A" in (find_fault(DEJAVU.with_name("STIXSizOneSymReg.ttf")) or "")


def test_small_capitals_are_told_from_a_lower_case(monkeypatch: pytest.MonkeyPatch):
    assert has_lower_case(DEJAVU)
    draw = fonts.glyph
    monkeypatch.setattr(fonts, "glyph", lambda font, character: draw(font, character.upper()))
    assert not has_lower_case(DEJAVU)
