"""The sample child: loads the source, and writes the inputs that it is calibrated and proven with.

Operators that the runtime does not know are named here, before anything long.
"""

import re

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature
from modelyard_convert.children import arrays, calibration
from modelyard_convert.children.requests import SampleReport, SampleRequest
from modelyard_convert.errors import UnsupportedOperators
from modelyard_formats.running import Runner
from modelyard_formats.table import runner
from modelyard_runtime.subprocess_child import Log

PROVE_SAMPLES = 128
_REFUSED_BY_RUNTIME = (
    re.compile(r"Could not find an implementation for (?P<name>[\w.]+)\("),
    re.compile(r"(?P<domain>[\w.]*):(?P<name>\w+)\(-?\d+\) is not a registered function/op"),
    re.compile(r"No Op registered for (?P<name>\w+)"),
)


def sample(request: SampleRequest, log: Log) -> SampleReport:
    """Raises UnsupportedOperators, CalibrationProblem, and BadSource when the source does not load."""
    signature = _loaded(request).signature
    samples = _samples(request, signature, log)
    names = [spec.name for spec in signature.inputs]
    for path, feeds in ((request.calibration, samples.calibrate), (request.proof, samples.prove)):
        arrays.write(path, ([feed[name] for name in names] for feed in feeds))
    return SampleReport(
        kind=samples.kind,
        signature=signature,
        calibrate=len(samples.calibrate),
        prove=len(samples.prove),
        inputs_vary=len({tuple(feed[name].shape for name in names) for feed in samples.prove}) > 1,
        batch=len(next(iter(samples.prove[0].values()))),
    )


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


def _samples(request: SampleRequest, signature: Signature, log: Log) -> calibration.Samples:
    folder = request.folder
    if folder is None:
        log("no calibration data: parity runs on seeded noise, which can fail but never pass. For a real proof put")
        log("preprocessed samples into calibration_data/*.npy of the package, or name a calibration_dataset_id")
        return calibration.seeded_samples(signature, request.config)
    if folder.kind == "images":
        items = calibration.image_items(folder.path, signature, request.config)
    else:
        items = calibration.array_items(folder.path, signature)
    samples = calibration.real_samples(items, signature, calibrate=request.calibrate, prove=PROVE_SAMPLES)
    log(f"{items.count} calibration samples, {len(samples.calibrate)} runs to calibrate, {len(samples.prove)} to prove")
    return samples
