/* decoders.c - the table of decoders. */
#include "tasks/decode.h"

#include <stdio.h>
#include <string.h>

/* Segmenting classes are counted by segment.c, which knows the layout. */
const oc__decoder oc__decoders[] = {
    {"softmax", OC_TASK_CLASSIFY, 1, -1, 0, 0, 0, OC_NMS_NONE, NULL,
     "[N,C] probabilities"},
    {"logits", OC_TASK_CLASSIFY, 1, -1, 0, 0, 0, OC_NMS_NONE, NULL,
     "[N,C] logits"},
    {"sigmoid", OC_TASK_CLASSIFY, 1, -1, 0, 0, 0, OC_NMS_NONE, NULL,
     "[N,C] logits of independent labels"},
    {"yolox", OC_TASK_DETECT, 1, -1, 5, 0.35, 0.65, OC_NMS_CLASS,
     oc__decode_yolox, "[N,5+C], raw, one row per grid cell"},
    {"yolov5", OC_TASK_DETECT, 1, -1, 5, 0.35, 0.6, OC_NMS_CLASS,
     oc__decode_yolov5, "[N,5+C], boxes in pixels"},
    {"yolov8", OC_TASK_DETECT, 1, 0, 4, 0.35, 0.7, OC_NMS_CLASS,
     oc__decode_yolov8, "[4+C,N], boxes in pixels"},
    {"rows", OC_TASK_DETECT, 1, 0, 0, 0.35, 0, OC_NMS_NONE, oc__decode_rows,
     "[N,6]: x1, y1, x2, y2, score, class"},
    {"ssd", OC_TASK_DETECT, 2, -1, 0, 0.35, 0.6, OC_NMS_CLASS, oc__decode_ssd,
     "scores [A,C] and box codes [A,4] for A anchors"},
    {"nanodet", OC_TASK_DETECT, 1, 0, 0, 0.35, 0.6, OC_NMS_CLASS,
     oc__decode_nanodet, "scores [N,C] and distances [N,4*bins] per stride"},
    {"ultraface", OC_TASK_DETECT, 2, -1, 0, 0.7, 0.3, OC_NMS_CLASS,
     oc__decode_ultraface, "scores [N,C] and boxes [N,4] from 0 to 1"},
    {"yunet", OC_TASK_DETECT, 12, 0, 0, 0.6, 0.3, OC_NMS_CLASS,
     oc__decode_yunet, "cls, obj, bbox and kps for each stride"},
    {"detr", OC_TASK_DETECT, 2, -1, 0, 0.5, 0, OC_NMS_NONE, oc__decode_detr,
     "logits [Q,C] and boxes [Q,4]"},
    {"torchvision", OC_TASK_DETECT, 3, 0, 0, 0.5, 0, OC_NMS_NONE,
     oc__decode_torchvision, "boxes [N,4], labels [N] and scores [N]"},
    {"tf_nms", OC_TASK_DETECT, 3, 0, 0, 0.35, 0, OC_NMS_NONE, oc__decode_tf_nms,
     "boxes [N,4], classes [N], scores [N] and a count"},
    {"centernet", OC_TASK_DETECT, 3, -3, 0, 0.35, 0, OC_NMS_NONE,
     oc__decode_centernet, "heat map [C,h,w], sizes and offsets [2,h,w]"},
    {"heatmap", OC_TASK_DETECT, 1, 0, 0, 0.1, 0, OC_NMS_NONE,
     oc__decode_heatmap, "[K,h,w], a map for each keypoint"},
    {"movenet", OC_TASK_DETECT, 1, 0, 0, 0.2, 0, OC_NMS_NONE,
     oc__decode_movenet, "[1,K,3]: y, x, score of each keypoint"},
    {"logits", OC_TASK_SEGMENT, 1, 0, 0, 0.5, 0, OC_NMS_NONE, NULL,
     "class scores [C,h,w] or [h,w,C]"},
    {"argmax", OC_TASK_SEGMENT, 1, 0, 0, 0.5, 0, OC_NMS_NONE, NULL,
     "class numbers [h,w]"},
    {"mask", OC_TASK_SEGMENT, 1, 0, 0, 0.5, 0, OC_NMS_NONE, NULL,
     "a foreground score [h,w]"},
    {"image", OC_TASK_RESTORE, 1, 0, 0, 0, 0, OC_NMS_NONE, NULL,
     "a picture of as many channels as the input"},
    {NULL, OC_TASK_NONE, 0, 0, 0, 0, 0, OC_NMS_NONE, NULL, NULL},
};

const oc__decoder *oc__decoder_find(oc_task task, const char *kind) {
    for (const oc__decoder *d = oc__decoders; kind && d->kind; d++) {
        if (d->task == task && !strcmp(d->kind, kind)) return d;
    }
    return NULL;
}

const char *oc__decoder_list(oc_task task, char *out, size_t room) {
    size_t used = 0;
    *out = 0;
    for (const oc__decoder *d = oc__decoders; d->kind; d++) {
        if (d->task != task) continue;
        int n = snprintf(out + used, room - used, "%s%s", used ? ", " : "",
                         d->kind);
        if (n > 0 && used + (size_t)n < room) used += (size_t)n;
    }
    return out;
}
