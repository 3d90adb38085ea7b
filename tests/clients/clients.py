"""Lets the clients of others ask a running network: `clients.py PROGRAM FOLDER RUST_CLIENTS DAISYWAY`; see `run`.

FOLDER is empty; the last two are programs that `run` builds.
"""

import subprocess
import sys
from pathlib import Path

import python_clients
from daisyway import daisyway
from network import Network
from openapi import openapi


def main(program, folder, rust_clients, program_of_daisyway):
    folder = Path(folder)
    with Network(program, folder / "state") as network:
        asked = python_clients.qkdsec(network, "bank-a", "A")
        network.wait_for_key(lambda: asked.status("bank-b").stored_key_count)
        said = python_clients.doctor(network)
        # To the letter of the standard, an unknown key is a bad request.
        assert said.pop("error_contract_404") == "warn" and set(said.values()) == {"pass"}, said
        print("qkdsec doctor: 9 of 10 probes pass; it would rather have 404 for an unknown key")
        python_clients.qkdsec_two_ends(network)
        python_clients.etsi_qkd_014_client(network)
        ports = [network.address[node].rpartition(":")[2] for node in "AB"]
        subprocess.run([rust_clients, *ports, folder / "state"], check=True)
        daisyway(network, program_of_daisyway, folder)
    with Network(program, folder / "state", ["live.unknown_key_is_404=true"]) as network:
        asked = python_clients.qkdsec(network, "bank-a", "A")
        network.wait_for_key(lambda: asked.status("bank-b").stored_key_count)
        said = python_clients.doctor(network)
        assert set(said.values()) == {"pass"}, said
        print("qkdsec doctor: all 10 probes pass with unknown_key_is_404")
        openapi(network, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
