"""Container image: `config.json` and nothing else; what there is to know of the image the import service asks the
registry. The row is here so that the package is recognised and everybody who looks the format up finds it."""

from pathlib import Path

from modelyard_contracts.shapes import Inspection, Signature
from modelyard_formats.format import Format, Reading

DESCRIPTION = "image.json"
"""Written by the import service: the pinned image."""


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:  # noqa: ARG001 - there is nothing to open
    return Reading(Inspection(format=FORMAT.name, signature=Signature(inputs=(), outputs=())), files)


FORMAT = Format(
    name="image",
    model_types=("Image",),
    wants="config.json only",
    find=lambda names: ((DESCRIPTION,),) if DESCRIPTION in names else (),
    hints=lambda names: (),  # noqa: ARG005 - nothing is nearly an image
    inspect=_inspect,
    by_type_only=True,
)
