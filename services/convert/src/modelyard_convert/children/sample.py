"""The sample child: loads the source, and writes the inputs that it is calibrated and proven with.

Operators that the runtime does not know are named here, before anything long.
"""

import re
from dataclasses import dataclass

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature
from modelyard_convert.child_request import CalibrationFolder
from modelyard_convert.children import arrays, calibration
from modelyard_convert.children.axes import Axes, supposed
from modelyard_convert.children.calibration import fitting
from modelyard_convert.children.probing import Probe, probe
from modelyard_convert.children.reading import Pieces, array_files, array_pieces, image_pieces
from modelyard_convert.children.requests import SampleReport, SampleRequest
from modelyard_convert.errors import CalibrationProblem, UnsupportedOperators
from modelyard_formats.running import Runner, describe
from modelyard_formats.table import runner
from modelyard_runtime.subprocess_child import Log

PROVE_SAMPLES = 128
TOGETHER = 3  # samples in the first run, of a model that takes any number: what is only ever run alone hides mixed rows
_REFUSED_BY_RUNTIME = (
    re.compile(r"Could not find an implementation for (?P<name>[\w.]+)\("),
    re.compile(r"(?P<domain>[\w.]*):(?P<name>\w+)\(-?\d+\) is not a registered function/op"),
    re.compile(r"No Op registered for (?P<name>\w+)"),
)


def sample(request: SampleRequest, log: Log) -> SampleReport:
    """Raises UnsupportedOperators, CalibrationProblem, and BadSource when the source does not load."""
    loaded = _loaded(request)
    signature = loaded.signature
    fed = _real(request, request.folder, loaded, log) if request.folder else _seeded(request, loaded, log)
    samples, names = fed.samples, [spec.name for spec in signature.inputs]
    prove = calibration.together_first(samples.prove, fed.axes, TOGETHER) if fed.apart else samples.prove
    for path, feeds in ((request.calibration, samples.calibrate), (request.proof, prove)):
        arrays.write(path, ([feed[name] for name in names] for feed in feeds))
    return SampleReport(
        kind=samples.kind,
        signature=signature,
        calibrate=len(samples.calibrate),
        prove=len(prove),
        together=len(samples.prove) - len(prove) + 1 if len(prove) < len(samples.prove) else 0,
        inputs_vary=len({tuple(feed[name].shape for name in names) for feed in samples.prove}) > 1,
        batch=calibration.items_of(samples.prove[0], fed.axes),
        output_batch_axes=fed.output_axes,
        notes=fed.notes,
    )


@dataclass(frozen=True, slots=True)
class _Fed:
    samples: calibration.Samples
    axes: Axes
    output_axes: tuple[int | None, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def apart(self) -> bool:
        """A run may have any number of items, and every output says which of them is whose."""
        return self.axes.items is None and bool(self.output_axes) and None not in self.output_axes


def _loaded(request: SampleRequest) -> Runner:
    try:
        return runner(request.format, request.root, threads=request.threads)
    except Failure as failure:
        for pattern in _REFUSED_BY_RUNTIME:
            if found := pattern.search(failure.message):
                parts = found.groupdict()
                name = f"{parts['domain']}::{parts['name']}" if parts.get("domain") else parts["name"]
                raise UnsupportedOperators(request.format, (name,)) from failure
        raise


def _seeded(request: SampleRequest, loaded: Runner, log: Log) -> _Fed:
    log("no calibration data: parity runs on seeded noise, which can fail but never pass. For a real proof put")
    log("preprocessed samples into calibration_data/*.npy of the package, or name a calibration_dataset_id")
    signature = loaded.signature
    axes = supposed(signature, request.config.inputs)[0]
    refused: Failure | None = None
    for shapes in calibration.seeded_shapes(signature, axes, request.config):
        samples = calibration.seeded_samples(signature, axes, shapes)
        try:
            loaded.run(samples.prove[0])
        except Failure as failure:
            refused = refused or failure
            continue
        return _Fed(samples, axes)
    raise CalibrationProblem(_NOT_RUN.format(signature=_told(signature), refused=refused)) from refused


_NOT_RUN = (
    "the model does not run on made-up inputs ({signature}), so nothing can be proven: {refused}. Put real samples "
    "into calibration_data/, or say in config.json what one run takes, as "
    '"inputs": [{{"name": "…", "shape": […]}}]'
)


def _told(signature: Signature) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {describe(spec.shape)}" for spec in signature.inputs)


def _real(request: SampleRequest, folder: CalibrationFolder, loaded: Runner, log: Log) -> _Fed:
    pieces, axes, found, notes = _read(request, folder, loaded)
    samples = calibration.real_samples(pieces, loaded.signature, axes, calibrate=request.calibrate, prove=PROVE_SAMPLES)
    log(axes.told())
    runs = f"{len(samples.calibrate)} runs to calibrate, {len(samples.prove)} to prove"
    log(f"{pieces.count} calibration samples, {runs}")
    return _Fed(samples, axes, found.outputs, notes)


def _read(
    request: SampleRequest, folder: CalibrationFolder, loaded: Runner
) -> tuple[Pieces, Axes, Probe, tuple[str, ...]]:
    """By the first supposed axes that a run bears out; by the likeliest where none can be told. Raises what is wrong
    with the data by the likeliest."""
    wrong: CalibrationProblem | None = None
    untold: list[tuple[Pieces, Axes, Probe]] = []
    refused: list[tuple[Pieces, Axes, Probe]] = []
    mixed: list[Axes] = []
    signature, is_images = loaded.signature, folder.kind == "images"
    files = [] if is_images else array_files(folder.path, signature)
    for axes in supposed(signature, request.config.inputs):
        try:
            pieces = (
                image_pieces(folder.path, signature, axes, request.config)
                if is_images
                else array_pieces(files, signature, axes)
            )
            found = _probed(loaded, axes, pieces)
        except CalibrationProblem as problem:
            wrong = wrong or problem
            continue
        if found.verdict == "apart":
            return pieces, axes, found, ()
        if found.verdict in ("unknown", "refused"):
            (untold if found.verdict == "unknown" else refused).append((pieces, axes, found))
        elif axes.items and not is_images:  # neighbours stay together
            chunks = array_pieces(files, signature, axes, axes.items)
            note = _MIXED.format(axes=axes.told(), what=f"every {axes.items} neighbours are")
            return chunks, Axes(dict.fromkeys(axes.of), None), Probe("unknown", ()), (note,)
        else:
            mixed.append(axes)
    if not untold and wrong:
        raise wrong
    pieces, axes, found = (untold or refused)[0]
    return pieces, axes, found, tuple(_MIXED.format(axes=each.told(), what="every file is") for each in mixed[:1])


_MIXED = "rows influence one another along what looks like the {axes}; {what} one sample"


def _probed(loaded: Runner, axes: Axes, pieces: Pieces) -> Probe:
    first = [fitting(pieces.read(index), loaded.signature) for index in range(min(axes.items or 1, pieces.count))]
    if not first:
        raise CalibrationProblem("the calibration data holds no samples")
    return probe(loaded, axes, calibration.runs(first, axes)[0])
