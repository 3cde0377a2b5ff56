"""`python -m modelyard_version`: the service as one process."""

from modelyard_runtime.process import run
from modelyard_version.bootstrap import build

if __name__ == "__main__":
    run(build)
