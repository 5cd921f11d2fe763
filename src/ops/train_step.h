/*
 * train_step.h - the numbers of one training step, which change from step to
 * step without a new program: one input f32[OC_KNOBS] of the graph.
 */
#ifndef OC_OPS_TRAIN_STEP_H
#define OC_OPS_TRAIN_STEP_H

enum {
    OC_KNOB_RATE,     /* learning rate */
    OC_KNOB_DECAY,    /* weight decay */
    OC_KNOB_MOMENTUM, /* SGD's; AdamW's beta 1 */
    OC_KNOB_BETA2,    /* AdamW's */
    OC_KNOB_EPSILON,  /* AdamW's */
    OC_KNOB_CLIP,     /* greatest norm of all gradients; 0: any */
    OC_KNOB_BIAS1,    /* AdamW's 1 - beta1^t, */
    OC_KNOB_BIAS2,    /* and 1 - beta2^t, of step t = 1, 2 ... */
    OC_KNOB_EMA,      /* how much of an average stays */
    OC_KNOBS = 16
};

#endif
