"""Gives the parsers what atheris finds, each in a process of its own, and fails if one of them breaks.

    python -m tests.fuzz.run [--seconds N] [NAME…]

What broke a parser is left in var/fuzz.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOUND = Path("var/fuzz")


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one parser in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["splitd", "storaged"]):
        from tests.fuzz.targets import PARSERS

    parser = PARSERS[name]
    folder = FOUND / name.replace(" ", "-")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(parser.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-max_len=4096", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], parser)
    atheris.Fuzz()


def main() -> None:
    """Fuzz the named parsers, or all."""
    from tests.fuzz.targets import PARSERS

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=20, help="for each parser [%(default)s]")
    options.add_argument("--one", action="store_true", help="fuzz the named one in this process")
    options.add_argument("names", nargs="*", choices=[*PARSERS, []])
    given = options.parse_args()
    if given.one:
        fuzz(given.names[0], given.seconds)
        return
    broken = []
    for name in given.names or PARSERS:
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", "--seconds", str(given.seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name}: {'ok' if not done.returncode else 'broken'}", flush=True)
        if done.returncode:
            broken.append(name)
            print(done.stdout[-3000:], done.stderr[-3000:])
    if broken:
        raise SystemExit(f"broken: {', '.join(broken)}; see {FOUND}")


if __name__ == "__main__":
    main()
