# OcDependencies: the outside libraries of the rim, each of which can be left
# out.  OC_WITH_X is AUTO (use it if found), ON (fail without it) or OFF.
# Sources see OC_HAVE_X=1 for those in use; the interface target oc_outside
# carries the flags, OC_PKGCONFIG_PRIVATE the names for ocelli.pc.  What only
# the program needs is in oc_program instead.

find_package(Threads REQUIRED)
find_package(PkgConfig QUIET)

add_library(oc_outside INTERFACE)
target_link_libraries(oc_outside INTERFACE m Threads::Threads)
add_library(oc_program INTERFACE)
set(OC_PKGCONFIG_PRIVATE)

# oc_dependency NAME MODULE WHAT [PROGRAM]
function(oc_dependency name module what)
    set(target oc_outside)
    if(ARGN STREQUAL "PROGRAM")
        set(target oc_program)
    endif()
    set(OC_WITH_${name} AUTO CACHE STRING "${what}: AUTO, ON or OFF")
    set_property(CACHE OC_WITH_${name} PROPERTY STRINGS AUTO ON OFF)
    if(OC_WITH_${name} STREQUAL "OFF" OR NOT OC_RIM)
        return()
    endif()
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(OC_${name} QUIET IMPORTED_TARGET ${module})
    endif()
    if(OC_${name}_FOUND)
        target_link_libraries(${target} INTERFACE PkgConfig::OC_${name})
        target_compile_definitions(${target} INTERFACE OC_HAVE_${name}=1)
        if(target STREQUAL "oc_outside")
            set(OC_PKGCONFIG_PRIVATE ${OC_PKGCONFIG_PRIVATE} ${module}
                PARENT_SCOPE)
        endif()
        message(STATUS "${what}: ${module} ${OC_${name}_VERSION}")
    elseif(OC_WITH_${name} STREQUAL "ON")
        message(FATAL_ERROR "OC_WITH_${name}=ON, but pkg-config finds no "
                            "${module}")
    else()
        message(STATUS "${what}: without (no ${module})")
    endif()
endfunction()

oc_dependency(JPEG     libjpeg   "JPEG pictures")
oc_dependency(PNG      libpng    "PNG pictures")
oc_dependency(SPNG     spng      "PNG pictures (spng)")
oc_dependency(WEBP     libwebp   "WebP pictures")
oc_dependency(TIFF     libtiff-4 "TIFF pictures")
oc_dependency(JP2      libopenjp2 "JPEG 2000 pictures")
oc_dependency(CAIRO    cairo     "Drawing")
oc_dependency(FREETYPE freetype2 "Fonts")
oc_dependency(JANSSON  jansson   "JSON")
oc_dependency(MICROHTTPD libmicrohttpd "Server" PROGRAM)
oc_dependency(GNUTLS   gnutls    "Server (TLS, keys)" PROGRAM)

# oc_loaded NAME HEADERS WHAT: what is not linked but loaded when it is first
# used, since it would slow down every start; only its headers are needed.
include(CheckIncludeFile)
function(oc_loaded name headers what)
    set(OC_WITH_${name} AUTO CACHE STRING "${what}: AUTO, ON or OFF")
    set_property(CACHE OC_WITH_${name} PROPERTY STRINGS AUTO ON OFF)
    if(OC_WITH_${name} STREQUAL "OFF" OR NOT OC_RIM)
        return()
    endif()
    set(found TRUE)
    foreach(header ${headers})
        string(MAKE_C_IDENTIFIER "OC_FOUND_${header}" var)
        check_include_file(${header} ${var})
        if(NOT ${var})
            set(found FALSE)
            unset(${var} CACHE) # it may be installed by the next time
        endif()
    endforeach()
    if(found)
        target_compile_definitions(oc_outside INTERFACE OC_HAVE_${name}=1)
        target_link_libraries(oc_outside INTERFACE ${CMAKE_DL_LIBS})
        message(STATUS "${what}: ${headers}")
    elseif(OC_WITH_${name} STREQUAL "ON")
        message(FATAL_ERROR "OC_WITH_${name}=ON, but there is no ${headers}")
    else()
        message(STATUS "${what}: without (no ${headers})")
    endif()
endfunction()

oc_loaded(FLITE "flite/flite.h" "Speech")
oc_loaded(FFMPEG "libavformat/avformat.h;libavcodec/avcodec.h;\
libswscale/swscale.h;libavdevice/avdevice.h" "Video")

# What the libraries link to; an installed one says so in OcInstall instead.
set(OC_PRIVATE_LINKS $<BUILD_INTERFACE:oc_flags> $<BUILD_INTERFACE:oc_outside>)
