"""`modelyard sample`: the demo's model package and datasets as plain folders, to try the command line and curl with."""

from pathlib import Path

from modelyard_local.demo import digits


def write_sample(folder: Path) -> list[Path]:
    """`digits/` (a package), `held-out/` and `hidden/` (one folder per class). Raises OSError."""
    train, held_out, hidden = digits.split()
    contents = {
        "digits": digits.train(train, held_out).files,
        "held-out": dict(held_out.pngs()),
        "hidden": dict(hidden.pngs()),
    }
    for name, files in contents.items():
        for path, content in files.items():
            target = folder / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return [folder / name for name in contents]
