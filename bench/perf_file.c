/*
 * Files of gradients for hlq_perf: NumPy's .npy of float32 [ranks, count], or raw little-endian
 * float32. A file that is not exactly one of these is refused with a sentence that says why.
 *
 * .npy: "\x93NUMPY", version (2 bytes), header length (2 bytes in version 1, else 4, little
 * endian), a Python dictionary such as
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (8, 1902976), }
 * and the numbers. (NumPy Enhancement Proposal 1.)
 */
#include "perf_input.h"

#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char npy_magic[] = "\x93NUMPY";
enum { NPY_MAGIC_BYTES = 6, NPY_HEADER_MAX = 4096 };

static int map_file(perf_file *file, const char *path, char *error)
{
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0) {
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: %s", path, strerror(errno));
        return -1;
    }
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: not a file with something in it", path);
        close(descriptor);
        return -1;
    }
    file->map_bytes = (size_t)status.st_size;
    file->map = mmap(NULL, file->map_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (file->map == MAP_FAILED) {
        file->map = NULL;
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* What follows 'key': in the header, blanks skipped; "" if it is not there. */
static const char *npy_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (at == NULL) return "";
    at += strlen(key);
    while (*at == ':' || isspace((unsigned char)*at)) at++;
    return at;
}

/* "(8, 1902976)" to rows and count; 0 if it is not two numbers. */
static int npy_shape(const char *text, size_t *rows, size_t *count)
{
    char *end;
    if (*text != '(' || !isdigit((unsigned char)text[1])) return 0;
    *rows = strtoull(text + 1, &end, 10);
    if (*end != ',') return 0;
    do {
        end++;
    } while (*end == ' ');
    if (!isdigit((unsigned char)*end)) return 0;
    *count = strtoull(end, &end, 10);
    return *end == ')';
}

/* Copies the header's text to `header`; returns where the numbers start, 0 if it is damaged. */
static size_t npy_header(const perf_file *file, char *header)
{
    const unsigned char *map = file->map;
    header[0] = '\0';
    if (file->map_bytes < 12) return 0;
    size_t start = map[NPY_MAGIC_BYTES] == 1 ? 10 : 12;
    size_t length = (size_t)map[8] | (size_t)map[9] << 8;
    if (start == 12) length |= (size_t)map[10] << 16 | (size_t)map[11] << 24;
    if (length >= NPY_HEADER_MAX || start + length > file->map_bytes) return 0;
    memcpy(header, map + start, length);
    header[length] = '\0';
    return start + length;
}

/* Length of the value's text, up to the comma that ends it; commas in brackets do not. */
static int value_length(const char *value)
{
    int depth = 0, length = 0;
    for (; value[length] != '\0' && length < 60; length++) {
        char c = value[length];
        if (c == '(' || c == '[') depth++;
        if ((c == ')' || c == ']') && --depth == 0) return length + 1;
        if (c == ',' && depth == 0) return length;
    }
    return length;
}

static int read_npy(perf_file *file, const char *path, int ranks, char *error)
{
    char header[NPY_HEADER_MAX];
    size_t start = npy_header(file, header);
    const char *type = npy_value(header, "'descr'");
    const char *shape = npy_value(header, "'shape'");
    if (start == 0 || *type == '\0' || *shape == '\0')
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: the .npy header is damaged", path);
    else if (strncmp(type, "'<f4'", 5) != 0)
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: the type is %.*s, not float32 ('<f4')", path,
                 value_length(type), type);
    else if (strncmp(npy_value(header, "'fortran_order'"), "False", 5) != 0)
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: the array is not in C order", path);
    else if (!npy_shape(shape, &file->rows, &file->count) || file->count == 0)
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: the shape is %.*s, not [ranks, count]", path,
                 value_length(shape), shape);
    else if (file->rows > (file->map_bytes - start) / sizeof(float) / file->count)
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: the file ends before the array does", path);
    else if (file->rows < (size_t)ranks)
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: %zu rows are too few for %d ranks", path,
                 file->rows, ranks);
    else {
        file->data = (const unsigned char *)file->map + start;
        return 0;
    }
    return -1;
}

static int read_raw(perf_file *file, const char *path, int ranks, char *error)
{
    size_t row_bytes = file->map_bytes / (size_t)ranks;
    file->rows = (size_t)ranks;
    file->count = row_bytes / sizeof(float);
    file->data = file->map;
    if (file->rows * file->count * sizeof(float) == file->map_bytes) return 0;
    snprintf(error, TOOL_ERROR_BYTES,
             "--input %s: %zu bytes are not float32 numbers for %d ranks, as many for each", path,
             file->map_bytes, ranks);
    return -1;
}

int perf_file_open(perf_file *file, const char *path, int ranks, char *error)
{
    *file = (perf_file){0};
    if (map_file(file, path, error) != 0) return -1;
    size_t length = strlen(path);
    int is_npy =
        file->map_bytes > NPY_MAGIC_BYTES && memcmp(file->map, npy_magic, NPY_MAGIC_BYTES) == 0;
    int failed;
    if (!is_npy && length >= 4 && strcmp(path + length - 4, ".npy") == 0) {
        snprintf(error, TOOL_ERROR_BYTES, "--input %s: not a .npy file", path);
        failed = -1;
    } else {
        failed = is_npy ? read_npy(file, path, ranks, error) : read_raw(file, path, ranks, error);
    }
    if (failed) perf_file_close(file);
    return failed;
}

void perf_file_close(perf_file *file)
{
    if (file->map != NULL) munmap(file->map, file->map_bytes);
    *file = (perf_file){0};
}
