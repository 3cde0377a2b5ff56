"""Settings come from the environment; secrets neither print nor appear in errors."""

import pytest
from pydantic import ValidationError

from modelyard_runtime.settings import ServiceSettings


def test_defaults_are_a_local_stack() -> None:
    settings = ServiceSettings()
    assert settings.document_url == "sqlite:///data/modelyard.db"
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 0)


def test_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_NATS_PASSWORD", "hush")
    monkeypatch.setenv("MODELYARD_S3_SECURE", "true")
    monkeypatch.setenv("MODELYARD_DOCUMENT_URL", "mongodb://u:hush@db/")
    settings = ServiceSettings()
    assert settings.nats_password is not None
    assert settings.nats_password.get_secret_value() == "hush"
    assert settings.s3_secure is True
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("DOCUMENT_URL", "postgres://u:hush@db/"), ("HTTP_PORT", "hush"), ("DATABASE", "hush/"), ("LOG_LEVEL", "hush")],
)
def test_wrong_value_is_named_by_field_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MODELYARD_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()) as caught:
        ServiceSettings()
    assert "hush" not in str(caught.value)
