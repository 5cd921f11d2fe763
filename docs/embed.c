#include <ocelli/vision.h>
#include <stdio.h>

int main(int argc, char **argv) {
    oc_model *model = NULL;
    oc_vision *vision = NULL;
    oc_image photo = {0};
    oc_result found = {0};
    oc_error e;
    if (argc != 3) return 2; /* app MODEL.onnx PHOTO */
    int failed = oc_model_load(&model, argv[1], NULL, &e) ||
                 oc_vision_create(&vision, model, NULL, &e) ||
                 oc_image_load(&photo, argv[2], NULL, &e) ||
                 oc_vision_run(vision, &photo, &found, &e);
    if (failed) fprintf(stderr, "%s\n", e.message);
    for (int i = 0; i < found.object_count; i++)
        printf("%s %.2f\n", found.objects[i].label, found.objects[i].score);
    oc_result_deinit(&found);
    oc_image_deinit(&photo);
    oc_vision_destroy(vision);
    oc_model_destroy(model);
    return failed;
}
