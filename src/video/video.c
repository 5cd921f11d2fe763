/* video.c - videos opened, read and turned into pictures. */
#define _POSIX_C_SOURCE 200809L

#include "base/memory.h"
#include "base/size.h"
#include "video/ffmpeg.h"

#include <ocelli/video.h>

#include <string.h>
#include <time.h>

#if OC_HAVE_FFMPEG

/* A file may have this much that is no picture before one is found. */
enum { MAX_BAD_PACKETS = 1000, MAX_SIDE = 1920 };

struct oc_video {
    const oc__ffmpeg *api;
    oc_video_options opt;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *scale;
    int stream, is_live, is_draining, is_stopped, bad;
    double first_s; /* time of the first picture, before it < 0 */
    int64_t count;
    double wait_until; /* monotonic seconds */
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* FFmpeg asks this while it waits; nonzero ends the wait. */
static int should_stop(void *user) {
    oc_video *v = user;
    if (v->opt.stop && v->opt.stop(v->opt.user)) v->is_stopped = 1;
    return v->is_stopped || now() > v->wait_until;
}

static oc_status why_not(oc_video *v, const char *source, int code,
                         oc_error *err) {
    char text[128] = "";
    v->api->av_strerror(code, text, sizeof text);
    if (v->is_stopped)
        return oc__fail(err, OC_E_CANCELLED, "stopped while waiting for %.200s",
                        source);
    if (code == AVERROR(ENOMEM)) return oc__fail_nomem(err);
    if (code == AVERROR_EXIT)
        return oc__fail(err, OC_E_IO, "%.200s does not answer", source);
    if (code == AVERROR_INVALIDDATA)
        return oc__fail(err, OC_E_FORMAT, "%.200s is no video", source);
    return oc__fail(err, OC_E_IO, "cannot read %.200s: %s", source, text);
}

/* ---- opening --------------------------------------------------------------
 */

static int is_url(const char *source) {
    const char *at = strstr(source, "://");
    return at && at > source && strncmp(source, "file", 4) != 0;
}

static int is_camera(const char *source) {
    return !strncmp(source, "/dev/video", 10);
}

static oc_status open_input(oc_video *v, const char *source, oc_error *err) {
    const AVInputFormat *kind = NULL;
    AVDictionary *how = NULL;
    if (is_camera(source)) {
        kind = v->api->av_find_input_format("video4linux2");
        if (!kind)
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "this FFmpeg reads no cameras");
    }
    v->format = v->api->avformat_alloc_context();
    if (!v->format) return oc__fail_nomem(err);
    v->format->interrupt_callback.callback = should_stop;
    v->format->interrupt_callback.opaque = v;
    /* TCP: a picture with holes in it is worse than one that comes late. */
    v->api->av_dict_set(&how, "rtsp_transport", "tcp", 0);
    int code = v->api->avformat_open_input(&v->format, source, kind, &how);
    v->api->av_dict_free(&how);
    if (code < 0) return why_not(v, source, code, err);
    code = v->api->avformat_find_stream_info(v->format, NULL);
    if (code < 0) return why_not(v, source, code, err);
    return OC_OK;
}

static oc_status open_codec(oc_video *v, const char *source, oc_error *err) {
    v->stream = v->api->av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1,
                                            -1, NULL, 0);
    if (v->stream < 0)
        return oc__fail(err, OC_E_FORMAT, "%.200s has no pictures in it",
                        source);
    const AVCodecParameters *of = v->format->streams[v->stream]->codecpar;
    const AVCodec *codec = v->api->avcodec_find_decoder(of->codec_id);
    if (!codec)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "%.200s is coded in a way this FFmpeg does not know",
                        source);
    v->codec = v->api->avcodec_alloc_context3(codec);
    v->packet = v->api->av_packet_alloc();
    v->frame = v->api->av_frame_alloc();
    if (!v->codec || !v->packet || !v->frame) return oc__fail_nomem(err);
    int code = v->api->avcodec_parameters_to_context(v->codec, of);
    if (code >= 0) code = v->api->avcodec_open2(v->codec, codec, NULL);
    return code < 0 ? why_not(v, source, code, err) : OC_OK;
}

static oc_status check(const oc_video_options *opt, oc_error *err) {
    if (opt->max_side < 0 || opt->max_side > 1 << 15)
        return oc__fail(err, OC_E_ARG, "max_side is 0 to 32768, not %d",
                        opt->max_side);
    /* Turned so that NaN fails it. */
    if (!(opt->wait_s >= 0 && opt->wait_s <= 1e6))
        return oc__fail(err, OC_E_ARG, "a wait is 0 to 1000000 seconds");
    return OC_OK;
}

oc_status oc_video_open(oc_video **out, const char *source,
                        const oc_video_options *opt, oc_error *err) {
    static const oc_video_options none;
    if (!opt) opt = &none;
    OC_TRY(check(opt, err));
    const oc__ffmpeg *api = oc__ffmpeg_get();
    if (!api)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "videos and cameras need FFmpeg's libraries (%s), "
                        "which are not installed",
                        LIBAVFORMAT_IDENT);
    oc_video *v = oc__calloc(&oc__default_allocator, 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    v->api = api;
    v->opt = *opt;
    if (!v->opt.max_side) v->opt.max_side = MAX_SIDE;
    if (v->opt.wait_s <= 0) v->opt.wait_s = 10;
    v->first_s = -1;
    v->is_live = is_camera(source) || is_url(source);
    v->wait_until = now() + v->opt.wait_s;
    oc_status st = open_input(v, source, err);
    if (!st) st = open_codec(v, source, err);
    if (st)
        oc_video_close(v);
    else
        *out = v;
    return st;
}

