"""Ports for servers that must be told theirs before they start."""

import random
import socket
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """Return a port that nobody listens at, and that the kernel gives nobody before it is used.

    What asks for any port, and each connection, gets one of a range that the kernel keeps for them: this one is below.
    """
    try:
        below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:  # not Linux
        below = 49152
    while True:
        port = random.SystemRandom().randrange(10_000, below)
        with suppress(OSError), socket.socket() as server:
            server.bind(("127.0.0.1", port))
            return port
