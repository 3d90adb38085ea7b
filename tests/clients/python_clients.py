"""The Python clients of others, unmodified: `qkdsec` and `etsi-qkd-014-client`."""

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path

from etsi_qkd_014_client.client import QKD014Client
from etsi_qkd_014_client.data import DataError
from qkdsec.client import ETSI014Client
from qkdsec.client.aio import AsyncETSI014Client

BIN = Path(sys.executable).parent
PROBES = 10


def qkdsec(network, sae, node):
    """A client of qkdsec that speaks as `sae` to the key manager of `node`."""
    pair = (network.certificate(sae), network.key(sae))
    return ETSI014Client(f"https://{network.address[node]}", client_cert=pair, verify=network.authority)


def qkdsec_async(network, sae, node):
    """The same, asynchronous. Its httpx passes over a client certificate beside the path of an authority, so a
    context of TLS holds both."""
    context = ssl.create_default_context(cafile=network.authority)
    context.load_cert_chain(network.certificate(sae), network.key(sae))
    return AsyncETSI014Client(f"https://{network.address[node]}", verify=context)


def doctor(network):
    """What `qkdsec doctor` says, by the names of its probes. It collects its own keys at the one key manager it asks."""
    line = [BIN / "qkdsec", "doctor", f"https://{network.address['A']}", "--slave-sae-id", "bank-a"]
    line += ["--cert", network.certificate("bank-a"), "--key", network.key("bank-a")]
    line += ["--ca-cert", network.authority, "--format", "json"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["passed"], report
    said = {result["name"]: result["status"] for result in report["results"]}
    assert len(said) == PROBES, said
    return said


def qkdsec_two_ends(network):
    """Keys that qkdsec gets at one end and collects at the other, plainly and asynchronously."""
    master, slave = qkdsec(network, "bank-a", "A"), qkdsec(network, "bank-b", "B")

    async def more():
        async with qkdsec_async(network, "bank-a", "A") as client:
            return await client.get_enc_keys("bank-b", number=2, size=512, method="POST")

    for keys in [master.get_enc_keys("bank-b", number=3, size=256), asyncio.run(more())]:
        collected = slave.get_dec_keys("bank-a", key_ids=[key.key_id for key in keys])
        assert [(k.key_id, k.key) for k in collected] == [(k.key_id, k.key) for k in keys]
    print("qkdsec: 5 keys equal at both ends")


def lip6(network, sae, node):
    """A client of etsi-qkd-014-client, and what its command takes for the same."""
    files = (network.certificate(sae), network.key(sae), network.authority)
    options = [part for pair in zip(("-c", "-k", "-r"), files) for part in pair]
    return QKD014Client(network.address[node], *files), ["-H", network.address[node], *options]


def etsi_qkd_014_client(network):
    """Keys and refusals as etsi-qkd-014-client reads them: it wants a body with `message` on every refusal."""
    (master, options), (slave, _) = lip6(network, "bank-a", "A"), lip6(network, "bank-b", "B")
    (stranger, _) = lip6(network, "stranger", "B")
    code, status = master.get_status("bank-b")
    assert (code, status.source_kme_id, status.target_kme_id, status.key_size) == (200, "A", "B", 256), status
    # Without arguments it asks by GET, else by POST.
    for arguments in [{}, {"number": 3, "size": 128}]:
        code, issued = master.get_key("bank-b", **arguments)
        assert (code, len(issued.keys)) == (200, arguments.get("number", 1)), issued
        ids = [key.key_id for key in issued.keys]
        code, refused = stranger.get_key_with_key_IDs("bank-a", ids)
        assert code == 401 and isinstance(refused, DataError) and refused.message, refused
        code, collected = slave.get_key_with_key_IDs("bank-a", ids)
        assert code == 200, collected
        assert [(k.key_id, k.key) for k in collected.keys] == [(k.key_id, k.key) for k in issued.keys]
        code, gone = slave.get_key_with_key_IDs("bank-a", ids)
        assert code == 400 and "not found" in gone.message, gone
    code, refused = master.get_key("bank-b", size=257)
    assert code == 400 and "multiple of 8" in refused.message, refused
    line = [BIN / "qkd014-client", *options, "get_key", "bank-b"]
    said = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "Response code : 200" in said and "Key id" in said, said
    print("etsi-qkd-014-client: 4 keys equal at both ends, refusals understood")
