// SPDX-License-Identifier: Apache-2.0
/* The probe over libbpf, without a word of Node: load, attach, read, stop. */
#ifndef SHIKRA_PROBE_H
#define SHIKRA_PROBE_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rings.h"

#define PROBE_LOG_BYTES 16384

struct probe;
struct canary;
struct program_state;

struct probe_options {
	uint32_t ring_bytes[RING_KINDS]; /* of each ring of a kind: a power of two, a multiple of the page size */
	uint32_t cpus_per_ring;
	uint32_t env; /* 1: take the environment at an execution */
};

struct probe_error {
	int number; /* errno */
	const char *step;
	char message[256];
	char log[PROBE_LOG_BYTES];
};

/* Of a row of probe_refusals: the cgroup, and a count for each class. */
#define PROBE_REFUSAL_COLUMNS (1 + EVENT_CLASSES)

/* Loads the programs of the compiled probe, with an empty table of interests. NULL and *error on failure. */
struct probe *probe_open(const void *object, size_t bytes, struct probe_error *error);
/* Makes the rings and fixes the settings. Once, before probe_attach. False and *error on failure: then close it. */
bool probe_configure(struct probe *probe, const struct probe_options *options, struct probe_error *error);
/* The probe's own; to be read and advanced, not closed. */
struct rings *probe_rings(struct probe *probe);
/* Attaches, and starts the thread that calls notify when records wait. */
bool probe_attach(struct probe *probe, rings_notify notify, void *context, struct probe_error *error);
/* Replaces the table of interests while the probe runs. False and *error on failure: then the old one may be in force in part. */
bool probe_want(struct probe *probe, const void *interests, size_t bytes, bool wants_calls, struct probe_error *error);
/* The table of interests as the programs have it now. */
const void *probe_interests(const struct probe *probe, size_t *bytes);
/* What the kernel tells of each program; returns how many there are, at most `most`. */
size_t probe_programs(const struct probe *probe, struct program_state *states, size_t most);
/* Attaches again what somebody detached. False and *error if the kernel refuses. */
bool probe_mend(struct probe *probe, struct probe_error *error);
/* Has the kernel count the runs of all BPF programs and their time, until the probe is closed. False and *error if it refuses. */
bool probe_count_runs(struct probe *probe, struct probe_error *error);
struct canary *probe_canary(struct probe *probe);
/* What to add to a time of CLOCK_BOOTTIME to get wall clock. */
int64_t probe_clock_offset_ns(void);
/* Fills counts[cpu][reason][class]; returns how many there are. */
size_t probe_drops(struct probe *probe, double *counts, size_t length);
/* Fills rows with the cgroups of which events were refused, as far as there is room; returns how many numbers. The kernel forgets those refused longest ago. */
size_t probe_refusals(struct probe *probe, double *rows, size_t length);
/* Records of the running processes (pid 0) or of one; the caller frees them. */
void *probe_processes(struct probe *probe, uint32_t pid, size_t *size, struct probe_error *error);
/* Detaches everything and joins the thread. The rings stay readable. Twice is fine. */
void probe_stop(struct probe *probe);
/* Stops and frees all, the rings' mappings included. */
void probe_close(struct probe *probe);

#endif
