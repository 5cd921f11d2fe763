/*
 * test_dataset.c - src/data: which folders are data sets, what is said about
 * those that are none, COCO's measure by hand.  That its figures are those of
 * pycocotools is shown in tests/oracle/test_eval.py.
 *
 * Pictures are not opened by the readers, so empty files stand for them.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "testing.h"

#include "data/dataset.h"
#include "data/voc_xml.h"

#include <ftw.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *where) {
    (void)st, (void)flag, (void)where;
    return remove(path);
}

static int remove_root(void **state) {
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_root(void **state) {
    (void)state;
    const char *dir = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%s/oc-dataset-XXXXXX", dir ? dir : "/tmp");
    return mkdtemp(root) ? 0 : 1;
}

/** root/name; the text of one call is gone after four more. */
static const char *in_root(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

/** Writes a file of n bytes, making its folders. */
static void put_bytes(const char *name, const void *data, size_t n) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *s = path + strlen(root) + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        mkdir(path, 0777);
        *s = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (n) assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text) {
    put_bytes(name, text, strlen(text));
}

static oc_dataset *opened(const char *name, oc_task task, const char *split) {
    oc_dataset *d = NULL;
    oc_error err;
    if (oc_dataset_open(&d, in_root(name), task, split, NULL, &err))
        fail_msg("%s", err.message);
    return d;
}

/** Asserts that it is refused, with words of the sentence. */
static void refused(const char *name, oc_task task, const char *split,
                    oc_status status, const char *words) {
    oc_dataset *d = NULL;
    oc_error err;
    memset(&err, 0, sizeof(err));
    oc_status st = oc_dataset_open(&d, in_root(name), task, split, NULL, &err);
    if (st != status || !strstr(err.message, words) ||
        strchr(err.message, '\n'))
        fail_msg("status %d, \"%s\"; wanted %d, \"...%s...\"", (int)st,
                 err.message, (int)status, words);
    assert_null(d);
}

static void ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    if (n < m || strcmp(text + n - m, end) != 0)
        fail_msg("\"%s\" does not end in \"%s\"", text, end);
}

/* ---- classes --------------------------------------------------------------
 */

static void make_folders(void) {
    put("folders/val/dog/2.png", "");
    put("folders/val/dog/1.jpg", "");
    put("folders/val/dog/notes.txt", "");
    put("folders/val/cat/3.jpg", "");
    put("folders/val/empty/readme.txt", "");
    put("folders/val/readme.txt", "");
    put("folders/val/.hidden/9.jpg", "");
    put("folders/train/bird/4.jpg", "");
}

