"""What is asked of the kernel, by the numbers that it has on each architecture."""

from collections.abc import Mapping
from dataclasses import dataclass

NUMBERS: Mapping[str, tuple[int | None, int | None]] = {
    # name: (x86-64, arm64); None where there is none
    **{"socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242)},
    **{"bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199)},
    **{"sendmsg": (46, 211), "sendmmsg": (307, 269), "recvmsg": (47, 212), "recvmmsg": (299, 243)},
    **{"clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "vfork": (58, None)},
    **{"execve": (59, 221), "execveat": (322, 281), "setsid": (112, 157), "setpgid": (109, 154)},
    **{"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272)},
    **{"migrate_pages": (256, 238), "move_pages": (279, 239), "get_robust_list": (274, 100)},
    **{"prctl": (157, 167), "prlimit64": (302, 261), "sched_setaffinity": (203, 122)},
    **{"sched_setscheduler": (144, 119), "sched_setparam": (142, 118)},
    **{"sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30)},
    **{"setns": (308, 268), "unshare": (272, 97), "chroot": (161, 51), "pivot_root": (155, 41)},
    **{"mount": (165, 40), "umount2": (166, 39), "mount_setattr": (442, 442)},
    **{"fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433)},
    **{"open_tree": (428, 428), "move_mount": (429, 429), "statmount": (457, 457)},
    **{"listmount": (458, 458)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"io_setup": (206, 0), "io_submit": (209, 2)},
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447)},
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195)},
    **{"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)},
    **{"semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "mq_notify": (244, 184)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142)},
    **{"swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "vhangup": (153, 58)},
    **{"sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171)},
    **{"clock_adjtime": (305, 266), "quotactl": (179, 60), "quotactl_fd": (443, 443)},
    **{"iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None)},
    **{"uselib": (134, None), "personality": (135, 92), "lookup_dcookie": (212, 18)},
    **{"setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143)},
    **{"setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159)},
    **{"setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91)},
    **{"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)},
    **{"chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54)},
    **{
        "setxattr": (188, 5),
        "lsetxattr": (189, 6),
        "fsetxattr": (190, 7),
        "setxattrat": (463, 463),
    },
    **{"removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16)},
    "removexattrat": (466, 466),
    **{"utime": (132, None), "utimes": (235, None), "futimesat": (261, None)},
    **{"utimensat": (280, 88), "fanotify_init": (300, 262), "inotify_init": (253, None)},
    **{"inotify_init1": (294, 26), "mmap": (9, 222), "fcntl": (72, 25), "ioctl": (16, 29)},
    **{"open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None)},
    **{"truncate": (76, 45), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276)},
    **{"link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36)},
    **{"unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None)},
    **{"mkdirat": (258, 34), "mknod": (133, None), "mknodat": (259, 33)},
}
NEWEST = 466
"""The last number that was looked at; the kernel is said to have none beyond it."""
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""On every architecture."""


@dataclass(frozen=True)
class Architecture:
    """How programs of a processor call the kernel.

    Attributes:
        audit: What the kernel calls it where it tells a filter of a call.
        column: Of NUMBERS.
        seccomp: The number of the call that sets a filter.
        foreign: Numbers from here on belong to another convention of the same processor.
    """

    audit: int
    column: int
    seccomp: int
    foreign: int | None = None

    def number(self, name: str) -> int | None:
        """The number of a call; None where there is no such call."""
        return NUMBERS[name][self.column]


ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 0, 317, 0x4000_0000),
    "aarch64": Architecture(0xC00000B7, 1, 277),
}
"""By the names that `os.uname` has for machines."""
