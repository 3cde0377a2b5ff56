"""Who asks. Every call carries it; services make one of their own when they ask for themselves."""

from pydantic import BaseModel, ConfigDict, Field

from modelyard_contracts.ids import new_id
from modelyard_contracts.shapes import Role


class CallContext(BaseModel):
    """Who asks, in which project, and which request of the outside world it is about."""

    model_config = ConfigDict(frozen=True)

    project: str
    actor: str
    role: Role
    correlationid: str = Field(default_factory=new_id)
    idempotency_key: str | None = None


def own_context(service: str, project: str, correlationid: str) -> CallContext:
    """In a service's own name, which may do everything in the project it works for."""
    return CallContext(project=project, actor=f"service:{service}", role=Role.ADMIN, correlationid=correlationid)
