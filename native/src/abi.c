/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "numakit.h"

int32_t nk_abi_version(void)
{
    return NK_ABI_VERSION;
}
