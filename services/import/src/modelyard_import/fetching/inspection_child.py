"""The process in which a package's files are read: started by `inspection`, one per package, killed if it hangs."""

from modelyard_formats.kinds.onnx import inspection
from modelyard_formats.package.inspect_child import inspect_package
from modelyard_runtime.subprocess_child import serve

inspection.prepare()  # while nobody waits yet, not when the request is there

if __name__ == "__main__":
    serve(lambda request, _: inspect_package(request))
