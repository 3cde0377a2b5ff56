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
    [
        ("DOCUMENT_URL", "postgres://u:hush@db/"),
        ("HTTP_PORT", "hush"),
        ("ARTIFACTS_BUCKET", "hush" * 20),
        ("LOG_LEVEL", "hush"),
    ],
)
def test_wrong_value_is_named_by_field_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MODELYARD_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()) as caught:
        ServiceSettings()
    assert "hush" not in str(caught.value)


def test_a_store_without_credentials_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ValueError, match="MODELYARD_S3_ACCESS_KEY"):
        ServiceSettings().s3()


def test_places_hold_what_the_clients_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NATS_USER": "convert",
        "NATS_PASSWORD": "p",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
    }.items():
        monkeypatch.setenv(f"MODELYARD_{name}", value)
    settings = ServiceSettings()
    assert settings.nats("convert") == {
        "url": settings.nats_url,
        "name": "convert",
        "user": "convert",
        "password": "p",
    }
    assert settings.s3()["secret_key"] == "s"
