# OcInstall: libraries, headers, program with manual pages and completion,
# pkg-config file, CMake package.
include(CMakePackageConfigHelpers)

install(TARGETS ocelli_shared ocelli_static EXPORT ocelli-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${OC_PUBLIC_HEADERS}
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ocelli)

# ---- pkg-config -----------------------------------------------------------
# The prefix is found from the file's own place, so that a tree may be moved.
file(RELATIVE_PATH OC_PC_PREFIX
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REPLACE ";" " " OC_PC_REQUIRES "${OC_PKGCONFIG_PRIVATE}")
configure_file(cmake/ocelli.pc.in ocelli.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ocelli.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# ---- CMake package --------------------------------------------------------
# ocelli::ocelli is the shared library, ocelli::static the static one; what
# the latter links to is looked up by the package again.
set(OC_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ocelli)
install(EXPORT ocelli-targets NAMESPACE ocelli:: DESTINATION ${OC_PACKAGE_DIR})
configure_package_config_file(cmake/ocelli-config.cmake.in ocelli-config.cmake
                              INSTALL_DESTINATION ${OC_PACKAGE_DIR})
write_basic_package_version_file(ocelli-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ocelli-config.cmake
              ${PROJECT_BINARY_DIR}/ocelli-config-version.cmake
        DESTINATION ${OC_PACKAGE_DIR})

# ---- languages -------------------------------------------------------------
# Found beside the program, in the build tree as where it is installed.
if(OC_RIM)
    install(FILES ${OC_LOCALES} DESTINATION
            ${CMAKE_INSTALL_DATADIR}/ocelli/locales)
    foreach(file ${OC_LOCALES})
        get_filename_component(name ${file} NAME)
        configure_file(${file}
            ${PROJECT_BINARY_DIR}/share/ocelli/locales/${name} COPYONLY)
    endforeach()
endif()

# ---- models ----------------------------------------------------------------
file(GLOB models CONFIGURE_DEPENDS models/*.onnx)
if(OC_RIM AND models)
    install(FILES ${models} DESTINATION ${CMAKE_INSTALL_DATADIR}/ocelli/models)
endif()

# ---- program --------------------------------------------------------------
# Its manual page and completions come out of its own table of verbs.
if(TARGET ocelli)
    install(TARGETS ocelli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

function(oc_generated what file destination)
    add_custom_command(TARGET ocelli POST_BUILD
        COMMAND sh -c "\"$1\" _docs ${what} >\"$2\"" sh
                $<TARGET_FILE:ocelli> ${PROJECT_BINARY_DIR}/share/${file}
        VERBATIM)
    install(FILES ${PROJECT_BINARY_DIR}/share/${file}
            DESTINATION ${destination})
endfunction()

if(TARGET ocelli AND NOT CMAKE_CROSSCOMPILING)
    set(oc_tells OFF)
    foreach(file ${OC_CLI_SOURCES})
        file(STRINGS ${file} lines REGEX "\"_docs\"")
        if(lines)
            set(oc_tells ON)
        endif()
    endforeach()
    if(oc_tells)
        file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/share)
        oc_generated(man ocelli.1 ${CMAKE_INSTALL_MANDIR}/man1)
        oc_generated(bash ocelli.bash
                     ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
        oc_generated(zsh _ocelli
                     ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
        oc_generated(fish ocelli.fish
                     ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
    endif()
endif()
