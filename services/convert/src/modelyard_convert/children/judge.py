"""The judge child: does the result compute the same? It sees the observations only and loads no runtime, so the same
observations can be judged again, by another tolerance, without converting again.
"""

from collections.abc import Sequence

from modelyard_contracts.shapes import Parity
from modelyard_convert.children import arrays, proof
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.requests import JudgeRequest
from modelyard_runtime.subprocess_child import Log


def judge(request: JudgeRequest, log: Log) -> Parity:
    """A failed parity is not raised: its numbers belong to the report."""
    reference, result = (
        arrays.columns(path, request.runs, len(request.specs)) for path in (request.reference, request.result)
    )
    names = [spec.name for spec in request.specs]
    axes = [_batch_axis(column, request.batch, place, request) for place, column in enumerate(reference)]
    split = [
        {name: _items(column, axis) for name, column, axis in zip(names, columns, axes, strict=True)}
        for columns in (reference, result)
    ]
    evidence = proof.compare(
        *split,
        kind=request.kind,
        tolerance=request.tolerance,
        model=proof.Model(
            request.declared,
            request.heads,
            request.labels,
            request.inputs_vary,
            frozenset(spec.name for spec in request.specs if spec.shape and not isinstance(spec.shape[-1], int)),
        ),
    )
    verdict, reason, notes = proof.judge(evidence, repeats=request.repeats)
    parity = Parity(
        verdict=verdict,
        reason=reason,
        inputs=evidence.kind,
        samples=evidence.samples,
        tolerance=request.tolerance,
        outputs=tuple(each.parity for each in evidence.outputs),
        notes=(*request.notes, *notes),
    )
    _tell(parity, log)
    return parity


def _batch_axis(outputs: Sequence[Array], batch: int, place: int, request: JudgeRequest) -> int | None:
    """The axis along which an output holds one item after the other: as it was found, or the first one where it is as
    long as the batch in every run and not by its own count."""
    if place < len(request.output_batch_axes) and (found := request.output_batch_axes[place]) is not None:
        return found
    return 0 if outputs and all(each.ndim and len(each) == batch for each in outputs) else None


def _items(outputs: Sequence[Array], axis: int | None) -> list[Array]:
    if axis is None:
        return list(outputs)
    items: list[Array] = []
    for output in outputs:
        items.extend(output.take(index, axis=axis) for index in range(output.shape[axis]))
    return items


def _tell(parity: Parity, log: Log) -> None:
    log(f"parity {parity.verdict}: {parity.reason}")
    for output in parity.outputs:
        log(f"output {output.name} is {output.role} ({output.role_from})")
        if output.exact:
            log("  bit for bit the same")
        for measure in output.measures:
            control = "" if measure.control is None else f", another sample's {measure.control:.4g}"
            where = f", worst at {measure.where}" if measure.where else ""
            most = "at least" if measure.at_least else "at most"
            log(f"  {measure.name} {measure.value:.4g} ({most} {measure.limit:.4g}{control}){where}")
    for note in parity.notes:
        log(f"note: {note}")
