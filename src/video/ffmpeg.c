/* ffmpeg.c - see ffmpeg.h. */
#define _XOPEN_SOURCE 700

#include "video/ffmpeg.h"

#if OC_HAVE_FFMPEG

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define TEXT_OF(x)    #x
#define NUMBER_OF(x)  TEXT_OF(x)
#define FILE_OF(n, v) "lib" n ".so." NUMBER_OF(v)

static oc__ffmpeg api;
static int is_there;

/* POSIX gives functions as objects; copied there is no cast. */
static int find(void *library, const char *name, void *slot) {
    void *at = library ? dlsym(library, name) : NULL;
    if (at) memcpy(slot, &at, sizeof at);
    return !at;
}

/* Cameras need avdevice; what is opened otherwise does not. */
static void load(void) {
    void *format = dlopen(FILE_OF("avformat", LIBAVFORMAT_VERSION_MAJOR),
                          RTLD_NOW | RTLD_LOCAL);
    void *codec = dlopen(FILE_OF("avcodec", LIBAVCODEC_VERSION_MAJOR),
                         RTLD_NOW | RTLD_LOCAL);
    void *util = dlopen(FILE_OF("avutil", LIBAVUTIL_VERSION_MAJOR),
                        RTLD_NOW | RTLD_LOCAL);
    void *scale = dlopen(FILE_OF("swscale", LIBSWSCALE_VERSION_MAJOR),
                         RTLD_NOW | RTLD_LOCAL);
    void *device = dlopen(FILE_OF("avdevice", LIBAVDEVICE_VERSION_MAJOR),
                          RTLD_NOW | RTLD_LOCAL);
    int missing = 0;
#define FIND(library, name)                                                    \
    if (find(library, #name, &api.name) && library != device) missing = 1;
    OC_FFMPEG_MAP(FIND)
#undef FIND
    if (missing) return;
    api.av_log_set_level(AV_LOG_QUIET);
    if (api.avdevice_register_all) api.avdevice_register_all();
    is_there = 1;
}

const oc__ffmpeg *oc__ffmpeg_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return is_there ? &api : NULL;
}

#endif
