"""daisyway, unmodified: two processes that agree on keys for WireGuard, here written to files."""

import base64
import subprocess
import time
from pathlib import Path

from network import free_ports

# How often daisyway takes a new key.
INTERVAL = 5
KEYS = 3


def daisyway(network, program, folder):
    """Two processes of daisyway, each at a key manager of its own, whose output keys must follow one another equally."""
    port = free_ports(1)
    names = [base64.b64encode(bytes([each] * 32)).decode() for each in (1, 2)]
    # One waits for the other, which asks for the keys.
    ends = [("bank-a", "bank-b", "A", "listen"), ("bank-b", "bank-a", "B", "endpoint")]
    outfiles, processes = [], []
    for each, (sae, other, node, part) in enumerate(ends):
        home = Path(folder) / f"daisyway-{sae}"
        home.mkdir()
        outfiles.append(home / "key")
        (home / "config.toml").write_text(f"""
[etsi014]
url = "https://{network.address[node]}"
remote_sae_id = "{other}"
interval_secs = {INTERVAL}
tls_cacert = "{network.authority}"
tls_cert = "{network.certificate(sae)}"
tls_key = "{network.key(sae)}"
[wireguard]
self_public_key = "{names[each]}"
peer_public_key = "{names[1 - each]}"
[outfile]
path = "{outfiles[each]}"
[peer]
{part} = "127.0.0.1:{port}"
""")
        with open(home / "log", "w") as log:
            line = [program, "exchange", "--config", home / "config.toml"]
            processes.append(subprocess.Popen(line, cwd=home, stdout=log, stderr=log))
    try:
        seen, begun = [], time.monotonic()
        while len(seen) < KEYS:
            time.sleep(0.2)
            keys = [path.read_text() if path.exists() else "" for path in outfiles]
            if keys[0] and keys[0] == keys[1] and keys[0] not in seen:
                seen.append(keys[0])
            if time.monotonic() - begun > 12 * INTERVAL:
                logs = "\n".join(path.with_name("log").read_text()[-3000:] for path in outfiles)
                raise RuntimeError(f"daisyway has {len(seen)} equal keys after {12 * INTERVAL} s:\n{logs}")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    print(f"daisyway: {len(seen)} keys, one after the other, equal in two processes")
