# How C is compiled here.
#   refrain_options   warnings and dialect, for everything that is ours
#   refrain_internal  what src/ is compiled with; tests that look inside take it too
add_library(refrain_options INTERFACE)
target_compile_definitions(refrain_options INTERFACE _POSIX_C_SOURCE=200809L)
target_compile_options(refrain_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wvla -Wformat=2 -Wundef $<$<BOOL:${RF_WERROR}>:-Werror>)

add_library(refrain_internal INTERFACE)
target_compile_definitions(refrain_internal INTERFACE $<$<BOOL:${RF_DEBUG}>:RF_DEBUG=1>)
target_include_directories(refrain_internal INTERFACE ${PROJECT_SOURCE_DIR}/src
                                                      ${PROJECT_SOURCE_DIR}/include)

# An op clears and copies structs of a few hundred bytes. gcc's own choice for those on x86 is a
# repeated string instruction, which takes longer to start than the stores themselves.
set(strategy unrolled_loop:256:noalign,libcall:-1:noalign)
set(strategies -mmemset-strategy=${strategy} -mmemcpy-strategy=${strategy})
include(CheckCCompilerFlag)
check_c_compiler_flag("${strategies}" RF_COMPILER_HAS_STRATEGIES)
if(RF_COMPILER_HAS_STRATEGIES)
    target_compile_options(refrain_internal INTERFACE ${strategies})
endif()

# Results must not depend on what a compiler chooses to fuse: the vector kernels fuse by name.
add_compile_options(-ffp-contract=off)

if(RF_SANITIZE)
    add_compile_options(-fsanitize=${RF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
    add_link_options(-fsanitize=${RF_SANITIZE})
endif()
if(RF_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
