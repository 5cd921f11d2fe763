/* verb_devices.c - ocelli devices: what this machine has to compute with. */
#include "cli.h"
#include "json.h"
#include "out.h"

#include <ocelli/speech.h>
#include <ocelli/video.h>

#include <string.h>

static void json_devices(const oc_cpu_info *info, double peak) {
    json j;
    uint32_t bit;
    const char *name;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_array(&j, "devices");
    json_object(&j, NULL);
    json_string(&j, "name", info->name);
    json_string(&j, "kind", "cpu");
    json_string(&j, "backend", "native");
    json_int(&j, "cores", info->cores);
    json_row(&j, "features");
    for (int i = 0; (name = oc_cpu_feature_name(i, &bit)); i++) {
        if (info->features & bit) json_string(&j, NULL, name);
    }
    json_end(&j);
    json_int(&j, "l1d_bytes", (int64_t)info->l1d_bytes);
    json_int(&j, "l2_bytes", (int64_t)info->l2_bytes);
    json_int(&j, "l3_bytes", (int64_t)info->l3_bytes);
    json_int(&j, "memory_bytes", (int64_t)info->memory_bytes);
    json_double(&j, "core_gflops", peak / 1e9);
    json_end(&j);
    json_end(&j);
    json_row(&j, "voices");
    for (int i = 0; (name = oc_voice_name(i)); i++) {
        if (oc_voice_is_there(i)) json_string(&j, NULL, name);
    }
    if (oc_voice_has_espeak()) json_string(&j, NULL, "espeak-ng");
    json_end(&j);
    json_bool(&j, "video", oc_video_is_there());
    json_end(&j);
}

/* "slt rms awb kal16 kal espeak-ng" */
static void row_voices(out_table *t) {
    char names[128] = "";
    const char *name;
    for (int i = 0; (name = oc_voice_name(i)); i++) {
        if (!oc_voice_is_there(i)) continue;
        strcat(names, name);
        strcat(names, " ");
    }
    strcat(names, oc_voice_has_espeak() ? "espeak-ng" : "");
    out_cell(t, "voices");
    out_cell(t, "%s", *names ? names : "none: no flite, no espeak-ng");
}

static void row_bytes(out_table *t, const char *what, size_t bytes) {
    char text[16];
    out_cell(t, "%s", what);
    out_cell(t, "%s",
             bytes ? out_bytes((double)bytes, text, sizeof(text)) : "unknown");
}

static void text_devices(const oc_cpu_info *info, double peak) {
    out_table t;
    uint32_t bit;
    const char *name;
    char sets[256] = "";
    for (int i = 0; (name = oc_cpu_feature_name(i, &bit)); i++) {
        if (!(info->features & bit)) continue;
        if (*sets) strcat(sets, " ");
        strcat(sets, name);
    }
    out_table_init(&t, "ll");
    out_cell(&t, "cpu");
    out_cell(&t, "%s", *info->name ? info->name : "unknown");
    out_cell(&t, "cores to use");
    out_cell(&t, "%d", info->cores);
    out_cell(&t, "instruction sets");
    out_cell(&t, "%s", *sets ? sets : "plain C");
    out_cell(&t, "peak of a core");
    out_cell(&t, "%.1f GFLOP/s (f32)", peak / 1e9);
    row_bytes(&t, "L1 data", info->l1d_bytes);
    row_bytes(&t, "L2", info->l2_bytes);
    row_bytes(&t, "L3", info->l3_bytes);
    row_bytes(&t, "memory", info->memory_bytes);
    row_voices(&t);
    out_cell(&t, "videos");
    out_cell(&t, "%s", oc_video_is_there() ? "by FFmpeg" : "none: no FFmpeg");
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static int run_devices(cli_args *args) {
    oc_cpu_info info;
    oc_cpu_describe(&info);
    double peak = oc_cpu_peak_flops(0);
    if (cli_has(args, "json"))
        json_devices(&info, peak);
    else
        text_devices(&info, peak);
    return CLI_OK;
}

static const cli_option options[] = {CLI_OPT_JSON, CLI_OPT_QUIET, CLI_OPT_END};

const cli_verb cli_verb_devices = {
    "devices",
    "",
    "show what this machine can compute with",
    "Shows the processor, the cores this process may use (affinity and cgroup "
    "quota considered), instruction sets, caches, the measured peak of a "
    "core, the voices it can speak with, and whether it "
    "reads videos.",
    options,
    0,
    0,
    run_devices,
};
