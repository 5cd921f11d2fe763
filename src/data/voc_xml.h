/*
 * voc_xml.h - one annotation file of Pascal VOC, from its bytes.
 *
 *     <annotation>
 *       <filename>1.jpg</filename>
 *       <object>
 *         <name>dog</name> <difficult>0</difficult>
 *         <bndbox> <xmin>8</xmin> ... </bndbox>
 *         <part> <name>head</name> <bndbox> ... </bndbox> </part>
 *       </object>
 *     </annotation>
 */
#ifndef OC_DATA_VOC_XML_H
#define OC_DATA_VOC_XML_H

#include "base/status.h"

#define OC_VOC_OBJECTS 4096 /* most that a picture may have */

typedef struct oc__voc_object {
    char name[128];
    double box[4]; /* x1, y1, x2, y2 */
    int difficult;
    int sides; /* bits: which of box have been read */
} oc__voc_object;

typedef struct oc__voc_page {
    oc__voc_object *objects; /* the caller's: OC_VOC_OBJECTS of them */
    size_t n;
    char file[256]; /* the picture's name; "" where there is none */
} oc__voc_page;

/** Fills in page from text[0..bytes).  E_FORMAT, E_LIMIT. */
oc_status oc__voc_read(oc__voc_page *page, const char *text, size_t bytes,
                       oc_error *err);

#endif
