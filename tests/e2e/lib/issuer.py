"""Who issues tokens: JWTs signed with RS256, by openssl, and the key file that a broker checks them with."""
import base64
import json
import os
import pathlib
import subprocess
import time


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], input=data, check=True, capture_output=True, timeout=30).stdout


class Issuer:
    """`keys` is the JWKS file. A second one made with `claims_key` of the first signs in its name, with a key of its own."""

    def __init__(self, folder, name="issuer", key_id="k1"):
        self.key, self.keys, self.key_id = folder / f"{name}.key", folder / f"{name}.jwks", key_id
        openssl("genrsa", "-out", self.key, 2048)
        modulus = bytes.fromhex(openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1])
        self.keys.write_text(json.dumps({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id,
                                                   "n": encoded(modulus), "e": "AQAB"}]}))

    def token(self, subject="handoff", life=300.0, audience="handoff-kafka"):
        """A token for `subject`, good for `life` seconds from now on."""
        now = time.time()
        head = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {"iss": "https://issuer.invalid", "sub": subject, "aud": audience, "iat": int(now), "exp": int(now + life),
                  "jti": base64.b16encode(os.urandom(8)).decode()}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{encoded(openssl('dgst', '-sha256', '-sign', self.key, data=signed.encode()))}"

    def renew(self, path, **claims):
        """Puts a new token into the file, at once for whoever reads it, and returns it."""
        path, token = pathlib.Path(path), self.token(**claims)
        fresh = path.with_suffix(".new")
        fresh.write_text(token + "\n")
        fresh.replace(path)
        return token
