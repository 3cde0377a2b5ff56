"""What a confined child may not ask of the kernel: (number on x86-64, number on aarch64), None where it does not exist.

Read by `seccomp`; the standard library only. Threads, memory, files, pipes, polling, clocks stay: that is what numeric
libraries live on. Numbers: the kernel's asm/unistd_64.h and asm-generic/unistd.h.
"""

Numbers = tuple[int | None, int | None]


def _same(number: int) -> Numbers:
    """Since 5.1 a new call has one number everywhere."""
    return number, number


NETWORK: dict[str, Numbers] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
}  # fmt: skip

PROCESSES: dict[str, Numbers] = {  # others: to look into, to stop, to slow down; and to become more than one
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": _same(440), "process_mrelease": _same(448), "pidfd_open": _same(434),
    "pidfd_getfd": _same(438), "pidfd_send_signal": _same(424), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
}  # fmt: skip

IDENTITY: dict[str, Numbers] = {  # changing it takes back that the process dies with its parent; limits could be raised
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setfsuid": (122, 151), "setfsgid": (123, 152),
    "setgroups": (116, 159), "capset": (126, 91), "setrlimit": (160, 164), "personality": (135, 92),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
}  # fmt: skip

LASTING: dict[str, Numbers] = {  # memory that no limit counts, or that stays when the process has gone
    "memfd_create": (319, 279), "memfd_secret": _same(447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191), "semop": (65, 193), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgctl": (71, 187), "msgrcv": (70, 188), "msgsnd": (69, 189), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}  # fmt: skip

FILES: dict[str, Numbers] = {  # what Landlock does not look at, or not in every version
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "truncate": (76, 45), "link": (86, None), "linkat": (265, 37), "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None), "mknodat": (259, 33), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
}  # fmt: skip

KERNEL: dict[str, Numbers] = {  # wide attack surface, or an administrator's
    "io_uring_setup": _same(425), "io_uring_enter": _same(426), "io_uring_register": _same(427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": _same(428), "move_mount": _same(429), "fsopen": _same(430),
    "fsconfig": _same(431), "fsmount": _same(432), "fspick": _same(433), "mount_setattr": _same(442),
    "unshare": (272, 97), "setns": (308, 268), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": _same(443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "syslog": (103, 116), "vhangup": (153, 58), "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None), "iopl": (172, None), "ioperm": (173, None), "uselib": (134, None),
}  # fmt: skip

IGNORED: dict[str, Numbers] = {  # said to be done, and not: libraries tidy their own files so, and insist
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": _same(452), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip

DENIED = {**NETWORK, **PROCESSES, **IDENTITY, **LASTING, **FILES, **KERNEL}

JUDGED: dict[str, Numbers] = {  # by their arguments
    "clone": (56, 220), "clone3": _same(435), "kill": (62, 129), "tgkill": (234, 131), "prctl": (157, 167),
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122),
}  # fmt: skip

LAST_KNOWN = 462
"""mseal, of Linux 6.10. Newer calls do not exist for a child until somebody has looked at them."""
