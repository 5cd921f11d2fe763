# OcEmbed: the page as a C file, so that the program needs no folder beside it.
# A script, run at build time:
#
#     cmake -D WEB=server/web -D OUT=page_files.c -P OcEmbed.cmake
#
# CMake can read bytes, hash and compress by itself, so a cross build needs no
# program for the machine it runs on.
cmake_minimum_required(VERSION 3.22)

set(types
    .css=text/css
    .html=text/html
    .js=text/javascript
    .png=image/png
    .svg=image/svg+xml
    .webmanifest=application/manifest+json
    .webp=image/webp)
set(temp ${OUT}.dir)
file(REMOVE_RECURSE ${temp})
file(MAKE_DIRECTORY ${temp})
file(GLOB_RECURSE files RELATIVE ${WEB} ${WEB}/*)
list(SORT files)

# type_of FILE VAR: its content type; a kind we do not know is an error.
function(type_of file var)
    get_filename_component(end ${file} LAST_EXT)
    foreach(pair ${types})
        if(pair MATCHES "^${end}=(.*)$")
            set(type ${CMAKE_MATCH_1})
            if(type MATCHES "^text/")
                string(APPEND type "; charset=utf-8")
            endif()
            set(${var} ${type} PARENT_SCOPE)
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "${WEB}/${file}: OcEmbed.cmake has no content type "
                        "for \"${end}\"")
endfunction()

# address_of FILE VAR: where the server shows it.
function(address_of file var)
    set(${var} "/${file}" PARENT_SCOPE)
    if(file STREQUAL "index.html")
        set(${var} "/" PARENT_SCOPE)
    endif()
endfunction()

# array_of HEX NAME VAR: a C array.
function(array_of hex name var)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))"
                         "\\1\n" bytes "${bytes}")
    set(${var} "static const unsigned char ${name}[] = {\n${bytes}\n};\n"
        PARENT_SCOPE)
endfunction()

# The service worker keeps all the others, and is told by their hashes when
# one has changed: browsers look whether its own bytes are new.
set(OC_SHELL)
foreach(file ${files})
    if(NOT file STREQUAL "sw.js")
        address_of(${file} address)
        file(SHA256 ${WEB}/${file} hash)
        string(SUBSTRING ${hash} 0 16 hash)
        string(APPEND OC_SHELL "\n    [\"${address}\", \"${hash}\"],")
    endif()
endforeach()

set(arrays)
set(table)
set(n 0)
foreach(file ${files})
    set(path ${WEB}/${file})
    if(file STREQUAL "sw.js")
        set(path ${temp}/sw.js)
        configure_file(${WEB}/${file} ${path} @ONLY)
    endif()
    type_of(${file} type)
    address_of(${file} address)
    file(READ ${path} hex HEX)
    file(SHA256 ${path} hash)
    string(SUBSTRING ${hash} 0 32 hash)
    array_of("${hex}" plain_${n} array)
    string(APPEND arrays "${array}")
    set(packed "NULL, 0")
    if(type MATCHES "^text/|svg|json")
        file(ARCHIVE_CREATE OUTPUT ${temp}/packed.gz PATHS ${path}
             FORMAT raw COMPRESSION GZip)
        file(READ ${temp}/packed.gz gz HEX)
        # Bytes 4 to 7 are a time: the same page is to be the same bytes.
        string(SUBSTRING ${gz} 0 8 head)
        string(SUBSTRING ${gz} 16 -1 tail)
        array_of("${head}00000000${tail}" packed_${n} array)
        string(APPEND arrays "${array}")
        set(packed "packed_${n}, sizeof packed_${n}")
    endif()
    string(APPEND table "    {\"${address}\", \"${type}\",\n"
           "     \"\\\"${hash}\\\"\", \"\\\"${hash}-gz\\\"\",\n"
           "     plain_${n}, sizeof plain_${n}, ${packed}},\n")
    math(EXPR n "${n} + 1")
endforeach()

file(WRITE ${OUT} "/* Made by cmake/OcEmbed.cmake of server/web/. */
#include \"page.h\"

${arrays}
const page_file page_files[] = {
${table}};
const size_t page_file_count = ${n};
")
file(REMOVE_RECURSE ${temp})
