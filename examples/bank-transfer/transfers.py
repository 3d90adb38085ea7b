"""Two banks send each other transfers under keys of their key managers, through an eavesdropper and a fibre cut.

Python's standard library and the `bellwether` command are all it needs; see README.md beside it.
"""

import argparse, base64, hashlib, hmac, http.client, json, os, re, secrets, socket, ssl, subprocess, sys
import tempfile, threading, time
from pathlib import Path

TEXT = 96  # bytes of a transfer: all are equally long
PROOF = 32  # bytes of key that authenticate it


class KeyManager:
    """Asks one key manager for one application, as ETSI GS QKD 014 says."""

    def __init__(self, url, application, pki):
        self.host, self.application = url.removeprefix("https://"), application
        self.tls = ssl.create_default_context(cafile=pki / "key-managers/ca.pem")
        self.tls.load_cert_chain(pki / f"applications/{application}.pem", pki / f"applications/{application}.key.pem")

    def ask(self, path, wish):
        """The first key of the answer; asked again while there is too little key, for a minute."""
        for _ in range(120):
            connection = http.client.HTTPSConnection(self.host, context=self.tls, timeout=30)
            connection.request("POST", f"/api/v1/keys/{path}", json.dumps(wish), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.load(answer)
            connection.close()
            if answer.status == 200:
                return body["keys"][0]
            if answer.status != 503:
                break
            time.sleep(0.5)
        raise RuntimeError(f"{self.application} gets no key: {answer.status} {body}")

    def fresh_key(self, peer):
        wish = {"size": 8 * (TEXT + PROOF), "extension_optional": [{"bellwether_metadata": True}]}
        return self.ask(f"{peer}/enc_keys", wish)

    def named_key(self, peer, key_id):
        return self.ask(f"{peer}/dec_keys", {"key_IDs": [{"key_ID": key_id}]})


def seal(key, text):
    """Encrypts with a one-time pad and authenticates with HMAC-SHA-256, each with its part of a key used once."""
    key = base64.b64decode(key)
    sealed = bytes(a ^ b for a, b in zip(text.encode().ljust(TEXT), key))
    return sealed + hmac.digest(key[TEXT:], sealed, hashlib.sha256)


def unseal(key, sealed):
    key, sealed, tag = base64.b64decode(key), sealed[:TEXT], sealed[TEXT:]
    if len(sealed) != TEXT or not hmac.compare_digest(tag, hmac.digest(key[TEXT:], sealed, hashlib.sha256)):
        return None
    return bytes(a ^ b for a, b in zip(sealed, key)).decode().rstrip()


class BankB:
    """Takes transfers on a socket: a line with a key's name and what is sealed with that key."""

    def __init__(self, key_manager):
        self.keys, self.received = key_manager, 0  # in euro
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with self.listener.accept()[0].makefile("rw") as line:
            for message in map(json.loads, line):
                key = self.keys.named_key("bank-a", message["key_ID"])
                text = unseal(key["key"], base64.b64decode(message["sealed"]))
                self.received += int(text.split()[0]) if text else 0
                print(json.dumps({"booked": text}), file=line, flush=True)


class BankA:
    """Sends transfers to bank B, each under a key of its own."""

    def __init__(self, key_manager, address):
        self.keys, self.sent, self.routes = key_manager, 0, {}
        self.line = socket.create_connection(address, timeout=90).makefile("rw")

    def transfer(self, forged=False):
        amount = 1 + secrets.randbelow(9_999)
        key = self.keys.fresh_key("bank-b")
        sealed = seal(key["key"], f"{amount} EUR from AT61 1904 3002 3457 3201 to DE89 3704 0044 0532 0130 00")
        if forged:  # somebody on the way changes a digit of the amount
            sealed = bytes([sealed[0] ^ 1]) + sealed[1:]
        message = {"key_ID": key["key_ID"], "sealed": base64.b64encode(sealed).decode()}
        print(json.dumps(message), file=self.line, flush=True)
        booked = json.loads(self.line.readline())["booked"]
        # Those that have seen the key. Here each way between the banks has one relay; a key of two pieces may have
        # come over two ways.
        self.relays = [node for node in key["key_extension"]["bellwether_nodes"] if node not in "AB"]
        route = " and ".join(f"A-{relay}-B" for relay in self.relays)
        print(f"  key {key['key_ID']} over {route:<15}  {booked or 'REFUSED: it was changed on its way'}")
        if forged:
            assert booked is None, "a changed transfer was booked"
            return
        self.sent += amount
        self.routes[route] = self.routes.get(route, 0) + 1


def story(bank, bellwether, log):
    """What happens. `log` gives the entries of node A's audit log so far."""

    def until(what, least=5):
        """Transfers go on until something has happened, and at least so many."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if least <= 0 and what():
                return
            bank.transfer()
            least -= 1
            time.sleep(0.05)
        raise RuntimeError("it never happened")

    def condition(link, now):
        entries = [e for e in log() if e["event"] == "condition" and e["link"] == link]
        return bool(entries) and entries[-1]["condition"] == now

    print("\nCalm:")
    until(lambda: True)
    first = bank.relays[0]
    print(f"\nAn eavesdropper measures every photon between A and {first}:")
    bellwether("inject", "intercept-resend", f"A-{first}")
    until(lambda: condition(f"A-{first}", "alarmed"))
    print("  Node A raises an alarm: errors in the quantum signal. This link makes no key any more.")
    print("\nTransfers go on; key in stock is used up first:")
    until(lambda: first not in bank.relays)
    second = bank.relays[0]
    print(f"\nAn excavator cuts the fibre between A and {second}:")
    bellwether("inject", "cut", f"A-{second}")
    until(lambda: condition(f"A-{second}", "cut"))
    print("  Node A sees no light on that fibre.")
    print("\nTransfers go on, and one way is left for new keys:")
    until(lambda: not {first, second} & set(bank.relays))
    print("\nSomebody changes a transfer on its way:")
    bank.transfer(forged=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bellwether", default=os.environ.get("BELLWETHER", "bellwether"), help="the command")
    arguments.add_argument("--set", default=[], action="append", help="override a value of banks.toml")
    arguments = arguments.parse_args()
    network = Path(__file__).parent / "banks.toml"
    with tempfile.TemporaryDirectory() as state:
        options = ["--state", state] + [word for one in arguments.set for word in ("--set", one)]

        def bellwether(command, *words):
            done = [arguments.bellwether, command, "--network", network, *options, *words]
            subprocess.run(done, check=True, stdout=subprocess.DEVNULL)

        def log():
            lines = (Path(state) / "nodes/A/audit.jsonl").read_text().splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]

        up = subprocess.Popen([arguments.bellwether, "up", network, *options], stdout=subprocess.PIPE, text=True)
        try:
            urls = {}
            for line in up.stdout:  # a table of nodes, key managers and applications, then how to get a key
                if found := re.search(r"(https://\S+) +(bank-\w)$", line.rstrip()):
                    urls[found[2]] = found[1]
                elif "bellwether key get" in line and "--master" in line:
                    break
            if len(urls) != 2:
                raise RuntimeError("the network does not start")
            threading.Thread(target=up.stdout.read, daemon=True).start()
            pki = Path(state) / "pki"
            other = BankB(KeyManager(urls["bank-b"], "bank-b", pki))
            bank = BankA(KeyManager(urls["bank-a"], "bank-a", pki), other.listener.getsockname())
            story(bank, bellwether, log)
        finally:
            up.terminate()
            up.wait()
    count = sum(bank.routes.values())
    print(f"\n{count} transfers arrived, none was lost: {bank.sent} EUR sent, {other.received} EUR received.")
    print("Keys came over " + ", ".join(f"{route} ({count})" for route, count in bank.routes.items()) + ".")
    return 0 if bank.sent == other.received else 1


if __name__ == "__main__":
    sys.exit(main())
