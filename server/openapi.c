/*
 * openapi.c - the table of routes as an OpenAPI 3.1 document, so that the two
 * cannot differ.
 */
#include "routes.h"

#include <string.h>

/* Other answers than success, which every route may give. */
static const struct {
    const char *code, *text;
} failures[] = {
    {"400", "The request makes no sense; the sentence says why"},
    {"401", "No API key, or one that is not known"},
    {"403", "The key may not do this"},
    {"404", "There is no such model"},
    {"406", "A type of answer that is not made"},
    {"413", "Too large"},
    {"415", "A format that is not read"},
    {"429", "The rate limit of the key is reached; see Retry-After"},
    {"503", "The queue is full, or the model does not serve now"},
    {"504", "The time for the request is over"},
};

static void put_schema_ref(json *j, const char *name) {
    char ref[80];
    snprintf(ref, sizeof ref, "#/components/schemas/%s", name);
    json_object(j, "schema");
    json_string(j, "$ref", ref);
    json_end(j);
}

static void put_schema_type(json *j, const char *key, const char *type) {
    json_object(j, key);
    json_string(j, "type", type);
    json_end(j);
}

/* One kind of content; schema NULL: bytes. */
static void put_content(json *j, const char *type, const char *schema) {
    json_object(j, type);
    if (schema) put_schema_ref(j, schema);
    json_end(j);
}

/* To begin with; nothing else in a body of this kind is as short. */
static void put_example(json *j, const char *kind) {
    json_object(j, "example");
    if (!strcmp(kind, "infer")) {
        json_array(j, "inputs");
        json_object(j, NULL);
        json_string(j, "name", "x");
        json_string(j, "datatype", "FP32");
        json_row(j, "shape");
        json_int(j, NULL, 1);
        json_int(j, NULL, 2);
        json_end(j);
        json_row(j, "data");
        json_double(j, NULL, 0.5);
        json_double(j, NULL, 1.5);
        json_end(j);
        json_end(j);
        json_end(j);
    } else if (!strcmp(kind, "speech")) {
        json_string(j, "input", "A bus ahead.");
        json_double(j, "speed", 1);
        json_string(j, "response_format", "wav");
    }
    json_end(j);
}

/* The same with what one may begin with. */
static void put_json_body(json *j, const char *kind, const char *schema) {
    json_object(j, TYPE_JSON);
    put_schema_ref(j, schema);
    put_example(j, kind);
    json_end(j);
}

static void put_pictures(json *j) {
    put_content(j, "image/png", NULL);
    put_content(j, "image/jpeg", NULL);
    put_content(j, "image/webp", NULL);
}

static void put_body(json *j, const char *kind) {
    json_object(j, "requestBody");
    json_bool(j, "required", strcmp(kind, "object") != 0);
    json_object(j, "content");
    if (!strcmp(kind, "infer")) {
        put_json_body(j, kind, "InferRequest");
        put_content(j, TYPE_BYTES, NULL);
    } else if (!strcmp(kind, "picture")) {
        put_pictures(j);
        put_content(j, TYPE_BYTES, NULL);
        put_content(j, "multipart/form-data", "PictureForm");
    } else if (!strcmp(kind, "speech")) {
        put_json_body(j, kind, "SpeechRequest");
    } else {
        put_json_body(j, kind, "Object");
    }
    json_end(j);
    json_end(j);
}

static void put_success(json *j, const char *kind) {
    json_object(j, "200");
    json_string(j, "description", "It is done");
    if (strcmp(kind, "empty") != 0) {
        json_object(j, "content");
        if (!strcmp(kind, "infer")) {
            put_content(j, TYPE_JSON, "InferAnswer");
            put_content(j, TYPE_BYTES, NULL);
        } else if (!strcmp(kind, "result")) {
            put_content(j, TYPE_JSON, "Result");
            put_pictures(j);
        } else if (!strcmp(kind, "description")) {
            put_content(j, TYPE_JSON, "Description");
            put_content(j, "text/plain", NULL);
        } else if (!strcmp(kind, "audio")) {
            put_content(j, "audio/wav", NULL);
            put_content(j, "audio/pcm", NULL);
        } else if (!strcmp(kind, "picture")) {
            put_pictures(j);
        } else if (!strcmp(kind, "text")) {
            put_content(j, "text/plain", NULL);
        } else {
            put_content(j, TYPE_JSON, NULL);
        }
        json_end(j);
    }
    json_end(j);
}