static void dataset_takes_a_folder_for_each_class(void **state) {
    (void)state;
    make_folders();
    oc_dataset *d = opened("folders", OC_TASK_CLASSIFY, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    assert_int_equal(oc_dataset_class_count(d), 2);
    assert_string_equal(oc_dataset_class(d, 0), "cat");
    assert_string_equal(oc_dataset_class(d, 1), "dog");
    assert_int_equal(oc_dataset_class_id(d, 1), 1);
    ends_in(oc_dataset_sample(d, 0)->picture, "/val/cat/3.jpg");
    ends_in(oc_dataset_sample(d, 1)->picture, "/val/dog/1.jpg");
    ends_in(oc_dataset_sample(d, 2)->picture, "/val/dog/2.png");
    assert_int_equal(oc_dataset_sample(d, 0)->label, 0);
    assert_int_equal(oc_dataset_sample(d, 2)->label, 1);
    assert_null(oc_dataset_sample(d, 3));
    assert_null(oc_dataset_sample(d, -1));
    assert_null(oc_dataset_class(d, 2));
    oc_dataset_destroy(d);
    d = opened("folders", OC_TASK_CLASSIFY, "train");
    assert_int_equal(oc_dataset_count(d), 1);
    assert_string_equal(oc_dataset_class(d, 0), "bird");
    oc_dataset_destroy(d);
    /* The folder itself has no parts of its own. */
    d = opened("folders/val", OC_TASK_CLASSIFY, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    oc_dataset_destroy(d);
    oc_dataset_destroy(NULL);
}

static void make_tree(void) {
    put("tree/val/animal/cat/1.jpg", "a");
    put("tree/val/animal/dog/2.jpg", "b");
    put("tree/val/misc/3.jpg", "c");
    put("tree/train/animal/cat/4.jpg", "d");
    put("table/labels.csv", "file,label,split\n1.jpg,a/b;c,val\n2.jpg,,val\n"
                            "3.jpg,c,train\n");
    put("table/1.jpg", "a");
    put("table/2.jpg", "b");
    put("table/3.jpg", "c");
}

/* The forms that training reads are measured on, too. */
static void dataset_takes_classes_in_classes_and_tables(void **state) {
    (void)state;
    make_tree();
    oc_dataset *d = opened("tree", OC_TASK_CLASSIFY, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    assert_int_equal(oc_dataset_class_count(d), 3);
    assert_false(oc_dataset_is_multi(d));
    assert_string_equal(oc_dataset_class(d, 0), "animal/cat");
    assert_string_equal(oc_dataset_class(d, 2), "misc");
    ends_in(oc_dataset_sample(d, 1)->picture, "/val/animal/dog/2.jpg");
    assert_int_equal(oc_dataset_sample(d, 1)->label, 1);
    oc_dataset_destroy(d);
    d = opened("tree", OC_TASK_CLASSIFY, "train");
    assert_int_equal(oc_dataset_count(d), 1);
    oc_dataset_destroy(d);

    d = opened("table", OC_TASK_CLASSIFY, NULL);
    assert_int_equal(oc_dataset_count(d), 2);
    assert_true(oc_dataset_is_multi(d));
    const oc_sample *s = oc_dataset_sample(d, 0);
    assert_int_equal(s->label_count, 2);
    assert_string_equal(oc_dataset_class(d, s->labels[0]), "a/b");
    assert_string_equal(oc_dataset_class(d, s->labels[1]), "c");
    s = oc_dataset_sample(d, 1);
    assert_int_equal(s->label_count, 0);
    assert_int_equal(s->label, -1);
    oc_dataset_destroy(d);
    d = opened("table/labels.csv", OC_TASK_CLASSIFY, "train");
    assert_int_equal(oc_dataset_count(d), 1);
    oc_dataset_destroy(d);
}

static void dataset_takes_a_list_of_labels(void **state) {
    (void)state;
    put("list/images/a b.jpg", "");
    put("list/images/c.jpg", "");
    put("list/d.jpg", "");
    put("list/labels.txt", "\xef\xbb\xbf"
                           "a b.jpg 7\r\n\nc.jpg,\t0\nd.jpg 999");
    oc_dataset *d = opened("list", OC_TASK_CLASSIFY, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    assert_int_equal(oc_dataset_class_count(d), 0);
    ends_in(oc_dataset_sample(d, 0)->picture, "/images/a b.jpg");
    ends_in(oc_dataset_sample(d, 2)->picture, "list/d.jpg");
    assert_int_equal(oc_dataset_sample(d, 0)->label, 7);
    assert_int_equal(oc_dataset_sample(d, 1)->label, 0);
    assert_int_equal(oc_dataset_sample(d, 2)->label, 999);
    oc_dataset_destroy(d);
}

static void dataset_names_the_line_when_a_label_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a.jpg 1\na.jpg\n", "line 2: \"a.jpg\" is not a file and the index"},
        {"a.jpg one", "line 1: \"a.jpg one\" is not"},
        {"a.jpg 1.5", "line 1: \"a.jpg 1.5\" is not"},
        {"a.jpg -1", "line 1: \"a.jpg -1\" is not"},
        {"a.jpg 99999999999", "is not a file and the index"},
        {"a.jpg 1\n\n\nb.jpg 2", "line 4: there is no picture"},
        {"1", "\"1\" is not"},
        {"", "holds no pictures"},
    };
    put("bad/a.jpg", "");
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        put("bad/labels.txt", cases[i].text);
        refused("bad", OC_TASK_CLASSIFY, NULL, OC_E_FORMAT, cases[i].words);
    }
    put_bytes("bad/labels.txt", "a\0.\0j\0p\0g\0", 10);
    refused("bad", OC_TASK_CLASSIFY, NULL, OC_E_FORMAT, "zero byte");
}

