# src/kernel/vector.c once per instruction set: the same code, under another table's name. Which
# table runs is chosen when the program starts, so one build serves every machine.
include(CheckCCompilerFlag)
set(RF_VECTOR_OBJECTS)

function(rf_add_vector_set name)
    add_library(refrain_vector_${name} OBJECT src/kernel/vector.c)
    target_compile_definitions(refrain_vector_${name} PRIVATE RF_VECTOR_TABLE=rf_vector_${name})
    target_compile_options(refrain_vector_${name} PRIVATE
        $<IF:$<CONFIG:Debug>,-O2,-O3> ${ARGN}
        -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=off
        $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>) # it won't where it instruments
    target_link_libraries(refrain_vector_${name} PRIVATE refrain_options refrain_internal refrain_libraries)
    set(RF_VECTOR_OBJECTS ${RF_VECTOR_OBJECTS} $<TARGET_OBJECTS:refrain_vector_${name}> PARENT_SCOPE)
endfunction()

set(avx2 -mavx2 -mfma -mf16c)
set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl ${avx2} -mprefer-vector-width=512)
set(avx512_bf16 ${avx512} -mavx512bf16)
set(amx ${avx512_bf16} -mamx-tile -mamx-bf16)
# Without the file the library computes by its reference kernels.
if(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/kernel/vector.c)
    return()
endif()
rf_add_vector_set(portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    foreach(set avx2 avx512 avx512_bf16 amx)
        string(TOUPPER ${set} SET)
        string(JOIN " " flags ${${set}})
        check_c_compiler_flag("${flags}" RF_COMPILER_HAS_${SET})
        if(RF_COMPILER_HAS_${SET})
            rf_add_vector_set(${set} ${${set}})
            target_compile_definitions(refrain_internal INTERFACE RF_HAVE_${SET}=1)
        endif()
    endforeach()
endif()
