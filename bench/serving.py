"""A `slipway serve` of its own for a benchmark: temporary folder, free ports, one project; stopped and removed at the end."""
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLIPWAY = os.path.abspath(os.environ.get("SLIPWAY") or os.path.join(HERE, "../.build/release/slipway"))
# Holds busybox.tar; made when it is not named.
IMAGES = os.path.abspath(os.environ.get("SLIPWAY_IMAGES") or os.path.join(HERE, "../.cache/images"))
# One step that does nothing.
PIPELINE = "steps:\n  - {name: nothing, image: library/busybox:1, commands: ['true']}\n"


def run(*command: str, **options) -> str:
    done = subprocess.run(command, capture_output=True, timeout=120, **options)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode()


def free_port() -> int:
    """Below the ports that outgoing connections get: it stays free while a server is killed and started."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    sys.exit("bench: no port is free")


def resident(pid: int) -> float:
    with open(f"/proc/{pid}/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return kib / 1024


class Server:
    """slipway serve in a temporary folder; everything is stopped and removed at the end.

    With `beside`: another one of the same data directory, which that one removes.
    """

    def __init__(self, beside: "Server | None" = None, disk=None, **settings: str) -> None:
        """With `disk`: is called first, to give the data directory (`data`) a file system of 400 MiB."""
        self.beside = beside
        self.disk = disk
        self.is_kept = False
        self.settings = beside.settings if beside else settings
        self.folder = beside.folder if beside else tempfile.mkdtemp(prefix="slipway-bench.")
        self.data = os.path.join(self.folder, "data")
        self.repository = os.path.join(self.folder, "bench")
        self.port = free_port()
        self.router_port = beside.router_port if beside else free_port()
        self.log = os.path.join(self.folder, f"server-{self.port}.log")
        self.environment = dict(os.environ, SLIPWAY_URL=f"http://127.0.0.1:{self.port}",
                                GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@example.org", GIT_COMMITTER_NAME="b",
                                GIT_COMMITTER_EMAIL="b@example.org", GIT_CONFIG_GLOBAL="/dev/null")
        self.process = None

    def __enter__(self) -> "Server":
        if self.beside is None:
            os.makedirs(self.data)
            if self.disk:
                self.disk(self, 400)
            run(SLIPWAY, "image", "import", f"{IMAGES}/busybox.tar", "library/busybox:1", "--data", self.data)
        self.start()
        with open(os.path.join(self.data, "admin-token")) as file:
            self.environment["SLIPWAY_TOKEN"] = file.read().strip()
        return self

    def start(self, until_ready: bool = True) -> None:
        """Starts it and, unless told otherwise, waits until it is ready."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [SLIPWAY, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--router-port", str(self.router_port)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env=dict(self.environment, **self.settings))
        deadline = time.monotonic() + 30
        while until_ready:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/readyz")[0] == 200:
                    break
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.fail("the server did not become ready")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM; what it has started goes on."""
        self.end()
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def remove_projects(self) -> None:
        with contextlib.suppress(Exception):
            for project in json.loads(self.get("/api/v1/projects")[1]):
                subprocess.run([SLIPWAY, "project", "remove", project["name"]], env=self.environment, capture_output=True, timeout=60)

    def fail(self, message: str) -> None:
        with open(self.log, errors="replace") as file:
            sys.exit(f"bench: {message}\n{file.read()[-3000:]}")

    def __exit__(self, *_) -> None:
        if self.beside is not None:
            return self.end()
        if self.is_kept:
            self.end()
            print(f"kept: {self.folder}")
            return
        self.remove_projects()
        self.end()
        self.kill_containers()
        for router in ("nginx", "haproxy"):
            with contextlib.suppress(OSError, ValueError), open(os.path.join(self.data, f"router/{router}.pid")) as file:
                os.kill(int(file.read()), signal.SIGTERM)
        with open("/proc/self/mountinfo") as file:
            points = [line.split()[4] for line in file if line.split()[4].startswith(self.folder + "/")]
        for point in sorted(points, reverse=True):
            subprocess.run(["umount", "-l", point], capture_output=True)
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def runtime(self) -> str:
        """The folder of what its containers are now, named by FNV-1a of the path of their files; `runc` is in it."""
        scope = 0xCBF29CE484222325
        for byte in f"{self.data}/containers".encode():
            scope = (scope ^ byte) * 0x100000001B3 % 2**64
        return f"/run/slipway/{scope:x}"

    def kill_and_start(self, until_ready: bool = False) -> None:
        """SIGKILL, and at once another one."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.connection = None
        self.start(until_ready=until_ready)

    def kill_containers(self) -> None:
        """What a project left that could not be removed, because something of it was under way."""
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if f"{self.data}/containers/".encode() not in file.read():
                        continue
                with open(f"/proc/{entry}/task/{entry}/children") as file:
                    for child in [*file.read().split(), entry]:
                        os.kill(int(child), signal.SIGKILL)

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    connection: http.client.HTTPConnection | None = None
    cookie = ""

    def sign_in(self) -> None:
        """As a browser does; pages for those who are signed in can then be got."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/login", f"token={self.environment['SLIPWAY_TOKEN']}", {"Content-Type": "application/x-www-form-urlencoded"})
        self.cookie = (connection.getresponse().getheader("Set-Cookie") or "").split(";")[0]
        connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self.connection.request("GET", path, headers={
                "Authorization": "Bearer " + self.environment.get("SLIPWAY_TOKEN", ""), "Cookie": self.cookie})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise

    def runs(self, limit: int) -> list[dict]:
        status, body = self.get(f"/api/v1/runs?project=bench&limit={limit}")
        if status != 200:
            self.fail(f"the API answered {status}: {body[:300]!r}")
        return json.loads(body)

    def latest_run(self) -> dict:
        runs = self.runs(1)
        return runs[0] if runs else {"id": 0, "state": "none"}

    def add_project(self, branch: str = "main", pipeline: str = PIPELINE) -> tuple[dict, str]:
        """A repository with one pipeline, as the project `bench`; returns the project and the commit."""
        repository = self.repository
        run("git", "init", "-q", "-b", branch, repository, env=self.environment)
        os.makedirs(os.path.join(repository, "pipelines"))
        with open(os.path.join(repository, "pipelines/bench.yaml"), "w") as file:
            file.write(pipeline)
        run("git", "-C", repository, "add", "-A", env=self.environment)
        run("git", "-C", repository, "commit", "-q", "-m", "bench", env=self.environment)
        commit = run("git", "-C", repository, "rev-parse", "HEAD", env=self.environment).strip()
        return json.loads(run(SLIPWAY, "project", "add", "bench", repository, "--json", env=self.environment)), commit

    def trigger(self, hook: str, secret: str, commit: str, number: int) -> None:
        body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": commit}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", hook, body, {
            "Content-Type": "application/json", "X-Slipway-Event": "push", "X-Slipway-Delivery": f"bench-{number}",
            "X-Slipway-Signature": f"sha256={signature}"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 202:
            self.fail(f"the webhook answered {answer.status}: {text[:300]!r}")


def make_bridge(name: str) -> None:
    """With a hardware address of its own: otherwise it has the lowest of its ports', and containers send to one that it had before."""
    run("ip", "link", "add", name, "address", f"02:{os.urandom(5).hex(':')}", "type", "bridge")


def prepare() -> None:
    """Becomes root, makes what a server needs, and has SIGTERM and SIGINT clear up like any other end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("bench: stopped"))
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "--preserve-env=SLIPWAY,SLIPWAY_IMAGES,PATH,TMPDIR", sys.executable, *sys.argv])
    if shutil.which(SLIPWAY) is None:
        sys.exit(f"bench: {SLIPWAY} is missing (make release)")
    if "SLIPWAY_IMAGES" not in os.environ:
        run(os.path.join(HERE, "../scripts/base-images"), IMAGES)
