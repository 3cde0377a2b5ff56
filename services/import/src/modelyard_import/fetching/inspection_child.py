"""The process in which a package's files are read: started by `inspection`, one per package, killed if it hangs."""

from onnx import defs

from modelyard_formats.kinds.onnx import inspection  # noqa: F401 - imported while nobody waits yet, not when the request is there
from modelyard_formats.package.inspect_child import inspect_package
from modelyard_runtime.subprocess_child import serve

defs.has("Identity")  # the first question builds onnx's table of operators, as long as reading a model of 40 MB takes

if __name__ == "__main__":
    serve(lambda request, _: inspect_package(request))
