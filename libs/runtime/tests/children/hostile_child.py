"""What a native library that a model has taken over could try, each on what the test has prepared for it.

Run through every mechanism of real jobs: as a module (`run_python`, `PreloadedPython`), as a program (`run_program`);
and plainly, without any confinement, as the control: `hostile_child.py ATTACK TARGETS`. The standard library only.
An attack that succeeds returns; one that is refused raises OSError.
"""

import ctypes
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Targets = dict[str, Any]
ARM = platform.machine() == "aarch64"


def main(request: Targets, log: Callable[[str], None]) -> dict[str, Any]:
    try:
        ATTACKS[request["attack"]](request)
    except OSError as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"done": request["attack"]}


def syscall(x86: int, arm: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    result: int = libc.syscall(ctypes.c_long(arm if ARM else x86), *wide)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read_credentials(targets: Targets) -> None:
    assert Path(targets["secret"]).read_text() == "hush"


def list_their_folder(targets: Targets) -> None:
    assert any(Path(targets["secret"]).parent.iterdir())


def read_through_own_link(targets: Targets) -> None:
    Path("link").symlink_to(targets["secret"])


def read_through_a_link_that_is_there(targets: Targets) -> None:
    assert Path(targets["link"]).read_text() == "hush"


def read_through_proc_root(targets: Targets) -> None:
    assert Path(f"/proc/self/root{targets['secret']}").read_text() == "hush"


def read_through_init(targets: Targets) -> None:
    assert Path(f"/proc/1/root{targets['secret']}").read_text() == "hush"


def read_through_the_service(targets: Targets) -> None:
    assert Path(f"/proc/{targets['service']}/root{targets['secret']}").read_text() == "hush"


def read_by_handle(targets: Targets) -> None:
    """name_to_handle_at, then open_by_handle_at: no path is walked."""
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    mount = ctypes.create_string_buffer(8)
    place = os.open("/", os.O_PATH)
    path = targets["secret"].encode()
    syscall(303, 264, place, path, ctypes.addressof(handle), ctypes.addressof(mount), 0)
    found = syscall(304, 265, os.open(targets["own"], os.O_RDONLY), ctypes.addressof(handle), os.O_RDONLY)
    assert os.read(found, 4) == b"hush"


def read_password_file(targets: Targets) -> None:
    assert Path("/etc/passwd").read_text()


def read_siblings_scratch(targets: Targets) -> None:
    assert Path(targets["sibling"], "model.onnx").read_text() == "another team's"


def change_siblings_scratch(targets: Targets) -> None:
    Path(targets["sibling"], "result").write_text("forged")


def change_own_input(targets: Targets) -> None:
    Path(targets["input"], "model.onnx").write_text("another")


def read_services_environment(targets: Targets) -> None:
    assert Path(f"/proc/{targets['service']}/environ").read_bytes()


def read_siblings_environment(targets: Targets) -> None:
    assert Path(f"/proc/{targets['victim']}/environ").read_bytes()


def read_services_memory(targets: Targets) -> None:
    Path(f"/proc/{targets['service']}/mem").open("rb", buffering=0).close()


def read_memory_across(targets: Targets) -> None:
    """process_vm_readv, of any address that is mapped."""
    buffer = ctypes.create_string_buffer(4)
    own, theirs = struct.pack("@PN", ctypes.addressof(buffer), 4), struct.pack("@PN", targets["address"], 4)
    syscall(310, 270, targets["victim"], own, 1, theirs, 1, 0)


def open_services_files(targets: Targets) -> None:
    os.open(f"/proc/{targets['service']}/fd/0", os.O_RDONLY)


def take_services_files(targets: Targets) -> None:
    """pidfd_open, pidfd_getfd."""
    syscall(438, 438, syscall(434, 434, targets["victim"], 0), 0, 0)


def trace_a_process(targets: Targets) -> None:
    attach, detach = 16, 17
    syscall(101, 117, attach, targets["victim"], 0, 0)
    os.waitpid(targets["victim"], 0)
    syscall(101, 117, detach, targets["victim"], 0, 0)


def signal_the_service(targets: Targets) -> None:
    os.kill(targets["service"], 0)


def signal_its_parent(targets: Targets) -> None:
    os.kill(os.getppid(), 0)


def kill_another(targets: Targets) -> None:
    os.kill(targets["victim"], signal.SIGKILL)


def kill_another_by_descriptor(targets: Targets) -> None:
    syscall(424, 424, syscall(434, 434, targets["victim"], 0), signal.SIGKILL, None, 0)


def slow_the_service_down(targets: Targets) -> None:
    os.setpriority(os.PRIO_PROCESS, targets["victim"], 19)


def limit_another(targets: Targets) -> None:
    resource.prlimit(targets["victim"], resource.RLIMIT_CPU, (100, 100))


def connect(targets: Targets) -> None:
    socket.create_connection(("127.0.0.1", targets["port"]), 5).close()


def connect_with_an_inherited_socket(targets: Targets) -> None:
    """connect(2) alone, on whatever is open: only Landlock or the filter says no, not the descriptor."""
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", targets["port"]) + socket.inet_aton("127.0.0.1")
    try:
        syscall(42, 203, 0, address + bytes(8), 16)
    except OSError as error:
        if error.errno == 88:  # ENOTSOCK: it was let through
            return
        raise


def listen(targets: Targets) -> None:
    socket.create_server(("127.0.0.1", 0)).close()


def send_a_datagram(targets: Targets) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", targets["port"]))


def connect_to_a_unix_socket(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(targets["unix"])


def connect_to_an_abstract_socket(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + targets["abstract"])


def ask_netlink(targets: Targets) -> None:
    socket.socket(16, socket.SOCK_RAW, 0).close()


def make_a_socket_pair(targets: Targets) -> None:
    for each in socket.socketpair():
        each.close()


def use_io_uring(targets: Targets) -> None:
    os.close(syscall(425, 425, 1, bytes(120)))


def run_a_program(targets: Targets) -> None:
    """In a process of its own, or there would be nobody to tell."""
    code = os.spawnv(os.P_WAIT, "/bin/true", ["true"])
    if code:
        raise PermissionError(code, "it did not run")


def become_a_program(targets: Targets) -> None:
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", ""])


def become_a_program_of_memory(targets: Targets) -> None:
    """memfd_create, fexecve: no file is involved, so no path is looked at."""
    memory = os.memfd_create("x", 0)
    os.write(memory, Path(targets["program"]).read_bytes())
    os.execve(memory, ["true"], {})


def start_a_process(targets: Targets) -> None:
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    os._exit(0)


def leave_a_grandchild(targets: Targets) -> None:
    """Forked twice, in a session of its own, its pipes closed: nothing leads to it any more."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for descriptor in range(3):
        os.close(descriptor)
    time.sleep(targets["seconds"])
    os._exit(0)


def start_a_process_by_clone3(targets: Targets) -> None:
    """Its flags lie in memory."""
    pid = syscall(435, 435, bytes(32) + struct.pack("=Q", signal.SIGCHLD) + bytes(24), 88)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def start_a_process_by_other_numbers(targets: Targets) -> None:
    """fork(2) as 32-bit code says it, by machine code: other numbers that a filter must not take for its own."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b802000000cd80c3"))  # mov eax, 2; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    pid = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def outlive_the_service(targets: Targets) -> None:
    """PR_SET_PDEATHSIG back to nothing."""
    syscall(157, 167, 1, 0, 0, 0, 0)


