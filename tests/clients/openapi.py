"""schemathesis: does the interface keep what its own description says, for requests that are right and wrong?"""

import re
import subprocess
import sys
from pathlib import Path

from network import HERE


def openapi(network, folder):
    """Asks the key manager of A as `bank-a`; raises if an answer breaks the description."""
    base = f"https://{network.address['A']}"
    line = [Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run"]
    line += [f"{base}/api/v1/openapi.json", "--url", base, "--tls-verify", network.authority]
    line += ["--request-cert", network.certificate("bank-a"), "--request-cert-key", network.key("bank-a")]
    done = subprocess.run([*line, "--no-color"], cwd=folder, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"schemathesis found something:\n{done.stdout[-20_000:]}")
    cases = re.search(r"(\d+) generated", done.stdout)
    print(f"schemathesis: {cases.group(1)} requests, every answer as the description says")
