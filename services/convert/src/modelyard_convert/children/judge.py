"""The judge child: does the result compute the same? It sees the observations only and loads no runtime, so the same
observations can be judged again, by another tolerance, without converting again.
"""

from modelyard_contracts.shapes import Parity
from modelyard_convert.children import arrays, proof
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.requests import JudgeRequest
from modelyard_runtime.subprocess_child import Log


def judge(request: JudgeRequest, log: Log) -> Parity:
    """A failed parity is not raised: its numbers belong to the report."""
    reference, result = (
        {name: _items(column, request.batch) for name, column in zip(request.names, columns, strict=True)}
        for columns in (
            arrays.columns(path, request.runs, len(request.names)) for path in (request.reference, request.result)
        )
    )
    evidence = proof.compare(reference, result, kind=request.kind, score=request.score)
    verdict, reason = proof.judge(evidence, request.tolerance)
    parity = Parity(
        verdict=verdict,
        reason=reason,
        inputs=evidence.kind,
        samples=evidence.samples,
        tolerance=request.tolerance,
        outputs=evidence.outputs,
    )
    _tell(parity, log)
    return parity


def _items(outputs: list[Array], batch: int) -> list[Array]:
    """One for each item of a batch, where an output has the batch as its first axis."""
    items: list[Array] = []
    for output in outputs:
        items.extend(output if output.ndim and len(output) == batch else [output])
    return items


def _tell(parity: Parity, log: Log) -> None:
    log(f"parity {parity.verdict}: {parity.reason}")
    for output in parity.outputs:
        log(
            f"output {output.name}: largest error {output.max_abs_error:.4g} ({output.max_rel_error:.2%} of the "
            f"largest value), mean {output.mean_abs_error:.4g}, "
            f"cosine {output.cosine:.6f}, control {output.control_cosine:.6f}"
        )
