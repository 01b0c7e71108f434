"""A small client of the Redis protocol, for checks that need to see every answer.

Holds nothing that follows redirects or tries again: a check decides that for itself.
"""

import socket


class ServerError(Exception):
    """The server answered with an error."""


class Connection:
    """One connection with one request under way at a time."""

    def __init__(self, port, timeout=5.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._reader.close()
        self._socket.close()

    def call(self, *words):
        """Sends a command and returns its answer; text for strings, None for nothing."""
        request = [b"*%d\r\n" % len(words)]
        for word in words:
            raw = str(word).encode()
            request.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        self._socket.sendall(b"".join(request))
        return self._answer()

    def _answer(self):
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ServerError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if rest == "-1" else [self._answer() for _ in range(int(rest))]
        raise ConnectionError(f"an answer of no known kind: {line!r}")

    def _bulk(self, length):
        if length < 0:
            return None
        raw = self._reader.read(length + 2)
        if len(raw) != length + 2:
            raise ConnectionError("the server closed the connection inside an answer")
        return raw[:-2].decode(errors="replace")


def call(port, *words, timeout=5.0):
    """One command over a connection of its own."""
    with Connection(port, timeout) as connection:
        return connection.call(*words)
