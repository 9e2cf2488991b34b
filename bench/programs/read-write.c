/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from /dev/zero and writes what it read to /dev/null: two system calls that do next to nothing, and that no rule wants. */
#include "loop.h"
#include <fcntl.h>
#include <unistd.h>

static int zero, null;

static void step(const char *argument)
{
	char bytes[64];

	(void)argument;
	if (read(zero, bytes, sizeof(bytes)) != sizeof(bytes) || write(null, bytes, sizeof(bytes)) != sizeof(bytes))
		err(1, "/dev/zero to /dev/null");
}

int main(int argc, char **argv)
{
	zero = open("/dev/zero", O_RDONLY);
	null = open("/dev/null", O_WRONLY);
	if (zero < 0 || null < 0)
		err(1, "/dev/zero, /dev/null");
	return loop(argc, argv, 64, step);
}
