/*
 * The machine itself: it computes as PTX is defined, and finds what a GPU leaves undefined.
 */
#include "../hlq_test.h"

#include "run.h"

#include <cuda_runtime_api.h>

enum { WORDS = 64 };

/* A kernel whose memory is %rd1, with a word for each thread at %rd3; %r1 is the thread. */
static const char *kernel_of(const char *body)
{
    static char text[4096];
    snprintf(text, sizeof text,
             ".version 9.0\n.target sm_90\n.address_size 64\n\n"
             ".entry k(\n\t.param .u64 .ptr .align 1 k_param_0\n)\n.maxntid 64\n{\n"
             "\t.reg .pred %%p<4>;\n\t.reg .b16 %%rs<4>;\n\t.reg .b32 %%r<8>;\n"
             "\t.reg .b32 %%f<4>;\n\t.reg .b64 %%rd<8>;\n"
             "\t.shared .align 4 .b8 room[256];\n"
             "\tld.param.u64 %%rd1, [k_param_0];\n\tcvta.to.global.u64 %%rd1, %%rd1;\n"
             "\tmov.u32 %%r1, %%tid.x;\n\tmul.wide.u32 %%rd2, %%r1, 4;\n"
             "\tadd.s64 %%rd3, %%rd1, %%rd2;\n%s\n$end:\n\tret;\n\n}\n",
             body);
    return text;
}

static uint32_t *memory;

static const char *run(const char *body, unsigned blocks, unsigned threads)
{
    memset(memory, 0, WORDS * sizeof *memory);
    return ptx_run(kernel_of(body), "k", blocks, threads, &memory);
}

typedef struct {
    const char *body;
    unsigned blocks, threads;
    const char *sentence; /* NULL: none */
} fault_case;

static const fault_case fault_cases[] = {
    {"st.global.u32 [%rd3], %r1;", 1, 64, NULL},
    {"st.global.u32 [%rd3+4], %r1;", 1, 64, "is not allocated"},
    {"ld.global.u32 %r2, [%rd1+-4];", 1, 1, "is not allocated"},
    {"st.global.u32 [%rd3+2], %r1;", 1, 1, "is no multiple of 4"},
    {"ld.global.v2.u32 {%r2, %r3}, [%rd1+4];", 1, 1, "is no multiple of 8"},
    {"st.param.u32 [k_param_0], %r1;", 1, 1, "is no parameter to read"},
    {"mov.u32 %r2, room;\nst.shared.u32 [%r2+256], %r1;", 1, 1, "beyond the block's shared memory"},
    {".local .align 8 .b8 own[16];\nld.local.u32 %r2, [own+16];", 1, 1, "beyond its own memory"},
    {"sin.approx.f32 %f1, %f2;", 1, 1, "does not know"},
    {"vote.sync.uni.pred %p1, %p2, -1;", 1, 32, "does not know"},
    {"redux.sync.xor.b32 %r2, %r1, -1;", 1, 32, "does not know"},
    {"bar.red.popc.u32 %r2, 0, %p1;", 1, 32, "does not know"},
    {"@%p1 add.s32 %r2, %r1, 1;", 1, 1, "does not know"},
    {"call.uni somewhere;", 1, 1, "does not know"},
    {"add.s32 %r2, %rd1, 1;", 1, 1, "is not 4 bytes wide"},
    {"", 1, 65, "too many threads"},

    /* instructions for several lanes */
    {"setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $end;\nvote.sync.ballot.b32 %r2, %p1, -1;", 1, 32,
     "waits for lanes that are not to come"},
    {"setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $low;\nvote.sync.ballot.b32 %r2, %p1, -1;\nbra.uni "
     "$end;\n"
     "$low:\nvote.sync.ballot.b32 %r2, %p1, -1;",
     1, 32, "waits for lanes that are not to come"},
    {"setp.lt.u32 %p1, %r1, 16;\n@!%p1 bra $end;\nvote.sync.ballot.b32 %r2, %p1, 65535;", 1, 32,
     NULL},
    {"vote.sync.ballot.b32 %r2, %p1, 65535;", 1, 32, "is not in its own mask"},
    {"redux.sync.add.u32 %r2, %r1, %r1;", 1, 32, "has another mask"},
    {"setp.lt.u32 %p1, %r1, 16;\n@!%p1 bra $end;\n"
     "shfl.sync.idx.b32 %r2|%p1, %r1, 20, 31, 65535;",
     1, 32, "takes what a lane outside of the mask has"},
    {"setp.lt.u32 %p1, %r1, 40;\n@%p1 bra $end;\nbar.sync 0;", 1, 64, NULL}, /* some have left */

    /* order */
    {"st.global.u32 [%rd1], %r1;", 1, 32, "a lane beside it stores something else"},
    {"mov.u32 %r2, 7;\nst.global.u32 [%rd1], %r2;", 1, 32, NULL},
    {"mov.u32 %r2, 7;\nst.global.u32 [%rd1], %r2;", 1, 64, "nothing says which comes first"},
    {"st.global.u32 [%rd3], %r1;", 2, 32, "nothing says which comes first"},
    {"xor.b32 %r2, %r1, 32;\nmul.wide.u32 %rd4, %r2, 4;\nadd.s64 %rd4, %rd1, %rd4;\n"
     "st.global.u32 [%rd3], %r1;\nld.global.u32 %r3, [%rd4];",
     1, 64, "nothing says which comes first"},
    {"xor.b32 %r2, %r1, 32;\nmul.wide.u32 %rd4, %r2, 4;\nadd.s64 %rd4, %rd1, %rd4;\n"
     "st.global.u32 [%rd3], %r1;\nbar.sync 0;\nld.global.u32 %r3, [%rd4];",
     1, 64, NULL},
    {"ld.global.u32 %r2, [%rd1];\nst.global.u32 [%rd3], %r1;", 1, 64,
     "nothing says which comes first"},
    {"ld.global.u32 %r2, [%rd1];\nbar.sync 0;\nst.global.u32 [%rd3], %r1;", 1, 64, NULL},
    {"shl.b32 %r2, %r1, 2;\nmov.u32 %r3, room;\nadd.s32 %r2, %r2, %r3;\nst.shared.u32 [%r2], %r1;\n"
     "ld.shared.u32 %r4, [room];",
     1, 64, "nothing says which comes first"},
    {"atom.global.add.u32 %r2, [%rd1], 1;", 2, 64, NULL},
    {"atom.global.add.u32 %r2, [%rd1], 1;\nld.global.u32 %r3, [%rd1];", 1, 64,
     "nothing says which comes first"},
};

