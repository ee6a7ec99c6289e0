"""Buildbot (PyPI) as a peer: a master and a worker as its manual sets them up, one builder that fetches a repository and runs one command; no
container. Like a webhook of Slipway, the trigger is an HTTP request."""
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from serving import free_port, resident

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.abspath(os.path.join(HERE, "../.cache/buildbot"))

CONFIGURATION = """
from buildbot.plugins import schedulers, steps, util, worker
factory = util.BuildFactory([steps.Git(repourl="REPOSITORY", branch="main", mode="incremental"), steps.ShellCommand(command=["true"])])
BuildmasterConfig = {
    "workers": [worker.Worker("local", "secret", max_builds=4)],
    "builders": [util.BuilderConfig(name="bench", workernames=["local"], factory=factory)],
    "schedulers": [schedulers.ForceScheduler(name="force", builderNames=["bench"], codebases=[util.CodebaseParameter("")])],
    "www": {"port": "tcp:PORT:interface=127.0.0.1", "plugins": {}},
    "db": {"db_url": "sqlite:///state.sqlite"},
    "buildbotNetUsageData": None,
    "protocols": {"pb": {"port": "tcp:WORKERS:interface=127.0.0.1"}},
}
"""


class Buildbot:
    def __init__(self, repository: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="slipway-bench.")
        self.repository = repository
        self.port = free_port()
        self.processes = []

    def __enter__(self) -> "Buildbot":
        program = os.path.join(PACKAGES, "bin/buildbot")
        if not os.path.exists(program):
            print("bench: Buildbot is installed from PyPI into .cache/buildbot", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", PACKAGES], check=True)
            subprocess.run([f"{PACKAGES}/bin/pip", "install", "--quiet", "buildbot[bundle]", "buildbot-worker"], check=True)
        self.version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split("\n")[0].split()[-1]
        master, worker, workers = os.path.join(self.folder, "master"), os.path.join(self.folder, "worker"), free_port()
        subprocess.run([program, "create-master", "-q", master], check=True, capture_output=True)
        with open(os.path.join(master, "master.cfg"), "w") as file:
            file.write(CONFIGURATION.replace("PORT", str(self.port)).replace("WORKERS", str(workers)).replace("REPOSITORY", self.repository))
        subprocess.run([f"{program}-worker", "create-worker", "-q", worker, f"127.0.0.1:{workers}", "local", "secret"],
                       check=True, capture_output=True)
        self.start(program, master)
        self.start(f"{program}-worker", worker)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                if self.get("/api/v2/workers")["workers"][0]["connected_to"]:
                    break
            if any(process.poll() is not None for process in self.processes) or time.monotonic() > deadline:
                with open(os.path.join(self.folder, "master/twistd.log"), errors="replace") as file:
                    sys.exit(f"bench: Buildbot did not become ready\n{file.read()[-3000:]}")
            time.sleep(0.1)
        self.builder = self.get("/api/v2/builders")["builders"][0]["builderid"]
        return self

    def start(self, program: str, folder: str) -> None:
        self.processes.append(subprocess.Popen([program, "start", "--nodaemon", folder], stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL))

    def __exit__(self, *_) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body=json.dumps(body) if body else None, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = json.loads(answer.read())
        connection.close()
        return data

    def get(self, path: str) -> dict:
        return self.ask("GET", path)

    def force(self) -> None:
        answer = self.ask("POST", "/api/v2/forceschedulers/force", {
            "jsonrpc": "2.0", "method": "force", "id": 1, "params": {"builderid": self.builder, "owner": "bench"}})
        if "error" in answer:
            sys.exit(f"bench: Buildbot refuses: {answer['error']}")

    def finished(self) -> int:
        """How many builds are over."""
        builds = self.get("/api/v2/builds?complete=true&order=-buildid&limit=1")["builds"]
        if builds and builds[0]["results"] != 0:
            sys.exit(f"bench: a build of Buildbot ended with {builds[0]['results']}")
        return builds[0]["number"] if builds else 0

    def once(self) -> float:
        """Seconds from the trigger to the finished build."""
        before = self.finished()
        started = time.monotonic()
        self.force()
        while self.finished() == before:
            if time.monotonic() - started > 60:
                sys.exit("bench: a build of Buildbot did not finish in 60 s")
            time.sleep(0.005)
        return time.monotonic() - started

    def memory(self) -> float:
        return sum(resident(process.pid) for process in self.processes)
