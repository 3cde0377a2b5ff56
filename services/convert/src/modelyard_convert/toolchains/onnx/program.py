"""ONNX to ONNX: what the rows of `table` name. Run by the refit child; each step loads only the libraries it needs."""

from modelyard_convert.children.protocol import BadResult, Changes, Work


def quantise_dynamic(work: Work) -> Changes:
    from modelyard_convert.toolchains.onnx import quantising

    return quantising.dynamic(work)


def quantise_static(work: Work) -> Changes:
    from modelyard_convert.toolchains.onnx import quantising

    return quantising.static(work)


def to_fp16(work: Work) -> Changes:
    from modelyard_convert.toolchains.onnx import halving

    return halving.to_fp16(work)


def optimise(work: Work) -> Changes:
    from modelyard_convert.toolchains.onnx import optimising

    return optimising.optimise(work)


def full_check(work: Work) -> None:
    """What is declared wrongly in the source already does not speak against the result: it runs, or does not."""
    import onnx

    try:
        onnx.checker.check_model(str(work.result_file("model.onnx")), full_check=True)
    except onnx.shape_inference.InferenceError as error:
        try:
            onnx.checker.check_model(str(work.source_file(".onnx")), full_check=True)
        except onnx.shape_inference.InferenceError as own:
            work.log(f"shapes are declared wrongly in the source itself: {_first(own)}")
        else:
            raise BadResult(_first(error)) from error
    except onnx.checker.ValidationError as error:
        raise BadResult(_first(error)) from error


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
