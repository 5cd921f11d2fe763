# OcInstall: libraries, headers, program, pkg-config file, CMake package.
include(CMakePackageConfigHelpers)

install(TARGETS ocelli_shared ocelli_static EXPORT ocelli-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${OC_PUBLIC_HEADERS}
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ocelli)
if(TARGET ocelli)
    install(TARGETS ocelli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
