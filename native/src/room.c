/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How much can be had of a node: touching more than a bound node has, or than a cgroup's limit leaves, calls the OOM
 * killer, and no madvise flag prevents that. So whatever populates claims first what it is about to take.
 *
 *   free          MemFree of the node
 * + reclaimable   half of the clean page cache, but for what never comes back
 * + latent        what a kernel that initialises memory lazily has not handed out yet: present - managed of the node's
 *                 zones, and at most what /proc/meminfo has free that no node has; at most up to MemAvailable
 * - kept          below their `high` watermarks, and what they reserve for other uses, zones give nothing
 * - margin        a 64th of the node, for the rest of the system; from 16 MiB to 512 MiB
 *
 * and at most what the tightest cgroup leaves (cgroup.c).
 *
 * Looking and taking are one step in the process: a claim counts against all others until it is settled. Other
 * processes are not kept from anything; the margins are for them.
 */
#include "room.h"
#include "cgroup.h"
#include "nodes.h"
#include "numakit.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define MIN_MARGIN (16 * MIB)
#define MAX_MARGIN (512 * MIB)
/* Cache that never comes back: the code of what runs. A node filled up to that is where the OOM killer waits. */
#define CACHE_KEPT (128 * MIB)
/* Memory that is free and on no node has other reasons, too, if it is little: counters lag behind. */
#define LATENT_SLACK (64 * MIB)
/* The tables above the last level, wherever a range begins and ends. */
#define UPPER_TABLES UINT64_C(16384)
/* /proc/zoneinfo grows with the CPUs and takes milliseconds on large machines. What is kept changes when somebody sets
 * it; that less is latent is seen elsewhere, too. */
#define ZONES_FRESH_NS INT64_C(1000000000)
#define ZONES_CACHED 64
/* More than any machine has, and sums of it do not wrap. */
#define MAX_BYTES (UINT64_C(1) << 52)

/* The sums over a node's zones. */
struct zones {
    int32_t node;
    int64_t read_ns; /* 0: never */
    uint64_t kept_bytes;
    uint64_t latent_bytes;
};

static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t settled = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static struct zones zones_cache[ZONES_CACHED];
/* What is claimed and not settled. */
static uint64_t claimed_pages[NK_MAX_NODES], claimed_charges;

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + 1;
}

/* One zone's numbers, in pages. */
struct zone {
    uint64_t high, present, managed, reserved;
};

static void add_zone(const struct zone *zone, struct zones *sums)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), kept = zone->high + zone->reserved;

    sums->kept_bytes += (kept < zone->managed ? kept : zone->managed) * page;
    sums->latent_bytes += less(zone->present, zone->managed) * page;
}

/* "        protection: (0, 3019, 7115)": the most that the zone reserves for those who can use no other. */
static uint64_t most_reserved(const char *list)
{
    uint64_t most = 0;

    while (*(list += strcspn(list, "0123456789")) != '\0') {
        char *end;
        uint64_t value = strtoull(list, &end, 10);

        most = value > most ? value : most;
        list = end;
    }
    return most;
}

/* A kernel without the file, or a sandbox that hides it, tells of nothing kept and of nothing latent. */
static void read_zones(const char *root, int32_t node, struct zones *sums)
{
    char path[PATH_MAX], line[512], name[32];
    struct zone zone = {0};
    bool inside = false;
    int32_t at;
    FILE *file;

    *sums = (struct zones){.node = node};
    if (nk_path(path, sizeof path, "%s/proc/zoneinfo", root) < 0 || (file = fopen(path, "re")) == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Node %" SCNd32 ", zone %31s", &at, name) == 2) {
            if (inside)
                add_zone(&zone, sums);
            inside = at == node;
            zone = (struct zone){0};
        } else if (inside && strstr(line, " protection:") != NULL) {
            zone.reserved = most_reserved(line);
        } else if (inside) {
            /* "high:" with a colon is of a CPU's own list. */
            (void)(sscanf(line, " high %" SCNu64, &zone.high) == 1 ||
                   sscanf(line, " present %" SCNu64, &zone.present) == 1 ||
                   sscanf(line, " managed %" SCNu64, &zone.managed) == 1);
        }
    }
    if (inside)
        add_zone(&zone, sums);
    fclose(file);
}

/* The sums, as they were in the last second unless they have to be fresh. */
static struct zones zones_of(const char *root, int32_t node, bool fresh)
{
    struct zones *cached = &zones_cache[node % ZONES_CACHED], sums;
    int64_t now = now_ns();

    if (*root != '\0') {
        read_zones(root, node, &sums);
        return sums;
    }
    pthread_mutex_lock(&zones_lock);
    if (fresh || cached->node != node || cached->read_ns == 0 || now - cached->read_ns > ZONES_FRESH_NS) {
        read_zones(root, node, cached);
        cached->read_ns = now;
    }
    sums = *cached;
    pthread_mutex_unlock(&zones_lock);
    return sums;
}

