"""Runs the network that the clients ask: `bellwether up`, on free ports, until the block is left."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# More than a busy machine needs to make identities, start three processes and distil the first blocks.
PATIENCE = 120


def free_ports(count):
    """The first of `count` ports in a row that are free, below those that the system gives out."""
    for first in range(10_000 + os.getpid() % 2_000 * 8, 32_000, 8):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no ports are free below 32000")


class Network:
    """The network of `network.toml`, running; `settings` are assignments as `--set` takes them."""

    def __init__(self, program, state, settings=()):
        self.program, self.state, self.settings = program, Path(state), list(settings)

    def __enter__(self):
        # Three ports a node and one for the light.
        first = free_ports(7)
        line = [self.program, "up", HERE / "network.toml", "--state", self.state]
        for setting in [f"live.first_port={first}", *self.settings]:
            line += ["--set", setting]
        self.address = {"A": f"127.0.0.1:{first + 1}", "B": f"127.0.0.1:{first + 4}"}
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        # It prints one text once all listen, and nothing if it cannot start.
        if "runs. Ctrl-C stops it." not in self.process.stdout.readline():
            raise RuntimeError(f"the network does not start: exit code {self.process.wait()}")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def authority(self):
        """Who signs the certificates of key managers."""
        return str(self.state / "pki/key-managers/ca.pem")

    def certificate(self, sae):
        return str(self.state / f"pki/applications/{sae}.pem")

    def key(self, sae):
        return str(self.state / f"pki/applications/{sae}.key.pem")

    def wait_for_key(self, stored):
        """Waits until `stored` returns at least 64 keys."""
        begun = time.monotonic()
        while stored() < 64:
            if time.monotonic() - begun > PATIENCE:
                raise RuntimeError(f"too little key after {PATIENCE} s")
            time.sleep(0.3)
