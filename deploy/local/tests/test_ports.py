"""Drawing ports: distinct, free, and clear of what servers derive from them."""

import socket

import pytest

from modelyard_local import ports
from modelyard_local.ports import GRPC_OFFSET, all_free, free_port


def test_ports_are_distinct_and_below_the_outgoing_range() -> None:
    drawn = [free_port() for _ in range(200)]
    assert len(set(drawn)) == 200
    assert all(port + GRPC_OFFSET < 32_768 for port in drawn)


def test_offset_port_is_free_and_not_given_again() -> None:
    port = free_port(GRPC_OFFSET)
    assert all_free([port, port + GRPC_OFFSET])
    assert {port, port + GRPC_OFFSET} <= ports._given


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_port_with_a_listener_is_not_free(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        assert not all_free([server.getsockname()[1]])


def test_exhaustion_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "all_free", lambda wanted: False)
    with pytest.raises(OSError, match="no free port"):
        free_port()