static void dataset_says_what_it_looked_for(void **state) {
    (void)state;
    put("nothing/readme.txt", "");
    refused("nothing", OC_TASK_CLASSIFY, NULL, OC_E_FORMAT,
            "holds no labels: neither a folder of pictures for each class nor "
            "labels.txt");
    refused("nothing", OC_TASK_DETECT, NULL, OC_E_FORMAT,
            "holds no boxes: neither COCO's JSON nor Pascal VOC's");
    refused("nothing", OC_TASK_SEGMENT, NULL, OC_E_FORMAT,
            "holds no masks: there must be the folders images and masks");
    refused("nothing", OC_TASK_RESTORE, NULL, OC_E_UNSUPPORTED,
            "no data sets to restore");
    refused("nowhere", OC_TASK_CLASSIFY, NULL, OC_E_IO, "there is no folder");
    refused("nothing/readme.txt", OC_TASK_CLASSIFY, NULL, OC_E_IO,
            "cannot read the folder");
}

/* ---- masks ----------------------------------------------------------------
 */

static void make_masks(void) {
    put("masks/classes.txt", "sky\nroad \r\n");
    put("masks/val/images/1.jpg", "");
    put("masks/val/images/2.png", "");
    put("masks/val/images/10.jpg", "");
    put("masks/val/images/unlabelled.jpg", "");
    put("masks/val/masks/10.png", "");
    put("masks/val/masks/1.png", "");
    put("masks/val/masks/2.png", "");
    put("masks/val/masks/notes.txt", "");
}

