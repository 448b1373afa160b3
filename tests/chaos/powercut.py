"""A power cut for the files of a program that ran with powercut.so: takes away what the disk did not surely hold."""
import os
import pathlib
import shutil


class Change:
    """A change of names that no sync of its directory has made durable yet."""

    def __init__(self, at, kind, path, other=None, grave="-", sizes=None):
        self.at, self.kind, self.path, self.other, self.grave, self.sizes = at, kind, path, other, grave, sizes
        self.directory = os.path.dirname(path)

    def undo(self, sizes):
        if self.kind == "M":
            shutil.rmtree(self.path, ignore_errors=True)
            for path in [path for path in sizes if path.startswith(self.path + "/")]:
                del sizes[path]
            return
        if self.kind == "C":
            pathlib.Path(self.path).unlink(missing_ok=True)
            sizes.pop(self.path, None)
            return
        if self.kind == "R" and not os.path.exists(self.path):
            os.rename(self.other, self.path)
        gone = self.path if self.kind == "U" else self.other
        if self.grave != "-" and not os.path.exists(gone):
            os.link(self.grave, gone)
        for path, size in self.sizes.items():
            sizes.pop(path, None)
            if size is not None:
                sizes[path] = size


def read_record(record):
    """The changes that are not durable, in their order, and the durable size of every file that is not wholly durable; what it cannot cover."""
    changes, sizes, uncovered, at = [], {}, [], 0
    for line in record.read_bytes().splitlines(keepends=True) if record.exists() else []:
        kind, *fields = line.decode().rstrip("\n").split("\t")
        if kind == "C":
            changes.append(Change(at, kind, fields[0]))
            sizes[fields[0]] = 0
        elif kind == "M":
            changes.append(Change(at, kind, fields[0]))
        elif kind == "R":
            source, target, grave = fields
            changes.append(Change(at, kind, source, target, grave, {source: sizes.get(source), target: sizes.get(target)}))
            sizes.pop(target, None)
            if source in sizes:
                sizes[target] = sizes.pop(source)
        elif kind == "U":
            changes.append(Change(at, kind, fields[0], None, fields[1], {fields[0]: sizes.pop(fields[0], None)}))
        elif kind == "T":
            sizes[fields[0]] = 0
        elif kind == "S" and fields[1] in sizes:
            sizes[fields[1]] = max(sizes[fields[1]], int(fields[0]))
        elif kind == "D":
            changes = [change for change in changes if change.directory != fields[1] or change.at >= int(fields[0])]
        elif kind == "X":
            uncovered.append(" ".join(fields))
        at += len(line)
    return changes, sizes, uncovered


def lose(record, graves, random):
    """
    To be called when no process of this machine is left. Everything that is not durable goes, or, as `random` has it, all but a prefix of
    the changes of names and of each file's bytes. What is left is durable from now on. How many changes and bytes went.
    """
    changes, sizes, uncovered = read_record(record)
    assert not uncovered, uncovered
    everything = random.random() < 0.5
    kept = 0 if everything else random.randint(0, len(changes))
    for change in reversed(changes[kept:]):
        change.undo(sizes)
    lost_bytes = 0
    for path, durable in sizes.items():
        size = os.path.getsize(path) if os.path.exists(path) else 0
        if size > durable:
            left = durable if everything else random.randint(durable, size)
            os.truncate(path, left)
            lost_bytes += size - left
    forget(record, graves)
    return len(changes) - kept, lost_bytes


def forget(record, graves):
    """Takes all that is there for durable."""
    record.unlink(missing_ok=True)
    for grave in graves.iterdir():
        grave.unlink()


def failures(record):
    """The calls that were made to fail."""
    lines = record.read_text().splitlines() if record.exists() else []
    return [line.split("\t")[1:] for line in lines if line.startswith("F\t")]
