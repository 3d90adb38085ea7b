#!/usr/bin/env python3
"""Emulates what two time taggers record of a source of entangled photon pairs.

Writes alice.tags and bob.tags, with `--csv` alice.csv and bob.csv, for `bellwether distill`. Each end measures in a basis
that a beam splitter chooses, with four detectors: Z0, Z1, X0, X1 on channels 0 to 3. Needs nothing but Python.

    python3 examples/time-tags/pairs.py --pairs 1000000 --seconds 2
"""

import argparse
import math
import random
import struct

# A clock starts here, so that no time comes out below 0.
BEGIN_S = 10.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="how long the source runs")
    parser.add_argument("--pairs", type=float, default=1e6, help="pairs a second")
    parser.add_argument("--alice", type=float, default=0.2, help="the share of photons that Alice detects")
    parser.add_argument("--bob", type=float, default=0.1, help="the share of photons that Bob detects")
    parser.add_argument("--dark", type=float, default=2000.0, help="other clicks a second, at each end")
    parser.add_argument("--errors", type=float, default=0.02, help="the share of pairs whose bits differ")
    parser.add_argument("--jitter", type=float, default=150.0, help="standard deviation of a click's time, in ps")
    parser.add_argument("--offset", type=float, default=0.35, help="by how much Alice's clock is ahead, in s")
    parser.add_argument("--drift", type=float, default=4.0, help="by how much it is faster, in ppm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", action="store_true", help="write comma-separated values")
    return parser.parse_args()


def emulate(args):
    """Clicks of Alice and of Bob: times in ps by their own clocks, and channels."""
    draw = random.Random(args.seed)
    ends = [], []

    def click(end, seconds, basis, bit):
        if end == 0:
            seconds = seconds + args.offset + seconds * args.drift * 1e-6
        picoseconds = (BEGIN_S + seconds) * 1e12 + draw.gauss(0, args.jitter)
        ends[end].append((round(picoseconds), 2 * basis + bit))

    seen_by_one = 1 - (1 - args.alice) * (1 - args.bob)
    at = 0.0
    while (at := at - math.log(1 - draw.random()) / (args.pairs * seen_by_one)) < args.seconds:
        # A pair that at least one end sees: how likely which is.
        part = draw.random() * seen_by_one
        alice = part < args.alice
        bob = draw.random() < args.bob if alice else True
        bit, bases = draw.getrandbits(1), (draw.getrandbits(1), draw.getrandbits(1))
        wrong = draw.random() < (args.errors if bases[0] == bases[1] else 0.5)
        if alice:
            click(0, at, bases[0], bit)
        if bob:
            click(1, at, bases[1], bit ^ wrong)
    for end in 0, 1:
        at = 0.0
        while args.dark > 0 and (at := at - math.log(1 - draw.random()) / args.dark) < args.seconds:
            click(end, at, draw.getrandbits(1), draw.getrandbits(1))
        ends[end].sort()
    return ends


def main():
    args = arguments()
    for name, clicks in zip(("alice", "bob"), emulate(args)):
        if args.csv:
            with open(f"{name}.csv", "w") as file:
                file.write("time_ps,channel\n")
                file.writelines(f"{time},{channel}\n" for time, channel in clicks)
        else:
            with open(f"{name}.tags", "wb") as file:
                file.write(b"BwTimTag\x01")
                file.write(b"".join(struct.pack("<QB", time, channel) for time, channel in clicks))
        print(f"{name}: {len(clicks)} clicks")


if __name__ == "__main__":
    main()