static void dataset_pairs_pictures_with_masks(void **state) {
    (void)state;
    make_masks();
    oc_dataset *d = opened("masks", OC_TASK_SEGMENT, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    assert_int_equal(oc_dataset_class_count(d), 2);
    assert_string_equal(oc_dataset_class(d, 1), "road");
    for (int i = 0; i < 3; i++) {
        static const char *const pictures[] = {"1.jpg", "10.jpg", "2.png"};
        static const char *const masks[] = {"1.png", "10.png", "2.png"};
        char path[64];
        snprintf(path, sizeof(path), "/val/images/%s", pictures[i]);
        ends_in(oc_dataset_sample(d, i)->picture, path);
        snprintf(path, sizeof(path), "/val/masks/%s", masks[i]);
        ends_in(oc_dataset_sample(d, i)->mask, path);
    }
    oc_dataset_destroy(d);
    put("orphan/images/1.jpg", "");
    put("orphan/masks/11.png", "");
    refused("orphan", OC_TASK_SEGMENT, NULL, OC_E_FORMAT,
            "the mask 11.png has no picture");
}

/* ---- COCO -----------------------------------------------------------------
 */

static const char coco[] =
    "{\"categories\": [{\"id\": 3, \"name\": \"car\"},\n"
    "                  {\"id\": 17, \"name\": \"cat\"}],\n"
    " \"images\": [{\"id\": 20, \"file_name\": \"b.jpg\"},\n"
    "              {\"id\": 4, \"file_name\": \"a.jpg\"}],\n"
    " \"annotations\": [\n"
    "  {\"id\": 0, \"image_id\": 20, \"category_id\": 17,\n"
    "   \"bbox\": [1, 2.5, 3, 4], \"area\": 7.5, \"iscrowd\": 1},\n"
    "  {\"image_id\": 4, \"category_id\": 3, \"bbox\": [0, 0, 5, 6]},\n"
    "  {\"image_id\": 99, \"category_id\": 3, \"bbox\": [0, 0, 5, 6]},\n"
    "  {\"id\": 8, \"image_id\": 20, \"category_id\": 3,\n"
    "   \"bbox\": [9, 9, 9, 9], \"iscrowd\": false}]}\n";

static void make_coco(void) {
    put("coco/instances.json", coco);
    put("coco/other.card.json", "{}");
    put("coco/images/a.jpg", "");
    put("coco/images/b.jpg", "");
}

static void check_coco(oc_dataset *d) {
    assert_int_equal(oc_dataset_count(d), 2);
    assert_int_equal(oc_dataset_class_count(d), 2);
    assert_string_equal(oc_dataset_class(d, 1), "cat");
    assert_int_equal(oc_dataset_class_id(d, 1), 17);
    /* In the order of ids. */
    const oc_sample *a = oc_dataset_sample(d, 0), *b = oc_dataset_sample(d, 1);
    ends_in(a->picture, "/a.jpg");
    assert_int_equal(a->id, 4);
    assert_int_equal(a->truth_count, 1);
    assert_int_equal(a->truths[0].category, 0);
    assert_int_equal(a->truths[0].id, 2); /* counted */
    assert_true(a->truths[0].area == 30); /* its box's */
    ends_in(b->picture, "/b.jpg");
    assert_int_equal(b->id, 20);
    assert_int_equal(b->truth_count, 2);
    assert_int_equal(b->truths[0].category, 1);
    assert_int_equal(b->truths[0].id, 0);
    assert_int_equal(b->truths[0].crowd, 1);
    assert_true(b->truths[0].box[1] == 2.5 && b->truths[0].area == 7.5);
    assert_int_equal(b->truths[1].id, 8);
    assert_int_equal(b->truths[1].crowd, 0);
    oc_dataset_destroy(d);
}

static void dataset_reads_coco_wherever_its_parts_lie(void **state) {
    (void)state;
#if !OC_HAVE_JANSSON
    skip();
#endif
    make_coco();
    check_coco(opened("coco", OC_TASK_DETECT, NULL));
    check_coco(opened("coco/instances.json", OC_TASK_DETECT, NULL));
    /* As published: annotations/instances_val2017.json, val2017/a.jpg. */
    put("coco17/annotations/instances_train2017.json", "{}");
    put("coco17/annotations/instances_val2017.json", coco);
    put("coco17/val2017/a.jpg", "");
    put("coco17/val2017/b.jpg", "");
    check_coco(opened("coco17", OC_TASK_DETECT, NULL));
    check_coco(opened("coco17", OC_TASK_DETECT, "val"));
    refused("coco17", OC_TASK_DETECT, "train", OC_E_FORMAT,
            "instances_train2017.json: there are no \"categories\"");
    /* As Roboflow exports: everything in one folder. */
    put("flat/test/_annotations.coco.json", coco);
    put("flat/test/a.jpg", "");
    put("flat/test/b.jpg", "");
    check_coco(opened("flat/test", OC_TASK_DETECT, NULL));
}

#define CATEGORIES "\"categories\": [{\"id\": 1, \"name\": \"x\"}]"
#define IMAGES     "\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}]"
#define MARK(text) "{" CATEGORIES "," IMAGES ", \"annotations\": [" text "]}"

static void dataset_names_the_item_when_json_is_wrong(void **state) {
    (void)state;
#if !OC_HAVE_JANSSON
    skip();
#endif
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "is not JSON"},
        {"{\"categories\": [}", "is not JSON: "},
        {"[]", "no \"categories\""},
        {"{\"categories\": {}}", "no \"categories\""},
        {"{\"categories\": [{\"id\": 1}]}", "\"categories\" item 0 has no id"},
        {"{\"categories\": [{\"id\": \"1\", \"name\": \"x\"}]}",
         "\"categories\" item 0"},
        {"{" CATEGORIES "}", "holds no pictures"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1}]}",
         "\"images\" item 0 has no id or no file_name"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1, \"file_name\": 5}]}",
         "\"images\" item 0"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1, \"file_name\": \"/a\"}]}",
         "item 0 names a file outside"},
        {"{" CATEGORIES
         ", \"images\": [{\"id\": 1, \"file_name\": \"x/../../a\"}]}",
         "item 0 names a file outside"},
        {"{" CATEGORIES
         ", \"images\": [{\"id\": 1, \"file_name\": \"gone.jpg\"}]}",
         "gone.jpg is nowhere in or below"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"},"
         "{\"id\": 1, \"file_name\": \"a.jpg\"}]}",
         "two \"images\" have the id 1"},
        {MARK("7"), "\"annotations\" item 0 has no image_id"},
        {MARK("{\"image_id\": 1}"), "item 0 has no image_id or no category_id"},
        {MARK("{\"image_id\": 1, \"category_id\": 1}"),
         "item 0 has no bbox of four numbers"},
        {MARK("{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3]}"),
         "item 0 has no bbox of four numbers"},
        {MARK("{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, "
              "null]}"),
         "item 0 has no bbox of four numbers"},
        {MARK("{\"image_id\": 1, \"category_id\": 2, \"bbox\": [1, 2, 3, 4]}"),
         "item 0 has an unknown category_id"},
        {MARK("{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1e999, 2, 3, "
              "4]}"),
         "is not JSON"},
    };
    put("json/images/a.jpg", "");
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        put("json/instances.json", cases[i].text);
        refused("json", OC_TASK_DETECT, NULL, OC_E_FORMAT, cases[i].words);
    }
    put("json/instances.json", MARK(""));
    oc_dataset *d = opened("json", OC_TASK_DETECT, NULL);
    assert_int_equal(oc_dataset_sample(d, 0)->truth_count, 0);
    oc_dataset_destroy(d);
}

