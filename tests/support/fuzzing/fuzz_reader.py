"""Feeds a reader what a fuzzer thinks of; anything but SolaError is a fault, and so is a crash, a hang or a hoard.

    python tests/support/fuzzing/fuzz_reader.py READER FOLDER [-runs=N] [-seed=N] [libFuzzer's other options]
    python tests/support/fuzzing/fuzz_reader.py                                    # which readers there are

Beginning from valid files, atheris changes bytes (of JSON mostly whole values) and keeps what reaches new lines of
sola's or NumPy's readers. FOLDER is for the corpus, and for the file that is read: a folder in memory (/dev/shm) is
fastest. `tests/system/test_fuzzing.py` tries every reader on a few changed files; docs/safety.md says for how
long they have been fuzzed.
"""

import json
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))  # called as a script, outside pytest

from support.fuzzing.mutation import values_changed

with atheris.instrument_imports(include=["sola", "numpy.lib.format", "zipfile"]):
    from support.fuzzing.readers import READERS, is_read

COUNTED = 500
"""Inputs between two times that FOLDER/READER.json says how many were read and how many refused."""


def main() -> None:
    if len(sys.argv) < 3:
        print(*READERS)
        return
    reader, folder = sys.argv[1], Path(sys.argv[2])
    name, read, seeds = READERS[reader]
    corpus, place = folder / reader, folder / f"{reader}-file"
    for made in (corpus, place):
        made.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    counts = {True: 0, False: 0}

    def counted(data: bytes) -> None:
        counts[is_read(read, place / name, data)] += 1
        if sum(counts.values()) % COUNTED == 0:  # libFuzzer leaves without a word to Python
            (folder / f"{reader}.json").write_text(json.dumps({"read": counts[True], "refused": counts[False]}))

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        """Every fourth document has bytes changed, the others values, most of them of what is valid."""
        document = seeds[seed % len(seeds)] if seed % 3 else data
        changed = values_changed(document, most, seed) if seed % 4 else None
        return atheris.Mutate(data, len(data)) if changed is None else changed

    values_too = {"custom_mutator": mutator} if name.endswith((".json", ".jsonl")) else {}
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], counted, **values_too)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
