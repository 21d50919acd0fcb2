/* A fast upstream: answers, over UDP and TCP, what a file holds, so that a bench measures who asks it.
 *
 * usage: upstream ADDRESS PORT ANSWERS
 *
 * ANSWERS is a row of entries, numbers in network order: length of the question (16 bits), question (name in wire form
 * and lower case, type), the second octet of the header's flags (8), counts of answers, authorities and additionals (16
 * each), length of the rest (16), the rest. A name that begins with the label `*` stands for any label in its place.
 * A question that no entry answers is REFUSED. A query's OPT, if it stands right behind the question, is met with one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, OCTETS = 4096, MAX_QUESTION = 257, MAX_CONNECTIONS = 1024, SLOTS = 1 << 16, BUFFER = 4 << 20 };
enum { HEADER = 12, OPT = 11, REFUSED = 5, QR_AA = 0x84, RD = 0x01 };

struct entry {
    uint8_t question[MAX_QUESTION], low_flags, counts[6];
    size_t question_length, length;
    uint8_t *rest;
};

struct connection {
    int fd;
    size_t held;
    uint8_t octets[2 + OCTETS];
};

static struct entry *slots[SLOTS];
static struct connection connections[MAX_CONNECTIONS];
static size_t open_connections;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint32_t hash(const uint8_t *octets, size_t length) { /* FNV-1a */
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < length; i++) value = (value ^ octets[i]) * 16777619u;
    return value % SLOTS;
}

static struct entry **find(const uint8_t *question, size_t length) {
    uint32_t slot = hash(question, length);
    while (slots[slot] &&
           (slots[slot]->question_length != length || memcmp(slots[slot]->question, question, length) != 0))
        slot = (slot + 1) % SLOTS;
    return &slots[slot];
}

static size_t read_number(FILE *file) {
    int high = getc(file), low = getc(file);
    if (low == EOF) die("answers");
    return (size_t)high << 8 | (size_t)low;
}

static void read_answers(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t count = 0;
    if (!file) die(path);
    for (int next; (next = getc(file)) != EOF; count++) {
        ungetc(next, file);
        struct entry *entry = calloc(1, sizeof *entry);
        if (!entry) die("memory");
        entry->question_length = read_number(file);
        if (entry->question_length > MAX_QUESTION || count == SLOTS / 2) {
            fprintf(stderr, "upstream: %s: too long a name, or too many\n", path);
            exit(2);
        }
        if (fread(entry->question, 1, entry->question_length, file) != entry->question_length) die(path);
        entry->low_flags = (uint8_t)getc(file);
        if (fread(entry->counts, 1, 6, file) != 6) die(path);
        entry->length = read_number(file);
        entry->rest = malloc(entry->length + 1);
        if (!entry->rest || fread(entry->rest, 1, entry->length, file) != entry->length) die(path);
        *find(entry->question, entry->question_length) = entry;
    }
    fclose(file);
}

/* The entry for a question in lower case: its own, or that of its parent's `*`. */
static const struct entry *look_up(const uint8_t *question, size_t length) {
    const struct entry *entry = *find(question, length);
    size_t label = 1 + (size_t)question[0];
    if (entry || label >= length) return entry;
    uint8_t general[MAX_QUESTION] = {1, '*'};
    if (length - label + 2 > sizeof general) return NULL;
    memcpy(general + 2, question + label, length - label);
    return *find(general, length - label + 2);
}

/* Turn a query into its reply, in place; the reply's length, or 0 where there is nothing to say. */
static size_t answer(uint8_t *wire, size_t length) {
    uint8_t question[MAX_QUESTION];
    size_t at = HEADER, end;
    if (length < HEADER || (wire[2] & 0xF8) || wire[4] || wire[5] != 1) return 0;
    while (at < length && wire[at] && wire[at] < 64) at += 1 + (size_t)wire[at];
    end = at + 5; /* the root label, type and class */
    if (end > length || wire[at] || end - HEADER - 2 > sizeof question) return 0;
    for (size_t i = HEADER; i <= at; i++) {
        uint8_t octet = wire[i];
        question[i - HEADER] = octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
    }
    memcpy(question + at + 1 - HEADER, wire + at + 1, 2);
    const struct entry *entry = look_up(question, end - 2 - HEADER);
    int edns = wire[10] == 0 && wire[11] == 1 && end + OPT <= length && !wire[end] && !wire[end + 1] && wire[end + 2] == 41;

    wire[2] = (uint8_t)(QR_AA | (wire[2] & RD));
    wire[3] = entry ? entry->low_flags : REFUSED;
    memset(wire + 6, 0, 6);
    if (entry) {
        memcpy(wire + 6, entry->counts, 6);
        if (end + entry->length + OPT > OCTETS) return 0;
        memcpy(wire + end, entry->rest, entry->length);
        end += entry->length;
    }
    if (edns) {
        static const uint8_t opt[OPT] = {0, 0, 41, 0x04, 0xD0}; /* 1232 octets */
        memcpy(wire + end, opt, OPT);
        end += OPT;
        if (++wire[11] == 0) wire[10]++;
    }
    return end;
}