def leave_a_core(targets: Targets) -> None:
    """PR_SET_DUMPABLE, or a limit that is raised."""
    syscall(157, 167, 4, 1, 0, 0, 0)


def raise_a_limit(targets: Targets) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except ValueError as error:  # so Python says EPERM
        raise PermissionError(str(error)) from error


def write_outside(targets: Targets) -> None:
    Path(targets["outside"], "marker").write_text("x")


def write_by_hard_link(targets: Targets) -> None:
    os.link(targets["secret"], "linked")


def write_by_rename(targets: Targets) -> None:
    Path("mine").write_text("x")
    Path("mine").rename(Path(targets["outside"], "marker"))


def take_by_rename(targets: Targets) -> None:
    Path(targets["movable"]).rename("taken")


def cut_a_file(targets: Targets) -> None:
    os.truncate(targets["secret"], 4)


def remove_a_file(targets: Targets) -> None:
    Path(targets["removable"]).unlink()


def open_a_file_to_all(targets: Targets) -> None:
    Path(targets["secret"]).chmod(0o777)
    if Path(targets["secret"]).stat().st_mode & 0o777 != 0o777:
        raise PermissionError("it did nothing")


def make_a_file_look_new(targets: Targets) -> None:
    os.utime(targets["secret"], (1, 1))
    if Path(targets["secret"]).stat().st_mtime != 1:
        raise PermissionError("it did nothing")


