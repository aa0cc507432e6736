"""Fetches what the console uses of npm, by the versions and hashes in `vendored.json`, and keeps the licences.

    python tools/vendor.py

It needs npm.  Whoever installs splitd does not: the result is in the repository.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "splitd/frontends/console/assets"
LISTED = Path(__file__).with_name("vendored.json")


def fetch(package: str, wanted: dict[str, object], folder: Path) -> tarfile.TarFile:
    """Download a package.

    :raise SystemExit: its hash is not the pinned one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing; on Debian: apt-get install npm")
    command = [npm, "pack", "--silent", f"{package}@{wanted['version']}"]
    packed_as = subprocess.run(  # noqa: S603 - the arguments are those of our own list
        command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    packed = (folder / packed_as).read_bytes()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if integrity != wanted["integrity"]:
        raise SystemExit(f"{package}: its hash is {integrity}, not {wanted['integrity']}")
    return tarfile.open(folder / packed_as)


def read(archive: tarfile.TarFile, path: str) -> str:
    """Return the text of a file in a package, without the line that names a source map."""
    member = archive.extractfile(f"package/{path}")
    if member is None:
        raise SystemExit(f"{path} is no file")
    text = member.read().decode()
    lines = [
        line for line in text.splitlines() if not line.startswith(("//# sourceMappingURL", "/*# sourceMappingURL"))
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the files of all packages."""
    notices = []
    target = ASSETS / "vendor"
    target.mkdir(exist_ok=True)
    for package, wanted in json.loads(LISTED.read_text()).items():
        with tempfile.TemporaryDirectory() as folder, fetch(package, wanted, Path(folder)) as archive:
            for source, name in wanted["files"].items():
                text = read(archive, source)
                for old, new in wanted.get("replace", {}).get(source, {}).items():
                    if old not in text:
                        raise SystemExit(f"{package}: {source} has no {old!r}")
                    text = text.replace(old, new)
                (target / name).write_text(text)
            names = [each for each in archive.getnames() if each.count("/") == 1 and "/LICEN" in each.upper()]
            licence = read(archive, names[0].partition("/")[2]) if names else f"{wanted['licence']}\n"
            notices.append(f"{package} {wanted['version']} ({wanted['licence']})\n\n{licence}")
    (target / "LICENCES.txt").write_text(("\n" + "-" * 78 + "\n\n").join(notices))
    sys.stdout.write(f"{len(notices)} packages are in {target}\n")


if __name__ == "__main__":
    main()
