#include "run.h"

#include "machine.h"

const char *ptx_run(const char *text, const char *kernel, unsigned blocks, unsigned threads,
                    const void *parameters)
{
    static thread_local std::string wrong;
    try {
        const auto kernels = ptx::split_module(text);
        ptx::run_grid(ptx::parse_kernel(kernel, kernels.at(kernel)), blocks, threads, parameters);
        return nullptr;
    } catch (const ptx::Fault &fault) {
        wrong = fault.what();
        return wrong.c_str();
    }
}