void oc_video_close(oc_video *v) {
    if (!v) return;
    v->wait_until = now() + 1;
    if (v->scale) v->api->sws_freeContext(v->scale);
    if (v->frame) v->api->av_frame_free(&v->frame);
    if (v->packet) v->api->av_packet_free(&v->packet);
    if (v->codec) v->api->avcodec_free_context(&v->codec);
    if (v->format) v->api->avformat_close_input(&v->format);
    oc__release(&oc__default_allocator, v, sizeof *v);
}

int oc_video_is_live(const oc_video *v) {
    return v->is_live;
}

double oc_video_rate(const oc_video *v) {
    AVRational r = v->format->streams[v->stream]->avg_frame_rate;
    return r.num > 0 && r.den > 0 ? (double)r.num / r.den : 0;
}

/* ---- reading --------------------------------------------------------------
 */

static double time_of(oc_video *v) {
    AVRational base = v->format->streams[v->stream]->time_base;
    int64_t at = v->frame->best_effort_timestamp;
    double rate = oc_video_rate(v);
    double s = at != AV_NOPTS_VALUE && base.den
                   ? (double)at * base.num / base.den
                   : (double)v->count / (rate > 0 ? rate : 25);
    if (v->first_s < 0) v->first_s = s;
    return OC_MAX(s - v->first_s, 0.0);
}

/* One packet more for the decoder; *code as FFmpeg has it. */
static oc_status feed(oc_video *v, oc_error *err) {
    v->wait_until = now() + v->opt.wait_s;
    int code = v->api->av_read_frame(v->format, v->packet);
    if (code == AVERROR(EAGAIN)) return OC_OK;
    if (v->is_stopped)
        return oc__fail(err, OC_E_CANCELLED, "stopped while waiting");
    if (code < 0 && code != AVERROR_EOF && v->is_live)
        return oc__fail(err, OC_E_IO, "the source does not answer any more");
    if (code < 0) { /* the end, or a file cut short: what is left comes out */
        v->is_draining = 1;
        v->api->avcodec_send_packet(v->codec, NULL);
        return OC_OK;
    }
    if (v->packet->stream_index == v->stream &&
        v->api->avcodec_send_packet(v->codec, v->packet) < 0)
        v->bad++;
    v->api->av_packet_unref(v->packet);
    if (v->bad > MAX_BAD_PACKETS)
        return oc__fail(err, OC_E_FORMAT, "the video is damaged");
    return OC_OK;
}

oc_status oc_video_next(oc_video *v, double *seconds, oc_error *err) {
    for (;;) {
        int code = v->api->avcodec_receive_frame(v->codec, v->frame);
        if (code >= 0) {
            *seconds = time_of(v);
            v->count++;
            v->bad = 0;
            return OC_OK;
        }
        if (v->is_draining && v->count)
            return oc__fail(err, OC_E_LIMIT, "the video ends here");
        if (v->is_draining)
            return oc__fail(err, OC_E_FORMAT, "the video has no pictures");
        OC_TRY(feed(v, err));
    }
}

oc_status oc_video_picture(oc_video *v, oc_image *out,
                           const oc_allocator *allocator, oc_error *err) {
    int width = v->frame->width, height = v->frame->height;
    int longer = OC_MAX(width, height);
    if (width < 1 || height < 1)
        return oc__fail(err, OC_E_ARG, "there is no picture at hand");
    if (longer > v->opt.max_side) {
        width = OC_MAX(1, (int)((int64_t)width * v->opt.max_side / longer));
        height = OC_MAX(1, (int)((int64_t)height * v->opt.max_side / longer));
    }
    v->scale = v->api->sws_getCachedContext(
        v->scale, v->frame->width, v->frame->height,
        (enum AVPixelFormat)v->frame->format, width, height, AV_PIX_FMT_RGB24,
        SWS_BILINEAR, NULL, NULL, NULL);
    if (!v->scale)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the video's pictures are of a kind that is not read");
    OC_TRY(oc_image_init(out, width, height, 3, allocator, err));
    uint8_t *planes[4] = {out->pixels, NULL, NULL, NULL};
    int strides[4] = {(int)out->stride, 0, 0, 0};
    v->api->sws_scale(v->scale, (const uint8_t *const *)v->frame->data,
                      v->frame->linesize, 0, v->frame->height, planes, strides);
    return OC_OK;
}

int oc_video_is_there(void) {
    return oc__ffmpeg_get() != NULL;
}

#else

oc_status oc_video_open(oc_video **out, const char *source,
                        const oc_video_options *opt, oc_error *err) {
    (void)out, (void)opt;
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "%.200s: this build reads no videos, it was made without "
                    "FFmpeg",
                    source);
}

void oc_video_close(oc_video *v) {
    (void)v;
}

int oc_video_is_live(const oc_video *v) {
    (void)v;
    return 0;
}

double oc_video_rate(const oc_video *v) {
    (void)v;
    return 0;
}

oc_status oc_video_next(oc_video *v, double *seconds, oc_error *err) {
    (void)v, (void)seconds;
    return oc__fail(err, OC_E_UNSUPPORTED, "this build reads no videos");
}

oc_status oc_video_picture(oc_video *v, oc_image *out,
                           const oc_allocator *allocator, oc_error *err) {
    (void)v, (void)out, (void)allocator;
    return oc__fail(err, OC_E_UNSUPPORTED, "this build reads no videos");
}

int oc_video_is_there(void) {
    return 0;
}

#endif
