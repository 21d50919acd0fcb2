/* The socket floor: what a UDP service on this machine costs that reads and writes its datagrams in batches and looks
 * nothing up. Each datagram goes back to its sender with the QR bit set, so that dnsperf takes it for an answer.
 *
 * usage: floor ADDRESS PORT [BATCH]
 * Ends on SIGTERM or SIGINT and prints one line of JSON: datagrams answered, and CPU seconds (user, system).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_BATCH = 1024, OCTETS = 4096, STRIDE = OCTETS + 192, RECEIVE_BUFFER = 4 << 20 };

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_socket(const char *address, const char *port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    int room = RECEIVE_BUFFER;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) die("socket");
    if (inet_pton(AF_INET, address, &own.sin_addr) != 1) die(address);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0) die("SO_RCVBUF");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) die("bind");
    return fd;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

int main(int count, char **arguments) {
    static unsigned char octets[MAX_BATCH][STRIDE];
    static struct sockaddr_in sources[MAX_BATCH];
    static struct iovec parts[MAX_BATCH];
    static struct mmsghdr heads[MAX_BATCH];
    if (count < 3) {
        fprintf(stderr, "usage: floor ADDRESS PORT [BATCH]\n");
        return 2;
    }
    int fd = open_socket(arguments[1], arguments[2]);
    int batch = count > 3 ? atoi(arguments[3]) : 64;
    if (batch < 1 || batch > MAX_BATCH) {
        fprintf(stderr, "floor: a batch holds 1 to %d datagrams\n", MAX_BATCH);
        return 2;
    }
    struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART: recvmmsg has to return */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    unsigned long long answered = 0, batches = 0;
    while (!stopped) {
        for (int i = 0; i < batch; i++) {
            parts[i] = (struct iovec){octets[i], OCTETS};
            heads[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i],
                                               .msg_iov = &parts[i], .msg_iovlen = 1};
        }
        int came = recvmmsg(fd, heads, (unsigned)batch, MSG_WAITFORONE, NULL);
        if (came < 0) {
            if (errno == EINTR) continue;
            die("recvmmsg");
        }
        for (int i = 0; i < came; i++) {
            octets[i][2] |= 0x80;
            parts[i].iov_len = heads[i].msg_len;
        }
        for (int sent = 0; sent < came;) {
            int taken = sendmmsg(fd, heads + sent, (unsigned)(came - sent), 0);
            if (taken < 0) die("sendmmsg");
            sent += taken;
        }
        answered += (unsigned long long)came;
        batches++;
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"answered\": %llu, \"batches\": %llu, \"user\": %.6f, \"system\": %.6f}\n", answered, batches,
           seconds(used.ru_utime), seconds(used.ru_stime));
    return 0;
}
