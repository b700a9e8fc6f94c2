/* Looks at all processes the plain way: per process the text of stat, of io, and the entries
 * of fd, each opened, read through stdio and closed. Prints the CPU time of one pass in
 * microseconds, as the average of as many passes as it is told. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static unsigned long long seen;

static void text(const char *pid, const char *name) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        char *at = strrchr(line, ')');
        unsigned long long value;
        for (at = at ? at + 4 : strchr(line, ' '); at; at = strchr(at + 1, ' '))
            if (sscanf(at, "%llu", &value) == 1)
                seen += value;
    }
    fclose(file);
}

static void entries(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    while (readdir(folder))
        seen++;
    closedir(folder);
}

int main(int argc, char **argv) {
    int passes = argc > 1 ? atoi(argv[1]) : 10;
    for (int pass = 0; pass < passes; pass++) {
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        while (proc && (entry = readdir(proc)))
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
                text(entry->d_name, "stat");
                text(entry->d_name, "io");
                entries(entry->d_name);
            }
        closedir(proc);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double micros = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec +
                    used.ru_stime.tv_usec;
    fprintf(stderr, "%llu\n", seen);
    printf("%.0f\n", micros / passes);
    return 0;
}
