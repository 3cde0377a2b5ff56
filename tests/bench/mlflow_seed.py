"""Fills the database of an MLflow server; run by MLflow's own Python, while no server uses the database.

Goes through MLflow's own tables, since its interface takes hours for as many.
`python mlflow_seed.py FILE VERSIONS NAMES`
"""

import sys
import time

from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

MANY = "many"
RARE_EVERY = 200


def fill(file: str, versions: int, names: int) -> None:
    """One model `many` with `versions` versions, every 200th tagged `rare`, and `names` models with one each."""
    store = SqlAlchemyStore(f"sqlite:///{file}")
    now = int(time.time() * 1000)
    with store.ManagedSessionMaker() as session:
        session.add(SqlRegisteredModel(name=MANY, creation_time=now, last_updated_time=now, description=""))
        session.add_all(_version(MANY, number, now) for number in range(1, versions + 1))
        session.add_all(
            SqlModelVersionTag(name=MANY, version=number, key="label", value="rare")
            for number in range(RARE_EVERY, versions + 1, RARE_EVERY)
        )
        for number in range(names):
            name = f"seeded-{number:06}"
            session.add(SqlRegisteredModel(name=name, creation_time=now, last_updated_time=now, description=""))
            session.add(_version(name, 1, now))


def _version(name: str, number: int, now: int) -> SqlModelVersion:
    return SqlModelVersion(
        name=name,
        version=number,
        creation_time=now + number,
        last_updated_time=now + number,
        description="A classifier of handwritten digits",
        user_id="bench",
        source=f"s3://training/{name}/V001/model",
        status="READY",
    )


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