/* ---- Pascal VOC -----------------------------------------------------------
 */

#define BOX                                                                    \
    "<bndbox><xmin>1</xmin><ymin> 2.5 </ymin>\n<xmax>11</xmax>"                \
    "<ymax>22</ymax></bndbox>"
#define OBJECT(inner) "<object>" inner "</object>"
#define PAGE(inner)   "<annotation>" inner "</annotation>"

static void make_voc(void) {
    put("voc/ImageSets/Main/val.txt", "2  1\n1 -1\n");
    put("voc/ImageSets/Main/train.txt", "3\n");
    put("voc/JPEGImages/1.jpg", "");
    put("voc/JPEGImages/2.png", "");
    put("voc/JPEGImages/frame.jpg", "");
    put("voc/Annotations/1.xml", "<?xml version=\"1.0\"?>\n<!DOCTYPE "
                                 "annotation>\n" PAGE(""));
    put("voc/Annotations/2.xml",
        PAGE(
            "<folder a='>'>x</folder><filename>2.png</filename>" OBJECT(
                "<name> dog\n</name>" BOX "<difficult>1</difficult>"
                "<part><name>head</name><bndbox><xmin>5</xmin></bndbox></part>")
                OBJECT(
                    "<attributes><attribute><name>rotation</name>"
                    "<xmin>77</xmin></attribute></attributes>" BOX
                    "<name>salt &amp; p&#xe9;pper</name>") "<!-- " OBJECT("<nam"
                                                                          "e>"
                                                                          "gone"
                                                                          "</"
                                                                          "name"
                                                                          ">") " -->"));
    put("voc/Annotations/3.xml", PAGE("<filename>frame.jpg</filename>" OBJECT(
                                     "<name>dog</name><pose/>" BOX)));
}

static void dataset_reads_voc(void **state) {
    (void)state;
    make_voc();
    oc_dataset *d = opened("voc", OC_TASK_DETECT, NULL);
    assert_int_equal(oc_dataset_count(d), 2);
    assert_int_equal(oc_dataset_class_count(d), 2);
    assert_string_equal(oc_dataset_class(d, 0), "dog");
    assert_string_equal(oc_dataset_class(d, 1), "salt & p\xc3\xa9pper");
    const oc_sample *s = oc_dataset_sample(d, 0);
    ends_in(s->picture, "/JPEGImages/2.png");
    assert_int_equal(s->truth_count, 2);
    for (int i = 0; i < 2; i++) {
        const oc_truth *t = &s->truths[i];
        assert_int_equal(t->category, i);
        assert_int_equal(t->id, i + 1);
        assert_int_equal(t->crowd, i == 0); /* difficult */
        assert_true(t->box[0] == 1 && t->box[1] == 2.5);
        assert_true(t->box[2] == 10 && t->box[3] == 19.5 && t->area == 195);
    }
    s = oc_dataset_sample(d, 1);
    ends_in(s->picture, "/JPEGImages/1.jpg");
    assert_int_equal(s->truth_count, 0);
    oc_dataset_destroy(d);
    /* An annotation may say what its picture is called. */
    d = opened("voc", OC_TASK_DETECT, "train");
    ends_in(oc_dataset_sample(d, 0)->picture, "/JPEGImages/frame.jpg");
    oc_dataset_destroy(d);
    refused("voc", OC_TASK_DETECT, "trainval", OC_E_IO,
            "there is no part \"trainval\"");
    /* No lists: all there are. */
    assert_int_equal(remove(in_root("voc/ImageSets/Main/val.txt")), 0);
    d = opened("voc", OC_TASK_DETECT, NULL);
    assert_int_equal(oc_dataset_count(d), 3);
    oc_dataset_destroy(d);
}