static int open_socket(int type, const char *address, const char *port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int room = BUFFER, on = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    if (inet_pton(AF_INET, address, &own.sin_addr) != 1) die(address);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) die("bind");
    if (type == SOCK_STREAM && listen(fd, MAX_CONNECTIONS) < 0) die("listen");
    return fd;
}

static void serve_datagrams(int fd) {
    static uint8_t octets[BATCH][OCTETS];
    static struct sockaddr_in sources[BATCH];
    struct mmsghdr heads[BATCH];
    struct iovec parts[BATCH];
    int count = 0;
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){octets[i], OCTETS};
        heads[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i],
                                           .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int came = recvmmsg(fd, heads, BATCH, 0, NULL);
    for (int i = 0; i < came; i++) {
        size_t length = answer(octets[i], heads[i].msg_len);
        if (!length) continue;
        parts[i].iov_len = length;
        heads[count++].msg_hdr = heads[i].msg_hdr;
    }
    for (int sent = 0; sent < count;) {
        int taken = sendmmsg(fd, heads + sent, (unsigned)(count - sent), 0);
        sent += taken > 0 ? taken : 1; /* a destination that is gone: past it */
    }
}

/* CoreDNS opens a connection for each query that is under way. */
static void accept_connections(int listener) {
    int on = 1, fd;
    while (open_connections < MAX_CONNECTIONS && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[open_connections].fd = fd;
        connections[open_connections++].held = 0;
    }
}

/* Answer what has come whole; 0 when the connection is over. */
static int serve_connection(struct connection *from) {
    uint8_t reply[2 + OCTETS];
    ssize_t came = recv(from->fd, from->octets + from->held, sizeof from->octets - from->held, 0);
    if (came <= 0) return came < 0 && errno == EAGAIN;
    from->held += (size_t)came;
    for (;;) {
        size_t length = (size_t)from->octets[0] << 8 | from->octets[1];
        if (from->held < 2 || (from->held < 2 + length && length <= OCTETS)) return 1;
        if (length > OCTETS) return 0;
        memcpy(reply + 2, from->octets + 2, length);
        from->held -= 2 + length;
        memmove(from->octets, from->octets + 2 + length, from->held);
        size_t said = answer(reply + 2, length);
        reply[0] = (uint8_t)(said >> 8);
        reply[1] = (uint8_t)said;
        if (!said || send(from->fd, reply, 2 + said, MSG_NOSIGNAL) != (ssize_t)(2 + said)) return 0;
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: upstream ADDRESS PORT ANSWERS\n");
        return 2;
    }
    read_answers(arguments[3]);
    int udp = open_socket(SOCK_DGRAM, arguments[1], arguments[2]);
    int tcp = open_socket(SOCK_STREAM, arguments[1], arguments[2]);
    for (;;) {
        static struct pollfd waits[2 + MAX_CONNECTIONS];
        waits[0] = (struct pollfd){udp, POLLIN, 0};
        waits[1] = (struct pollfd){open_connections < MAX_CONNECTIONS ? tcp : -1, POLLIN, 0};
        size_t waited = open_connections;
        for (size_t i = 0; i < waited; i++) waits[2 + i] = (struct pollfd){connections[i].fd, POLLIN, 0};
        if (poll(waits, 2 + waited, -1) < 0 && errno != EINTR) die("poll");
        if (waits[0].revents) serve_datagrams(udp);
        for (size_t i = waited; i-- > 0;) { /* backwards: a connection that ends gives its place to the last */
            if (!waits[2 + i].revents || serve_connection(&connections[i])) continue;
            close(connections[i].fd);
            connections[i] = connections[--open_connections];
        }
        if (waits[1].revents) accept_connections(tcp);
    }
}
