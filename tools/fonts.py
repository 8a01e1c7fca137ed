"""Fetch the fonts that only the pre-training draws with: ``make fonts``.

Those of the reader of Chinese are many times as large: ``python -m tools.fonts --chinese``.

``tools/fonts.csv`` names some hundred families with open licences, each pinned to a version of the
npm package that the Fontsource project makes of it, and says which of them no training may see.
The command needs ``npm``; it takes a few files of each package, looks whether they can draw every
letter and digit, and puts them into ``build/fonts``. Interrupted, it goes on where it was.

A family that draws its lower-case letters as capitals (``case`` is ``upper``) cannot tell "a" from
"A": labels drawn with it must be in upper case.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import string
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

INDEX = "fetched.json"  # which files came from which package; written after them
OPEN_LICENCES = {"OFL-1.1", "Apache-2.0", "UFL-1.0", "MIT", "CC0-1.0", "Unlicense"}
LACKING = "毖谰耪锨"  # in Fontsource's files
CHINESE = "".join(  # the other common characters, as the national standard GB 2312 has them
    char
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFA if row == 0xD7 else 0xFF)
    if (char := bytes([row, cell]).decode("gb2312")) not in LACKING
)
WEIGHTS = {  # the first of them that there is
    "normal": ((400, 500, 300, 600, 700), (700,), (200, 100, 300), (900, 800)),
    "italic": ((400,),),
}
BATCH = 10  # packages that npm fetches in one call


class Fonts(NamedTuple):
    """Which fonts are fetched.

    Attributes:
        table: Their families.
        folder: Where they are put.
        subset: What the files with all characters are called, as a regular expression.
        characters: What they must be able to draw.
    """

    table: Path
    folder: Path
    subset: str
    characters: str


LATIN = Fonts(
    Path(__file__).with_name("fonts.csv"),
    Path("build/fonts"),
    "latin",
    string.ascii_letters + string.digits,
)
FOR_CHINESE = Fonts(
    Path(__file__).with_name("fonts_chinese.csv"),
    Path("build/fonts_chinese"),
    "(?:chinese-simplified|latin)",
    CHINESE,
)


class Family(NamedTuple):
    """A row of a table of families."""

    package: str
    version: str
    family: str
    licence: str  # SPDX
    category: str
    role: str  # "train" or "held_out"
    case: str  # "both" or "upper"

    @property
    def pinned(self) -> str:
        """Name and version as npm writes them."""
        return f"{self.package}@{self.version}"


class FontFile(NamedTuple):
    """A font that Pillow can draw with."""

    path: Path
    family: str
    upper_only: bool  # it has no lower case of its own


def read_families(table: Path = LATIN.table) -> list[Family]:
    """Read the table of families.

    Example:
        >>> {family.role for family in read_families()} == {"train", "held_out"}
        True
    """
    with table.open(newline="", encoding="utf-8") as file:
        return [Family(**row) for row in csv.DictReader(file)]


def load_fonts(role: str, folder: Path = LATIN.folder, table: Path = LATIN.table) -> list[FontFile]:
    """List the fetched fonts that have a role, always in the same order.

    Args:
        role: "train", or "held_out" for the families that no training may see.
        folder: Where ``python -m tools.fonts`` has put them.
        table: Which families they are.

    Returns:
        Every file of every family with that role.

    Raises:
        ValueError: If there is no such role.
        FileNotFoundError: If fonts have not been fetched yet.
    """
    families = [family for family in read_families(table) if family.role == role]
    if not families:
        raise ValueError(f"role must be 'train' or 'held_out', not {role!r}")
    fetched = read_index(folder)
    missing = [family.pinned for family in families if family.pinned not in fetched]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(families)} font packages are not in {folder}. "
            f"Fetch them with: python -m tools.fonts{' --chinese' * (table == FOR_CHINESE.table)}"
        )
    return [
        FontFile(folder / name, family.family, family.case == "upper")
        for family in families
        for name in fetched[family.pinned]
    ]


def read_index(folder: Path) -> dict[str, list[str]]:
    """Read which files have been fetched and are still there, by package and version."""
    index = folder / INDEX
    if not index.exists():
        return {}
    fetched: dict[str, list[str]] = json.loads(index.read_text("utf-8"))
    present = {path.name for path in folder.iterdir()}
    return {pinned: names for pinned, names in fetched.items() if present.issuperset(names)}


def write_index(folder: Path, fetched: dict[str, list[str]]) -> None:
    """Write what `read_index` reads."""
    unfinished = folder / f"{INDEX}.part"
    unfinished.write_text(json.dumps(fetched, indent=1, sort_keys=True), "utf-8")
    unfinished.replace(folder / INDEX)


def choose_files(names: Sequence[str], subset: str = LATIN.subset) -> dict[str, str]:
    """Choose a few of a package's files: regular, bold, light, black and italic.

    Args:
        names: Names of all files in the package.
        subset: What the files with all characters are called, as a regular expression.

    Returns:
        For each weight and style the file to take.

    Example:
        >>> choose_files([f"package/files/x-latin-{w}-normal.woff2" for w in (400, 500, 900)])
        {'400-normal': 'package/files/x-latin-400-normal.woff2',
         '900-normal': 'package/files/x-latin-900-normal.woff2'}
    """
    pattern = re.compile(rf".+-{subset}-(\d+-(?:normal|italic))\.woff2$")
    # A file that is named for its language comes before one that is named for Latin letters only.
    matches = [match for name in sorted(names, reverse=True) if (match := pattern.match(name))]
    found = {match[1]: match[0] for match in matches}
    chosen = {}
    for style, choices in WEIGHTS.items():
        for weights in choices:
            cut = next((f"{w}-{style}" for w in weights if f"{w}-{style}" in found), None)
            if cut:
                chosen[cut] = found[cut]
    return chosen


def glyph(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """Draw one character and cut it out: (H, W) uint8, empty if there is nothing to see."""
    left, top, right, bottom = (int(edge) for edge in font.getbbox(character))
    image = Image.new("L", (max(0, right - left), max(0, bottom - top)))
    if image.width and image.height:
        ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font)
    return np.asarray(image)


def find_fault(path: Path, characters: str = LATIN.characters) -> str | None:
    """Say what keeps a font from drawing these characters, or None."""
    try:
        font = ImageFont.truetype(path, 128)
        absent = glyph(font, "\U0010fffd").tobytes()  # what it draws for a character it lacks
        drawn = {character: glyph(font, character) for character in characters}
    except OSError as error:
        return f"cannot be opened ({error})"
    lacking = [c for c, g in drawn.items() if not g.any() or g.tobytes() == absent]
    return f"lacks {''.join(lacking)}" if lacking else None


def has_lower_case(path: Path) -> bool:
    """Find out whether a font has lower-case letters that are not small capitals.

    Letters whose two cases differ in every ordinary font are drawn in both cases and brought to one
    size. Where the lower case is made of capitals, the two pictures correlate: 0.7 and more in the
    mean of the letters, against 0.6 and less in other fonts.
    """
    font = ImageFont.truetype(path, 128)

    def pixels(character: str) -> np.ndarray:
        return np.asarray(Image.fromarray(glyph(font, character)).resize((48, 64))).ravel()

    letters = "abdeghnqrt"
    alike = [np.corrcoef(pixels(letter), pixels(letter.upper()))[0, 1] for letter in letters]
    return float(np.mean(alike)) < 0.66


def unpack(
    archive: Path, family: Family, folder: Path, fonts: Fonts = LATIN
) -> tuple[list[str], list[str]]:
    """Take the chosen files out of a package, if it has the licence that the table says.

    Returns:
        The names of the files that are now in the folder; what was wrong with the package.
    """
    short, kept, faults = family.package.split("/")[-1], [], []
    with tarfile.open(archive) as package:
        licence = json.loads(_read(package, "package/package.json")).get("license")
        if str(licence).lower() != family.licence.lower() or family.licence not in OPEN_LICENCES:
            return [], [f"{family.pinned}: its licence is {licence}, not {family.licence}"]
        for cut, member in choose_files(package.getnames(), fonts.subset).items():
            name = f"{short}-{cut}.woff2"
            unfinished = folder / f"{name}.part"
            unfinished.write_bytes(_read(package, member))
            fault = find_fault(unfinished, fonts.characters)
            if fault:
                faults.append(f"{name}: {fault}")
                unfinished.unlink()
                continue
            unfinished.replace(folder / name)
            kept.append(name)
    if not kept:
        faults.append(f"{family.pinned}: no file of use")
    elif family.case == "both" and not has_lower_case(folder / kept[0]):
        faults.append(f"{family.pinned}: its lower case is made of capitals; its case is 'upper'")
    return kept, faults


def _read(package: tarfile.TarFile, member: str) -> bytes:
    file = package.extractfile(member)
    if file is None:
        raise ValueError(f"{member} is not a file")
    return file.read()


def fetch(fonts: Fonts, batch: Sequence[Family]) -> list[tuple[Family, list[str], list[str]]]:
    """Fetch some packages with npm and take the fonts out of them.

    Returns:
        Each family, its files and what was wrong with it.

    Raises:
        RuntimeError: If npm fails.
    """
    with tempfile.TemporaryDirectory() as packages:
        command = ["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", packages]
        pinned = [family.pinned for family in batch]
        done = subprocess.run([*command, *pinned], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"npm could not fetch {' '.join(pinned)}\n{done.stderr}{done.stdout}\n"
                "Run the command again to go on with what is missing."
            )
        results = []
        for family in batch:
            name = f"{family.package.lstrip('@').replace('/', '-')}-{family.version}.tgz"
            results.append((family, *unpack(Path(packages, name), family, fonts.folder, fonts)))
        return results


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chinese", action="store_true", help="those of the reader of Chinese")
    fonts = FOR_CHINESE if parser.parse_args().chinese else LATIN
    folder = fonts.folder
    if not shutil.which("npm"):
        sys.exit("The fonts are fetched with npm, which is not installed: install Node.js first.")
    folder.mkdir(parents=True, exist_ok=True)
    families, before = read_families(fonts.table), read_index(folder)
    fetched = {
        family.pinned: before[family.pinned] for family in families if family.pinned in before
    }
    wanted = [family for family in families if family.pinned not in fetched]
    batches = [wanted[first : first + BATCH] for first in range(0, len(wanted), BATCH)]
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(wanted), unit=" families") as progress:
        for results in pool.map(partial(fetch, fonts), batches):
            for family, names, faults in results:
                fetched[family.pinned] = names
                progress.update()
                for fault in faults:
                    progress.write(fault)
            write_index(folder, fetched)
    kept = {folder / name for names in fetched.values() for name in names}
    for file in set(folder.glob("*.woff2*")) - kept:  # of families that the table no longer names
        file.unlink()
    size = sum(file.stat().st_size for file in kept) / 1e6
    print(f"{len(kept)} fonts of {len(fetched)} families, {size:.1f} MB, are in {folder}")


if __name__ == "__main__":
    main()
