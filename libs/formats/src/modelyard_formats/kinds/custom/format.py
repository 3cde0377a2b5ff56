"""Custom: files of a kind that the yard does not know. They are scanned, kept and traced; nothing is said of them."""

from collections.abc import Sequence
from pathlib import Path

from modelyard_contracts.shapes import Inspection, Signature
from modelyard_formats.format import Format, Reading
from modelyard_formats.scan.names import holds_weights


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return (tuple(sorted(names)),) if names else ()


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:  # noqa: ARG001 - nothing is known of the content
    return Reading(Inspection(format=FORMAT.name, signature=Signature(inputs=(), outputs=())), files)


FORMAT = Format(
    name="custom",
    model_types=("Custom",),
    wants="at least one file beside config.json",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - any file will do
    inspect=_inspect,
    reads=lambda files: (),  # noqa: ARG005 - what the scan wants to see it asks for itself
    by_type_only=True,
    may_be_empty=lambda file: not holds_weights(file),
)
