/* What the command-line tools share; tool.h tells. */
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double tool_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double tool_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, compare_doubles);
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < n ? below + 1 : below;
    return values[below] + (at - (double)below) * (values[above] - values[below]);
}

int tool_read_bytes(const char *text, size_t *value)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) return 0;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    int shift = 0;
    if (*end != '\0') {
        const char *suffixes = "KMG";
        const char *found = strchr(suffixes, toupper((unsigned char)*end));
        if (found == NULL || end[1] != '\0') return 0;
        shift = 10 * (int)(found - suffixes + 1);
    }
    if (errno != 0 || number > (unsigned long long)(SIZE_MAX >> shift)) return 0;
    *value = (size_t)number << shift;
    return 1;
}

int tool_read_integer(const char *text, long long least, long long most, long long *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < least || number > most) return 0;
    *value = number;
    return 1;
}

int tool_read_real(const char *text, double *value)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number)) return 0;
    *value = number;
    return 1;
}

int tool_next_word(const char **list, char *word, size_t bytes)
{
    if (*list == NULL) return 0;
    const char *comma = strchr(*list, ',');
    size_t length = comma != NULL ? (size_t)(comma - *list) : strlen(*list);
    if (length > bytes - 1) length = bytes - 1;
    memcpy(word, *list, length);
    word[length] = '\0';
    *list = comma != NULL ? comma + 1 : NULL;
    return 1;
}

const char *tool_write_bytes(double size_bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (size_bytes >= 1024.0 && unit < 4) {
        size_bytes /= 1024.0;
        unit++;
    }
    snprintf(text, 16, "%.4g %s", size_bytes, units[unit]);
    return text;
}

uint64_t tool_hash(const void *data, size_t bytes)
{
    uint64_t hash = bytes;
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t left = bytes - at;
        memcpy(&word, (const char *)data + at, left < sizeof word ? left : sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}
