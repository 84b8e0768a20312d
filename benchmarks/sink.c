/* The target of the benchmarks: a keep-alive HTTP server on 127.0.0.1 that answers 200 and notes when each request came.
 *
 *   sink  ->  prints "port N" and serves until its stdin ends (so it ends with its parent).
 *   GET /_count  the number of noted requests;  GET /_log  a line each: received_us scheduled_for webhook_id
 *
 * One thread, epoll, no allocation per request. The instant is taken as soon as read() returned the request's first byte.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, CONNECTIONS = 4096, EVENTS = 256, TEXT = 40 };

struct note { int64_t received_us; char due[TEXT], id[TEXT]; };
struct connection { char *bytes; int used; int64_t first_us; };

static struct note *notes;
static size_t noted, room;
static struct connection connections[CONNECTIONS];

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The value of a header of the head that ends at `end`, up to `limit` - 1 bytes; "-" when there is none. */
static void header(const char *head, const char *end, const char *name, char *out, size_t limit) {
    size_t length = strlen(name);
    strcpy(out, "-");
    for (const char *line = head; line < end; ) {
        const char *stop = memmem(line, end - line, "\r\n", 2);
        if (!stop) stop = end;
        if ((size_t)(stop - line) > length && line[length] == ':' && !strncasecmp(line, name, length)) {
            const char *value = line + length + 1;
            while (value < stop && *value == ' ') value++;
            size_t size = stop - value;
            if (size >= limit) size = limit - 1;
            memcpy(out, value, size);
            out[size] = 0;
            return;
        }
        line = stop + 2;
    }
}

static void send_all(int fd, const char *bytes, size_t size) {
    while (size) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) continue; /* only the long answer of /_log, once, after the measurement */
        if (sent <= 0) return;
        bytes += sent;
        size -= sent;
    }
}

static void answer_text(int fd, const char *body, size_t size) {
    char head[128];
    int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", size);
    send_all(fd, head, length);
    send_all(fd, body, size);
}

static void answer_log(int fd) {
    size_t limit = noted * (2 * TEXT + 32) + 1, used = 0;
    char *text = malloc(limit);
    for (size_t i = 0; i < noted; i++)
        used += snprintf(text + used, limit - used, "%lld %s %s\n", (long long)notes[i].received_us, notes[i].due, notes[i].id);
    answer_text(fd, text, used);
    free(text);
}

static void note(const char *head, const char *end, int64_t received_us) {
    if (noted == room) {
        room = room ? 2 * room : 1 << 16;
        notes = realloc(notes, room * sizeof *notes);
        if (!notes) exit(1);
    }
    struct note *n = &notes[noted++];
    n->received_us = received_us;
    header(head, end, "squirrel-scheduled-for", n->due, TEXT);
    header(head, end, "webhook-id", n->id, TEXT);
}

/* Answers every whole request in the buffer; false when the connection is to be closed. */
static int answer(int fd, struct connection *c) {
    static const char OK[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
    int taken = 0;
    for (;;) {
        char *head = c->bytes + taken;
        char *end = memmem(head, c->used - taken, "\r\n\r\n", 4);
        if (!end) break;
        char length[TEXT];
        header(head, end, "content-length", length, TEXT);
        int size = (int)(end + 4 - head) + (length[0] == '-' ? 0 : atoi(length));
        if (size > BUFFER) return 0;
        if (c->used - taken < size) break;
        if (!strncmp(head, "GET /_count ", 12)) {
            char text[32];
            answer_text(fd, text, snprintf(text, sizeof text, "%zu", noted));
        } else if (!strncmp(head, "GET /_log ", 10)) {
            answer_log(fd);
        } else {
            note(head, end, c->first_us);
            send_all(fd, OK, sizeof OK - 1);
        }
        taken += size;
    }
    memmove(c->bytes, c->bytes + taken, c->used - taken);
    c->used -= taken;
    return c->used < BUFFER;
}

int main(void) {
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&address, size) || listen(listening, 4096)) { perror("sink"); return 1; }
    getsockname(listening, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listening, &event);
    event.data.fd = 0;
    epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) {
                char ignored[64];
                if (read(0, ignored, sizeof ignored) <= 0) return 0;
            } else if (fd == listening) {
                int made = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (made < 0) continue;
                if (made >= CONNECTIONS) { close(made); continue; }
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections[made].used = 0;
                if (!connections[made].bytes) connections[made].bytes = malloc(BUFFER);
                event.events = EPOLLIN;
                event.data.fd = made;
                epoll_ctl(poll, EPOLL_CTL_ADD, made, &event);
            } else {
                struct connection *c = &connections[fd];
                ssize_t got = read(fd, c->bytes + c->used, BUFFER - c->used);
                if (got > 0 && c->used == 0) c->first_us = now_us();
                if (got > 0) c->used += got;
                if ((got < 0 && errno != EAGAIN) || got == 0 || !answer(fd, c)) close(fd);
            }
        }
    }
}
