"""What the architecture tests walk over: members, sources and the files of the repository."""

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Member:
    """One package of the workspace. `folder` is relative to ROOT."""

    folder: Path
    declaration: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.declaration["project"]["name"]
        return name

    @property
    def package(self) -> Path:
        """Absolute."""
        return ROOT / self.folder / "src" / self.name.replace("-", "_")

    @property
    def modules(self) -> list[str]:
        """Dotted names, packages included."""
        relative = (path.relative_to(self.package.parent) for path in sorted(self.package.rglob("*.py")))
        return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in relative]


def members() -> list[Member]:
    files = sorted([*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")])
    files.append(ROOT / "deploy/local/pyproject.toml")
    return [Member(file.parent.relative_to(ROOT), tomllib.loads(file.read_text("utf-8"))) for file in files]


def services() -> list[Member]:
    return [member for member in members() if member.folder.parts[0] == "services"]


def repository_files() -> list[Path]:
    """Relative to ROOT: what git keeps or would keep; in an unpacked archive everything but hidden folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = (Path(name) for name in listed.stdout.split("\0") if name)
        return sorted({name for name in names if (ROOT / name).is_file()})
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(path for path in found if path.parts[0] == ".ci" or not path.parts[0].startswith("."))


def python_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py"]
