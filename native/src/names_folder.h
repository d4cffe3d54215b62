/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where names are: folders into which no other user can put anything. */
#ifndef NK_NAMES_FOLDER_H
#define NK_NAMES_FOLDER_H

#include <stdbool.h>

/* The folders are 0 .. NK_FOLDERS - 1, the one to prefer first. */
#define NK_FOLDERS 2

/* Open a folder, and make it if it is not there. -ENOENT it is not there (and cannot be made); -EPERM it is not this
 * user's own. */
int nk_folder_open(int which, bool make);

#endif
