"""Runs one container without an engine: layers stacked by overlayfs, own mounts and processes, the image's
user, no capability. Started by tasks.py with the description as JSON on standard input; a program of its own,
because a process with threads must not fork and go on.

Reports on the descriptor named by its argument: {"pid": the host's number of the first process} or
{"error": why}. Ends as the container does: its exit code, or 128 + the signal's number. SIGTERM is passed on.
"""

import ctypes
import json
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (1, 2, 4, 32, 4096, 16384, 1 << 18)
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
LAST_CAPABILITY = 40
REPORT = int(sys.argv[1]) if len(sys.argv) > 1 else 2
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    texts = [t.encode() if t else None for t in (source, target, kind)]
    check(libc.mount(*texts, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def map_user(uid, gid):
    """In a user namespace of its own the container's user is the one who runs the emulator."""
    outer_uid, outer_gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWUSER), "unshare a user namespace")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"),
                       ("gid_map", f"{gid} {outer_gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def build_root(box):
    """The container's file system under box["root"], seen by this process and its children alone."""
    root = box["root"]
    options = "lowerdir=" + ":".join(box["layers"])
    if not box["read_only"]:
        mount("tmpfs", box["scratch"], "tmpfs")
        for name in ("upper", "work"):
            os.mkdir(os.path.join(box["scratch"], name))
        options += f",upperdir={box['scratch']}/upper,workdir={box['scratch']}/work"
    mount("overlay", root, "overlay", MS_RDONLY if box["read_only"] else 0, options)
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV)
    mount("tmpfs", root + "/dev", "tmpfs", MS_NOSUID, "mode=755,size=1m")
    for name in ("null", "zero", "full", "random", "urandom"):
        with open(f"{root}/dev/{name}", "w", encoding="ascii"):
            pass
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    for target in box["tmpfs"]:
        mount("tmpfs", root + target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=512m")
    for one in box["binds"]:
        mount(one["source"], root + one["target"], None, MS_BIND | MS_REC)
        if one["read_only"]:
            mount(None, root + one["target"], None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def become_container(box):
    build_root(box)
    os.chroot(box["root"])
    os.chdir(box["directory"])
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if not box["mapped"]:
        os.setgroups([])
        os.setgid(box["gid"])
        os.setuid(box["uid"])
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    die_with_parent()   # a change of user has cleared it


def find_program(name, environment):
    if "/" in name:
        return name
    for folder in environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    raise OSError(2, f'exec: "{name}": executable file not found in $PATH')


def run_container(box):
    """The first process of the container; does not return."""
    die_with_parent()
    try:
        for path in box["groups"]:
            with open(path, "w", encoding="ascii") as file:
                file.write("0")
        become_container(box)
        program = find_program(box["argv"][0], box["environment"])
        worker = os.fork() if box["init"] else 0
        if worker != 0:
            reap_as_init(worker)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(program, box["argv"], box["environment"])
    except OSError as error:
        os.write(REPORT, json.dumps({"error": str(error.strerror or error)}).encode())
    os._exit(127)


def reap_as_init(worker):
    """What tini does with InitProcessEnabled: passes SIGTERM on, buries orphans, ends as its child does."""
    os.close(REPORT)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(worker, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    while True:
        pid, status = os.wait()
        if pid == worker:
            os._exit(ending(status))


def ending(status):
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main():
    die_with_parent()
    box = json.load(sys.stdin)
    os.set_inheritable(REPORT, False)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    box["mapped"] = os.geteuid() != 0
    if box["mapped"]:
        map_user(box["uid"], box["gid"])
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    child = os.fork()
    if child == 0:
        run_container(box)
    os.write(REPORT, json.dumps({"pid": child}).encode() + b"\n")
    os.close(REPORT)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    sys.exit(ending(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
