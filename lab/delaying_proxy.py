"""A TCP proxy that adds latency.

Run as its own process: delaying_proxy.py LISTENER_FD HOST PORT MILLISECONDS. Bytes are delayed by
half of the time in each direction, and new connections by all of it, as their handshake would be.
"""

from __future__ import annotations

import asyncio
import socket
import sys

CHUNK = 64 * 1024
CHUNKS_UNDER_WAY = 256
"""Data in transit at once (16 MiB): enough that latency does not limit throughput."""


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Forward bytes, each after a fixed delay.

    Args:
        reader: The source.
        writer: The destination.
        delay: Seconds.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)

    async def receive() -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(CHUNK)
            except OSError:
                data = b""
            await line.put((loop.time() + delay, data))

    receiving = asyncio.create_task(receive())
    try:
        while True:
            due, data = await line.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        receiving.cancel()


async def serve(listener: socket.socket, host: str, port: int, delay: float) -> None:
    """Accept connections until the process is killed.

    Args:
        listener: The listening socket.
        host: The server's address.
        port: The server's port.
        delay: Seconds per round trip.
    """

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(delay)
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(
            carry(reader, far_writer, delay / 2), carry(far_reader, writer, delay / 2)
        )
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(connect, sock=listener)
    await server.serve_forever()


def main() -> None:
    """Parse the command line and serve."""
    number, host, port, milliseconds = sys.argv[1:]
    listener = socket.socket(fileno=int(number))
    asyncio.run(serve(listener, host, int(port), float(milliseconds) / 1000))


if __name__ == "__main__":
    main()
