"""Certificates of an authority of our own, made by openssl, and a TLS front before a plain server."""
import socket
import ssl
import subprocess
import threading

from lib.listener import Listener

CONFIG = """[ca]
default_ca = ours
[ours]
dir = {folder}
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""


class Authority:
    """`certificate` is what a client has to trust."""

    def __init__(self, folder):
        self.folder = folder / "authority"
        self.folder.mkdir()
        self.config, self.certificate = self.folder / "config", self.folder / "ca.pem"
        self.config.write_text(CONFIG.format(folder=self.folder))
        (self.folder / "index").write_text("")
        (self.folder / "serial").write_text("01\n")
        self._openssl("req", "-x509", *self._new_key("ca"), "-days", "30", "-subj", "/CN=test authority", "-out",
                      self.certificate, "-addext", "basicConstraints=critical,CA:TRUE")

    def _openssl(self, *words):
        subprocess.run(["openssl", words[0], "-config", self.config, *map(str, words[1:])] if words[0] != "x509" else
                       ["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                self.folder / f"{name}.key"]

    def issue(self, name, address="IP:127.0.0.1", expired=False):
        """(certificate, key) for that address."""
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        certificate = self.folder / f"{name}.pem"
        extensions.write_text(f"subjectAltName={address}\n")
        self._openssl("req", "-new", *self._new_key(name), "-subj", f"/CN={name}", "-out", request)
        life = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] if expired else ["-days", "30"]
        self._openssl("ca", "-batch", "-notext", "-cert", self.certificate, "-keyfile", self.folder / "ca.key", "-in",
                      request, "-out", certificate, "-extfile", extensions, *life)
        return certificate, self.folder / f"{name}.key"


class Front(Listener):
    """Takes TLS connections and passes their bytes on to a plain server of the loopback."""

    def __init__(self, target_port, certificate, key, client_authority=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        if client_authority:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_authority)
        self.target_port, self.names = target_port, []
        super().__init__()

    def serve(self, client):
        try:
            with self.context.wrap_socket(client, server_side=True) as inside, \
                    socket.create_connection(("127.0.0.1", self.target_port)) as outside:
                shown = inside.getpeercert() or {}
                self.names += [value for part in shown.get("subject", ()) for _, value in part]
                back = threading.Thread(target=copy, args=(outside, inside), daemon=True)
                back.start()
                copy(inside, outside)
                back.join(5)
        except OSError:
            pass


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
