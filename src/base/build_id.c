/* build_id.c - see build_id.h. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "base/build_id.h"

#include "base/size.h"

#include <string.h>

#if defined(__linux__)
#include <elf.h>
#include <link.h>

typedef struct search {
    uint8_t *out;
    size_t found;
} search;

/* Some address in the file this function is in. */
static const char here;

/* A note: sizes of name and content, type, name, content; padded to 4. */
static size_t read_notes(const char *at, size_t left, uint8_t *out) {
    while (left >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) n;
        memcpy(&n, at, sizeof(n));
        size_t name = oc__align_up(n.n_namesz, 4);
        size_t body = oc__align_up(n.n_descsz, 4);
        left -= sizeof(n);
        at += sizeof(n);
        if (name > left || body > left - name) return 0;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
            !memcmp(at, "GNU", 4)) {
            size_t bytes = OC_MIN((size_t)n.n_descsz, OC_BUILD_ID_BYTES);
            memcpy(out, at + name, bytes);
            return bytes;
        }
        at += name + body;
        left -= name + body;
    }
    return 0;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *user) {
    search *s = user;
    uintptr_t base = info->dlpi_addr, me = (uintptr_t)&here;
    int ours = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        ours |= p->p_type == PT_LOAD && me >= base + p->p_vaddr &&
                me < base + p->p_vaddr + p->p_memsz;
    }
    for (int i = 0; ours && !s->found && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE)
            s->found = read_notes((const char *)(base + p->p_vaddr), p->p_memsz,
                                  s->out);
    }
    return ours;
}

size_t oc__build_id(uint8_t out[OC_BUILD_ID_BYTES]) {
    search s = {out, 0};
    dl_iterate_phdr(look_at, &s);
    return s.found;
}

#else

size_t oc__build_id(uint8_t out[OC_BUILD_ID_BYTES]) {
    (void)out;
    return 0;
}

#endif
