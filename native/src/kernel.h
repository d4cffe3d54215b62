/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Constants of the kernel that the headers of older C libraries lack. */
#ifndef NK_KERNEL_H
#define NK_KERNEL_H

#include <numaif.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#ifndef MADV_COLD /* glibc 2.32 */
#define MADV_COLD 20
#endif
#ifndef MADV_POPULATE_READ /* glibc 2.35 */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE /* glibc 2.37 */
#define MADV_COLLAPSE 25
#endif
#ifndef MPOL_F_STATIC_NODES
#define MPOL_F_STATIC_NODES (1 << 15)
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MAP_FIXED_NOREPLACE /* glibc 2.27; kernels that do not know it take it as a hint */
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef AT_RSEQ_FEATURE_SIZE /* Linux 6.3 */
#define AT_RSEQ_FEATURE_SIZE 27
#endif

#endif
