/* routes.h - the table of routes, and who handles what. */
#ifndef OCELLI_SERVER_ROUTES_H
#define OCELLI_SERVER_ROUTES_H

#include "request.h"

/**
 * Finds the route of r's method and path and fills in what is named in the
 * path.  NULL: *allowed lists the methods the path has, "" for none.
 */
const route *routes_find(request *r, char *allowed, size_t room);

/* kserve.c */
job_result kserve_server(request *r);
job_result kserve_live(request *r);
job_result kserve_ready(request *r);
job_result kserve_model(request *r);
job_result kserve_model_ready(request *r);
job_result kserve_model_stats(request *r);
job_result kserve_all_stats(request *r);
job_result kserve_index(request *r);
job_result kserve_load(request *r);
job_result kserve_unload(request *r);
/* kserve_infer.c */
job_result kserve_infer(request *r);
/* routes_task.c */
job_result task_classify(request *r);
job_result task_detect(request *r);
job_result task_segment(request *r);
job_result task_restore(request *r);
job_result task_models(request *r);
/* routes_words.c */
job_result task_describe(request *r);
/* routes_speech.c */
job_result audio_speech(request *r);
/* openapi.c */
job_result openapi_document(request *r);
/* page.c */
job_result page_answer(request *r);
/* routes.c */
job_result metrics_text(request *r);

#endif
