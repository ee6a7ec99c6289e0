"""A server that delivers examples/mix, for each target and router: what scripts/prove and those beside it share."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from serving import HERE, SLIPWAY, Server, make_bridge, run

STRATEGIES = {
    "blue-green": "strategy: blue_green, soak: 6s",
    "rolling": "strategy: {rolling: {max_surge: 1, max_unavailable: 0, ready: 2s}}",
    "canary": 'strategy: {canary: {weights: [5, 25, 50], every: 2s, abort_if: {error_rate: "> base + 1%", minimum: 20}}}',
}
# The settings that choose each of them.
TARGETS = {"host": {}, "docker": {"SLIPWAY_TARGETS_LOCAL_KIND": "docker"}}
ROUTERS = {"nginx": {}, "haproxy": {"SLIPWAY_ROUTER_KIND": "haproxy"}}
EXAMPLE = os.path.join(HERE, "../examples/mix")
# How names and addresses of their own are found for the bridges of the daemon and the server, also when several of these run at once.
NETWORK = next(
    number for number in (*range(os.getpid() % 200, 200), *range(200))
    if not any(os.path.exists(f"/sys/class/net/{name}{number}") for name in ("sliprove", "slipprove")))


@contextlib.contextmanager
def docker(folder: str):
    """A daemon with all it has in one folder, and a bridge of its own; its socket."""
    if shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        sys.exit("prove: dockerd is missing: apt-get install docker.io")
    bridge = f"slipprove{NETWORK}"
    make_bridge(bridge)
    process = None
    try:
        run("ip", "address", "add", f"10.97.{NETWORK}.1/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        with open(f"{folder}/daemon.json", "w") as file:
            file.write("{}")
        socket = f"{folder}/docker.sock"
        with open(f"{folder}/dockerd.log", "wb") as log:
            process = subprocess.Popen(
                ["dockerd", "--config-file", f"{folder}/daemon.json", "--data-root", f"{folder}/docker", "--exec-root", f"{folder}/exec",
                 "--pidfile", f"{folder}/pid", "--host", f"unix://{socket}", "--iptables=false", "--ip6tables=false", "--bridge", bridge],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        deadline = time.monotonic() + 30
        while subprocess.run(["curl", "-fs", "--unix-socket", socket, "http://docker/_ping"], capture_output=True).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                with open(f"{folder}/dockerd.log", errors="replace") as file:
                    sys.exit(f"prove: dockerd does not start:\n{file.read()[-2000:]}")
            time.sleep(0.1)
        yield f"unix://{socket}"
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with open("/proc/self/mountinfo") as file:
            points = [line.split()[4] for line in file if line.split()[4].startswith(folder + "/")]
        for point in sorted(points, reverse=True):
            subprocess.run(["umount", "-l", point], capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)


@contextlib.contextmanager
def base_image():
    """The file of the image that examples/mix is based on."""
    with tempfile.TemporaryDirectory(prefix="slipway-prove.") as folder:
        run(os.path.join(HERE, "../scripts/base-perl"), f"{folder}/perl.tar")
        yield f"{folder}/perl.tar"


@contextlib.contextmanager
def delivering(target: str, router: str, base: str, **more: str):
    """A `Mix` on a server of its own."""
    with contextlib.ExitStack() as stack:
        bridge = f"sliprove{NETWORK}"
        settings = dict(TARGETS[target], **ROUTERS[router])
        settings |= {"SLIPWAY_NETWORK_BRIDGE": bridge, "SLIPWAY_NETWORK_SUBNET": f"10.98.{NETWORK}.0/24"}
        stack.callback(subprocess.run, ["ip", "link", "delete", bridge], capture_output=True)
        socket = None
        if target == "docker":
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="sp.", ignore_cleanup_errors=True))
            settings["SLIPWAY_TARGETS_LOCAL_HOSTS"] = socket = stack.enter_context(docker(home))
        server = stack.enter_context(Server(**(settings | more)))
        run(SLIPWAY, "image", "import", base, "library/perl:5", "--data", server.data)
        yield Mix(server, socket)


class Mix:
    """The project `bench`: examples/mix, whose releases are deployed when somebody says so."""

    def __init__(self, server: Server, socket: str | None) -> None:
        """`socket`: the Docker daemon's; none when instances are containers of the server itself."""
        self.server, self.socket = server, socket
        # The address of this machine for the instances.
        self.gateway = f"10.97.{NETWORK}.1" if socket else f"10.98.{NETWORK}.1"
        os.makedirs(f"{server.repository}/bin")
        with open(f"{EXAMPLE}/bin/mix") as file:
            self.program = file.read()
        self.is_there = False

    def release(self, version: str, stage: str, misbehaviour: str = "", replicas: int = 2, image: str = "shop/mix", **variables: str) -> int:
        """Commits, and returns the run that made a release of it. `stage`: more of the stage, its strategy. Each has an image of its own."""
        environment = {"MIX_VERSION": version, "MIX_MISBEHAVE": misbehaviour} | variables
        with open(f"{EXAMPLE}/pipelines/mix.yaml") as file:
            text = file.read()
        for old, new in [('{MIX_VERSION: "1", MIX_MISBEHAVE: ""}', json.dumps(environment)), ("grace: 10s", "grace: 3s"),
                         ("replicas: 2", f"replicas: {replicas}"), ("image: shop/mix", f"image: {image}"),
                         ("drain: 20s}", f"drain: 20s, promote: manual, {stage}}}")]:
            if old not in text:
                sys.exit(f"prove: examples/mix/pipelines/mix.yaml does not say {old} any more")
            text = text.replace(old, new)
        server = self.server
        with open(f"{server.repository}/bin/mix", "w") as file:
            file.write(f"{self.program}# {version}\n")
        if not self.is_there:
            server.add_project(pipeline=text)
            self.is_there = True
        with open(f"{server.repository}/pipelines/bench.yaml", "w") as file:
            file.write(text)
        run("git", "-C", server.repository, "add", "-A", env=server.environment)
        run("git", "-C", server.repository, "commit", "-q", "--allow-empty", "-m", version, env=server.environment)
        commit = run("git", "-C", server.repository, "rev-parse", "HEAD", env=server.environment).strip()
        run(SLIPWAY, "trigger", "bench", "--branch", "main", env=server.environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for made in server.runs(20):
                if made["commit"] == commit and made["state"] in ("failed", "invalid", "cancelled"):
                    server.fail(f"run {made['id']} is {made['state']}: {made.get('error')}")
                if made["commit"] == commit and made["state"] == "succeeded":
                    return made["id"]
            time.sleep(0.05)
        server.fail(f"no release of {commit} within 60 s")

    def run(self, number: int) -> dict:
        return json.loads(self.server.get(f"/api/v1/runs/{number}")[1])

    def promote(self, number: int) -> int:
        """Asks for the release of a run; returns the deployment."""
        return json.loads(self.slipway("promote", "dev", "--project", "bench", "--run", str(number), "--json"))["id"]

    def deployment(self, run: int, number: int) -> dict:
        return next(one for one in self.run(run)["deployments"] if one["id"] == number)

    def ended(self, run: int, number: int, seconds: float = 90) -> dict:
        """Waits for the end of a deployment."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            one = self.deployment(run, number)
            if one.get("finishedAt"):
                return one
            time.sleep(0.1)
        self.server.fail(f"deployment {number} is {one['state']} after {seconds:g} s")

    def deploy(self, run: int, state: str = "succeeded") -> int:
        number = self.promote(run)
        one = self.ended(run, number)
        if one["state"] != state:
            self.server.fail(f"deployment {number} is {one['state']}: {one.get('message')}")
        return number

    def slipway(self, *arguments: str) -> str:
        return run(SLIPWAY, *arguments, env=self.server.environment)

    def spoil_image(self, number: int) -> None:
        """Takes the manifest of what a run made out of the store."""
        algorithm, digest = self.run(number)["digest"].split(":")
        os.remove(f"{self.server.data}/blobs/{algorithm}/{digest}")

    def load(self, rate: int, mix: str = "sample") -> "Load":
        return Load(self, rate, mix)

    def losses(self) -> dict[str, int]:
        """By deployment: requests that ended in failure at one of its instances, or while it had all of them, as the router logged them."""
        folder = f"{self.server.data}/router"
        with open(f"{folder}/routes.json") as file:
            history = json.load(file)["history"].get("bench/bench/dev", [])
        lost: dict[str, int] = {}
        with open(f"{folder}/traffic.log", errors="replace") as file:
            for line in file:
                fields = line.rstrip("\n").split("|")
                if len(fields) not in (8, 9):
                    continue
                # The generation when it came is nginx's third field and haproxy's last.
                generation = int(fields[2] if fields[0] == "1" else fields[-1])
                owners = next((one["deployments"] for one in reversed(history) if one["since"] <= generation), {})
                if fields[0] == "1":  # nginx: instances by address, or the name of the group when all of them are down
                    last = fields[5].replace(",", " ").split()[-1:] or [""]
                    alone = set(owners.values()) if ":" not in last[0] else set()
                    owner = alone.pop() if len(alone) == 1 else owners.get(last[0], "")
                elif fields[2].startswith("<"):  # haproxy, all are down: whose they were when the request came
                    alone = set(owners.values())
                    owner = alone.pop() if len(alone) == 1 else ""
                else:
                    owner = fields[2].split("_")[0]
                if fields[3] == "-1" or fields[3] != "499" and int(fields[3]) >= 500:
                    lost[owner] = lost.get(owner, 0) + 1
        return lost


class Load:
    """`slipway prove --watch`, which asks all the time; at the latest until the block that it is for is left."""

    def __init__(self, mix: Mix, rate: int, kind: str) -> None:
        self.mix = mix
        self.process = subprocess.Popen(
            [SLIPWAY, "prove", "dev", "--project", "bench", "--mix", kind, "--rate", str(rate), "--limit", "7200", "--watch", "--json"],
            env=mix.server.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self) -> dict:
        """Waits for the last answer."""
        self.process.terminate()
        output, errors = self.process.communicate(timeout=120)
        try:
            return json.loads(output)
        except ValueError:
            self.mix.server.fail(f"slipway prove ended with {self.process.returncode}: {errors}")


def one_of(parser, known):
    """For an option: names with commas between them, all of them known."""
    def read(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            parser.error(f"'{unknown[0]}' is not one of {', '.join(known)}")
        return text.split(",")
    return read


def table(*widths: int):
    """Prints a line of cells."""
    return lambda *cells: print("  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths)).rstrip(), flush=True)
