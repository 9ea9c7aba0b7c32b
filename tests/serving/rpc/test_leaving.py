"""A listening socket is left without ending what it has accepted."""

import asyncio
import os
import socket

import pytest

from modelyard.serving.rpc.leaving import listeners, stop_listening, wait_left


def test_a_port_is_left_to_its_siblings_and_connections_stay() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as mine:
        port = mine.getsockname()[1]
        assert listeners(port) == {mine.fileno()}
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = mine.accept()
            stop_listening(listeners(port))
            assert listeners(port) == set()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port), reuse_port=True) as sibling:
                socket.create_connection(("127.0.0.1", port)).close()
                sibling.accept()[0].close()
            with accepted:
                accepted.sendall(b"still here")
                assert client.recv(100) == b"still here"
                assert asyncio.run(wait_left(port, 0.1)) is False
            assert asyncio.run(wait_left(port, 5)) is True


def test_a_socket_that_is_gone_is_no_error() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    stop_listening(frozenset({descriptor}))
    os.close(descriptor)
    stop_listening(frozenset({descriptor}))
