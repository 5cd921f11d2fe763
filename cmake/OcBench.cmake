# OcBench: one program per bench/bench_*.c and tools/*.c, not built unless asked
# for by name.  They see src/, like the unit tests.
file(GLOB oc_bench CONFIGURE_DEPENDS bench/bench_*.c tools/*.c)
foreach(file ${oc_bench})
    get_filename_component(name ${file} NAME_WE)
    add_executable(${name} EXCLUDE_FROM_ALL ${file})
    target_include_directories(${name} PRIVATE src)
    target_link_libraries(${name} PRIVATE ocelli_static oc_flags oc_outside)
endforeach()
