# OcSources: which files make up what.  New files are found by themselves.

# The core needs libc, libm and pthreads only.  Every other folder of src/ is
# the rim, so a new one needs no line here.
set(OC_CORE_DIRS base cpu kernels graph ops passes runtime onnx)

# Plain loops that stand in for kernels: of operators, and over pixels.
set(OC_LOOP_SOURCES src/data/augment_color.c src/data/augment_mix.c
    src/data/augment_warp.c src/ops/binary_math.c src/ops/cast.c src/ops/elementwise.c
    src/ops/lanes.c src/ops/qlinear.c src/ops/ranking.c src/ops/reduce.c
    src/ops/resample.c src/ops/resize_argmax.c src/ops/resize_blocked.c
    src/ops/select.c)

set(OC_CORE_SOURCES)
set(OC_RIM_SOURCES)
file(GLOB oc_all CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     src/*/*.c src/*/*/*.c)
foreach(file ${oc_all})
    string(REGEX REPLACE "^src/([^/]+)/.*$" "\\1" dir ${file})
    if(dir IN_LIST OC_CORE_DIRS)
        list(APPEND OC_CORE_SOURCES ${file})
    elseif(OC_RIM)
        list(APPEND OC_RIM_SOURCES ${file})
    endif()
    # Inner loops earn -O3; elsewhere it only grows the binary.
    if(dir STREQUAL "kernels" OR file IN_LIST OC_LOOP_SOURCES)
        set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS
            "$<$<CONFIG:Release,RelWithDebInfo>:-O3>")
    endif()
    # ImageDecoder finds the picture library only where there is one.
    if(OC_RIM AND file STREQUAL "src/ops/image_decoder.c")
        set_property(SOURCE ${file} APPEND PROPERTY COMPILE_DEFINITIONS
            OC_WITH_PICTURES)
    endif()
    # Clang needs minutes for an instrumented register tile; the kernel tests
    # watch these with guard pages and canaries instead.
    if(OC_SANITIZE AND file MATCHES "^src/kernels/(x86|arm)/" AND
       CMAKE_C_COMPILER_ID STREQUAL "Clang")
        set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS
            -fno-sanitize=all)
    endif()
    # Where bytes from outside are parsed, narrowing must be spelt out.
    if(dir MATCHES "^(onnx|card|image|words)$")
        set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS
            -Wconversion)
    endif()
endforeach()

# English is built in: locales/en.txt as a string.
if(OC_RIM)
    set(oc_english ${PROJECT_SOURCE_DIR}/locales/en.txt)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${oc_english})
    file(READ ${oc_english} OC_ENGLISH)
    string(REPLACE "\\" "\\\\" OC_ENGLISH "${OC_ENGLISH}")
    string(REPLACE "\"" "\\\"" OC_ENGLISH "${OC_ENGLISH}")
    string(REPLACE "\n" "\\n\"\n    \"" OC_ENGLISH "${OC_ENGLISH}")
    configure_file(cmake/locale_en.c.in locale_en.c @ONLY)
    list(APPEND OC_RIM_SOURCES ${PROJECT_BINARY_DIR}/locale_en.c)
endif()
file(GLOB OC_LOCALES CONFIGURE_DEPENDS locales/*.txt)

file(GLOB OC_CLI_SOURCES CONFIGURE_DEPENDS cli/*.c)
file(GLOB OC_COMMON_SOURCES CONFIGURE_DEPENDS common/*.c)
file(GLOB OC_SERVER_SOURCES CONFIGURE_DEPENDS server/*.c)
# What a stranger on the network sends is parsed here.
set_property(SOURCE ${OC_SERVER_SOURCES} APPEND PROPERTY COMPILE_OPTIONS
             -Wconversion)
# The page is part of the program: a file that CMake writes of its files.
file(GLOB_RECURSE OC_PAGE_FILES CONFIGURE_DEPENDS server/web/*)
set(OC_PAGE_SOURCE ${PROJECT_BINARY_DIR}/page_files.c)
add_custom_command(OUTPUT ${OC_PAGE_SOURCE}
    COMMAND ${CMAKE_COMMAND} -D WEB=${PROJECT_SOURCE_DIR}/server/web
            -D OUT=${OC_PAGE_SOURCE}
            -P ${PROJECT_SOURCE_DIR}/cmake/OcEmbed.cmake
    DEPENDS ${OC_PAGE_FILES} ${PROJECT_SOURCE_DIR}/cmake/OcEmbed.cmake
    COMMENT "Writing the page as C" VERBATIM)
file(GLOB OC_PUBLIC_HEADERS CONFIGURE_DEPENDS include/ocelli/*.h)
