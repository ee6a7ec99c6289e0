"""A PostgreSQL server of its own, in a temporary folder; stopped and removed at the end."""
import glob
import shutil
import subprocess
import sys
import tempfile

from serving import free_port


class Postgres:
    def __init__(self, address: str = "127.0.0.1", network: str | None = None) -> None:
        """On loopback unless another address is given; with `network`, who comes from there needs a password."""
        self.address, self.network = address, network

    def __enter__(self) -> "Postgres":
        tools = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        if not tools:
            sys.exit("PostgreSQL is missing (make setup)")
        self.tools = tools[-1]
        self.folder = tempfile.mkdtemp(prefix="slipway-bench-pg.")
        self.port = free_port()
        self.session = None
        shutil.chown(self.folder, "postgres", "postgres")
        self.control("initdb", "-D", f"{self.folder}/data", "-U", "slipway", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        if self.network:
            with open(f"{self.folder}/data/pg_hba.conf", "a") as file:
                file.write(f"host all all {self.network} scram-sha-256\n")
        self.start()
        return self

    def control(self, tool: str, *arguments: str) -> None:
        # The server must not inherit a pipe that somebody reads to its end.
        done = subprocess.run(["runuser", "-u", "postgres", "--", f"{self.tools}/{tool}", *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, cwd="/")
        if done.returncode != 0:
            sys.exit(f"{tool} failed")

    def start(self) -> None:
        self.control("pg_ctl", "-D", f"{self.folder}/data", "-w", "-s", "-l", f"{self.folder}/log", "-o",
                     f"-k {self.folder} -p {self.port} -c listen_addresses={self.address}", "start")

    def stop(self, how: str = "fast") -> None:
        """As `pg_ctl -m` has it; `immediate` is a crash."""
        self.forget()
        self.control("pg_ctl", "-D", f"{self.folder}/data", "-w", "-s", "-m", how, "stop")

    def forget(self) -> None:
        if self.session is not None:
            self.session.stdin.close()
            self.session.wait(10)
            self.session = None

    def psql(self) -> list[str]:
        return [f"{self.tools}/psql", "-h", self.folder, "-p", str(self.port), "-U", "slipway", "-d", "postgres", "-qAt"]

    def ask(self, question: str) -> str:
        """The first line of the answer; the question must have one."""
        if self.session is None:
            self.session = subprocess.Popen(self.psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.session.stdin.write(question + ";\n")
        self.session.stdin.flush()
        return self.session.stdout.readline().strip()

    def rows(self, question: str) -> list[list[str]]:
        done = subprocess.run([*self.psql(), "-F", "\t", "-c", question], capture_output=True, text=True, timeout=60, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    @property
    def url(self) -> str:
        return f"postgres://slipway@127.0.0.1:{self.port}/postgres"

    def __exit__(self, *_) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
