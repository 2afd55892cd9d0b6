"""Archives kept by git: every version of one file, and the commit times of files in a work tree.

Belongs here: everything that runs ``git``. Does not belong here: folders and packed files (`files`).

A repository from elsewhere may name programs to run in its configuration and its hooks. So its objects are
read through an empty repository of our own, with our own configuration; of the foreign one git is only asked
where its objects and its HEAD are, which runs nothing.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from pipelines.errors import SourceError, UsageError
from pipelines.sources.archives import names
from pipelines.sources.archives.compressed import MAX_BODY, read_body, too_large
from pipelines.sources.archives.items import Contents, Item, Unfit, Unreadable

BUNDLE_MAGIC = (b"# v2 git bundle\n", b"# v3 git bundle\n")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PIPE_SIZE = 2**20
_CANDIDATES = 5
"""How many paths an error proposes."""

_CONFIGURATION = """\
[safe]
	directory = *
[core]
	hooksPath = /dev/null
[protocol]
	allow = never
"""


def is_repository(folder: Path) -> bool:
    """Whether ``folder`` is the top of a work tree, or a bare repository."""
    return (folder / ".git").exists() or (
        (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    )


def in_bundle(path: Path, name: str, member: str | None, stack: ExitStack) -> Contents:
    """Every version of ``member`` in the bundle at ``path``, over the history of all its heads."""
    git = _Git(name, stack)
    git.unbundle(path)
    return _versions(git, member, stack)


def in_repository(folder: Path, name: str, member: str | None, stack: ExitStack) -> Contents:
    """Every version of ``member`` over the history of the repository's HEAD."""
    git = _Git(name, stack)
    git.borrow(folder.absolute(), below=folder.absolute().parent)
    return _versions(git, member, stack)


def capture_paths(folder: Path, name: str) -> list[str]:
    """The paths of all captures in the history of the repository's HEAD, the most often changed first."""
    with ExitStack() as stack:
        git = _Git(name, stack)
        git.borrow(folder.absolute(), below=folder.absolute().parent)
        return git.capture_paths()


def commit_times(folder: Path, name: str) -> dict[str, datetime]:
    """When each file under ``folder`` was last committed (the committer's time), by its path there.

    That is the time of the commit even where the file has been changed since.
    """
    with ExitStack() as stack:
        git = _Git(name, stack)
        git.borrow(folder.absolute())
        place = git.place(folder.absolute())
        times: dict[str, datetime] = {}
        committed = b""
        pathspec = f":(literal){os.fsdecode(place)}" if place else ":/"
        for token in git.history("--name-only", "--format=//%ct", pathspec=pathspec):
            if token.startswith(b"//"):  # no path in git begins like this
                committed = token[2:]
            elif path := token.removeprefix(place):
                with suppress(ValueError, OverflowError):
                    times.setdefault(os.fsdecode(path), _moment(committed))
        return times


def _versions(git: _Git, member: str | None, stack: ExitStack) -> Contents:
    """Where the file's bytes differ from those in every parent of a commit, the commit observed a version."""
    path = (member or _only_capture(git)).removeprefix("./")
    tokens = git.history(
        "--full-history",
        "--reverse",
        "--raw",
        "--no-abbrev",
        "--format=//%H %ct",
        pathspec=f":(literal){path}",
    )
    changes = list(_changes(tokens, os.fsencode(path)))
    if not changes:
        raise SourceError(f"{git.name} has never held the file {names.printable(path)}; {_proposal(git)}.")
    contents = Contents([], [])
    name, compression = names.printable(path), names.compression_named(path)
    dated: list[tuple[datetime, _Change]] = []
    for change in changes:
        try:
            dated.append((_moment(change.committed), change))
        except (ValueError, OverflowError):
            contents.unreadable.append(Unreadable(name, f"commit {change.commit} has no valid committer time"))
    dated.sort(key=lambda one: one[0])  # in the order in which they will be read
    blobs = _Blobs(git, stack, [change.blob for _, change in dated])
    for place, (observed_at, change) in enumerate(dated):
        read = partial(_read, blobs, place, change.commit, compression)
        contents.items.append(Item(name, observed_at, read, {"commit": change.commit}))
    return contents


@dataclass(frozen=True)
class _Change:
    """A commit that gave a file new bytes; ``committed`` is the committer's unix time as git writes it."""

    commit: str
    committed: bytes
    blob: str


def _changes(tokens: Iterator[bytes], path: bytes) -> Iterator[_Change]:
    """The changes of ``path`` in ``git log --raw -c -z``, without deletions and changes of the mode alone.

    A file's line has a colon for each parent, then the modes and the blobs of each parent and of the commit.
    """
    commit = committed = b""
    for token in tokens:
        if token.startswith(b"//"):
            commit, _, committed = token[2:].partition(b" ")
            continue
        parents = len(token) - len(token.lstrip(b":"))
        fields = token[parents:].split()
        mode, old_blobs, blob = fields[parents], fields[parents + 1 : -2], fields[-2]
        is_file = mode.startswith(b"100")
        if next(tokens) == path and is_file and blob not in old_blobs:
            yield _Change(commit.decode(), committed, blob.decode())


