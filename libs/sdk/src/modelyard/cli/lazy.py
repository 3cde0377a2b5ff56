"""The commands by name, each loaded when it is asked for: help and completion of the root load none of them."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Name → its modules, and what the list of commands says of it (test_lazy.py: the same as its own help begins with).
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "trace": (("lineage",), "Show everything that was made from one dataset, commit, training job or under one name."),
    "infer-formats": (
        ("templates",),
        "List the input/output modes; the JSON holds the schema of each request and response.",
    ),
    "convert": (
        ("conversions",),
        "Convert a version; the result is proved against the source and benchmarked beside it.",
    ),
    "evaluate": (
        ("evaluations",),
        "Measure a version on a labelled dataset: accuracy, confusion matrix, precision, recall, F1, AUC.",
    ),
    "publish": (("gallery",), "Publish a version to the gallery, or enter it in a competition."),
    "audit": (
        ("audits",),
        "Find objects that nobody knows and artifacts whose objects are gone. Exit code 1 while there are any.",
    ),
    "events": (
        ("operations",),
        "Follow what the services say, live, until Ctrl-C. With --json one event per line.",
    ),
    "status": (
        ("connecting",),
        "Say whether the gateway is there and ready, what is missing behind it, and whether it knows the token.",
    ),
    "whoami": (("connecting",), "Say whose token is used, in which project and role, and where it was found."),
    "login": (("connecting",), "Keep URL and token for later commands. The token is asked for, and checked."),
    "logout": (("connecting",), "Forget what login has kept. The token itself stays valid until it is revoked."),
}
GROUPS: dict[str, tuple[tuple[str, ...], str]] = {
    "import": (
        ("imports",),
        "Bring in a model: from a bucket, this machine, a training run, a template or a container image. "
        "'import s3://…' and 'import FOLDER' work without naming the way.",
    ),
    "models": (
        ("models", "aliases", "comparison", "lineage", "model_files", "promotion"),
        "List, show, change, compare, verify, download, copy, promote and delete versions.",
    ),
    "aliases": (("aliases",), "champion, staging, …: show, move and remove them; who held one when."),
    "templates": (("templates",), "Templates: engine, runtime and input/output mode, fixed once."),
    "runtimes": (("templates",), "Runtimes that a config.json may name."),
    "conversions": (("conversions",), "What can be made, what was made, and the logs of it."),
    "datasets": (("datasets",), "Register, list and forget datasets."),
    "evaluations": (("evaluations",), "Results, plots and comparisons."),
    "gallery": (("gallery",), "What all projects have listed."),
    "competitions": (("competitions",), "Entries are scored on data that the entrant never sees."),
    "training": (("training",), "What training jobs say, and what came of it."),
    "rules": (("rules",), "Which completed runs become versions by themselves."),
    "dlq": (("operations",), "Dead letters: messages that no retry could settle."),
    "tokens": (("operations",), "Access tokens of this project."),
    "access-keys": (
        ("operations",),
        "Access keys of this project: what clients of Huawei Cloud sign their requests with.",
    ),
    "projects": (("operations",), "Projects of this yard."),
}


class NotLoaded(TyperCommand):
    """Stands in the list of commands until somebody wants to run it."""

    def __init__(self, name: str, modules: tuple[str, ...], text: str) -> None:
        super().__init__(name, help=text)
        self.modules = modules

    def load(self) -> Any:
        made = typer.Typer()
        for module in self.modules:
            import_module(f"modelyard.cli.{module}").register(made)
        return typer.main.get_group(made).commands[self.name or ""]


class Root(TyperGroup):
    """Its commands are loaded one by one, those of `COMMANDS`, of `GROUPS`, and of installed packages alike."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        first, last = ({name: NotLoaded(name, *row) for name, row in rows.items()} for rows in (COMMANDS, GROUPS))
        self.commands = {**first, **self.commands, **last}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = self.commands.get(args[0])
        if isinstance(found, NotLoaded):
            self.commands[args[0]] = found.load()
        return super().resolve_command(ctx, args)


def add_installed(app: typer.Typer) -> None:
    """`up`, `demo` and `sample` come with the package modelyard-local; a client alone does not have them."""
    if find_spec("modelyard_local") is None:  # to read what every installed package declares takes as long as the help
        return
    from importlib.metadata import entry_points

    for found in entry_points(group="modelyard.commands"):
        app.command(found.name)(found.load())