static void put_answers(json *j, const route *r) {
    json_object(j, "responses");
    put_success(j, r->answer);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        json_object(j, failures[i].code);
        json_string(j, "description", failures[i].text);
        json_object(j, "content");
        put_content(j, TYPE_JSON, "Error");
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

static void put_parameter(json *j, const char *in, const char *name,
                          const char *type, const char *help) {
    json_object(j, NULL);
    json_string(j, "name", name);
    json_string(j, "in", in);
    json_bool(j, "required", !strcmp(in, "path"));
    json_string(j, "description", help);
    put_schema_type(j, "schema", type);
    json_end(j);
}

static void put_parameters(json *j, const route *r) {
    json_array(j, "parameters");
    if (strstr(r->path, "{model}"))
        put_parameter(j, "path", "model", "string", "name of the model");
    if (strstr(r->path, "{version}"))
        put_parameter(j, "path", "version", "string", "number of its version");
    for (const route_query *q = r->query; q && q->name; q++) {
        put_parameter(j, "query", q->name, q->type, q->help);
    }
    if (r->body && !strcmp(r->body, "infer"))
        put_parameter(j, "header", "Inference-Header-Content-Length", "integer",
                      "bytes of JSON that tensors follow in a body with both; "
                      "0: the body is the only input");
    json_end(j);
}

/* The first that fits; groups routes for whoever shows the document. */
static const char *tag_of(const char *path) {
    static const struct {
        const char *begin, *tag;
    } tags[] = {
        {"/v1/audio", "speech"},
        {"/v1", "pictures"},
        {"/v2/repository", "repository"},
        {"/v2/models", "models"},
        {"/v2", "server"},
        {"/", "watching"},
    };
    size_t i = 0;
    while (strncmp(path, tags[i].begin, strlen(tags[i].begin)) != 0)
        i++;
    return tags[i].tag;
}

static void put_operation(json *j, const route *r) {
    json_object(j, strcmp(r->method, "GET") ? "post" : "get");
    json_string(j, "operationId", r->name);
    json_string(j, "summary", r->summary);
    json_array(j, "tags");
    json_string(j, NULL, tag_of(r->path));
    json_end(j);
    put_parameters(j, r);
    if (r->body) put_body(j, r->body);
    put_answers(j, r);
    if (r->flags & ROUTE_OPEN) { /* no key */
        json_array(j, "security");
        json_end(j);
    }
    json_end(j);
}

/* Routes of one path stand behind one another in the table. */
static void put_paths(json *j) {
    json_object(j, "paths");
    for (size_t i = 0; i < route_count; i++) {
        int is_first = !i || strcmp(routes[i].path, routes[i - 1].path) != 0;
        if (is_first && i) json_end(j);
        if (is_first) json_object(j, routes[i].path);
        put_operation(j, &routes[i]);
    }
    json_end(j);
    json_end(j);
}

/* ---- schemas --------------------------------------------------------------
 */

static void open_object(json *j, const char *name) {
    json_object(j, name);
    json_string(j, "type", "object");
    json_object(j, "properties");
}

static void close_object(json *j, const char *required) {
    json_end(j);
    if (required) {
        json_array(j, "required");
        json_string(j, NULL, required);
        json_end(j);
    }
    json_end(j);
}

static void put_array_of(json *j, const char *key, const char *schema) {
    char ref[80];
    snprintf(ref, sizeof ref, "#/components/schemas/%s", schema);
    json_object(j, key);
    json_string(j, "type", "array");
    json_object(j, "items");
    json_string(j, "$ref", ref);
    json_end(j);
    json_end(j);
}

static void put_tensor_schema(json *j) {
    open_object(j, "Tensor");
    put_schema_type(j, "name", "string");
    put_schema_type(j, "datatype", "string");
    json_object(j, "shape");
    json_string(j, "type", "array");
    put_schema_type(j, "items", "integer");
    json_end(j);
    put_schema_type(j, "data", "array");
    put_schema_type(j, "parameters", "object");
    close_object(j, "name");
}

static void put_infer_schemas(json *j) {
    put_tensor_schema(j);
    open_object(j, "InferRequest");
    put_schema_type(j, "id", "string");
    put_array_of(j, "inputs", "Tensor");
    put_array_of(j, "outputs", "Tensor");
    put_schema_type(j, "parameters", "object");
    close_object(j, "inputs");
    open_object(j, "InferAnswer");
    put_schema_type(j, "model_name", "string");
    put_schema_type(j, "model_version", "string");
    put_schema_type(j, "id", "string");
    put_array_of(j, "outputs", "Tensor");
    close_object(j, "outputs");
}

static void put_finding_schema(json *j) {
    open_object(j, "Finding");
    put_schema_type(j, "label", "string");
    put_schema_type(j, "index", "integer");
    put_schema_type(j, "score", "number");
    put_schema_type(j, "fraction", "number");
    json_object(j, "box");
    json_string(j, "type", "array");
    put_schema_type(j, "items", "number");
    json_end(j);
    put_schema_type(j, "keypoints", "array");
    close_object(j, "label");
}

static void put_result_schemas(json *j) {
    put_finding_schema(j);
    open_object(j, "PictureResult");
    put_schema_type(j, "input", "string");
    put_schema_type(j, "width", "integer");
    put_schema_type(j, "height", "integer");
    put_schema_type(j, "time_ms", "object");
    put_array_of(j, "groups", "Finding");
    put_array_of(j, "labels", "Finding");
    put_array_of(j, "objects", "Finding");
    put_array_of(j, "classes", "Finding");
    close_object(j, "input");
    open_object(j, "Result");
    put_schema_type(j, "model", "string");
    put_schema_type(j, "task", "string");
    json_object(j, "guessed");
    json_string(j, "type", "array");
    put_schema_type(j, "items", "string");
    json_end(j);
    put_array_of(j, "results", "PictureResult");
    close_object(j, "results");
    open_object(j, "PictureForm");
    json_object(j, "file");
    json_string(j, "type", "string");
    json_string(j, "contentMediaType", TYPE_BYTES);
    json_end(j);
    close_object(j, "file");
}

static void put_description_schemas(json *j) {
    open_object(j, "Phrase");
    put_schema_type(j, "text", "string");
    put_schema_type(j, "of", "string");
    put_schema_type(j, "kind", "string");
    put_schema_type(j, "things", "array");
    put_schema_type(j, "areas", "array");
    put_schema_type(j, "labels", "array");
    close_object(j, "text");
    open_object(j, "PictureDescription");
    put_schema_type(j, "input", "string");
    put_schema_type(j, "width", "integer");
    put_schema_type(j, "height", "integer");
    put_schema_type(j, "time_ms", "object");
    put_schema_type(j, "short", "string");
    put_schema_type(j, "long", "string");
    put_array_of(j, "phrases", "Phrase");
    put_array_of(j, "things", "Finding");
    put_array_of(j, "areas", "Finding");
    put_array_of(j, "labels", "Finding");
    close_object(j, "short");
    open_object(j, "Description");
    put_schema_type(j, "models", "array");
    put_schema_type(j, "locale", "string");
    put_array_of(j, "results", "PictureDescription");
    close_object(j, "results");
}

static void put_speech_schema(json *j) {
    open_object(j, "SpeechRequest");
    put_schema_type(j, "input", "string");
    put_schema_type(j, "voice", "string");
    put_schema_type(j, "language", "string");
    put_schema_type(j, "speed", "number");
    put_schema_type(j, "response_format", "string");
    put_schema_type(j, "model", "string");
    close_object(j, "input");
}

static void put_components(json *j) {
    json_object(j, "components");
    json_object(j, "securitySchemes");
    json_object(j, "bearer");
    json_string(j, "type", "http");
    json_string(j, "scheme", "bearer");
    json_end(j);
    json_object(j, "key");
    json_string(j, "type", "apiKey");
    json_string(j, "in", "header");
    json_string(j, "name", "X-API-Key");
    json_end(j);
    json_end(j);
    json_object(j, "schemas");
    put_schema_type(j, "Object", "object");
    open_object(j, "Error");
    put_schema_type(j, "error", "string");
    close_object(j, "error");
    put_infer_schemas(j);
    put_result_schemas(j);
    put_description_schemas(j);
    put_speech_schema(j);
    json_end(j);
    json_end(j);
}

/* Either of two headers with a key; nothing where there are no keys. */
static void put_security(json *j, int has_keys) {
    static const char *const ways[] = {"bearer", "key"};
    json_array(j, "security");
    for (size_t i = 0; i < COUNT_OF(ways) && has_keys; i++) {
        json_object(j, NULL);
        json_array(j, ways[i]);
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

job_result openapi_document(request *r) {
    reply_text t;
    if (reply_begin(r, &t)) return JOB_ENDED;
    json *j = &t.j;
    json_object(j, NULL);
    json_string(j, "openapi", "3.1.0");
    json_object(j, "info");
    json_string(j, "title", "ocelli");
    json_string(j, "version", oc_version());
    json_string(j, "description",
                "Vision networks: the Open Inference Protocol (KServe v2), "
                "and pictures in, results out.");
    json_end(j);
    put_security(j, auth_has_keys(r->server->auth));
    put_paths(j);
    put_components(j);
    json_end(j);
    reply_end(r, &t, 200, TYPE_JSON);
    return JOB_ENDED;
}
