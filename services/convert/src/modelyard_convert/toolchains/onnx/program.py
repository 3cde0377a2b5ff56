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
    """Shapes that the source declares wrongly (exporters do) do not speak against the result: it runs, or does not."""
    import onnx

    path = work.result_file("model.onnx")
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError as error:
        raise BadResult(_first(error)) from error
    except onnx.shape_inference.InferenceError as error:
        model = onnx.load(path, load_external_data=False)
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        try:
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        except onnx.shape_inference.InferenceError:
            raise BadResult(_first(error)) from error
        work.log(f"a shape is declared that the model does not have: {_first(error)}")


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
