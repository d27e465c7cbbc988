/*
 * Runs a fuzzer's function on every file of a folder: the corpus as a test, without libFuzzer.
 */
#include "fuzz.h"

#include <dirent.h>

enum { PATH_BYTES = 4096 };

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    MUST(file);
    MUST(fseek(file, 0, SEEK_END) == 0);
    long bytes = ftell(file);
    MUST(bytes >= 0);
    rewind(file);
    uint8_t *data = exactly((size_t)bytes);
    MUST(fread(data, 1, (size_t)bytes, file) == (size_t)bytes);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)bytes);
    free(data);
}

int main(int argc, char **argv)
{
    char path[PATH_BYTES];
    int count = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER, which can be opened\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        run_file(path);
        count++;
    }
    closedir(folder);
    printf("%s: %d inputs\n", argv[1], count);
    return count ? 0 : 1; /* a test that has nothing to run is none */
}
