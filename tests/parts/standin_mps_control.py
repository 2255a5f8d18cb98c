#!/usr/bin/python3
"""A stand-in for NVIDIA's `nvidia-cuda-mps-control`: no GPU, no CUDA, only the part of its behaviour that the node agent relies on.

`-f` is the daemon, in the foreground: it listens in CUDA_MPS_PIPE_DIRECTORY until it is told to quit. Without words it hands the
commands of its standard input on and prints the answers; it fails where no daemon listens. What only the stand-in does: a file `hang`
in the pipe directory has the daemon take commands and never answer; a file `refuse` beside the program has it end at once with code 3.
"""

import os
import pathlib
import signal
import socket
import sys
import time

PIPE = pathlib.Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))


def serve() -> int:
    """The daemon."""
    if (pathlib.Path(sys.argv[0]).parent / "refuse").exists():
        return 3
    (PIPE / "nvidia-cuda-mps-control.pid").write_text(str(os.getpid()))
    (PIPE / "devices").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    log = pathlib.Path(os.environ["CUDA_MPS_LOG_DIRECTORY"]) / "control.log"
    log.write_text("started\n")
    servers: list[str] = []
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(PIPE)  # the path of a socket must be short
        listening.bind("control")
        os.chmod("control", 0o666)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rw") as talk:
                command = talk.readline().strip()
                while (PIPE / "hang").exists():
                    time.sleep(0.05)
                if command == "quit":
                    talk.write("\n")
                    return 0
                try:
                    talk.write(answer(command, servers) + "\n")
                except ValueError as error:
                    talk.write(f"{error}\n")


def answer(command: str, servers: list[str]) -> str:
    """What it says to a command. Raises: ValueError for one that the stand-in does not know."""
    word, *rest = command.split()
    if word == "get_server_list":
        return " ".join(servers)
    if word == "start_server" and rest[:1] == ["-uid"]:
        servers.append(str(10_000 + len(servers)))
        return servers[-1]
    raise ValueError(f"the stand-in does not know {command!r}")


def tell() -> int:
    """What hands commands on."""
    for command in sys.stdin:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                os.chdir(PIPE)
                connection.connect("control")
            except OSError:
                print("no daemon listens here")
                return 1
            with connection.makefile("rw") as talk:
                talk.write(command.strip() + "\n")
                talk.flush()
                print(talk.readline().strip())
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(serve() if sys.argv[1:] == ["-f"] else tell())