static void test_what_is_undefined_is_found(void)
{
    for (size_t n = 0; n < sizeof fault_cases / sizeof *fault_cases; n++) {
        const fault_case *c = &fault_cases[n];
        hlq_test_case("%s", c->body);
        const char *said = run(c->body, c->blocks, c->threads);
        if (!c->sentence) CHECK(!said);
        else if (CHECK(said)) CHECK(strstr(said, c->sentence));
        if (said && (!c->sentence || !strstr(said, c->sentence))) fprintf(stderr, "%s\n", said);
    }
}

/* An instruction, and what %r2 is then. */
static const struct {
    const char *body;
    uint32_t is;
} values[] = {
    {"add.rn.f32 %r2, 0f7F800000, 0fFF800000;", 0x7fffffff},
    {"mul.rn.f32 %r2, 0f00000001, 0f3F000000;", 0}, /* to even, not flushed before */
    {"mul.rn.f32 %r2, 0f00000003, 0f3F000000;", 2},
    {"div.rn.f32 %r2, 0f3F800000, 0f40400000;", 0x3eaaaaab},
    {"max.f32 %r2, 0f7FC00000, 0f3F800000;", 0x3f800000},
    {"neg.f32 %r2, 0f3F800000;", 0xbf800000},
    {"cvt.rni.s32.f32 %r2, 0f40200000;", 2},
    {"cvt.rni.s32.f32 %r2, 0f40600000;", 4},
    {"cvt.rni.s32.f32 %r2, 0f7FC00000;", 0},
    {"cvt.rni.s32.f32 %r2, 0f4F800000;", INT32_MAX},
    {"cvt.rzi.s32.f32 %r2, 0fFF800000;", 0x80000000},
    {"cvt.rzi.u32.f32 %r2, 0fBF800000;", 0},
    {"cvt.rn.f32.s32 %r2, 16777217;", 0x4b800000},
    {"mov.b32 %r3, 511;\ncvt.s16.s8 %rs1, %r3;\ncvt.s32.s16 %r2, %rs1;", UINT32_MAX},
    {"mov.b32 %r3, 511;\ncvt.u16.u8 %rs1, %r3;\ncvt.u32.u16 %r2, %rs1;", 255},
    {"shl.b32 %r2, 1, 31;", 0x80000000},
    {"shl.b32 %r2, 1, 32;", 0},
    {"shr.s32 %r2, -8, 40;", UINT32_MAX},
    {"shr.u32 %r2, -8, 40;", 0},
    {"div.u32 %r2, 1, 0;", UINT32_MAX},
    {"rem.s32 %r2, -7, 3;", UINT32_MAX},
    {"mul.hi.u32 %r2, -2147483648, 6;", 3},
    {"mov.b16 %rs1, -2;\nmul.wide.s16 %r2, %rs1, 3;", (uint32_t)-6},
    {"mad.lo.s32 %r2, 65536, 65536, 5;", 5},
    {"prmt.b32 %r2, 0x44332211, 0x88776655, 0x5410U;", 0x66552211},
    {"prmt.b32 %r2, 0x44338211, 0, 0x9000;", 0xff111111},
    {"shf.l.wrap.b32 %r2, 0x80000001, 1, 4;", 0x18},
    {"bfe.u32 %r2, 0xabcd1234, 8, 8;", 0x12},
    {"bfi.b32 %r2, 0xff, 0x12345678, 8, 4;", 0x12345f78},
    {"bfi.b64 %rd4, 1, 2, 32, 32;\nmov.b64 {%r3, %r2}, %rd4;", 1},
    {"bfi.b64 %rd4, 1, 2, 32, 32;\nmov.b64 {%r2, %r3}, %rd4;", 2},
    {".local .align 8 .b8 own[16];\nmov.b64 %rd4, own;\nst.local.v2.u32 [%rd4+8], {%r1, 7};\n"
     "ld.local.u32 %r2, [own+12];",
     7},
    {"popc.b32 %r2, 0xf0f1;", 9},
    {"clz.b32 %r2, 1;", 31},
    {"setp.lt.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 2, %p1;", 2},
    {"setp.ltu.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 2, %p1;", 1},
    {"setp.ne.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 2, %p1;", 2},
    {"setp.neu.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 2, %p1;", 1},
    {"setp.equ.f32 %p1, 0f7F800000, 0f7F800000;\nselp.b32 %r2, 1, 2, %p1;", 1},
    {"mov.b64 %rd4, 0x1122334455667788;\nmov.b64 {%r3, %r2}, %rd4;", 0x11223344},
    {"{\n.reg .b32 %own;\nmov.b32 %own, 5;\nadd.s32 %r2, %own, 1;\n}", 6},
    {"{ .reg .b32 tmp; mov.b64 {tmp, %r2}, 0x100000002; }", 1},
};

