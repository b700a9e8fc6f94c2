/* The simplest programs that do what the benchmarks measure: the yardstick, and the load.
 *
 *   beat FIFO            say "<pid> <nanoseconds of CLOCK_MONOTONIC>" and sleep
 *   supervise FIFO       keep one `beat` running: fork, exec, wait, again
 *   spawn N FIFO         start N of `beat` at once, then wait for all
 *   flood N MODE FILE    print N numbered lines of 110 bytes, by `block` or by `line`;
 *                        the time that took goes to FILE
 *   replay TEXT FILE     print a file in blocks of 4 KiB; the time that took goes to FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE 110

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int beat(const char *fifo) {
    char text[64];
    int length = snprintf(text, sizeof text, "%d %lld\n", (int)getpid(), now());
    int fd = open(fifo, O_WRONLY);
    if (fd < 0 || write(fd, text, length) != length) return 1;
    close(fd);
    for (;;) pause();
}

static pid_t start(char *self, char *fifo) {
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {self, "beat", fifo, NULL};
        execv(self, argv);
        _exit(127);
    }
    return pid;
}

static int supervise(char *self, char *fifo) {
    for (;;) {
        pid_t pid = start(self, fifo);
        if (pid < 0 || waitpid(pid, NULL, 0) < 0) return 1;
    }
}

static int spawn(char *self, int count, char *fifo) {
    for (int i = 0; i < count; i++)
        if (start(self, fifo) < 0) return 1;
    while (wait(NULL) > 0) {}
    return 0;
}

static int tell(long long took, const char *result) {
    FILE *file = fopen(result, "w");
    if (!file) return 1;
    fprintf(file, "%lld\n", took);
    return fclose(file) != 0;
}

static int replay(const char *text, const char *result) {
    char block[4096];
    FILE *file = fopen(text, "r");
    if (!file) return 1;
    long long from = now();
    size_t used;
    while ((used = fread(block, 1, sizeof block, file)) > 0)
        if (write(1, block, used) != (ssize_t)used) return 1;
    return tell(now() - from, result);
}

static int flood(long count, int by_line, const char *result) {
    char block[4096];
    size_t used = 0;
    long long from = now();
    for (long i = 0; i < count; i++) {
        if (used + LINE > sizeof block || (by_line && used > 0)) {
            if (write(1, block, used) != (ssize_t)used) return 1;
            used = 0;
        }
        memset(block + used, 'x', LINE);
        int head = snprintf(block + used, 40, "%09ld GET /orders/%ld 200 ", i, i % 977);
        block[used + head] = '.';
        block[used + LINE - 1] = '\n';
        used += LINE;
    }
    if (write(1, block, used) != (ssize_t)used) return 1;
    return tell(now() - from, result);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "beat")) return beat(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "supervise")) return supervise(argv[0], argv[2]);
    if (argc == 4 && !strcmp(argv[1], "spawn")) return spawn(argv[0], atoi(argv[2]), argv[3]);
    if (argc == 5 && !strcmp(argv[1], "flood"))
        return flood(atol(argv[2]), !strcmp(argv[3], "line"), argv[4]);
    if (argc == 4 && !strcmp(argv[1], "replay")) return replay(argv[2], argv[3]);
    fprintf(stderr, "usage: bare beat|supervise|spawn|flood|replay ...\n");
    return 2;
}
