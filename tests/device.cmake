# Tests of what runs on GPUs, in up to three ways:
#
#     name        on an emulated warp, without a CUDA toolkit (warp.h)
#     name_ptx    as nvcc compiled it, on the machine of ptx/, wherever there is a toolkit
#     name_gpu    on a GPU, if there is one; else it says so (label cuda)
#
# Included by CMakeLists.txt where there is a compiler of C++.

if(HLQ_HAVE_CUDA)
    find_package(CUDAToolkit REQUIRED)
    add_custom_target(hlq_gpu_tests) # all that have label cuda
    add_subdirectory(ptx)
endif()

# hlq_device_program(name suffix LIBRARIES library... LABELS label... [MPI ranks]
#                    [ARGS argument...]): name_suffix of the objects name_device, and its test.
function(hlq_device_program name suffix)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "MPI" "LIBRARIES;LABELS;ARGS")
    set(test ${name}_${suffix})
    add_executable(${test} $<TARGET_OBJECTS:${name}_device>)
    target_link_libraries(${test} PRIVATE ${arg_LIBRARIES} ${CMAKE_DL_LIBS})
    set_target_properties(${test} PROPERTIES LINKER_LANGUAGE CXX)
    set(command ${test} ${arg_ARGS})
    set(processors 1)
    if(arg_MPI)
        set(command ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${arg_MPI} $<TARGET_FILE:${test}>
                    ${arg_ARGS}
        )
        set(processors ${arg_MPI})
        list(APPEND arg_LABELS mpi)
    endif()
    add_test(NAME ${test} COMMAND ${command})
    hlq_properties(${test} LABELS ${arg_LABELS} TIMEOUT 600 PROCESSORS ${processors})
endfunction()

