"""`modelyard up` and `modelyard demo`. Light on purpose: every run of the command line imports this module."""

from pathlib import Path
from typing import Annotated

import typer

Patience = Annotated[float, typer.Option(min=1, help="seconds; give up when nothing has moved for so long")]
PATIENCE = 60.0


def up(
    data: Annotated[Path, typer.Option(help="folder for everything the stack keeps")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the gateway; 0: the one it had, or a free one")] = 0,
    processes: Annotated[bool, typer.Option("--processes", help="one process for each service")] = False,
    patience: Patience = PATIENCE,
) -> None:
    """Start the whole yard on this machine: embedded NATS and S3, all services. Ctrl-C stops it."""
    from modelyard_local.running import run_stack
    from modelyard_runtime.process import leave

    leave(run_stack(data, port, processes, patience))


def demo(
    data: Annotated[Path, typer.Option(help="folder of the demo's stack; a second run adds a version")] = Path(
        "demo-data"
    ),
    patience: Patience = PATIENCE,
) -> None:
    """Run the main job once on a stack of its own: train, import, convert with proof, evaluate, publish."""
    from modelyard_local.running import run_demo
    from modelyard_runtime.process import leave

    leave(run_demo(data, patience))


def sample(folder: Annotated[Path, typer.Argument(help="folder to fill")]) -> None:
    """Write a small trained model package and two labelled image datasets, to try things with."""
    from modelyard_local.demo.sample import write_sample

    for made in write_sample(folder):
        typer.echo(made)
