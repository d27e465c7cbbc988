/*
 * The text of PTX in a fat binary, which nvcc puts into each object. Its layout is not documented;
 * as of CUDA 12 and 13: a header, then entries of their own headers; that of PTX may be compressed.
 */
#include "runtime.h"

#include <cstring>
#include <dlfcn.h>

namespace ptx {

namespace {

struct Header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t bytes; /* of all entries */
};

struct Entry {
    uint16_t kind, version;
    uint32_t header_bytes;
    uint64_t bytes;
    uint32_t stored_bytes, options_at;
    uint32_t minor_major, architecture;
    uint32_t name_at, name_bytes;
    uint64_t flags;
    uint64_t zero;
    uint64_t text_bytes;
};

enum { KIND_PTX = 1 };
enum : uint64_t { FLAG_COMPRESSED = 0xa000, FLAG_LZ4 = 0x2000, FLAG_ZSTD = 0x8000 };
constexpr uint32_t MAGIC = 0xba55ed50;

/* A function of a library that is there at run time or not: it has no header here. */
void *function_of(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW);
    void *function = handle ? dlsym(handle, name) : nullptr;
    if (!function) throw Fault(std::string("no ") + library + ", which unpacks PTX");
    return function;
}

void unpack(const Entry &entry, const char *from, std::string *text)
{
    if ((entry.flags & FLAG_COMPRESSED) == FLAG_ZSTD) {
        using decompress = size_t (*)(void *, size_t, const void *, size_t);
        auto *zstd = reinterpret_cast<decompress>(function_of("libzstd.so.1", "ZSTD_decompress"));
        if (zstd(&(*text)[0], text->size(), from, entry.stored_bytes) == text->size()) return;
    } else {
        using decompress = int (*)(const char *, char *, int, int);
        auto *lz4 = reinterpret_cast<decompress>(function_of("liblz4.so.1", "LZ4_decompress_safe"));
        const auto size = static_cast<int>(text->size());
        if (lz4(from, &(*text)[0], static_cast<int>(entry.stored_bytes), size) == size) return;
    }
    throw Fault("PTX that does not unpack");
}

} // namespace

std::string ptx_of(const void *binary)
{
    const auto *at = static_cast<const char *>(binary);
    Header header;
    std::memcpy(&header, at, sizeof header);
    if (header.magic != MAGIC) throw Fault("no fat binary");
    at += header.header_bytes;
    for (const char *end = at + header.bytes; at < end;) {
        Entry entry;
        std::memcpy(&entry, at, sizeof entry);
        const char *from = at + entry.header_bytes;
        at = from + entry.bytes;
        if (entry.kind != KIND_PTX) continue;
        if (!(entry.flags & FLAG_COMPRESSED)) return std::string(from, strnlen(from, entry.bytes));
        std::string text(entry.text_bytes, '\0');
        unpack(entry, from, &text);
        return text.c_str();
    }
    throw Fault("a fat binary without PTX");
}

} // namespace ptx
