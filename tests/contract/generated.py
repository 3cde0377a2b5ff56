"""Every checked-in file that is derived from code. `make generate` runs this; test_fresh compares."""

from pathlib import Path

from modelyard_bus.server_config import FromEnvironment, ServerConfig, render
from modelyard_contracts.generate import generated_files
from modelyard_contracts.permissions import IDENTITIES
from modelyard_gateway.doors.v1 import errors_page, openapi

ROOT = Path(__file__).parents[2]
FOLDER = Path("docs/generated")  # holds nothing else
NATS_CONF = Path("deploy/nats/nats.conf")
ERRORS = Path("docs/errors.md")


def nats_conf() -> str:
    """For containers and clusters: everything durable, passwords from the server's environment."""
    config = ServerConfig(
        store=Path("/data/jetstream"),
        passwords={identity: FromEnvironment(f"NATS_PASSWORD_{identity.upper()}") for identity in IDENTITIES},
        host="0.0.0.0",
        sync_interval="always",
        monitor_port=8222,
    )
    return "# Written by `make generate` from the catalogue.\n" + render(config)


def generated() -> dict[Path, str]:
    """Path relative to the repository → content."""
    files = {FOLDER / name: content for name, content in generated_files().items()}
    return files | {FOLDER / "openapi.json": openapi.document(), NATS_CONF: nats_conf(), ERRORS: errors_page.document()}


def write(root: Path) -> None:
    wanted = generated()
    for stale in {path.relative_to(root) for path in (root / FOLDER).rglob("*") if path.is_file()} - set(wanted):
        (root / stale).unlink()
    for path, content in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")


if __name__ == "__main__":
    write(ROOT)
