"""Python programs in processes of their own that need no time to import Moorage.

Importing takes most of the CPU of a short call. One process per test process imports all of it and
forks for each call. What the caller starts and waits for is a small process that hands on its files
and signals, and ends as the fork does.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import moorage

SOURCE = str(Path(moorage.__file__).parents[1])

_FORKING = r"""
import gc, importlib, marshal, os, pkgutil, random, selectors, signal, socket, sys
import moorage

for module in pkgutil.walk_packages(moorage.__path__, "moorage."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)


def receive(connection):
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    call = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    return marshal.loads(call), files


def serve(name):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + name)
    listener.listen(64)
    print(flush=True)
    calls, read = {}, selectors.DefaultSelector()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    for each in (listener, ended, 0):
        read.register(each, selectors.EVENT_READ)
    while True:
        for key, _ in read.select():
            if key.fileobj == 0:
                os._exit(0)
            elif key.fileobj is ended:
                os.read(ended, 1 << 10)
                for connection, pid in list(calls.items()):
                    gone, status = os.waitpid(pid, os.WNOHANG)
                    if gone:
                        if connection in read.get_map():
                            connection.send(b"%d" % os.waitstatus_to_exitcode(status))
                            read.unregister(connection)
                        connection.close()
                        del calls[connection]
            elif key.fileobj is listener:
                connection, _ = listener.accept()
                call, files = receive(connection)
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for each in (listener, connection, *calls):
                        each.close()
                    for number, file in enumerate(files):
                        os.dup2(file, number)
                        os.close(file)
                    return call
                for file in files:
                    os.close(file)
                connection.send(b"%d " % pid)
                calls[connection] = pid
                read.register(connection, selectors.EVENT_READ)
            else:
                os.kill(calls[key.fileobj], signal.SIGKILL)
                read.unregister(key.fileobj)


gc.collect()
gc.freeze()
program, sys.argv, folder, environment = serve(sys.argv[1])
os.chdir(folder)
os.environ.clear()
os.environ.update(environment)
random.seed()
sys.stdin = open(0)
sys.stdout = open(1, "w", 1 if "PYTHONUNBUFFERED" in environment else -1)
sys.stderr = open(2, "w", 1, errors="backslashreplace")
exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
"""
_HANDING_ON = r"""
import marshal, os, signal, socket, sys
name, program, *words = sys.argv[1:]
fork = socket.socket(socket.AF_UNIX)
fork.connect("\0" + name)
call = marshal.dumps((program, ["-c", *words], os.getcwd(), dict(os.environ)))
socket.send_fds(fork, [len(call).to_bytes(8, "big")], [0, 1, 2])
fork.sendall(call)
for file in (0, 1, 2):
    os.close(file)
pid, _, code = fork.recv(64).partition(b" ")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(int(pid), number))
code = int(code or fork.recv(64))
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def start(
    program: str, *words: str, folder: Path, environment: Mapping[str, str], has_input: bool = False
) -> subprocess.Popen[str]:
    """Start a program.

    Args:
        program: Its text.
        words: Its arguments.
        folder: The folder it runs in.
        environment: Its environment.
        has_input: Whether its standard input is a pipe; /dev/null otherwise.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _HANDING_ON, _forking()[0], program, *words],
        cwd=folder, env=dict(environment), text=True,
        stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@functools.cache
def _forking() -> tuple[str, subprocess.Popen[bytes]]:
    """Start the process that forks, and return its socket's name and the process itself.

    It ends with this process, which has the other end of its standard input.
    """
    name = f"moorage-tests-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKING, name],
        env={"PYTHONPATH": SOURCE}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline(), "it cannot import Moorage"
    return name, process
