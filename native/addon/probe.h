// SPDX-License-Identifier: Apache-2.0
/* The probe over libbpf, without a word of Node: load, attach, read, stop. */
#ifndef SHIKRA_PROBE_H
#define SHIKRA_PROBE_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_LOG_BYTES 16384
#define PROBE_TESTS_MAX 32

struct probe;
struct canary;
struct program_state;

struct probe_options {
	uint32_t ring_bytes; /* of each ring: a power of two, a multiple of the page size */
	uint32_t cpus_per_ring;
	uint32_t wakeup_bytes;
	uint32_t env; /* 1: take the environment at an execution */
};

struct probe_error {
	int number; /* errno */
	const char *step;
	char message[256];
	char log[PROBE_LOG_BYTES];
};

struct probe_test {
	char program[64];
	char detail[1024];
	uint32_t verified_instructions; /* what the verifier looked at */
	bool ok;
};

typedef void (*probe_notify)(void *context);

/* Loads the programs of the compiled probe, with an empty table of interests. NULL and *error on failure. */
struct probe *probe_open(const void *object, size_t bytes, struct probe_error *error);
/* Makes the rings and fixes the settings. Once, before probe_attach. False and *error on failure: then close it. */
bool probe_configure(struct probe *probe, const struct probe_options *options, struct probe_error *error);
uint32_t probe_ring_count(const struct probe *probe);
/* A ring's data; a record that begins near its end goes on at its beginning. */
void *probe_ring_data(struct probe *probe, uint32_t ring, size_t *bytes);
/* Attaches, and starts the thread that calls notify when records wait. */
bool probe_attach(struct probe *probe, probe_notify notify, void *context, struct probe_error *error);
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
/* Gives back what was read, says how far complete records reach: (read, complete) for each ring. True if any ring has records. */
bool probe_advance(struct probe *probe, double *positions);
/* What is in the rings and was not given back, records that a program still writes included: a processor can be taken from it at any point. */
uint64_t probe_waiting_bytes(const struct probe *probe);
/* What to add to a time of CLOCK_BOOTTIME to get wall clock. */
int64_t probe_clock_offset_ns(void);
/* Fills counts[cpu][reason][class]; returns how many there are. */
size_t probe_drops(struct probe *probe, double *counts, size_t length);
/* Records of the running processes (pid 0) or of one; the caller frees them. */
void *probe_processes(struct probe *probe, uint32_t pid, size_t *size, struct probe_error *error);
/* Detaches everything and joins the thread. The rings stay readable. Twice is fine. */
void probe_stop(struct probe *probe);
/* Stops and frees all, the rings' mappings included. */
void probe_close(struct probe *probe);
/* Loads each program of the object by itself; returns how many. */
int probe_test(const void *object, size_t bytes, struct probe_test *tests);

#endif
