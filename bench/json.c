/* Writes JSON; json.h tells. */
#include "json.h"

#include <math.h>
#include <stddef.h>

static void write_quoted(json *j, const char *text)
{
    fputc('"', j->file);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') fprintf(j->file, "\\%c", *c);
        else if (*c < 0x20) fprintf(j->file, "\\u%04x", *c);
        else fputc(*c, j->file);
    }
    fputc('"', j->file);
}

/* What stands before every value: a comma, a new line, the key. */
static void begin_value(json *j, const char *key)
{
    if (j->members++ > 0) fputc(',', j->file);
    if (j->depth > 0) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    if (key != NULL) {
        write_quoted(j, key);
        fputs(": ", j->file);
    }
}

static void open_bracket(json *j, const char *key, char bracket)
{
    begin_value(j, key);
    fputc(bracket, j->file);
    j->depth++;
    j->members = 0;
}

static void close_bracket(json *j, char bracket)
{
    j->depth--;
    if (j->members > 0) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    fputc(bracket, j->file);
    j->members = 1; /* what encloses it has at least this one */
}

void json_start(json *j, FILE *file) { *j = (json){.file = file}; }

int json_finish(json *j)
{
    fputc('\n', j->file);
    return fflush(j->file) == 0 && !ferror(j->file);
}

void json_open_object(json *j, const char *key) { open_bracket(j, key, '{'); }

void json_close_object(json *j) { close_bracket(j, '}'); }

void json_open_array(json *j, const char *key) { open_bracket(j, key, '['); }

void json_close_array(json *j) { close_bracket(j, ']'); }

void json_text(json *j, const char *key, const char *value)
{
    begin_value(j, key);
    if (value != NULL) write_quoted(j, value);
    else fputs("null", j->file);
}

void json_real(json *j, const char *key, double value)
{
    begin_value(j, key);
    if (isfinite(value)) fprintf(j->file, "%.9g", value);
    else fputs("null", j->file);
}

void json_integer(json *j, const char *key, uint64_t value)
{
    begin_value(j, key);
    fprintf(j->file, "%llu", (unsigned long long)value);
}

void json_boolean(json *j, const char *key, int value)
{
    begin_value(j, key);
    fputs(value ? "true" : "false", j->file);
}
