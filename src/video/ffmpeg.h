/*
 * ffmpeg.h - FFmpeg's libraries, loaded when they are first needed: linked,
 * they and what is behind them cost every start of a program 230 ms.
 *
 * Structs are those of the headers; the libraries asked for are of the same
 * major version, within which layouts hold.
 */
#ifndef OC_VIDEO_FFMPEG_H
#define OC_VIDEO_FFMPEG_H

#include "base/status.h"

#if OC_HAVE_FFMPEG

#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/dict.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>

/** Every function that is used, for X(library, name). */
#define OC_FFMPEG_MAP(X)                                                       \
    X(format, avformat_alloc_context)                                          \
    X(format, avformat_open_input)                                             \
    X(format, avformat_find_stream_info)                                       \
    X(format, avformat_close_input)                                            \
    X(format, av_find_best_stream)                                             \
    X(format, av_find_input_format)                                            \
    X(format, av_read_frame)                                                   \
    X(codec, avcodec_find_decoder)                                             \
    X(codec, avcodec_alloc_context3)                                           \
    X(codec, avcodec_parameters_to_context)                                    \
    X(codec, avcodec_open2)                                                    \
    X(codec, avcodec_send_packet)                                              \
    X(codec, avcodec_receive_frame)                                            \
    X(codec, avcodec_free_context)                                             \
    X(codec, av_packet_alloc)                                                  \
    X(codec, av_packet_free)                                                   \
    X(codec, av_packet_unref)                                                  \
    X(util, av_frame_alloc)                                                    \
    X(util, av_frame_free)                                                     \
    X(util, av_dict_set)                                                       \
    X(util, av_dict_free)                                                      \
    X(util, av_strerror)                                                       \
    X(util, av_log_set_level)                                                  \
    X(scale, sws_getCachedContext)                                             \
    X(scale, sws_scale)                                                        \
    X(scale, sws_freeContext)                                                  \
    X(device, avdevice_register_all)

typedef struct oc__ffmpeg {
#define OC_FFMPEG_FIELD(library, name) __typeof__(name) *name;
    OC_FFMPEG_MAP(OC_FFMPEG_FIELD)
#undef OC_FFMPEG_FIELD
} oc__ffmpeg;

/** NULL: they are not there. */
const oc__ffmpeg *oc__ffmpeg_get(void);

#endif
#endif
