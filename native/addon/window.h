// SPDX-License-Identifier: Apache-2.0
/* A ring's data, of which only what is being read is mapped: its pages are the kernel's, and count as memory of ours as long as they are mapped. */
#ifndef SHIKRA_WINDOW_H
#define SHIKRA_WINDOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct window {
	unsigned char *data; /* addresses for all of it; what is not mapped reads as zeros */
	uint32_t bytes;
	uint32_t part_bytes; /* is mapped and unmapped as one */
	uint32_t parts; /* which of them are mapped, by bits */
	int fd;
	off_t offset; /* of the data, for mmap */
};

/* bytes: a power of two. False and errno on failure. */
bool window_open(struct window *window, int fd, off_t offset, uint32_t bytes, uint32_t page_bytes);
/* Maps what lies between two positions, and nothing else; positions only grow, and the data goes round in them. False and errno on failure: try again later. */
bool window_show(struct window *window, unsigned long from, unsigned long to);
void window_close(struct window *window);

#endif
