"""`python -m modelyard_evaluate`: one process of the evaluate service."""

from modelyard_evaluate.bootstrap import build
from modelyard_runtime.process import run

if __name__ == "__main__":
    run(build)
