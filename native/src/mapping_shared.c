/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mappings that other processes may have, too: made, published, found. Files and names are shared.c's and names.c's. */
#include "mapping.h"
#include "numakit.h"
#include "owner.h"
#include "record.h"
#include "shared.h"
#include "table.h"

#include <errno.h>
#include <stddef.h>

int32_t nk_mapping_share(const char *name, int32_t node, int32_t kind, int32_t flags, uint64_t page_bytes,
                         uint64_t data_bytes, uint64_t *out)
{
    struct nk_range wanted = {.data_bytes = data_bytes, .page_bytes = page_bytes, .kind = kind, .flags = flags,
                              .node = node, .files = NK_NO_FILES};
    struct nk_thread *thread = nk_thread_record();
    struct nk_range range;
    int32_t result;

    if (thread == NULL)
        return -EAGAIN;
    result = nk_shared_make(name, &wanted);
    if (result == 0)
        result = nk_range_make(&wanted, &range);
    if (result < 0) {
        nk_shared_close(&wanted);
        return result;
    }
    result = nk_mapping_adopt(thread, &range, out);
    if (result < 0) {
        nk_range_unmap(&range);
        nk_shared_close(&range);
    }
    return result;
}

int32_t nk_mapping_publish(uint64_t mapping, const char *name)
{
    struct nk_range range;
    struct nk_name *taken = NULL;
    int error = nk_mapping_held(mapping, &range);

    if (error < 0)
        return error;
    if (!nk_range_shared(&range) || range.name != NULL)
        return -EINVAL;
    error = nk_shared_publish(name, &range, &taken);
    if (error < 0)
        return error;
    error = nk_mapping_set_name(mapping, taken);
    if (error < 0)
        nk_name_give(taken);
    return error;
}

/* Hold the mapping that this process already has of the same memory. 0 when it has none. */
static int32_t attach_same(const struct nk_range *wanted, uint64_t *out)
{
    uint64_t identity;
    int32_t result;

    identity = nk_mapping_same(wanted);
    if (identity == 0)
        return 0;
    result = nk_mapping_attach(identity, out);
    return result == -ESTALE ? 0 : result;
}

/* Hold or map shared memory; what becomes of the files of wanted is settled here. */
static int32_t open_found(struct nk_thread *thread, const struct nk_range *wanted, uint64_t *out)
{
    struct nk_range range;
    int32_t result = attach_same(wanted, out);

    if (result == 0) {
        result = nk_range_open(wanted, &range);
        if (result == 0) {
            do {
                result = nk_mapping_adopt(thread, &range, out);
                if (result > 0)
                    return result;
                /* Another thread was faster. */
                if (result == -EEXIST)
                    result = attach_same(wanted, out);
            } while (result == 0);
            nk_range_unmap(&range);
        }
    }
    nk_shared_close(wanted);
    return result;
}

int32_t nk_mapping_open(const char *name, uint64_t *out)
{
    struct nk_range wanted = {.files = NK_NO_FILES};
    struct nk_thread *thread = nk_thread_record();
    int32_t result;

    if (thread == NULL)
        return -EAGAIN;
    result = nk_shared_find(name, &wanted);
    if (result == 0)
        result = open_found(thread, &wanted, out);
    return result;
}

int32_t nk_mapping_claim(uint64_t mapping, int32_t take)
{
    struct nk_range range;
    int error = nk_mapping_held(mapping, &range);

    if (error < 0)
        return error;
    if (!nk_range_shared(&range) || (take & ~1) != 0)
        return -EINVAL;
    if (take)
        return nk_owner_take(&range, nk_thread_record());
    nk_owner_drop(&range, nk_thread_record());
    return 0;
}
