/*
 * From text to kernels. Only what nvcc gives is read: a statement to a line.
 */
#include "parse.h"

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace ptx {

std::string trimmed(const std::string &text)
{
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> split(const std::string &text, char at)
{
    std::vector<std::string> parts;
    int depth = 0; /* of braces and brackets */
    std::string part;
    for (const char c : text) {
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') depth--;
        if (c == at && !depth) {
            parts.push_back(trimmed(part));
            part.clear();
        } else {
            part += c;
        }
    }
    if (!trimmed(part).empty()) parts.push_back(trimmed(part));
    return parts;
}

size_t bytes_of_type(const std::string &type)
{
    const size_t digits = type.find_first_of("0123456789");
    if (digits == std::string::npos) throw Fault("how wide is " + type + "?");
    return static_cast<size_t>(std::atoi(type.c_str() + digits)) / 8;
}

/* Variables ----------------------------------------------------------------------------------- */

/* ".param .align 8 .b8 name[80]", ".param .u64 .ptr .align 1 name". */
Variable parse_variable(const std::string &text)
{
    Variable v;
    std::istringstream words(text);
    std::string word, type;
    while (words >> word) {
        if (word == ".align") {
            size_t given;
            words >> given;
            if (type.empty()) v.alignment = given; /* else of what a pointer points to */
        } else if (word[0] == '.' && word != ".ptr" && word != ".param" && word != ".shared" &&
                   word != ".local" && word != ".global" && word != ".visible") {
            type = word;
        } else if (word[0] != '.') {
            v.name = word;
            break;
        }
    }
    const size_t open = v.name.find('[');
    v.bytes = bytes_of_type(type);
    if (!v.alignment) v.alignment = v.bytes;
    if (open == std::string::npos) return v;
    v.bytes *= static_cast<size_t>(std::atoll(v.name.c_str() + open + 1));
    v.name.resize(open);
    return v;
}

/* A variable of the module, with the bytes that it starts with. */
static void add_global(const std::string &text, std::map<std::string, void *> *globals)
{
    const Variable v = parse_variable(text);
    const size_t open = text.find('{');
    auto *to = static_cast<uint8_t *>(allocate(v.bytes, Owner::device));
    std::memset(to, 0, v.bytes);
    (*globals)[v.name] = to;
    if (open == std::string::npos) return;
    if (text.find(".b8") == std::string::npos) throw Fault("a variable not of bytes: " + v.name);
    const std::string list = text.substr(open + 1, text.find('}') - open - 1);
    size_t at = 0;
    for (const std::string &byte : split(list, ',')) {
        to[at++] = static_cast<uint8_t>(std::strtoul(byte.c_str(), nullptr, 0));
    }
}

std::map<std::string, Source> split_module(const std::string &text)
{
    std::map<std::string, Source> kernels;
    auto *globals = new std::map<std::string, void *>; /* as long as the program */
    std::istringstream lines(text);
    std::string line, name;
    enum { OUTSIDE, HEAD, BODY } where = OUTSIDE;
    int scopes = 0; /* open in a body; a name is declared anew in each, so they do not matter */
    while (std::getline(lines, line)) {
        const size_t entry = line.find(".entry");
        if (where == OUTSIDE && entry != std::string::npos) {
            name = trimmed(line.substr(entry + 6));
            if (!name.empty() && name.back() == '(') name.pop_back();
            kernels[name].globals = globals;
            where = HEAD;
        } else if (where == OUTSIDE &&
                   (line.rfind(".global", 0) == 0 || line.rfind(".visible .global", 0) == 0)) {
            add_global(line, globals);
        } else if (where == HEAD && trimmed(line) == "{") {
            where = BODY;
            scopes = 1;
        } else if (where == BODY && trimmed(line) == "{") {
            scopes++;
        } else if (where == BODY && trimmed(line) == "}") {
            if (--scopes == 0) where = OUTSIDE;
        } else if (where != OUTSIDE) {
            (where == HEAD ? kernels[name].head : kernels[name].body) += line + "\n";
        }
    }
    return kernels;
}

/* Kernels ------------------------------------------------------------------------------------- */

static void parse_head(const std::string &head, Kernel *kernel,
                       std::map<std::string, size_t> *parameters)
{
    std::istringstream lines(head);
    std::string line;
    while (std::getline(lines, line)) {
        line = trimmed(line);
        if (line.rfind(".maxntid", 0) == 0) {
            kernel->threads_max = static_cast<size_t>(std::atoi(line.c_str() + 8));
        }
        if (line.rfind(".param", 0) != 0) continue;
        if (line.back() == ',') line.pop_back();
        const Variable v = parse_variable(line);
        size_t at = (kernel->parameter_bytes + v.alignment - 1) / v.alignment * v.alignment;
        (*parameters)[v.name] = at;
        kernel->parameters.push_back({at, v.bytes});
        kernel->parameter_bytes = at + v.bytes;
    }
}

Builder::Builder(Kernel *to, const Source &source) : kernel(to), globals(source.globals)
{
    for (Place &special : kernel->special) special = room(4);
    kernel->parameter_base = room(8);
    parse_head(source.head, kernel, &parameters);
}

/* Bytes is 0 for a predicate. */
Place Builder::room(uint32_t bytes)
{
    const Place place = {used, bytes};
    used += bytes ? LANES * bytes : 64;
    return place;
}

/* ".reg .b32 %r<164>", ".reg .b16 tmp". */
void Builder::declare_registers(const std::string &statement)
{
    std::istringstream words(statement);
    std::string directive, type, name;
    words >> directive >> type >> name;
    const auto bytes = static_cast<uint32_t>(type == ".pred" ? 0 : bytes_of_type(type));
    const size_t open = name.find('<');
    if (open == std::string::npos) {
        registers[name] = room(bytes);
        return;
    }
    const int count = std::atoi(name.c_str() + open + 1);
    for (int n = 0; n < count; n++)
        registers[name.substr(0, open) + std::to_string(n)] = room(bytes);
}

/* A variable of a block, or of a lane: where it is in the memory that a kernel has. */
static void declare(const std::string &statement, std::map<std::string, size_t> *variables,
                    size_t *bytes)
{
    const Variable v = parse_variable(statement);
    const size_t at = (*bytes + v.alignment - 1) / v.alignment * v.alignment;
    (*variables)[v.name] = at;
    *bytes = at + v.bytes;
}

void Builder::statement(const std::string &text)
{
    if (text.rfind(".reg", 0) == 0) declare_registers(text);
    else if (text.rfind(".shared", 0) == 0) declare(text, &shared, &kernel->shared_bytes);
    else if (text.rfind(".local", 0) == 0) declare(text, &local, &kernel->local_bytes);
    else if (text.rfind(".pragma", 0) != 0) kernel->code.push_back(instruction(text));
}

void Builder::line(const std::string &raw)
{
    std::string text = trimmed(raw.substr(0, raw.find("//")));
    kernel->text.push_back(text);
    if (text.empty()) return;
    if (text.back() == ':') {
        labels[text.substr(0, text.size() - 1)] = static_cast<int64_t>(kernel->code.size());
        return;
    }
    if (text.rfind("{ ", 0) == 0) text = trimmed(text.substr(2, text.rfind('}') - 2));
    for (const std::string &one : split(text, ';')) statement(one);
}

void Builder::finish()
{
    for (const auto &jump : jumps) {
        const auto label = labels.find(jump.second);
        if (label == labels.end()) throw Fault(kernel->name + ": no label " + jump.second);
        kernel->code[jump.first].offset = label->second;
    }
    kernel->file.resize(used);
    kernel->constants_at = used;
    for (const auto &constant : constants) {
        const Place place = constant.second;
        if (place.at < kernel->constants_at) kernel->constants_at = place.at;
        const uint64_t value = constant.first.second;
        for (unsigned lane = 0; lane < (place.bytes ? unsigned(LANES) : 1u); lane++) {
            std::memcpy(kernel->file.data() + place.at + lane * place.bytes, &value,
                        place.bytes ? place.bytes : sizeof(uint32_t));
        }
    }
}

Kernel parse_kernel(const std::string &name, const Source &source)
{
    Kernel kernel;
    kernel.name = name;
    Builder builder(&kernel, source);
    std::istringstream lines(source.body);
    std::string line;
    while (std::getline(lines, line)) builder.line(line);
    builder.finish();
    return kernel;
}

} // namespace ptx
