# OcTests: one program per tests/unit/test_*.c (sees src/), one per
# tests/api/*.c (public headers only), one replay per fuzz/fuzz_*.c.
#
# Test programs speak TAP so that `./dev check` can count single cases; they
# run in the source folder, where ../shared is.

file(GLOB oc_unit CONFIGURE_DEPENDS tests/unit/test_*.c)
file(GLOB oc_unit_help CONFIGURE_DEPENDS tests/unit/*.c)
file(GLOB oc_api CONFIGURE_DEPENDS tests/api/*.c)
file(GLOB oc_fuzz CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(file ${oc_unit})
    list(REMOVE_ITEM oc_unit_help ${file})
endforeach()
if(OC_FUZZ) # nothing but the fuzz targets
    set(oc_unit)
    set(oc_unit_help)
    set(oc_api)
endif()

# oc_needs_rim FILE VAR: whether FILE looks into the rim, itself or through a
# header that stands beside it.
function(oc_needs_rim file var)
    file(STRINGS ${file} lines REGEX "^#include [<\"]")
    get_filename_component(here ${file} DIRECTORY)
    set(answer FALSE)
    foreach(line ${lines})
        string(REGEX REPLACE "^#include .([^>\"]*).*$" "\\1" name ${line})
        string(REGEX REPLACE "/.*$" "" dir ${name})
        if(name MATCHES "^ocelli/(eval|prune|quant|speech|train|video|vision|words)\\.h$")
            set(answer TRUE)
        elseif(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/src/${dir})
            if(NOT dir IN_LIST OC_CORE_DIRS)
                set(answer TRUE)
            endif()
        elseif(EXISTS ${here}/${name})
            oc_needs_rim(${here}/${name} below)
            if(below)
                set(answer TRUE)
            endif()
        endif()
    endforeach()
    set(${var} ${answer} PARENT_SCOPE)
endfunction()

# A core-only build cannot have tests that look into the rim.
if(NOT OC_RIM)
    foreach(file ${oc_unit} ${oc_unit_help} ${oc_api} ${oc_fuzz})
        oc_needs_rim(${file} rim)
        if(rim)
            list(REMOVE_ITEM oc_unit ${file})
            list(REMOVE_ITEM oc_unit_help ${file})
            list(REMOVE_ITEM oc_api ${file})
            list(REMOVE_ITEM oc_fuzz ${file})
        endif()
    endforeach()
endif()

if(CMAKE_CROSSCOMPILING)
    add_library(oc_cmocka STATIC tests/cross/cmocka.c)
    target_include_directories(oc_cmocka PUBLIC tests/cross)
    # Programs are linked statically there; the shared library is not.
    set(OC_API_LIBRARY ocelli_static)
else()
    add_library(oc_cmocka INTERFACE)
    set(OC_API_LIBRARY ocelli_shared)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
    endif()
    if(CMOCKA_FOUND)
        target_link_libraries(oc_cmocka INTERFACE PkgConfig::CMOCKA)
    else()
        message(STATUS "Tests: without cmocka, none but the fuzz replays")
        set(oc_unit)
        set(oc_unit_help)
        set(oc_api)
    endif()
endif()

# A program that returns 77 could not run here: skipped, as with automake.
function(oc_register name program)
    add_test(NAME ${name} COMMAND ${program} ${ARGN}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 1200 SKIP_RETURN_CODE 77)
    set_property(TEST ${name} PROPERTY ENVIRONMENT
                 CMOCKA_MESSAGE_OUTPUT=TAP
                 LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0
                 OCELLI=${PROJECT_BINARY_DIR}/ocelli
                 OC_BUILD_DIR=${PROJECT_BINARY_DIR})
endfunction()

if(oc_unit_help)
    add_library(oc_unit_help STATIC ${oc_unit_help})
    target_include_directories(oc_unit_help PRIVATE src tests/unit)
    target_link_libraries(oc_unit_help PRIVATE ocelli_static oc_cmocka
                          oc_flags oc_outside)
endif()

foreach(file ${oc_unit})
    get_filename_component(name ${file} NAME_WE)
    add_executable(${name} ${file})
    target_include_directories(${name} PRIVATE src tests/unit)
    target_link_libraries(${name} PRIVATE $<TARGET_NAME_IF_EXISTS:oc_unit_help>
                          ocelli_static oc_cmocka oc_flags oc_outside)
    string(REGEX REPLACE "^test_" "unit." test ${name})
    oc_register(${test} ${name})
endforeach()

foreach(file ${oc_api})
    get_filename_component(name ${file} NAME_WE)
    add_executable(api_${name} ${file})
    # For the examples that docs/ shows; the rest of the tree is not for them.
    target_include_directories(api_${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(api_${name} PRIVATE ${OC_API_LIBRARY} oc_cmocka
                          oc_flags m)
    oc_register(api.${name} api_${name})
endforeach()

# Those of the server look into it.
if(NOT TARGET oc_server)
    list(FILTER oc_fuzz EXCLUDE REGEX "/fuzz_server_[^/]*$")
endif()
foreach(file ${oc_fuzz})
    get_filename_component(name ${file} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" target ${name})
    set(corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${target})
    add_executable(${name} ${file})
    target_include_directories(${name} PRIVATE src fuzz)
    target_link_libraries(${name} PRIVATE ocelli_static oc_flags oc_outside)
    if(name MATCHES "^fuzz_server_")
        target_link_libraries(${name} PRIVATE oc_server)
    endif()
    if(OC_FUZZ)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        # `./dev fuzz` runs them; the replays belong to the other builds.
    else()
        target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/fuzz/replay.c)
        oc_register(fuzz.${target} ${name} ${corpus})
    endif()
endforeach()

# ---- the program from outside ---------------------------------------------
# Shell and Python scripts that run it ($OCELLI) and speak TAP.  Python needs
# modules of its own, so its tests exist only where ./dev has made a place for
# them and says so with OC_PYTHON.
set(OC_PYTHON "" CACHE FILEPATH "Python with tests/requirements.txt installed")
if(TARGET ocelli)
    file(GLOB oc_cli CONFIGURE_DEPENDS tests/cli/test_*.sh)
    foreach(file ${oc_cli})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "cli." test ${name})
        oc_register(${test} sh ${file})
    endforeach()
    file(GLOB oc_oracle CONFIGURE_DEPENDS tests/oracle/test_*.py)
    foreach(file ${oc_oracle})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "oracle." test ${name})
        if(OC_PYTHON)
            oc_register(${test} ${OC_PYTHON} ${file})
        endif()
    endforeach()
endif()

# The longest first, so that no core is idle while the last one runs.
foreach(test unit.train unit.image_resize unit.kernels_conv unit.gradients
        unit.kernels_conv_i8 unit.kernels_gemm unit.passes unit.models
        cli.watch cli.bad_models cli.train cli.models cli.eval
        oracle.eval oracle.server_limits oracle.gradients oracle.quantize)
    if(TEST ${test})
        set_tests_properties(${test} PROPERTIES COST 1000)
    endif()
endforeach()
