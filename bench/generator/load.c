/* A generator of DNS queries over one UDP socket, for one server, whose latencies can be trusted to a microsecond.
 *
 * usage: load ADDRESS PORT QUERIES SECONDS rate QUERIES_PER_SECOND [MICROSECONDS]
 *        load ADDRESS PORT QUERIES SECONDS window OUTSTANDING
 *
 * QUERIES is a file of messages, each behind its length in two octets; they are sent in turn, over and over.
 * `rate` is an open loop: each query leaves when its time has come, whatever became of those before it; with MICROSECONDS,
 * those of so long a time leave together, which leaves more of the core to others. `window` is a closed loop: as many
 * queries are outstanding as were asked for.
 * A latency runs from just before the query is handed to the kernel until the kernel took the reply (SO_TIMESTAMPNS), so
 * that what this process does in between does not count. A reply that takes longer than a second is lost.
 * Prints one line of JSON. Times in it are microseconds; `late` is the most that a query left after its time, by this
 * process' own fault.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IDS = 65536, BATCH = 64, OCTETS = 4096, CONTROL = 64, BUFFER = 8 << 20, FIFO_PRIORITY = 10 };
static const int64_t SECOND = 1000000000, LOST_AFTER = 1000000000;

struct query {
    unsigned char *wire;
    size_t length;
};

struct load {
    int fd;
    struct query *queries;
    size_t count, next;
    int64_t sent_at[IDS];    /* 0: not outstanding */
    uint64_t oldest, newest; /* of what may be outstanding; the low 16 bits are the id. At most IDS lie between */
    size_t outstanding;
    uint32_t *latencies; /* nanoseconds */
    size_t answered, room;
    uint64_t sent, lost, refused, stray, rcodes[16];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void read_queries(struct load *load, const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char head[2];
    size_t room = 0;
    if (!file) die(path);
    while (fread(head, 1, 2, file) == 2) {
        size_t length = (size_t)head[0] << 8 | head[1];
        if (load->count == room) {
            room = room ? 2 * room : 1024;
            load->queries = realloc(load->queries, room * sizeof *load->queries);
            if (!load->queries) die("memory");
        }
        unsigned char *wire = malloc(length);
        if (!wire || length < 12 || fread(wire, 1, length, file) != length) die(path);
        load->queries[load->count++] = (struct query){wire, length};
    }
    fclose(file);
    if (!load->count) {
        fprintf(stderr, "load: %s holds no query\n", path);
        exit(2);
    }
}

static int open_socket(const char *address, const char *port) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int room = BUFFER, on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1) die(address);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0) die("SO_RCVBUF");
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0) die("SO_TIMESTAMPNS");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
    return fd;
}

/* Give up those that have waited too long or whose id is needed, and let the oldest be one that is outstanding. */
static void advance(struct load *load, int64_t realtime) {
    for (; load->oldest < load->newest; load->oldest++) {
        int64_t *at = &load->sent_at[load->oldest % IDS];
        if (*at && realtime - *at < LOST_AFTER && load->newest - load->oldest < IDS) return;
        if (*at) {
            *at = 0;
            load->outstanding--;
            load->lost++;
        }
    }
}

static void send_queries(struct load *load, int count) {
    struct mmsghdr heads[BATCH];
    struct iovec parts[BATCH][2];
    unsigned char ids[BATCH][2]; /* in front of the query, which may stand in the batch more than once */
    int64_t realtime = now(CLOCK_REALTIME);
    memset(heads, 0, sizeof heads);
    for (int i = 0; i < count; i++) {
        struct query *query = &load->queries[load->next++ % load->count];
        advance(load, realtime);
        uint16_t id = (uint16_t)load->newest++;
        ids[i][0] = (unsigned char)(id >> 8);
        ids[i][1] = (unsigned char)id;
        load->sent_at[id] = realtime;
        parts[i][0] = (struct iovec){ids[i], 2};
        parts[i][1] = (struct iovec){query->wire + 2, query->length - 2};
        heads[i].msg_hdr.msg_iov = parts[i];
        heads[i].msg_hdr.msg_iovlen = 2;
    }
    load->outstanding += (size_t)count;
    load->sent += (uint64_t)count;
    for (int sent = 0; sent < count;) {
        int taken = sendmmsg(load->fd, heads + sent, (unsigned)(count - sent), 0);
        if (taken > 0) {
            sent += taken;
        } else if (errno == EAGAIN) {
            struct pollfd writable = {load->fd, POLLOUT, 0};
            poll(&writable, 1, 1);
        } else if (errno == ECONNREFUSED) {
            load->refused++;
        } else {
            die("sendmmsg");
        }
    }
}

static int64_t kernel_time(struct msghdr *head) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part; part = CMSG_NXTHDR(head, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(part), sizeof time);
            return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
        }
    }
    return now(CLOCK_REALTIME);
}

static void take(struct load *load, const unsigned char *wire, size_t length, int64_t at) {
    uint16_t id = (uint16_t)(wire[0] << 8 | wire[1]);
    if (length < 12 || !(wire[2] & 0x80) || !load->sent_at[id]) {
        load->stray++;
        return;
    }
    int64_t latency = at - load->sent_at[id];
    load->sent_at[id] = 0;
    load->outstanding--;
    if (load->answered == load->room) {
        load->room *= 2;
        load->latencies = realloc(load->latencies, load->room * sizeof *load->latencies);
        if (!load->latencies) die("memory");
    }
    load->latencies[load->answered++] = latency < 0 ? 0 : (uint32_t)(latency < SECOND * 4 ? latency : SECOND * 4);
    load->rcodes[wire[3] & 15]++;
}

