"""A client of the simulator that is none of ours: http.client and json, one connection a call."""
import dataclasses
import http.client
import json
import urllib.parse

JSON = {"Content-Type": "application/json"}


@dataclasses.dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    text: str

    def json(self):
        return json.loads(self.text)


class Cognigy:
    """Calls below base_url. A lost connection is an http.client.HTTPException or an OSError, as everywhere."""

    def __init__(self, base_url, token=None):
        url = urllib.parse.urlsplit(base_url)
        self.host, self.path, self.token = url.netloc, url.path, token

    def start(self, method, path, body=None, headers=None):
        """Sends a call and returns its connection without waiting for the reply."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, self.path + path, body, {**authorization, **(headers or {})})
        return connection

    @staticmethod
    def finish(connection):
        try:
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read().decode())
        finally:
            connection.close()

    def call(self, method, path, body=None, headers=None):
        return self.finish(self.start(method, path, body, headers))

    def post(self, path, body, **headers):
        return self.call("POST", path, json.dumps(body), {**JSON, **headers})

    def login(self, client_id="sandbox", client_secret="sandbox-secret", grant_type="client_credentials"):
        """The reply; the token of a good one is used from then on."""
        reply = self.post("/auth/login", {"client_id": client_id, "client_secret": client_secret,
                                          "grant_type": grant_type})
        if reply.status == 200:
            self.token = reply.json()["access_token"]
        return reply

    def fetch(self, session):
        return self.call("GET", f"/session/{urllib.parse.quote(session, safe='')}")

    def update_text(self, session, text):
        return self.call("PUT", f"/session/{urllib.parse.quote(session, safe='')}", text, JSON)

    def update(self, session, variables='{"transferTarget":"queue-1"}'):
        """Asks for the transfer; the variables are sent as they are."""
        return self.update_text(session, f'{{"variables":{variables},'
                                         '"telephony":{"action":"transfer","preserveMediaStream":true}}')

    @staticmethod
    def flow(session):
        return json.dumps({"sessionId": session, "intent": "__system_transfer__", "text": "agent_handoff_requested",
                           "channel": "voice"})

    def trigger(self, session, key=None):
        return self.call("POST", "/flow", self.flow(session), {**JSON, **({"Idempotency-Key": key} if key else {})})

    def step(self, name, session, key=None):
        """One of the steps by its name."""
        if name == "login":
            return self.login()
        return self.trigger(session, key) if name == "trigger" else getattr(self, name)(session)
