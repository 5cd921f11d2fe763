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

find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND AND NOT CMAKE_CROSSCOMPILING)
    pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
endif()
add_library(oc_cmocka INTERFACE)
if(CMOCKA_FOUND)
    target_link_libraries(oc_cmocka INTERFACE PkgConfig::CMOCKA)
elseif(oc_unit OR oc_api)
    message(STATUS "Tests: without cmocka, none but the fuzz replays")
    set(oc_unit)
    set(oc_api)
endif()

function(oc_register name program)
    add_test(NAME ${name} COMMAND ${program} ${ARGN}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600
        ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP;OC_BUILD_DIR=${PROJECT_BINARY_DIR}")
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
    target_link_libraries(api_${name} PRIVATE ocelli_shared oc_cmocka oc_flags)
    oc_register(api.${name} api_${name})
endforeach()

foreach(file ${oc_fuzz})
    get_filename_component(name ${file} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" target ${name})
    set(corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${target})
    add_executable(${name} ${file})
    target_include_directories(${name} PRIVATE src fuzz)
    target_link_libraries(${name} PRIVATE ocelli_static oc_flags oc_outside)
    if(OC_FUZZ)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        # -runs=0 replays the corpus and stops.
        oc_register(fuzz.${target} ${name} -runs=0 ${corpus})
    else()
        target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/fuzz/replay.c)
        oc_register(fuzz.${target} ${name} ${corpus})
    endif()
endforeach()
