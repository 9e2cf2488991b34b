/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes the file named by the argument. */
#include "loop.h"
#include <fcntl.h>
#include <unistd.h>

static void step(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		err(1, "%s", path);
	close(fd);
}

int main(int argc, char **argv)
{
	return loop(argc, argv, 64, step);
}
