/*
 * What parse.cpp and instruction.cpp, which reads statements, share.
 */
#ifndef HLQ_TEST_PTX_PARSE_H
#define HLQ_TEST_PTX_PARSE_H

#include "warp.h"

#include <utility>

namespace ptx {

std::string trimmed(const std::string &text);
std::vector<std::string> split(const std::string &text, char at); /* outside of braces, brackets */
size_t bytes_of_type(const std::string &type);                    /* "u32", ".b64" */

struct Variable {
    std::string name;
    size_t bytes = 0, alignment = 0;
};

struct Builder {
    Kernel *kernel;
    const std::map<std::string, void *> *globals;
    uint32_t used = 64;                                      /* of the register file */
    std::map<std::string, size_t> parameters, shared, local; /* where they are */
    std::map<std::string, Place> registers;
    std::map<std::pair<uint32_t, uint64_t>, Place> constants; /* by bytes and value */
    std::map<std::string, int64_t> labels;
    std::vector<std::pair<size_t, std::string>> jumps;

    Builder(Kernel *to, const Source &source);
    void line(const std::string &raw);
    void finish();

    Place room(uint32_t bytes);
    void declare_registers(const std::string &statement);
    void statement(const std::string &text);

    /* instruction.cpp */
    Instruction instruction(const std::string &text);
    Place constant(uint32_t bytes, uint64_t value);
    Place operand(const std::string &text, uint32_t bytes); /* of this width, if not a register */
    Place exactly(const std::string &text, uint32_t bytes); /* a register has it, too */
    void address(const std::string &text, Instruction *i, int at);
    void control(const std::vector<std::string> &name, const std::string &rest, Instruction *i);
    void memory(const std::vector<std::string> &name, const std::vector<std::string> &operands,
                Instruction *i);
    void crossing(const std::vector<std::string> &name, const std::vector<std::string> &operands,
                  Instruction *i);
    void conversion(const std::vector<std::string> &name, const std::vector<std::string> &operands,
                    Instruction *i);
    void move(const std::string &type, const std::vector<std::string> &operands, Instruction *i);
    void arithmetic(const std::vector<std::string> &name, const std::vector<std::string> &operands,
                    Instruction *i);
};

} // namespace ptx

#endif