# hlq_device_test(name SOURCES source... LIBRARIES library... [MPI ranks] [PTX_ARGS argument...]
#                 [NO_GPU] [NO_PTX]): name.c as name_gpu and name_ptx.
function(hlq_device_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "NO_GPU;NO_PTX" "MPI" "SOURCES;LIBRARIES;PTX_ARGS")
    if(NOT HLQ_HAVE_CUDA OR (arg_MPI AND NOT HLQ_HAVE_MPI))
        return()
    endif()
    set(libraries ${arg_LIBRARIES} hlq_test_support)
    set(mpi)
    if(arg_MPI)
        set(libraries ${arg_LIBRARIES} hlq_test_support_mpi)
        set(mpi MPI ${arg_MPI})
    endif()
    add_library(${name}_device OBJECT ${name}.c ${arg_SOURCES})
    target_link_libraries(${name}_device PRIVATE ${libraries})
    target_include_directories(${name}_device PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    if(NOT arg_NO_PTX)
        hlq_device_program(
            ${name} ptx LIBRARIES ${libraries} LABELS kernel ARGS ${arg_PTX_ARGS} ${mpi}
        )
        target_sources(${name}_ptx PRIVATE $<TARGET_OBJECTS:hlq_ptx>)
        set_target_properties(${name}_ptx PROPERTIES CUDA_RUNTIME_LIBRARY None)
        set_property(TEST ${name}_ptx APPEND PROPERTY ENVIRONMENT HLQ_FEWER=1)
    endif()
    if(NOT arg_NO_GPU)
        hlq_device_program(
            ${name} gpu LIBRARIES ${libraries} CUDA::cudart_static LABELS cuda ${mpi}
        )
        add_dependencies(hlq_gpu_tests ${name}_gpu)
        set_tests_properties(${name}_gpu PROPERTIES SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu)
    endif()
endfunction()

# Kernels by themselves.
foreach(kind lanes hnlq look_up wire)
    hlq_test(test_cuda_${kind} LABELS kernel)
    target_sources(test_cuda_${kind} PRIVATE warp_${kind}.cpp)
    set_source_files_properties(warp_${kind}.cpp PROPERTIES COMPILE_OPTIONS -O1) # in seconds
    set(library hlq_quantizer_kernels_cuda)
    if(kind STREQUAL "lanes")
        set(library hlq_kernels_cuda)
    elseif(kind STREQUAL "wire")
        set(library hlq_wire_cuda)
    endif()
    hlq_device_test(test_cuda_${kind} SOURCES device_${kind}.c LIBRARIES ${library})
endforeach()
hlq_test(test_cuda_words LABELS kernel)
target_sources(test_cuda_words PRIVATE warp_lanes.cpp)

# Collectives, by all that is done on a GPU but for NCCL and CUDA.
set(over_stand_ins pair_stand_in.c stand_in_nccl.c nccl_ranks.c ${hlq_stand_ins})
if(NOT HLQ_SANITIZE) # which does not follow fibers from thread to thread
    hlq_test(test_nccl_kernels LABELS kernel)
    target_sources(test_nccl_kernels PRIVATE ${over_stand_ins} warp_wire.cpp)
    target_link_libraries(test_nccl_kernels PRIVATE hlqcomm_nccl_internal)
endif()
hlq_device_test(
    test_nccl_kernels NO_GPU SOURCES ${over_stand_ins} device_wire.c
    LIBRARIES hlqcomm_nccl_internal hlq_wire_cuda
)

# Collectives over CUDA's own streams.
hlq_device_test(
    test_mpi_cuda MPI 2 PTX_ARGS few SOURCES pair_mpi_cuda.c pair_cuda.c
    LIBRARIES hlqcomm_mpi_cuda_gpu_internal
)
hlq_device_test(
    test_nccl_threads NO_PTX SOURCES pair_cuda.c thread_nccl.c nccl_ranks.c
    LIBRARIES hlqcomm_nccl_cuda_internal
)
hlq_device_test(
    test_nccl_mpi NO_PTX MPI 2 SOURCES pair_gpu.c pair_cuda.c LIBRARIES hlqcomm_nccl_cuda_internal
)
if(TEST test_nccl_mpi_gpu)
    set_property(
        TEST test_nccl_mpi_gpu
        APPEND
        PROPERTY ENVIRONMENT NCCL_MULTI_RANK_GPU_ENABLE=1 NCCL_NVLS_ENABLE=0 NCCL_MAX_CTAS=4
    )
endif()

# hlqcomm/cuda.h.
if(NOT HLQ_SANITIZE) # as above
    set(walks stand_in_lut.cpp stand_in_rows.cpp stand_in_linear.cpp)
    set_source_files_properties(${walks} PROPERTIES COMPILE_OPTIONS -O1) # in seconds
    add_library(
        hlq_quantizer_stand_ins OBJECT stand_in_quantizer.c ${walks} warp_hnlq.cpp ${hlq_stand_ins}
    )
    target_link_libraries(hlq_quantizer_stand_ins PRIVATE hlqcomm_nccl_internal)
endif()
foreach(test test_quantizer_cuda test_quantizer_cuda_bad_input test_lut_cuda
             test_lut_cuda_bad_input test_packing_cuda test_linear_cuda test_linear_cuda_bad_input
)
    if(TARGET hlq_quantizer_stand_ins)
        hlq_test(${test} LABELS property)
        target_sources(${test} PRIVATE $<TARGET_OBJECTS:hlq_quantizer_stand_ins>)
        target_link_libraries(${test} PRIVATE hlqcomm_cuda_internal hlqcomm_nccl_internal)
    endif()
    hlq_device_test(
        ${test} SOURCES device_quantizer.c pair_cuda.c
        LIBRARIES hlqcomm_cuda_internal hlqcomm_cuda_runtime_objects hlq_quantizer_kernels_cuda
    )
endforeach()

# What hlq_gpu measures on a GPU runs, and gives what it should: its times mean nothing here.
if(HLQ_HAVE_CUDA AND TARGET hlq_gpu)
    add_executable(hlq_gpu_ptx $<TARGET_OBJECTS:hlq_gpu> $<TARGET_OBJECTS:hlq_ptx>)
    target_link_libraries(
        hlq_gpu_ptx PRIVATE hlq_wire_cuda hlq_quantizer_kernels_cuda hlq_test_support
                            ${CMAKE_DL_LIBS}
    )
    set_target_properties(hlq_gpu_ptx PROPERTIES LINKER_LANGUAGE CXX CUDA_RUNTIME_LIBRARY None)
    add_test(NAME hlq_gpu_ptx COMMAND hlq_gpu_ptx --bytes 1M --calls 1)
    hlq_properties(hlq_gpu_ptx LABELS kernel slow)
endif()
