"""Spark MLlib: the folder `spark_model/` as a pipeline writes itself. Metadata are JSON; Parquet data are not read.

`metadata/part-*` holds one JSON object with class, uid and parameters of a stage; the stages of a pipeline lie in
`stages/<number>_<uid>/`, each with metadata of its own (org.apache.spark.ml.util.DefaultParamsWriter).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, Inspection, Signature
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, within_bounds
from modelyard_formats.scan.schema import Undecodable, parse_json

ROOT = "spark_model/"
MAX_METADATA = 4 * 2**20
RULE = "spark_model/metadata/part-00000 with the stage's class, uid and parameters"
_PART = re.compile(r"spark_model/(?:.+/)?metadata/part-[0-9]+[^/]*")
_PLAIN = ("org.apache.spark.ml.", "pyspark.ml.")


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    parts = sorted((name for name in names if _PART.fullmatch(name)), key=lambda name: (name.count("/"), name))
    if not parts or parts[0].count("/") != 2:
        return ()
    rest = sorted(name for name in names if name.startswith(ROOT) and name not in parts)
    return ((*parts, *rest),)


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    if not any(name.startswith(ROOT) for name in names):
        return ()
    file = f"{MODEL_FOLDER}/{ROOT}metadata/part-00000"
    return (Problem(message=f"{MODEL_FOLDER}/{ROOT} has no metadata/part-00000", file=file, rule=RULE),)


def _reads(files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in files if _PART.fullmatch(name))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    stages = [(name, stage) for name in _reads(files) for stage in _stages(folder / name, f"{MODEL_FOLDER}/{name}")]
    if not stages or stages[0][0] != files[0]:
        name = f"{MODEL_FOLDER}/{files[0]}"
        raise bad_source(f"{name} describes no stage", file=name, rule=RULE)
    _, main = stages[0]
    inspection = Inspection(
        format=FORMAT.name,
        signature=Signature(inputs=(), outputs=()),
        producer=f"Spark {main.get('sparkVersion', '')}".strip()[:200],
        operators=dict(sorted(Counter(str(stage["class"])[:500] for _, stage in stages).items())),
        details={"class": str(main["class"])[:500], "uid": str(main["uid"])[:200], **_columns(main)},
    )
    return Reading(within_bounds(inspection, f"{MODEL_FOLDER}/{ROOT}"), files, tuple(_findings(stages)))


def _stages(path: Path, name: str) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > MAX_METADATA:
        raise bad_source(f"{name} is too large", file=name, rule=f"{RULE}, at most {MAX_METADATA:,} bytes")
    for line in path.read_bytes().splitlines():
        try:
            found = parse_json(line)
        except Undecodable as error:
            raise bad_source(f"{name}: {error}", file=name, rule=RULE) from error
        if (
            not isinstance(found, dict)
            or not isinstance(found.get("class"), str)
            or not isinstance(found.get("uid"), str)
        ):
            raise bad_source(f"{name} names no class or no uid", file=name, rule=RULE)
        yield found


def _columns(stage: dict[str, Any]) -> dict[str, str | int]:
    """The columns that the outermost stage reads and writes, as far as it names them itself."""
    parameters = stage.get("paramMap")
    found = {**(parameters if isinstance(parameters, dict) else {})}
    wanted = ("featuresCol", "inputCol", "inputCols", "labelCol", "predictionCol", "outputCol", "outputCols")
    return {name: json.dumps(found[name], ensure_ascii=False).strip('"')[:200] for name in wanted if name in found}


def _findings(stages: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[Finding]:
    """A stage that is not Spark's own is code that whoever loads it has to have."""
    for name, stage in stages[:200]:
        if not stage["class"].startswith(_PLAIN):
            message = f"stage {stage['class'][:200]!r} is not Spark's own; loading it needs, and runs, that code"
            yield Finding(file=f"{MODEL_FOLDER}/{name}", severity="suspicious", rule="spark-class", message=message)


FORMAT = Format(
    name="spark-mllib",
    model_types=("Spark_MLlib",),
    wants="the folder spark_model/",
    find=_find,
    hints=_hints,
    inspect=_inspect,
    reads=_reads,
    may_be_empty=lambda file: not file.endswith(".parquet"),  # Spark marks what is complete with empty files
)