static void dataset_says_what_is_wrong_with_xml(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "1.xml: it is no XML"},
        {"hello", "it is no XML"},
        {"<!-- <annotation> -->", "it is no XML"},
        {"<annotation>", "it ends too soon"},
        {"<annotation", "a tag does not end"},
        {"<annotation a=\">", "a tag does not end"},
        {"<!-- >", "a tag does not end"},
        {"</annotation>", "an element ends that never began"},
        {PAGE("<>"), "a tag has no name"},
        {PAGE("</object>"), "<annotation> ends as </object>"},
        {"<kml></kml>", "it is a <kml>, no <annotation>"},
        {PAGE(OBJECT(BOX)), "object 0 has no name or no bndbox"},
        {PAGE(OBJECT("<name>a</name>" BOX) OBJECT("<name>b</name>")),
         "object 1 has no name or no bndbox"},
        {PAGE(OBJECT("<name>a</name><bndbox><xmin>left</xmin></bndbox>")),
         "object 0 has \"left\" where a number should be"},
        {PAGE(OBJECT("<name>a</name><bndbox><xmin>nan</xmin></bndbox>")),
         "object 0 has \"nan\" where a number should be"},
        {PAGE(OBJECT("<name>a</name><bndbox><xmin></xmin></bndbox>")),
         "object 0 has \"\" where a number should be"},
        {PAGE("<filename>a.jpg</filename>" OBJECT("<name>a</name>" BOX)),
         "there is no picture for 1"},
        {PAGE("<filename>../../x.jpg</filename>"), "there is no picture for 1"},
    };
    put("xml/JPEGImages/none", "");
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        put("xml/Annotations/1.xml", cases[i].text);
        refused("xml", OC_TASK_DETECT, NULL, OC_E_FORMAT, cases[i].words);
    }
    put("xml/ImageSets/Main/val.txt", "7\n");
    refused("xml", OC_TASK_DETECT, NULL, OC_E_IO, "val.txt, line 1: ");
}

static void voc_has_points_in_a_comma_locale(void **state) {
    (void)state;
    static const char text[] =
        "<annotation>" OBJECT("<name>a</name><bndbox><xmin>1.5</xmin>"
                              "<ymin>2.25</ymin><xmax>3e1</xmax>"
                              "<ymax>40.125</ymax></bndbox>") "</annotation>";
    static const double want[] = {1.5, 2.25, 30, 40.125};
    oc__voc_page page = {0};
    oc_error err;
    if (!test_set_comma_locale()) skip();
    page.objects = calloc(OC_VOC_OBJECTS, sizeof(*page.objects));
    assert_non_null(page.objects);
    oc_status st = oc__voc_read(&page, text, sizeof(text) - 1, &err);
    setlocale(LC_ALL, "C");
    assert_int_equal(st, OC_OK);
    assert_int_equal(page.n, 1);
    for (int k = 0; k < 4; k++) {
        assert_true(page.objects[0].box[k] == want[k]);
    }
    free(page.objects);
}

static void voc_keeps_its_limits(void **state) {
    (void)state;
    static const char one[] = OBJECT("<name>a</name>" BOX);
    static char text[(OC_VOC_OBJECTS + 1) * sizeof(one) + 64];
    oc__voc_page page = {0};
    oc_error err;
    page.objects = calloc(OC_VOC_OBJECTS, sizeof(*page.objects));
    assert_non_null(page.objects);
    for (int extra = 0; extra < 2; extra++) {
        size_t n = (size_t)sprintf(text, "<annotation>");
        for (int i = 0; i < OC_VOC_OBJECTS + extra; i++) {
            memcpy(text + n, one, sizeof(one) - 1);
            n += sizeof(one) - 1;
        }
        n += (size_t)sprintf(text + n, "</annotation>");
        oc_status st = oc__voc_read(&page, text, n, &err);
        assert_int_equal(st, extra ? OC_E_LIMIT : OC_OK);
        assert_int_equal(page.n, OC_VOC_OBJECTS);
    }
    for (int deep = 32; deep <= 33; deep++) {
        size_t n = (size_t)sprintf(text, "<annotation>");
        for (int i = 1; i < deep; i++)
            n += (size_t)sprintf(text + n, "<a>");
        for (int i = 1; i < deep; i++)
            n += (size_t)sprintf(text + n, "</a>");
        n += (size_t)sprintf(text + n, "</annotation>");
        oc_status st = oc__voc_read(&page, text, n, &err);
        assert_int_equal(st, deep > 32 ? OC_E_LIMIT : OC_OK);
    }
    for (int len = 127; len <= 128; len++) {
        size_t n =
            (size_t)sprintf(text, "<annotation><object><name>%0*d", len, 0);
        n += (size_t)sprintf(text + n, "</name>" BOX "</object></annotation>");
        oc_status st = oc__voc_read(&page, text, n, &err);
        assert_int_equal(st, len > 127 ? OC_E_LIMIT : OC_OK);
    }
    free(page.objects);
}