def _read(blobs: _Blobs, place: int, commit: str, compression: str | None) -> bytes:
    try:
        return read_body(io.BytesIO(blobs.read(place)), compression)
    except Unfit as unfit:
        raise Unfit(f"in commit {commit}: {unfit}") from unfit


def _only_capture(git: _Git) -> str:
    paths = git.capture_paths()
    if len(paths) != 1:
        raise UsageError(f"Say with --path which file of {git.name} to read; {_proposal(git)}.")
    return paths[0]


def _proposal(git: _Git) -> str:
    paths = [names.printable(path) for path in git.capture_paths()]
    if not paths:
        return "it holds no JSON files"
    more = f" and {len(paths) - _CANDIDATES:,} more" if len(paths) > _CANDIDATES else ""
    return f"it holds {', '.join(paths[:_CANDIDATES])}{more}"


def _moment(unix_time: bytes) -> datetime:
    return _EPOCH + timedelta(seconds=int(unix_time))


class _Git:
    """An empty repository of our own in a temporary folder, into which a foreign one's objects are let.

    ``name`` is what errors call the archive. Where git fails, every method raises SourceError with its words.
    """

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        self._heads: list[str] = []
        self._home = Path(stack.enter_context(TemporaryDirectory(prefix="catalogue-git-")))
        self._repository = self._home / "objects.git"
        configuration = self._home / "gitconfig"
        configuration.write_text(_CONFIGURATION)
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home),
            "GIT_CONFIG_GLOBAL": str(configuration),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def unbundle(self, bundle: Path) -> None:
        """Let in the objects and the heads of ``bundle``."""
        object_format, heads = _bundle_header(bundle, self.name)
        self._initialise(object_format)
        self._run("bundle", "unbundle", str(bundle.absolute()))
        self._start_from(heads)

    def borrow(self, folder: Path, below: Path | None = None) -> None:
        """Let in the objects of the repository that ``folder`` is, or lies in, and its HEAD.

        It is looked for in the folders above, but only ``below`` that one where it is given.
        """
        if below:
            self._environment["GIT_CEILING_DIRECTORIES"] = str(below)
        self._initialise(self._ask(folder, "--show-object-format").decode())
        objects = self._foreign(folder, "objects")
        (self._repository / "objects" / "info").mkdir(exist_ok=True)
        (self._repository / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")
        shallow = self._foreign(folder, "shallow")
        if shallow.is_file():
            (self._repository / "shallow").write_bytes(shallow.read_bytes())
        self._start_from([self._ask(folder, "HEAD", fallback=b"HEAD").decode()])

    def place(self, folder: Path) -> bytes:
        """The path of ``folder`` inside its work tree: empty, or with a slash at its end."""
        return self._ask(folder, "--show-prefix")

    def history(self, *options: str, pathspec: str) -> Iterator[bytes]:
        """The fields that ``git log`` gives for the commits that touch ``pathspec``, newest first by default.

        A merge counts only where it differs from each of its parents (-c).
        """
        log = ("log", "--stdin", "--no-renames", "-c", "-z", *options, "--", pathspec)
        output = self._run(*log, stdin="\n".join(self._heads).encode() + b"\n")
        # git separates a commit from its files by an empty line, even with -z.
        return (field for token in output.split(b"\0") if (field := token.removeprefix(b"\n")))

    def capture_paths(self) -> list[str]:
        """The paths of all captures that the history has held, the most often changed first."""
        fields = self.history("--full-history", "--name-only", "--format=", pathspec=":(icase)*.json*")
        counts = Counter(os.fsdecode(field) for field in fields)
        captures = [path for path in counts if names.is_capture(path)]
        return sorted(captures, key=lambda path: (-counts[path], path))

    def start(self, *arguments: str, stdin: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """A git command in our repository, its output to be read as it comes."""
        process = subprocess.Popen(
            self._command(*arguments),
            env=self._environment,
            cwd=self._home,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        assert process.stdout is not None
        _widen(process.stdout)
        return process

    def failure(self, stderr: bytes) -> SourceError:
        """The error for a git command that has written ``stderr``."""
        lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith(("fatal: ", "error: "))), "it ended without a word")
        reason = names.printable(said.removeprefix("fatal: ").removeprefix("error: ")).rstrip(".")
        return SourceError(f"git cannot read {self.name}: {reason}.")

    def _initialise(self, object_format: str) -> None:
        options = [] if object_format == "sha1" else [f"--object-format={object_format}"]
        self._run("init", "--quiet", "--bare", "--template=", *options, str(self._repository))

    def _start_from(self, heads: list[str]) -> None:
        """Take the history from those of ``heads`` that are commits, or tags of commits."""
        questions = "".join(f"{head}^{{commit}}\n" for head in heads)
        answers = self._run("cat-file", "--batch-check=%(objectname)", stdin=questions.encode()).decode().splitlines()
        self._heads = list(dict.fromkeys(answer for answer in answers if " " not in answer))
        if not self._heads:
            raise SourceError(f"{self.name} holds no commits.")

    def _foreign(self, folder: Path, part: str) -> Path:
        return (folder / os.fsdecode(self._ask(folder, "--git-path", part))).resolve()

    def _ask(self, folder: Path, *question: str, fallback: bytes | None = None) -> bytes:
        """What ``git rev-parse`` answers in the foreign repository; ``fallback`` where it has no answer."""
        try:
            answer = self._call("git", "-C", str(folder), "rev-parse", *question)
        except SourceError:
            if fallback is None:
                raise
            return fallback
        return answer.removesuffix(b"\n")

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return self._call(*self._command(*arguments), stdin=stdin)

    def _command(self, *arguments: str) -> list[str]:
        return ["git", f"--git-dir={self._repository}", *arguments]

    def _call(self, *command: str, stdin: bytes = b"") -> bytes:
        try:
            done = subprocess.run(
                command, env=self._environment, cwd=self._home, input=stdin, capture_output=True, check=False
            )
        except FileNotFoundError:
            raise SourceError(f"Reading {self.name} needs git, which is not installed.") from None
        if done.returncode:
            raise self.failure(done.stderr)
        return done.stdout


def _bundle_header(bundle: Path, name: str) -> tuple[str, list[str]]:
    """The object format of a bundle, and the object ids that its heads name."""
    object_format = "sha1"
    heads: list[str] = []
    with bundle.open("rb") as stream:
        stream.readline()
        while line := stream.readline(2**16):
            if line == b"\n":
                return object_format, heads
            if line.startswith(b"-"):
                raise SourceError(
                    f"{name} is an incremental bundle, which builds on commits that it does not contain; "
                    "make a complete one with `git bundle create FILE --all`."
                )
            if line.startswith(b"@object-format="):
                object_format = line.decode(errors="replace").strip().partition("=")[2]
            elif not line.startswith(b"@"):
                heads.append(line.decode(errors="replace").split(" ")[0])
    raise SourceError(f"{name} is damaged or cut short: its header has no end.")


def _widen(pipe: IO[bytes]) -> None:
    """Let a whole capture lie in ``pipe``, where that can be had: only on Linux, and not for everybody."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


class _Blobs:
    """The contents of ``blobs`` by their place, from one running ``git cat-file``.

    It is told all of them at once, so that it unpacks the next while the last is worked on. Who asks out of turn has
    it start anew.
    """

    def __init__(self, git: _Git, stack: ExitStack, blobs: Sequence[str]) -> None:
        self._git = git
        self._blobs = blobs
        self._next: int | None = None
        self._running = stack.enter_context(ExitStack())

    def read(self, place: int) -> bytes:
        """The content of the blob. Raises Unfit where there is none, SourceError where git gives up."""
        if place != self._next:
            self._start(place)
        self._next = place + 1
        head = self._answers.readline().split()
        if head[1:] == [b"missing"]:
            raise Unfit("the repository does not hold its bytes (is it a partial clone?)")
        if len(head) != 3:
            raise self._failure()
        size = int(head[2])
        body = self._answers.read(min(size, MAX_BODY))
        remaining = size - len(body)
        while size > MAX_BODY and remaining and (skipped := self._answers.read(min(remaining, MAX_BODY))):
            remaining -= len(skipped)
        if remaining or self._answers.read(1) != b"\n":
            raise self._failure()
        if size > MAX_BODY:
            raise too_large()
        return body

    def _start(self, place: int) -> None:
        self._running.close()
        questions = self._running.enter_context(TemporaryFile())  # noqa: SIM115 (the stack closes it)
        questions.write("".join(f"{blob}\n" for blob in self._blobs[place:]).encode())
        questions.seek(0)
        self._stderr = self._running.enter_context(TemporaryFile())  # noqa: SIM115 (the stack closes it)
        started = self._git.start("cat-file", "--batch", stdin=questions, stderr=self._stderr)
        self._process = self._running.enter_context(started)
        assert self._process.stdout is not None
        self._answers = self._process.stdout

    def _failure(self) -> SourceError:
        self._next = None
        self._answers.close()
        self._process.wait()
        self._stderr.seek(0)
        return self._git.failure(self._stderr.read())