def change_an_owner(targets: Targets) -> None:
    os.chown(targets["secret"], os.getuid(), -1)


def mark_a_file(targets: Targets) -> None:
    os.setxattr(targets["secret"], "user.mark", b"x")


def leave_a_pipe_for_the_service(targets: Targets) -> None:
    os.mkfifo("result.json")


def write_shared_memory(targets: Targets) -> None:
    path = Path("/dev/shm", f"modelyard-test-{os.getpid()}")
    path.write_text("x")
    path.unlink()


def take_lasting_memory(targets: Targets) -> None:
    """Of System V: it stays when the process has gone."""
    found = syscall(29, 194, 0, 4096, 0o1600)
    syscall(31, 195, found, 0, None)


def take_uncounted_memory(targets: Targets) -> None:
    os.close(os.memfd_create("x"))


def watch_files(targets: Targets) -> None:
    os.close(syscall(294, 26, 0))


def ask_for_faults(targets: Targets) -> None:
    os.close(syscall(323, 282, 1))


def measure_the_machine(targets: Targets) -> None:
    """perf_event_open: a counter of its own instructions."""
    event = struct.pack("=IIQ", 1, 112, 0) + bytes(24) + struct.pack("=Q", 1 | 1 << 5) + bytes(64)
    os.close(syscall(298, 241, event, 0, -1, -1, 0))


def load_into_the_kernel(targets: Targets) -> None:
    """bpf: an array map."""
    os.close(syscall(321, 280, 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(56), 72))


def leave_the_namespace(targets: Targets) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(targets: Targets) -> None:
    syscall(165, 40, b"tmpfs", targets["mountpoint"].encode(), b"tmpfs", 0, None)
    syscall(166, 39, targets["mountpoint"].encode(), 0)


def keep_a_key(targets: Targets) -> None:
    syscall(248, 217, b"user", b"modelyard-test", b"x", 1, -2)


def become_another_user(targets: Targets) -> None:
    """It is what ends that a process dies with its parent."""
    os.setresuid(*os.getresuid())


ATTACKS: dict[str, Callable[[Targets], None]] = {
    name: found
    for name, found in list(globals().items())
    if callable(found) and getattr(found, "__module__", "") == __name__ and name not in ("main", "syscall")
}
if platform.machine() != "x86_64":
    del ATTACKS["start_a_process_by_other_numbers"]

if __name__ == "__main__" and len(sys.argv) == 3 and sys.argv[1] in ATTACKS:  # the control
    sys.stdout.write(json.dumps(main({**json.loads(sys.argv[2]), "attack": sys.argv[1]}, lambda line: None)))
elif __name__ == "__main__":
    from modelyard_runtime.subprocess_child import serve

    serve(main)
