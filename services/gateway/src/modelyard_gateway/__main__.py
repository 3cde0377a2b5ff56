from modelyard_gateway.bootstrap import build
from modelyard_runtime.process import run

if __name__ == "__main__":
    run(build)
