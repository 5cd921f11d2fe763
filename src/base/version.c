/* version.c - the library's version and the names of its types. */
#include <ocelli/ocelli.h>

#define OC_STRINGIZE_(x) #x
#define OC_STRINGIZE(x)  OC_STRINGIZE_(x)

const char *oc_version(void) {
    return OC_STRINGIZE(OC_VERSION_MAJOR) "." OC_STRINGIZE(
        OC_VERSION_MINOR) "." OC_STRINGIZE(OC_VERSION_PATCH);
}
