/* SPDX-License-Identifier: Apache-2.0 */
/* `attach OBJECT` attaches every program of a BPF object, prints `attached`, and keeps them until its standard input ends. */
#include <bpf/libbpf.h>
#include <err.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bpf_program *program;
	struct bpf_object *object;
	char byte;

	if (argc != 2)
		errx(2, "usage: %s OBJECT", argv[0]);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		err(1, "%s could not be loaded", argv[1]);
	bpf_object__for_each_program(program, object)
		if (!bpf_program__attach(program))
			err(1, "%s could not be attached", bpf_program__name(program));
	puts("attached");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0; /* the links go with the process */
}
