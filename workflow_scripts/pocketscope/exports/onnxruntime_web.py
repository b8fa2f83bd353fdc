"""ONNX Runtime for browsers: its script and its WebAssembly, from the npm package, into a cache.

Pinned by version and by the content of both files; whoever serves them can change nothing. The registry is the one that
npm is set up with on this machine.
"""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from pocketscope.core.errors import InputError
from pocketscope.core.files import whole

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
LICENCE = "MIT"
# The build without GPU and without threads of its own needs these two files and no more.
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SHA256 = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
SECONDS = 300  # that a download may take: the package has 33 MB


def cache() -> Path:
    """Return the folder where the files are kept between exports."""
    top = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(top) / "pocketscope" / f"{PACKAGE}-{VERSION}"


def files(package: Path | None = None) -> dict[str, bytes]:
    """Return the contents of `SCRIPT` and `BINARY`: from the cache, else from the npm package, which fills the cache.

    Parameters
    ----------
    package
        The package's `.tgz`, downloaded elsewhere. Default: npm fetches it.

    Raises
    ------
    pocketscope.core.errors.InputError
        npm is not installed, or could not fetch the package; or the package is another one than the pinned.
    """
    folder = cache()
    if package is None and (kept := _kept(folder)):
        return kept
    if package is not None:
        if not package.is_file():
            raise InputError(f"{package}: there is no such file; give {PACKAGE}-{VERSION}.tgz")
        found = _unpacked(package.read_bytes(), str(package))
    else:
        found = _unpacked(_fetched(), "what npm fetched")
    for name, content in found.items():
        try:
            with whole(folder / name) as temporary:
                temporary.write_bytes(content)
        except (InputError, OSError):  # a cache that cannot be written costs time, and nothing else
            break
    return found


def _kept(folder: Path) -> dict[str, bytes] | None:
    try:
        found = {name: (folder / name).read_bytes() for name in SHA256}
    except OSError:
        return None
    return found if _right(found) else None


def _right(found: dict[str, bytes]) -> bool:
    return all(hashlib.sha256(found[name]).hexdigest() == digest for name, digest in SHA256.items())


def _fetched() -> bytes:
    remedy = (
        f"on a machine with network and npm, run `npm pack {PACKAGE}@{VERSION}`, copy {PACKAGE}-{VERSION}.tgz here "
        f"and give it by --runtime; it is kept in {cache()}"
    )
    npm = shutil.which("npm")
    if not npm:
        raise InputError(f"the page needs {PACKAGE} {VERSION} once, and npm, which fetches it, is not here: {remedy}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts", "--fetch-retries=1"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS)
            return (Path(folder) / f"{PACKAGE}-{VERSION}.tgz").read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            said = " ".join((getattr(error, "stderr", None) or str(error)).split())[:300]
            raise InputError(f"{PACKAGE} {VERSION} could not be fetched by npm ({said}): {remedy}") from error


def _unpacked(package: bytes, name: str) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            for wanted in SHA256:
                found[wanted] = archive.extractfile(f"package/dist/{wanted}").read()
    except (tarfile.TarError, KeyError, AttributeError, EOFError, OSError) as error:
        raise InputError(f"{name} is not {PACKAGE} {VERSION}, or was cut short ({error}); fetch it again") from error
    if not _right(found):
        raise InputError(f"{name} is not {PACKAGE} {VERSION}: its content differs from the pinned one; fetch it again")
    return found
