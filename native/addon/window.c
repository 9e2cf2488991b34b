// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "window.h"

#include <stddef.h>
#include <sys/mman.h>

#define PARTS 16
#define EMPTY (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

bool window_open(struct window *window, int fd, off_t offset, uint32_t bytes, uint32_t page_bytes)
{
	void *data = mmap(NULL, bytes, PROT_READ, EMPTY, -1, 0);

	if (data == MAP_FAILED)
		return false;
	*window = (struct window){ .data = data, .bytes = bytes, .fd = fd, .offset = offset };
	window->part_bytes = bytes / PARTS < page_bytes ? page_bytes : bytes / PARTS;
	return true;
}

/* In place: the addresses stay ours all the time. */
static bool map_part(struct window *window, uint32_t part, bool shown)
{
	unsigned char *at = window->data + part * window->part_bytes;
	void *mapped = shown ? mmap(at, window->part_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, window->fd, window->offset + part * window->part_bytes) :
			       mmap(at, window->part_bytes, PROT_READ, EMPTY | MAP_FIXED, -1, 0);

	if (mapped == MAP_FAILED)
		return false;
	window->parts ^= 1U << part;
	return true;
}

bool window_show(struct window *window, unsigned long from, unsigned long to)
{
	uint32_t count = window->bytes / window->part_bytes, wanted = 0;

	for (unsigned long part = from / window->part_bytes; part * window->part_bytes < to; part++)
		wanted |= 1U << part % count;
	if (!wanted || wanted == window->parts)
		return true;
	for (uint32_t part = 0; part < count; part++)
		if ((wanted ^ window->parts) & 1U << part && !map_part(window, part, wanted & 1U << part))
			return false;
	return true;
}

void window_close(struct window *window)
{
	if (window->data)
		munmap(window->data, window->bytes);
	window->data = NULL;
}
