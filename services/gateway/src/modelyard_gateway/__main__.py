from modelyard_runtime.process import run

from modelyard_gateway.bootstrap import build

if __name__ == "__main__":
    run(build)
