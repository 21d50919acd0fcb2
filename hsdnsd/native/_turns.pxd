"""A thread's place among those that want the same core."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <sched.h>
    #include <stdint.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    /* struct sched_attr of <linux/sched/types.h>, in its first form, under a name that no libc uses. */
    struct hsdnsd_sched_attr {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    };

    static inline void hsdnsd_ask_for_turns(uint64_t nanoseconds) {
        struct hsdnsd_sched_attr wanted = {.size = sizeof wanted, .runtime = nanoseconds};
        if (sched_getscheduler(0) != SCHED_OTHER) return;
        wanted.nice = getpriority(PRIO_PROCESS, 0);
        (void)syscall(SYS_sched_setattr, 0, &wanted, 0);
    }
    """
    void hsdnsd_ask_for_turns(uint64_t nanoseconds) nogil

cdef enum:
    # In nanoseconds: the shortest that Linux takes, and what one event and its consequences take.
    SHORT_TURN = 100_000
    EVENT_TURN = 300_000


cdef inline void ask_for_turns(uint64_t nanoseconds) noexcept nogil:
    """Have the calling thread run soon after it is woken, and not for longer; needs no privilege.

    Since Linux 6.12 a thread with a shorter turn than the one that runs takes its place at once. Otherwise it waits
    until that one's turn, some milliseconds, or even the next tick is over. What forbids it leaves the thread as prompt
    as any other: an older kernel ignores it; a policy that somebody has chosen for the process (chrt) stands; a filter
    of system calls may refuse it.
    """
    hsdnsd_ask_for_turns(nanoseconds)
