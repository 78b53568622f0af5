"""A task's share of the machine, by control groups: version 1 or 2, whichever is mounted and may be written.

Where neither may be, as for an ordinary user, tasks are not limited and no container is ever out of memory;
`Limits.kind` says so, and the emulator says it when it starts.
"""

import os

PERIOD_MICROSECONDS = 100_000
ROOT = "/sys/fs/cgroup"


class Limits:
    """The groups of one emulator, below a name of its own."""

    def __init__(self, name):
        self.name = name
        self.kind = next((kind for kind in ("v2", "v1") if self.make(kind)), None)

    def folders(self, kind):
        return [os.path.join(ROOT, self.name)] if kind == "v2" else \
            [os.path.join(ROOT, controller, self.name) for controller in ("cpu", "memory")]

    def make(self, kind):
        if kind == "v2" and not has_controllers(os.path.join(ROOT, "cgroup.controllers")):
            return False
        try:
            for folder in self.folders(kind):
                os.makedirs(folder, exist_ok=True)
                remove_within(folder)   # what an emulator of that name has left that was killed
            if kind == "v2":
                for folder in (ROOT, os.path.join(ROOT, self.name)):
                    write(folder, "cgroup.subtree_control", "+cpu +memory")
            return True
        except OSError:
            return False

    def task(self, identity, cores, megabytes):
        """What a task of that size may use; files to which its first process writes its number."""
        if self.kind is None:
            return []
        folders = [os.path.join(folder, identity) for folder in self.folders(self.kind)]
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
        quota = int(cores * PERIOD_MICROSECONDS)
        if self.kind == "v2":
            write(folders[0], "cpu.max", f"{quota} {PERIOD_MICROSECONDS}")
            write(folders[0], "memory.max", f"{megabytes}M")
        else:
            write(folders[0], "cpu.cfs_period_us", PERIOD_MICROSECONDS)
            write(folders[0], "cpu.cfs_quota_us", quota)
            write(folders[1], "memory.limit_in_bytes", f"{megabytes}M")
        return [os.path.join(folder, "cgroup.procs") for folder in folders]

    def kills(self, identity):
        """How many processes of a task the kernel has ended for want of memory."""
        if self.kind is None:
            return 0
        name = "memory.events" if self.kind == "v2" else "memory.oom_control"
        try:
            with open(os.path.join(self.folders(self.kind)[-1], identity, name), encoding="ascii") as file:
                rows = dict(line.split() for line in file)
        except OSError:
            return 0
        return int(rows.get("oom_kill", 0))

    def forget(self, identity=""):
        """A task's groups, or with "" all of the emulator's."""
        for folder in self.folders(self.kind) if self.kind else []:
            if not identity:
                remove_within(folder)
            remove(os.path.join(folder, identity))


def remove(folder):
    try:
        os.rmdir(folder)
    except OSError:
        pass    # its last process is only just ending: whoever takes the name next removes it


def remove_within(folder):
    for entry in os.scandir(folder):
        if entry.is_dir():
            remove(entry.path)


def has_controllers(path):
    try:
        with open(path, encoding="ascii") as file:
            return {"cpu", "memory"} <= set(file.read().split())
    except OSError:
        return False


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(str(value))
