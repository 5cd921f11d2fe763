# OcFlags: how everything here is compiled, as the interface target oc_flags.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
# No GNU dialect: the core must also build with one plain `cc -std=c11` line,
# so files ask for what they need (_GNU_SOURCE, _POSIX_C_SOURCE) themselves.
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# -O2 throughout; the kernels get -O3 in OcSources.  C unwinds nothing: its
# tables would be a tenth of the program.
set(CMAKE_C_FLAGS_RELEASE
    "-O2 -DNDEBUG -fno-asynchronous-unwind-tables -fno-unwind-tables")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
# Sanitizers at -O0 are too slow to run the whole suite with.
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

add_library(oc_flags INTERFACE)
target_compile_options(oc_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes
    # Results must not depend on the compiler's mood: no contraction into fma
    # behind our back, and nothing of -ffast-math but the errno promise.
    -fno-math-errno -ffp-contract=off
    $<$<BOOL:${OC_WERROR}>:-Werror>)
target_link_options(oc_flags INTERFACE -Wl,--as-needed)

if(OC_SANITIZE)
    target_compile_options(oc_flags INTERFACE
        -fsanitize=${OC_SANITIZE} -fno-sanitize-recover=all
        # For traces: files and lines, without where each variable is.
        -fno-omit-frame-pointer -g1)
    target_link_options(oc_flags INTERFACE -fsanitize=${OC_SANITIZE})
endif()
if(OC_FUZZ)
    target_compile_options(oc_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