/* ---- memory ---------------------------------------------------------------
 */

static void fail_each_allocation(const char *name, oc_task task) {
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        oc_dataset *d = NULL;
        oc_error err;
        test_allocator_init(&ta, n);
        oc_status st =
            oc_dataset_open(&d, in_root(name), task, NULL, &ta.base, &err);
        assert_int_equal(st == OC_OK, d != NULL);
        oc_dataset_destroy(d);
        int failed = ta.failed;
        test_allocator_check(&ta);
        assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        if (!failed) break;
    }
}

/* So many that lists grow and an arena needs more than its first block. */
static void dataset_survives_failed_allocations(void **state) {
    (void)state;
    char name[64], line[64];
    static char labels[16384], marks[65536], list[4096];
    size_t at = 0, mark = 0, item = 0;
    make_folders();
    make_masks();
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "many/images/%d.jpg", i);
        put(name, "");
        snprintf(name, sizeof(name), "many/masks/%d.png", i);
        put(name, "");
        snprintf(name, sizeof(name), "many/JPEGImages/%d.jpg", i);
        put(name, "");
        snprintf(name, sizeof(name), "many/Annotations/%d.xml", i);
        snprintf(line, sizeof(line), "<name>class %d</name>", i);
        char page[512];
        snprintf(page, sizeof(page), PAGE(OBJECT("%s" BOX)), line);
        put(name, page);
        at += (size_t)sprintf(labels + at, "%d.jpg %d\n", i, i);
        item += (size_t)sprintf(list + item, "%d\n", i);
        mark += (size_t)sprintf(
            marks + mark, "%s{\"id\": %d, \"file_name\": \"%d.jpg\"}",
            i ? "," : "{" CATEGORIES ", \"images\": [", i, i);
    }
    sprintf(marks + mark,
            "], \"annotations\": [{\"image_id\": 7, \"category_id\": 1, "
            "\"bbox\": [1, 2, 3, 4]}]}");
    put("many/labels.txt", labels);
    put("many/classes.txt", list);
    make_tree();
    fail_each_allocation("folders", OC_TASK_CLASSIFY);
    fail_each_allocation("tree", OC_TASK_CLASSIFY);
    fail_each_allocation("table", OC_TASK_CLASSIFY);
    fail_each_allocation("masks", OC_TASK_SEGMENT);
    fail_each_allocation("many", OC_TASK_CLASSIFY);
    fail_each_allocation("many", OC_TASK_SEGMENT);
    fail_each_allocation("many", OC_TASK_DETECT); /* VOC */
#if OC_HAVE_JANSSON
    put("many/images/instances.json", marks);
    fail_each_allocation("many/images", OC_TASK_DETECT);
#endif
}

/* ---- the measure ----------------------------------------------------------
 */

static oc_truth truth_at(double x, int64_t id) {
    oc_truth t = {0};
    t.id = id;
    t.box[0] = x;
    t.box[2] = t.box[3] = 50;
    t.area = 2500;
    return t;
}

/* Two truths; three detections, the best two right, one by IoU 2/3. */
static oc_status measure(const oc_allocator *a, double out[OC_COCO_FIGURES],
                         double *class_ap, oc_error *err) {
    static const double boxes[3][4] = {
        {0, 0, 50, 50}, {110, 0, 50, 50}, {300, 0, 50, 50}};
    oc_truth truths[2] = {truth_at(0, 1), truth_at(100, 2)};
    oc_coco *c = NULL;
    OC_TRY(oc_coco_create(&c, 2, a, err));
    oc_status st = oc_coco_add_picture(c, truths, 2, err);
    for (int i = 0; i < 3 && !st; i++) {
        st = oc_coco_add(c, 0, boxes[i], 0.9 - 0.1 * i, err);
    }
    /* A picture with nothing in it, and a false one of a class without. */
    if (!st) st = oc_coco_add_picture(c, NULL, 0, err);
    if (!st) st = oc_coco_add(c, 1, boxes[0], 0.5, err);
    if (!st) st = oc_coco_figures(c, out, err);
    if (!st) {
        class_ap[0] = oc_coco_class_ap(c, 0);
        class_ap[1] = oc_coco_class_ap(c, 1);
        assert_true(oc_coco_class_ap(c, 2) == -1);
    }
    oc_coco_destroy(c);
    return st;
}

