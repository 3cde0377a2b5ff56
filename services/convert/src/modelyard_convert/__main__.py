"""`python -m modelyard_convert`: the convert service as its own process."""

from modelyard_convert.bootstrap import build
from modelyard_runtime.process import run

if __name__ == "__main__":
    run(build)