/* Take all replies that are there; false if there were none. */
static int receive(struct load *load) {
    static unsigned char octets[BATCH][OCTETS];
    static char control[BATCH][CONTROL];
    struct mmsghdr heads[BATCH];
    struct iovec parts[BATCH];
    int any = 0, came;
    do {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){octets[i], OCTETS};
            heads[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i],
                                               .msg_controllen = CONTROL};
        }
        came = recvmmsg(load->fd, heads, BATCH, 0, NULL);
        if (came < 0 && errno != EAGAIN && errno != ECONNREFUSED) die("recvmmsg");
        for (int i = 0; i < came; i++) {
            take(load, octets[i], heads[i].msg_len, kernel_time(&heads[i].msg_hdr));
            any = 1;
        }
    } while (came == BATCH);
    return any;
}

static void await_reply(struct load *load, int64_t nanoseconds) {
    struct pollfd readable = {load->fd, POLLIN, 0};
    struct timespec limit = {nanoseconds / SECOND, nanoseconds % SECOND};
    if (ppoll(&readable, 1, &limit, NULL) < 0 && errno != EINTR) die("ppoll");
}

/* Returns the most that a query was late, in nanoseconds. */
static int64_t run_at_rate(struct load *load, double rate, double seconds, int64_t turn) {
    int64_t start = now(CLOCK_MONOTONIC), late = 0;
    uint64_t total = (uint64_t)(rate * seconds);
    while (load->sent < total) {
        int64_t after = (int64_t)((double)load->sent * 1e9 / rate), here = now(CLOCK_MONOTONIC);
        int64_t due = start + (after + turn - 1) / turn * turn;
        if (here >= due) {
            uint64_t owed = (uint64_t)((double)(here - start) * rate / 1e9) + 1 - load->sent;
            if (owed > total - load->sent) owed = total - load->sent;
            if (here - due > late) late = here - due;
            send_queries(load, owed < BATCH ? (int)owed : BATCH);
        }
        receive(load); /* also when late: replies that nobody takes fill the buffer */
        advance(load, now(CLOCK_REALTIME));
        if (here >= due) continue;
        struct timespec until = {due / SECOND, due % SECOND};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return late;
}

static void run_in_window(struct load *load, size_t window, double seconds) {
    int64_t end = now(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
    while (now(CLOCK_MONOTONIC) < end) {
        while (load->outstanding < window) {
            size_t open = window - load->outstanding;
            send_queries(load, open < BATCH ? (int)open : BATCH);
        }
        if (!receive(load)) await_reply(load, SECOND / 100);
        advance(load, now(CLOCK_REALTIME));
    }
}

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The latency that a share of the replies did not exceed (nearest rank), in microseconds. */
static double quantile(const struct load *load, double share) {
    if (!load->answered) return 0;
    size_t rank = (size_t)(share * (double)load->answered);
    if (rank >= load->answered) rank = load->answered - 1;
    return load->latencies[rank] / 1e3;
}

int main(int count, char **arguments) {
    static struct load load = {.room = 1 << 20};
    if (count < 7 || count > 8 || (strcmp(arguments[5], "rate") && strcmp(arguments[5], "window"))) {
        fprintf(stderr, "usage: load ADDRESS PORT QUERIES SECONDS rate|window NUMBER [MICROSECONDS]\n");
        return 2;
    }
    double seconds = atof(arguments[4]), number = atof(arguments[6]);
    int turn = count > 7 ? atoi(arguments[7]) * 1000 : 1; /* nanoseconds */
    if (seconds <= 0 || number < 1 || number > 1e7 || turn < 1) {
        fprintf(stderr, "load: SECONDS, NUMBER and MICROSECONDS must be positive\n");
        return 2;
    }
    int paced = !strcmp(arguments[5], "rate");
    read_queries(&load, arguments[3]);
    load.fd = open_socket(arguments[1], arguments[2]);
    load.latencies = malloc(load.room * sizeof *load.latencies);
    if (!load.latencies) die("memory");

    prctl(PR_SET_TIMERSLACK, 1UL);
    struct sched_param priority = {.sched_priority = FIFO_PRIORITY};
    int realtime = paced && sched_setscheduler(0, SCHED_FIFO, &priority) == 0;

    int64_t start = now(CLOCK_MONOTONIC), late = 0;
    if (paced)
        late = run_at_rate(&load, number, seconds, turn);
    else
        run_in_window(&load, number < IDS / 2 ? (size_t)number : IDS / 2, seconds);
    double took = (double)(now(CLOCK_MONOTONIC) - start) / 1e9;
    size_t in_time = load.answered;
    while (load.outstanding) {
        if (!receive(&load)) await_reply(&load, SECOND / 100);
        advance(&load, now(CLOCK_REALTIME));
    }

    qsort(load.latencies, load.answered, sizeof *load.latencies, by_size);
    printf("{\"seconds\": %.6f, \"sent\": %llu, \"answered\": %zu, \"answered_in_time\": %zu, \"lost\": %llu, ", took,
           (unsigned long long)load.sent, load.answered, in_time, (unsigned long long)load.lost);
    printf("\"refused\": %llu, \"stray\": %llu, \"realtime\": %s, \"late\": %.1f, \"p50\": %.1f, \"p99\": %.1f, ",
           (unsigned long long)load.refused, (unsigned long long)load.stray, realtime ? "true" : "false",
           (double)late / 1e3, quantile(&load, 0.5), quantile(&load, 0.99));
    printf("\"p999\": %.1f, \"max\": %.1f, \"rcodes\": [", quantile(&load, 0.999), quantile(&load, 1.0));
    for (int i = 0; i < 16; i++) printf("%s%llu", i ? ", " : "", (unsigned long long)load.rcodes[i]);
    printf("]}\n");
    return 0;
}
