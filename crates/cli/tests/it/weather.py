"""Carries packets between hosts, each a network namespace, through the weather it is told.

    weather.py NAMESPACE...

Each namespace, in its order, gets a network device with the address 10.77.0.1, 10.77.0.2 and so on. A line of JSON on
standard input, {"between": [1, 2], "loss": 0.2, "delay": 0.2}, is the weather between two of the hosts from then on, in
both directions: which share of packets is lost, and how many seconds later the others arrive. With a loss of 1 they are
parted. A line with "ready" on standard output says that a line was taken. Losses follow from a fixed seed.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def device(number, namespace):
    """A device in a namespace, and the file that its packets come from and go to."""
    name = f"bw{os.getpid()}x{number}"[:15]
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    inside = ["ip", "-n", namespace]
    for command in (
        ["ip", "link", "set", name, "netns", namespace],
        inside + ["link", "set", "lo", "up"],
        inside + ["addr", "add", f"10.77.0.{number}/24", "dev", name],
        inside + ["link", "set", name, "mtu", "1400", "txqueuelen", "2000", "up"],
    ):
        subprocess.run(command, check=True)
    return tun


def main():
    devices = {number: device(number, namespace) for number, namespace in enumerate(sys.argv[1:], 1)}
    senders = {file: number for number, file in devices.items()}
    weather, under_way, count, chance, said = {}, [], 0, random.Random(1), b""
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, target, packet = heapq.heappop(under_way)
            try:
                os.write(target, packet)
            except OSError:
                pass  # Its queue is full: lost, as on any network.
        wait = under_way[0][0] - now if under_way else None
        for file in select.select([sys.stdin.fileno(), *senders], [], [], wait)[0]:
            if file == sys.stdin.fileno():
                read = os.read(file, 4096)
                if not read:
                    return
                *lines, said = (said + read).split(b"\n")
                for line in lines:
                    told = json.loads(line)
                    weather[frozenset(told["between"])] = (told["loss"], told["delay"])
                    print("ready", flush=True)
                continue
            for _ in range(64):
                try:
                    packet = os.read(file, 2048)
                except BlockingIOError:
                    break
                target = packet[19] if packet[0] >> 4 == 4 else None
                if target not in devices:
                    continue
                loss, delay = weather.get(frozenset((senders[file], target)), (0, 0))
                if chance.random() >= loss:
                    count += 1
                    heapq.heappush(under_way, (time.monotonic() + delay, count, devices[target], packet))


main()
