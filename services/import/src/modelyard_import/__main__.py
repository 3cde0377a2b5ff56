"""`python -m modelyard_import`: the import service as its own process."""

from modelyard_import.bootstrap import build
from modelyard_runtime.process import run

if __name__ == "__main__":
    run(build)