static void near(double got, double want) {
    if (!(fabs(got - want) < 1e-9)) fail_msg("%.17g, not %.17g", got, want);
}

static void coco_measures_what_is_known(void **state) {
    (void)state;
    double f[OC_COCO_FIGURES], ap[2];
    oc_error err;
    assert_int_equal(measure(NULL, f, ap, &err), OC_OK);
    /*
     * Up to IoU .65, four of ten, both are found: precision 1 at all recalls.
     * Above, one is: precision 1 up to recall .5, at 51 of 101.
     */
    near(f[OC_COCO_AP], (4 + 6 * 51. / 101) / 10);
    near(f[OC_COCO_AP50], 1);
    near(f[OC_COCO_AP75], 51. / 101);
    near(f[OC_COCO_AP_SMALL], -1);
    near(f[OC_COCO_AP_MEDIUM], f[OC_COCO_AP]);
    near(f[OC_COCO_AP_LARGE], -1);
    near(f[OC_COCO_AR1], .5);
    near(f[OC_COCO_AR10], (4 + 6 * .5) / 10);
    near(f[OC_COCO_AR100], f[OC_COCO_AR10]);
    near(f[OC_COCO_AR_MEDIUM], f[OC_COCO_AR10]);
    near(f[OC_COCO_AR_LARGE], -1);
    near(ap[0], f[OC_COCO_AP]);
    near(ap[1], -1); /* nothing of it to find */
}

static void coco_refuses_what_makes_no_sense(void **state) {
    (void)state;
    static const double box[4] = {0, 0, 1, 1};
    oc_truth t = truth_at(0, 1);
    oc_coco *c = NULL;
    oc_error err;
    assert_int_equal(oc_coco_create(&c, 0, NULL, &err), OC_E_ARG);
    assert_int_equal(oc_coco_create(&c, 3, NULL, &err), OC_OK);
    assert_int_equal(oc_coco_add(c, 0, box, 1, &err), OC_E_ARG);
    t.category = 3;
    assert_int_equal(oc_coco_add_picture(c, &t, 1, &err), OC_E_ARG);
    t.category = -1;
    assert_int_equal(oc_coco_add_picture(c, &t, 1, &err), OC_E_ARG);
    assert_int_equal(oc_coco_add_picture(c, NULL, 0, &err), OC_OK);
    assert_int_equal(oc_coco_add(c, 3, box, 1, &err), OC_E_ARG);
    assert_int_equal(oc_coco_add(c, -1, box, 1, &err), OC_E_ARG);
    double f[OC_COCO_FIGURES];
    assert_int_equal(oc_coco_figures(c, f, &err), OC_OK);
    for (int i = 0; i < OC_COCO_FIGURES; i++) {
        near(f[i], -1);
    }
    oc_coco_destroy(c);
    oc_coco_destroy(NULL);
}

static void coco_survives_failed_allocations(void **state) {
    (void)state;
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        double f[OC_COCO_FIGURES], ap[2];
        oc_error err;
        test_allocator_init(&ta, n);
        oc_status st = measure(&ta.base, f, ap, &err);
        int failed = ta.failed;
        test_allocator_check(&ta);
        assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dataset_takes_a_folder_for_each_class),
        cmocka_unit_test(dataset_takes_classes_in_classes_and_tables),
        cmocka_unit_test(dataset_takes_a_list_of_labels),
        cmocka_unit_test(dataset_names_the_line_when_a_label_is_wrong),
        cmocka_unit_test(dataset_says_what_it_looked_for),
        cmocka_unit_test(dataset_pairs_pictures_with_masks),
        cmocka_unit_test(dataset_reads_coco_wherever_its_parts_lie),
        cmocka_unit_test(dataset_names_the_item_when_json_is_wrong),
        cmocka_unit_test(dataset_reads_voc),
        cmocka_unit_test(dataset_says_what_is_wrong_with_xml),
        cmocka_unit_test(voc_has_points_in_a_comma_locale),
        cmocka_unit_test(voc_keeps_its_limits),
        cmocka_unit_test(dataset_survives_failed_allocations),
        cmocka_unit_test(coco_measures_what_is_known),
        cmocka_unit_test(coco_refuses_what_makes_no_sense),
        cmocka_unit_test(coco_survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
