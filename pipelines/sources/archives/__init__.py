"""Reading archives of captures: folders, zips, tars, single files, the history of a file in git, the web archive.

Belongs here: telling the kinds of archives apart. Does not belong here: what a body means or whether it is
even JSON (`flatten`), and storing it (`captures`). Nothing is written but temporary files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from pipelines.errors import SourceError, UsageError
from pipelines.scopes import Scope
from pipelines.sources.archives import files, git, names
from pipelines.sources.archives.compressed import compression_of, decompressed
from pipelines.sources.archives.items import Archive, Contents, TimeFrom, Unreadable

__all__ = ["Archive", "TimeFrom", "Unreadable", "open_archive"]

_TAR_NAME = re.compile(r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)


@contextmanager
def open_archive(
    path: Path, *, scope: Scope, member: str | None = None, time_from: TimeFrom | None = None
) -> Iterator[Archive]:
    """The archive at ``path``, whose captures answer ``scope``. It can be read until the context ends.

    Its kind is recognised by its content: a folder; a zip, or a tar in any compression, of one; a single
    file; a git repository or bundle, of which every version of the file ``member`` is a capture (it may be
    left out where the history has held only one JSON file). ``time_from`` says where the times come from:

    - ``name``, by default: from the file's path inside the archive, in any usual spelling.
    - ``mtime``: from the file's modification time, which in a zip is UTC for want of a zone.
    - ``git``, always for repositories and bundles: when the version was committed. For a folder in a work
      tree: when each file was last committed. The top of a work tree is read as a folder where ``time_from``
      is ``name`` or ``mtime``, or is ``git`` without a ``member`` and there is not just one JSON file.

    Raises SourceError where the archive is missing, damaged or of no known kind, and UsageError where the
    arguments do not fit its kind.
    """
    with ExitStack() as stack:
        try:
            archive = _opened(path, scope, member, time_from, stack)
        except OSError as error:
            raise SourceError(f"{names.printable(str(path))} cannot be read: {error.strerror or error}.") from error
        yield archive


def _opened(path: Path, scope: Scope, member: str | None, time_from: TimeFrom | None, stack: ExitStack) -> Archive:
    name = names.printable(path.name if path.name not in ("", "..") else path.resolve().name)
    kind = _kind(path, name, member, time_from)
    if kind.startswith("git"):
        if time_from not in (None, "git"):
            raise UsageError(f"{name} is a {kind}, whose times are those of its commits: leave --time-from out.")
        read = git.in_bundle if kind == "git bundle" else git.in_repository
        contents = read(path, name, member, stack)
        return Archive(name, kind, contents, scope=scope, time_from="git")
    if member is not None:
        raise UsageError(f"--path names a file in the history of a git repository or bundle; {name} is a {kind}.")
    contents = _files(path, kind, name, time_from or "name", stack)
    return Archive(name, kind, contents, scope=scope, time_from=time_from or "name")


def _kind(path: Path, name: str, member: str | None, time_from: TimeFrom | None) -> str:
    """What ``path`` is: by its content, or else by its name, so that a damaged archive is called one."""
    if path.is_dir():
        return "git repository" if _is_history(path, name, member, time_from) else "folder"
    with path.open("rb") as stream:
        head = stream.read(16)
        stream.seek(0)
        is_tar = files.begins_tar(decompressed(stream, compression_of(head)))
    if head.startswith(git.BUNDLE_MAGIC) or name.lower().endswith(".bundle"):
        return "git bundle"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or name.lower().endswith(".zip"):
        return "zip"
    if is_tar or _TAR_NAME.search(name):
        return "tar"
    is_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    if names.is_capture(name) or compression_of(head) or is_json:
        return "file"
    raise SourceError(f"{name} is no archive of captures: neither a folder, zip, tar, git bundle nor JSON.")


def _is_history(path: Path, name: str, member: str | None, time_from: TimeFrom | None) -> bool:
    """Whether a folder is to be read as the history of one file rather than for the files that lie in it."""
    if not git.is_repository(path):
        return False
    if member is not None or time_from is None:
        return True
    return time_from == "git" and len(git.capture_paths(path, name)) == 1


def _files(path: Path, kind: str, name: str, time_from: TimeFrom, stack: ExitStack) -> Contents:
    if time_from == "git" and kind in ("zip", "tar"):
        raise UsageError(f"A {kind} has no commits to take times from: use --time-from name or mtime.")
    if kind == "folder":
        found = files.in_folder(path)
    elif kind == "zip":
        found = files.in_zip(path, stack)
    elif kind == "tar":
        found = files.in_tar(path, stack)
    else:
        found = files.alone(path)
    if time_from == "name":
        return found.dated(files.time_in_name)
    if time_from == "mtime":
        return found.dated(files.time_modified)
    commits = git.commit_times(path if kind == "folder" else path.parent, name)
    return found.dated(partial(files.time_committed, commits))
