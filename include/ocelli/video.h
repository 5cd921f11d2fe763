/** @file
 * video.h - pictures of cameras, video files and network streams, one by one.
 *
 *     oc_video *video; oc_image frame; double seconds; oc_error e;
 *     if (oc_video_open(&video, "street.mp4", NULL, &e)) die(e.message);
 *     while (!oc_video_next(video, &seconds, &e)) {
 *         if (oc_video_picture(video, &frame, NULL, &e)) break;
 *         ...
 *         oc_image_deinit(&frame);
 *     }
 *     oc_video_close(video);
 *
 * FFmpeg's libraries read them; they are loaded when the first video is
 * opened.  Threads: a video is used by one thread at a time.  Errors are as in
 * ocelli.h.
 */
#ifndef OCELLI_VIDEO_H
#define OCELLI_VIDEO_H

#include <ocelli/vision.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An open video; opaque. */
typedef struct oc_video oc_video;

/** How a video is read.  Zero-initialise; zero means the default. */
typedef struct oc_video_options {
    int max_side;            /**< larger pictures are made smaller; 0: 1920 */
    int (*stop)(void *user); /**< asked while it waits; nonzero ends the wait
                                  with E_CANCELLED; may be NULL */
    void *user;              /**< handed to stop */
    double wait_s;           /**< longest wait for a network or a camera; 0:
                                  10 seconds */
} oc_video_options;

/** Whether FFmpeg's libraries can be loaded. */
OC_API int oc_video_is_there(void);

/**
 * Opens a source: a file, a URL as rtsp://..., a camera as /dev/video0.
 *   opt  NULL for defaults
 * Errors: E_IO when it is not there or does not answer; E_FORMAT when it is
 *   no video; E_UNSUPPORTED without FFmpeg, or for a coding it does not know;
 *   E_CANCELLED; E_NOMEM.
 */
OC_API oc_status oc_video_open(oc_video **out, const char *source,
                               const oc_video_options *opt, oc_error *err);
/** Closes it; NULL is ignored. */
OC_API void oc_video_close(oc_video *video);
/** Whether pictures come by themselves, of a camera or a network, so that
 * whoever is late must leave some out. */
OC_API int oc_video_is_live(const oc_video *video);
/** Pictures a second, 0 where it does not say. */
OC_API double oc_video_rate(const oc_video *video);

/**
 * Goes on to the next picture.
 *   seconds  receives its time from the first one
 * Errors: E_LIMIT behind the last one; E_FORMAT when nothing of what follows
 *   can be read; E_IO; E_CANCELLED.
 */
OC_API oc_status oc_video_next(oc_video *video, double *seconds, oc_error *err);
/**
 * The picture at hand, in RGB; may be left out.
 *   out  overwritten; free with oc_image_deinit()
 */
OC_API oc_status oc_video_picture(oc_video *video, oc_image *out,
                                  const oc_allocator *allocator, oc_error *err);

#ifdef __cplusplus
}
#endif
#endif
