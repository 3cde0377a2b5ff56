"""What the local stack tells each service: the same settings whether it runs in this process or in its own."""

from pathlib import Path
from typing import Any

from modelyard_local.credentials import Credentials

SERVICES = ("version", "import", "convert", "evaluate", "publish", "gateway")
BUCKETS = {"artifacts": "artifacts", "training": "training", "datasets": "datasets"}


def settings_of(
    service: str, data_dir: Path, credentials: Credentials, nats_url: str, s3_endpoint: str
) -> dict[str, Any]:
    """Fields of the service's settings class. Each service has a document file of its own: one writer per fact."""
    settings: dict[str, Any] = {
        "nats_url": nats_url,
        "nats_user": service,
        "nats_password": credentials.nats[service],
        "document_url": f"sqlite:///{data_dir.absolute() / 'documents' / f'{service}.sqlite'}",
        "s3_endpoint": s3_endpoint,
        "s3_access_key": credentials.s3_access_key,
        "s3_secret_key": credentials.s3_secret_key,
        "artifacts_bucket": BUCKETS["artifacts"],
    }
    if service == "gateway":
        settings["operator_token"] = credentials.operator_token
        settings["access_master_key"] = credentials.access_master_key
    return settings


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    return {f"MODELYARD_{name.upper()}": str(value) for name, value in settings.items()}


def connection_of(credentials: Credentials, gateway_url: str, nats_url: str, s3_endpoint: str) -> dict[str, Any]:
    """The content of `connection.json`, from which scripts and the command line find everything."""
    return {
        "gateway_url": gateway_url,
        "project": "default",
        "token": credentials.operator_token,
        "nats_url": nats_url,
        "nats_credentials": {"user": "training", "password": credentials.nats["training"]},
        "s3": {
            "endpoint": s3_endpoint,
            "access_key": credentials.s3_access_key,
            "secret_key": credentials.s3_secret_key,
            "secure": False,
            "buckets": BUCKETS,
        },
    }
