/*
 * All-reduces of two levels and with exempt ranges on threads: the cases of level_cases.h.
 */
#include "level_cases.h"

int main(void)
{
    static const int sizes[] = {1, 2, 3, 4, 6, 9, 12};
    hlq_test_start("test_levels");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes - 3 * FEWER_CASES; i++) {
        ranks_as_threads(sizes[i], level_cases, NULL);
    }
    return hlq_test_end();
}
