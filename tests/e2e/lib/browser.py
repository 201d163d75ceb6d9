"""Headless Chromium, driven over the WebDriver protocol that Debian's chromedriver speaks."""
import base64
import json
import shutil
import urllib.error
import urllib.request

from lib.process import Process, free_port, wait_until

# Without the switches against background networking, a browser calls its maker at every start.
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
PHONE, DESKTOP = (390, 844), (1280, 900)


def is_installed():
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One window. close() ends it; what it leaves behind lies in `folder`."""

    def __init__(self, folder):
        port = free_port()
        self.driver = Process("chromedriver", ["chromedriver", f"--port={port}"], folder)
        self.url = f"http://127.0.0.1:{port}"
        wait_until(lambda: self._answers() or self.driver.check_alive(), 30, "chromedriver to answer")
        options = {"binary": shutil.which("chromium"), "args": [*SWITCHES, f"--user-data-dir={folder}/profile"]}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.url += f"/session/{session['sessionId']}"

    def _answers(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:2000]}") from None

    def close(self):
        self.call("DELETE", "")
        self.driver.stop()

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the function body returns in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def protocol(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def form(self, size, scheme, **features):
        """A window of that many CSS pixels, and what its user prefers: light or dark, reduced motion, ..."""
        width, height = size
        self.protocol("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=width < 600)
        wanted = {"prefers-color-scheme": scheme, **{name.replace("_", "-"): value for name, value in features.items()}}
        self.protocol("Emulation.setEmulatedMedia",
                      features=[{"name": name, "value": value} for name, value in wanted.items()])

    def press(self, key):
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        for kind in ("keyDown", "keyUp"):
            self.protocol("Input.dispatchKeyEvent", type=kind, key=key, code=key if key != " " else "Space",
                          windowsVirtualKeyCode=codes[key], **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def picture(self, path=None, scale=1):
        """The whole page as PNG."""
        size = self.protocol("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.protocol("Page.captureScreenshot", captureBeyondViewport=True,
                             clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale})
        data = base64.b64decode(shot["data"])
        if path:
            path.write_bytes(data)
        return data

    def complaints(self):
        """What the browser wrote to its console: errors, refused resources."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]