static void test_values_are_those_of_ptx(void)
{
    char body[512];
    for (size_t n = 0; n < sizeof values / sizeof *values; n++) {
        hlq_test_case("%s", values[n].body);
        snprintf(body, sizeof body, "%s\nst.global.u32 [%%rd3], %%r2;", values[n].body);
        const char *said = run(body, 1, 1);
        if (said) fprintf(stderr, "%s\n", said);
        if (CHECK(!said)) CHECK_EQ(memory[0], values[n].is);
    }
}

/* Lanes loop as often as their numbers say, meet, and add up what they have counted. */
static void test_branches_come_together(void)
{
    const char *said = run("mov.b32 %r2, 0;\n"
                           "$again:\n"
                           "setp.ge.u32 %p1, %r2, %r1;\n@%p1 bra $out;\n"
                           "add.s32 %r2, %r2, 1;\nbra.uni $again;\n"
                           "$out:\n"
                           "redux.sync.add.u32 %r3, %r2, -1;\n"
                           "shfl.sync.up.b32 %r4|%p2, %r1, 3, 0, -1;\n"
                           "shfl.sync.bfly.b32 %r5|%p3, %r1, 5, 31, -1;\n"
                           "mul.lo.s32 %r5, %r5, 100;\nadd.s32 %r4, %r4, %r5;\n"
                           "mul.lo.s32 %r3, %r3, 10000;\nadd.s32 %r3, %r3, %r4;\n"
                           "st.global.u32 [%rd3], %r3;",
                           1, 64);
    hlq_test_case("a loop");
    if (said) fprintf(stderr, "%s\n", said);
    CHECK(!said);
    for (uint32_t i = 0; i < WORDS; i++) {
        const uint32_t lane = i % 32, first = i - lane, sum = i < 32 ? 496 : 496 + 32 * 32;
        CHECK_EQ(memory[i], 10000 * sum + (lane < 3 ? i : i - 3) + 100 * (first + (lane ^ 5)));
    }
}

int main(void)
{
    hlq_test_start("test_ptx");
    void *p = NULL;
    if (cudaMalloc(&p, WORDS * sizeof *memory) != cudaSuccess) return 2;
    memory = p;
    test_what_is_undefined_is_found();
    test_values_are_those_of_ptx();
    test_branches_come_together();
    cudaFree(p);
    return hlq_test_end();
}
