"""The walls of `.importlinter`: they stand, and each of them is seen to fall when it is broken."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import ROOT, members, services

CONTRACTS = ROOT / ".importlinter"
_PREFIX = "importlinter:contract:"

# By contract: who breaks it, and with which line.
BREACHES = {
    "layers": ("libs/bus/src/modelyard_bus/connection.py", "import modelyard_store.keys"),
    "sdk": ("libs/sdk/src/modelyard/client.py", "import modelyard_contracts.ids"),
    "sdk-users": ("services/publish/src/modelyard_publish/card.py", "import modelyard.client"),
    "testkit": ("services/gateway/src/modelyard_gateway/app.py", "import modelyard_testkit.servers"),
    "domain": ("services/publish/src/modelyard_publish/domain/listings.py", "import modelyard_publish.settings"),
    "domain-clock": ("services/gateway/src/modelyard_gateway/domain.py", "import time"),
    "tasks": (
        "services/evaluate/src/modelyard_evaluate/planning.py",
        "import modelyard_evaluate.tasks.classification.npz",
    ),
    "formats": ("libs/formats/src/modelyard_formats/wire/zip_members.py", "import modelyard_formats.scan.names"),
    "kinds": ("libs/formats/src/modelyard_formats/kinds/onnx/model.py", "import modelyard_formats.kinds.openvino.ir"),
    "nats": ("libs/runtime/src/modelyard_runtime/process.py", "import nats"),
    "stores": ("services/version/src/modelyard_version/repository/versions.py", "from pymongo import MongoClient"),
    "http": ("libs/runtime/src/modelyard_runtime/health.py", "import fastapi"),
    "programs": ("services/convert/src/modelyard_convert/toolchains/onnx/halving.py", "import pydantic"),
    "judge": ("services/convert/src/modelyard_convert/children/proof.py", "import modelyard_formats.running"),
    "engines": ("services/version/src/modelyard_version/bootstrap.py", "import numpy"),
    "inside-import": ("services/import/src/modelyard_import/repository.py", "import modelyard_import.runs"),
    "inside-version": (
        "services/version/src/modelyard_version/built_in/__init__.py",
        "import modelyard_version.repository.moves",
    ),
    "inside-evaluate": ("services/evaluate/src/modelyard_evaluate/fonts.py", "import modelyard_evaluate.register"),
    "inside-convert": ("services/convert/src/modelyard_convert/outputs.py", "import modelyard_convert.handlers.jobs"),
    "inside-publish": ("services/publish/src/modelyard_publish/card.py", "import modelyard_publish.handlers.plans"),
    "inside-gateway": ("services/gateway/src/modelyard_gateway/backends.py", "import modelyard_gateway.caller"),
    "doors": ("services/gateway/src/modelyard_gateway/middleware.py", "import modelyard_gateway.doors.v1.replies"),
}


def _lint(root: Path, *, path: str = "") -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*program, "--config", str(CONTRACTS), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _contracts() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(CONTRACTS, "utf-8")
    return config


def _names() -> dict[str, str]:
    config = _contracts()
    sections = (section for section in config.sections() if section.startswith(_PREFIX))
    return {section.removeprefix(_PREFIX): config[section]["name"] for section in sections}


def test_the_walls_stand() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy in which every contract is broken once."""
    copy = tmp_path_factory.mktemp("broken")
    for member in members():
        shutil.copytree(member.package.parent, copy / member.folder / "src")
    for file, line in BREACHES.values():
        target = copy / file
        target.write_text(f"{target.read_text('utf-8')}\n{line}\n", "utf-8")
    linted = _lint(copy, path=os.pathsep.join(str(copy / member.folder / "src") for member in members()))
    assert linted.returncode == 1, linted.stdout + linted.stderr
    return linted.stdout


@pytest.mark.parametrize("contract", sorted(_names()))
def test_a_breach_is_seen(contract: str, broken: str) -> None:
    assert re.search(rf"^{re.escape(_names()[contract])} BROKEN", broken, re.MULTILINE), broken


def test_every_contract_has_a_breach() -> None:
    assert set(BREACHES) == set(_names())


def test_every_package_is_behind_the_walls() -> None:
    config = _contracts()
    packages = {member.package.name for member in members()}
    assert set(config["importlinter"]["root_packages"].split()) == packages
    for wall in ("domain", "domain-clock"):
        listed = set(config[_PREFIX + wall]["source_modules"].split())
        assert listed == {f"{service.package.name}.domain" for service in services()}
    for wall, inside in (("nats", "modelyard_bus"), ("stores", "modelyard_store"), ("http", "modelyard_gateway")):
        assert set(config[_PREFIX + wall]["source_modules"].split()) == packages - {inside}
    containers = {config[_PREFIX + wall].get("containers", "").strip() for wall in _names()}
    assert {service.package.name for service in services()} <= containers