/* Memory that is free by /proc/meminfo and on no node. available: what it says can be had in all. */
static uint64_t free_nowhere(const char *root, uint64_t *available)
{
    uint64_t system_free, on_nodes = 0, memory[3];
    int32_t node = 0;
    int got;

    if (nk_system_memory_below(root, &system_free, available) < 0)
        return 0;
    if (nk_next_node(root, 0) < 0)
        return 0; /* Where nodes have no files, the only one has all of it. */
    while ((node = nk_next_node(root, node)) >= 0) {
        got = nk_node_memory_below(root, node++, memory);
        on_nodes += got < 0 ? 0 : memory[1];
    }
    return less(system_free, on_nodes + LATENT_SLACK);
}

/* What free and reclaimable memory leave above what has to stay; have: the two together. */
static uint64_t above_margin(uint64_t have, uint64_t total, uint64_t kept)
{
    uint64_t margin = total / 64;

    margin = margin < MIN_MARGIN ? MIN_MARGIN : margin > MAX_MARGIN ? MAX_MARGIN : margin;
    return less(have, margin + kept);
}

int nk_node_available_below(const char *root, int32_t node, uint64_t needed, uint64_t *out)
{
    uint64_t memory[3], have, latent, nowhere, most, available = 0;
    int error = nk_node_memory_below(root, node, memory);
    struct zones zones;

    if (error < 0)
        return error;
    zones = zones_of(root, node, false);
    have = memory[1] + less(memory[2], CACHE_KEPT);
    *out = above_margin(have, memory[0], zones.kept_bytes);
    if (*out >= needed || zones.latent_bytes == 0)
        return 1;
    zones = zones_of(root, node, true);
    nowhere = free_nowhere(root, &available);
    latent = zones.latent_bytes < nowhere ? zones.latent_bytes : nowhere;
    most = above_margin(have + latent, memory[0], zones.kept_bytes);
    if (most > available)
        most = available;
    if (most > *out)
        *out = most;
    return 1;
}

int32_t nk_node_available(int32_t node, uint64_t *out)
{
    uint64_t limit[2];
    int got;

    if (out == NULL)
        return -EINVAL;
    got = nk_node_available_below("", node, UINT64_MAX, &out[0]);
    if (got < 0)
        return got;
    got = nk_memory_room_below("", limit);
    if (got < 0)
        return got;
    out[1] = got == 0 ? UINT64_MAX : limit[0];
    return got == 0 ? 1 : 2;
}

struct nk_claim nk_claim_for(int32_t node, uint64_t page_bytes, uint64_t charged_bytes, uint64_t mapped_bytes)
{
    uint64_t tables = mapped_bytes == 0 ? 0 : mapped_bytes / 512 + UPPER_TABLES;

    return (struct nk_claim){.node = node, .page_bytes = page_bytes + tables, .charged_bytes = charged_bytes + tables};
}

/* Whether what is needed fits beside what others claimed: 0; -EAGAIN not until they have settled; -ENOMEM. */
static int fits(uint64_t room, uint64_t needed, uint64_t claimed)
{
    if (room < needed)
        return -ENOMEM;
    return room - needed < claimed ? -EAGAIN : 0;
}

/* Room locked. */
static int look(const struct nk_claim *claims, int32_t count)
{
    uint64_t charges = 0, room, limit[2];
    int error, later = 0;

    for (int32_t i = 0; i < count; i++) {
        uint64_t claimed = claimed_pages[claims[i].node];

        charges += claims[i].charged_bytes;
        if (claims[i].page_bytes == 0)
            continue;
        error = nk_node_available_below("", claims[i].node, claims[i].page_bytes + claimed, &room);
        if (error >= 0)
            error = fits(room, claims[i].page_bytes, claimed);
        if (error == -EAGAIN)
            later = error;
        else if (error < 0)
            return error;
    }
    error = charges == 0 ? 0 : nk_memory_room_below("", limit);
    if (error > 0)
        error = fits(limit[0], charges, claimed_charges);
    return error < 0 ? error : later;
}

int nk_room_claim(const struct nk_claim *claims, int32_t count)
{
    int error;

    for (int32_t i = 0; i < count; i++)
        if (claims[i].node < 0 || claims[i].node >= NK_MAX_NODES)
            return -ENODEV;
    pthread_mutex_lock(&room_lock);
    while ((error = look(claims, count)) == -EAGAIN)
        pthread_cond_wait(&settled, &room_lock);
    for (int32_t i = 0; error == 0 && i < count; i++) {
        claimed_pages[claims[i].node] += claims[i].page_bytes;
        claimed_charges += claims[i].charged_bytes;
    }
    pthread_mutex_unlock(&room_lock);
    return error;
}

void nk_room_settle(const struct nk_claim *claims, int32_t count)
{
    pthread_mutex_lock(&room_lock);
    for (int32_t i = 0; i < count; i++) {
        claimed_pages[claims[i].node] -= claims[i].page_bytes;
        claimed_charges -= claims[i].charged_bytes;
    }
    pthread_cond_broadcast(&settled);
    pthread_mutex_unlock(&room_lock);
}

int32_t nk_node_room(int32_t node, uint64_t bytes, uint64_t charged_bytes)
{
    struct nk_claim claim;
    int error;

    if (bytes > MAX_BYTES || charged_bytes > MAX_BYTES)
        return -ENOMEM;
    claim = nk_claim_for(node, bytes, charged_bytes, charged_bytes);
    error = nk_room_claim(&claim, 1);
    if (error == 0)
        nk_room_settle(&claim, 1);
    return error;
}
